"""A whole block of the released order, `max_pool(batch_norm(leaky_relu(conv(x, w, b))), f)`, without full-size maps.

N samples, H × W pixels, C channels in, D channels out, k × k kernel, f × f windows, M = N·H·W values per channel.

Leaky ReLU rises, and batch normalisation is γ x̂ + β in each channel. So the pool can go first: where γ > 0 the largest
u = conv(x, w, b) of a window wins, where γ < 0 the smallest. With σ = sign(γ) that is one max-pool,

    y = batch_norm(leaky_relu(σ max_pool(conv(x, σw, σb))))

With running or frozen statistics this is all. The statistics of the batch itself are those of the full-size
a = leaky_relu(u): the forward pass sums them tile by tile.
"""

from typing import NamedTuple

import numpy as np

from ... import kernels
from ...backend import Array
from ...parallel import map_blocks
from ..batch_norm import NORM_EPSILON, batch_norm, batch_norm_backward
from ..relu import leaky_relu, leaky_relu_backward
from ..shapes import check_vectors
from .act_norm import (
    ActNormCache,
    act_norm,
    act_norm_backward,
    given_statistics,
    leaky_relu_derivative,
    write_affine,
    write_leaky_relu,
)
from .conv_max_pool import ConvMaxPoolCache, can_tile, conv_max_pool_backward, empty_pooled, write_conv_max_pool
from .moments import channel_sum, combine, moments, widen
from .on_device import conv_on_device, conv_on_device_backward, max_pool_on_device, max_pool_on_device_backward
from .tiles import Tiles


class ConvActNormPoolCache(NamedTuple):
    conv: ConvMaxPoolCache
    norm: ActNormCache
    sign: np.ndarray
    b: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    mode: str


class PlainConvActNormPoolCache(NamedTuple):
    """The four caches of the plain composition, where that was computed."""

    caches: tuple
    mean: Array
    var: Array


def conv_act_norm_pool(
    x: Array,
    w: Array,
    b: Array,
    gamma: Array,
    beta: Array,
    mean: Array | None = None,
    var: Array | None = None,
    *,
    factor: int,
    slope: float = 0.01,
    mode: str = "train",
) -> tuple[Array, tuple]:
    """y = max_pool(batch_norm(leaky_relu(conv(x, w, b), slope), gamma, beta, mean, var, mode=mode), factor).

    This is the plain composition where `can_tile` says no, for slopes that are not positive, where some γ is 0 (every
    value of the window is then the maximum), and in training where f does not divide H and W. Where two values of u
    differ but rounding makes them one after normalisation, the plain pool takes the first of them and this the larger.
    """
    check_vectors(w.shape[-1], b=b, gamma=gamma, beta=beta, mean=mean, var=var)
    whole = mode != "train" or not (x.shape[1] % factor or x.shape[2] % factor)
    if not (can_tile(x, w, b, factor) and gamma.dtype == beta.dtype == x.dtype and slope > 0 and whole and gamma.all()):
        u, conv_cache = conv_on_device(x, w, b)
        if kernels.supported(u, gamma, beta):
            act_cache, (z, norm_cache) = None, act_norm(u, gamma, beta, mean, var, slope=slope, mode=mode)
        else:
            a, act_cache = leaky_relu(u, slope)
            z, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)
        y, pool_cache = max_pool_on_device(z, factor)
        caches = conv_cache, act_cache, norm_cache, pool_cache
        return y, PlainConvActNormPoolCache(caches, norm_cache.mean, norm_cache.var)
    sign, train = np.sign(gamma), mode == "train"
    flipped = w * sign
    a, winner = empty_pooled(x, w, factor, winners=mode != "inference")

    def activate(u):
        """leaky_relu(σu + b), in place."""
        pixels, s, shift = widen(u, sign, b)
        pixels *= s
        pixels += shift
        return write_leaky_relu(pixels, slope, pixels).reshape(-1, b.size)

    def work(block):
        parts = []
        measure = (lambda planes: parts.append(moments(activate(planes.reshape(-1, b.size))))) if train else None
        write_conv_max_pool(x, flipped, factor, block, a, winner, measure)
        activate(a[block])
        return parts

    parts = [part for block in map_blocks(work, len(x)) for part in block]
    mean, var = combine(parts, gamma)[1:] if train else given_statistics(mode, gamma, mean, var)
    y, scale = np.empty_like(a), (var + NORM_EPSILON) ** -0.5
    map_blocks(lambda block: write_affine(a[block], mean, scale * gamma, beta, y[block]), len(x))
    norm_cache = ActNormCache(a, scale, gamma, mean, var, slope, "frozen")
    return y, ConvActNormPoolCache(ConvMaxPoolCache(x, flipped, winner, factor), norm_cache, sign, b, mean, var, mode)


def conv_act_norm_pool_backward(
    dy: Array, cache: tuple, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array, Array, Array]:
    """(dx, dw, db, dγ, dβ).

    dγ = Σ dy x̂ and dβ = Σ dy run over the winners alone, and so does the whole gradient where μ and σ² are constants.
    In training every pixel moves them. With s = (σ² + ε)^(−1/2), a = leaky(u) and dy spread to the winners,
        du = leaky'(u) s γ (dy − dβ/M − (a − μ) s dγ/M)
           = [what goes to the winners] − leaky'(u) (A + B a)       B = s² γ dγ/M,   A = s γ dβ/M − μ B
    So u is computed again, tile by tile, the part of the winners is added, and the sum goes through the convolution.
    """
    if isinstance(cache, PlainConvActNormPoolCache):
        conv_cache, act_cache, norm_cache, pool_cache = cache.caches
        dz = max_pool_on_device_backward(dy, pool_cache)
        if act_cache is None:
            du, dgamma, dbeta = act_norm_backward(dz, norm_cache)
        else:
            da, dgamma, dbeta = batch_norm_backward(dz, norm_cache)
            du = leaky_relu_backward(da, act_cache)
        dx, dw, db = conv_on_device_backward(du, conv_cache, input_gradient=input_gradient)
        return dx, dw, db, dgamma, dbeta
    if cache.mode != "train":  # the pooled maximum is σu, so du takes the sign of γ; dγ and dβ do not read γ
        du, dgamma, dbeta = act_norm_backward(dy, cache.norm._replace(gamma=cache.norm.gamma * cache.sign))
        dx, dw, db = conv_max_pool_backward(du, cache.conv, input_gradient=input_gradient)
        return dx, dw * cache.sign, db * cache.sign, dgamma, dbeta
    du, dgamma, dbeta = act_norm_backward(dy, cache.norm)
    dx, dw, db = _conv_backward_everywhere(du, dgamma, dbeta, cache, input_gradient)
    return dx, dw, db, dgamma, dbeta


def _conv_backward_everywhere(du, dgamma, dbeta, cache, input_gradient):
    """(dx, dw, db) for du at the winners and −leaky'(u) (A + B a) at every pixel."""
    x, flipped, winner, factor = cache.conv
    w, norm = flipped * cache.sign, cache.norm
    values = max(x.size // x.shape[-1], 1)
    minus_b = norm.scale * norm.scale * norm.gamma * dgamma / -values
    minus_a = norm.scale * norm.gamma * dbeta / -values - cache.mean * minus_b
    dx = np.empty(x.shape, dtype=du.dtype) if input_gradient else None

    def work(block):
        tiles = Tiles(x.shape[1:], w, factor)
        tiles.start_forward()
        tiles.start_backward()
        dw, db, dpadded = np.zeros_like(w), np.zeros(cache.b.shape), tiles.empty()
        for stack in tiles.stacks(block):
            tiles.load(x[stack])
            dpadded.fill(0)
            for rows in tiles.rows:
                rest = tiles.planes(rows).reshape(-1, cache.b.size)
                u, b, along, shift = widen(rest, cache.b, minus_b, minus_a)
                u += b
                factors = leaky_relu_derivative(u, norm.slope)
                write_leaky_relu(u, norm.slope, u)
                u *= along
                u += shift
                u *= factors
                full = tiles.spread(du[stack, rows], winner[stack, rows], rest)
                db += channel_sum(widen(full, db)[0], db.size)
                tiles.add_dw(dw, rows, full)
                if input_gradient:
                    tiles.add_dx(dpadded, rows, full)
            if input_gradient:
                dx[stack] = tiles.inner(dpadded)
        return dw, db

    dw, db = np.zeros_like(w), np.zeros(cache.b.shape)
    for part_w, part_b in map_blocks(work, len(x)):
        dw += part_w
        db += part_b
    return dx, dw, db.astype(w.dtype)
