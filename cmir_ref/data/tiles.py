"""Pairs of large images of two sensors, cut in tiles that know where on the map they lie.

The finer sensor's tiles have `tile` pixels a side, those of the other cover the same ground. Rows and columns of tiles
are counted from 0 at the upper left; what is left at the right and at the bottom is no tile. rasterio reads windows, so
that no large image is ever held as a whole; nothing is projected anew. A tile holds what `read_bands` reads there.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..files import check_readable
from ..progress import track
from ..records import Places
from ..text import count_of
from .bands import fit_bands, stored_bands
from .decode import import_rasterio, name_image_damage, narrow, size_and_turn
from .geotiff import GeoReference
from .no_data import data_mask
from .pictures import LONGEST_SIDE, MOST_PIXELS

NEEDED = "cutting images in tiles"
Window = tuple[tuple[int, int], tuple[int, int]]  # rows and columns, from and to


class Raster(NamedTuple):
    """An image file that is open for reading window by window."""

    height: int
    width: int
    count: int  # of bands
    dtype: np.dtype
    crs: Any  # of rasterio
    transform: Any  # of rasterio; None where it is not known
    read: Callable[[Window], tuple[np.ndarray, np.ndarray]]  # (samples (h, w, C), which of them hold data)


class CutSensor(NamedTuple):
    """The tiles of a sensor: samples, where each comes from, and where it lies."""

    x: np.ndarray  # (N, side, side, C)
    side: int  # pixels of this sensor along a tile, before it was brought to the networks' size
    paths: tuple[str, ...]
    places: Places | None


class Cut(NamedTuple):
    """All tiles of all pairs of files."""

    sensors: dict[str, CutSensor]  # by letter
    pairs: np.ndarray  # (N,) the number of the pair of files that each tile comes from
    ids: tuple[str, ...]
    remarks: tuple[str, ...]


def tile_path(file: str | Path, row: int, column: int) -> str:
    """What names a tile: `scene.tif:3,5`."""
    return f"{file}:{row},{column}"


def split_tile(path: str | Path) -> tuple[str, tuple[int, int] | None]:
    """`scene.tif:3,5` as ("scene.tif", (3, 5)), any other path as (path, None)."""
    match = re.fullmatch(r"(.+):(\d+),(\d+)", str(path))
    return (match[1], (int(match[2]), int(match[3]))) if match else (str(path), None)


def cut_pairs(
    names: Sequence[str], paths: Mapping[str, Sequence[Path]], tile: int, side_of, progress: bool = False
) -> Cut:
    """The tiles of pairs of files, by letter in `paths`; `side_of` gives the networks' side for tiles of a side.

    Tiles without data, or with NaN, in either sensor are left out. Raises `InputError` for a file that cannot be read,
    two that do not cover the same ground at sizes in a whole ratio, a `tile` that no whole number of the coarser
    sensor's pixels covers, other bands or depths within a sensor, and where no tile is left.
    """
    samples, files, xy = ({m: [] for m in paths} for _ in range(3))
    pairs, ids, systems, left_out, first = [], [], {m: [] for m in paths}, 0, None
    for number in track(range(len(names)), len(names), "cutting tiles", progress):
        pair = {m: of[number] for m, of in paths.items()}
        with ExitStack() as stack:
            opened = {m: stack.enter_context(open_raster(path)) for m, path in pair.items()}
            check_same_ground(opened, pair)
            sides = tile_sides(opened, pair, tile)
            about = {m: (file.count, file.dtype, sides[m]) for m, file in opened.items()}
            first = first or (about, pair)
            check_alike(about, pair, *first)
            for row, column in tile_grid(opened["a"], sides["a"]):
                tiles = {m: read_window(f, sides[m], row, column) for m, f in opened.items()}
                if any(x is None for x in tiles.values()):
                    left_out += 1
                    continue
                pairs.append(number)
                ids.append(f"{names[number]}:{row},{column}")
                for m, x in tiles.items():
                    samples[m].append(fit_bands(x, side_of(sides[m])))
                    files[m].append(tile_path(pair[m], row, column))
                    xy[m].append(centre(opened[m], sides[m], row, column))
                    systems[m].append(system_name(opened[m]))
    if not ids:
        raise InputError(f"{paths['a'][0]}: no tile of {tile} × {tile} pixels with data in both; set a smaller tile")
    known = {m: np.isfinite(xy[m]).any() for m in paths}
    return Cut(
        {
            m: CutSensor(
                np.stack(samples[m]),
                first[0][m][2],
                tuple(files[m]),
                Places(np.array(xy[m]), tuple(systems[m])) if known[m] else None,
            )
            for m in paths
        },
        np.array(pairs),
        tuple(ids),
        (f"{count_of(left_out, 'tile')} without data left out",) if left_out else (),
    )


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """An image file, open for reading window by window what `read_bands` reads of it at once."""
    rasterio = import_rasterio(NEEDED)
    check_readable(path)
    try:
        file = rasterio.open(path)
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{path}: not an image that GDAL can read ({' '.join(str(error).split())})") from error
    with file:
        if pages := len(file.subdatasets):
            raise InputError(
                f"{path}: {pages} pages; tiles are cut of a file with one, which has all bands; store it so"
            )
        turned = turn_of(file, path) != 1
        if turned or decoded_otherwise(file):
            x, missing, _ = stored_bands(path)
            place = (None, None) if turned else place_of(file)  # on the map lie the pixels as they are stored
            yield Raster(*x.shape, x.dtype, *place, lambda w: (of_window(x, w), ~of_window(missing, w)))
        else:
            dtype = narrow(np.zeros(0, file.dtypes[0]), path).dtype
            yield Raster(
                file.height, file.width, file.count, dtype, *place_of(file), lambda w: read_by_gdal(file, path, w)
            )


def turn_of(file: Any, path: Path) -> int:
    """The number by which EXIF says how an image file is turned, which GDAL does not heed."""
    try:
        return size_and_turn(path)[1]
    except InputError:  # too large for Pillow, or of a format that GDAL alone knows
        return int(file.tags().get("EXIF_Orientation", 1))


def decoded_otherwise(file: Any) -> bool:
    """Whether GDAL reads other samples of a file than `read_bands`: a palette's numbers for its colours, or a JPEG's
    colours, which it blows up in its own way. One that is too large to be decoded at once is left to it."""
    small = file.width * file.height <= MOST_PIXELS and max(file.shape) <= LONGEST_SIDE
    jpeg = file.compression is not None and file.compression.name == "jpeg"
    return file.colorinterp[0].name == "palette" or (jpeg and small)


def place_of(file: Any) -> tuple[Any, Any]:
    """(coordinate system, transform) of a file, None for what it does not say."""
    return file.crs, None if file.crs is None and file.transform.is_identity else file.transform


def of_window(x: np.ndarray, window: Window) -> np.ndarray:
    """What of x (H, W, C) lies in a window."""
    return x[slice(*window[0]), slice(*window[1])]


def read_by_gdal(file: Any, path: Path, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """(what GDAL reads in a window, where it has data)."""
    with name_image_damage(path):
        x = narrow(np.moveaxis(file.read(window=window), 0, 2), path)
        return x, data_mask(file, x, window)


def tile_sides(opened: Mapping[str, Raster], pair: Mapping[str, Path], tile: int) -> dict[str, int]:
    """How many pixels of each sensor a tile has along a side: `tile` of the finer one."""
    finest = max(file.width for file in opened.values())
    for m, file in opened.items():
        if tile * file.width % finest:
            ratio = f"{finest}/{file.width}"
            raise InputError(
                f"{pair[m]}: tile {tile} is no whole number of its pixels, {ratio} times as large; change tile"
            )
    return {m: tile * file.width // finest for m, file in opened.items()}


def check_same_ground(opened: Mapping[str, Raster], pair: Mapping[str, Path]) -> None:
    """Raises `InputError` unless two images have the same corners on the map, to half a pixel of the coarser one, where
    both say where they are; and sizes in a whole ratio."""
    a, b = opened.values()
    small, large = sorted(((a.height, a.width), (b.height, b.width)))
    names = " and ".join(map(str, pair.values()))
    if large[0] % small[0] or large[1] % small[1] or large[0] // small[0] != large[1] // small[1]:
        sizes = " and ".join(f"{f.width} × {f.height}" for f in (a, b))
        raise InputError(f"{names}: {sizes} pixels, in no whole ratio; cut both to the same ground")
    if a.transform is None or b.transform is None or (a.crs is None) != (b.crs is None):
        return  # numbers without a system are those of another file without one, as two world files have them
    if a.crs != b.crs:
        raise InputError(f"{names}: on maps in {system_name(a)} and {system_name(b)}; project one to the other's")
    corners = [[georeference(f).at(y * f.height, x * f.width) for x in (0, 1) for y in (0, 1)] for f in (a, b)]
    apart = np.abs(np.subtract(*corners)).max()
    pixel = max(abs(f.transform.a) + abs(f.transform.b) for f in (a, b))
    if apart > pixel / 2:
        raise InputError(f"{names}: their corners are {apart:g} map units apart; cut both to the same ground")


def check_alike(about: Mapping[str, tuple], pair: Mapping[str, Path], first: Mapping, known: Mapping) -> None:
    """Raises `InputError` where a sensor's file has other bands, another depth or another ratio than its first."""
    for m, (count, dtype, side) in about.items():
        if (count, dtype) != first[m][:2]:
            here, there = (f"{n} bands of {kind}" for n, kind in ((count, dtype), first[m][:2]))
            raise InputError(f"{pair[m]}: {here}, but {known[m]} has {there}; one sensor has one kind of bands")
        if side != first[m][2]:
            raise InputError(f"{pair[m]}: another ratio of sizes than {known[m]}; all pairs need the same")


def tile_grid(file: Raster, side: int) -> Iterator[tuple[int, int]]:
    """(row, column) of the whole tiles of an image."""
    yield from ((row, column) for row in range(file.height // side) for column in range(file.width // side))


def read_window(file: Raster, side: int, row: int, column: int) -> np.ndarray | None:
    """A tile (side, side, C) as it is stored; None where a pixel has no data, is NaN, or all are 0."""
    x, there = file.read(((row * side, (row + 1) * side), (column * side, (column + 1) * side)))
    return x if there.all() and x.any() and (x.dtype.kind != "f" or np.isfinite(x).all()) else None


def centre(file: Raster, side: int, row: int, column: int) -> tuple[float, float]:
    """(x, y) on the map of a tile's centre, NaN where the file does not say where it is."""
    if file.transform is None:
        return np.nan, np.nan
    return georeference(file).at((row + 0.5) * side, (column + 0.5) * side)


def georeference(file: Raster) -> GeoReference:
    """Where the pixels of an image lie."""
    return GeoReference(*file.transform[:6], system_name(file))


def system_name(file: Raster) -> str:
    """The map's coordinate system: "EPSG:32633", its text where it has no number, "" where there is none."""
    if file.crs is None:
        return ""
    code = file.crs.to_epsg()
    return file.crs.to_string() if code is None else f"EPSG:{code}"


def kind_of_bands(path: str | Path) -> tuple[int, np.dtype]:
    """How many bands an image file has, and their dtype once they are read; where GDAL reads it, from its head."""
    with open_raster(Path(path)) as file:
        return file.count, file.dtype


def read_tile(path: str | Path, side: int, row: int, column: int) -> np.ndarray:
    """One tile of an image file; raises `InputError` for one beyond its last, and one without data."""
    with open_raster(Path(path)) as file:
        rows, columns = file.height // side, file.width // side
        if row >= rows or column >= columns:
            raise InputError(
                f"{path}: no tile {row},{column}; it has {rows} rows and {columns} columns of {side} pixels"
            )
        x = read_window(file, side, row, column)
    if x is None:
        raise InputError(f"{path}: tile {row},{column} has pixels without data; choose another one")
    return x
