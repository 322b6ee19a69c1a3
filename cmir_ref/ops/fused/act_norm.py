"""Leaky ReLU and batch normalisation in one: `batch_norm(leaky_relu(x, slope), …)` in two passes over memory.

x (N, …, C).  M = the number of values per channel.
"""

from typing import NamedTuple

import numpy as np

from ... import kernels
from ...backend import Array
from ...parallel import map_blocks
from ..batch_norm import EPSILON, batch_norm, batch_norm_backward
from ..relu import leaky_relu, leaky_relu_backward
from ..sums import column_mean, column_sum
from .moments import channel_sum, combine, moments, wide

BLOCK = 1 << 20  # bytes of the samples that one call takes: half of a second-level cache


class ActNormCache(NamedTuple):
    act: np.ndarray
    scale: np.ndarray
    gamma: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    slope: float
    form: str


class KernelCache(NamedTuple):
    x: Array
    scale: Array
    gamma: Array
    mean: Array
    var: Array
    slope: float
    form: str


class PlainCache(NamedTuple):
    """The caches of the plain composition, where it was taken."""

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
    form: str = "train",
) -> tuple[Array, tuple]:
    """y = batch_norm(leaky_relu(x, slope), gamma, beta, mean, var, form=form).

    The plain composition itself for arrays other than NumPy's float32 and float64, and for slopes that are not
    positive: the sign of a = leaky_relu(x) then tells that of x, and only a is kept. On a GPU a few kernels of
    `kernels.py`.
    """
    if kernels.supported(x, gamma, beta):
        return _by_kernels(x, gamma, beta, mean, var, slope, form)
    if not (isinstance(x, np.ndarray) and x.dtype == gamma.dtype == beta.dtype and x.dtype.char in "fd" and slope > 0):
        a, act_cache = leaky_relu(x, slope)
        y, norm_cache = batch_norm(a, gamma, beta, mean, var, form=form)
        return y, PlainCache(act_cache, norm_cache, norm_cache.mean, norm_cache.var)
    a, y = np.empty(x.shape, dtype=x.dtype), np.empty(x.shape, dtype=x.dtype)

    def first(block):
        activate(x[block], slope, a[block])
        return moments(a[block]) if form == "train" else None

    parts = map_blocks(first, len(x), _samples(x))
    mean, var = combine(parts, gamma)[1:] if form == "train" else constants(form, gamma, mean, var)
    scale = (var + EPSILON) ** -0.5
    map_blocks(lambda block: normalise(a[block], y[block], mean, scale * gamma, beta), len(x), _samples(x))
    return y, ActNormCache(a, scale, gamma, mean, var, slope, form)


def constants(form: str, gamma: Array, mean: Array | None, var: Array | None) -> tuple[Array, Array]:
    """Mean and variance of the forms in which no gradient goes through them."""
    if form == "frozen":
        return 0 * gamma, 0 * gamma + 1
    if form != "inference":
        raise ValueError(f"form is {form!r}; it is one of train, inference, frozen")
    return mean, var


def normalise(a: np.ndarray, y: np.ndarray, mean: np.ndarray, factor: np.ndarray, beta: np.ndarray) -> None:
    """(a − mean) factor + β into `y`."""
    rows, m, g, b = wide(a, mean, factor, beta)
    out = y.reshape(rows.shape)
    np.subtract(rows, m, out=out)
    out *= g
    out += b


def _by_kernels(x, gamma, beta, mean, var, slope, form):
    """`act_norm` in as few passes as its sums allow; x alone is kept."""
    if form == "train":
        a = kernels.leaky_relu_kernel(x, slope)
        mean = column_mean(a)
        a = a - mean
        var = column_mean(a * a)
    else:
        mean, var = constants(form, gamma, mean, var)
    scale = (var + EPSILON) ** -0.5
    y = kernels.act_norm_kernel(x, mean, scale * gamma, beta, slope)
    return y, KernelCache(x, scale, gamma, mean, var, slope, form)


def _by_kernels_backward(dy, cache):
    x, scale, gamma, mean, _, slope, form = cache
    dgamma, dbeta = column_sum(dy * (kernels.leaky_relu_kernel(x, slope) - mean)) * scale, column_sum(dy)
    values = max(x.size // gamma.size, 1) if form == "train" else float("inf")  # without the two means: constants
    dx = kernels.act_norm_backward_kernel(dy, x, mean, scale * gamma, scale * dgamma / values, dbeta / values, slope)
    return dx, dgamma, dbeta


def act_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """(dx, dγ, dβ): both derivations are those of the plain pair.

    dγ = Σ dy x̂ and dβ = Σ dy need all of dy before the first dx can be written, hence two passes. With s, μ as there,
        dx = leaky'(a) s γ (dy − dβ/M − (a − μ) s dγ/M)      without the two means where μ and σ² are constants.
    """
    if isinstance(cache, KernelCache):
        return _by_kernels_backward(dy, cache)
    if isinstance(cache, PlainCache):
        da, dgamma, dbeta = batch_norm_backward(dy, cache.norm)
        return leaky_relu_backward(da, cache.act), dgamma, dbeta
    a, scale, gamma, mean, _, slope, form = cache
    c, values = gamma.size, max(a.size // gamma.size, 1)
    dx, dgamma, dbeta = np.empty(a.shape, dtype=a.dtype), np.zeros(gamma.size), np.zeros(gamma.size)

    def reduce(block):
        rows, m = wide(a[block], mean)
        upstream = dy[block].reshape(rows.shape)
        product = rows - m
        product *= upstream
        return channel_sum(product, c), channel_sum(upstream, c)

    def spread(block):
        rows, m, g, along, shift = wide(a[block], mean, scale * gamma, scale * dgamma / -values, dbeta / values)
        upstream, out = dy[block].reshape(rows.shape), dx[block].reshape(rows.shape)
        if form == "train":
            np.subtract(rows, m, out=out)
            out *= along
            out += upstream
            out -= shift
            out *= g
        else:
            np.multiply(upstream, g, out=out)
        out *= leaky_factor(rows, slope)

    def both(block):  # constants make no difference to dx: one pass
        spread(block)
        return reduce(block)

    for part_gamma, part_beta in map_blocks(reduce if form == "train" else both, len(a), _samples(a)):
        dgamma += part_gamma
        dbeta += part_beta
    dgamma *= scale
    if form == "train":
        map_blocks(spread, len(a), _samples(a))
    return dx, dgamma.astype(a.dtype), dbeta.astype(a.dtype)


def _samples(x: np.ndarray) -> int:
    """How many samples of x a block has: by their size alone, so that the number of threads changes nothing."""
    return max(BLOCK * len(x) // max(x.nbytes, 1), 1)


def activate(x: np.ndarray, slope: float, out: np.ndarray) -> np.ndarray:
    """leaky_relu(x, slope) into `out`, which may be x; slope > 0."""
    return (np.maximum if slope <= 1 else np.minimum)(x, x * x.dtype.type(slope), out=out)


def leaky_factor(x: np.ndarray, slope: float) -> np.ndarray:
    """leaky'(x): 1 where x > 0, slope elsewhere, in x's dtype."""
    factor = np.multiply(x > 0, x.dtype.type(1 - slope))
    factor += x.dtype.type(slope)
    return factor
