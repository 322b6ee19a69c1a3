"""A fully connected layer with its rectifier: `relu(linear(x, w, b))`, or `linear(x, w, b)` alone.

N samples, C inputs, D outputs:  x (N, C), w (C, D), b (D,), y (N, D).
"""

from typing import NamedTuple

from ... import kernels
from ...backend import Array, get_xp
from ..linear import LinearCache, linear, linear_backward
from ..relu import ReluCache, relu, relu_backward

SMALL_PRODUCT = 2**24  # multiplications: a larger product takes a GPU longer than a launch takes the host


class DenseLayerCache(NamedTuple):
    linear: LinearCache
    relu: ReluCache | None


class DenseLayerKernelCache(NamedTuple):
    """The cache where the kernels of a GPU computed."""

    x: Array
    w: Array
    y: Array
    active: bool


def dense_layer(x: Array, w: Array, b: Array, *, active: bool) -> tuple[Array, tuple]:
    """y = relu(x w + 1 bᵀ) where `active`, else y = x w + 1 bᵀ.

    On a GPU a small layer is one launch, and a large one a product of cuBLAS with one launch behind it.
    """
    if kernels.supported(x, w, b):
        small = _small(x, w)
        y = kernels.dense_layer_kernel(x, w, b, active) if small else kernels.biased_relu_kernel(x @ w, b, active)
        return y, DenseLayerKernelCache(x, w, y, active)
    y, linear_cache = linear(x, w, b)
    y, relu_cache = relu(y) if active else (y, None)
    return y, DenseLayerCache(linear_cache, relu_cache)


def dense_layer_backward(dy: Array, cache: tuple, *, input_gradient: bool = True) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db), with δ = dy ⊙ relu'(s) where the layer is rectified; dx is None without `input_gradient`.

    dx = δ wᵀ    dw = xᵀ δ    db = δᵀ 1. A rectified y is positive where s was.
    """
    if isinstance(cache, DenseLayerCache):
        dy = dy if cache.relu is None else relu_backward(dy, cache.relu)
        return linear_backward(dy, cache.linear, input_gradient=input_gradient)
    x, w, y, active = cache
    if _small(x, w):
        return kernels.dense_layer_backward_kernel(dy, x, w, y, active, input_gradient)
    dy = get_xp(dy).where(y > 0, dy, 0) if active else dy
    return dy @ w.T if input_gradient else None, x.T @ dy, kernels.column_sum_kernel(dy)


def input_of(cache: tuple) -> Array:
    """The x (n, C) that a layer was given."""
    return cache.linear.x if isinstance(cache, DenseLayerCache) else cache.x


def _small(x: Array, w: Array) -> bool:
    return len(x) * w.size <= SMALL_PRODUCT
