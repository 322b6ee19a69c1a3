"""Image files as arrays."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_readable
from ..progress import track


def read_image(path: str | Path, size: int | None = None, *, bands: int = 3) -> np.ndarray:
    """One image file as (H, W, bands) uint8, or (H, W, 1) uint16 for a 16-bit file read with bands=1.

    With `size` it is brought to size × size pixels where it differs: every pixel that shrinks is a mean over its area,
    so nothing aliases. Three bands are RGB, one is luminance, four are an RGBA or CMYK file's channels as they are.
    Raises `InputError` for a file that is missing, truncated or no image, has other bands, or is entirely black.
    """
    from PIL.Image import Resampling

    with _opened(path) as file:
        image = _with_bands(file, bands, path)
        if size is not None and image.size != (size, size):
            image = image.resize((size, size), Resampling.BOX if min(image.size) >= size else Resampling.BILINEAR)
        pixels = np.asarray(image)
    if not pixels.any():
        raise InputError(f"{path}: the image is entirely black; replace or remove it")
    return pixels.astype(np.uint16 if image.mode == "I" else np.uint8, copy=False).reshape(*pixels.shape[:2], bands)


def is_grey(path: str | Path) -> bool:
    """Whether an image file has one band of grey values; errors as in `read_image`."""
    with _opened(path) as file:
        return file.mode in ("1", "L", "F") or file.mode.startswith("I")


def read_images(paths: Sequence[str | Path], size: int, *, progress: bool = False) -> np.ndarray:
    """RGB image files as one array (N, size, size, 3) uint8, decoded by a few threads; errors as in `read_image`."""
    x = np.empty((len(paths), size, size, 3), np.uint8)

    def fill(k: int) -> None:
        x[k] = read_image(paths[k], size)

    with ThreadPoolExecutor(4) as pool:  # Pillow decodes outside the interpreter lock
        for _ in track(pool.map(fill, range(len(paths))), len(paths), "reading images", progress):
            pass
    return x


@contextmanager
def _opened(path: str | Path):
    """A Pillow image file; whatever fails on the way is an `InputError` that names it."""
    from PIL import Image

    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    check_readable(path)
    try:
        with Image.open(path) as file:
            yield file
    except InputError:
        raise
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: not an image that Pillow can read") from None
    except Exception as error:  # a damaged file can fail anywhere inside a decoder
        raise InputError(f"{path}: damaged or truncated image ({error})") from error


def _with_bands(image, bands: int, path: str | Path):
    """A Pillow image with as many bands as asked for; 16-bit grey values keep their depth where one band is wanted."""
    from PIL import Image

    if image.mode in ("F", "I"):
        raise InputError(f"{path}: 32-bit pixels; expected 8-bit, or 16-bit greyscale")
    sixteen = image.mode.startswith("I;16")
    if bands == 1:
        return image.convert("I" if sixteen else "L")
    if bands == 4:
        if len(image.getbands()) != 4:
            raise InputError(f"{path}: {len(image.getbands())} bands; expected 4, as an RGBA or CMYK file")
        return Image.merge("CMYK", image.split())  # resizing RGBA would weight colours by the fourth band
    if bands != 3:
        raise InputError(f"{path}: an image file cannot hold the {bands} bands of these samples")
    return (Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if sixteen else image).convert("RGB")
