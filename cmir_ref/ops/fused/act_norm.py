"""Leaky ReLU and batch normalisation in one: `batch_norm(leaky_relu(x, slope), …)` in two passes over memory.

x (N, …, C).  M = the number of values per channel.
"""

from typing import NamedTuple

import numpy as np

from ... import kernels
from ...backend import Array, get_xp
from ...parallel import map_blocks
from ..batch_norm import NORM_EPSILON, batch_norm, batch_norm_backward
from ..relu import leaky_relu, leaky_relu_backward
from ..shapes import check_vectors
from .moments import channel_sum, combine, moments, widen

ACT_NORM_BYTES = 1 << 20  # of the samples that one call takes: half of a second-level cache


class ActNormCache(NamedTuple):
    act: np.ndarray
    scale: np.ndarray
    gamma: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    slope: float
    mode: str


class ActNormKernelCache(NamedTuple):
    """The cache where the kernels of a GPU computed; `factor` is scale · gamma."""

    x: Array
    scale: Array
    factor: Array
    gamma: Array
    mean: Array
    var: Array
    slope: float
    mode: str


class PlainActNormCache(NamedTuple):
    """The two caches of the plain composition, where that was computed."""

    act: NamedTuple
    norm: NamedTuple
    mean: Array
    var: Array


def act_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array | None = None,
    var: Array | None = None,
    *,
    slope: float = 0.01,
    mode: str = "train",
) -> tuple[Array, tuple]:
    """y = batch_norm(leaky_relu(x, slope), gamma, beta, mean, var, mode=mode).

    Of the full-size arrays only a = leaky_relu(x) is kept: its sign is that of x, as long as the slope is positive, and
    x̂ is computed again from it. On a GPU a few kernels of `kernels.py` do the work, and x is kept. For all other arrays
    than float32 and float64, and for other slopes, this is the plain composition.
    """
    check_vectors(x.shape[-1], gamma=gamma, beta=beta, mean=mean, var=var)
    if kernels.supported(x, gamma, beta):
        return _by_kernels(x, gamma, beta, mean, var, slope, mode)
    if not (isinstance(x, np.ndarray) and x.dtype == gamma.dtype == beta.dtype and x.dtype.char in "fd" and slope > 0):
        a, act_cache = leaky_relu(x, slope)
        y, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)
        return y, PlainActNormCache(act_cache, norm_cache, norm_cache.mean, norm_cache.var)
    a, y = np.empty(x.shape, dtype=x.dtype), np.empty(x.shape, dtype=x.dtype)

    def activate_and_measure(block):
        write_leaky_relu(x[block], slope, a[block])
        return moments(a[block]) if mode == "train" else None

    parts = map_blocks(activate_and_measure, len(x), _block_size(x))
    mean, var = combine(parts, gamma)[1:] if mode == "train" else given_statistics(mode, gamma, mean, var)
    scale = (var + NORM_EPSILON) ** -0.5
    map_blocks(lambda block: write_affine(a[block], mean, scale * gamma, beta, y[block]), len(x), _block_size(x))
    return y, ActNormCache(a, scale, gamma, mean, var, slope, mode)


def given_statistics(mode: str, gamma: Array, mean: Array | None, var: Array | None) -> tuple[Array, Array]:
    """Mean and variance of the two modes in which they are constants."""
    xp = get_xp(gamma)
    if mode == "frozen":
        return xp.zeros_like(gamma), xp.ones_like(gamma)
    if mode != "inference":
        raise ValueError(f"mode is {mode!r}; it is one of train, inference, frozen")
    return mean, var


def write_affine(a: np.ndarray, mean: np.ndarray, factor: np.ndarray, beta: np.ndarray, y: np.ndarray) -> None:
    """Writes (a − mean) factor + β into `y`."""
    rows, m, g, b = widen(a, mean, factor, beta)
    out = y.reshape(rows.shape)
    np.subtract(rows, m, out=out)
    out *= g
    out += b


def _by_kernels(x, gamma, beta, mean, var, slope, mode):
    """`act_norm` in as few passes over memory as its sums allow; x alone is kept."""
    if mode == "train":
        share = 1 / max(x.size // gamma.size, 1)
        mean = kernels.column_sum_kernel(x, kernels.SUM_OF_ACT, slope=slope, factor=share)
        var = kernels.column_sum_kernel(x, kernels.SUM_OF_SQUARES, mean=mean, slope=slope, factor=share)
    else:
        mean, var = given_statistics(mode, gamma, mean, var)
    scale, factor = kernels.norm_factors_kernel(var, gamma, NORM_EPSILON)
    y = kernels.act_norm_kernel(x, mean, factor, beta, slope)
    return y, ActNormKernelCache(x, scale, factor, gamma, mean, var, slope, mode)


def _by_kernels_backward(dy, cache):
    x, scale, factor, gamma, mean, _, slope, mode = cache
    product = kernels.column_sum_kernel(x, kernels.SUM_OF_PRODUCTS, y=dy, mean=mean, slope=slope)
    dbeta = kernels.column_sum_kernel(dy)
    share = 1 / max(x.size // gamma.size, 1) if mode == "train" else 0.0  # of constants: without the two means
    dgamma, along, shift = kernels.norm_sums_kernel(product, dbeta, scale, share)
    return kernels.act_norm_backward_kernel(dy, x, mean, factor, along, shift, slope), dgamma, dbeta


def act_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """(dx, dγ, dβ), as the plain pairs derive them.

    dγ = Σ dy x̂ and dβ = Σ dy need all of dy before the first entry of dx can be written, hence two passes:
        dx = leaky'(x) s γ (dy − dβ/M − (a − μ) s dγ/M),     s = (σ² + ε)^(−1/2)
    without the two means where μ and σ² are constants.
    """
    if isinstance(cache, ActNormKernelCache):
        return _by_kernels_backward(dy, cache)
    if isinstance(cache, PlainActNormCache):
        da, dgamma, dbeta = batch_norm_backward(dy, cache.norm)
        return leaky_relu_backward(da, cache.act), dgamma, dbeta
    a, scale, gamma, mean, _, slope, mode = cache
    c, values = gamma.size, max(a.size // gamma.size, 1)
    dx, dgamma, dbeta = np.empty(a.shape, dtype=a.dtype), np.zeros(gamma.size), np.zeros(gamma.size)

    def sums(block):
        rows, m = widen(a[block], mean)
        upstream = dy[block].reshape(rows.shape)
        product = rows - m
        product *= upstream
        return channel_sum(product, c), channel_sum(upstream, c)

    def write_dx(block):
        rows, m, g, along, shift = widen(a[block], mean, scale * gamma, scale * dgamma / -values, dbeta / values)
        upstream, out = dy[block].reshape(rows.shape), dx[block].reshape(rows.shape)
        if mode == "train":
            np.subtract(rows, m, out=out)
            out *= along
            out += upstream
            out -= shift
            out *= g
        else:
            np.multiply(upstream, g, out=out)
        out *= leaky_relu_derivative(rows, slope)

    def both(block):  # dx does not need the sums where the statistics are constants: one pass
        write_dx(block)
        return sums(block)

    for part_gamma, part_beta in map_blocks(sums if mode == "train" else both, len(a), _block_size(a)):
        dgamma += part_gamma
        dbeta += part_beta
    dgamma *= scale
    if mode == "train":
        map_blocks(write_dx, len(a), _block_size(a))
    return dx, dgamma.astype(a.dtype), dbeta.astype(a.dtype)


def _block_size(x: np.ndarray) -> int:
    """How many samples a block has. It depends on their size alone, so that the number of threads changes nothing."""
    return max(ACT_NORM_BYTES * len(x) // max(x.nbytes, 1), 1)


def write_leaky_relu(x: np.ndarray, slope: float, out: np.ndarray) -> np.ndarray:
    """leaky_relu(x, slope) into `out`, which may be x itself; slope > 0."""
    return (np.maximum if slope <= 1 else np.minimum)(x, x * x.dtype.type(slope), out=out)


def leaky_relu_derivative(x: np.ndarray, slope: float) -> np.ndarray:
    """leaky'(x): 1 where x > 0, slope elsewhere, in the dtype of x."""
    factor = np.multiply(x > 0, x.dtype.type(1 - slope))
    factor += x.dtype.type(slope)
    return factor
