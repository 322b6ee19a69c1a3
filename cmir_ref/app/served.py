"""A run that is served: in memory, with what was asked for once and is kept for all who ask later."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.geotiff import GeoReference
from ..errors import InputError
from ..files import name_bytes_spelled
from ..places import Slices
from ..ranking import check_letters
from ..records import Modality, Run
from ..runs import load_run
from ..search import Searched
from .plane import Plane, plane_of


class Scene(NamedTuple):
    """A large picture in which places are looked for."""

    pixels: np.ndarray
    slices: Slices
    geo: GeoReference | None


class ServedRun(NamedTuple):
    """A run in memory; what is asked for the first time is kept for all who ask later."""

    name: str
    run: Run
    device: str
    index: str | None  # of faiss
    plane: Plane | None
    galleries: dict[str, Searched]  # by what is searched: "a", "b", "all"
    scenes: "OrderedDict[str, Scene]"


def serve_run(path: str | Path, name: str, *, device: str = "cpu", index: str | None = None) -> ServedRun:
    """A finished run, loaded; raises `InputError` as `load_run` does."""
    run = load_run(path)
    return ServedRun(name, run, device, index, plane_of(run), {}, OrderedDict())


def name_runs(paths: Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Run folders with the names of their tabs: the folder's, with the one above it or a number where two are alike."""
    resolved = [Path(path).resolve() for path in paths]
    names = [name_bytes_spelled(path.name or "run") for path in resolved]
    longer = [f"{path.parent.name}-{n}" if names.count(n) > 1 else n for path, n in zip(resolved, names, strict=True)]
    names = [n if longer.count(n) == 1 else f"{n}-{1 + longer[:i].count(n)}" for i, n in enumerate(longer)]
    return list(zip(map(Path, paths), names, strict=True))


def modality_of(served: ServedRun, m: str, row: int) -> Modality:
    """The modality that sample `row` of letter m belongs to; raises `InputError` where there is no such sample."""
    check_letters(served.run, m, 1)
    modality = served.run.dataset.modalities[m]
    if not 0 <= row < len(modality.ids):
        raise InputError(f"{m}.{row}: no such sample; {modality.name} has {len(modality.ids)}")
    return modality
