"""Image files that Pillow reads: opened with one kind of error, and the values of those of more than 8 bits.

An image is *deep* where it holds more than 8 bits a value: 16-bit or 32-bit integers, or floats.
"""

import logging
import math
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_file

MOST_PIXELS, LONGEST_SIDE = 10**8, 10**5
GREY = ("1", "L")
COMPRESSION, WEBP = 259, 50001  # which Pillow knows by name and its libtiff seldom decodes
ORIENTATION, BITS, PHOTOMETRIC, SAMPLES, PLANES, EXTRA = 274, 258, 262, 277, 284, 338  # TIFF's tags; EXIF has the first
WHITE = 65535  # of 16 bits
NO_DATA = 42113  # GDAL's tag: the value of pixels that hold no data
ON_A_MAP = {33550, 34264}  # a GeoTIFF has one of these tags
HALVES = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # byte order: the one with bytes swapped
TURNS = {  # EXIF orientation: (is it transposed, is it then upside down, is it then mirrored)
    2: (False, False, True), 3: (False, True, True), 4: (False, True, False), 5: (True, False, False),
    6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


def is_deep(image) -> bool:
    """Whether a Pillow image that is open, and not yet decoded, holds more than 8 bits a value in its file."""
    return image.mode.startswith("I") or image.mode == "F" or bool(_sixteen(image))


@contextmanager
def open_picture(path: str | Path):
    """A Pillow image file; whatever fails on the way is an `InputError` that names it."""
    from PIL import Image

    check_file(path)
    logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # what it cannot read is named here, or read
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


def check_finite(values: np.ndarray, path: str | Path) -> None:
    """Raises `InputError` for an image whose values are not all finite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{path}: NaN or infinity among its pixels; numbers must be finite")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _sixteen(image) -> list[str]:
    """The raw modes of a colour image whose file holds 16 bits a band, of which Pillow keeps the upper byte; or none.

    Planes that a TIFF file stores apart are called by one letter, and by the bits that the file says.
    """
    if image.mode not in ("RGB", "RGBA"):
        return []
    modes = [tile[3] if isinstance(tile[3], str) else tile[3][0] if tile[3] else "" for tile in image.tile]
    deep = 16 in (getattr(image, "tag_v2", None) or {}).get(BITS, ())
    return modes if deep or any(";16" in str(mode) for mode in modes) else []


def deep_values(file, path: str | Path, *, on_white: bool = True) -> np.ndarray:
    """The values of a deep image as the file holds them, upright: (H, W) or (H, W, 3); on white.

    Not `on_white` what is transparent stays as it is, and colours may have a fourth band.
    """
    if modes := _sixteen(file):
        values, exif = _sixteen_bits(file, path, modes, on_white)
    else:
        file.load()
        values, exif = np.array(file), file.getexif()
        values = values.astype(np.uint16) if file.mode.startswith("I;16") else values
    if on_white and (clear := file.info.get("transparency")) is not None:
        lay_on_white(values, clear, path)
    return upright(values, exif.get(ORIENTATION))


def upright(values: np.ndarray, orientation: int | None) -> np.ndarray:
    """Values (H, W, …) turned and mirrored as EXIF's number says."""
    transposed, flipped, mirrored = TURNS.get(orientation, (False,) * 3)
    values = np.swapaxes(values, 0, 1) if transposed else values
    values = values[::-1] if flipped else values
    return values[:, ::-1] if mirrored else values


def fit_picture(image, size: int | None) -> np.ndarray:
    """A Pillow image as an array of size × size pixels: each a mean over its area, or linear between its neighbours
    where a side grows."""
    from PIL.Image import Resampling

    if size is None or image.size == (size, size):
        return np.asarray(image)
    if min(image.size) < size:
        return np.asarray(image.resize((size, size), Resampling.BILINEAR))
    if image.width % size or image.height % size:  # there Pillow's box takes a pixel whole or leaves it out
        means, kind = area_means(np.asarray(image), size), np.asarray(image).dtype
        return (np.rint(means) if kind.kind == "u" else means).astype(kind)
    return np.asarray(image.resize((size, size), Resampling.BOX))


def area_means(x: np.ndarray, size: int) -> np.ndarray:
    """(H, W, …) as (size, size, …) float64: means over areas, in which a pixel that is partly inside counts in part."""
    return sums_of_shares(sums_of_shares(x, size).swapaxes(0, 1), size).swapaxes(0, 1) / (x.shape[0] * x.shape[1])


def sums_of_shares(x: np.ndarray, size: int) -> np.ndarray:
    """(n, …) as (size, …) float64: `size` times the sum of each of as many equal shares of the n rows.

    Counted in parts of a row of which `size` are one, all shares are whole numbers, so that sums of such are exact.
    """
    sums = np.empty((size, *x.shape[1:]))
    row, part = np.divmod(np.arange(size + 1) * len(x), size)  # where each share begins
    for k in range(size):
        rows = x[row[k] : row[k + 1] + 1]  # but for the last share, the row in which it ends, too
        counts = np.full(row[k + 1] + 1 - row[k], float(size))
        counts[0], counts[-1] = size - part[k], part[k + 1]
        sums[k] = (counts[: len(rows)] @ rows.reshape(len(rows), -1).astype(float)).reshape(x.shape[1:])
    return sums


def no_data_value(text: str | None) -> float | None:
    """The value that GDAL's tag says is no data; None where there is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def brighten(values: np.ndarray, missing: np.ndarray, why: str, path: str | Path) -> None:
    """Makes the values that are `missing`, `why` says in which way, as bright as the brightest of the others, in place.

    Raises `InputError` where there are no others: they would count for the span of all images.
    """
    if missing.all():
        raise InputError(f"{path}: nothing but samples that {why}; remove it")
    if missing.any():
        missing = np.broadcast_to(missing, values.shape)
        values[missing] = values[~missing].max()


def lay_on_white(values: np.ndarray, clear: int | tuple[int, ...], path: str | Path) -> None:
    """As `brighten`, of a colour that counts as clear; white where the others are one ink, which would be gone."""
    missing = (values.reshape(*values.shape[:2], -1) == clear).all(axis=2)
    others = values[~missing]
    if not others.size:
        raise InputError(f"{path}: nothing but {clear}, which it says is transparent; remove it")
    values[missing] = others.max() if np.ptp(others, axis=0).any() else WHITE


def pillow_shows(file, path: str | Path) -> bool:
    """Whether Pillow reads all that an image which is open holds: no for a TIFF file of other bands than grey or RGB.

    Nor for a GeoTIFF whose fourth band says that it is transparency, but is near infrared: many pixels are between.
    """
    tags = getattr(file, "tag_v2", None)
    if tags and tags.get(COMPRESSION) == WEBP:
        return False
    if not tags or tags.get(PHOTOMETRIC) not in (0, 1, 2):
        return True
    samples, extra, deep = tags.get(SAMPLES, 1), tags.get(EXTRA, ()), max(tags.get(BITS, (1,))) > 8
    alpha = extra in ((1,), (2,))
    if tags.get(PLANES) == 2:
        return samples == 3 and not deep
    if tags[PHOTOMETRIC] < 2:
        return samples == 1 or (samples == 2 and alpha and not deep)
    if samples == 4 and alpha and ON_A_MAP & set(tags):
        with open_picture(path) as again:  # once decoded it would no longer say how its 16 bits are stored
            return sum(again.getchannel("A").histogram()[1:255]) <= 0.01 * math.prod(file.size)
    return samples == 3 or (samples == 4 and alpha)


def _sixteen_bits(image, path: str | Path, modes: list[str], on_white: bool = True) -> tuple[np.ndarray, Mapping]:
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
    if values.shape[2] == 4 and on_white:
        colours, share = values[..., :3], values[..., 3:] / WHITE
        on_a_map = ON_A_MAP & set(getattr(image, "tag_v2", ()))  # what is clear there is no data
        white = colours[values[..., 3] > 0].max(initial=0) if on_a_map else WHITE
        values = np.rint(colours * share + white * (1 - share)).astype(np.uint16)
    return values, exif


def _with_order(tile: tuple, order: str) -> tuple:
    """A tile of Pillow's whose raw mode has another byte order."""
    codec, extents, offset, args = tile
    mode, rest = (args, None) if isinstance(args, str) else (args[0], args[1:])
    mode = mode[:-1] + order
    changed = codec, extents, offset, mode if rest is None else (mode, *rest)
    return tile._make(changed) if hasattr(tile, "_make") else changed  # a named tuple since Pillow 11
