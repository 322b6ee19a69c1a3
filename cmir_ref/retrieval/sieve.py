"""The few items of a gallery that can be among the k nearest, found in float32; what they are is decided in float64.

B queries, G gallery items, D dimensions; centred on the gallery's mean, a query's items are ranked by
s = ‖g‖² − 2 q·g = ‖q − g‖² − ‖q‖². Each GROUP items that follow each other are a group; k groups have k different
smallest members, so the k-th smallest of the groups' minima is a bound that k items at least do not exceed. All that
exceeds it by more than float32's rounding error, and by one level for ties, is none of the k nearest: about k items a
query remain. Only the minima are kept; the few groups that reach below the bound are computed again.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .distances import Space, each_block

GROUP = 16
TILE = 128 * GROUP  # columns of a product: with 128 queries it stays in the processor's cache
QUERIES = 128
GATHERED = 2**22  # numbers of the groups that are computed again at once: 16 MiB
BYTES = 2  # of a (query, item) pair at the peak: a group's minimum, and what is known of at most a 64th of all pairs


class Groups(NamedTuple):
    """A gallery's items in groups, filled up to T whole tiles with items that are nearer to nothing."""

    members: Array  # (groups, GROUP, D + 1) float32: g and ‖g‖²
    tiles: Array  # (T, D + 1, TILE): the same as columns, all groups' first members first: minima take whole rows
    far: float  # the largest ‖g‖


class Sieve(NamedTuple):
    """What all queries share."""

    query: Array  # (Q, D + 1) float32: −2q and 1
    members: Array  # of `Groups`
    tiles: Array
    slack: Array  # (Q,) float64: twice the rounding error of s, and one level


def group_items(gallery: Array, centre: Array) -> Groups:
    """The `Groups` of a gallery (G, D), centred on `centre`."""
    xp, (items, dims) = get_xp(gallery), gallery.shape
    count = -(-items // TILE)
    rows = xp.zeros((count * TILE, dims + 1), dtype="float32")
    rows[items:, -1] = xp.inf
    tiles, far = xp.empty((count, dims + 1, TILE), dtype="float32"), xp.zeros(count)

    def fill(t):
        part = slice(t * TILE, min((t + 1) * TILE, items))
        g = gallery[part] - centre
        g2 = (g * g).sum(axis=1)
        rows[part, :-1], rows[part, -1], far[t] = g, g2, g2.max()
        whole = rows[t * TILE : (t + 1) * TILE].reshape(TILE // GROUP, GROUP, dims + 1)
        tiles[t] = whole.transpose(2, 1, 0).reshape(dims + 1, TILE)

    each_block(fill, range(count), xp)
    return Groups(rows.reshape(-1, GROUP, dims + 1), tiles, xp.sqrt(far.max()))


def sieve(space: Space, groups: Groups | None = None) -> Sieve:
    """The `Sieve` of a space that is Euclidean, or cosine: then on unit vectors. `groups` are those of its gallery.

    A sum of D + 1 products of numbers rounded to float32 is off by less than (D + 4) 2⁻²³ (2‖q‖‖g‖ + ‖g‖²).
    """
    xp, dims = get_xp(space.gallery), space.gallery.shape[1]
    groups = group_items(space.gallery, space.centre) if groups is None else groups
    q, far = space.query - space.centre, groups.far
    error = (dims + 4) * 2.0**-23 * (2 * space.query_length * far + far * far)
    query = xp.concatenate([-2 * q, xp.ones_like(q[:, :1])], axis=1).astype("float32")
    return Sieve(query, groups.members, groups.tiles, 2 * error + space.unit)


def candidates(parts: Sieve, rows: slice, k: int) -> tuple[Array, Array] | None:
    """(query, item) numbers of all pairs that can be among the `k` nearest items of the queries `rows`, flat.

    Queries count from the first of `rows`; the gallery has at least `k` groups. None where more than a 64th of all
    pairs remain, as in a space that has shrunk to a point: then nothing is gained.
    """
    xp = get_xp(parts.query)
    query, (count, columns, _) = parts.query[rows], parts.tiles.shape
    width = TILE // GROUP
    s = xp.empty((len(query), TILE), dtype="float32")
    minima = xp.empty((len(query), count * width), dtype="float32")
    for t in range(count):
        xp.matmul(query, parts.tiles[t], out=s)
        minima[:, t * width : (t + 1) * width] = s.reshape(-1, GROUP, width).min(axis=1)  # CuPy's min fails with `out`
    bound = xp.partition(minima, k - 1, axis=1)[:, k - 1] + parts.slack[rows]
    row, group = xp.nonzero(minima <= bound[:, None])
    if len(row) > minima.size // 4:
        return None
    found, step = [], max(1, GATHERED // (GROUP * columns))
    for start in range(0, len(row), step):
        r, g = row[start : start + step], group[start : start + step]
        again = xp.matmul(parts.members[g], query[r, :, None])[:, :, 0]
        chosen, member = xp.nonzero(again <= bound[r, None])
        found.append((r[chosen], g[chosen] * GROUP + member))
    row, item = (xp.concatenate(numbers) for numbers in zip(*found, strict=True))
    return (row, item) if len(row) <= minima.size * GROUP // 64 else None
