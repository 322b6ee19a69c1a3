"""Equations 20 to 25: a text's vector, written anew by the image that it is compared with (VGA).

v (…, D) images, t (…, D) texts, of shapes that broadcast: (P, D) both for P pairs, (N, 1, D) and (1, M, D) for all.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from ..ops.sigmoid import LogisticCache, sigmoid, sigmoid_backward
from ..ops.sums import column_sum
from ..ops.unit_rows import UnitRowsCache, unit_rows, unit_rows_backward

ATTENTIONS = ("none", "soft", "fusion", "vector", "scalar")


class GuidedAttentionCache(NamedTuple):
    kind: str
    v: Array
    t: Array
    weights: dict[str, Array]
    gate: Array | None
    value: Array
    logistic: LogisticCache | None
    units: tuple[UnitRowsCache, UnitRowsCache] | None


def sum_to(d: Array, like: Array) -> Array:
    """The gradient `d` summed over the axes along which `like` was repeated."""
    axes = tuple(i for i, size in enumerate(like.shape) if size == 1 and d.shape[i] != 1)
    return d.sum(axis=axes, keepdims=True) if axes else d


def attention_names(kind: str) -> tuple[str, ...]:
    """The matrices of an attention of this kind; each but "…_t" of fusion has a bias of the same name."""
    names = {"none": (), "soft": ("gate",), "fusion": ("value_v", "value_t", "gate_v", "gate_t")}
    names |= dict.fromkeys(("vector", "scalar"), ("v", "t"))
    if kind not in names:
        raise ValueError(f"kind is {kind!r}; it is one of {', '.join(ATTENTIONS)}")
    return names[kind]


def guided_attention(
    params: Mapping[str, Array], v: Array, t: Array, *, kind: str = "soft"
) -> tuple[Array, GuidedAttentionCache]:
    """What the image makes of the text, (…, D):

    "none"    t
    "soft"    σ(v W + b) ⊙ t
    "fusion"  (f W₁ + b₁) ⊙ σ(f W₂ + b₂), f = [v, t]; as f W = v W_v + t W_t, each side is multiplied by itself
    "vector"  σ(f_v ⊙ f_t) ⊙ f_t, f_v = v W_v + b_v, f_t = t W_t + b_t: the similarity gate of the released code
    "scalar"  σ(cos(f_v, f_t)) f_t: that of the paper. It does not turn f_t, so that a cosine never sees the gate;
              it matters where two texts are added up (eq. 27).
    """
    w = {name: params[f"{name}.w"] for name in attention_names(kind)}
    b = {name: params[f"{name}.b"] for name in w if not (kind == "fusion" and name.endswith("_t"))}
    gate = logistic = units = None
    if kind == "none":
        y = value = t + 0 * v
    elif kind == "soft":
        gate, logistic = sigmoid(v @ w["gate"] + b["gate"])
        y, value = gate * t, t
    elif kind == "fusion":
        value = (v @ w["value_v"] + b["value_v"]) + t @ w["value_t"]
        gate, logistic = sigmoid((v @ w["gate_v"] + b["gate_v"]) + t @ w["gate_t"])
        y = value * gate
    else:
        f_v, f_t = v @ w["v"] + b["v"], t @ w["t"] + b["t"]
        if kind == "vector":
            units, value = (f_v,), f_t
            gate, logistic = sigmoid(f_v * f_t)
        else:
            (u_v, cache_v), (u_t, cache_t) = unit_rows(f_v), unit_rows(f_t)
            units, value = (cache_v, cache_t), f_t
            gate, logistic = sigmoid((u_v * u_t).sum(axis=-1, keepdims=True))
        y = gate * value
    return y, GuidedAttentionCache(kind, v, t, w, gate, value, logistic, units)


def guided_attention_backward(dy: Array, cache: GuidedAttentionCache) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """(grads, (dv, dt)). y = gate ⊙ value, so dvalue = dy ⊙ gate, and dgate = dy ⊙ value goes through σ: dz.

    Where one side was repeated for all of the other, its gradient is the sum over the repetitions (`sum_to`); then
    z = x W + b gives dW = xᵀ dz, db = Σ dz, dx = dz Wᵀ on the small array.
    """
    kind, v, t, w, gate, value, logistic, units = cache
    grads, dv, dt = {}, 0, 0

    def affine(name: str, x: Array, d: Array, bias: bool = True) -> Array:
        d = sum_to(d, x)
        grads[f"{name}.w"] = x.reshape(-1, x.shape[-1]).T @ d.reshape(-1, d.shape[-1])
        if bias:
            grads[f"{name}.b"] = column_sum(d)
        return d @ w[name].T

    if kind == "none":
        return {}, (0 * sum_to(dy, v), sum_to(dy, t) + 0)
    dvalue = dy * gate
    dgate = (dy * value).sum(axis=-1, keepdims=True) if kind == "scalar" else dy * value
    dz = sigmoid_backward(dgate, logistic)
    if kind == "soft":
        return grads, (affine("gate", v, dz), sum_to(dvalue, t))
    if kind == "fusion":
        dv = affine("value_v", v, dvalue) + affine("gate_v", v, dz)
        dt = affine("value_t", t, dvalue, bias=False) + affine("gate_t", t, dz, bias=False)
        return grads, (dv, dt)
    if kind == "vector":
        df_v, df_t = dz * value, dvalue + dz * units[0]
    else:
        unit_v, unit_t = units
        df_v = unit_rows_backward(sum_to(dz * unit_t.y, unit_v.y), unit_v)
        df_t = sum_to(dvalue, t) + unit_rows_backward(sum_to(dz * unit_v.y, unit_t.y), unit_t)
    return grads, (affine("v", v, df_v), affine("t", t, df_t))
