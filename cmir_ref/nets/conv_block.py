"""One block of the convolution pretrainer: convolution, max-pooling, leaky ReLU and batch normalisation.

N samples, H × W pixels, C channels in, D channels out, k × k kernel, f × f windows:
x (N, H, W, C), w (k, k, C, D), b, gamma, beta, mean, var (D,), y (N, H//f, W//f, D).
"""

from typing import NamedTuple

from ..backend import Array
from ..ops.batch_norm import batch_norm, batch_norm_backward
from ..ops.conv import conv, conv_backward
from ..ops.fused import (
    act_norm,
    act_norm_backward,
    conv_act_norm_pool,
    conv_act_norm_pool_backward,
    conv_max_pool,
    conv_max_pool_backward,
)
from ..ops.max_pool import max_pool, max_pool_backward
from ..ops.relu import leaky_relu, leaky_relu_backward

BLOCK_ORDERS = ("conv-pool-act-norm", "conv-act-norm-pool")  # of the paper's text, and of the released code


class ConvBlockCache(NamedTuple):
    order: str
    fused: bool
    steps: tuple  # the cache of each operation, in the order of the forward pass
    mean: Array  # (D,) what normalised: in training the statistics of this batch
    var: Array


def conv_block(
    x: Array,
    w: Array,
    b: Array,
    gamma: Array,
    beta: Array,
    mean: Array | None = None,
    var: Array | None = None,
    *,
    pool: int,
    order: str = "conv-pool-act-norm",
    mode: str = "train",
    slope: float = 0.01,
    fused: bool = True,
) -> tuple[Array, ConvBlockCache]:
    """y = norm(act(pool(conv(x)))) in the paper's `order`, y = pool(norm(act(conv(x)))) in that of the released code.

    `mode` and the running averages `mean`, `var` are those of `batch_norm`, `slope` is that of `leaky_relu`. `fused`
    takes the fast twins of these operations: the same values up to rounding.
    """
    if order not in BLOCK_ORDERS:
        raise ValueError(f"block_order is {order!r}; it is one of {', '.join(BLOCK_ORDERS)}")

    if order == "conv-pool-act-norm" and not fused:
        u, conv_cache = conv(x, w, b)
        p, pool_cache = max_pool(u, pool)
        a, act_cache = leaky_relu(p, slope)
        y, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)
        steps = conv_cache, pool_cache, act_cache, norm_cache

    elif order == "conv-pool-act-norm":
        p, conv_cache = conv_max_pool(x, w, b, pool, winners=mode != "inference")
        y, norm_cache = act_norm(p, gamma, beta, mean, var, slope=slope, mode=mode)
        steps = conv_cache, norm_cache

    elif not fused:
        u, conv_cache = conv(x, w, b)
        a, act_cache = leaky_relu(u, slope)
        z, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)
        y, pool_cache = max_pool(z, pool)
        steps = conv_cache, act_cache, norm_cache, pool_cache

    else:
        y, norm_cache = conv_act_norm_pool(x, w, b, gamma, beta, mean, var, factor=pool, slope=slope, mode=mode)
        steps = (norm_cache,)

    return y, ConvBlockCache(order, fused, steps, norm_cache.mean, norm_cache.var)


def conv_block_backward(
    dy: Array, cache: ConvBlockCache, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array, Array, Array]:
    """(dx, dw, db, dγ, dβ): the backward of each operation, from the last to the first.

    dx is None without `input_gradient`: nobody needs the gradient of an image.
    """
    if cache.order == "conv-pool-act-norm" and not cache.fused:
        conv_cache, pool_cache, act_cache, norm_cache = cache.steps
        da, dgamma, dbeta = batch_norm_backward(dy, norm_cache)
        dp = leaky_relu_backward(da, act_cache)
        du = max_pool_backward(dp, pool_cache)
        dx, dw, db = conv_backward(du, conv_cache, input_gradient=input_gradient)

    elif cache.order == "conv-pool-act-norm":
        conv_cache, norm_cache = cache.steps
        dp, dgamma, dbeta = act_norm_backward(dy, norm_cache)
        dx, dw, db = conv_max_pool_backward(dp, conv_cache, input_gradient=input_gradient)

    elif not cache.fused:
        conv_cache, act_cache, norm_cache, pool_cache = cache.steps
        dz = max_pool_backward(dy, pool_cache)
        da, dgamma, dbeta = batch_norm_backward(dz, norm_cache)
        du = leaky_relu_backward(da, act_cache)
        dx, dw, db = conv_backward(du, conv_cache, input_gradient=input_gradient)

    else:
        (norm_cache,) = cache.steps
        dx, dw, db, dgamma, dbeta = conv_act_norm_pool_backward(dy, norm_cache, input_gradient=input_gradient)

    return dx, dw, db, dgamma, dbeta
