"""Equations 26 and 27: a sentence and keywords become one text (VGMF).

s, k (…, D) of the same shape, both already written by the image; y (…, D).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.sigmoid import LogisticCache, sigmoid, sigmoid_backward
from ..ops.sums import column_sum
from ..ops.unit_rows import UnitRowsCache, unit_rows, unit_rows_backward


class FusionCache(NamedTuple):
    w: Array | None
    units: tuple[UnitRowsCache, UnitRowsCache]
    added: tuple[Array, Array]
    gate: Array | float
    logistic: LogisticCache | None
    normalised: bool


def fusion(
    params: Mapping[str, Array], s: Array, k: Array, *, kind: str = "gate", normalised: bool = True
) -> tuple[Array, FusionCache]:
    """ŝ = s/‖s‖, k̂ = k/‖k‖,  g = σ([ŝ, k̂] W + b),  y = g ⊙ a + (1 − g) ⊙ c.

    a and c are ŝ and k̂ where `normalised` (the paper's figure 2 and the released class), else s and k (its eq. 27).
    `kind` "fixed" takes g = ½ (row m8 of the paper's table VI).
    """
    (unit_s, cache_s), (unit_k, cache_k) = unit_rows(s), unit_rows(k)
    a, c = (unit_s, unit_k) if normalised else (s, k)
    if kind == "fixed":
        return (a + c) / 2, FusionCache(None, (cache_s, cache_k), (a, c), 0.5, None, normalised)
    if kind != "gate":
        raise ValueError(f"kind is {kind!r}; it is one of gate, fixed")
    d = s.shape[-1]
    gate, logistic = sigmoid(unit_s @ params["w"][:d] + unit_k @ params["w"][d:] + params["b"])
    y = c + gate * (a - c)
    return y, FusionCache(params["w"], (cache_s, cache_k), (a, c), gate, logistic, normalised)


def fusion_backward(dy: Array, cache: FusionCache) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """(grads, (ds, dk)): da = dy ⊙ g, dc = dy ⊙ (1 − g), dg = dy ⊙ (a − c) through σ, which reads ŝ and k̂."""
    w, (unit_s, unit_k), (a, c), gate, logistic, normalised = cache
    xp, grads = get_xp(dy), {}
    da, dc = dy * gate, dy * (1 - gate)
    dunit_s, dunit_k = (da, dc) if normalised else (0, 0)
    if logistic is not None:
        d = dy.shape[-1]
        dz = sigmoid_backward(dy * (a - c), logistic)
        rows = dz.reshape(-1, d)
        grads["w"] = xp.concatenate([unit.y.reshape(-1, d).T @ rows for unit in (unit_s, unit_k)])
        grads["b"] = column_sum(dz)
        dunit_s, dunit_k = dunit_s + dz @ w[:d].T, dunit_k + dz @ w[d:].T
    elif not normalised:
        return grads, (da, dc)
    ds, dk = unit_rows_backward(dunit_s, unit_s), unit_rows_backward(dunit_k, unit_k)
    return grads, (ds, dk) if normalised else (ds + da, dk + dc)
