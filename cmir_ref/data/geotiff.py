"""Where on the map the pixels of a GeoTIFF lie, from its tags; nothing is projected anew.

Source: OGC GeoTIFF 1.1 (19-008r4).
"""

from pathlib import Path
from typing import NamedTuple

from .pictures import ORIENTATION

SCALE, TIEPOINT, MATRIX, KEYS = 33550, 33922, 34264, 34735  # ModelPixelScale, ModelTiepoint, ModelTransformation
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072  # keys: what a pixel is, and EPSG's number of the system
PIXEL_IS_POINT, USER_DEFINED = 2, 32767


class GeoReference(NamedTuple):
    """x = a · column + b · row + c, y = d · column + e · row + f; the first pixel's upper left corner is (0, 0)."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    system: str  # "EPSG:32633", or "" where the file does not say

    def at(self, row: float, column: float) -> tuple[float, float]:
        """(x, y) on the map."""
        return self.a * column + self.b * row + self.c, self.d * column + self.e * row + self.f


def read_georeference(path: str | Path) -> GeoReference | None:
    """What a TIFF file says of its place; None for other files, without such tags, or where they are not finite.

    A file that is turned upright when it is read has none either: its tags are about pixels as they are stored.
    """
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            tags = {tag.code: tag.value for tag in file.pages[0].tags}
    except Exception:  # whoever reads the pixels says what is wrong
        return None
    keys = _keys_of(tags.get(KEYS, ()))
    half = 0.5 if keys.get(RASTER_TYPE) == PIXEL_IS_POINT else 0.0  # then coordinates are those of pixels' centres
    try:
        if len(tags.get(MATRIX, ())) == 16:
            a, b, _, c, d, e, _, f = map(float, tags[MATRIX][:8])
        else:
            (column, row, _, x, y, _), (across, down) = map(float, tags[TIEPOINT][:6]), map(float, tags[SCALE][:2])
            a, b, c, d, e, f = across, 0.0, x - across * column, 0.0, -down, y + down * row
    except (KeyError, TypeError, ValueError):
        return None
    numbers = a, b, c - half * (a + b), d, e, f - half * (d + e)
    if tags.get(ORIENTATION, 1) != 1 or not all(abs(n) < float("inf") for n in numbers):
        return None
    code = keys.get(PROJECTED) or keys.get(GEOGRAPHIC)
    return GeoReference(*numbers, f"EPSG:{code}" if code and code != USER_DEFINED else "")


def _keys_of(directory: tuple[int, ...]) -> dict[int, int]:
    """The keys of a GeoKeyDirectory that have their value in it."""
    rows = (directory[i : i + 4] for i in range(4, len(directory) - 3, 4))
    return {key: value for key, where, _, value in rows if where == 0}
