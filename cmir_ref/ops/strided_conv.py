"""Convolution with a stride and explicit zero padding, without bias: a batch normalisation follows, which has one.

N samples, H × W pixels, C channels in, D channels out, k × k kernel, stride s, P × Q pixels out (see `padding`):
x (N, H, W, C), w (k, k, C, D), y (N, P, Q, D).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .padding import Padding, crop, output_size, pad, tap


class StridedConvCache(NamedTuple):
    columns: Array
    w: Array
    shape: tuple[int, ...]
    stride: int
    padding: Padding


def strided_conv(
    x: Array, w: Array, *, stride: int = 1, padding: Padding = (0, 0, 0, 0)
) -> tuple[Array, StridedConvCache]:
    """y[n, p, q] = Σ_ij x[n, s p + i − top, s q + j − left] w[i, j],  a cross-correlation; x is 0 beyond its border.

    One product of matrices: y = X w', where row (n, p, q) of X holds the k·k pixels that the window at (p, q) sees, and
    w' is w as a (k·k·C, D) matrix. X is kept, P·Q·k·k·C numbers a sample; for a 1 × 1 kernel with stride 1 and no
    padding it is x itself. Raises `ValueError` where the kernel does not fit.
    """
    xp = get_xp(x, w)
    k, c, d = w.shape[0], w.shape[2], w.shape[3]
    p, q = output_size(x.shape, k, stride, padding)
    if k == stride == 1 and not any(padding):
        columns = x.reshape(-1, c)
    else:
        padded = pad(x, padding)
        columns = xp.empty((len(x), p, q, k, k, c), dtype=x.dtype)
        for i in range(k):
            for j in range(k):
                columns[:, :, :, i, j] = tap(padded, i, j, stride, (p, q))
        columns = columns.reshape(len(x) * p * q, k * k * c)
    y = columns @ w.reshape(-1, d)
    return y.reshape(len(x), p, q, d), StridedConvCache(columns, w, x.shape, stride, padding)


def strided_conv_backward(
    dy: Array, cache: StridedConvCache, *, input_gradient: bool = True
) -> tuple[Array | None, Array]:
    """(dx, dw); dx is None without `input_gradient`: nobody needs the gradient of an image.

    y = X w' is bilinear, so dw' = Xᵀ dy and dX = dy w'ᵀ. X is linear in x: entry (n, p, q, i, j) is read from the pixel
    (s p + i − top, s q + j − left), so that pixel's dx is the sum of the entries of dX that were read from it. Windows
    overlap where k > s; what was read from the padding is dropped.
    """
    xp = get_xp(dy)
    w, shape, (top, bottom, left, right) = cache.w, cache.shape, cache.padding
    k, c, d = w.shape[0], w.shape[2], w.shape[3]
    rows = dy.reshape(-1, d)
    dw = (cache.columns.T @ rows).reshape(w.shape)
    if not input_gradient:
        return None, dw
    dcolumns = (rows @ w.reshape(-1, d).T).reshape(*dy.shape[:3], k, k, c)
    dpadded = xp.zeros((shape[0], shape[1] + top + bottom, shape[2] + left + right, c), dtype=dy.dtype)
    for i in range(k):
        for j in range(k):
            pixels = tap(dpadded, i, j, cache.stride, dy.shape[1:3])
            pixels += dcolumns[:, :, :, i, j]
    return crop(dpadded, cache.padding), dw
