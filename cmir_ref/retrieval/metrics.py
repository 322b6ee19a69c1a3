"""Ranking metrics, each with its definition.

Q queries, G gallery items, C classes. `distances` is (Q, G), floats or integers, smaller is nearer, equal is tied;
`relevant` is (Q, G) boolean; `exclude` (Q,) or (Q, E) names the items of the gallery that a query must not find, as
itself, −1 for none: they are neither ranked nor counted. Per-query results are NaN where a query has no relevant item:
there is nothing to average.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..backend import Array, get_xp, to_host
from ..errors import InputError
from .distances import blocks, check_k, each_block, excluded_pairs, exclusions, levels, prepare
from .neighbours import smallest
from .recall import rank_of_groups, recall_of_groups
from .ties import TieGroups, check_pairs, one_tie, tie_groups

BYTES = 64  # of a (query, item) pair at the peak: level, relevance, sorted copy, running counts


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
    check_k(k)
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
    check_pairs(distances, relevant)
    excluded = exclusions(exclude, *distances.shape, xp)
    return _mean_of_tens_by_index(whole_numbers(distances), relevant.astype(bool), cutoffs, excluded)


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
        own, top, usable = excluded_pairs(exclude), int(level.max()) + 1, items - (exclude >= 0).sum(axis=1)
        room = top <= xp.iinfo(level.dtype).max
        level, relevant = level.astype(level.dtype if room else "int64"), relevant.copy()
        level[own], relevant[own] = top, False
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


def most_precision(relevant: Array, items: Array | int, ks: Sequence[int]) -> Array:
    """The mean precision at `ks` (Q,) of a perfect order of `items` of which `relevant` (Q,) are: min(r, k)/k.

    No k is beyond the gallery. NaN for a query that has no relevant item. So at k = 50 the most that a query with six
    relevant items can have is 0.12.
    """
    xp = get_xp(relevant)
    k = xp.minimum(xp.asarray(ks)[None, :], xp.broadcast_to(xp.asarray(items), relevant.shape)[:, None])
    most = (xp.minimum(relevant[:, None], k) / xp.maximum(k, 1)).mean(axis=1)
    return xp.where(relevant > 0, most, xp.nan)


def relevance(query_labels: Array, gallery_labels: Array) -> Array:
    """Which items are relevant to which queries (Q, G), boolean: the same class, or at least one shared label.

    Labels are integer classes (N,) or multi-hot (N, C), in any mix: class c is the multi-hot vector with a one at c.
    Raises `InputError` for other shapes or values, for two C that differ, and for a class outside 0 … C−1 in a mix.
    """
    check_labels(query_labels, gallery_labels)
    return relevance_of_checked(query_labels, gallery_labels)


def relevance_of_checked(query: Array, gallery: Array) -> Array:
    """`relevance` of labels that `check_labels` has passed."""
    xp = get_xp(query, gallery)
    if query.ndim == 1 and gallery.ndim == 1:
        return query[:, None] == gallery[None, :]
    if query.ndim == 1:
        return gallery.T[query] > 0
    if gallery.ndim == 1:
        return query[:, gallery] > 0
    return query.astype("float32") @ gallery.astype("float32").T > xp.float32(0.5)


def check_labels(query: Array, gallery: Array) -> None:
    """Raises `InputError` where `relevance` cannot compare the two, and `TypeError` for what is no array."""
    get_xp(query, gallery)
    for name, labels in (("query labels", query), ("gallery labels", gallery)):
        if labels.ndim not in (1, 2) or 0 in labels.shape:
            raise InputError(f"{name}: expected classes (N,) or multi-hot (N, C), got shape {labels.shape}")
        if labels.ndim == 1 and labels.dtype.kind not in "iu":
            raise InputError(f"{name}: expected integer classes, got {labels.dtype}")
        if labels.ndim == 2 and not bool((right := ((labels == 0) | (labels == 1)).all(axis=1)).all()):
            hint = "; give labels[:, 0]" if labels.shape[1] == 1 else ""
            raise InputError(
                f"{name}: row {int(right.argmin())} of multi-hot labels has values other than 0 and 1{hint}"
            )
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
    `mean_precision_at_tens_most`  what a perfect order has there: few relevant items leave it below 1
    `chance`, `chance_precision`   expected `map` and `p@K` under a random order
    `queries`, `without_relevant`  how many were averaged, and how many could not be
    `per_class`               {name: {map, p@K …, queries}} over the queries of each class that has one; a query with
                              several labels counts in each of its classes

    Metrics are None where no query could be averaged. `exclude` (Q,) is each query's own index in the gallery (−1:
    none), for a uni-modal or mixed gallery; (Q, E) are several. Raises `InputError` for embeddings that are not finite
    and shapes or labels that do not fit.
    """
    xp = get_xp(query, gallery)
    space = prepare(query, gallery, distance)
    query_labels, gallery_labels = xp.asarray(query_labels), xp.asarray(gallery_labels)
    check_labels(query_labels, gallery_labels)
    queries, items = len(query), len(gallery)
    if (len(query_labels), len(gallery_labels)) != (queries, items):
        raise InputError(
            f"{queries} queries and {items} gallery items, but {len(query_labels)} and {len(gallery_labels)} labels"
        )
    return measure_direction(
        lambda rows: levels(space, rows),
        lambda rows: relevance_of_checked(query_labels[rows], gallery_labels),
        queries,
        items,
        xp=xp,
        exclude=exclude,
        query_labels=query_labels,
        label_names=label_names,
        ks=ks,
        cutoffs=cutoffs,
        ties=ties,
        memory_mb=memory_mb,
    )


def measure_direction(
    distances: Callable[[slice], Array],
    relevant: Callable[[slice], Array],
    queries: int,
    items: int,
    *,
    xp,
    exclude: Array | None = None,
    query_labels: Array | None = None,
    label_names: list[str] | None = None,
    ks: tuple[int, ...] = (10, 50),
    recall_at: tuple[int, ...] = (),
    recalled: Callable[[slice], Array] | None = None,
    cutoffs: int = 5,
    ten_tens: bool = False,
    ties: str = "index",
    memory_mb: float = 512,
) -> dict:
    """The same from any distances and any relevance: `distances(rows)` and `relevant(rows)` give (B, G) of the queries
    `rows`, smaller is nearer and equal is tied.

    With `query_labels` there is `per_class`, in it with `recall_at` the `r@K`. With `recall_at` there are besides
    `r@K`                     mean `recall_at_k` for K in `recall_at`
    `median_rank`             median of `first_rank`: how far down the first relevant item stands, from 1
    `chance_r@K`, `chance_median_rank`   the same where all items are tied
    by the relevance `recalled(rows)`, where one is given: a query's own partner beside all that share its label.
    With `ten_tens` there is `mean_precision_at_ten_tens`, and its `_most`: the same with ten cutoffs, up to 100.
    One pass in blocks of about `memory_mb` MiB of queries, which do not change the result.
    """
    _check_tens(cutoffs, ties)
    exclude = exclusions(exclude, queries, items, xp)
    tens = {"mean_precision_at_tens": cutoffs} | ({"mean_precision_at_ten_tens": 10} if ten_tens else {})
    names = ["map", *(f"p@{k}" for k in ks), *tens, *(f"{name}_most" for name in tens), "chance", "chance_precision"]
    recalls = [f"{by}r@{k}" for by in ("", "chance_") for k in recall_at]
    ranks = ["median_rank", "chance_median_rank"] if recall_at else []
    figures = xp.empty((len(names) + len(recalls) + len(ranks), queries))

    def measure(rows):
        excluded = None if exclude is None else exclude[rows]
        distance, hits = distances(rows), relevant(rows)
        groups = tie_groups(distance, hits, excluded)
        rows_of_figures = [_average_precision(groups), *(_precision(groups, k) for k in ks)]
        if ties == "expected":
            rows_of_figures += [_mean_of_tens(groups, count) for count in tens.values()]
        else:
            level = whole_numbers(distance)
            rows_of_figures += [_mean_of_tens_by_index(level, hits, count, excluded) for count in tens.values()]
        for count in tens.values():
            rows_of_figures.append(most_precision(groups.total, groups.items, [10 * c for c in range(1, count + 1)]))
        rows_of_figures += chance(groups.total, groups.items)
        if recall_at:
            own = groups if recalled is None else tie_groups(distance, recalled(rows), excluded)
            both = own, one_tie(own)
            rows_of_figures += [recall_of_groups(one, k) for one in both for k in recall_at]
            rows_of_figures += map(rank_of_groups, both)
        figures[:, rows] = xp.stack(rows_of_figures)

    each_block(measure, blocks(queries, items * BYTES, memory_mb), xp)
    figures = to_host(figures)  # once, not for each figure
    averaged = np.isfinite(figures[0])
    result = {**_means(names, figures, averaged), "without_relevant": int((~averaged).sum())}
    if recall_at:
        of_partners = figures[len(names) :]
        found = np.isfinite(of_partners[0])  # who shares a label may still lack a partner
        result |= _means(recalls, of_partners, found, count=False)
        for name, row in zip(ranks, of_partners[len(recalls) :, found], strict=True):
            result[name] = float(np.median(row)) if len(row) else None
    if query_labels is not None:
        classes = _classes(to_host(query_labels), averaged, label_names)
        result["per_class"] = {name: _means(names[: 1 + len(ks)], figures, mask) for name, mask in classes}
        for name, mask in classes if recall_at else ():
            result["per_class"][name] |= _means(recalls[: len(recall_at)], of_partners, mask & found, count=False)
    return result


def whole_numbers(distances: Array) -> Array:
    """Integers of the same order and the same ties as `distances` (Q, G); integers stay as they are."""
    if distances.dtype.kind in "iu":
        return distances
    return get_xp(distances).unique(distances, return_inverse=True)[1].reshape(distances.shape)


def _means(names: list[str], figures: Array, mask: Array, count: bool = True) -> dict:
    """Each row of `figures` (M, Q) averaged over the queries of `mask` (Q,), under its name, and their number."""
    xp = get_xp(figures, mask)
    some = figures[:, xp.flatnonzero(mask)]
    queries = some.shape[1]
    means = {name: float(row.mean()) if queries else None for name, row in zip(names, some, strict=False)}
    return means | ({"queries": queries} if count else {})


def _classes(labels: Array, averaged: Array, label_names: list[str] | None) -> list[tuple[str, Array]]:
    """(name, mask over queries) of every class that an averaged query belongs to."""
    xp = get_xp(labels, averaged)
    if labels.ndim == 2:
        masks = {c: (labels[:, c] > 0) & averaged for c in range(labels.shape[1])}
    else:
        masks = {int(c): (labels == c) & averaged for c in xp.unique(labels)}
    if label_names is not None and masks and (min(masks) < 0 or max(masks) >= len(label_names)):
        raise InputError(f"label_names: {len(label_names)} names for classes {min(masks)} … {max(masks)}")
    if label_names is not None and len(set(label_names)) < len(label_names):
        twice = next(name for name in label_names if label_names.count(name) > 1)
        raise InputError(f"label_names: two classes are named {twice!r}; each needs a name of its own")
    name = str if label_names is None else label_names.__getitem__
    return [(name(c), mask) for c, mask in masks.items() if bool(mask.any())]
