"""Where on the map the pixels of an image lie, from a GeoTIFF's tags or a file beside it; nothing is projected anew.

Source: OGC GeoTIFF 1.1 (19-008r4).
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .decode import size_and_turn
from .no_data import aux_of

SCALE, TIEPOINT, MATRIX, KEYS = 33550, 33922, 34264, 34735  # ModelPixelScale, ModelTiepoint, ModelTransformation
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072  # keys: what a pixel is, and EPSG's number of the system
PIXEL_IS_POINT, USER_DEFINED = 2, 32767
SYSTEM_NUMBER = re.compile(r'(?:AUTHORITY\["EPSG","|ID\["EPSG",)(\d+)"?\]\s*\]\s*$')  # the last one is the system's own


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
    """What an image file says of its place, by NAME.aux.xml, its TIFF tags or a world file, in GDAL's order; or None.

    None, too, where its numbers are not finite, and of a file that is turned upright when it is read: they are about
    pixels as they are stored.
    """
    found = next(filter(None, (read(Path(path)) for read in (_by_aux, _by_tags, _by_world_file))), None)
    if found is None or not all(abs(n) < math.inf for n in found[:6]):
        return None
    try:
        return found if size_and_turn(path)[1] == 1 else None
    except InputError:  # whoever reads the pixels says what is wrong
        return None


def _by_aux(path: Path) -> GeoReference | None:
    """By NAME.aux.xml, in which GDAL keeps what the image's format cannot hold."""
    tree = aux_of(path)
    try:
        c, a, b, f, d, e = map(float, (tree.findtext("GeoTransform") or "").split(","))
    except (AttributeError, ValueError):  # no such file, or one without
        return None
    code = SYSTEM_NUMBER.search(tree.findtext("SRS") or "")
    return GeoReference(a, b, c, d, e, f, f"EPSG:{code[1]}" if code else "")


def _by_tags(path: Path) -> GeoReference | None:
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            tags = {tag.code: tag.value for tag in file.pages[0].tags}
    except Exception:  # no TIFF file, or a damaged one
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
    code = keys.get(PROJECTED) or keys.get(GEOGRAPHIC)
    system = f"EPSG:{code}" if code and code != USER_DEFINED else ""
    return GeoReference(a, b, c - half * (a + b), d, e, f - half * (d + e), system)


def _by_world_file(path: Path) -> GeoReference | None:
    """By six numbers a, d, b, e, c, f about the first pixel's centre in a file beside x.tif: x.tfw, x.tifw or x.wld."""
    ending = path.suffix[1:]
    for other in (ending[:1] + ending[-1:] + "w", f"{ending}w", "wld"):
        for spelled in (other.lower(), other.upper()):
            try:
                lines = path.with_suffix(f".{spelled}").read_text(encoding="ascii").split()
                a, d, b, e, c, f = (float(line.replace(",", ".")) for line in lines)
            except (OSError, ValueError):  # not there, or of something else
                continue
            return GeoReference(a, b, c - (a + b) / 2, d, e, f - (d + e) / 2, "")
    return None


def _keys_of(directory: tuple[int, ...]) -> dict[int, int]:
    """The keys of a GeoKeyDirectory that have their value in it."""
    rows = (directory[i : i + 4] for i in range(4, len(directory) - 3, 4))
    return {key: value for key, where, _, value in rows if where == 0}
