"""Image files decoded: their samples as they stand in the file, by Pillow, tifffile or GDAL."""

import logging
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_file
from .pictures import GREY, ORIENTATION, check_size, deep_values, is_deep, open_picture, upright

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # what such files begin with, BigTIFF's last
AS_STORED = (*GREY, "LA", "RGB", "RGBA", "CMYK")  # Pillow's modes whose bands are what the file holds
PALETTE, YCBCR = 3, 6  # TIFF's tag 262: Pillow makes colours of these
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong is one line, our own


def is_tiff(path: str | Path) -> bool:
    """Whether a file begins as TIFF files do."""
    with open(path, "rb") as file:
        return file.read(4) in TIFF


def is_jpeg2000(path: str | Path) -> bool:
    """Whether a file begins as JPEG 2000 does: Pillow stretches 12 and 15 bits to 16, and cuts colours to 8."""
    with open(path, "rb") as file:
        return file.read(12).startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"))


def image_size_of(path: str | Path) -> tuple[int, int]:
    """(height, width) of an image file once it stands upright, from its head alone; errors as in `read_bands`."""
    size, turn = size_and_turn(path)
    return size[::-1] if turn > 4 else size


def size_and_turn(path: str | Path) -> tuple[tuple[int, int], int]:
    """((height, width) as an image file is stored, the number by which EXIF says how it is turned)."""
    check_file(path)
    if is_tiff(path):  # Pillow does not know every kind
        import tifffile

        with name_image_damage(path), tifffile.TiffFile(path) as file:
            page = file.pages[0]
            return (page.imagelength, page.imagewidth), page.tags.valueof(ORIENTATION, 1)
    with open_picture(path) as file:
        return (file.height, file.width), file.getexif().get(ORIENTATION, 1)


def tiff_bands(path: str | Path) -> np.ndarray:
    """The bands of a TIFF file: by tifffile, and by others where the compression asks for it."""
    import tifffile

    with name_image_damage(path), tifffile.TiffFile(path) as file:
        series = file.series[0]
        page = series.keyframe
        check_size((page.imagewidth, page.imagelength), path)
        coloured = page.photometric in (PALETTE, YCBCR)
        if coloured:
            return picture_bands(path)
        alike = [
            one
            for one in file.series  # a page that was written by itself is a series of its own
            if (one.shape, one.dtype) == (series.shape, series.dtype)
            and not (one.keyframe.is_reduced or one.keyframe.is_mask)
        ]
        decoded = [decode_page(one, path) for one in alike]
        x = None if any(bands is None for bands in decoded) else np.concatenate(decoded, axis=2)
        if x is None:
            numbers = [of.index for one in alike for of in one.pages]
            try:
                x = gdal_bands(path, page.compression.name, numbers)
            except Exception:  # not installed, or a kind that Pillow alone knows
                shown = page.samplesperpixel == 1 or (page.bitspersample == 8 and page.dtype == np.uint8)
                if len(numbers) > 1 or not shown or page.samplesperpixel not in (1, 3):
                    raise
                return picture_bands(path).astype(page.dtype, copy=False)  # Pillow makes int32 of int16 and uint32
        return upright(x, page.tags.valueof(ORIENTATION))


def picture_bands(path: str | Path, colours: bool = True) -> np.ndarray:
    """The bands of a file that Pillow decodes, upright; without `colours` a palette's numbers as they are."""
    from PIL import ImageOps

    with open_picture(path) as file:
        if is_deep(file):
            x = deep_values(file, path, on_white=False)
        else:
            image = ImageOps.exif_transpose(file)
            x = np.asarray(image.convert("RGB") if colours and image.mode not in AS_STORED else image)
        return x.reshape(*x.shape[:2], -1)


def jpeg2000_bands(path: str | Path) -> np.ndarray:
    """The bands of a JPEG 2000 file as GDAL decodes them."""
    rasterio = import_rasterio(f"{path}: JPEG 2000")
    with name_image_damage(path), rasterio.open(path) as file:
        check_size((file.width, file.height), path)
        return np.moveaxis(file.read(), 0, 2)


def gdal_bands(path: str | Path, compression: str, pages: Sequence[int] = (0,)) -> np.ndarray:
    """The bands of these pages as GDAL decodes them."""
    rasterio, bands = import_rasterio(f"{path}: its compression ({compression})"), []
    for number in pages:
        with rasterio.open(path if len(pages) == 1 else f"GTIFF_DIR:{number + 1}:{path}") as file:
            bands.append(file.read())
    return np.moveaxis(np.concatenate(bands), 0, 2)


def decode_page(series, path: str | Path) -> np.ndarray | None:
    """(H, W, C) of a page, or a series of pages, as tifffile decodes it; None where it lacks the compression."""
    try:
        return bands_last(series.asarray(), series.axes, path)
    except Exception as error:
        if "imagecodecs" in str(error) or isinstance(error, ImportError):
            return None
        raise


def bands_last(x: np.ndarray, axes: str, path: str | Path) -> np.ndarray:
    """Samples whose axes are called as tifffile calls them, "SYX", as (H, W, C).

    Where the file names no axes of three, the shortest of the first and the last are the bands. Raises `InputError` for
    more than three axes.
    """
    kept = [k for k, name in enumerate(axes) if name in "YX" or x.shape[k] > 1]
    names = "".join(axes[k] for k in kept)
    x = x.reshape([x.shape[k] for k in kept])
    if x.ndim == 2:
        return x[..., None]
    if x.ndim != 3:
        raise InputError(f"{path}: axes of {' × '.join(map(str, x.shape))}; expected rows, columns and bands")
    last = x.shape[2] < x.shape[0] if "Q" in names else names.endswith("YXS")
    return x if last else np.moveaxis(x, 0, 2)


def narrow(x: np.ndarray, path: str | Path) -> np.ndarray:
    """Samples in this machine's byte order and in at most 32 bits; raises `InputError` for others than real numbers."""
    if x.dtype.kind not in "biuf":
        raise InputError(f"{path}: pixels are {x.dtype}; expected whole or real numbers")
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    if x.dtype.itemsize > 4 or x.dtype == np.float16:
        return x.astype(np.float32)
    return x.astype(x.dtype.newbyteorder("="), copy=False)


@contextmanager
def name_image_damage(path: str | Path):
    """Whatever a decoder raises is an `InputError` that names the file."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: too large for this machine's memory; cut it into tiles") from None
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or truncated image ({said})") from error


def import_rasterio(what: str):
    """The package rasterio, without its warnings of files that have no place on a map; raises `InputError`, which
    begins with `what` needs it, where it is not installed."""
    try:
        import rasterio
        import rasterio.errors
    except ImportError as error:
        raise InputError(f"{what} needs rasterio; pip install 'cmir-ref[geo]'") from error
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    return rasterio
