"""Which sketch attends a photo when something is searched, and what comes out.

mean      the mean over sketches of the training part: one embedding a photo, which an index can hold
pair      the sketch that the photo is compared with: an embedding for each pair, computed in blocks
random    one sketch of the training part, drawn for each photo: a control
matched   a sketch of the photo's own class: it tells the photo's label to the network, a *label leak*, and no search
          can do it; it shows what such a leak is worth
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, generator, get_xp, to_device, to_host
from ..cmirnet.latent import Latent, encoder
from ..data.pairs import draw_others, rows_as_set
from ..errors import InputError
from ..ops.sigmoid import sigmoid
from ..records import PARTS, Dataset, Items, Run, Splits
from ..retrieval import levels, prepare
from ..retrieval.distances import Levels, each_block, levels_of_rows
from .gate import channel_gate
from .objective import Attention, attend
from .settings import AttentionSettings

BY_CONTEXT = ("channel", "spatial", "mask")  # what a sketch has a part in
CONTEXTS = 32  # sketches of the training part whose mean attends, where that is no mean of gates
TILE = 2048  # pairs at a time: 2 MiB of embeddings, 16 MiB of maps


class Attended(NamedTuple):
    """A trained attention and the encoders behind it."""

    form: Attention
    arch: Latent
    params: Mapping[str, Array]
    heads: Mapping[str, Array] | None


def embed_photos(net: Attended, x: Array, context: Array) -> Array:
    """V_a (n, d_v) of photos x, each attended by its own context, or all by one of one row; or one photo by many."""
    none = context[:1] if net.form.kind == "mask" else x[:1]  # stands for the sketch that nobody asks about
    z_a = attend(net.params, x, none, context, attention=net.form, heads=net.heads)[0][0]
    return encoder(net.params, "a", z_a, arch=net.arch)[0]


def embed_sketches(net: Attended, x: Array) -> Array:
    """V_b (n, d_v) of sketches x, which no photo attends; under "mask" a sketch's map is masked by itself."""
    z_b = attend(net.params, x, x, x, attention=net.form, heads=net.heads)[0][1] if net.form.kind == "mask" else x
    return encoder(net.params, "b", z_b, arch=net.arch)[0]


def embed_by_mean(net: Attended, x: Array, contexts: Array) -> Array:
    """V_a (n, d_v) of the mean over contexts of the attended features Z_a.

    A channel gate multiplies, so that this is the gate ā, the mean over all contexts; else the contexts take turns.
    """
    if net.form.kind not in BY_CONTEXT:
        return embed_photos(net, x, x)
    if net.form.kind == "channel":
        return encoder(net.params, "a", x * mean_gate(net, contexts), arch=net.arch)[0]
    some, z = spread_contexts(contexts), 0
    none = contexts[:1] if net.form.kind == "mask" else x[:1]
    for k in range(len(some)):
        z = z + attend(net.params, x, none, some[k : k + 1], attention=net.form, heads=net.heads)[0][0]
    return encoder(net.params, "a", z / len(some), arch=net.arch)[0]


def spread_contexts(contexts: Array) -> Array:
    """At most CONTEXTS of these, from end to end: classes stand one behind another."""
    count = min(len(contexts), CONTEXTS)
    return contexts[[k * len(contexts) // count for k in range(count)]]


def mean_gate(net: Attended, contexts: Array) -> Array:
    """What a channel gate multiplies Z_a by (D,) on average over contexts: 1 + ā, or ā."""
    w, b = net.params["gate.w"], net.params["gate.b"]
    ones = get_xp(contexts).ones((1, len(b)), dtype=contexts.dtype)
    return channel_gate(ones, contexts, w, b, residual=net.form.residual)[0].mean(axis=0)


def mean_mask(net: Attended, contexts: Array) -> Array:
    """The mean (M,) over maps (n, M, C) of the masks that they make."""
    mask, _ = sigmoid(contexts @ net.params["gate.w"] + net.params["gate.b"])
    return mask[..., 0].mean(axis=0)


def in_tiles(of: Callable[..., Array], rows: int) -> np.ndarray:
    """`of(slice)` for slices of at most TILE rows, one behind another."""
    parts = [of(slice(start, min(start + TILE, rows))) for start in range(0, rows, TILE)]
    return get_xp(*parts).concatenate(parts)


# ---- which sketch --------------------------------------------------------------------------------------------------


def draw_contexts(how: str, dataset: Dataset, parts: Splits, seed: int) -> np.ndarray:
    """The number of the sketch that attends each photo (N + 1,): the last is that of a photo from outside.

    "random": any of the training part. "matched": one of the photo's own class and part, or −1 where there is none, as
    for a photo from outside. Neither is one that was traced from the photo, as long as there is another.
    """
    a, b, rng = dataset.modalities["a"], dataset.modalities["b"], generator(seed, f"attention/{how}")
    if how == "random":
        drawn = np.column_stack([np.arange(len(a.ids) + 1), rng.choice(parts.train["b"], len(a.ids) + 1)])
        rows, own = photos_with_others(dataset, parts.train["b"]), rows_as_set(dataset.apart)
        draw_others(drawn, rows, parts.train["b"], rng, own)
        return drawn[:, 1]
    drawn, apart = np.full(len(a.ids) + 1, -1), pairs_apart(dataset)
    for part in PARTS:
        photos, sketches = getattr(parts, part)["a"], getattr(parts, part)["b"]
        for c in np.unique(a.labels[photos]):
            there = sketches[b.labels[sketches] == c]
            for row in photos[a.labels[photos] == c]:
                others = np.setdiff1d(there, apart[apart[:, 0] == row, 1])
                drawn[row] = rng.choice(others) if len(others) else -1
    return drawn


def pairs_apart(dataset: Dataset) -> np.ndarray:
    """Photos and what was traced from them (P, 2), each pair once."""
    return np.unique(np.zeros((0, 2), int) if dataset.apart is None else dataset.apart, axis=0)


def photos_with_others(dataset: Dataset, sketches: np.ndarray) -> np.ndarray:
    """The numbers of the photos of which not all `sketches` were traced."""
    count = len(dataset.modalities["a"].ids)
    apart = pairs_apart(dataset)
    traced = np.bincount(apart[np.isin(apart[:, 1], sketches), 0], minlength=count)
    return np.flatnonzero(traced < len(sketches))


def drawn_sketches(settings: AttentionSettings, dataset: Dataset, parts: Splits, photos: np.ndarray) -> np.ndarray:
    """The number of the sketch that attends each of these photos (n,). Raises `InputError` where one has none."""
    drawn = draw_contexts(settings.attended_inference, dataset, parts, settings.seed)[photos]
    if (drawn < 0).any():
        raise InputError(
            "attended_inference matched: a photo from outside has no class, and one in a part may have no other sketch "
            "of its class; search with mean or pair"
        )
    return drawn


def drawn_embeddings(run: Run, net: Attended, items: Items, xp: Any = np) -> np.ndarray:
    """V_a (n, d_v) of photos by one drawn sketch each. Raises `InputError` for `matched` and a photo from outside."""
    drawn = drawn_sketches(run.config, run.dataset, run.parts, items.rows["a"])
    x, contexts = items.encoded["a"]["x"], run.encoded["b"]["context"]

    def of(rows):
        return embed_photos(net, *(to_device(array, xp) for array in (x[rows], contexts[drawn[rows]])))

    return to_host(in_tiles(of, len(x)))


# ---- pair by pair --------------------------------------------------------------------------------------------------


def pair_distances(net: Attended, query: Items, gallery: Items, distance: str, xp: Any = np) -> Levels:
    """Levels (B, G) of the queries `rows`, where each pair has an embedding V_a(photo | sketch) of its own.

    One query a thread at a time, against tiles of the gallery: memory is bounded, and but for the rounding of products
    no level depends on the size of a block. The unit is that of the embeddings by the mean, which all pairs share. A
    gallery may hold both: two photos, or two sketches, are compared by what is stored of each.
    """
    (letter,) = query.encoded
    own = {n: to_device(array, xp) for n, array in query.encoded[letter].items()}
    held = {m: {n: to_device(array, xp) for n, array in side.items()} for m, side in gallery.encoded.items()}
    space = prepare(own["v"], xp.concatenate([side["v"] for side in held.values()]), distance, whole=False)

    def of_photo(i: int, sketches: Mapping[str, Array], tile: slice) -> Array:
        v = embed_photos(net, own["x"][i : i + 1], sketches["context"][tile])
        return levels_of_rows(space, v, sketches["v"][tile])

    def of_sketch(i: int, photos: Mapping[str, Array], tile: slice) -> Array:
        v = embed_photos(net, photos["x"][tile], own["context"][i : i + 1])
        return levels_of_rows(space, v, own["v"][i : i + 1])

    def of_its_kind(i: int, others: Mapping[str, Array], tile: slice) -> Array:
        return levels_of_rows(space, others["v"][tile], own["v"][i : i + 1])

    one = {m: of_its_kind if m == letter else of_photo if m == "b" else of_sketch for m in held}

    def of(rows: slice) -> Array:
        numbers = list(range(*rows.indices(len(query))))
        out = xp.empty((len(numbers), len(gallery)), dtype="int64")

        def fill(i: int) -> None:
            parts = [in_tiles(partial(one[m], i, side), len(side["v"])) for m, side in held.items()]
            out[i - numbers[0]] = xp.concatenate(parts)

        each_block(fill, numbers, xp)
        return out

    return Levels(space, of)


def mean_distances(run: Run, query: Array, gallery: Array) -> Levels:
    """Levels (B, G) of one embedding each."""
    space = prepare(query, gallery, run.config.distance)
    return Levels(space, lambda rows: levels(space, rows))


# ---- who writes V_a ------------------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """Shares of the variance of V_a(photo | sketch), which add up to 1; each 0 where nothing varies."""

    photo: float
    sketch: float
    both: float  # the interaction


def variance_shares(v: Array) -> Shares:
    """Shares of the variance of v (P, S, d): of the mean over sketches, of the mean over photos, of the rest.

    v_ps = v̄ + (v_p − v̄) + (v_s − v̄) + rest: the two-way analysis of variance without replication.
    """
    v = v.astype("float64")
    middle = v.mean(axis=(0, 1))
    photo, sketch = v.mean(axis=1, keepdims=True) - middle, v.mean(axis=0, keepdims=True) - middle
    rest = v - middle - photo - sketch
    parts = [float((part * part).mean(axis=(0, 1)).sum()) for part in (photo, sketch, rest)]
    total = sum(parts)
    return Shares(*(part / total if total else 0.0 for part in parts))
