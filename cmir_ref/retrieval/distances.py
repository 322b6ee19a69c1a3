"""Distances on a grid: equal embeddings tie, whatever the rounding of a product or the size of a block.

Q queries, G gallery items, D dimensions. A distance is a whole number of steps of a grid (its *level*), so that a tie
is an equality of integers. Everything is computed in float64, whatever the embeddings' dtype.

| kind | distance | one level |
|---|---|---|
| `euclidean` | ‖q − g‖ | 1e-7 · ν² of the squared distance |
| `cosine` | 1 − q·g / (‖q‖ ‖g‖) | as of unit vectors, ‖q − g‖² = 2 (1 − cos) |
| `released` | [(Σ_{d>0} d^1.5)² + (Σ_{d<0} |d|^1.5)²]^¼, d = q − g | 1e-9 · ν^¾ of the distance |

The first is the paper's; the last is the one that the released MATLAB ranks by (`dist_codes/KNNcode.m:24,31`: it sums
√d·d, which is complex for d < 0, takes the root, and sorts by modulus). ν² is the median of ‖v − c‖² over queries and
gallery, but at least a millionth of the largest; c is the gallery's mean, without what lies 16 times as far from it as
the median does. So one far item does not make all others tie, and neither does a common offset: those that are nearly
as far from a query begin to tie where that item is some 100 000 times as far as they are, all of them at ten million.
What differs by no more than the last bits of its own numbers (`ROUNDING` of them) ties, too, by `euclidean` and
`cosine`; in every kind a gallery that is one point up to its rounding is one point.

Cosine takes the angle at the origin, with no centring before: an angle at the gallery's mean would change with what
else the gallery holds, and one item alone would have none. From there on it is Euclidean, on unit vectors, and keeps
the rule of ties and every fast path. A vector of zeros has no direction: it gets one of its own, at right angles to
all others, so that its distance is 1 to everything but another vector of zeros, which it ties with at 0.
"""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError
from ..parallel import cores, map_threads

KINDS = ("euclidean", "cosine", "released")
EUCLIDEAN_STEP = 1e-7
RELEASED_STEP = 1e-9
ROUNDING = 4  # last bits of an embedding's numbers
FAR = 1e-6  # the least share of the largest squared norm that ν² is
FEW_FAR = 16  # median lengths: items beyond would shift the mean, and with it all lengths
TILE = 2**18  # elements of a tile: its temporaries stay in the processor's cache


class Space(NamedTuple):
    """What the distances of two sets share; computed once, so that blocks of any size give the same levels."""

    kind: str
    query: Array  # (Q, D) float64, divided by `scale`
    gallery: Array  # (G, D) float64, divided by `scale`
    left: Array | None  # (Q, D + 2): left @ right is the squared Euclidean distance in levels; see `with_factors`
    right: Array | None  # (D + 2, G)
    unit: float  # one level, in units of scale² (euclidean, cosine) or scale^¾ (released)
    scale: float  # a power of two: dividing by it is exact, and no square overflows
    centre: Array  # (D,) the gallery's mean, divided by `scale`
    query_length: Array  # (Q,) ‖q − c‖, divided by `scale`
    gallery_length: Array  # (G,)
    highest: float  # no Euclidean level is above it


class GallerySide(NamedTuple):
    """What a gallery alone gives to a `Space`; kept, it serves any number of searches."""

    kind: str
    vectors: Array  # (G, D) float64, divided by `scale`
    scale: float
    centre: Array  # (D,)
    length: Array  # (G,) ‖g − c‖, divided by `scale`
    square: Array  # (G,) ‖g‖², divided by `scale`²
    last_bit: float  # of the numbers of the embeddings


def prepare(query: Array, gallery: Array | GallerySide, kind: str = "euclidean", *, whole: bool = True) -> Space:
    """The `Space` of `query` (Q, D) and `gallery` (G, D); without `left` and `right` where not `whole`.

    A `GallerySide` in place of the gallery gives the same, in its own kind. Raises `InputError` for an unknown kind,
    arrays that are empty or not (N, D) with one D, and values that are not finite.
    """
    side = gallery if isinstance(gallery, GallerySide) else None
    xp = get_xp(query, gallery if side is None else side.vectors)
    kind = _check_kind(kind if side is None else side.kind)
    last_bit, query = _last_bit(query), _as_compared(query, "query", kind)
    largest = float(xp.abs(query).max())
    side = gallery_side(gallery, kind, largest) if side is None else side
    scale = power_above(max(largest, side.scale))
    if scale > side.scale * (1 if kind == "released" else 2.0**64):  # its roots are not exact; or squares overflow
        side = _at_scale(side, scale)
    dims = [v.shape[1] - (kind == "cosine") for v in (query, side.vectors)]
    if dims[0] != dims[1]:
        raise InputError(f"query has {dims[0]} dimensions and gallery {dims[1]}: they must agree")
    query = query / side.scale
    query_length = _length(query, side.centre)
    squares = xp.concatenate([query_length, side.length]) ** 2
    middle = max(float(xp.median(squares)), FAR * float(squares.max())) or 1.0  # all the same: any unit will do
    size = float(xp.median(xp.concatenate([(query * query).sum(axis=1), side.square])))
    last_bit = max(last_bit, side.last_bit)
    middle = max(middle, (ROUNDING * last_bit) ** 2 * size / EUCLIDEAN_STEP)
    unit = EUCLIDEAN_STEP * middle if kind != "released" else RELEASED_STEP * middle**0.375
    lengths = query_length, side.length
    highest = sum(float(length.max()) for length in lengths) ** 2 / unit
    space = Space(kind, query, side.vectors, None, None, unit, side.scale, side.centre, *lengths, highest)
    return with_factors(space) if whole else space


def gallery_side(gallery: Array, kind: str = "euclidean", largest: float = 0.0) -> GallerySide:
    """The `GallerySide` of a gallery (G, D), for queries whose numbers are at most `largest`, or not much more.

    Raises `InputError` as `prepare` does.
    """
    xp, kind, last_bit = get_xp(gallery), _check_kind(kind), _last_bit(gallery)
    gallery = _as_compared(gallery, "gallery", kind)
    scale = power_above(max(largest, float(xp.abs(gallery).max())))
    gallery = gallery / scale
    centre = _mean(gallery)
    length = _length(gallery, centre)
    near = length <= FEW_FAR * float(xp.median(length))
    if bool(near.any()) and not bool(near.all()):
        centre = _mean(gallery[near])
        length = _length(gallery, centre)
    if float(length.max()) <= ROUNDING / 2 * last_bit * math.sqrt(float((centre * centre).sum())):  # one point
        gallery, length = xp.broadcast_to(centre, gallery.shape).copy(), xp.zeros_like(length)
    square = (gallery * gallery).sum(axis=1)
    return GallerySide(kind, gallery, scale, centre, length, square, last_bit)


def _as_compared(v: Array, name: str, kind: str) -> Array:
    """Embeddings (N, D) in float64; for cosine unit vectors (N, D + 1)."""
    v = embeddings(v, name)
    if kind == "cosine":
        return directions(v)
    return v


def _at_scale(side: GallerySide, scale: float) -> GallerySide:
    """The same side in another power of two."""
    f = side.scale / scale
    vectors, centre, length = side.vectors * f, side.centre * f, side.length * f
    return side._replace(vectors=vectors, scale=scale, centre=centre, length=length, square=side.square * f * f)


def power_above(largest: float) -> float:
    """The power of two that numbers of at most this size are divided by."""
    return 2.0 ** (math.frexp(largest)[1] - 1) if largest else 1.0


def _last_bit(v: Array) -> float:
    return float(get_xp(v).finfo(v.dtype).eps) if v.dtype.kind == "f" else 0.0


def _check_kind(kind: str) -> str:
    if kind not in KINDS:
        raise InputError(f"distance: {kind!r} is none of {', '.join(KINDS)}")
    return kind


def _length(v: Array, centre: Array) -> Array:
    """‖v − c‖ of each row (N,)."""
    xp = get_xp(v)
    v = v - centre
    return xp.sqrt((v * v).sum(axis=1))


def _mean(v: Array) -> Array:
    """The mean (D,) of v (N, D), bit for bit the same in any order of the rows: a sum of whole numbers is exact.

    One of them is a step as small as fits 64 bits, about 2⁻⁶² N of the widest dimension's range.
    """
    xp = get_xp(v)
    low, high = v.min(axis=0), v.max(axis=0)
    middle = low + (high - low) / 2
    step = 2.0 ** (math.frexp(float((high - low).max()) or 1.0)[1] + len(v).bit_length() - 62)
    return middle + xp.rint((v - middle) / step).astype("int64").sum(axis=0) * (step / len(v))


def directions(v: Array) -> Array:
    """Unit vectors (N, D + 1) of v (N, D); the last column is 1 for a vector of zeros, else 0."""
    xp = get_xp(v)
    largest = xp.abs(v).max(axis=1, keepdims=True)
    v = v / xp.where(largest > 0, largest, 1)  # no square overflows, and none vanishes
    unit = v / xp.sqrt(xp.maximum((v * v).sum(axis=1, keepdims=True), 1))
    return xp.concatenate([unit, largest == 0], axis=1)


def with_factors(space: Space) -> Space:
    """`space` with `left` and `right` where `levels` of a whole gallery need them: not where it is `released`."""
    if space.kind == "released":
        return space
    xp, unit = get_xp(space.gallery), space.unit
    q, g = space.query - space.centre, space.gallery - space.centre  # |q|² + |g|² − 2 q·g cancels less so
    q2, g2 = (q * q).sum(axis=1)[:, None], (g * g).sum(axis=1)[:, None]
    left = xp.concatenate([q * (-2 / unit), q2 / unit, xp.ones_like(q2)], axis=1)
    right = xp.concatenate([g, xp.ones_like(g2), g2 / unit], axis=1).T
    return space._replace(left=left, right=right)


def levels(space: Space, rows: slice = slice(None)) -> Array:
    """Distances of the queries `rows` to the whole gallery, in levels: (B, G), int32, or int64 where need be.

    Each level is a function of its query and its item alone: round(‖q − g‖² / unit), the sum taken over the uncentred
    difference. The matrix product says the same except within its rounding error of a half level; those few are summed
    directly.
    """
    xp = get_xp(space.query, space.gallery)
    query, items = space.query[rows], space.gallery.shape[0]
    left = None if space.left is None else space.left[rows]
    narrow = space.kind != "released" and space.highest < 2**31 - 2
    out = xp.empty((query.shape[0], items), dtype="int32" if narrow else "int64")
    width = max(1, TILE // max(1, query.shape[0]))
    for start in range(0, items, width):
        part = slice(start, start + width)
        if space.kind == "released":
            out[:, part] = xp.rint(_released(query, space.gallery[part]) / space.unit)
        else:
            out[:, part] = _euclidean(space, rows, part, left @ space.right[:, part])
    return out


def _euclidean(space: Space, rows: slice, part: slice, product: Array) -> Array:
    """`product` (B, T) of squared distances in units, rounded as the direct sum over (q − g)² would round.

    Both are sums of D + 2 terms that add up to less than (‖q − c‖ + ‖g − c‖)², so they differ by less than
    (D + 8) 2⁻⁵¹ of that: next to nothing, but many levels of an item that is far beyond ν.
    """
    xp = get_xp(product)
    query, gallery = space.query[rows], space.gallery[part]
    rounded = xp.rint(product)
    product -= rounded
    share = (query.shape[1] + 8) * 2.0**-51
    error = share * space.highest
    if error > 0.1:  # seldom: then pair by pair
        reach = space.query_length[rows, None] + space.gallery_length[part]
        error = reach * reach * (share / space.unit)
    doubtful = xp.flatnonzero(xp.abs(product) > 0.5 - error)
    step = max(1, TILE // query.shape[1])
    for start in range(0, len(doubtful), step):
        i, j = xp.divmod(doubtful[start : start + step], gallery.shape[0])
        rounded[i, j] = _direct(query[i] - gallery[j], space.unit)
    return rounded


def _direct(d: Array, unit: float) -> Array:
    """Levels (B,) of differences (B, D): the definition."""
    return get_xp(d).rint((d * d).sum(axis=1) / unit)


def levels_of_pairs(space: Space, query: Array, item: Array) -> Array:
    """Levels of some pairs alone, not of `released`, by their numbers (P,): what `levels` says of them, int64 (P,)."""
    xp = get_xp(space.query)
    out = xp.empty(len(query), dtype="int64")
    step = max(1, TILE // space.query.shape[1])
    for start in range(0, len(query), step):
        pairs = slice(start, start + step)
        out[pairs] = _direct(space.query[query[pairs]] - space.gallery[item[pairs]], space.unit)
    return out


def levels_of_rows(space: Space, v: Array, w: Array) -> Array:
    """Levels (N,) of each row of v (N, D) and the same row of w (N, D), or its only one: embeddings of pairs.

    They are not those that `space` was made of, but have its kind, scale and level. Raises `InputError` as `prepare`.
    """
    xp = get_xp(v, w)
    v, w = embeddings(v, "v"), embeddings(w, "w")
    if space.kind == "cosine":
        v, w = directions(v), directions(w)
    d = (v - w) / space.scale
    if space.kind != "released":
        return _direct(d, space.unit).astype("int64")
    up, down = xp.maximum(d, 0), xp.maximum(-d, 0)
    above, below = (up * xp.sqrt(up)).sum(axis=1), (down * xp.sqrt(down)).sum(axis=1)
    return xp.rint(xp.sqrt(xp.sqrt(above * above + below * below)) / space.unit).astype("int64")


def _released(query: Array, gallery: Array) -> Array:
    """[(Σ_{d>0} d^1.5)² + (Σ_{d<0} |d|^1.5)²]^¼ for all pairs (B, T), one dimension at a time."""
    xp = get_xp(query, gallery)
    above = xp.zeros((query.shape[0], gallery.shape[0]))
    below = xp.zeros_like(above)
    for k in range(query.shape[1]):
        d = query[:, k, None] - gallery[None, :, k]
        up, down = xp.maximum(d, 0), xp.maximum(-d, 0)
        above += up * xp.sqrt(up)
        below += down * xp.sqrt(down)
    return xp.sqrt(xp.sqrt(above * above + below * below))


def distance_of(space: Space, level: Array) -> Array:
    """Distances, in the embeddings' own units, of `level`: float64 of the same shape."""
    xp = get_xp(level)
    if space.kind == "released":
        return level * (space.unit * space.scale**0.75)
    if space.kind == "cosine":
        return level * (0.5 * space.unit * space.scale**2)
    return xp.sqrt(level * space.unit) * space.scale


class Levels(NamedTuple):
    """Levels of a space, block by block: called with the queries `rows` it gives (B, G)."""

    space: Space
    of_rows: Callable[[slice], Array]

    def __call__(self, rows: slice) -> Array:
        return self.of_rows(rows)


def in_units(distances: Callable[[slice], Array], some: Array) -> Array:
    """`some` of what `distances` gives, in the embeddings' own units: levels are no distances yet, all else is."""
    return distance_of(distances.space, some) if isinstance(distances, Levels) else some


def squared_distances(query: Array, gallery: Array) -> Array:
    """Squared Euclidean distances (Q, G) of `query` (Q, D) and `gallery` (G, D), float64.

    ‖q − g‖², rounded to multiples of the unit, max(1e-7 · median, 1e-13 · largest) of ‖v − c‖² over queries and
    gallery, c the gallery's mean without what lies far away: equal multiples are ties. Raises `InputError` as `prepare`
    does. For large sets take `prepare` once and `levels` by blocks: the result is the same, bit for bit.
    """
    space = prepare(query, gallery)
    return levels(space) * space.unit * space.scale * space.scale


def embeddings(v: Array, name: str) -> Array:
    """`v` as float64 (N, D); raises `InputError` that names it where it is no such thing or not finite."""
    xp = get_xp(v)
    if v.ndim != 2 or 0 in v.shape or v.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected real embeddings (N, D), neither of them 0, got {v.dtype} {v.shape}")
    v = v.astype("float64")
    wrong = int((~xp.isfinite(v).all(axis=1)).sum())
    if wrong:
        raise InputError(f"{name}: {wrong} of {len(v)} embeddings are not finite; did training diverge?")
    return v


def check_k(k: int) -> None:
    """Raises `InputError` unless `k` is a whole number from 1."""
    if not isinstance(k, Integral) or k < 1:
        raise InputError(f"k: expected a whole number from 1, got {k!r}")


def exclusions(exclude: Array | None, queries: int, items: int, xp) -> Array | None:
    """(Q, E) int64 of integers (Q,) or (Q, E), each an index into the gallery or −1; `None` where nothing is excluded.

    No row names an item twice, and E is the most that one query excludes. Raises `InputError` for anything else.
    """
    if exclude is None:
        return None
    exclude = xp.asarray(exclude)
    if exclude.ndim not in (1, 2) or len(exclude) != queries or (exclude.size and exclude.dtype.kind not in "iu"):
        raise InputError(
            f"exclude: expected {queries} integers, one a query or a row a query, got {exclude.dtype} {exclude.shape}"
        )
    exclude = exclude.reshape(queries, exclude.shape[1] if exclude.ndim == 2 else 1).astype("int64")
    if exclude.size and (int(exclude.min()) < -1 or int(exclude.max()) >= items):
        raise InputError(f"exclude: expected indices into a gallery of {items}, or -1 for none")
    if exclude.shape[1] > 1:
        exclude = xp.sort(exclude, axis=1)
        again = exclude[:, 1:] == exclude[:, :-1]
        exclude[:, 1:] = xp.sort(xp.where(again, -1, exclude[:, 1:]), axis=1)
        exclude = xp.sort(exclude, axis=1)
    most = int((exclude >= 0).sum(axis=1).max()) if queries else 0
    return exclude[:, exclude.shape[1] - most :] if most else None


def excluded_pairs(exclude: Array) -> tuple[Array, Array]:
    """(query, item) numbers of everything that `exclude` (B, E) names, flat."""
    row, place = get_xp(exclude).nonzero(exclude >= 0)
    return row, exclude[row, place]


def blocks(rows: int, row_bytes: int, memory_mb: float, most: int | None = None) -> list[slice]:
    """Slices of `rows`, each at least 1 and at most `most` long.

    As many as there are cores, at once, fit in `memory_mb` MiB; one takes 64 MiB at most (more is slower).
    """
    step = max(1, int(min(memory_mb / cores(), 64) * 2**20 // row_bytes))
    step = min(step, most or step)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def each_block(work: Callable[[Any], None], parts: list, xp) -> None:
    """Calls `work` on every part, which writes its own rows of the results: in threads where arrays are NumPy's."""
    if xp.__name__ == "numpy":
        map_threads(work, parts)
    else:
        for part in parts:
            work(part)
