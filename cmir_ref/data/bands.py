"""Image files as measurements: every band as the file stores it, whatever the depth and the number of bands.

H, W pixels and C bands. Unlike `images`, which shows a file as a viewer would, nothing is scaled to bytes.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..errors import InputError
from ..files import check_file
from .pictures import (
    GREY,
    NO_DATA,
    ORIENTATION,
    brighten,
    check_finite,
    check_size,
    deep_values,
    fit_picture,
    is_deep,
    no_data_value,
    open_picture,
    pillow_shows,
    upright,
)

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # what such files begin with, BigTIFF's last
AS_STORED = (*GREY, "LA", "RGB", "RGBA", "CMYK")  # Pillow's modes whose bands are what the file holds
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong is one line, our own
PALETTE, YCBCR = 3, 6  # TIFF's tag 262: Pillow makes colours of these


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
    x = _tiff_bands(path) if is_tiff(path) else _jpeg2000_bands(path) if is_jpeg2000(path) else _picture_bands(path)
    x = narrow(x, path)
    missing, why = union_of([no_data(x, path), (transparent(x, path), "are transparent")])
    return x, np.broadcast_to(missing, x.shape), why


def is_tiff(path: str | Path) -> bool:
    """Whether a file begins as TIFF files do."""
    with open(path, "rb") as file:
        return file.read(4) in TIFF


def is_jpeg2000(path: str | Path) -> bool:
    """Whether a file begins as JPEG 2000 does: Pillow stretches 12 and 15 bits to 16, and cuts colours to 8."""
    with open(path, "rb") as file:
        return file.read(12).startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"))


def _jpeg2000_bands(path: str | Path) -> np.ndarray:
    """The bands of a JPEG 2000 file as GDAL decodes them."""
    rasterio = import_rasterio(f"{path}: JPEG 2000")
    with name_image_damage(path), rasterio.open(path) as file:
        check_size((file.width, file.height), path)
        return np.moveaxis(file.read(), 0, 2)


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
        x = _decoded(page, path)
        x = narrow(_gdal_bands(path, page.compression.name) if x is None else x, path)
        turn = page.tags.valueof(ORIENTATION)
    x = upright(x, turn)
    brighten(x, *no_data(x, path, zero=False), path)
    check_finite(x, path)
    return x


def no_data(x: np.ndarray, path: str | Path, *, zero: bool = True) -> tuple[np.ndarray, str]:
    """(which samples x (H, W, C) of an image file, upright, are none, as what broadcasts to them; how it says so).

    By GDAL's tag, by masks among its pages, by NAME.aux.xml and NAME.msk beside it; not by transparency. Without `zero`
    the number 0 says nothing: to look at it is often dark ground.
    """
    values, marks = aux_values(path), []
    if is_tiff(path):
        import tifffile

        with name_image_damage(path), tifffile.TiffFile(path) as file:
            page = file.pages[0]
            values.insert(0, (0, no_data_value(page.tags.valueof(NO_DATA)), "it"))
            turn = page.tags.valueof(ORIENTATION)
            masks = [_mask(one, path) for one in file.pages if one.is_mask and one.shape[:2] == page.shape[:2]]
        marks = [(upright(mask, turn)[..., None] == 0, "are masked out") for mask in masks]
    values = [(band, value, by) for band, value, by in values if value is not None and (zero or value)]
    codes = _palette_numbers(path) if values else None
    codes = x if codes is None else codes
    for band, value, by in values:
        mark = is_value(codes, value) & ((np.arange(codes.shape[2]) == band - 1) | (band == 0))
        marks.append((mark, f"are {value:g}, which {by} says is no data"))
    return union_of([*marks, (mask_beside(path, x.shape), "are masked out")])


def union_of(marks: Sequence[tuple[np.ndarray, str]]) -> tuple[np.ndarray, str]:
    """(what any of these marks marks, how the last of them says so)."""
    missing, why = np.zeros((1, 1, 1), bool), ""
    for mark, said in marks:
        if np.any(mark):
            missing, why = missing | mark, said
    return missing, why


def _palette_numbers(path: str | Path) -> np.ndarray | None:
    """The numbers (H, W, 1) of a palette's colours, in which no data is one; None for an image without a palette."""
    try:
        with open_picture(path) as file:
            coded = file.mode == "P"
    except InputError:  # a kind of TIFF that Pillow does not know
        return None
    return _picture_bands(path, colours=False) if coded else None


def is_value(x: np.ndarray, value: float) -> np.ndarray:
    """Which samples are a number that a text names in full, in the precision of samples; NaN is itself."""
    return np.isnan(x) if np.isnan(value) else x == (np.float32(value) if x.dtype.kind == "f" else value)


def aux_of(path: str | Path) -> ElementTree.ElementTree | None:
    """The file NAME.aux.xml beside an image, in which GDAL keeps what the image's format cannot hold; None without."""
    try:
        return ElementTree.parse(f"{path}.aux.xml")
    except (OSError, ElementTree.ParseError):  # GDAL passes over what it cannot read
        return None


def aux_values(path: str | Path) -> list[tuple[int, float | None, str]]:
    """(number of a band from 1, the value that is no data in it, who says so), by NAME.aux.xml."""
    tree, by = aux_of(path), f"{Path(path).name}.aux.xml"
    bands = [] if tree is None else tree.iter("PAMRasterBand")
    said = [(band.get("band", ""), no_data_value(band.findtext("NoDataValue"))) for band in bands]
    return [(int(number), value, by) for number, value in said if number.isdecimal() and int(number) > 0]


def clear_pixels(x: np.ndarray) -> np.ndarray:
    """Which pixels (H, W, 1) of x (H, W, C) are 0 in all bands, the last of which is said to be transparency.

    None where many values of that are between: then it is near infrared, which GDAL calls so unless told.
    """
    alpha = x[..., -1]
    between = ((alpha > 0) & (alpha < alpha.max())).mean()
    return ~x.any(axis=2, keepdims=True) & (between <= 0.01)


def transparent(x: np.ndarray, path: str | Path) -> np.ndarray:
    """Which pixels (H, W, 1) of an image file, of which x (H, W, C) is stored, are transparent, by a band or a colour;
    of JPEG 2000 all that GDAL says is no data."""
    from PIL import ImageOps

    nothing = np.zeros((1, 1, 1), bool)
    if is_jpeg2000(path):
        with import_rasterio(f"{path}: JPEG 2000").open(path) as file:
            return ~data_mask(file, x)[..., None]
    if is_tiff(path):
        import tifffile

        with name_image_damage(path), tifffile.TiffFile(path) as file:
            page = file.pages[0]
            alpha = page.extrasamples[-1:] in ((1,), (2,)) and page.samplesperpixel == x.shape[2]
        return clear_pixels(x) if alpha else nothing
    with open_picture(path) as file:
        if file.mode in ("LA", "RGBA"):
            return clear_pixels(x)
        if is_deep(file):
            clear = file.info.get("transparency")
            return nothing if clear is None else (x == clear).all(axis=2, keepdims=True)
        if not file.has_transparency_data:
            return nothing
        return np.asarray(ImageOps.exif_transpose(file).convert("RGBA").getchannel("A"))[..., None] == 0


def mask_beside(path: str | Path, shape: tuple[int, ...]) -> np.ndarray:
    """Which samples (H, W, C or 1) the file NAME.msk beside an image of this shape masks out, as GDAL writes it."""
    beside = Path(f"{path}.msk")
    if not beside.is_file():
        return np.zeros((1, 1, 1), bool)
    mask = upright(_tiff_bands(beside), size_and_turn(path)[1])
    if mask.shape[:2] != shape[:2] or mask.shape[2] not in (1, shape[2]):
        raise InputError(f"{beside}: {' × '.join(map(str, mask.shape))} samples mask {' × '.join(map(str, shape))}")
    return mask == 0


def data_mask(file: Any, x: np.ndarray, window: Any = None) -> np.ndarray:
    """Where (H, W) an image that GDAL has opened, of which x (H, W, C) was read in a window, has data in all bands."""
    alpha = any("alpha" in (kind.name for kind in kinds) for kinds in file.mask_flag_enums)
    # GDAL calls the fourth of four bands of 8 bits alpha unless told: near infrared, which is 0 over water
    there = x.any(axis=2) if alpha else file.read_masks(window=window).all(axis=0)
    if file.nodata is not None:  # which a mask hides from GDAL
        there &= (x != (np.float32(file.nodata) if x.dtype.kind == "f" else file.nodata)).all(axis=2)
    return there


def _mask(page, path: str | Path) -> np.ndarray:
    """A page (H, W) that is the mask of the others: 0 where they hold no data."""
    mask = _decoded(page, path)
    if mask is not None:
        return mask[..., 0]
    with import_rasterio(f"{path}: its mask's compression ({page.compression.name})").open(path) as file:
        return file.dataset_mask()


def narrow(x: np.ndarray, path: str | Path) -> np.ndarray:
    """Samples in this machine's byte order and in at most 32 bits; raises `InputError` for others than real numbers."""
    if x.dtype.kind not in "biuf":
        raise InputError(f"{path}: pixels are {x.dtype}; expected whole or real numbers")
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    if x.dtype.itemsize > 4 or x.dtype == np.float16:
        return x.astype(np.float32)
    return x.astype(x.dtype.newbyteorder("="), copy=False)


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


def _picture_bands(path: str | Path, colours: bool = True) -> np.ndarray:
    """The bands of a file that Pillow decodes, upright; without `colours` a palette's numbers as they are."""
    from PIL import ImageOps

    with open_picture(path) as file:
        if is_deep(file):
            x = deep_values(file, path, on_white=False)
        else:
            image = ImageOps.exif_transpose(file)
            x = np.asarray(image.convert("RGB") if colours and image.mode not in AS_STORED else image)
        return x.reshape(*x.shape[:2], -1)


def _tiff_bands(path: str | Path) -> np.ndarray:
    """The bands of a TIFF file: by tifffile, and by others where the compression asks for it."""
    import tifffile

    with name_image_damage(path), tifffile.TiffFile(path) as file:
        series = file.series[0]
        page = series.keyframe
        check_size((page.imagewidth, page.imagelength), path)
        coloured = page.photometric in (PALETTE, YCBCR)
        if coloured:
            return _picture_bands(path)
        alike = [
            one
            for one in file.series  # a page that was written by itself is a series of its own
            if (one.shape, one.dtype) == (series.shape, series.dtype)
            and not (one.keyframe.is_reduced or one.keyframe.is_mask)
        ]
        decoded = [_decoded(one, path) for one in alike]
        x = None if any(bands is None for bands in decoded) else np.concatenate(decoded, axis=2)
        if x is None:
            numbers = [of.index for one in alike for of in one.pages]
            try:
                x = _gdal_bands(path, page.compression.name, numbers)
            except Exception:  # not installed, or a kind that Pillow alone knows
                shown = page.samplesperpixel == 1 or (page.bitspersample == 8 and page.dtype == np.uint8)
                if len(numbers) > 1 or not shown or page.samplesperpixel not in (1, 3):
                    raise
                return _picture_bands(path).astype(page.dtype, copy=False)  # Pillow makes int32 of int16 and uint32
        return upright(x, page.tags.valueof(ORIENTATION))


def _decoded(series, path: str | Path) -> np.ndarray | None:
    """(H, W, C) of a page, or a series of pages, as tifffile decodes it; None where it lacks the compression."""
    try:
        return bands_last(series.asarray(), series.axes, path)
    except Exception as error:
        if "imagecodecs" in str(error) or isinstance(error, ImportError):
            return None
        raise


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


def _gdal_bands(path: str | Path, compression: str, pages: Sequence[int] = (0,)) -> np.ndarray:
    """The bands of these pages as GDAL decodes them."""
    rasterio, bands = import_rasterio(f"{path}: its compression ({compression})"), []
    for number in pages:
        with rasterio.open(path if len(pages) == 1 else f"GTIFF_DIR:{number + 1}:{path}") as file:
            bands.append(file.read())
    return np.moveaxis(np.concatenate(bands), 0, 2)


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
