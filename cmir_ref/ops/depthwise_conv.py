"""Depthwise convolution: each channel has a k × k kernel of its own, and no channel sees another.

N samples, H × W pixels, C channels, stride s, P × Q pixels out (see `padding`):
x (N, H, W, C), w (k, k, C), y (N, P, Q, C).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .padding import Padding, crop, output_size, pad, tap
from .sums import column_sum


class DepthwiseConvCache(NamedTuple):
    padded: Array
    w: Array
    stride: int
    padding: Padding


def depthwise_conv(
    x: Array, w: Array, *, stride: int = 1, padding: Padding = (0, 0, 0, 0)
) -> tuple[Array, DepthwiseConvCache]:
    """y[n, p, q, c] = Σ_ij x[n, s p + i − top, s q + j − left, c] w[i, j, c]; x is 0 beyond its border.

    A sum of k·k shifted images, each times one number a channel: 2 k·k operations for each number of y, and no product
    of matrices to hide that memory is slow. Kept is x with its padding. Raises `ValueError` where the kernel does not
    fit. Source: Howard et al. 2017, eq. 3.
    """
    xp = get_xp(x, w)
    k = w.shape[0]
    size, padded = output_size(x.shape, k, stride, padding), pad(x, padding)
    y = xp.zeros((len(x), *size, x.shape[3]), dtype=x.dtype)
    for i in range(k):
        for j in range(k):
            y += tap(padded, i, j, stride, size) * w[i, j]
    return y, DepthwiseConvCache(padded, w, stride, padding)


def depthwise_conv_backward(
    dy: Array, cache: DepthwiseConvCache, *, input_gradient: bool = True
) -> tuple[Array | None, Array]:
    """(dx, dw); dx is None without `input_gradient`.

    y is the sum over (i, j) of x_ij w[i, j], where x_ij are the pixels that this entry meets, so
        dw[i, j] = Σ_npq dy x_ij,    and each pixel's dx is the sum of dy w[i, j] over the entries that met it.
    """
    xp = get_xp(dy)
    padded, w, stride, padding = cache
    k, size = w.shape[0], dy.shape[1:3]
    dw = xp.empty(w.shape, dtype=dy.dtype)
    dpadded = xp.zeros(padded.shape, dtype=dy.dtype) if input_gradient else None
    for i in range(k):
        for j in range(k):
            dw[i, j] = column_sum(dy * tap(padded, i, j, stride, size))
            if input_gradient:
                pixels = tap(dpadded, i, j, stride, size)
                pixels += dy * w[i, j]
    return crop(dpadded, padding) if input_gradient else None, dw
