"""Cosines between all pairs of two sets of vectors.

v (N, D), t (M, D), s (N, M).
"""

from typing import NamedTuple

from ..backend import Array
from .unit_rows import UnitRowsCache, unit_rows, unit_rows_backward


class CosineCache(NamedTuple):
    v: UnitRowsCache
    t: UnitRowsCache


def cosine(v: Array, t: Array) -> tuple[Array, CosineCache]:
    """s_ij = ⟨v_i, t_j⟩/(‖v_i‖ ‖t_j‖), one product of matrices; 0 where either vector is 0."""
    (a, cache_v), (b, cache_t) = unit_rows(v), unit_rows(t)
    return a @ b.T, CosineCache(cache_v, cache_t)


def cosine_backward(ds: Array, cache: CosineCache) -> tuple[Array, Array]:
    """(dv, dt): s = v̂ t̂ᵀ, so dv̂ = ds t̂ and dt̂ = dsᵀ v̂, each carried back through its length."""
    return unit_rows_backward(ds @ cache.t.y, cache.v), unit_rows_backward(ds.T @ cache.v.y, cache.t)
