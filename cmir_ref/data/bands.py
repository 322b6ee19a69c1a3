"""Image files as measurements: every band as the file stores it, whatever the depth and the number of bands.

H, W pixels and C bands. Unlike `images`, which shows a file as a viewer would, nothing is scaled to bytes.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import check_file
from .decode import (
    decode_page,
    gdal_bands,
    is_jpeg2000,
    is_tiff,
    jpeg2000_bands,
    name_image_damage,
    narrow,
    picture_bands,
    tiff_bands,
)
from .no_data import no_data, transparent, union_of
from .pictures import (
    ORIENTATION,
    brighten,
    check_finite,
    check_size,
    fit_picture,
    open_picture,
    pillow_shows,
    upright,
)


def read_bands(path: str | Path) -> np.ndarray:
    """One image file as (H, W, C), in the dtype that it is stored in; of more than 32 bits a value, as float32.

    TIFF files may have any number of bands, pixel by pixel, in planes or as pages, in 8, 16 or 32 bits or as floats;
    other files what Pillow reads. Raises `InputError` for a file that is missing, damaged, too large or no image, that
    holds complex numbers, NaN or infinity, samples that it says are none, or nothing but zeros.
    """
    x, missing, why = stored_bands(path)
    if missing.any():
        raise InputError(f"{path}: {missing.sum()} samples {why}; fill them, or set tile, or take off that mark")
    check_finite(x, path)
    if not x.any():
        raise InputError(f"{path}: the image is entirely black; replace or remove it")
    return x


def stored_bands(path: str | Path) -> tuple[np.ndarray, np.ndarray, str]:
    """(samples as `read_bands` gives them, which of them the file itself says hold no data, how it says so)."""
    check_file(path)
    x = tiff_bands(path) if is_tiff(path) else jpeg2000_bands(path) if is_jpeg2000(path) else picture_bands(path)
    x = narrow(x, path)
    missing, why = union_of([no_data(x, path), (transparent(x, path), "are transparent")])
    return x, np.broadcast_to(missing, x.shape), why


@contextmanager
def open_image(path: str | Path) -> Iterator[tuple[Any, np.ndarray | None]]:
    """(a Pillow image that is open, None), or (None, `first_page` of a TIFF file that Pillow does not show whole).

    Errors as in `read_bands`.
    """
    check_file(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_picture(path))
            shown = pillow_shows(file, path)
        except InputError:
            if not is_tiff(path):
                raise
            shown = False  # Pillow does not know every kind of TIFF
        if shown:
            yield file, None
        else:
            stack.close()
            yield None, first_page(path)


def first_page(path: str | Path) -> np.ndarray:
    """The first page of a TIFF file as (H, W, C), upright, as stored but for no data.

    What the file says is no data is as bright as the brightest of the rest. Errors as in `read_bands`.
    """
    import tifffile

    with name_image_damage(path), tifffile.TiffFile(path) as file:
        page = file.pages[0]
        check_size((page.imagewidth, page.imagelength), path)
        x = decode_page(page, path)
        x = narrow(gdal_bands(path, page.compression.name) if x is None else x, path)
        turn = page.tags.valueof(ORIENTATION)
    x = upright(x, turn)
    brighten(x, *no_data(x, path, zero=False), path)
    check_finite(x, path)
    return x


def fit_bands(x: np.ndarray, side: int) -> np.ndarray:
    """(H, W, C) as (side, side, C) in the same dtype: a pixel that shrinks is a mean over its area, others are bilinear
    between their neighbours."""
    from PIL import Image

    if x.shape[:2] == (side, side):
        return x
    planes = (Image.fromarray(np.ascontiguousarray(x[..., c], np.float32)) for c in range(x.shape[2]))
    fitted = np.stack([fit_picture(plane, side) for plane in planes], axis=2)
    if x.dtype.kind == "f":
        return fitted.astype(x.dtype, copy=False)
    bounds = np.iinfo(x.dtype)  # in 64 bits: float32 would round 2³² - 1 up
    return np.rint(fitted).astype(np.float64).clip(bounds.min, bounds.max).astype(x.dtype)
