"""R2: spatial cross-attention on the maps of the convolution pretrainers.

N pairs, M places of the photo's map and P of the sketch's, C channels of both, D columns of queries and keys.
"""

from typing import NamedTuple

from ..backend import Array
from ..ops.softmax_attention import SoftmaxAttentionCache, softmax_attention, softmax_attention_backward


class CrossAttentionCache(NamedTuple):
    x: Array
    y: Array
    w_q: Array
    w_k: Array
    w_v: Array
    attention: SoftmaxAttentionCache


def cross_attention(x: Array, y: Array, w_q: Array, w_k: Array, w_v: Array) -> tuple[Array, CrossAttentionCache]:
    """o = x + softmax(x w_q (y w_k)ᵀ/√D) y w_v: x (N, M, C), y (N, P, C), w_q, w_k (C, D), w_v (C, C), o (N, M, C).

    Each place of the photo asks the places of the sketch, and adds what they answer. The answer is a sum of the
    sketch's values: nothing bounds how much of it is the sketch's.
    *Reconstruction*: the abstract names "cross-attention networks" that extract the photo's features by the sketch;
    no formula is public. This is the attention of Vaswani et al. 2017 with one head.
    """
    answers, cache = softmax_attention(_by_place(x, w_q), _by_place(y, w_k), _by_place(y, w_v))
    return x + answers, CrossAttentionCache(x, y, w_q, w_k, w_v, cache)


def cross_attention_backward(
    do: Array, cache: CrossAttentionCache, *, input_gradient: bool = True
) -> tuple[Array | None, Array | None, Array, Array, Array]:
    """(dx, dy, dw_q, dw_k, dw_v), with dq, dk, dv those of `softmax_attention`; dx, dy None without `input_gradient`.

    q = x w_q in every place, so                dw_q = Σ_n x_nᵀ dq_n        x gets dq w_qᵀ
    k = y w_k and v = y w_v, so                 dw_k = Σ_n y_nᵀ dk_n        dw_v = Σ_n y_nᵀ dv_n
    x is added, and asks; y answers twice:      dx = do + dq w_qᵀ           dy = dk w_kᵀ + dv w_vᵀ
    """
    x, y, w_q, w_k, w_v, attention = cache
    dq, dk, dv = softmax_attention_backward(do, attention)
    dx = do + _by_place(dq, w_q.T) if input_gradient else None
    dy = _by_place(dk, w_k.T) + _by_place(dv, w_v.T) if input_gradient else None
    return dx, dy, _summed(x, dq), _summed(y, dk), _summed(y, dv)


def _by_place(x: Array, w: Array) -> Array:
    """x w (N, M, D) of x (N, M, C) and w (C, D): one product of all places, not one for each sample."""
    return (x.reshape(-1, x.shape[2]) @ w).reshape(*x.shape[:2], w.shape[1])


def _summed(x: Array, du: Array) -> Array:
    """Σ_n x_nᵀ du_n (C, D) of x (N, M, C) and du (N, M, D)."""
    return x.reshape(-1, x.shape[2]).T @ du.reshape(-1, du.shape[2])
