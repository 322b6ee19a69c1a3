"""The few items of a gallery that can be among the k nearest, found in float32; what they are is decided in float64.

B queries, G gallery items, D dimensions; centred on the gallery's mean, a query's items are ranked by
s = ‖g‖² − 2 q·g = ‖q − g‖² − ‖q‖². Items are dealt into groups; k groups have k different smallest members, so the
k-th smallest of the groups' minima is a bound that k items at least do not exceed. All that exceeds it by more than
float32's rounding error, and by one level for ties, is none of the k nearest: about k items a query remain.
"""

from typing import NamedTuple

from cmir_ref.backend import Array, get_xp
from cmir_ref.retrieval.distances import Space

GROUP = 32  # items of a group: every 128th of a tile, so that minima are taken of whole rows
TILE = 128 * GROUP  # columns of a product: with 128 queries it stays in the processor's cache
QUERIES = 128


class Sieve(NamedTuple):
    """What all queries share."""

    query: Array  # (Q, D + 1) float32: −2q and 1
    gallery: Array  # (D + 1, G up to a whole tile) float32: g and ‖g‖², nothing nearer than infinity beyond G
    slack: Array  # (Q,) float64: twice the rounding error of s, and one level


def sieve(space: Space) -> Sieve:
    """The `Sieve` of a Euclidean space.

    A sum of D + 1 products of numbers rounded to float32 is off by less than (D + 4) 2⁻²³ (2‖q‖‖g‖ + ‖g‖²).
    """
    xp = get_xp(space.gallery)
    centre = space.gallery.mean(axis=0)
    q, g = space.query - centre, space.gallery - centre
    g2, dims = (g * g).sum(axis=1), g.shape[1]
    far = xp.sqrt(g2.max())
    error = (dims + 4) * 2.0**-23 * (2 * xp.sqrt((q * q).sum(axis=1)) * far + far * far)
    padded = xp.zeros((dims + 1, -(-len(g) // TILE) * TILE), dtype="float32")
    padded[:-1, : len(g)], padded[-1, : len(g)] = g.T, g2
    padded[-1, len(g) :] = xp.inf
    query = xp.concatenate([-2 * q, xp.ones_like(q[:, :1])], axis=1).astype("float32")
    return Sieve(query, padded, 2 * error + space.unit)


def candidates(parts: Sieve, rows: slice, k: int) -> tuple[Array, Array]:
    """(query, item) numbers of all pairs that can be among the `k` nearest items of the queries `rows`, flat.

    Queries count from the first of `rows`; the gallery has at least `k` groups.
    """
    xp = get_xp(parts.query)
    query, items = parts.query[rows], parts.gallery.shape[1]
    count, width = len(query), TILE // GROUP
    s = xp.empty((count, items // TILE, GROUP, width), dtype="float32")
    minima = xp.empty((count, items // TILE, width), dtype="float32")
    for tile in range(items // TILE):
        product = query @ parts.gallery[:, tile * TILE : (tile + 1) * TILE]
        s[:, tile] = product.reshape(count, GROUP, width)
        minima[:, tile] = s[:, tile].min(axis=1)
    bound = xp.partition(minima.reshape(count, -1), k - 1, axis=1)[:, k - 1] + parts.slack[rows]
    row, tile, place = xp.nonzero(minima <= bound[:, None, None])
    chosen, member = xp.nonzero(s[row, tile, :, place] <= bound[row][:, None])
    return row[chosen], tile[chosen] * TILE + member * width + place[chosen]
