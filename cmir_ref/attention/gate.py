"""R1 and R3: gates between 0 and 1, made from the sketch, that weigh the photo's channels or the places of its map.

Reconstructions. N pairs, D channels of features, M places of a map with C channels.
"""

from typing import NamedTuple

from ..backend import Array
from ..ops.linear import LinearCache, linear, linear_backward
from ..ops.sigmoid import LogisticCache, sigmoid, sigmoid_backward
from ..ops.sums import column_sum


class ChannelGateCache(NamedTuple):
    x: Array
    a: Array  # (N, D) the gate
    factor: Array  # (N, D) what x was multiplied by
    linear: LinearCache
    sigmoid: LogisticCache


def channel_gate(x: Array, s: Array, w: Array, b: Array, *, residual: bool = True) -> tuple[Array, ChannelGateCache]:
    """R1: a = σ(s w + b), y = x ⊙ (1 + a), or x ⊙ a where not `residual`: x (N, D), s (N, C), w (C, D), b (D,).

    *Reconstruction*, from public code of the same authors: repository `ushasi/Earth-on-Canvas-dataset`, `test11.py`
    lines 327–329 (a = σ(v W + b)) and 420–421 (x + x ⊙ a), where v is a word vector of the sample's own class. Here s
    is the sketch's features: the abstract speaks of "sketch-attended photo features".
    Without `residual` it is a plain product, as in FusAtNet, `model.py` lines 176–216, of the same group.
    """
    u, linear_cache = linear(s, w, b)
    a, sigmoid_cache = sigmoid(u)
    factor = 1 + a if residual else a
    return x * factor, ChannelGateCache(x, a, factor, linear_cache, sigmoid_cache)


def channel_gate_backward(
    dy: Array, cache: ChannelGateCache, *, input_gradient: bool = True
) -> tuple[Array | None, Array | None, Array, Array]:
    """(dx, ds, dw, db) of y = x ⊙ (1 + σ(s w + b)); dx and ds are None without `input_gradient`.

    y = x (1 + a), so      dx = dy ⊙ (1 + a)      da = dy ⊙ x
    a = σ(u), so           du = da ⊙ a ⊙ (1 − a)
    u = s w + 1 bᵀ, so     ds = du wᵀ      dw = sᵀ du      db = duᵀ 1
    Without `residual` 1 + a is a in the first line; the others stay.
    """
    du = sigmoid_backward(dy * cache.x, cache.sigmoid)
    ds, dw, db = linear_backward(du, cache.linear, input_gradient=input_gradient)
    return dy * cache.factor if input_gradient else None, ds, dw, db


class SpatialMaskCache(NamedTuple):
    x: Array
    y: Array
    w: Array
    m: Array  # (N, M, 1) the mask
    factor: Array
    sigmoid: LogisticCache


def spatial_mask(x: Array, y: Array, w: Array, b: Array, *, residual: bool = True) -> tuple[Array, SpatialMaskCache]:
    """R3: m = σ(y w + b), x̃ = x ⊙ (1 + m), or x ⊙ m where not `residual`: x (N, M, C), y (N, M, D), w (D, 1), b (1,).

    The sketch's map y says which places count, for the photo's map x as for its own: once with x the photo's, once with
    x = y. It supposes that place i of a drawing is place i of the photo, which nothing guarantees.
    *Reconstruction*, by analogy with FusAtNet (Mohla et al., CVPRW 2020, `model.py` lines 176–216 and 400–413), in
    which the modality that is richer in space masks the other one's features; there the pixels are registered.
    """
    u = y @ w + b
    m, sigmoid_cache = sigmoid(u)
    factor = 1 + m if residual else m
    return x * factor, SpatialMaskCache(x, y, w, m, factor, sigmoid_cache)


def spatial_mask_backward(dx: Array, cache: SpatialMaskCache) -> tuple[Array, Array, Array, Array]:
    """(gradient of x, of y, of w, of b) of x̃ = x ⊙ (1 + σ(y w + b)), for the gradient `dx` of x̃.

    x̃ = x (1 + m), one m for all channels, so      ẋ = dx ⊙ (1 + m)      dm = Σ_c dx_c x_c
    m = σ(u), so                                    du = dm ⊙ m ⊙ (1 − m)
    u = y w + b in every place, so                  dy = du wᵀ      dw = Σ_nm y_nm du_nm      db = Σ_nm du_nm
    """
    du = sigmoid_backward((dx * cache.x).sum(axis=2, keepdims=True), cache.sigmoid)
    rows = du.reshape(-1, 1)
    dw = cache.y.reshape(-1, cache.y.shape[2]).T @ rows
    return dx * cache.factor, du @ cache.w.T, dw, column_sum(rows)
