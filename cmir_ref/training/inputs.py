"""What happens to samples between the data set and a network: normalisation, augmentation, batches.

On a GPU all of it happens there: `on_device` puts a whole modality into its memory, or sends it batch by batch, as the
data set stores it (DSRSID's bytes are a quarter of the floats that a network reads). What is random is drawn here.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, free_memory, generator, get_xp, pinned, to_device
from ..ops.dropout import dropout

SHARE = 0.5  # of the free memory of a device that one modality may fill: the rest is for a step's intermediate arrays
BLOCK_BYTES = 2**26  # of it sent at a time


class OnDevice:
    """The samples x (N, …) of a host array, or of any other set that an index array reads, as arrays of `xp`.

    Whole, where they fill no more than `share` of the device's free memory: then a batch is an indexing there, and all
    that is sent is its index. Else each batch is read into pinned memory, from where it is copied while the host goes
    on.
    """

    def __init__(self, x: Any, xp, share: float = SHARE):
        self.xp, self.shape, self._host, self._whole = xp, x.shape, x, None
        sample = math.prod(x.shape[1:]) * np.dtype(x.dtype).itemsize
        if len(x) * sample <= share * free_memory(xp):
            self._whole = xp.empty(x.shape, dtype=x.dtype)
            step = max(1, BLOCK_BYTES // max(sample, 1))
            for start in range(0, len(x), step):
                self._whole[start : start + step] = self._sent(np.arange(start, min(start + step, len(x))))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray) -> Array:
        return self._sent(index) if self._whole is None else self._whole[to_device(index, self.xp)]

    def _sent(self, index: np.ndarray) -> Array:
        rows = pinned((len(index), *self.shape[1:]), self._host.dtype, self.xp)
        rows[...] = self._host[index]
        return to_device(rows, self.xp)


def on_device(x: Any, xp) -> Any:
    """`x` itself for NumPy and where it is there already, else `OnDevice`."""
    return x if xp is np or isinstance(x, OnDevice) else OnDevice(x, xp)


class Normaliser(NamedTuple):
    """x -> (x − mean) / std, channel by channel (the last axis)."""

    mean: Array
    std: Array

    def __call__(self, x: Array) -> Array:
        return (x - self.mean) / self.std


def fit_normaliser(x: Any, index: np.ndarray, how: str = "standardise", block: int = 64) -> Normaliser:
    """The normaliser of the samples `index` of `x` (N, …, C): training samples only, or test data would leak.

    `how`: "standardise" mean 0 and variance 1, "centre" mean 0, "scale" mean square 1 over all channels together,
    "none". Reads `x` in blocks, so memory-mapped sets are fine.
    """
    channels = x.shape[-1]
    mean, std = np.zeros(channels), np.ones(channels)
    if how != "none":
        count, first, second = 0, np.zeros(channels), np.zeros(channels)
        for start in range(0, len(index), block):
            rows = np.asarray(x[index[start : start + block]], dtype=np.float64).reshape(-1, channels)
            count += len(rows)
            first += rows.sum(axis=0)
            second += (rows * rows).sum(axis=0)
        if how == "scale":
            std[:] = np.sqrt(second.sum() / (count * channels)) or 1.0
        else:
            mean = first / count
        if how == "standardise":
            std = np.sqrt(np.maximum(second / count - mean * mean, 0))
            std[std < 1e-8 * max(1.0, std.max())] = 1.0  # a constant channel stays constant
    return Normaliser(mean.astype(np.float32), std.astype(np.float32))


class Source(NamedTuple):
    """One modality as a stage reads it."""

    x: Any  # (N, …) the data set's own array, perhaps memory-mapped; or `OnDevice`
    labels: np.ndarray
    kind: str
    normalise: Callable[[Array], Array]

    def on(self, xp) -> "Source":
        """The same source, whose samples are read as arrays of `xp`; labels stay on the host."""
        moved = isinstance(self.normalise, Normaliser) and xp is not np
        normalise = Normaliser(*(to_device(part, xp) for part in self.normalise)) if moved else self.normalise
        return self._replace(x=on_device(self.x, xp), normalise=normalise)

    def read(self, index: np.ndarray, augmented: np.random.Generator | None = None) -> Array:
        """Normalised samples, augmented where a generator is given: images turned, sounds and drawings moved."""
        x = self.x[index]
        x = self.normalise(np.asarray(x) if get_xp(x) is np else x)
        return AUGMENTATIONS[self.kind](x, augmented) if augmented is not None and self.kind in AUGMENTATIONS else x


def random_symmetry(images: Array, rng: np.random.Generator) -> Array:
    """Each image (N, H, W, C) under a random one of its symmetries: seen from above there is no "up"."""
    xp, views = get_xp(images), symmetries(images.shape)
    drawn = rng.integers(0, len(views), len(images))
    order = to_device(np.argsort(drawn, kind="stable"), xp)  # a mask would have to come back from a device
    ends = np.cumsum(np.bincount(drawn, minlength=len(views))).tolist()
    out = xp.empty_like(images)
    for start, stop, view in zip([0, *ends], ends, views, strict=False):
        if start < stop:
            rows = order[start:stop]
            out[rows] = view(images[rows])
    return out


def random_shift(patches: Array, rng: np.random.Generator) -> Array:
    """Each log-mel patch (N, frames, bands, 1) moved by up to 6 frames (60 ms) and 2 bands, its edges repeated: nobody
    starts a word at the same moment, and voices differ in pitch."""
    _, frames, bands, _ = patches.shape
    later = rng.integers(-6, 7, (len(patches), 1, 1))
    higher = rng.integers(-2, 3, (len(patches), 1, 1))
    row = (np.arange(frames)[:, None] - later).clip(0, frames - 1)
    band = (np.arange(bands) - higher).clip(0, bands - 1)
    xp = get_xp(patches)
    return patches[tuple(to_device(i, xp) for i in (np.arange(len(patches))[:, None, None], row, band))]


def random_drawing(sketches: Array, rng: np.random.Generator) -> Array:
    """Each sketch (N, H, W, C) as another hand would have put it on the paper.

    Mirrored or not, turned by any angle, drawn at 0.5 to 1.2 of its size, moved by up to a fifth of the sheet, with a
    thinner or thicker pen, and in every second one up to three spots wiped off. Bare paper is its least value.
    """
    xp, (n, height, width, _) = get_xp(sketches), sketches.shape
    angle, size = rng.uniform(0, 2 * math.pi, n), rng.uniform(0.5, 1.2, n)
    mirror = rng.choice([-1.0, 1.0], n)
    shift = rng.uniform(-0.2, 0.2, (2, n)) * (1 - 0.5 * size) * 2
    matrix = np.array([[np.cos(angle), -np.sin(angle) * mirror], [np.sin(angle), np.cos(angle) * mirror]]) / size
    pen = np.where(size < 0.8, 1, rng.integers(0, 3, n))  # fine lines would get lost where they shrink
    spots = rng.integers(0, 4, n) * (rng.random(n) < 0.5)
    middle, radius = rng.uniform(0.15, 0.85, (2, n, 3)), rng.uniform(0.05, 0.15, (n, 3))
    matrix, shift, pen, spots, middle, radius = (
        to_device(a if a.dtype.kind == "i" else a.astype("float32"), xp)
        for a in (matrix, shift, pen, spots, middle, radius)
    )
    paper = sketches.min(axis=(1, 2), keepdims=True)
    y = (xp.arange(height, dtype="float32") + 0.5) / height
    x = (xp.arange(width, dtype="float32") + 0.5) / width
    dy, dx = y[:, None] - 0.5 - shift[0][:, None, None], x[None, :] - 0.5 - shift[1][:, None, None]
    rows = (matrix[0, 0][:, None, None] * dy + matrix[0, 1][:, None, None] * dx + 0.5) * height - 0.5
    columns = (matrix[1, 0][:, None, None] * dy + matrix[1, 1][:, None, None] * dx + 0.5) * width - 0.5
    out = sample_bilinear(with_pen(sketches, pen), rows, columns, paper)
    for k in range(3):
        away = (y[:, None] - middle[0][:, None, None, k]) ** 2 + (x[None, :] - middle[1][:, None, None, k]) ** 2
        wiped = (away < (radius**2)[:, None, None, k]) & (spots > k)[:, None, None]
        out = xp.where(wiped[..., None], paper, out)
    return out


def sample_bilinear(images: Array, rows: Array, columns: Array, outside: Array) -> Array:
    """images (N, H, W, C) at the places (rows, columns), (N, h, w) each; `outside` (N, 1, 1, C) beyond the edge."""
    xp, (n, height, width, _) = get_xp(images), images.shape
    top, left = xp.floor(rows).astype("int64"), xp.floor(columns).astype("int64")
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    out, number = 0, xp.arange(n)[:, None, None]
    for i, share in ((0, 1 - down), (1, down)):
        for j, part in ((0, 1 - right), (1, right)):
            r, c = top + i, left + j
            inside = ((r >= 0) & (r < height) & (c >= 0) & (c < width))[..., None]
            values = images[number, xp.clip(r, 0, height - 1), xp.clip(c, 0, width - 1)]
            out = out + share * part * xp.where(inside, values, outside)
    return out.astype(images.dtype)


def with_pen(sketches: Array, pen: Array) -> Array:
    """Sketches (N, H, W, C) with lines as they are (pen 0), thicker (1: a maximum over 2 × 2) or finer (2: a mean)."""
    xp = get_xp(sketches)
    below = xp.concatenate([sketches[:, 1:], sketches[:, -1:]], axis=1)
    corner = xp.concatenate([below[:, :, 1:], below[:, :, -1:]], axis=2)
    beside = xp.concatenate([sketches[:, :, 1:], sketches[:, :, -1:]], axis=2)
    thick = xp.maximum(xp.maximum(sketches, below), xp.maximum(beside, corner))
    fine = (sketches + below + beside + corner) / 4
    pen = pen[:, None, None, None]
    return xp.where(pen == 1, thick, xp.where(pen == 2, fine, sketches))


AUGMENTATIONS = {
    "image": random_symmetry,
    "sound": random_shift,
    "sketch": random_drawing,
}  # by kind; ready-made features have none


def thinned(z: Array, rate: float, rng: np.random.Generator) -> Array:
    """Features z (N, D) with a share `rate` of them dropped: stage 1 is surer of the samples it learned from than of
    new ones, so stage 2 must not rely on any single feature."""
    if rate == 0:
        return z
    return dropout(z, to_device(rng.random(z.shape) >= rate, get_xp(z)), rate)[0]


def symmetries(shape: tuple[int, ...]) -> list[Callable[[Array], Array]]:
    """The flips and turns of images (N, H, W, C) that keep their shape: eight of a square, four of other rectangles."""
    turns = (0, 1, 2, 3) if shape[1] == shape[2] else (0, 2)
    return [
        lambda images, turn=turn, mirror=mirror: get_xp(images).rot90(images[:, :, ::mirror], turn, axes=(1, 2))
        for turn in turns
        for mirror in (1, -1)
    ]


def epoch_batches(rows: np.ndarray, size: int, seed: int, purpose: str, epoch: int) -> Iterator[np.ndarray]:
    """`rows` in an order drawn anew for each epoch, in batches of `size`; a left-over single row is left out.

    (Batch statistics of one sample are no statistics.)
    """
    order = generator(seed, f"{purpose}/order", epoch).permutation(len(rows))
    for start in range(0, len(rows), size):
        chosen = order[start : start + size]
        if len(chosen) > 1 or size == 1 or len(rows) == 1:
            yield rows[chosen]


def steps_per_epoch(rows: int, size: int) -> int:
    """How many batches `epoch_batches` gives."""
    full, rest = divmod(rows, size)
    return full + (rest > 1 or rows == 1)


def ahead(batches: Iterable[Any], waiting: int = 2) -> Iterator[Any]:
    """The same batches in the same order, read and augmented by a thread of their own while the steps before compute.

    At most `waiting` are ready and not yet used. What goes wrong in making one is raised where it is asked for.
    """
    source, end = iter(batches), object()
    with ThreadPoolExecutor(1) as maker:
        coming = deque(maker.submit(next, source, end) for _ in range(waiting))
        while (batch := coming.popleft().result()) is not end:
            coming.append(maker.submit(next, source, end))
            yield batch
