"""Ranking metrics, each with its definition.

Q queries, G gallery items, C classes. `distances` is (Q, G), floats or integers, smaller is nearer, equal is tied;
`relevant` is (Q, G) boolean; `exclude` (Q,) names the item of the gallery that is the query itself, −1 for none: it is
neither ranked nor counted. Per-query results are NaN where a query has no relevant item: there is nothing to average.
"""

from typing import NamedTuple

from ..backend import Array, get_xp, to_host
from ..errors import InputError
from .distances import blocks, each_block, exclusions, levels, prepare
from .neighbours import put_last, smallest

BYTES = 64  # of a (query, item) pair at the peak: level, relevance, sorted copy, running counts


class TieGroups(NamedTuple):
    """The groups of tied items that hold a relevant one, of all rankings of a block, flat and in order of rank."""

    row: Array  # the query
    above: Array  # items ranked before the group
    size: Array  # items in it
    relevant_above: Array
    relevant: Array
    total: Array  # (Q,) relevant items of each query
    items: Array  # (Q,) gallery items of each query: G, less the excluded one


def tie_groups(distances: Array, relevant: Array, exclude: Array | None = None) -> TieGroups:
    """The rankings by `distances`, as groups of equal distance: all that tie-aware metrics need, from one sort.

    Raises `InputError` for shapes that differ and distances that are not finite. Integers are exact to ±2⁶¹.
    """
    xp = get_xp(distances, relevant)
    _check_pairs(distances, relevant)
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
    usable = xp.full(queries, items) if exclude is None else items - (exclude >= 0)
    size = last[new] - first[new] + 1
    return TieGroups(row, above, size, before, xp.diff(xp.append(new, len(found))), total, usable)


def _check_pairs(distances: Array, relevant: Array) -> None:
    xp = get_xp(distances, relevant)
    if distances.ndim != 2 or distances.shape != relevant.shape or 0 in distances.shape:
        raise InputError(f"distances {distances.shape} and relevant {relevant.shape}: expected both (Q, G), not empty")
    if distances.dtype.kind not in "iu" and not bool(xp.isfinite(distances).all()):
        raise InputError("distances: not all of them are finite")


def _sorted(distances: Array, relevant: Array, exclude: Array | None) -> tuple[Array, Array]:
    """Each row in ascending order of distance, an excluded item last: which items tie with the one before, of all rows
    one behind another and with a False after them (Q·G + 1,), and which are relevant (Q, G)."""
    xp = get_xp(distances, relevant)
    tied = xp.zeros(distances.size + 1, dtype=bool)
    same = tied[:-1].reshape(distances.shape)[:, 1:]
    row = None if exclude is None else xp.flatnonzero(exclude >= 0)
    if distances.dtype.kind in "iu":  # a sort of values: relevance rides in the lowest bit
        low, high = int(distances.min()), int(distances.max())
        packed = distances.astype("int32" if max(-low, high) < 2**29 else "int64") << 1
        packed |= ~relevant
        if row is not None:
            packed[row, exclude[row]] = 2 * high + 3  # odd: not relevant
        packed.sort(axis=1)
        hit = (packed & 1) == 0
        packed |= 1
        xp.equal(packed[:, 1:], packed[:, :-1], out=same)
        return tied, hit
    if row is not None:
        distances, relevant = distances.copy(), relevant.copy()
        distances[row, exclude[row]], relevant[row, exclude[row]] = xp.inf, False
    order = xp.argsort(distances, axis=1)
    value = xp.take_along_axis(distances, order, axis=1)
    xp.equal(value[:, 1:], value[:, :-1], out=same)
    return tied, xp.take_along_axis(relevant, order, axis=1)


def average_precision(distances: Array, relevant: Array, exclude: Array | None = None) -> Array:
    """Average precision of each query over its full ranking (Q,), ties at their expected value over all tie orders.

    AP = (1/R) Σ_p [item at rank p relevant] · (relevant among the first p) / p, R relevant items in all. A group of n
    tied items of which r are relevant, below t items of which R_t are relevant, adds in expectation

        Σ_{i=1..n} (r/n) (R_t + 1 + ρ (i−1)) / (t+i) = (r/n) [ρ n + (R_t + 1 − ρ (t+1)) (H_{t+n} − H_t)],

    ρ = (r−1)/(n−1), H the harmonic numbers. Source: McSherry & Najork, "Computing information retrieval performance
    measures efficiently in the presence of tied scores", ECIR 2008. Raises `InputError` as `tie_groups` does.
    """
    return _average_precision(tie_groups(distances, relevant, exclude))


def _average_precision(groups: TieGroups) -> Array:
    """Average precision (Q,) of the rankings that `groups` describe."""
    xp = get_xp(groups.row)
    gain = _gain(groups.above, groups.size, groups.relevant_above, groups.relevant, int(groups.items.max()))
    return _mean_over_relevant(xp.bincount(groups.row, weights=gain, minlength=len(groups.total)), groups.total)


def _gain(above: Array, size: Array, relevant_above: Array, relevant: Array, items: int) -> Array:
    """Expected sum of the precisions at the relevant items of a tie group: the closed form above."""
    xp = get_xp(above, size)
    harmonic = xp.concatenate([xp.zeros(1), xp.cumsum(1 / xp.arange(1, items + 1))])
    rho = (relevant - 1) / xp.maximum(size - 1, 1)  # any will do where size is 1
    difference = harmonic[above + size] - harmonic[above]
    sum_of_inverses = xp.where(size == 1, 1 / (above + 1), difference)  # 1 / (t+1) is exact, the difference is not
    return relevant / size * (rho * size + (relevant_above + 1 - rho * (above + 1)) * sum_of_inverses)


def _mean_over_relevant(total: Array, relevant: Array) -> Array:
    """`total` / `relevant` (Q,), NaN where there is no relevant item."""
    xp = get_xp(total, relevant)
    return xp.where(relevant > 0, total / xp.maximum(relevant, 1), xp.nan)


def precision_at_k(distances: Array, relevant: Array, k: int, exclude: Array | None = None) -> Array:
    """Share of relevant items among the first k of each query's ranking (Q,), ties at their expected value.

    A tie group of n items, r relevant, below t others contributes r/n for each of its clip(k − t, 0, n) places. k
    beyond the gallery is cut to its size: the precision of the whole gallery. Raises `InputError` for k < 1 and as
    `tie_groups` does. Source: McSherry & Najork 2008.
    """
    return _precision(tie_groups(distances, relevant, exclude), k)


def _precision(groups: TieGroups, k: int) -> Array:
    """Expected precision at k (Q,) of the rankings that `groups` describe."""
    xp = get_xp(groups.row)
    if k < 1:
        raise InputError(f"k: expected at least 1, got {k}")
    k = xp.minimum(k, groups.items)
    places = xp.clip(k[groups.row] - groups.above, 0, groups.size)
    hits = xp.bincount(groups.row, weights=places * groups.relevant / groups.size, minlength=len(k))
    return xp.where(groups.total > 0, hits / xp.maximum(k, 1), xp.nan)


def mean_precision_at_tens(
    distances: Array, relevant: Array, cutoffs: int = 5, ties: str = "index", exclude: Array | None = None
) -> Array:
    """The "MAP" of the released MATLAB (Q,), no average precision: mean of the precisions at 10, 20, …, 10 · `cutoffs`.

    `ties="index"` breaks ties by gallery index, as MATLAB's stable sort does, so that embeddings shrunk to a point
    score whatever the order of the gallery says (the zeros of the paper's Table 4); `"expected"` takes their expected
    value. A cutoff beyond the gallery is cut to its size (the MATLAB stops with an error). Raises `InputError` for
    `cutoffs` < 1, another `ties`, and as `tie_groups` does. Source: `dist_codes/KNNcode.m:110-126,149` (5 cutoffs),
    `speech2imgKNN.m:52-68,90` and `img2speech.m:53-69,90` (10); their book-keeping errors are not reproduced.
    """
    xp = get_xp(distances, relevant)
    _check_tens(cutoffs, ties)
    if ties == "expected":
        return _mean_of_tens(tie_groups(distances, relevant, exclude), cutoffs)
    _check_pairs(distances, relevant)
    rank = xp.unique(distances, return_inverse=True)[1].reshape(distances.shape)  # integers of the same order
    return _mean_of_tens_by_index(rank, relevant.astype(bool), cutoffs, exclusions(exclude, *distances.shape, xp))


def _check_tens(cutoffs: int, ties: str) -> None:
    if cutoffs < 1:
        raise InputError(f"cutoffs: expected at least 1, got {cutoffs}")
    if ties not in ("index", "expected"):
        raise InputError(f"ties: {ties!r} is neither 'index' nor 'expected'")


def _mean_of_tens(groups: TieGroups, cutoffs: int) -> Array:
    """Mean expected precision (Q,) at 10, 20, …, 10 · cutoffs."""
    return sum(_precision(groups, 10 * c) for c in range(1, cutoffs + 1)) / cutoffs


def _mean_of_tens_by_index(level: Array, relevant: Array, cutoffs: int, exclude: Array | None) -> Array:
    """The same with ties in the order of the gallery; `level` are integers."""
    xp = get_xp(level, relevant)
    queries, items = level.shape
    usable = xp.full(queries, items)
    if exclude is not None:
        level, relevant, usable = level.copy(), relevant.copy(), items - (exclude >= 0)
        put_last(level, exclude)
        row = xp.flatnonzero(exclude >= 0)
        relevant[row, exclude[row]] = False
    column, _ = smallest(level, min(10 * cutoffs, items))
    hits = xp.cumsum(xp.take_along_axis(relevant, column, axis=1), axis=1, dtype="int64")
    k = xp.minimum(10 * xp.arange(1, cutoffs + 1)[None, :], usable[:, None])
    mean = (xp.take_along_axis(hits, xp.maximum(k - 1, 0), axis=1) / xp.maximum(k, 1)).mean(axis=1)
    return xp.where(relevant.any(axis=1), mean, xp.nan)


def chance(relevant: Array, items: Array | int) -> tuple[Array, Array]:
    """Expected average precision and precision, (Q,) each, of a random order of `items` of which `relevant` (Q,) are.

    AP = (r−1)/(n−1) + (1 − (r−1)/(n−1)) · H_n/n, precision r/n: the whole gallery is one tie. (AP is above r/n, the
    prevalence, the more so the rarer the relevant items.)
    """
    xp = get_xp(relevant)
    items = xp.maximum(xp.broadcast_to(xp.asarray(items), relevant.shape), 1)
    none = xp.zeros_like(relevant)
    ap = _mean_over_relevant(_gain(none, items, none, relevant, int(items.max())), relevant)
    return ap, xp.where(relevant > 0, relevant / items, xp.nan)


def relevance(query_labels: Array, gallery_labels: Array) -> Array:
    """Which items are relevant to which queries (Q, G), boolean: the same class, or at least one shared label.

    Labels are integer classes (N,) or multi-hot (N, C), in any mix: class c is the multi-hot vector with a one at c.
    Raises `InputError` for other shapes or values, for two C that differ, and for a class outside 0 … C−1 in a mix.
    """
    check_labels(query_labels, gallery_labels)
    return _relevance(query_labels, gallery_labels)


def _relevance(query: Array, gallery: Array) -> Array:
    """`relevance` of labels that have been checked."""
    xp = get_xp(query, gallery)
    if query.ndim == 1 and gallery.ndim == 1:
        return query[:, None] == gallery[None, :]
    if query.ndim == 1:
        return gallery.T[query] > 0
    if gallery.ndim == 1:
        return query[:, gallery] > 0
    return query.astype("float32") @ gallery.astype("float32").T > xp.float32(0.5)


def check_labels(query: Array, gallery: Array) -> None:
    """Raises `InputError` where `relevance` cannot compare the two."""
    for name, labels in (("query labels", query), ("gallery labels", gallery)):
        if labels.ndim not in (1, 2) or 0 in labels.shape:
            raise InputError(f"{name}: expected classes (N,) or multi-hot (N, C), got shape {labels.shape}")
        if labels.ndim == 1 and labels.dtype.kind not in "iu":
            raise InputError(f"{name}: expected integer classes, got {labels.dtype}")
        if labels.ndim == 2 and not bool(((labels == 0) | (labels == 1)).all()):
            raise InputError(f"{name}: multi-hot labels hold values other than 0 and 1")
    wide = {labels.shape[1] for labels in (query, gallery) if labels.ndim == 2}
    if len(wide) == 2:
        raise InputError(f"query labels have {query.shape[1]} columns and gallery labels {gallery.shape[1]}")
    for labels in (query, gallery):
        if wide and labels.ndim == 1 and (int(labels.min()) < 0 or int(labels.max()) >= min(wide)):
            raise InputError(f"classes {int(labels.min())} … {int(labels.max())}: multi-hot labels have {min(wide)}")


def evaluate_direction(
    query: Array,
    query_labels: Array,
    gallery: Array,
    gallery_labels: Array,
    *,
    exclude: Array | None = None,
    distance: str = "euclidean",
    label_names: list[str] | None = None,
    ks: tuple[int, ...] = (10, 50),
    cutoffs: int = 5,
    ties: str = "index",
    memory_mb: float = 512,
) -> dict:
    """All metrics of one direction of retrieval, ready for JSON, from embeddings `query` (Q, D) and `gallery` (G, D).

    `map`                     mean `average_precision` over the queries that have a relevant item
    `p@K`                     mean `precision_at_k` for K in `ks`
    `mean_precision_at_tens`  mean `mean_precision_at_tens(cutoffs, ties)`: the released MATLAB's "MAP"
    `chance`, `chance_precision`   expected `map` and `p@K` under a random order
    `queries`, `without_relevant`  how many were averaged, and how many could not be
    `per_class`               {name: {map, p@K …, queries}} over the queries of each class that has one; a query with
                              several labels counts in each of its classes

    Metrics are None where no query could be averaged. `exclude` (Q,) is each query's own index in the gallery (−1:
    none), for a uni-modal or mixed gallery. One pass in blocks of about `memory_mb` MiB of queries, which do not change
    the result. Raises `InputError` for embeddings that are not finite and shapes or labels that do not fit.
    """
    xp = get_xp(query, gallery)
    space = prepare(query, gallery, distance)
    query_labels, gallery_labels = xp.asarray(query_labels), xp.asarray(gallery_labels)
    check_labels(query_labels, gallery_labels)
    _check_tens(cutoffs, ties)
    queries, items = len(query), len(gallery)
    if (len(query_labels), len(gallery_labels)) != (queries, items):
        raise InputError(
            f"{queries} queries and {items} gallery items, but {len(query_labels)} and {len(gallery_labels)} labels"
        )
    exclude = exclusions(exclude, queries, items, xp)
    names = ["map", *(f"p@{k}" for k in ks), "mean_precision_at_tens", "chance", "chance_precision"]
    found = xp.empty((len(names), queries))

    def measure(rows):
        own = None if exclude is None else exclude[rows]
        level, relevant = levels(space, rows), _relevance(query_labels[rows], gallery_labels)
        groups = tie_groups(level, relevant, own)
        tens = (
            _mean_of_tens(groups, cutoffs)
            if ties == "expected"
            else _mean_of_tens_by_index(level, relevant, cutoffs, own)
        )
        precisions = [_precision(groups, k) for k in ks]
        found[:, rows] = xp.stack([_average_precision(groups), *precisions, tens, *chance(groups.total, groups.items)])

    each_block(measure, blocks(queries, items * BYTES, memory_mb), xp)
    averaged = xp.isfinite(found[0])
    found, averaged, query_labels = map(to_host, (found, averaged, query_labels))  # once, not for each figure
    return {
        **_means(names, found, averaged),
        "without_relevant": int((~averaged).sum()),
        "per_class": {
            name: _means(names[: 1 + len(ks)], found, chosen)
            for name, chosen in _classes(query_labels, averaged, label_names)
        },
    }


def _means(names: list[str], found: Array, chosen: Array) -> dict:
    """Each row of `found` (M, Q) averaged over the `chosen` queries (Q,), under its name, and their number."""
    xp = get_xp(found, chosen)
    picked = found[:, xp.flatnonzero(chosen)]
    count = picked.shape[1]
    return {
        **{name: float(row.mean()) if count else None for name, row in zip(names, picked, strict=False)},
        "queries": count,
    }


def _classes(labels: Array, averaged: Array, label_names: list[str] | None) -> list[tuple[str, Array]]:
    """(name, mask over queries) of every class that an averaged query belongs to."""
    xp = get_xp(labels, averaged)
    if labels.ndim == 2:
        masks = {c: (labels[:, c] > 0) & averaged for c in range(labels.shape[1])}
    else:
        masks = {int(c): (labels == c) & averaged for c in xp.unique(labels)}
    if label_names is not None and (min(masks) < 0 or max(masks) >= len(label_names)):
        raise InputError(f"label_names: {len(label_names)} names for classes {min(masks)} … {max(masks)}")
    name = str if label_names is None else label_names.__getitem__
    return [(name(c), mask) for c, mask in masks.items() if bool(mask.any())]
