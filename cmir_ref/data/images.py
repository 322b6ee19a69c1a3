"""Image files as arrays, as a viewer would show them.

An image is *deep* where it holds more than 8 bits a value: 16-bit or 32-bit integers, or floats. Its values become
bytes by one `Span` for a whole data set, so that two images stay as bright to each other as their files say.
"""

import hashlib
import math
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..progress import track
from ..text import count_of
from .bands import open_image
from .no_data import no_data
from .pictures import GREY, brighten, check_finite, deep_values, fit_picture, is_deep

NO_PIXELS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # Pillow knows these formats but does not decode them itself
COLOUR = ("RGB", "CMYK", "YCbCr", "HSV", "P", "PA", "RGBX")


class Span(NamedTuple):
    """The values of deep images that are shown as 0 and as 255."""

    low: float
    high: float


BYTES = Span(0, 255)


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

    It stands upright (EXIF orientation), on white where it is transparent; of several pages the first is read, of a
    TIFF file's many bands the first three as red, green and blue. What it says is no data is bright (`no_data`). With
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
    with open_image(path) as (file, odd):
        values = measured_values(path, file, odd, bands)
        if values is None:
            pixels = fit_picture(_with_bands(file, bands, path), size)
            pixels = pixels.reshape(*pixels.shape[:2], bands)
            black = not pixels.any()
        else:
            whole = bands == 4 or (bands == 1 and span is None and values.dtype == np.uint16 and values.ndim == 2)
            if not whole:
                scaled = _as_bytes(values, BYTES if values.dtype == np.uint8 else span or span_of([values]))
            pixels = _fit_deep(values if whole else scaled, size, values.dtype if whole else np.uint8)
            if pixels.shape[2] != bands:
                pixels = np.repeat(pixels, 3, axis=2) if bands == 3 else _luminance(pixels)
            black = not values.any()
    if black:
        raise InputError(f"{path}: the image is entirely black; replace or remove it")
    return pixels


def measured_values(path: str | Path, file, odd: np.ndarray | None, bands: int = 3) -> np.ndarray | None:
    """What `open_image` gave of a deep image, or of one that Pillow does not show whole: (H, W) or (H, W, 3).

    None for all others. For four `bands` (H, W, 4) uint8, or None. What a file says is no data is bright.
    """
    if bands not in (1, 3, 4):
        return None
    if odd is not None and bands == 4:
        if odd.shape[2] != 4 or odd.dtype != np.uint8:
            raise InputError(f"{path}: {odd.shape[2]} bands of {odd.dtype}; expected 4 of 8 bits")
        return odd
    if odd is not None:
        return odd[..., :3] if odd.shape[2] > 2 else odd[..., 0]
    if bands == 4 or not is_deep(file):
        return None
    values = deep_values(file, path)
    show_no_data(values, path)
    check_finite(values, path)
    return values


def show_no_data(values: np.ndarray, path: str | Path) -> None:
    """Makes what an image file, of which values (H, W) or (H, W, C) are upright, says is no data bright, in place."""
    samples = values[..., None] if values.ndim == 2 else values  # the same memory
    brighten(samples, *no_data(samples, path, zero=False), path)


def is_grey(path: str | Path) -> bool:
    """Whether an image file has one band of grey values; errors as in `read_image`."""
    with open_image(path) as (file, odd):
        if odd is not None:
            return odd.shape[2] < 3
        return file.mode in (*GREY, "F") or file.mode.startswith("I")


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


def image_copies(paths: Sequence[str | Path], *, progress: bool = False) -> list[list[int]]:
    """The numbers of image files that hold the same pixels, two or more together; errors as in `read_image`."""
    rows: dict[bytes, list[int]] = {}
    for i, path in enumerate(track(paths, len(paths), "pixels", progress)):
        pixels = read_image(path)
        rows.setdefault(hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest(), []).append(i)
    return [found for found in rows.values() if len(found) > 1]


def look_at_images(paths: Sequence[str | Path], *, progress: bool = False) -> tuple[Span | None, tuple[str, ...]]:
    """(the span of the deep ones among image files, what a report says of how all are read).

    Errors as in `read_image`.
    """
    with _quiet(), ThreadPoolExecutor(4) as pool:
        looks = list(track(pool.map(_look, paths), len(paths), "looking at images", progress))
    extremes = [look.extremes for look in looks if look.extremes is not None]
    span = span_of(extremes) if extremes else None
    return span, _remarks(looks, len(extremes), span)


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


def _remarks(looks: Sequence[tuple], deep: int, span: Span | None) -> tuple[str, ...]:
    """What a report says of how images were read."""
    many = f"{deep} of {len(looks)} images hold" if deep < len(looks) else "images hold"
    paged, banded = sum(look.pages > 1 for look in looks), sum(look.bands > 3 for look in looks)
    pages, bands = count_of(paged, "image"), count_of(banded, "image")
    said = {
        f"{many} more than 8 bits: {span.low:g} to {span.high:g} shown as 0 to 255" if span else "": deep,
        f"only the first page is read of {pages} with several": paged,
        f"only the first three bands are shown of {bands} with more, as red, green and blue": banded,
    }
    return tuple(text for text, count in said.items() if count)


class _Look(NamedTuple):
    extremes: np.ndarray | None  # the smallest and the largest value where the image is deep
    pages: int
    bands: int  # more than 3 where the others are not shown


def _look(path: str | Path) -> _Look:
    with open_image(path) as (file, odd):
        values = measured_values(path, file, odd)
        pages = getattr(file, "n_frames", 1)
    deep = values is not None and values.dtype != np.uint8
    return _Look(np.array([values.min(), values.max()]) if deep else None, pages, 3 if odd is None else odd.shape[2])


@contextmanager
def _quiet():
    """Pillow warns of odd metadata, and of images half as large as its limit; what it can read is no matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
    image = image if image.mode == wanted else image.convert(wanted)
    missing, why = no_data(np.asarray(file).reshape(file.height, file.width, -1), path, zero=False)
    if not missing.any():
        return image
    pixels = np.array(image).reshape(file.height, file.width, -1)
    missing = missing if missing.shape[2] == pixels.shape[2] else missing.any(axis=2, keepdims=True)
    brighten(pixels, missing, why, path)
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)


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
    return np.stack([np.rint(fit_picture(image, size)).astype(dtype) for image in images], axis=2)


def _luminance(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 as luminance (H, W, 1)."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
