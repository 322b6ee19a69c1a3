"""The simulated world: scenes of the ground that several senses observe.

`land_cover` draws one of DSRSID's eight land covers, 512 m a side, and lets a panchromatic and a four-band camera
record the same ground. `object_scene` draws one of UC Merced's 21 kinds of place, 77 m a side, as a photograph, a
sketch, multi-hot labels, captions and keywords; `drawing` draws one as a person does who has no photo. Every scene is a
pure function of its arguments.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ...backend import generator
from ...errors import InputError
from ...parallel import can_be_sent, cores, worker_processes
from ...progress import tell, track
from ..dsrsid import LABEL_NAMES as LAND_COVER
from . import land, sensors
from .drawings import Drawing, drawing
from .objects import ObjectScene, object_scene

__all__ = ["LAND_COVER", "Drawing", "LandCover", "ObjectScene", "drawing", "generate", "land_cover", "object_scene"]

_CHUNK = 8  # scenes that a worker draws at a time


class LandCover(NamedTuple):
    """What both cameras saw of one place, digital numbers 0 … 1023, and its label: a number in `LAND_COVER`."""

    pan: np.ndarray  # (256, 256, 1) uint16, 2 m a pixel
    mul: np.ndarray  # (64, 64, 4) uint16, 8 m a pixel: blue, green, red, near infrared
    label: int


def land_cover(seed: int, item: int, label: int) -> LandCover:
    """Scene number `item` of class `label` in the world `seed`."""
    if not 0 <= label < len(LAND_COVER):
        raise InputError(f"land cover {label} is unknown; use 0 to {len(LAND_COVER) - 1}")
    rng = generator(seed, "scenes/land", item, label)
    ground = land.Ground(rng)
    land.PAINTERS[label](ground)
    view = sensors.draw_view(rng, ground.elevation)
    pan, mul = sensors.observe(rng, sensors.radiance(rng, ground.colour, ground.lit, view), view)
    return LandCover(pan, mul, label)


def generate(function: Callable, items: Iterable, workers: int | None = None, progress: bool = False) -> Iterator:
    """`function(*item)` for every item (a tuple of arguments, or a single argument), in order, by worker processes.

    As many as there are cores and work for, unless told.

    The function is one of a module (or a `functools.partial` of one), since it is sent to other processes. The result
    is the same for any number of workers; with 0 or 1, and for a function of the script that is running, everything
    happens in this process.
    """
    items = [item if isinstance(item, tuple) else (item,) for item in items]
    workers = min(cores(), -(-len(items) // _CHUNK)) if workers is None else workers
    if workers > 1 and not can_be_sent(function, *items[:1]):
        tell("all work is done by one process: the function belongs to the script that is running, not to a module")
        workers = 1
    results = _in_processes(function, items, workers) if workers > 1 else (function(*item) for item in items)
    yield from track(results, len(items), "drawing scenes", progress)


def _in_processes(function: Callable, items: list[tuple], workers: int) -> Iterator:
    """The results in order; a few chunks for each worker are under way at any time."""
    chunks = [items[k : k + _CHUNK] for k in range(0, len(items), _CHUNK)]
    with worker_processes(workers) as pool:
        waiting = deque(pool.submit(_run, function, chunk) for chunk in chunks[: 3 * workers])
        for chunk in [*chunks[3 * workers :], *[None] * len(waiting)]:
            done = waiting.popleft().result()
            if chunk is not None:
                waiting.append(pool.submit(_run, function, chunk))
            yield from done


def _run(function: Callable, chunk: list[tuple]) -> list:
    """What a worker does."""
    return [function(*item) for item in chunk]
