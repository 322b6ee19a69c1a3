"""Pairs of large images of two sensors, cut in tiles that know where on the map they lie.

The finer sensor's tiles have `tile` pixels a side, those of the other cover the same ground. Rows and columns of tiles
are counted from 0 at the upper left; what is left at the right and at the bottom is no tile. rasterio reads windows, so
that no image is ever held as a whole; nothing is projected anew.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..progress import track
from ..records import Places
from .bands import fit_bands, import_rasterio, name_image_damage, narrow
from .geotiff import GeoReference

NEEDED = "cutting images in tiles"


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
    rasterio = import_rasterio(NEEDED)
    samples, files, xy = ({m: [] for m in paths} for _ in range(3))
    pairs, ids, systems, left_out, first = [], [], {m: [] for m in paths}, 0, None
    for number in track(range(len(names)), len(names), "cutting tiles", progress):
        pair = {m: of[number] for m, of in paths.items()}
        with ExitStack() as stack:
            opened = {m: stack.enter_context(open_raster(rasterio, path)) for m, path in pair.items()}
            check_same_ground(opened, pair)
            sides = tile_sides(opened, pair, tile)
            about = {m: (file.count, file.dtypes, sides[m]) for m, file in opened.items()}
            first = first or (about, pair)
            check_alike(about, pair, *first)
            for row, column in tile_grid(opened["a"], sides["a"]):
                tiles = {m: read_window(f, pair[m], sides[m], row, column) for m, f in opened.items()}
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
        (f"{left_out} tiles without data are left out",) if left_out else (),
    )


def open_raster(rasterio, path: Path):
    """An image file, open for reading window by window."""
    try:
        file = rasterio.open(path)
        if pages := len(file.subdatasets):
            file.close()
            raise InputError(
                f"{path}: {pages} pages; tiles are cut of a file with one, which has all bands; store it so"
            )
        return file
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{path}: not an image that GDAL can read ({' '.join(str(error).split())})") from error


def tile_sides(opened: Mapping[str, Any], pair: Mapping[str, Path], tile: int) -> dict[str, int]:
    """How many pixels of each sensor a tile has along a side: `tile` of the finer one."""
    finest = max(file.width for file in opened.values())
    for m, file in opened.items():
        if tile * file.width % finest:
            ratio = f"{finest}/{file.width}"
            raise InputError(
                f"{pair[m]}: tile {tile} is no whole number of its pixels, {ratio} times as large; change tile"
            )
    return {m: tile * file.width // finest for m, file in opened.items()}


def check_same_ground(opened: Mapping[str, Any], pair: Mapping[str, Path]) -> None:
    """Raises `InputError` unless two images have the same corners on the map, to half a pixel of the coarser one, where
    both say where they are; and sizes in a whole ratio."""
    a, b = opened.values()
    small, large = sorted(((a.height, a.width), (b.height, b.width)))
    names = " and ".join(map(str, pair.values()))
    if large[0] % small[0] or large[1] % small[1] or large[0] // small[0] != large[1] // small[1]:
        sizes = " and ".join(f"{f.width} × {f.height}" for f in (a, b))
        raise InputError(f"{names}: {sizes} pixels, in no whole ratio; cut both to the same ground")
    if a.crs is None or b.crs is None:
        return
    if a.crs != b.crs:
        raise InputError(f"{names}: on maps in {system_name(a)} and {system_name(b)}; project one to the other's")
    corners = [[georeference(f).at(y * f.height, x * f.width) for x in (0, 1) for y in (0, 1)] for f in (a, b)]
    apart = np.abs(np.subtract(*corners)).max()
    pixel = max(abs(f.transform.a) + abs(f.transform.b) for f in (a, b))
    if apart > pixel / 2:
        raise InputError(f"{names}: their corners are {apart:g} map units apart; cut both to the same ground")


def check_alike(about: Mapping[str, tuple], pair: Mapping[str, Path], first: Mapping, known: Mapping) -> None:
    """Raises `InputError` where a sensor's file has other bands, another depth or another ratio than its first."""
    for m, (count, dtypes, side) in about.items():
        if (count, dtypes) != first[m][:2]:
            here, there = (f"{n} bands of {kinds[0]}" for n, kinds in ((count, dtypes), first[m][:2]))
            raise InputError(f"{pair[m]}: {here}, but {known[m]} has {there}; one sensor has one kind of bands")
        if side != first[m][2]:
            raise InputError(f"{pair[m]}: another ratio of sizes than {known[m]}; all pairs need the same")


def tile_grid(file: Any, side: int) -> Iterator[tuple[int, int]]:
    """(row, column) of the whole tiles of an image."""
    yield from ((row, column) for row in range(file.height // side) for column in range(file.width // side))


def read_window(file: Any, path: str | Path, side: int, row: int, column: int) -> np.ndarray | None:
    """A tile (side, side, C) as it is stored; None where a pixel has no data, is NaN, or all are 0."""
    window = ((row * side, (row + 1) * side), (column * side, (column + 1) * side))
    with name_image_damage(path):
        x = file.read(window=window)
        # GDAL calls the fourth of four bands of 8 bits alpha unless told: near infrared, which is 0 over water
        alpha = any("alpha" in (kind.name for kind in kinds) for kinds in file.mask_flag_enums)
        there = x.any(axis=0) if alpha else file.read_masks(window=window)
    x = narrow(np.moveaxis(x, 0, 2), path)
    return x if there.all() and x.any() and (x.dtype.kind != "f" or np.isfinite(x).all()) else None


def centre(file: Any, side: int, row: int, column: int) -> tuple[float, float]:
    """(x, y) on the map of a tile's centre, NaN where the file does not say where it is."""
    if file.crs is None and file.transform.is_identity:
        return np.nan, np.nan
    return georeference(file).at((row + 0.5) * side, (column + 0.5) * side)


def georeference(file: Any) -> GeoReference:
    """Where the pixels of an image lie."""
    return GeoReference(*file.transform[:6], system_name(file))


def system_name(file: Any) -> str:
    """The map's coordinate system: "EPSG:32633", its text where it has no number, "" where there is none."""
    if file.crs is None:
        return ""
    code = file.crs.to_epsg()
    return file.crs.to_string() if code is None else f"EPSG:{code}"


def kind_of_bands(path: str | Path) -> tuple[int, np.dtype]:
    """How many bands an image file has, and their dtype once they are read; from its head alone."""
    with open_raster(import_rasterio(NEEDED), Path(path)) as file:
        return file.count, narrow(np.zeros(0, file.dtypes[0]), path).dtype


def read_tile(path: str | Path, side: int, row: int, column: int) -> np.ndarray:
    """One tile of an image file; raises `InputError` for one beyond its last, and one without data."""
    with open_raster(import_rasterio(NEEDED), Path(path)) as file:
        rows, columns = file.height // side, file.width // side
        if row >= rows or column >= columns:
            raise InputError(
                f"{path}: no tile {row},{column}; it has {rows} rows and {columns} columns of {side} pixels"
            )
        x = read_window(file, path, side, row, column)
    if x is None:
        raise InputError(f"{path}: tile {row},{column} has pixels without data; choose another one")
    return x
