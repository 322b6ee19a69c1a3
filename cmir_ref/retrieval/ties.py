"""Rankings as groups of tied items: all that tie-aware metrics need, from one sort.

Q queries, G gallery items. `distances` is (Q, G), floats or integers, smaller is nearer, equal is tied; `relevant` is
(Q, G) boolean; `exclude` (Q,) or (Q, E) names the items of the gallery that a query must not find, as itself, −1 for
none: they are neither ranked nor counted.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError, NotFinite
from .distances import excluded_pairs, exclusions


class TieGroups(NamedTuple):
    """The groups of tied items that hold a relevant one, of all rankings of a block, flat and in order of rank."""

    row: Array  # the query
    above: Array  # items ranked before the group
    size: Array  # items in it
    relevant_above: Array
    relevant: Array
    total: Array  # (Q,) relevant items of each query
    items: Array  # (Q,) gallery items of each query: G, less the excluded ones


def tie_groups(distances: Array, relevant: Array, exclude: Array | None = None) -> TieGroups:
    """The rankings by `distances`, as groups of equal distance: all that tie-aware metrics need, from one sort.

    Raises `InputError` for shapes that differ and distances that are not finite. Integers are exact to ±2⁶¹.
    """
    xp = get_xp(distances, relevant)
    check_pairs(distances, relevant)
    queries, items = distances.shape
    exclude = exclusions(exclude, queries, items, xp)
    tied, hit = _sorted(distances, relevant.astype(bool), exclude)
    edge = xp.flatnonzero(tied[1:] != tied[:-1])  # of all rankings one behind another: runs of ties, first and last
    start, end = edge[0::2], edge[1::2]
    found = xp.flatnonzero(hit)
    first, last = found.copy(), found.copy()
    inside = xp.flatnonzero(tied[found] | tied[found + 1])
    run = xp.searchsorted(start, found[inside], side="right") - 1
    first[inside], last[inside] = start[run], end[run]
    new = xp.flatnonzero(xp.diff(first, prepend=-1))  # the first relevant item of each group
    row, above = first[new] // items, first[new] % items
    total = hit.sum(axis=1)
    before = new - (xp.cumsum(total) - total)[row]
    usable = xp.full(queries, items) if exclude is None else items - (exclude >= 0).sum(axis=1)
    size = last[new] - first[new] + 1
    return TieGroups(row, above, size, before, xp.diff(xp.append(new, len(found))), total, usable)


def one_tie(groups: TieGroups) -> TieGroups:
    """The rankings of the same queries where all of their items are tied: what chance is."""
    xp = get_xp(groups.row)
    row = xp.flatnonzero(groups.total > 0)
    none, items, relevant = xp.zeros_like(row), groups.items[row], groups.total[row]
    return TieGroups(row, none, items, none, relevant, groups.total, groups.items)


def check_pairs(distances: Array, relevant: Array) -> None:
    """Raises `InputError` for shapes that differ and distances that are no real numbers or not finite."""
    xp = get_xp(distances, relevant)
    if distances.ndim != 2 or distances.shape != relevant.shape or 0 in distances.shape:
        raise InputError(f"distances {distances.shape} and relevant {relevant.shape}: expected both (Q, G), not empty")
    if distances.dtype.kind not in "iuf":
        raise InputError(f"distances: expected floats or integers, got {distances.dtype}")
    if distances.dtype.kind == "f" and not bool(xp.isfinite(distances).all()):
        raise NotFinite("distances: not all of them are finite")


def _sorted(distances: Array, relevant: Array, exclude: Array | None) -> tuple[Array, Array]:
    """Each row in ascending order of distance, excluded items last: which items tie with the one before, of all rows
    one behind another and with a False after them (Q·G + 1,), and which are relevant (Q, G)."""
    xp = get_xp(distances, relevant)
    tied = xp.zeros(distances.size + 1, dtype=bool)
    same = tied[:-1].reshape(distances.shape)[:, 1:]
    own = None if exclude is None else excluded_pairs(exclude)
    if distances.dtype.kind in "iu":  # a sort of values: relevance rides in the lowest bit
        low, high = int(distances.min()), int(distances.max())
        packed = distances.astype("int32" if max(-low, high) < 2**29 else "int64") << 1
        packed |= ~relevant
        if own is not None:
            packed[own] = 2 * high + 3  # odd: not relevant
        packed.sort(axis=1)
        hit = (packed & 1) == 0
        packed |= 1
        xp.equal(packed[:, 1:], packed[:, :-1], out=same)
        return tied, hit
    if own is not None:
        distances, relevant = distances.copy(), relevant.copy()
        distances[own], relevant[own] = xp.inf, False
    order = xp.argsort(distances, axis=1)
    value = xp.take_along_axis(distances, order, axis=1)
    xp.equal(value[:, 1:], value[:, :-1], out=same)
    return tied, xp.take_along_axis(relevant, order, axis=1)
