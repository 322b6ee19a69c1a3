"""Convolution and max-pooling by the kernels of a GPU; for other arrays they are the plain operations.

N samples, H × W pixels, C channels in, D channels out, k × k kernel, f × f windows.
"""

from typing import NamedTuple

from ... import kernels
from ...backend import Array
from ..conv import ConvCache, conv, conv_backward
from ..max_pool import MaxPoolCache, max_pool, max_pool_backward


class ConvColumnsCache(NamedTuple):
    """The cache where the kernels of a GPU computed."""

    columns: Array
    w: Array
    shape: tuple[int, ...]


def conv_on_device(x: Array, w: Array, b: Array) -> tuple[Array, tuple]:
    """`conv(x, w, b)`: one launch gathers the columns where NumPy's spelling takes k·k copies."""
    if not kernels.supported(x, w, b):
        return conv(x, w, b)
    k, d = w.shape[0], w.shape[-1]
    columns = kernels.im2col_kernel(x, k)
    y = columns @ w.reshape(-1, d)
    y += b
    return y.reshape(*x.shape[:3], d), ConvColumnsCache(columns, w, x.shape)


def conv_on_device_backward(
    dy: Array, cache: tuple, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db): dw' = im2col(x)ᵀ dy, db = dyᵀ 1, and every pixel of dx gathers its entries of dy w'ᵀ."""
    if isinstance(cache, ConvCache):
        return conv_backward(dy, cache, input_gradient=input_gradient)
    columns, w, shape = cache
    k, d = w.shape[0], w.shape[-1]
    rows = dy.reshape(-1, d)
    dw = (columns.T @ rows).reshape(w.shape)
    dx = kernels.col2im_kernel(rows @ w.reshape(-1, d).T, shape, k) if input_gradient else None
    return dx, dw, kernels.column_sum_kernel(rows)


class MaxPoolKernelCache(NamedTuple):
    """The cache where the kernels of a GPU computed."""

    winner: Array
    factor: int
    shape: tuple[int, ...]


def max_pool_on_device(x: Array, factor: int) -> tuple[Array, tuple]:
    """`max_pool(x, factor)` in one launch."""
    if not kernels.supported(x):
        return max_pool(x, factor)
    y, winner = kernels.max_pool_kernel(x, factor)
    return y, MaxPoolKernelCache(winner, factor, x.shape)


def max_pool_on_device_backward(dy: Array, cache: tuple) -> Array:
    """dx: dy at the winners, 0 elsewhere."""
    if isinstance(cache, MaxPoolCache):
        return max_pool_backward(dy, cache)
    return kernels.max_pool_backward_kernel(dy, *cache)
