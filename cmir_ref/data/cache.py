"""Simulated scenes made on first use and found again afterwards, in the user's cache folder."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import params
from ..errors import InputError
from ..files import cannot_be_written, whole_folder
from ..locks import locked
from ..progress import tell
from ..records import Modality
from .dsrsid import LABEL_NAMES
from .samples import write_land_cover, write_objects

RADAR = "radar.safetensors"
VERSION = 1  # of what the generator draws: raise it whenever a scene would come out differently


def cache_dir() -> Path:
    """`CMIR_CACHE`, or the folder that this system keeps caches in; raises `InputError` for a user without a home."""
    from platformdirs import user_cache_dir

    folder = Path(os.environ.get("CMIR_CACHE") or user_cache_dir("cmir_ref"))
    if folder.parts[:1] == ("~",):
        raise InputError("no home folder to keep a cache in; set CMIR_CACHE to a folder that can be written")
    return folder


def cached_scenes(kind: str, count: int, *, seed: int = 0, progress: bool = False) -> Path:
    """The folder with `count` samples of `kind` ("land-cover", 164 KB each, or "objects", 50 KB), made if need be.

    A folder is there whole or not at all; two processes that make one at the same time both find it. Raises
    `InputError` for a count below 1, and where the cache cannot be written.
    """

    def write(folder: Path) -> None:
        if kind == "land-cover":
            write_land_cover(folder, count, seed=seed, progress=progress, compress=False)
        else:
            write_objects(folder, count, seed=seed, progress=progress)

    return _cached(kind, count, seed, write)


def cached_radar(count: int, *, seed: int = 0, progress: bool = False) -> Path:
    """The folder with what a radar sees of the `count` places of `cached_scenes("land-cover", count, seed=seed)`.

    Made if need be, 8 KB each, `x` (count, 64, 64, 1) uint16 in radar.safetensors; whole and raising as these are.
    """

    def write(folder: Path) -> None:
        from . import world
        from .world.radar import radar

        items = [(seed, k, k % len(LABEL_NAMES)) for k in range(count)]
        params.save_tensors(folder / RADAR, {"x": np.stack(list(world.generate(radar, items, progress=progress)))})

    return _cached("radar", count, seed, write)


def cached_drawings(kind: str, scene_class: str, count: int, *, seed: int = 0, progress: bool = False) -> Path:
    """The folder with `count` drawings of a class of the simulated world, made if need be, `NNN.png` of 4 KB each.

    `kind`: "scenes", sketches of whole scenes, or "drawings", of which some show the subject alone, and some are small.
    Whole and raising as those of `cached_scenes`.
    """
    shares = (0.0, 0.0) if kind == "scenes" else ()

    def write(folder: Path) -> None:
        from PIL import Image

        from . import world

        items = [(seed, scene_class, k, *shares) for k in range(count)]
        for k, drawn in enumerate(world.generate(world.drawing, items, progress=progress)):
            Image.fromarray(drawn.sketch).save(folder / f"{scene_class}{k:03d}.png")

    return _cached(f"{'sketches' if kind == 'scenes' else kind}-{scene_class}", count, seed, write)


def load_radar(count: int, *, seed: int = 0, progress: bool = False) -> Modality:
    """The radar images of `cached_radar`, in the order and with the labels, ids and groups of the scenes' PAN and MUL.

    Raises `InputError` as `cached_radar`, and for a file that is damaged.
    """
    tensors, _ = params.load_tensors(cached_radar(count, seed=seed, progress=progress) / RADAR)
    labels = np.arange(count) % len(LABEL_NAMES)
    ids = tuple(map(str, range(count)))
    return Modality("radar", "image", tensors["x"], labels, ids, None, np.array(LABEL_NAMES)[labels])


def _cached(kind: str, count: int, seed: int, write: Callable[[Path], None]) -> Path:
    """The folder of these samples, there already or from `write`, whole or not at all.

    Of several processes that want the same samples one makes them, and the others wait for it.
    """
    if count < 1:
        raise InputError(f"count {count}: at least 1 scene is needed")
    cache = cache_dir()
    folder = cache / f"{kind}-{count}-seed{seed}-v{VERSION}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_be_written(cache, error, "; set CMIR_CACHE to a folder that can be") from error
    with locked(cache, f".{folder.name}.lock", wait=tell) as alone:
        for leftover in cache.glob(f".{folder.name}-*") if alone else ():  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        if folder.is_dir():
            return folder
        try:
            with whole_folder(folder) as out:
                write(out)
        except InputError:
            if not folder.is_dir():  # else a process on another machine was first
                raise
    return folder
