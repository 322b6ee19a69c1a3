"""Pairs of a user's own two sensors: two folders of equal names, or a table of files; with classes or without.

    pan/x1.tif        pan/<class>/x1.tif        pairs.csv
    mul/x1.png        mul/<class>/x1.png        pan/x1.tif,mul/a7.tif

Files are read band by band, as they are stored. The networks take images whose side is one of `SIDES`; others are
brought to the next smaller of these, each pixel a mean over its area.
"""

import csv
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..progress import track
from ..records import Dataset, Modality, Places
from ..text import count_of, read_text
from .bands import fit_bands, read_bands
from .images import image_suffixes
from .locate import data_folder, files_called, find_file, label_of, say_passed_over, select_files, subfolders
from .tiles import cut_pairs

TABLE = "pairs.csv"
SIDES = (64, 128, 256)  # of the images that the networks take
FEWEST = 3  # one pair to learn from, one to choose by, one to test on


class PairOfFiles(NamedTuple):
    """The two files of a pair, its name, and its class, "" where there is none."""

    name: str
    a: Path
    b: Path
    label: str


class Look(NamedTuple):
    """What all images of a sensor have in common, and how large they are."""

    bands: int
    dtype: np.dtype
    sizes: tuple[tuple[int, int], ...]  # (H, W) of each


class Sensor(NamedTuple):
    """The samples of a sensor."""

    x: np.ndarray  # (N, side, side, C)
    sizes: Sequence[tuple[int, int]]  # (H, W) of each before it was brought to one side
    paths: tuple[str, ...]
    tile: int = 0  # pixels of this sensor along a side of a tile, 0 where files are the samples
    places: Places | None = None


class ReadPairs(NamedTuple):
    """Both sensors by letter; of each sample its pair of files and its id; what a report says of them."""

    sensors: dict[str, Sensor]
    pairs: list[PairOfFiles]
    ids: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def load_sensor_pairs(
    root: str | Path | None,
    sensors: Sequence[str] = ("pan", "mul"),
    *,
    tile: int | None = None,
    largest: int = SIDES[-1],
    progress: bool = False,
) -> Dataset:
    """The pairs below `root` as modalities a and b, called by the names of their `sensors`, which are two folders.

    A table `pairs.csv` names the files of each pair; without one, files of the same name belong together, whatever
    their suffixes. Files in class folders have labels, others none: then there are no label names, and labels (N, 0).
    Images have a side of at most `largest`. With `tile` the samples are tiles of the files, `tile` pixels of the finer
    sensor a side, and a sensor may be one file. Raises `InputError` for a sensor without images, a file without its
    counterpart, sizes in no whole ratio, other bands or depths within a sensor, fewer than three pairs, and what
    `read_bands` and `cut_pairs` refuse.
    """
    if len(set(sensors)) != 2:
        raise InputError(f"sensors {', '.join(sensors)}: two folders with different names are needed")
    root, names = data_folder(root), [Path(sensor).stem if tile else Path(sensor).name for sensor in sensors]
    if files_called(root, TABLE):
        found, remarks = pairs_of_table(find_file(root, TABLE), names)
    else:
        places = [sensor_place(root, sensor) for sensor in sensors]
        if (file := next((place for place in places if place.is_file()), None)) and not tile:
            raise InputError(f"{file}: is a file; set tile, the pixels along a side of its tiles, or name a folder")
        one = tile and all(place.is_file() for place in places)
        found, remarks = (
            ([PairOfFiles(places[0].stem, *places, "")], ()) if one else pairs_of_folders(*map(data_folder, places))
        )
    read = read_as_tiles(found, tile, largest, progress) if tile else read_as_files(found, names, largest, progress)
    labels, label_names, groups = class_labels(read.pairs)
    modalities = {
        m: Modality(
            name,
            "image",
            sensor.x,
            labels,
            read.ids,
            sensor.paths,
            groups,
            remarks=(*remarks, *size_remarks(sensor.sizes, sensor.x.shape[1], name), *read.remarks),
            as_stored=True,
            tile=sensor.tile,
            places=sensor.places,
        )
        for (m, sensor), name in zip(read.sensors.items(), names, strict=True)
    }
    return Dataset(modalities, label_names, np.stack([np.arange(len(read.ids))] * 2, axis=1))


# ---- which files belong together ------------------------------------------------------------------------------------


def sensor_place(root: Path, name: str) -> Path:
    """The folder or file of a sensor: the one of that name below `root`, or what a path from `root` leads to."""
    return find_file(root, name) if Path(name).name == name else root / name


def pairs_of_folders(first: Path, second: Path) -> tuple[list[PairOfFiles], tuple[str, ...]]:
    """The pairs of two folders by name, in order, and what a report says of files that were passed over.

    Raises `InputError` where a folder has no images, mixes images and class folders or has one name twice, and for a
    file without its counterpart.
    """
    (a, others_a), (b, others_b) = named_files(first), named_files(second)
    for files, other, folder in ((a, b, second), (b, a, first)):
        if alone := [path for key, path in files.items() if key not in other]:
            more = f", nor {count_of(len(alone) - 1, 'more file')}" if len(alone) > 1 else ""
            raise InputError(
                f"{alone[0]}: has no counterpart of its name in {folder}{more}; add it, or remove the file"
            )
    pairs = [PairOfFiles("/".join(filter(None, key)), a[key], b[key], key[0]) for key in a]
    return pairs, say_passed_over(others_a + others_b, "images")


def named_files(folder: Path) -> tuple[dict[tuple[str, str], Path], int]:
    """The images of a sensor by (class, name without suffix), class "" where there are no class folders; how many
    other files there are."""
    suffixes = image_suffixes()
    files, others = select_files(folder, suffixes)
    places, classes = [("", path) for path in files], subfolders(folder)
    for sub in classes:
        if deeper := subfolders(sub):
            raise InputError(
                f"{deeper[0]}: a folder in a class folder is not read; expected {folder.name}/<class>/<image>"
            )
        inside, more = select_files(sub, suffixes)
        places, others = places + [(label_of(sub), path) for path in inside], others + more
    if files and len(places) > len(files):
        raise InputError(f"{files[0]}: stands beside class folders; put it into one of them, or take them away")
    if not places:
        raise InputError(f"{folder}: no images; expected {folder.name}/<image> or {folder.name}/<class>/<image>")
    named: dict[tuple[str, str], Path] = {}
    for label, path in places:
        key = label, unicodedata.normalize("NFC", path.stem)
        if key in named:
            raise InputError(f"{path}: has the name of {named[key].name}; names without suffix must differ in a folder")
        named[key] = path
    return named, others


def pairs_of_table(table: Path, names: Sequence[str] = ()) -> tuple[list[PairOfFiles], tuple[str, ...]]:
    """The pairs that a CSV file names: a file of each sensor a line, relative to the table's folder.

    A first line that names no files is a header. Where it, or a line's folders, say that the sensors `names` stand the
    other way round, they are taken so. A class is the folder of a file `<sensor>/<class>/<image>`. Raises
    `InputError`, with the line, for anything but two columns, a file that is not there or stands there twice, and
    classes that differ.
    """
    try:
        lines = read_text(table).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{table}: not a readable text in UTF-8 ({error.__class__.__name__})") from error
    separator = next((s for s in ",;\t" if len(next(csv.reader(lines[:1], delimiter=s), ())) == 2), ",")
    pairs: list[PairOfFiles] = []
    seen: dict[Path, int] = {}
    turned = False
    for number, cells in enumerate(csv.reader(lines, delimiter=separator), start=1):
        cells = [cell.strip().replace("\\", "/") for cell in cells]  # as Windows writes paths
        while cells and not cells[-1]:  # as spreadsheets end a line
            cells.pop()
        other_way = bool(names) and [Path(cell).parts[:1] for cell in cells] == [(name,) for name in reversed(names)]
        if not cells or (number == 1 and not any(Path(cell).suffix for cell in cells)):
            turned = other_way
            continue
        if len(cells) != 2 or not all(cells):
            said = count_of(len(cells), "column") if len(cells) != 2 else "its first column is empty"
            raise InputError(f"{table}, line {number}: {said}; expected two, a file of each sensor")
        cells = cells[::-1] if turned or other_way else cells
        files = [table.parent / cell for cell in cells]
        for path in files:
            if not path.is_file():
                raise InputError(
                    f"{table}, line {number}: {path}: no such file; paths are relative to the table's folder"
                )
            if path in seen:
                raise InputError(f"{table}, line {number}: {path} stands on line {seen[path]} already")
            seen[path] = number
        first, second = (Path(cell).parts for cell in cells)
        apart = first[0] != second[0]  # else both are below a folder that is no sensor's
        labels = {path[1] if len(path) == 3 and apart else "" for path in (first, second)}  # <sensor>/<class>/<image>
        if len(labels) > 1:
            classes = " and ".join(sorted(label or "none" for label in labels))
            raise InputError(f"{table}, line {number}: its files are in different classes, {classes}")
        pairs.append(PairOfFiles(str(Path(cells[0]).with_suffix("")), *files, labels.pop()))
    if not pairs:
        raise InputError(f"{table}: no pairs; expected a line for each, such as pan/x1.tif,mul/x1.tif")
    return pairs, ()


def class_labels(pairs: Sequence[PairOfFiles]) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """(labels (N,), their names, groups (N,)) of pairs; (N, 0), none and "" where no pair has a class.

    Raises `InputError` where some have one and others none.
    """
    names = sorted({pair.label for pair in pairs})
    if names == [""]:
        return np.zeros((len(pairs), 0), np.uint8), (), np.full(len(pairs), "")
    if "" in names:
        alone = next(pair.a for pair in pairs if not pair.label)
        raise InputError(f"{alone}: is in no class folder, but others are; put all in class folders, or none")
    return np.array([names.index(pair.label) for pair in pairs]), tuple(names), np.array([p.label for p in pairs])


# ---- tiles ----------------------------------------------------------------------------------------------------------


def read_as_tiles(found: list[PairOfFiles], tile: int, largest: int, progress: bool = False) -> ReadPairs:
    """The tiles of pairs of files; errors as `cut_pairs` and, where there are too few, `load_sensor_pairs` say."""
    paths = {"a": [pair.a for pair in found], "b": [pair.b for pair in found]}
    cut = cut_pairs(
        [pair.name for pair in found], paths, tile, lambda side: side_for([(side, side)], largest), progress
    )
    check_count(len(cut.ids), found[0].a, "tile")
    sensors = {
        m: Sensor(s.x, [(s.side, s.side)] * len(cut.ids), s.paths, s.side, s.places) for m, s in cut.sensors.items()
    }
    return ReadPairs(sensors, [found[k] for k in cut.pairs], cut.ids, cut.remarks)


# ---- what they hold -------------------------------------------------------------------------------------------------


def check_count(count: int, path: Path, what: str) -> None:
    """Raises `InputError`, which names a file, where there are too few pairs."""
    if count < FEWEST:
        said = count_of(count, what)
        raise InputError(f"{path}: only {said} in all; at least {FEWEST} are needed to learn and to test")


def read_as_files(found: list[PairOfFiles], names: Sequence[str], largest: int, progress: bool = False) -> ReadPairs:
    """Pairs of files, each a sample; errors as `load_sensor_pairs` says."""
    check_count(len(found), found[0].a, "pair")
    paths, sensors = {"a": [pair.a for pair in found], "b": [pair.b for pair in found]}, {}
    looks = look_at_pairs(paths, progress)
    for (m, files), name in zip(paths.items(), names, strict=True):
        x = read_sensor(files, looks[m], largest, name, progress)
        sensors[m] = Sensor(x, looks[m].sizes, tuple(map(str, files)))
    return ReadPairs(sensors, found, tuple(pair.name for pair in found))


def look_at_pairs(paths: dict[str, list[Path]], progress: bool = False) -> dict[str, Look]:
    """What the files of both sensors hold, by letter; errors as `load_sensor_pairs` says, of the first pair that is
    wrong."""

    def look(pair: tuple[Path, Path]) -> list[tuple[tuple[int, ...], np.dtype]]:
        return [(x.shape, x.dtype) for x in map(read_bands, pair)]

    pairs, first, sizes = list(zip(*paths.values(), strict=True)), None, {m: [] for m in paths}
    with ThreadPoolExecutor(4) as pool:
        for pair, looks in zip(
            pairs, track(pool.map(look, pairs), len(pairs), "looking at pairs", progress), strict=True
        ):
            first = first or looks
            for path, (shape, dtype), (known, known_dtype), other in zip(pair, looks, first, pairs[0], strict=True):
                if shape[2] != known[2]:
                    raise InputError(f"{path}: {shape[2]} bands, but {other} has {known[2]}; one sensor has one number")
                if dtype != known_dtype:
                    raise InputError(f"{path}: {dtype} pixels, but {other} has {known_dtype}; one sensor has one depth")
            check_ratio(pair, [shape[:2] for shape, _ in looks])
            for m, (shape, _) in zip(paths, looks, strict=True):
                sizes[m].append(shape[:2])
    return {m: Look(shape[2], dtype, tuple(sizes[m])) for m, (shape, dtype) in zip(paths, first, strict=True)}


def check_ratio(pair: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> None:
    """Raises `InputError` unless one of two sizes (H, W) is a whole multiple of the other, the same along both axes."""
    small, large = sorted(sizes)
    if large[0] % small[0] or large[1] % small[1] or large[0] // small[0] != large[1] // small[1]:
        said = [f"{path} has {w} × {h} pixels" for path, (h, w) in zip(pair, sizes, strict=True)]
        raise InputError(f"{' but '.join(said)}, in no whole ratio; cut both to the same ground")


def side_for(sizes: Sequence[tuple[int, int]], largest: int) -> int:
    """The largest of `SIDES` that no image of these sizes is smaller than, and at most `largest`; else the smallest."""
    most = min(largest, *(min(size) for size in sizes))
    return max((side for side in SIDES if side <= most), default=SIDES[0])


def read_sensor(paths: Sequence[Path], look: Look, largest: int, name: str, progress: bool = False) -> np.ndarray:
    """The images (N, side, side, C) of a sensor in their stored dtype."""
    side = side_for(look.sizes, largest)
    x = np.empty((len(paths), side, side, look.bands), look.dtype)

    def fill(k: int) -> None:
        x[k] = fit_bands(read_bands(paths[k]), side)

    with ThreadPoolExecutor(4) as pool:
        for _ in track(pool.map(fill, range(len(paths))), len(paths), f"reading {name}", progress):
            pass
    return x


def size_remarks(sizes: Sequence[tuple[int, int]], side: int, name: str) -> tuple[str, ...]:
    """What a report says of images of these sizes (H, W) that became side × side pixels: nothing where none changed."""
    changed = sorted({size for size in sizes if size != (side, side)})
    if not changed:
        return ()
    (h, w), (high, wide) = changed[0], changed[-1]
    of = f"{w} × {h}" if len(changed) == 1 else f"{w} × {h} to {wide} × {high}"
    return (f"{name} brought from {of} to {side} × {side} pixels",)
