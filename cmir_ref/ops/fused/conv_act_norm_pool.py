"""A whole block of the released order, `max_pool(batch_norm(leaky_relu(conv(x, w, b))), f)`, without full-size maps.

N samples, H × W pixels, C channels in, D out, k × k kernel, f × f windows, M = N·H·W values per channel.

Leaky ReLU rises, and batch normalisation is γ x̂ + β in each channel, so that the pool can go first: where γ > 0 the
largest u = conv(x, w, b) of a window wins, where γ < 0 the smallest. With σ = sign(γ) that is one max-pool,

    y = batch_norm(leaky_relu(σ max_pool(conv(x, σw, σb))))

With running or frozen statistics this is all. A batch's own statistics are of the full-size a = leaky_relu(u): their
sums are gathered tile by tile on the way forward.
"""

from typing import NamedTuple

import numpy as np

from ... import kernels
from ...backend import Array
from ...parallel import map_blocks
from ..batch_norm import EPSILON, batch_norm, batch_norm_backward
from ..conv import conv, conv_backward
from ..max_pool import max_pool, max_pool_backward
from ..relu import leaky_relu, leaky_relu_backward
from .act_norm import ActNormCache, act_norm, act_norm_backward, activate, constants, leaky_factor, normalise
from .conv_max_pool import ConvMaxPoolCache, conv_max_pool_backward, fits, pool, pooled
from .moments import channel_sum, combine, moments, wide
from .tiles import Tiles


class ConvActNormPoolCache(NamedTuple):
    conv: ConvMaxPoolCache
    norm: ActNormCache
    sign: np.ndarray
    b: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    form: str


class PlainCache(NamedTuple):
    """The caches of the plain composition, where it was taken."""

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
    form: str = "train",
) -> tuple[Array, tuple]:
    """y = max_pool(batch_norm(leaky_relu(conv(x, w, b), slope), gamma, beta, mean, var, form=form), factor).

    The plain composition itself where `conv_max_pool` takes it, for slopes that are not positive, where some γ is 0
    (every value of the window is then the maximum), and in training where f does not divide H and W. Where two values
    of u differ but rounding makes them one after normalisation, the plain pool takes the first and this the larger.
    """
    whole = form != "train" or not (x.shape[1] % factor or x.shape[2] % factor)
    if not (fits(x, w, b, factor) and gamma.dtype == beta.dtype == x.dtype and slope > 0 and whole and gamma.all()):
        u, conv_cache = conv(x, w, b)
        if kernels.supported(u, gamma, beta):
            act_cache, (z, norm_cache) = None, act_norm(u, gamma, beta, mean, var, slope=slope, form=form)
        else:
            a, act_cache = leaky_relu(u, slope)
            z, norm_cache = batch_norm(a, gamma, beta, mean, var, form=form)
        y, pool_cache = max_pool(z, factor)
        return y, PlainCache((conv_cache, act_cache, norm_cache, pool_cache), norm_cache.mean, norm_cache.var)
    sign, train = np.sign(gamma), form == "train"
    flipped = w * sign
    a, winner = pooled(x, flipped, factor)

    def upright(u):
        """leaky_relu(σu + b), in place."""
        pixels, s, shift = wide(u, sign, b)
        pixels *= s
        pixels += shift
        return activate(pixels, slope, pixels).reshape(-1, b.size)

    def work(block):
        parts = []
        look = (lambda planes: parts.append(moments(upright(planes.reshape(-1, b.size))))) if train else None
        pool(x, flipped, factor, block, a, winner, look)
        upright(a[block])
        return parts

    parts = [part for block in map_blocks(work, len(x)) for part in block]
    mean, var = combine(parts, gamma)[1:] if train else constants(form, gamma, mean, var)
    y, scale = np.empty_like(a), (var + EPSILON) ** -0.5
    map_blocks(lambda block: normalise(a[block], y[block], mean, scale * gamma, beta), len(x))
    norm_cache = ActNormCache(a, scale, gamma, mean, var, slope, "frozen")
    return y, ConvActNormPoolCache(ConvMaxPoolCache(x, flipped, winner, factor), norm_cache, sign, b, mean, var, form)


def conv_act_norm_pool_backward(
    dy: Array, cache: tuple, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array, Array, Array]:
    """(dx, dw, db, dγ, dβ).

    dγ = Σ dy x̂ and dβ = Σ dy run over the winners alone, and so does the whole gradient where μ and σ² are constants.
    In training every pixel moves them. With s = (σ² + ε)^(−1/2), a = leaky(u) and dy spread to the winners,
        du = leaky'(u) s γ (dy − dβ/M − (a − μ) s dγ/M)
           = [what goes to the winners] − leaky'(u) (A + B a)       B = s² γ dγ/M,   A = s γ dβ/M − μ B
    so that u is made anew, tile by tile, the winners are added, and the sum goes through the convolution.
    """
    if isinstance(cache, PlainCache):
        conv_cache, act_cache, norm_cache, pool_cache = cache.caches
        dz = max_pool_backward(dy, pool_cache)
        if act_cache is None:
            du, dgamma, dbeta = act_norm_backward(dz, norm_cache)
        else:
            da, dgamma, dbeta = batch_norm_backward(dz, norm_cache)
            du = leaky_relu_backward(da, act_cache)
        dx, dw, db = conv_backward(du, conv_cache, input_gradient=input_gradient)
        return dx, dw, db, dgamma, dbeta
    if cache.form != "train":  # σ goes with γ, which dγ and dβ do not ask
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
    slope_b = norm.scale * norm.scale * norm.gamma * dgamma / -values
    constant = norm.scale * norm.gamma * dbeta / -values - cache.mean * slope_b
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
                u, b, along, shift = wide(rest, cache.b, slope_b, constant)
                u += b
                factors = leaky_factor(u, norm.slope)
                activate(u, norm.slope, u)
                u *= along
                u += shift
                u *= factors
                full = tiles.spread(du[stack, rows], winner[stack, rows], rest)
                db += channel_sum(wide(full, db)[0], db.size)
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
