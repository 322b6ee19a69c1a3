"""One step of a gated recurrent unit, in the two readings of its reset gate.

N sequences, C inputs, D states: x (N, C), h (N, D), w (C, 3D), u (D, 3D), b (3D,); columns in the order r, z, n.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .sigmoid import sigmoid
from .sums import column_sum


class GruCellCache(NamedTuple):
    x: Array
    h: Array
    w: Array
    u: Array
    r: Array
    z: Array
    n: Array
    product: Array  # h U_n where the reset gate comes after it, r ⊙ h where it comes before
    reset: str


def gru_cell(x: Array, h: Array, w: Array, u: Array, b: Array, *, reset: str = "after") -> tuple[Array, GruCellCache]:
    """r = σ(x W_r + b_r + h U_r)    z = σ(x W_z + b_z + h U_z)    h' = (1 − z) ⊙ n + z ⊙ h

    `reset` says where the reset gate acts:
        "after"   n = tanh(x W_n + b_n + r ⊙ (h U_n)), one product with U for all three
        "before"  n = tanh(x W_n + b_n + (r ⊙ h) U_n), as first published
    Source: Cho et al. 2014 ("before"); the other one is what fast libraries compute.
    """
    xp, d = get_xp(x, h, w), h.shape[1]
    a, c = x @ w + b, h @ u[:, : 2 * d]
    r, _ = sigmoid(a[:, :d] + c[:, :d])
    z, _ = sigmoid(a[:, d : 2 * d] + c[:, d:])
    if reset == "after":
        product = h @ u[:, 2 * d :]
        n = xp.tanh(a[:, 2 * d :] + r * product)
    elif reset == "before":
        product = r * h
        n = xp.tanh(a[:, 2 * d :] + product @ u[:, 2 * d :])
    else:
        raise ValueError(f"reset is {reset!r}; it is one of after, before")
    return (1 - z) * n + z * h, GruCellCache(x, h, w, u, r, z, n, product, reset)


def gru_cell_backward(dy: Array, cache: GruCellCache) -> tuple[Array, Array, Array, Array, Array]:
    """(dx, dh, dw, du, db). With the sums before the nonlinearities called a_r, a_z, a_n:

    da_n = dy ⊙ (1 − z) ⊙ (1 − n²)        da_z = dy ⊙ (h − n) ⊙ z (1 − z)
    after:   q = h U_n, dq = da_n ⊙ r, dr = da_n ⊙ q; q gives dU_n = hᵀ dq and dq U_nᵀ to dh
    before:  m = r ⊙ h, dm = da_n U_nᵀ, dr = dm ⊙ h; m gives dU_n = mᵀ da_n and dm ⊙ r to dh
    da_r = dr ⊙ r (1 − r)
    dh = dy ⊙ z + [da_r, da_z] U_rzᵀ + the part through n        dx = da Wᵀ, dW = xᵀ da, db = daᵀ 1
    """
    x, h, w, u, r, z, n, product, reset = cache
    xp, d = get_xp(dy, h), h.shape[1]
    da_n = dy * (1 - z) * (1 - n * n)
    da_z = dy * (h - n) * z * (1 - z)
    if reset == "after":
        dq, dr = da_n * r, da_n * product
        du_n, dh = h.T @ dq, dq @ u[:, 2 * d :].T
    else:
        dm = da_n @ u[:, 2 * d :].T
        dr, du_n, dh = dm * h, product.T @ da_n, dm * r
    gates = xp.concatenate([dr * r * (1 - r), da_z], axis=1)
    da = xp.concatenate([gates, da_n], axis=1)
    dh = dh + dy * z + gates @ u[:, : 2 * d].T
    return da @ w.T, dh, x.T @ da, xp.concatenate([h.T @ gates, du_n], axis=1), column_sum(da)
