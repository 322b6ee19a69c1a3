"""What happens to samples between the data set and a network: normalisation, augmentation, batches.

On a GPU all of it happens there: `on_device` puts a whole modality into its memory, or sends it batch by batch, as the
data set stores it (DSRSID's bytes are a quarter of the floats that a network reads). What is random is drawn here, and
sent once for all batches of an epoch: a step sends nothing.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import tee
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, free_memory, generator, get_xp, pinned, to_device
from ..kernels import keep_mask_kernel, supported

SHARE = 0.5  # of the free memory of a device that one modality may fill: the rest is for a step's intermediate arrays
BLOCK_BYTES = 2**26  # of it sent at a time


class Sent(NamedTuple):
    """The same numbers on the host and on a device, or what the device needs of them."""

    host: np.ndarray
    there: Array


def send_parts(parts: Iterable[np.ndarray], xp) -> Iterator[Sent]:
    """Each part on the host and as an array of `xp`: a device gets all of them in one transfer."""
    if xp is np:
        yield from (Sent(part, part) for part in parts)
        return
    parts, start = list(parts), 0
    there = to_device(np.concatenate(parts), xp) if parts else None
    for part in parts:
        yield Sent(part, there[start : start + len(part)])
        start += len(part)


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

    def __getitem__(self, index: np.ndarray | Sent) -> Array:
        index = index if isinstance(index, Sent) else Sent(index, None)
        if self._whole is None:
            return self._sent(index.host)
        return self._whole[to_device(index.host, self.xp) if index.there is None else index.there]

    def _sent(self, index: np.ndarray) -> Array:
        rows = pinned((len(index), *self.shape[1:]), self._host.dtype, self.xp)
        rows[...] = self._host[index]
        return to_device(rows, self.xp)


class Turned:
    """What a frozen network makes of n samples, of which it has also seen turned copies: an array (n, …).

    `rows` (V · n, …) are those of the samples as they are, then of all under the second symmetry, and so on.
    """

    def __init__(self, rows: Any, n: int):
        self.rows, self.shape = rows, (n, *rows.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | Sent) -> Array:
        return self.rows[index.host if isinstance(index, Sent) and not isinstance(self.rows, OnDevice) else index]

    @property
    def views(self) -> int:
        """V, how many symmetries there are."""
        return len(self.rows) // max(len(self), 1)

    def turn(self, index: np.ndarray | Sent, view: Sent) -> Sent:
        """The rows of these samples, each under the symmetry of its number in `view`."""
        host, there = index if isinstance(index, Sent) else (index, to_device(index, get_xp(view.there)))
        return Sent(view.host * len(self) + host, view.there * len(self) + there)


def on_device(x: Any, xp) -> Any:
    """`x` itself for NumPy and where it is there already, else `OnDevice`."""
    if isinstance(x, Turned):
        return Turned(on_device(x.rows, xp), len(x))
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


def standardise_each(x: Array) -> Array:
    """Samples (N, …), each with mean 0 and variance 1 by itself: how loud it is, and before what background, is lost.

    A constant sample becomes 0.
    """
    axes = tuple(range(1, x.ndim))
    centred = x - x.mean(axis=axes, keepdims=True)
    spread = get_xp(x).sqrt((centred * centred).mean(axis=axes, keepdims=True))
    return centred / (spread + (spread < 1e-6))


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

    def read(self, index: np.ndarray | Sent, view: Sent | None = None) -> Array:
        """Normalised samples, augmented where a view of `views` is given: images turned, sounds shifted. Another voice
        speaks before its recording is normalised."""
        if view is not None and isinstance(self.x, Turned):
            index, view = self.x.turn(index, view), None
        x = self.x[index.host if isinstance(index, Sent) and not isinstance(self.x, OnDevice | Turned) else index]
        x = np.asarray(x) if get_xp(x) is np else x
        if view is None:
            return self.normalise(x)
        change = AUGMENTATIONS[self.kind][1]
        return self.normalise(change(x, view)) if self.kind == "voice" else change(self.normalise(x), view)

    def each_view(self, index: np.ndarray) -> Iterator[Array]:
        """Normalised samples, as they are and under each of their other symmetries; sounds and vectors have none."""
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
        if rng is None or self.kind not in AUGMENTATIONS:
            return iter([None] * len(sizes))
        draw = AUGMENTATIONS[self.kind][0]
        return draw(self.x.shape, sizes, rng, xp)


def draw_symmetries(shape: tuple[int, ...], sizes: Iterable[int], rng: np.random.Generator, xp) -> Iterator[Sent]:
    """For batches of images (N, H, W, C) the number of each image's symmetry; the device gets their order by number."""
    many = len(symmetries(shape))
    drawn = (rng.integers(0, many, size) for size in sizes)
    first, second = tee(drawn)
    orders = send_parts((np.argsort(numbers, kind="stable") for numbers in first), xp)
    yield from (Sent(numbers, order.there) for numbers, order in zip(second, orders, strict=True))


def turn_images(images: Array, view: Sent) -> Array:
    """Each image (N, H, W, C) under its symmetry: seen from above there is no "up"."""
    xp, views = get_xp(images), symmetries(images.shape)
    order = view.there  # a mask would have to come back from a device
    ends = np.cumsum(np.bincount(view.host, minlength=len(views))).tolist()
    out = xp.empty_like(images)
    for start, stop, view in zip([0, *ends], ends, views, strict=False):
        if start < stop:
            rows = order[start:stop]
            out[rows] = view(images[rows])
    return out


def random_symmetry(images: Array, rng: np.random.Generator) -> Array:
    """Each image (N, H, W, C) under a random one of its symmetries."""
    return turn_images(images, next(draw_symmetries(images.shape, [len(images)], rng, get_xp(images))))


def draw_shifts(shape: tuple[int, ...], sizes: Iterable[int], rng: np.random.Generator, xp) -> Iterator[Sent]:
    """For batches of log-mel patches (N, frames, bands, 1) how many frames later and bands higher each begins."""
    drawn = ((rng.integers(-6, 7, size), rng.integers(-2, 3, size)) for size in sizes)
    return send_parts((np.stack(both, axis=1) for both in drawn), xp)


def shift_sounds(patches: Array, view: Sent) -> Array:
    """Each log-mel patch (N, frames, bands, 1) moved by up to 6 frames (60 ms) and 2 bands, its edges repeated: nobody
    starts a word at the same moment, and voices differ in pitch."""
    xp, (n, frames, bands, _) = get_xp(patches), patches.shape
    later, higher = (view.there[:, k, None, None] for k in range(2))
    row = (xp.arange(frames)[:, None] - later).clip(0, frames - 1)
    band = (xp.arange(bands) - higher).clip(0, bands - 1)
    return patches[xp.arange(n)[:, None, None], row, band]


def random_shift(patches: Array, rng: np.random.Generator) -> Array:
    """Each log-mel patch (N, frames, bands, 1) randomly shifted."""
    return shift_sounds(patches, next(draw_shifts(patches.shape, [len(patches)], rng, get_xp(patches))))


SAME_VOICE = {  # the numbers of `say_again` under which a recording stays as it is; all are drawn by `draw_voices`
    "tempo": 1.0,  # how much faster
    "throat": 1.0,  # how far apart its bands lie, as in a longer throat
    "later": 0.0,  # frames
    "higher": 0.0,  # bands
    "gain": 0.0,  # dB
    "tilt": 0.0,  # dB, from the lowest band to the highest
    **{f"colour {k}": 0.0 for k in range(6)},  # dB at six bands in equal distances, straight lines between them
    "echo": 0.0,  # the energy of what the walls send back, as a share of what was said
    "fade": 0.0,  # what of it is left after a frame
    "noise": 0.0,  # at the middle band, as a share of the loudest place; below 0 it is taken away
    "slope": 0.0,  # of the noise: dB, from the lowest band to the highest
    "bands": 1e3,  # how many are left: the others lie above what a telephone carries
    **{f"{what} {where} {k}": 0.0 for what in ("frame", "band") for where in ("middle", "width") for k in range(2)},
}


def draw_voices(shape: tuple[int, ...], sizes: Iterable[int], rng: np.random.Generator, xp) -> Iterator[Sent]:
    """For batches of log-mel patches (N, frames, bands, 1) how another voice says each (see `say_again`).

    An array (N, 25) a batch, in the order of `SAME_VOICE`.
    """
    _, frames, bands, _ = shape

    def draw(n):
        number = {name: np.full(n, value) for name, value in SAME_VOICE.items()}
        number["tempo"], number["throat"] = np.exp(rng.uniform(-0.25, 0.25, n)), np.exp(rng.uniform(-0.17, 0.17, n))
        number["later"], number["higher"] = rng.uniform(-8, 8, n), rng.uniform(-2, 2, n)
        number["gain"], number["tilt"] = rng.uniform(-12, 6, n), rng.uniform(-8, 8, n)
        number |= {f"colour {k}": rng.normal(0, 4, n) for k in range(6)}
        in_room, loud = rng.random(n) < 0.5, 10 ** rng.uniform(-3, -1, n)
        number["echo"], number["fade"] = in_room * rng.uniform(0, 1, n), np.exp(-13.8 * 0.01 / rng.uniform(0.1, 0.6, n))
        number["noise"] = np.choose(rng.integers(0, 3, n), (loud, -loud / 5, 0))
        number["slope"] = rng.uniform(-20, 20, n)
        number["bands"] = np.where(rng.random(n) < 0.25, 0.67 * bands, bands)  # 4 of 7.5 kHz
        for what, size, widest in (("frame", frames, 12), ("band", bands, 8)):
            for k in range(2):
                number[f"{what} middle {k}"], number[f"{what} width {k}"] = rng.uniform(0, (size, widest), (n, 2)).T
        return np.stack(list(number.values()), axis=1).astype("float32")

    return send_parts(map(draw, sizes), xp)


def say_again(patches: Array, view: Sent) -> Array:
    """Each log-mel patch log(m + f) (N, frames, bands, 1) as another voice says it in another room; f is its silence.

    m (frames, bands) are magnitudes, and all of it acts on them, in the order in which it happens:

        a voice        faster or slower; bands stretched and moved, as by a throat of another length and another pitch
        a room         m² + echo (1 − fade) Σ_s fade^(t−s−1) m²(s), over the frames s before t
        a microphone   g m with a gain g of each band: loudness, slope, colour; nothing above what a telephone carries
        noise          √(m² ± noise²), as energies add up: more of it, or a recording without its own
        gaps           two spans of frames and two of bands get the mean, so that no single sound decides

    Sources: Jaitly & Hinton 2013 for the throat, Park et al. 2019 for the gaps. Before and after the patch is silence;
    beyond the lowest and the highest band these are repeated.
    """
    xp, (_, frames, bands, _) = get_xp(patches), patches.shape
    number = {name: view.there[:, k, None, None] for k, name in enumerate(SAME_VOICE)}  # (N, 1, 1) each
    frame, band = xp.arange(frames, dtype=patches.dtype)[:, None], xp.arange(bands, dtype=patches.dtype)
    silence = patches.min(axis=(1, 2), keepdims=True)
    row = (frame - frames / 2 - number["later"]) * number["tempo"] + frames / 2 + 0 * band
    column = ((band - number["higher"]) * number["throat"]).clip(0, bands - 1) + 0 * frame
    floor = xp.exp(silence[..., 0])
    m = xp.exp(sample_bilinear(patches, row, column, silence)[..., 0]) - floor

    energy, age = m * m, frame - frame.T  # (frames, frames): t − s
    kept = xp.where(age > 0, number["fade"] ** (age - 1).clip(0, None), 0)
    energy = energy + number["echo"] * (1 - number["fade"]) * (kept @ energy)

    place = band / (bands - 1)
    gain = number["gain"] + number["tilt"] * (place - 0.5)
    for k in range(6):
        gain = gain + number[f"colour {k}"] * (1 - abs(5 * place - k)).clip(0, None)
    heard = energy * 10 ** (gain / 10) * (band < number["bands"])
    noise = number["noise"] * 10 ** (number["slope"] * (place - 0.5) / 20)
    heard = (heard + noise * abs(noise) * heard.max(axis=(1, 2), keepdims=True)).clip(0, None)

    said = xp.log(xp.sqrt(heard) + floor)
    mean, gap = said.mean(axis=(1, 2), keepdims=True), False
    for at, what in ((frame, "frame"), (band, "band")):
        for k in range(2):
            gap = gap | (abs(at - number[f"{what} middle {k}"]) < number[f"{what} width {k}"] / 2)
    return xp.where(gap, mean, said)[..., None].astype(patches.dtype)


def random_voice(patches: Array, rng: np.random.Generator) -> Array:
    """Each log-mel patch (N, frames, bands, 1) in a random voice."""
    return say_again(patches, next(draw_voices(patches.shape, [len(patches)], rng, get_xp(patches))))


def draw_hands(shape: tuple[int, ...], sizes: Iterable[int], rng: np.random.Generator, xp) -> Iterator[Sent]:
    """For batches of sketches (N, H, W, C) how another hand would have put each on the paper (see `redraw`), (N, 17).

    Of each sketch: a matrix of turn, mirror and size (4), shift (2), pen, how many spots are wiped off, and of three
    spots the middles (6) and radii (3), in parts of the sheet.
    """

    def drawn(n):
        angle, size = rng.uniform(0, 2 * math.pi, n), rng.uniform(0.5, 1.2, n)
        mirror = rng.choice([-1.0, 1.0], n)
        shift = rng.uniform(-0.2, 0.2, (2, n)) * (1 - 0.5 * size) * 2
        matrix = np.array([np.cos(angle), -np.sin(angle) * mirror, np.sin(angle), np.cos(angle) * mirror]) / size
        pen = np.where(size < 0.8, 1, rng.integers(0, 3, n))  # fine lines would get lost where they shrink
        spots = rng.integers(0, 4, n) * (rng.random(n) < 0.5)
        middle, radius = rng.uniform(0.15, 0.85, (2, n, 3)), rng.uniform(0.05, 0.15, (n, 3))
        columns = [*matrix, *shift, pen, spots, *middle[0].T, *middle[1].T, *radius.T]
        return np.stack(columns, axis=1).astype("float32")

    return send_parts(map(drawn, sizes), xp)


def redraw(sketches: Array, view: Sent) -> Array:
    """Each sketch (N, H, W, C) as another hand would have put it on the paper.

    Mirrored or not, turned by any angle, drawn at 0.5 to 1.2 of its size, moved by up to a fifth of the sheet, with a
    thinner or thicker pen, and in every second one up to three spots wiped off. Bare paper is its least value.
    """
    xp, (_, height, width, _) = get_xp(sketches), sketches.shape
    columns = [view.there[:, k, None, None] for k in range(17)]  # (N, 1, 1) each
    (yy, yx, xy, xx), (down, right), (pen, spots) = columns[:4], columns[4:6], columns[6:8]
    paper = sketches.min(axis=(1, 2), keepdims=True)
    y = ((xp.arange(height, dtype="float32") + 0.5) / height)[:, None]
    x = (xp.arange(width, dtype="float32") + 0.5) / width
    dy, dx = y - 0.5 - down, x - 0.5 - right
    rows = (yy * dy + yx * dx + 0.5) * height - 0.5
    out = sample_bilinear(with_pen(sketches, pen), rows, (xy * dy + xx * dx + 0.5) * width - 0.5, paper)
    for k, (row, column, radius) in enumerate(zip(columns[8:11], columns[11:14], columns[14:17], strict=True)):
        wiped = ((y - row) ** 2 + (x - column) ** 2 < radius**2) & (spots > k)
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
    """Sketches (N, H, W, C) drawn by the pens (N, 1, 1): 0 as they are, 1 thicker (maxima over 2 × 2), 2 finer."""
    xp = get_xp(sketches)
    below = xp.concatenate([sketches[:, 1:], sketches[:, -1:]], axis=1)
    corner = xp.concatenate([below[:, :, 1:], below[:, :, -1:]], axis=2)
    beside = xp.concatenate([sketches[:, :, 1:], sketches[:, :, -1:]], axis=2)
    thick = xp.maximum(xp.maximum(sketches, below), xp.maximum(beside, corner))
    fine = (sketches + below + beside + corner) / 4
    pen = pen[..., None]
    return xp.where(pen == 1, thick, xp.where(pen == 2, fine, sketches))


AUGMENTATIONS = {  # by kind; ready-made features have none
    "image": (draw_symmetries, turn_images),
    "sound": (draw_shifts, shift_sounds),
    "voice": (draw_voices, say_again),  # a sound, where the settings ask for more than shifts
    "sketch": (draw_hands, redraw),
}


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
