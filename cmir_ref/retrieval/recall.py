"""Recall at k and the median rank: what is asked where a query has one right answer, or a few.

Q queries; `groups` as `ties.tie_groups` makes them. Ties are broken by a fair order, so that a figure is an
expectation, or a probability, over the orders of the tied items.
"""

from ..backend import Array, get_xp
from .distances import check_k
from .ties import TieGroups, tie_groups


def recall_at_k(distances: Array, relevant: Array, k: int, exclude: Array | None = None) -> Array:
    """Probability that a relevant item is among the first k of each query's ranking (Q,), ties in a random order.

    Let the first tie group that holds a relevant item have n items, r of them relevant, below t others. Of its items
    c = clip(k − t, 0, n) stand among the first k, and none of them is relevant with probability C(n−r, c)/C(n, c):

        R@k = 1 − Π_{i=0}^{c−1} (n − r − i)/(n − i)

    NaN where a query has no relevant item. Raises `InputError` for k < 1 and as `tie_groups` does.
    """
    return recall_of_groups(tie_groups(distances, relevant, exclude), k)


def recall_of_groups(groups: TieGroups, k: int) -> Array:
    """`recall_at_k` of the rankings that `groups` describe."""
    xp = get_xp(groups.row)
    check_k(k)
    queries, first = _first_groups(groups)
    above, size, relevant = groups.above[first], groups.size[first], groups.relevant[first]
    count = xp.clip(k - above, 0, size)
    missed = xp.ones(len(first))
    for i in range(int(count.max()) if len(count) else 0):  # beyond its own count a group's product stays as it is
        factor = xp.maximum(size - relevant - i, 0) / xp.maximum(size - i, 1)
        missed = xp.where(i < count, missed * factor, missed)
    out = xp.full(len(groups.total), xp.nan)
    out[queries] = 1 - missed
    return out


def first_rank(distances: Array, relevant: Array, exclude: Array | None = None) -> Array:
    """Expected rank, from 1, of each query's first relevant item (Q,), ties in a random order; NaN where it has none.

    Of n tied items below t others the first of r relevant ones stands at t + (n + 1)/(r + 1) on average.
    """
    return rank_of_groups(tie_groups(distances, relevant, exclude))


def rank_of_groups(groups: TieGroups) -> Array:
    """`first_rank` of the rankings that `groups` describe."""
    xp = get_xp(groups.row)
    queries, first = _first_groups(groups)
    out = xp.full(len(groups.total), xp.nan)
    out[queries] = groups.above[first] + (groups.size[first] + 1) / (groups.relevant[first] + 1)
    return out


def _first_groups(groups: TieGroups) -> tuple[Array, Array]:
    """(queries that have a relevant item, the number of each one's first group): groups stand in order of rank."""
    xp = get_xp(groups.row)
    first = xp.flatnonzero(xp.diff(groups.row, prepend=-1))
    return groups.row[first], first
