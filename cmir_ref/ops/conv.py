"""Convolution with zero padding that keeps height and width ("same"), stride 1.

N samples, H × W pixels, C channels in, D channels out, k × k kernel (k odd):
x (N, H, W, C), w (k, k, C, D), b (D,), y (N, H, W, D).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_vectors
from .sums import column_sum


class ConvCache(NamedTuple):
    columns: Array
    w: Array
    shape: tuple[int, ...]


def im2col(x: Array, k: int) -> Array:
    """The k × k neighbourhood of each pixel as a row, with zeros beyond the border: (N, H, W, C) -> (N·H·W, k·k·C)."""
    xp = get_xp(x)
    n, h, w, c = x.shape
    padded = xp.zeros((n, h + k - 1, w + k - 1, c), dtype=x.dtype)
    padded[:, k // 2 : k // 2 + h, k // 2 : k // 2 + w] = x
    columns = xp.empty((n, h, w, k, k, c), dtype=x.dtype)
    for i in range(k):
        for j in range(k):
            columns[:, :, :, i, j] = padded[:, i : i + h, j : j + w]
    return columns.reshape(n * h * w, k * k * c)


def col2im(columns: Array, shape: tuple[int, ...], k: int) -> Array:
    """The transpose of `im2col`: adds each entry to the pixel that it was read from, (N·H·W, k·k·C) -> (N, H, W, C)."""
    xp = get_xp(columns)
    n, h, w, c = shape
    columns = columns.reshape(n, h, w, k, k, c)
    padded = xp.zeros((n, h + k - 1, w + k - 1, c), dtype=columns.dtype)
    for i in range(k):
        for j in range(k):
            padded[:, i : i + h, j : j + w] += columns[:, :, :, i, j]
    return padded[:, k // 2 : k // 2 + h, k // 2 : k // 2 + w]


def conv(x: Array, w: Array, b: Array) -> tuple[Array, ConvCache]:
    """y[n, p, q] = Σ_ij x[n, p + i − k//2, q + j − k//2] w[i, j] + b,  a cross-correlation, as in every framework.

    As one product of matrices: y = im2col(x) w' + 1 bᵀ, where w' is w as a (k·k·C, D) matrix. The columns are kept for
    the backward: k·k times the numbers of x. Raises `ValueError` for a b that is not (D,).
    """
    k, d = w.shape[0], w.shape[-1]
    check_vectors(d, b=b)
    columns = im2col(x, k)
    y = columns @ w.reshape(-1, d)
    y += b  # in place: the product is a new array, no argument
    return y.reshape(*x.shape[:3], d), ConvCache(columns, w, x.shape)


def conv_backward(dy: Array, cache: ConvCache, *, input_gradient: bool = True) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db); dx is None without `input_gradient` (the gradient of an image is not needed).

    y = im2col(x) w' + 1 bᵀ is an affine map of the columns, and im2col is linear in x, so
        dw' = im2col(x)ᵀ dy      db = dyᵀ 1      dx = im2colᵀ(dy w'ᵀ) = col2im(dy w'ᵀ)
    """
    w, shape = cache.w, cache.shape
    k, d = w.shape[0], w.shape[-1]
    rows = dy.reshape(-1, d)
    dw = (cache.columns.T @ rows).reshape(w.shape)
    dx = col2im(rows @ w.reshape(-1, d).T, shape, k) if input_gradient else None
    return dx, dw, column_sum(rows)
