"""Where in a large picture is what a query says: slices of several sizes are compared with the query one by one.

A scene has H × W pixels; a cell of the heat map has half the side of the smallest slice.
Source: Yuan et al. 2022, section V-H.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel
from scipy.ndimage import median_filter

from .backend import library, to_host
from .data import read_image
from .data.geotiff import GeoReference, read_georeference
from .data.query import view_of
from .data.trunk import resize_image
from .errors import InputError
from .ranking import system_of
from .records import Encoded, Items, Run
from .retrieval.distances import in_units
from .search import encode_query, guess_modality, kinds_in_words

BLOCK = 512  # slices at a time
MOST_SLICES = 200_000
LEAST_SIDE = 8  # pixels along a side of a slice
ONE_VIEW = {"trunk_views": 1, "average_views": False}  # settings of any system by which an image is looked at once


class Slices(NamedTuple):
    """A scene's slices and what the run makes of them: any number of queries are compared with these."""

    shape: tuple[int, int]  # of the scene
    boxes: np.ndarray  # (n, 3): top, left and side in pixels
    letter: str  # of the modality that they are read as
    encoded: Encoded

    @property
    def cell(self) -> int:
        """Pixels along a side of a cell of the heat map."""
        return int(self.boxes[:, 2].min()) // 2


class Place(NamedTuple):
    """A place that fits the query: the centre of a cell."""

    rank: int
    row: float  # pixels from the top
    column: float  # pixels from the left
    heat: float
    x: float | None = None  # on the map
    y: float | None = None


class Located(NamedTuple):
    """What `locate` found."""

    scene: np.ndarray  # (H, W, C)
    heat: np.ndarray  # (rows, columns) of cells; larger is more like the query
    places: list[Place]
    system: str | None  # of the map: "EPSG:32633"; None where the file says nothing of its place
    slices: int
    cell: int  # pixels along a side of a cell


def locate(
    run: Run,
    scene: str | Path,
    query: str | Path,
    k: int = 5,
    *,
    sides: Sequence[int] | None = None,
    modality: str | None = None,
    device: str = "cpu",
) -> Located:
    """The heat map of a query over an image file, and its `k` best places, which do not touch each other.

    `sides` are those of the slices in pixels; by default that of the images which samples are made of, half of it and
    twice of it, as far as they fit. The query is a sentence or a file, as for `search.retrieve`. Raises `InputError`
    for a run without images beside the query's modality, a scene that cannot be read, and sides that do not fit.
    """
    modality = modality or guess_modality(run, query)
    encoded, _ = encode_query(run, query, modality, device=device)
    letter = image_letter(run, modality)
    samples = run.dataset.modalities[letter]
    pixels = read_image(scene, bands=samples.x.shape[3], span=samples.span)
    slices = encode_slices(run, letter, pixels, choose_sides(pixels.shape, view_of(samples)[0], sides), device=device)
    heat = heat_map(slices, slice_scores(run, slices, modality, encoded, device=device))
    geo = read_georeference(scene)
    places = best_places(heat, slices, k, geo)
    return Located(pixels, heat, places, None if geo is None else geo.system, len(slices.boxes), slices.cell)


def read_sides(text: str) -> list[int]:
    """ "256,128" as sides of slices; raises `InputError` for anything but whole numbers with commas between them."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--slices {text}: whole numbers of pixels with commas between them, as 256,128") from None


def image_letter(run: Run, query: str) -> str:
    """The first modality of images other than the query's; raises `InputError` where there is none."""
    for m, modality in run.dataset.modalities.items():
        if m != query and modality.kind == "image" and modality.x.dtype == np.uint8:
            return m
    what = f"the query is read as {run.dataset.modalities[query].kind} ({query})"
    raise InputError(f"{what}; no images of 8 bits are compared with it; this run holds {kinds_in_words(run)}")


def choose_sides(shape: tuple[int, ...], side: int, sides: Sequence[int] | None = None) -> list[int]:
    """The sides of slices for a scene (H, W, C); raises `InputError` for those that do not fit into it, or below 8."""
    most = min(shape[:2])
    if sides is None:
        sides = [s for s in (side, side // 2, 2 * side) if LEAST_SIDE <= s <= most]
        if not sides:
            least = max(side // 2, LEAST_SIDE)
            raise InputError(f"the scene has {shape[1]} × {shape[0]} pixels; slices need at least {least} a side")
    wrong = [s for s in sides if not LEAST_SIDE <= s <= most]
    if wrong or not sides:
        what = f"slices of {wrong[0] if wrong else 'no'} pixels"
        raise InputError(f"{what}: a side is from {LEAST_SIDE} to {most} in this scene")
    return list(dict.fromkeys(sides))


def slice_boxes(shape: tuple[int, ...], sides: Sequence[int]) -> np.ndarray:
    """(n, 3) top, left and side of the slices of a scene: each begins half a side behind the one before.

    The last of each row and column is moved back to the border. Raises `InputError` for more than `MOST_SLICES`.
    """
    found = []
    for side in sides:
        tops, lefts = (np.unique([*range(0, n - side, max(side // 2, 1)), n - side]) for n in shape[:2])
        found.append(np.stack([*(g.ravel() for g in np.meshgrid(tops, lefts, indexing="ij"))], axis=1))
        if sum(map(len, found)) > MOST_SLICES:
            raise InputError(f"slices of {side} pixels: more than {MOST_SLICES} of them; choose larger ones")
    return np.concatenate([np.insert(f, 2, side, axis=1) for f, side in zip(found, sides, strict=True)])


def with_one_view(settings: BaseModel) -> BaseModel:
    """The settings, those of stages too, by which each image is looked at once.

    Slices overlap, and a look in all directions takes eight times as long.
    """
    changed = {name: ONE_VIEW[name] for name in ONE_VIEW if hasattr(settings, name)}
    changed |= {name: with_one_view(part) for name, part in settings if isinstance(part, BaseModel)}
    return settings.model_copy(update=changed)


def encode_slices(run: Run, letter: str, scene: np.ndarray, sides: Sequence[int], *, device: str = "cpu") -> Slices:
    """What the run makes of the slices of a scene (H, W, C), each brought to the size of the images of its samples."""
    run, boxes = run._replace(config=with_one_view(run.config)), slice_boxes(scene.shape, sides)
    samples, parts = run.dataset.modalities[letter], []
    size, observe = view_of(samples)
    for start in range(0, len(boxes), BLOCK):
        x = np.empty((len(boxes[start : start + BLOCK]), *samples.x.shape[1:]), scene.dtype)
        for i, (top, left, side) in enumerate(boxes[start : start + BLOCK]):
            part = scene[None, top : top + side, left : left + side]
            x[i] = observe(part[0] if side == size else np.rint(resize_image(part, size)[0]).astype(scene.dtype))
        parts.append(system_of(run.config).encode(run, letter, x, library(device)))
    encoded = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Slices(scene.shape[:2], boxes, letter, encoded)


def slice_scores(run: Run, slices: Slices, modality: str, query: Encoded, *, device: str = "cpu") -> np.ndarray:
    """(n,) minus the distance of a query, of which `query` is stored, to each slice."""
    one = Items({modality: np.array([-1])}, {modality: query})
    gallery = Items({slices.letter: np.full(len(slices.boxes), -1)}, {slices.letter: slices.encoded})
    distances = system_of(run.config).distances(run, one, gallery, library(device))
    return -to_host(in_units(distances, distances(slice(0, 1))))[0]


def heat_map(slices: Slices, scores: np.ndarray) -> np.ndarray:
    """(rows, columns) of cells: the mean over the sizes of the mean over the slices that hold a cell's centre.

    A median over 3 × 3 cells takes away what one slice alone saw.
    """
    (h, w), cell = slices.shape, slices.cell
    rows, columns = (np.minimum((np.arange(-(-n // cell)) + 0.5) * cell, n - 0.5) for n in (h, w))
    levels = []
    for side in np.unique(slices.boxes[:, 2]):
        total, count = np.zeros((2, len(rows), len(columns)))
        of_side = slices.boxes[:, 2] == side
        for (top, left, _), score in zip(slices.boxes[of_side], scores[of_side], strict=True):
            down = slice(*np.searchsorted(rows, (top, top + side)))
            across = slice(*np.searchsorted(columns, (left, left + side)))
            total[down, across] += score
            count[down, across] += 1
        levels.append(total / count)
    return median_filter(np.mean(levels, axis=0), size=3, mode="nearest")


def best_places(heat: np.ndarray, slices: Slices, k: int, geo: GeoReference | None = None) -> list[Place]:
    """The `k` hottest cells, the hottest first, no two of them nearer than the side of the smallest slice.

    Of equally hot cells the one nearest to the middle of all of them, so that a plateau is met in its middle.
    """
    cell, side, left = slices.cell, int(slices.boxes[:, 2].min()), heat.astype(float).copy()
    rows, columns = (
        np.array([(i * cell + min((i + 1) * cell, size)) / 2 for i in range(n)])
        for n, size in zip(heat.shape, slices.shape, strict=True)
    )
    found = []
    while len(found) < k and np.isfinite(left).any():
        cells = np.argwhere(left == left.max())
        i, j = cells[((cells - cells.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        row, column = rows[i], columns[j]
        where = (None, None) if geo is None else geo.at(row, column)
        found.append(Place(len(found) + 1, float(row), float(column), float(heat[i, j]), *where))
        left[np.ix_(abs(rows - row) < side, abs(columns - column) < side)] = -np.inf
    return found
