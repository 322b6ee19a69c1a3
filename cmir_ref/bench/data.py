"""From files to a training step: images decoded, tiles streamed from HDF5, and what a step waits for its batch."""

import atexit
import itertools
import shutil
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from ..cmirnet.settings import CmirnetSettings
from ..cmirnet.stage1 import init_pretrainer, stage1_task
from ..data import samples_dir
from ..data.dsrsid import FIELDS, FILE, LABELS, open_tiles
from ..data.images import read_images
from ..params import Params, flatten
from ..training.adam import adam
from ..training.inputs import Source, ahead, fit_normaliser, random_symmetry
from ..training.loop import keep_freed_memory
from .peers import Case, Side

CONFIG = CmirnetSettings(scenario="pan-mul", image_size=256)
SHAPES = {"pan": (256, 256), "mul": (64, 64, 4)}
SIZE, CLASSES, TILES, RATE = 64, 8, 512, 1e-3
BATCHES = 4  # of a turn


def cases(tiles: int = TILES) -> list[Case]:
    """`data/image`: one of the bundled images, decoded, brought to 64 × 64 and turned, against Pillow alone.
    `data/stream/…`: a batch of 64 tiles of an HDF5 file, in random order, normalised and turned; no peer.
    `data/step/…`: a step of stage 1 on such batches, against the same step with its batch at hand.
    """
    found = [Case("data/image", (f"{__name__}:our_images", {}), "PIL", {"": (f"{__name__}:pillow_images", {})})]
    for net in SHAPES:
        found.append(Case(f"data/stream/{net}", (f"{__name__}:stream", {"net": net, "tiles": tiles})))
    for net in SHAPES:
        sides = [(f"{__name__}:step", {"net": net, "tiles": tiles, "at_hand": at_hand}) for at_hand in (False, True)]
        found.append(Case(f"data/step/{net}", sides[0], "cmir-ref", {"with its batch at hand": sides[1]}))
    return found


def our_images() -> Side:
    """`read_images` and the training's augmentation."""
    paths, rng = sorted((samples_dir() / "Images").rglob("*.tif")), np.random.default_rng(0)
    return Side(
        {"pixels": read_images(paths, SIZE) / 255}, lambda: random_symmetry(read_images(paths, SIZE), rng), len(paths)
    )


def pillow_images() -> Side:
    """Pillow's decoder and its area mean, nothing else."""
    from PIL import Image

    paths = sorted((samples_dir() / "Images").rglob("*.tif"))

    def turn():
        return [np.asarray(Image.open(p).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)) for p in paths]

    return Side({"pixels": np.stack(turn()) / 255}, turn, len(paths))


def task_of(net: str, tiles: int):
    """(task, params, buffers) of stage 1 on tiles in an HDF5 file of DSRSID's layout, which goes with the process."""
    import h5py

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, tiles)
    with h5py.File(folder / FILE, "w") as file:
        for name, shape in SHAPES.items():
            file[FIELDS[name]] = rng.integers(1, 256, (tiles, *shape), dtype=np.uint8)
        file[LABELS] = labels + 1
    x, every = open_tiles(folder / FILE)[net], np.arange(tiles)
    source = Source(x, labels, "image", fit_normaliser(x, every))
    params, buffers = init_pretrainer(CONFIG, net, x.shape[1:], CLASSES)
    return stage1_task(CONFIG, net, source, every, every), Params(params), buffers


def endless(task):
    """The batches of one epoch after another."""
    return itertools.chain.from_iterable(task.batches(epoch) for epoch in itertools.count())


def stream(net: str, tiles: int) -> Side:
    """Batches as training reads them, with nothing else to do."""
    batches = endless(task_of(net, tiles)[0])
    return Side({}, lambda: [next(batches) for _ in range(BATCHES)], BATCHES)


def step(net: str, tiles: int, at_hand: bool) -> Side:
    """Steps of stage 1 on batches prepared by a thread of their own, or on one that is there."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    task, params, buffers = task_of(net, tiles)
    m, v, taken = np.zeros_like(params.flat), np.zeros_like(params.flat), itertools.count(1)
    first = next(task.batches(0))
    batches = itertools.repeat(first) if at_hand else ahead(endless(task))
    loss = task.gradients(params, buffers, first, 0, 0)[0]["loss"]

    def turn():
        for batch in itertools.islice(batches, BATCHES):
            adam(params.flat, flatten(task.gradients(params, buffers, batch, 0, 0)[1], params), m, v, next(taken), RATE)

    return Side({"loss": loss}, turn, BATCHES)
