"""Which samples of an image file are none, by whatever the file and its neighbours say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..errors import InputError
from .decode import (
    decode_page,
    import_rasterio,
    is_jpeg2000,
    is_tiff,
    name_image_damage,
    picture_bands,
    size_and_turn,
    tiff_bands,
)
from .pictures import NO_DATA, ORIENTATION, is_deep, no_data_value, open_picture, upright


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
    return picture_bands(path, colours=False) if coded else None


def is_value(x: np.ndarray, value: float) -> np.ndarray:
    """Which samples are a number that a text names in full, in the precision of samples; NaN is itself."""
    return np.isnan(x) if np.isnan(value) else x == (np.float32(value) if x.dtype.kind == "f" else value)


def aux_values(path: str | Path) -> list[tuple[int, float | None, str]]:
    """(number of a band from 1, the value that is no data in it, who says so), by NAME.aux.xml."""
    tree, by = aux_of(path), f"{Path(path).name}.aux.xml"
    bands = [] if tree is None else tree.iter("PAMRasterBand")
    said = [(band.get("band", ""), no_data_value(band.findtext("NoDataValue"))) for band in bands]
    return [(int(number), value, by) for number, value in said if number.isdecimal() and int(number) > 0]


def aux_of(path: str | Path) -> ElementTree.ElementTree | None:
    """The file NAME.aux.xml beside an image, in which GDAL keeps what the image's format cannot hold; None without."""
    try:
        return ElementTree.parse(f"{path}.aux.xml")
    except (OSError, ElementTree.ParseError):  # GDAL passes over what it cannot read
        return None


def clear_pixels(x: np.ndarray) -> np.ndarray:
    """Which pixels (H, W, 1) of x (H, W, C) are 0 in all bands, the last of which is said to be transparency.

    None where many values of that are between: then it is near infrared, which GDAL calls so unless told.
    """
    alpha = x[..., -1]
    between = ((alpha > 0) & (alpha < alpha.max())).mean()
    return ~x.any(axis=2, keepdims=True) & (between <= 0.01)


def mask_beside(path: str | Path, shape: tuple[int, ...]) -> np.ndarray:
    """Which samples (H, W, C or 1) the file NAME.msk beside an image of this shape masks out, as GDAL writes it."""
    beside = Path(f"{path}.msk")
    if not beside.is_file():
        return np.zeros((1, 1, 1), bool)
    mask = upright(tiff_bands(beside), size_and_turn(path)[1])
    if mask.shape[:2] != shape[:2] or mask.shape[2] not in (1, shape[2]):
        raise InputError(f"{beside}: {' × '.join(map(str, mask.shape))} samples mask {' × '.join(map(str, shape))}")
    return mask == 0


def _mask(page, path: str | Path) -> np.ndarray:
    """A page (H, W) that is the mask of the others: 0 where they hold no data."""
    mask = decode_page(page, path)
    if mask is not None:
        return mask[..., 0]
    with import_rasterio(f"{path}: its mask's compression ({page.compression.name})").open(path) as file:
        return file.dataset_mask()


def data_mask(file: Any, x: np.ndarray, window: Any = None) -> np.ndarray:
    """Where (H, W) an image that GDAL has opened, of which x (H, W, C) was read in a window, has data in all bands."""
    alpha = any("alpha" in (kind.name for kind in kinds) for kinds in file.mask_flag_enums)
    # GDAL calls the fourth of four bands of 8 bits alpha unless told: near infrared, which is 0 over water
    there = x.any(axis=2) if alpha else file.read_masks(window=window).all(axis=0)
    if file.nodata is not None:  # which a mask hides from GDAL
        there &= (x != (np.float32(file.nodata) if x.dtype.kind == "f" else file.nodata)).all(axis=2)
    return there
