"""Image files as arrays, as a viewer would show them.

An image is *deep* where it holds more than 8 bits a value: 16-bit or 32-bit integers, or floats. Its values become
bytes by one `Span` for a whole data set, so that two images stay as bright to each other as their files say.
"""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..files import check_file
from ..progress import track

NO_PIXELS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # Pillow knows these formats but does not decode them itself
MOST_PIXELS, LONGEST_SIDE = 10**8, 10**5
GREY = ("1", "L")
COLOUR = ("RGB", "CMYK", "YCbCr", "HSV", "P", "PA", "RGBX")
ORIENTATION, BITS, PLANES = 274, 258, 284  # tags of TIFF, the first also of EXIF
HALVES = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # byte order: the one with bytes swapped
TURNS = {  # EXIF orientation: (is it transposed, is it then upside down, is it then mirrored)
    2: (False, False, True), 3: (False, True, True), 4: (False, True, False), 5: (True, False, False),
    6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


class Span(NamedTuple):
    """The values of deep images that are shown as 0 and as 255."""

    low: float
    high: float


class Pictures(NamedTuple):
    """What `read_images` found."""

    x: np.ndarray  # (N, size, size, 3) uint8
    span: Span | None  # of the deep ones, where there are any
    remarks: tuple[str, ...]  # what was done to them, for the report


def image_suffixes() -> set[str]:
    """The suffixes, in lower case, of the formats that Pillow decodes."""
    from PIL import Image

    known = Image.registered_extensions()
    return {suffix for suffix, name in known.items() if name in ({"MPO", *Image.OPEN} - set(NO_PIXELS))}


def read_image(path: str | Path, size: int | None = None, *, bands: int = 3, span: Span | None = None) -> np.ndarray:
    """One image file as (H, W, bands) uint8, or (H, W, 1) uint16 for a 16-bit grey file read with bands=1 and no span.

    It stands upright (EXIF orientation), on white where it is transparent; of several pages the first is read. With
    `size` it is brought to size × size pixels where it differs: every pixel that shrinks is a mean over its area, so
    nothing aliases. Three bands are RGB, one is luminance, four are an RGBA or CMYK file's channels as they are. The
    values of a deep image are shown as bytes by `span`, by default that of its own values (`span_of`). Raises
    `InputError` for a file that is missing, truncated or no image, that is too large, has other bands, a mode that is
    not read, NaN or infinity, or is entirely black.
    """
    with _quiet():
        return _read(path, size, bands, span)


def _read(path: str | Path, size: int | None, bands: int = 3, span: Span | None = None) -> np.ndarray:
    """`read_image`, which threads may call: a filter of warnings is the whole process's."""
    with open_picture(path) as file:
        if is_deep(file) and bands in (1, 3):
            values = deep_values(file, path)
            whole = bands == 1 and span is None and values.dtype == np.uint16 and values.ndim == 2
            scaled = values if whole else _as_bytes(values, span or span_of([values]))
            pixels = _fit_deep(scaled, size, np.uint16 if whole else np.uint8)
            if pixels.shape[2] != bands:
                pixels = np.repeat(pixels, 3, axis=2) if bands == 3 else _luminance(pixels)
            black = not values.any()
        else:
            image = _with_bands(file, bands, path)
            pixels = np.asarray(_fit(image, size))
            pixels = pixels.reshape(*pixels.shape[:2], bands)
            black = not pixels.any()
    if black:
        raise InputError(f"{path}: the image is entirely black; replace or remove it")
    return pixels


def is_grey(path: str | Path) -> bool:
    """Whether an image file has one band of grey values; errors as in `read_image`."""
    with open_picture(path) as file:
        return file.mode in (*GREY, "F") or file.mode.startswith("I")


def is_deep(image) -> bool:
    """Whether a Pillow image that is open, and not yet decoded, holds more than 8 bits a value in its file."""
    return image.mode.startswith("I") or image.mode == "F" or bool(_sixteen(image))


def read_images(paths: Sequence[str | Path], size: int, *, progress: bool = False) -> Pictures:
    """RGB image files as one array (N, size, size, 3) uint8, decoded by a few threads; errors as in `read_image`.

    The span of deep images is that of the values of all of them.
    """
    span, remarks = look_at_images(paths, progress=progress)
    x = np.empty((len(paths), size, size, 3), np.uint8)

    def fill(k: int) -> None:
        x[k] = _read(paths[k], size, span=span)

    with _quiet(), ThreadPoolExecutor(4) as pool:  # Pillow decodes outside the interpreter lock
        for _ in track(pool.map(fill, range(len(paths))), len(paths), "reading images", progress):
            pass
    return Pictures(x, span, remarks)


def look_at_images(paths: Sequence[str | Path], *, progress: bool = False) -> tuple[Span | None, tuple[str, ...]]:
    """(the span of the deep ones among image files, what a report says of how all are read).

    Errors as in `read_image`.
    """
    with _quiet(), ThreadPoolExecutor(4) as pool:
        looks = list(track(pool.map(_look, paths), len(paths), "looking at images", progress))
    extremes = [values for values, _ in looks if values is not None]
    span = span_of(extremes) if extremes else None
    return span, _remarks(len(paths), len(extremes), span, sum(pages > 1 for _, pages in looks))


def span_of(values: Sequence[np.ndarray]) -> Span:
    """The span of deep images with these values, in round numbers.

    The values' range is moved outwards to multiples of an eighth of the power of two that holds it, so that one more
    image hardly ever changes what all others look like. Whole numbers from 0 to 4000 give 0 to 4095, fractions from 0
    to 0.9 give 0 to 1, one value alone gives 0 and itself.
    """
    low, high = float(min(v.min() for v in values)), float(max(v.max() for v in values))
    if low == high:
        return Span(min(low, 0.0), max(low, 0.0))
    unit = 1.0 if all(v.dtype.kind in "iu" for v in values) else 0.0  # a whole number v stands for v to v + 1
    mantissa, exponent = math.frexp(high + unit - low)
    step = 2.0 ** (exponent - 3 - (mantissa == 0.5))
    return Span(math.floor(low / step) * step, math.ceil((high + unit) / step) * step - unit)


def _remarks(images: int, deep: int, span: Span | None, paged: int) -> tuple[str, ...]:
    """What a report says of how images were read."""
    many = f"{deep} of {images} images hold" if deep < images else "images hold"
    shown = (f"{many} more than 8 bits: {span.low:g} to {span.high:g} shown as 0 to 255",) if span else ()
    return shown + ((f"only the first page is read of {paged} images with several",) if paged else ())


def _look(path: str | Path) -> tuple[np.ndarray | None, int]:
    """(the smallest and the largest value where the image is deep, its pages)."""
    with open_picture(path) as file:
        pages = getattr(file, "n_frames", 1)
        if not is_deep(file):
            return None, pages
        values = deep_values(file, path)
        return np.array([values.min(), values.max()]), pages


@contextmanager
def open_picture(path: str | Path):
    """A Pillow image file; whatever fails on the way is an `InputError` that names it."""
    from PIL import Image

    check_file(path)
    try:
        # Pillow turns a TIFF file that it maps into memory by its orientation before it reads it: never let it map
        with open(path, "rb") as stream, Image.open(stream) as file:
            check_size(file.size, path)
            yield file
    except InputError:
        raise
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: not an image that Pillow can read") from None
    except Image.DecompressionBombError as error:  # Pillow's own limit, about twice ours
        raise InputError(f"{path}: too large, {_line(error)}; cut it into tiles") from None
    except MemoryError:
        raise InputError(f"{path}: too large for this machine's memory; cut it into tiles") from None
    except Exception as error:  # a damaged file can fail anywhere inside a decoder
        raise InputError(f"{path}: damaged or truncated image ({_line(error)})") from error


def check_size(size: tuple[int, int], path: str | Path) -> None:
    """Raises `InputError` for an image of more pixels than can be decoded here."""
    if math.prod(size) > MOST_PIXELS or max(size) > LONGEST_SIDE:
        limit = f"{MOST_PIXELS // 10**6} million, {LONGEST_SIDE} on a side"
        raise InputError(f"{path}: {size[0]} × {size[1]} pixels are too large, the limit is {limit}; cut it into tiles")


@contextmanager
def _quiet():
    """Pillow warns of odd metadata, and of images half as large as its limit; what it can read is no matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _with_bands(file, bands: int, path: str | Path):
    """A Pillow image of 8 bits with as many bands as asked for, upright."""
    from PIL import Image, ImageOps

    if bands == 4:
        if len(file.getbands()) != 4:
            raise InputError(f"{path}: {len(file.getbands())} bands; expected 4, as an RGBA or CMYK file")
        if is_deep(file):
            raise InputError(f"{path}: four bands of 16 bits; expected 8 bits")
        ImageOps.exif_transpose(file, in_place=True)
        return Image.merge("CMYK", file.split())  # resizing RGBA would weight colours by the fourth band
    if bands not in (1, 3):
        raise InputError(f"{path}: an image file cannot hold the {bands} bands of these samples")
    ImageOps.exif_transpose(file, in_place=True)
    image, wanted = file, "RGB" if bands == 3 else "L"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode not in (*GREY, *COLOUR):
        raise InputError(f"{path}: pixels of mode {image.mode}, which is not read; convert it to RGB or grey")
    return image if image.mode == wanted else image.convert(wanted)


def _fit(image, size: int | None):
    """A Pillow image as size × size pixels."""
    from PIL.Image import Resampling

    if size is None or image.size == (size, size):
        return image
    return image.resize((size, size), Resampling.BOX if min(image.size) >= size else Resampling.BILINEAR)


def _sixteen(image) -> list[str]:
    """The raw modes of a colour image whose file holds 16 bits a band, of which Pillow keeps the upper byte; or none.

    Planes that a TIFF file stores apart are called by one letter, and by the bits that the file says.
    """
    if image.mode not in ("RGB", "RGBA"):
        return []
    modes = [tile[3] if isinstance(tile[3], str) else tile[3][0] if tile[3] else "" for tile in image.tile]
    deep = 16 in (getattr(image, "tag_v2", None) or {}).get(BITS, ())
    return modes if deep or any(";16" in str(mode) for mode in modes) else []


def deep_values(file, path: str | Path) -> np.ndarray:
    """The values of a deep image as the file holds them, upright: (H, W) or (H, W, 3), finite; on white."""
    if modes := _sixteen(file):
        values, exif = _sixteen_bits(file, path, modes)
    else:
        file.load()
        values, exif = np.array(file), file.getexif()
        values = values.astype(np.uint16) if file.mode.startswith("I;16") else values
        if isinstance(clear := file.info.get("transparency"), int):
            values[values == clear] = values.max()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{path}: NaN or infinity among its pixels; numbers must be finite")
    transposed, flipped, mirrored = TURNS.get(exif.get(ORIENTATION), (False,) * 3)
    values = np.swapaxes(values, 0, 1) if transposed else values
    values = values[::-1] if flipped else values
    return values[:, ::-1] if mirrored else values


def _sixteen_bits(image, path: str | Path, modes: list[str]) -> tuple[np.ndarray, Mapping]:
    """The values (H, W, 3) uint16 of a colour image of 16 bits a band, on white where it is transparent; its EXIF.

    Pillow keeps the upper byte of a band, the other byte where it is told that bytes are swapped: two passes give both.
    """
    from PIL import Image

    apart = getattr(image, "tag_v2", {}).get(PLANES) == 2
    if apart or not all(mode[:-1] in ("RGB;16", "RGBA;16") and mode[-1] in HALVES for mode in modes):
        order = "separate planes" if apart else modes[0]
        raise InputError(f"{path}: 16-bit bands as {order}, which is not read; store them as RGB, pixel by pixel")
    halves = []
    for orders in ([mode[-1] for mode in modes], [HALVES[mode[-1]] for mode in modes]):
        with open(path, "rb") as stream, Image.open(stream) as file:
            file.tile = [_with_order(tile, order) for tile, order in zip(file.tile, orders, strict=True)]
            file.load()
            halves.append(np.asarray(file).astype(np.uint16))
            exif = file.getexif()  # without what Pillow has turned already, as it does with TIFF
    values = halves[0] << 8 | halves[1]
    if values.shape[2] == 4:
        share = values[..., 3:] / 65535
        values = np.rint(values[..., :3] * share + values[..., :3].max() * (1 - share)).astype(np.uint16)
    return values, exif


def _with_order(tile: tuple, order: str) -> tuple:
    """A tile of Pillow's whose raw mode has another byte order."""
    codec, extents, offset, args = tile
    mode, rest = (args, None) if isinstance(args, str) else (args[0], args[1:])
    mode = mode[:-1] + order
    changed = codec, extents, offset, mode if rest is None else (mode, *rest)
    return tile._make(changed) if hasattr(tile, "_make") else changed  # a named tuple since Pillow 11


def _as_bytes(values: np.ndarray, span: Span) -> np.ndarray:
    """Deep values as float32 from 0 to 255 by `span`; what lies outside of it is cut."""
    low, high = span
    values = values.astype(np.float32 if values.dtype == np.uint16 else np.float64)
    values -= low
    values *= 255 / ((high - low) or 1.0)
    return values.clip(0, 255, out=values).astype(np.float32, copy=False)


def _fit_deep(values: np.ndarray, size: int | None, dtype: type) -> np.ndarray:
    """(H, W) or (H, W, C) as (size, size, C or 1) of integers, resized band by band in float32."""
    from PIL import Image

    planes = values[..., None] if values.ndim == 2 else values
    images = (Image.fromarray(np.ascontiguousarray(planes[..., c], np.float32)) for c in range(planes.shape[2]))
    return np.stack([np.rint(np.asarray(_fit(image, size))).astype(dtype) for image in images], axis=2)


def _luminance(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 as luminance (H, W, 1)."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
