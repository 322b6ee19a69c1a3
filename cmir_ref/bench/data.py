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
from ..training.augment import random_symmetry
from ..training.inputs import Source, ahead, fit_normaliser
from ..training.loop import keep_freed_memory
from .peers import Case, Side
from .steps import CLASS_COUNT, LEARNING_RATE

DATA_CONFIG = CmirnetSettings(scenario="pan-mul", image_size=256)
TILE_SHAPES = {"pan": (256, 256), "mul": (64, 64, 4)}
IMAGE_SIDE, TILES = 64, 512
BATCHES_A_TURN = 4


def cases(tiles: int = TILES) -> list[Case]:
    """`data/image`: one of the bundled images, decoded, brought to 64 × 64 and turned, against Pillow alone.
    `data/stream/…`: a batch of 64 tiles of an HDF5 file, in random order, normalised and turned; no peer.
    `data/step/…`: a step of stage 1 on such batches, against the same step with its batch at hand.
    """
    result = [Case("data/image", (f"{__name__}:images_side", {}), "PIL", {"": (f"{__name__}:pillow_images_side", {})})]
    for net in TILE_SHAPES:
        result.append(Case(f"data/stream/{net}", (f"{__name__}:stream_side", {"net": net, "tiles": tiles})))
    for net in TILE_SHAPES:
        sides = [
            (f"{__name__}:step_side", {"net": net, "tiles": tiles, "at_hand": at_hand}) for at_hand in (False, True)
        ]
        result.append(Case(f"data/step/{net}", sides[0], "cmir-ref", {"with its batch at hand": sides[1]}))
    return result


def images_side() -> Side:
    """`read_images`, and the augmentation of training."""
    paths, rng = sorted((samples_dir() / "Images").rglob("*.tif")), np.random.default_rng(0)
    return Side(
        {"pixels": read_images(paths, IMAGE_SIDE).x / 255},
        lambda: random_symmetry(read_images(paths, IMAGE_SIDE).x, rng),
        len(paths),
    )


def pillow_images_side() -> Side:
    """Pillow's decoder and its area mean, nothing else."""
    from PIL import Image

    paths = sorted((samples_dir() / "Images").rglob("*.tif"))

    def turn():
        return [
            np.asarray(Image.open(p).convert("RGB").resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BOX))
            for p in paths
        ]

    return Side({"pixels": np.stack(turn()) / 255}, turn, len(paths))


def stage1_on_tiles(net: str, tiles: int):
    """(task, params, buffers) of stage 1 on an HDF5 file in DSRSID's layout, which is removed when the process ends."""
    import h5py

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASS_COUNT, tiles)
    with h5py.File(folder / FILE, "w") as file:
        for name, shape in TILE_SHAPES.items():
            file[FIELDS[name]] = rng.integers(1, 256, (tiles, *shape), dtype=np.uint8)
        file[LABELS] = labels + 1
    x, every = open_tiles(folder / FILE)[net], np.arange(tiles)
    source = Source(x, labels, "image", fit_normaliser(x, every))
    params, buffers = init_pretrainer(DATA_CONFIG, net, x.shape[1:], CLASS_COUNT)
    return stage1_task(DATA_CONFIG, net, source, every, every), Params(params), buffers


def endless_batches(task):
    """The batches of one epoch after another, without end."""
    return itertools.chain.from_iterable(task.batches(epoch) for epoch in itertools.count())


def stream_side(net: str, tiles: int) -> Side:
    """Batches as training reads them, with nothing else to do."""
    batches = endless_batches(stage1_on_tiles(net, tiles)[0])
    return Side({}, lambda: [next(batches) for _ in range(BATCHES_A_TURN)], BATCHES_A_TURN)


def step_side(net: str, tiles: int, at_hand: bool) -> Side:
    """Steps of stage 1 on batches prepared by a thread of their own, or on one that is there."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    task, params, buffers = stage1_on_tiles(net, tiles)
    m, v, counts = np.zeros_like(params.flat), np.zeros_like(params.flat), itertools.count(1)
    first = next(task.batches(0))
    batches = itertools.repeat(first) if at_hand else ahead(endless_batches(task))
    loss = task.gradients(params, buffers, first, 0, 0)[0]["loss"]

    def turn():
        for batch in itertools.islice(batches, BATCHES_A_TURN):
            adam(
                params.flat,
                flatten(task.gradients(params, buffers, batch, 0, 0)[1], params),
                m,
                v,
                next(counts),
                LEARNING_RATE,
            )

    return Side({"loss": loss}, turn, BATCHES_A_TURN)
