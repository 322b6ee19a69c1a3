"""What happens to samples between the data set and a network: normalisation, augmentation, dropout's masks, batches.

On a GPU all of it happens there. What is random is drawn here, and sent once for all batches of an epoch: a step sends
nothing.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, generator, get_xp, to_device
from ..config import Looks
from ..data.features import in_floats
from ..kernels import keep_mask_kernel, supported
from ..ops.unit_rows import unit_rows
from .augment import augmentation_of, other_tempos, symmetries
from .transfer import OnDevice, Sent, Turned, on_device, send_parts


class Normaliser(NamedTuple):
    """x -> (x − mean) / std, channel by channel (the last axis); then, where `unit`, each x/‖x‖ · √C, C channels."""

    mean: Array
    std: Array
    unit: bool = False

    def __call__(self, x: Array) -> Array:
        x = (x - self.mean) / self.std
        if self.mean.dtype == "float64":  # the offset of these samples was too large for float32: it is gone now
            x = x.astype("float32")
        return unit_rows(x)[0] * x.dtype.type(x.shape[-1] ** 0.5) if self.unit else x


def fit_normaliser(x: Any, index: np.ndarray, how: str = "standardise", block: int = 64) -> Normaliser:
    """The normaliser of the samples `index` of `x` (N, …, C): training samples only, or test data would leak.

    `how`: "standardise" mean 0 and variance 1, "centre" mean 0, "scale" mean square 1 over all channels together,
    "unit" mean square 1 of each sample by itself (what a network is unsure of has short features), "none". Reads `x`
    in blocks, so memory-mapped sets are fine. Where float32 cannot hold the samples both are float64, and sums
    are about the first sample: squares of a large offset would round off what lies about it.
    """
    channels, one = x.shape[-1], np.asarray(x[index[:1]])
    double = one.dtype == np.float64 and one.ndim == 2 and in_floats(np.asarray(x[index])).dtype == np.float64
    mean, std, shift = np.zeros(channels), np.ones(channels), np.zeros(channels)
    if double and how in ("standardise", "centre"):
        shift = one[0]
    if how != "none":
        count, first, second = 0, np.zeros(channels), np.zeros(channels)
        for start in range(0, len(index), block):
            rows = np.asarray(x[index[start : start + block]], dtype=np.float64).reshape(-1, channels) - shift
            count += len(rows)
            first += rows.sum(axis=0)
            second += (rows * rows).sum(axis=0)
        if how in ("scale", "unit"):
            std[:] = np.sqrt(second.sum() / (count * channels))
        else:
            mean = first / count
        if how == "standardise":
            std = np.sqrt(np.maximum(second / count - mean * mean, 0))
            rounding = 1e-10 * (np.abs(shift) + np.abs(mean)) if double else 1e-7 * np.sqrt(second / count)
            std[std <= rounding] = 1.0  # a constant channel stays constant
        mean = mean + shift
        std[std < np.finfo("float32").tiny] = 1.0
    kind = np.float64 if double else np.float32
    return Normaliser(mean.astype(kind), std.astype(kind), how == "unit")


def standardise_each(x: Array) -> Array:
    """Samples (N, …), each with mean 0 and variance 1 by itself: how loud it is, and before what background, is lost.

    A constant sample becomes 0.
    """
    axes = tuple(range(1, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = get_xp(x).sqrt((centred * centred).mean(axis=axes, keepdims=True))
    return centred / (spread + (spread < 1e-6))


SPOKEN_DB = 30  # what lies so far below it is a pause
QUIET_DB = 45  # what lies so far below a recording's loudest place differs by microphone, room and engine


def level_each(x: Array, floor: float) -> Array:
    """Log-mel patches log(m + floor) (N, …), each with the same range of loudness: z = log(m / max m + 10^(−45/20)),
    then mean 0 and variance 1.

    How quiet its silence is says who recorded it and with what, and would be most of its variance. A silent patch
    becomes 0.
    """
    return standardise_each(_relative_level(x, floor))


def level_bands(x: Array, floor: float) -> Array:
    """As `level_each`, without each band's mean over the frames whose loudest band is within 30 dB of the patch's.

    A microphone and a long throat multiply whole bands: in the logarithm they add a constant, which the mean takes off.
    """
    y = _relative_level(x, floor)
    loud = y.max(axis=2, keepdims=True)
    spoken = (loud > loud.max(axis=1, keepdims=True) - SPOKEN_DB / 20 * math.log(10)).astype(y.dtype)
    return standardise_each(y - (y * spoken).sum(axis=1, keepdims=True) / spoken.sum(axis=1, keepdims=True))


def _relative_level(x: Array, floor: float) -> Array:
    """log(m / max m + 10^(−45/20)) of log-mel patches log(m + floor)."""
    xp = get_xp(x)
    m = (xp.exp(x) - floor).clip(0, None)
    loudest = m.max(axis=tuple(range(1, x.ndim)), keepdims=True).clip(floor / 1000, None)  # silence is not made loud
    return xp.log(m / loudest + 10 ** (-QUIET_DB / 20))


class Source(NamedTuple):
    """One modality as a stage reads it."""

    x: Any  # (N, …) the data set's own array, perhaps memory-mapped; or `OnDevice`
    labels: np.ndarray
    kind: str
    normalise: Callable[[Array], Array]
    looks: Looks = Looks()  # of images: how they are seen where they are augmented

    def on(self, xp) -> "Source":
        """The same source, whose samples are read as arrays of `xp`; labels stay on the host."""
        moved = isinstance(self.normalise, Normaliser) and xp is not np
        normalise = self.normalise
        if moved:
            normalise = normalise._replace(mean=to_device(normalise.mean, xp), std=to_device(normalise.std, xp))
        return self._replace(x=on_device(self.x, xp), normalise=normalise)

    def read(self, index: np.ndarray | Sent, view: Sent | None = None) -> Array:
        """Normalised samples, augmented where a view of `views` is given: images seen otherwise, sounds shifted. A
        new voice speaks before its recording is normalised."""
        if view is not None and isinstance(self.x, Turned):
            index, view = self.x.turn(index, view), None
        x = self.x[index.host if isinstance(index, Sent) and not isinstance(self.x, OnDevice | Turned) else index]
        x = np.asarray(x) if get_xp(x) is np else x
        if view is None:
            return self.normalise(x)
        _, change = augmentation_of(self.kind, self.looks)
        return self.normalise(change(x, view)) if self.kind == "voice" else change(self.normalise(x), view)

    def each_view(self, index: np.ndarray) -> Iterator[Array]:
        """Normalised samples, as they are and under each of their other symmetries, or in other tempos; vectors have
        neither."""
        if self.kind in ("sound", "voice"):
            yield from map(self.normalise, other_tempos(self._replace(normalise=lambda x: x).read(index)))
            return
        x = self.read(index)
        if isinstance(self.x, Turned):
            yield x
            for k in range(1, self.x.views):
                numbers = np.full(len(index), k)
                yield self.read(index, Sent(numbers, to_device(numbers, get_xp(x))))
        elif self.kind in ("image", "sketch"):
            yield from (view(x) for view in symmetries(x.shape))
        else:
            yield x

    def views(self, sizes: Sequence[int], rng: np.random.Generator | None, xp) -> Iterator[Sent | None]:
        """For batches of these sizes how each sample is augmented; None without a generator or for features."""
        if rng is not None and isinstance(self.x, Turned):
            return send_parts((rng.integers(0, self.x.views, size) for size in sizes), xp)
        augmentation = augmentation_of(self.kind, self.looks)
        if rng is None or augmentation is None:
            return iter([None] * len(sizes))
        return augmentation[0](self.x.shape, sizes, rng, xp)


def keep_masks(
    rng: np.random.Generator, sizes: Sequence[int], masks: Sequence[tuple[int, float]], xp
) -> Iterator[list[Array]]:
    """For batches of these sizes n the dropout masks (n, width) of each (width, rate), as `draw_masks` gives them."""
    batches = [{k: ((n, width), rate) for k, (width, rate) in enumerate(masks)} for n in sizes]
    return (list(batch.values()) for batch in draw_masks(rng, batches, xp))


def draw_masks(
    rng: np.random.Generator, batches: Sequence[Mapping[Any, tuple[tuple[int, ...], float]]], xp
) -> Iterator[dict[Any, Array]]:
    """For each batch its masks by name: `rng.random(shape) >= rate` in turn, of the (shape, rate) that it names.

    A device makes those of a whole epoch at once, from the generator's state: each bit is a function of its number.
    """
    if xp is np:
        yield from ({name: rng.random(shape) >= rate for name, (shape, rate) in b.items()} for b in batches)
        return
    every = [mask for batch in batches for mask in batch.values()]
    total, start = sum(math.prod(shape) for shape, _ in every), 0
    keep = {rate: draw_keep(rng, total, rate, xp) for rate in {rate for _, rate in every}}
    for batch in batches:
        masks = {}
        for name, (shape, rate) in batch.items():
            masks[name] = keep[rate][start : start + math.prod(shape)].reshape(shape)
            start += math.prod(shape)
        yield masks


def draw_keep(rng: np.random.Generator, count: int, rate: float, xp) -> Array:
    """`rng.random(count) >= rate` as an array of `xp`, for a generator that stays where it is."""
    state = rng.bit_generator.state
    if state["bit_generator"] == "PCG64" and supported(xp.empty(0, dtype="float32")):
        keep = xp.empty(count, dtype=bool)
        keep_mask_kernel(state["state"]["state"], state["state"]["inc"], rate, keep)
        return keep
    keep = rng.random(count) >= rate
    rng.bit_generator.state = state
    return to_device(keep, xp)


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
    return full + (rest > 1 or rows == rest == 1)


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
