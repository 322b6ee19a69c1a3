"""The affine map.

N samples, C inputs, D outputs:  x (N, C), w (C, D), b (D,), y (N, D).
"""

from typing import NamedTuple

from ..backend import Array
from .shapes import check_vectors
from .sums import column_sum


class LinearCache(NamedTuple):
    x: Array
    w: Array


def linear(x: Array, w: Array, b: Array) -> tuple[Array, LinearCache]:
    """y = x w + 1 bᵀ. Raises `ValueError` for a b that is not (D,)."""
    check_vectors(w.shape[-1], b=b)
    return x @ w + b, LinearCache(x, w)


def linear_backward(dy: Array, cache: LinearCache, *, input_gradient: bool = True) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db) of y = x w + 1 bᵀ; dx is None unless `input_gradient`.

    y_nd = Σ_c x_nc w_cd + b_d, so
        ∂L/∂x_nc = Σ_d dy_nd w_cd      dx = dy wᵀ
        ∂L/∂w_cd = Σ_n x_nc dy_nd      dw = xᵀ dy
        ∂L/∂b_d  = Σ_n dy_nd           db = dyᵀ 1
    """
    return dy @ cache.w.T if input_gradient else None, cache.x.T @ dy, column_sum(dy)
