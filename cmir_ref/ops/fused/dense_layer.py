"""A fully connected layer with its rectifier: `relu(linear(x, w, b))`, or `linear(x, w, b)` alone.

N samples, C inputs, D outputs:  x (N, C), w (C, D), b (D,), y (N, D).
"""

from typing import NamedTuple

import numpy as np

from ... import kernels
from ...backend import Array, get_xp
from ..linear import LinearCache, linear, linear_backward
from ..relu import ReluCache, relu, relu_backward
from ..shapes import check_same_shape, check_vectors

SMALL_PRODUCT = 2**24  # multiplications: a larger product takes a GPU longer than a launch takes the host


class DenseLayerCache(NamedTuple):
    x: Array
    w: Array
    y: Array
    active: bool


class DenseLayerKernelCache(NamedTuple):
    """The cache where the kernels of a GPU computed."""

    x: Array
    w: Array
    y: Array
    active: bool


class PlainDenseLayerCache(NamedTuple):
    """The cache of the plain composition, where that was computed."""

    linear: LinearCache
    relu: ReluCache | None


def dense_layer(x: Array, w: Array, b: Array, *, active: bool) -> tuple[Array, tuple]:
    """y = relu(x w + 1 bᵀ) where `active`, else y = x w + 1 bᵀ.

    NumPy's float32 and float64 are added and rectified in place. On a GPU a small layer is one launch, and a large one
    a product of cuBLAS with one launch behind it. For all else this is the plain composition.
    """
    if kernels.supported(x, w, b):
        small = _small(x, w)
        y = kernels.dense_layer_kernel(x, w, b, active) if small else kernels.biased_relu_kernel(x @ w, b, active)
        return y, DenseLayerKernelCache(x, w, y, active)
    if isinstance(x, np.ndarray) and x.dtype == w.dtype == b.dtype and x.dtype.char in "fd":
        check_vectors(w.shape[-1], b=b)
        y = x @ w
        y += b
        return np.maximum(y, 0, out=y) if active else y, DenseLayerCache(x, w, y, active)
    y, linear_cache = linear(x, w, b)
    y, relu_cache = relu(y) if active else (y, None)
    return y, PlainDenseLayerCache(linear_cache, relu_cache)


def dense_layer_backward(dy: Array, cache: tuple, *, input_gradient: bool = True) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db), with δ = dy ⊙ relu'(s) where the layer is rectified; dx is None without `input_gradient`.

    dx = δ wᵀ    dw = xᵀ δ    db = δᵀ 1. A rectified y is positive where s was.
    """
    if isinstance(cache, PlainDenseLayerCache):
        dy = dy if cache.relu is None else relu_backward(dy, cache.relu)
        return linear_backward(dy, cache.linear, input_gradient=input_gradient)
    x, w, y, active = cache
    check_same_shape(dy=dy, y=y)
    if isinstance(cache, DenseLayerCache):
        dy = keep_where(y > 0, dy) if active else dy
        return linear_backward(dy, LinearCache(x, w), input_gradient=input_gradient)
    if _small(x, w):
        return kernels.dense_layer_backward_kernel(dy, x, w, y, active, input_gradient)
    dy = get_xp(dy).where(y > 0, dy, 0) if active else dy
    return dy @ w.T if input_gradient else None, x.T @ dy, kernels.column_sum_kernel(dy)


def input_of(cache: tuple) -> Array:
    """The x (n, C) that a layer was given."""
    return cache.linear.x if isinstance(cache, PlainDenseLayerCache) else cache.x


def keep_where(positive: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """np.where(positive, dy, 0) for real dy, in a seventh of the time: a processor guesses at branches in vain."""
    bits = np.negative(positive.view("int8")).astype(f"int{8 * dy.itemsize}")  # −1 has every bit, 0 none
    bits &= dy.view(bits.dtype)
    return bits.view(dy.dtype)


def _small(x: Array, w: Array) -> bool:
    return len(x) * w.size <= SMALL_PRODUCT
