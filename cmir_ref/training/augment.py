"""Augmentations, by the kind of sample: images seen otherwise, sounds shifted, or said again, sketches redrawn.

Each is a pair: what is random of all samples of an epoch is drawn on the host, and sent once; the samples are changed
where they are.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import tee

import numpy as np

from ..backend import Array, get_xp, to_device
from ..config import Looks
from .transfer import Sent, send_parts


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


def symmetries(shape: tuple[int, ...]) -> list[Callable[[Array], Array]]:
    """The flips and turns of images (N, H, W, C) that keep their shape: eight of a square, four of other rectangles."""
    turns = (0, 1, 2, 3) if shape[1] == shape[2] else (0, 2)
    return [
        lambda images, turn=turn, mirror=mirror: get_xp(images).rot90(images[:, :, ::mirror], turn, axes=(1, 2))
        for turn in turns
        for mirror in (1, -1)
    ]


def draw_looks(
    shape: tuple[int, ...], sizes: Iterable[int], rng: np.random.Generator, xp, *, looks: Looks
) -> Iterator[Sent]:
    """For batches of images (N, H, W, C) how each is seen (see `see_again`).

    The number of each image's symmetry; the device gets their order by number, the part that is seen (4), the square
    that is cut out (3), the logarithm of the gain, and the lifts of the channels, (N, 9 + C). All is drawn whatever the
    settings, so that none of them changes what another one draws.
    """
    many, channels, sizes = len(symmetries(shape)), shape[-1], list(sizes)

    def draw_light(n):
        number = rng.integers(0, many, n)
        gain, lift = rng.normal(0, looks.light, (n, 1)), rng.normal(0, looks.light, (n, 1))
        return number, np.concatenate([gain, lift + rng.normal(0, looks.light, (n, channels))], axis=1)

    numbers, lights = zip(*map(draw_light, sizes), strict=True) if sizes else ((), ())
    parts = [draw_parts(n, looks.crops, rng) for n in sizes]
    squares = [draw_squares(n, looks.cut_out, rng) for n in sizes]
    orders = [np.argsort(number, kind="stable")[:, None] for number in numbers]
    columns = zip(orders, parts, squares, lights, strict=True)
    sent = send_parts([np.concatenate(each, axis=1).astype("float32") for each in columns], xp)
    yield from (Sent(number, there) for number, (_, there) in zip(numbers, sent, strict=True))


def draw_parts(n: int, least: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 4): top, left, height and width of a part of each image, as shares of its sides.

    Height and width are s √r and s / √r, at most 1: s is even from `least` to 1, and log r from −0.3 to 0.3. The part
    lies anywhere.
    """
    share, stretch = rng.uniform(least, 1, n), np.exp(rng.uniform(-0.15, 0.15, n))
    sides = np.minimum([share * stretch, share / stretch], 1)
    return np.concatenate([rng.uniform(0, 1, (2, n)) * (1 - sides), sides]).T


def draw_squares(n: int, side: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 3): the middle of a square in each image, down and right as shares of its sides, and the square's own side.

    It is `side` in half of the images, and 0 in the others.
    """
    return np.concatenate([rng.uniform(0, 1, (2, n)), [side * (rng.random(n) < 0.5)]]).T


def see_again(images: Array, view: Sent, *, looks: Looks) -> Array:
    """Each normalised image (N, H, W, C) turned; then a part of it, in another light, with a gap, as `looks` say.

    Sources: Szegedy et al. 2015 for the part, DeVries & Taylor 2017 for the gap.
    """
    numbers = view.there
    images = turn_images(images, Sent(view.host, numbers[:, 0].astype("int64")))
    if looks.crops < 1:
        images = crop_images(images, numbers[:, 1:5])
    if looks.light:
        images = relight(images, numbers[:, 8], numbers[:, 9:])
    return cut_squares(images, numbers[:, 5:8]) if looks.cut_out else images


def crop_images(images: Array, parts: Array) -> Array:
    """A part (top, left, height, width) of each image (N, H, W, C), blown up to the whole; `parts` (N, 4) are shares.

    Bilinear: as rows and columns are interpolated apart, two products do what `sample_bilinear` does, and faster.
    """
    top, left, height, width = (parts[:, k, None] for k in range(4))
    seen = sample_rows(images, top, height)
    return sample_rows(seen.swapaxes(1, 2), left, width).swapaxes(1, 2)


def sample_rows(images: Array, first: Array, share: Array) -> Array:
    """As many rows as images (N, H, W, C) have, evenly from the `share` (N, 1) of their height that begins at `first`.

    Row i is (1 − d) x_k + d x_{k+1} at the place k + d = (first + share (i + ½) / H) H − ½, edges repeated.
    """
    xp, (n, height, width, channels) = get_xp(images), images.shape
    middle = (xp.arange(height, dtype="float32") + 0.5) / height
    places = ((first + share * middle) * height - 0.5).clip(0, height - 1)
    weights = (1 - abs(places[:, :, None] - xp.arange(height, dtype="float32"))).clip(0, None).astype(images.dtype)
    return (weights @ images.reshape(n, height, width * channels)).reshape(images.shape)


def relight(images: Array, gain: Array, lifts: Array) -> Array:
    """Each normalised image (N, H, W, C) in another light: x e^g + l_c, with g (N,) and l (N, ≥ C).

    A gain e^g for contrast, a lift l_c of each channel for haze, season and the cast of another camera: what tells
    places apart must not be the day on which they were seen. Gains and lifts are normal with the deviation of the
    setting `light`; a lift is that of all channels and one of its own.
    """
    lifts = lifts[:, None, None, : images.shape[3]]
    return images * get_xp(images).exp(gain)[:, None, None, None] + lifts


def cut_squares(images: Array, squares: Array) -> Array:
    """Images (N, H, W, C) with a square of each set to 0, the mean of normalised values: no single spot decides.

    `squares` (N, 3): the middle, as shares of height and width, and the side, as a share of the shorter one.
    """
    xp, (_, height, width, _) = get_xp(images), images.shape
    down, right, side = (squares[:, k, None, None] for k in range(3))
    y, x = xp.arange(height, dtype="float32")[:, None] + 0.5, xp.arange(width, dtype="float32") + 0.5
    half = side * (min(height, width) / 2)
    gap = (abs(y - down * height) < half) & (abs(x - right * width) < half)
    return xp.where(gap[..., None], 0, images)


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

    place = band / max(bands - 1, 1)
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


def other_tempos(patches: Array) -> Iterator[Array]:
    """Log-mel patches (N, frames, bands, 1) as they are, then said slower and faster by 17 %, as anybody may do."""
    yield patches
    for tempo in (0.85, 1.18):
        number = np.array(list((SAME_VOICE | {"tempo": tempo}).values()), dtype=patches.dtype)
        numbers = np.tile(number, (len(patches), 1))
        yield say_again(patches, Sent(numbers, to_device(numbers, get_xp(patches))))


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

    Mirrored or not, turned by any angle, drawn at 0.5 to 1.2 of its size, moved by up to a fifth of the sheet (where it
    is smaller by up to 0.3), with a thinner or thicker pen, and in every second one up to three spots wiped off. Bare
    paper is its least value.
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


AUGMENTATIONS = {  # by kind: what is drawn, and what is done with it; ready-made features have none
    "image": (draw_symmetries, turn_images),
    "sound": (draw_shifts, shift_sounds),
    "voice": (draw_voices, say_again),  # a sound, where the settings ask for more than shifts
    "sketch": (draw_hands, redraw),
}


def augmentation_of(kind: str, looks: Looks) -> tuple[Callable, Callable] | None:
    """The pair of AUGMENTATIONS of this kind, of images one that does what `looks` say; None for features."""
    if kind == "image" and looks.beyond_turns:
        return partial(draw_looks, looks=looks), partial(see_again, looks=looks)
    return AUGMENTATIONS.get(kind)
