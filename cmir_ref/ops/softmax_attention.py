"""Softmax attention: each query takes a weighted mean of values, the weights by how well it agrees with their keys.

N samples, M queries, P keys with a value each, D columns of queries and keys, C columns of values.
"""

import math
from typing import NamedTuple

from ..backend import Array, get_xp


class SoftmaxAttentionCache(NamedTuple):
    a: Array  # (N, M, P) the weights
    q: Array
    k: Array
    v: Array


def softmax_attention(q: Array, k: Array, v: Array, mask: Array | None = None) -> tuple[Array, SoftmaxAttentionCache]:
    """y = A v with A = softmax(q kᵀ/√D) over the keys: q (N, M, D), k (N, P, D), v (N, P, C), y (N, M, C).

    Where the boolean `mask`, of a shape that broadcasts to (N, M, P), is False a query does not see a key: its weight
    is exactly 0, as at the padding of a sentence. A query that sees no key gets y = 0. The largest logit of a row is
    subtracted first, which changes nothing in A and keeps e^u finite.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, equation 1.
    """
    xp = get_xp(q, k, v, mask)
    u = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[2])
    if mask is not None:
        u = xp.where(mask, u, -xp.inf)
    largest = u.real.max(axis=2, keepdims=True)
    exp = xp.exp(u - xp.where(xp.isfinite(largest), largest, 0))  # a query that sees no key has no largest logit
    total = exp.sum(axis=2, keepdims=True)
    a = exp / xp.where(total.real > 0, total, 1)
    return a @ v, SoftmaxAttentionCache(a, q, k, v)


def softmax_attention_backward(dy: Array, cache: SoftmaxAttentionCache) -> tuple[Array, Array, Array]:
    """(dq, dk, dv) of y = A v, A = softmax(u) row by row, u = q kᵀ/√D.

    y = A v, so                                            dv = Aᵀ dy      dA = dy vᵀ
    ∂A_i/∂u_j = A_i (δ_ij − A_j), so du_j = Σ_i dA_i A_i (δ_ij − A_j):
                                                           du = A ⊙ (dA − Σ_j dA_j A_j)
    u = q kᵀ/√D, so                                        dq = du k/√D    dk = duᵀ q/√D
    Keys that are not seen have A = 0, so that du = 0 there without a mask.
    """
    a, q, k, v = cache
    da = dy @ v.transpose(0, 2, 1)
    du = a * (da - (da * a).sum(axis=2, keepdims=True)) / math.sqrt(q.shape[2])
    return du @ k, du.transpose(0, 2, 1) @ q, a.transpose(0, 2, 1) @ dy
