"""The k nearest items of a gallery, exactly, in bounded memory, on all cores."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError, NotFinite
from .distances import (
    GallerySide,
    Space,
    blocks,
    check_k,
    distance_of,
    each_block,
    excluded_pairs,
    exclusions,
    gallery_side,
    levels,
    levels_of_pairs,
    prepare,
    with_factors,
)
from .faiss_index import build_index, find_candidates
from .sieve import BYTES as SIEVED
from .sieve import QUERIES, TILE, Groups, candidates, group_items, sieve

BYTES = 48  # of a (query, item) pair at the peak: its level and, for large k, the packed copies


class KeptGallery(NamedTuple):
    """What `nearest` makes of a gallery before it sees a query; kept, it serves any number of searches."""

    side: GallerySide
    groups: Groups | None  # of one that is large enough for a sieve
    index: tuple[str, Any] | None = None  # of faiss, behind its name


def keep_gallery(gallery: Array, distance: str = "euclidean", index: str | None = None) -> KeptGallery:
    """The `KeptGallery` of embeddings (G, D), for searches by that index; raises `InputError` as `nearest` does."""
    side = gallery_side(gallery, distance)
    groups = group_items(side.vectors, side.centre) if _can_be_sieved(side) else None
    return KeptGallery(side, groups, None if index is None else (index, build_index(side, index)))


def nearest(
    query: Array,
    gallery: Array | KeptGallery,
    k: int,
    *,
    exclude: Array | None = None,
    distance: str = "euclidean",
    index: str | None = None,
    memory_mb: float = 512,
) -> tuple[Array, Array]:
    """The `k` nearest items of `gallery` (G, D) for each row of `query` (Q, D): indices and distances, both (Q, k).

    Nearest first; ties (equal levels, see `distances`) in the order of the gallery. `exclude` (Q,) names one item of
    the gallery that a query must not find (itself, where the gallery holds it), −1 for none; (Q, E) names several. k
    beyond the gallery is cut to its size, less the most that one query excludes. Queries are taken in blocks of about
    `memory_mb` MiB (the embeddings' float64 copies come on top); the result does not depend on it. Large galleries go
    through a `sieve` first, which does not change the result either. Retrieval from both modalities at once is a
    gallery of both, concatenated. A `KeptGallery` in place of the embeddings gives the same, in its own distance, and
    sooner.

    For galleries of millions `index` names a faiss index (extra `faiss`) as `faiss.index_factory` does. "Flat" is exact
    and gives the same result; of the others, as "IVF4096,Flat", what they find is ranked exactly. faiss looks into one
    cell of such an index alone, and so may find few of the nearest; ";nprobe=64" behind the name has it look into 64.

    Raises `InputError` for k < 1, for a query that excludes the whole gallery, for another index than the one that a
    gallery was kept with, and as `prepare` and `find` do.
    """
    kept = gallery if isinstance(gallery, KeptGallery) else None
    if kept and index and (kept.index is None or kept.index[0] != index):
        raise InputError(f"index: {index!r} is not what the gallery was kept with; give it to keep_gallery")
    if kept is None and index is not None:
        side = gallery_side(gallery, distance)
        kept = KeptGallery(side, None, (index, build_index(side, index)))
    space = prepare(query, gallery if kept is None else kept.side, distance, whole=False)
    groups = kept.groups if kept is not None and space.scale == kept.side.scale else None
    xp, queries, items = get_xp(space.query), query.shape[0], space.gallery.shape[0]
    exclude = exclusions(exclude, queries, items, xp)
    k = cut_to_gallery(k, items, exclude)
    by = kept and kept.index
    if by is None or kept.side.scale != space.scale:
        found, level = _exact(space, k, exclude, memory_mb, groups)
    else:
        found, level = _by_index(space, by, k, exclude, memory_mb)
    return found, distance_of(space, level)


def _by_index(
    space: Space, index: tuple[str, Any], k: int, exclude: Array | None, memory_mb: float
) -> tuple[Array, Array]:
    """Items and levels, (Q, k) each, from the candidates of a faiss index; where these are in doubt, exactly."""
    name, built = index
    item, sure = find_candidates(space, built, name, k + _most(exclude))
    xp = get_xp(item)
    found, level = xp.empty((len(sure), k), dtype="int64"), xp.empty((len(sure), k), dtype="int64")

    def of(rows):
        some = space._replace(query=space.query[rows], query_length=space.query_length[rows])
        return some, None if exclude is None else exclude[rows]

    few, rest = xp.flatnonzero(sure), xp.flatnonzero(~sure)
    for block in blocks(len(few), 64 * item.shape[1], memory_mb):
        rows = few[block]
        some, own = of(rows)
        row = xp.arange(len(rows)).repeat(item.shape[1])
        found[rows], level[rows] = _of_few(some, slice(0, len(rows)), k, own, row, item[rows].ravel())
    if len(rest):
        some, own = of(rest)
        found[rest], level[rest] = _exact(some, k, own, memory_mb)
    return found, level


def _can_be_sieved(space: Space | GallerySide) -> bool:
    """Whether a sieve does for this kind, and pays for a gallery of this size."""
    vectors = space.gallery if isinstance(space, Space) else space.vectors
    return space.kind != "released" and len(vectors) >= 2 * TILE


def _exact(
    space: Space, k: int, exclude: Array | None, memory_mb: float, groups: Groups | None = None
) -> tuple[Array, Array]:
    """Items and levels, (Q, k) each, in blocks of queries. `groups` are those of the gallery, where they are kept."""
    xp = get_xp(space.query)
    queries, items = len(space.query), len(space.gallery)
    found, level = xp.empty((queries, k), dtype="int64"), xp.empty((queries, k), dtype="int64")
    sieved = _can_be_sieved(space) and 128 * (k + _most(exclude)) <= items
    parts, whole = sieve(space, groups) if sieved else None, cache(lambda: with_factors(space))

    def search(rows):
        own = None if exclude is None else exclude[rows]
        few = candidates(parts, rows, k + _most(own)) if sieved else None
        if few is not None:
            found[rows], level[rows] = _of_few(space, rows, k, own, *few)
            return
        for part in blocks(rows.stop - rows.start, items * BYTES, memory_mb):
            some = slice(rows.start + part.start, rows.start + part.stop)
            found[some], level[some] = _of_all(whole(), some, k, None if own is None else own[part])

    size, most = (SIEVED, QUERIES) if sieved else (BYTES, queries)
    each_block(search, blocks(queries, items * size, memory_mb, most), xp)
    return found, level


def _of_all(space: Space, rows: slice, k: int, exclude: Array | None) -> tuple[Array, Array]:
    """Items and levels, (B, k) each, of the k nearest by a look at the whole gallery."""
    block = levels(space, rows)
    if exclude is not None:
        block[excluded_pairs(exclude)] = int(block.max()) + 1
    return smallest(block, k)


def _of_few(space: Space, rows: slice, k: int, exclude: Array | None, row: Array, item: Array) -> tuple[Array, Array]:
    """The same from the candidates (row, item), flat; each query has `k` at least beside its excluded ones."""
    xp = get_xp(space.query)
    for place in range(_most(exclude)):
        keep = xp.flatnonzero(item != exclude[row, place])
        row, item = row[keep], item[keep]
    level = levels_of_pairs(space, rows.start + row, item)
    order = xp.lexsort(xp.stack([item, level, row]))  # the last key first
    row, item, level = row[order], item[order], level[order]
    first = xp.searchsorted(row, xp.arange(rows.stop - rows.start))
    chosen = first[:, None] + xp.arange(k)
    return item[chosen], level[chosen]


def nearest_by(
    distances: Callable[[slice], Array],
    queries: int,
    items: int,
    k: int,
    *,
    xp,
    exclude: Array | None = None,
    memory_mb: float = 512,
) -> tuple[Array, Array]:
    """`nearest` for distances that are not those of two vectors: `distances(rows)` gives (B, G) of the queries `rows`.

    Indices and distances, (Q, k) each, by a look at every pair, in blocks of about `memory_mb` MiB; ties in the order
    of the gallery. Raises `InputError` as `nearest` does, and for distances that are not finite.
    """
    exclude = exclusions(exclude, queries, items, xp)
    k = cut_to_gallery(k, items, exclude)
    index, value = xp.empty((queries, k), dtype="int64"), xp.empty((queries, k))
    for rows in blocks(queries, items * BYTES, memory_mb):
        block = distances(rows).astype("float64")
        if not bool(xp.isfinite(block).all()):
            raise NotFinite("distances: not all of them are finite")
        if exclude is not None:
            block[excluded_pairs(exclude[rows])] = xp.inf
        index[rows] = xp.argsort(block, axis=1, kind="stable")[:, :k]
        value[rows] = xp.take_along_axis(block, index[rows], axis=1)
    return index, value


def cut_to_gallery(k: int, items: int, exclude: Array | None) -> int:
    """`k`, or what is left of the gallery to the query that excludes most. Raises `InputError` for 0."""
    check_k(k)
    k = min(k, items - _most(exclude))
    if k == 0:
        what = "its only item is excluded" if items == 1 else f"a query excludes all its {items} items"
        raise InputError(f"gallery: {what}, nothing is left to find")
    return k


def _most(exclude: Array | None) -> int:
    """How many items of the gallery one query excludes at most."""
    return 0 if exclude is None else exclude.shape[1]


def smallest(level: Array, k: int) -> tuple[Array, Array]:
    """Columns and values, (B, k) each, of the k smallest integers of each row of `level` (B, G), ties by column.

    Values and columns are packed into unique integers, value · G + column. Columns are cut into runs: the k smallest
    lie in the k runs with the smallest minima (each of these holds one at least), so only those are sorted.
    """
    xp = get_xp(level)
    items = level.shape[1]
    if level.dtype.itemsize > 4 and max(int(level.max()) + 1, -int(level.min())) * items >= 2**63:  # no room for both
        column = xp.argsort(level, axis=1, kind="stable")[:, :k]
        return column, xp.take_along_axis(level, column, axis=1)
    width = max(1, math.isqrt(items // k))
    runs = items // width
    if width > 1 and runs > k:
        minima = level[:, : runs * width].reshape(-1, runs, width).min(axis=2).astype("int64")
        run = xp.partition(minima * runs + xp.arange(runs), k - 1, axis=1)[:, :k] % runs
        column = (run[:, :, None] * width + xp.arange(width)).reshape(len(level), -1)
        rest = xp.broadcast_to(xp.arange(runs * width, items), (len(level), items - runs * width))
        column = xp.concatenate([column, rest], axis=1)
        packed = xp.take_along_axis(level, column, axis=1).astype("int64") * items + column
    else:
        packed = level.astype("int64") * items + xp.arange(items)
    packed = xp.sort(xp.partition(packed, k - 1, axis=1)[:, :k], axis=1)
    return packed % items, packed // items
