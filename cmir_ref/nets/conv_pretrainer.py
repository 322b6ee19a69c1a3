"""The convolution pretrainer: three blocks (32, 64, 128 channels), then Z and a classifier.

N samples, H × W pixels, C channels, D = 128 features, K classes. The pools leave 4 × 4 × 128 = 2048 numbers:
PAN 256 × 256 × 1 pools 4, 4, 4;  MUL 64 × 64 × C pools 2, 2, 4;  log-mel patches 96 × 64 × 1 (6 × 4 × 128 remain).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from ..errors import InputError
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
from ..params import bias, constant, dense, he
from .head import HeadCache, PretrainerOutput, head, head_backward

CHANNELS = (32, 64, 128)
POOLS = {64: (2, 2, 4), 128: (2, 4, 4), 256: (4, 4, 4)}
BLOCK_ORDERS = {
    "conv-pool-act-norm": ("conv", "pool", "act", "norm"),  # the paper's text
    "conv-act-norm-pool": ("conv", "act", "norm", "pool"),  # the released code
}
FUSED = {
    ("conv", "pool", "act", "norm"): ("conv+pool", "act+norm"),
    ("conv", "act", "norm", "pool"): ("conv+act+norm+pool",),
}


class ConvPretrainer(NamedTuple):
    """The architecture."""

    pools: tuple[int, ...] = (2, 2, 4)
    channels: tuple[int, ...] = CHANNELS
    block_order: str = "conv-pool-act-norm"
    batch_norm: str = "train"  # or "frozen"
    slope: float = 0.01
    dropout: float = 0.5
    fused: bool = True  # the fast twins of ops/fused; False: every operation for itself


class ConvPretrainerCache(NamedTuple):
    blocks: list[tuple[str, list]]
    shape: tuple[int, ...]
    head: HeadCache
    statistics: dict[str, Array]  # this batch's mean and variance by buffer name, for the running averages
    input_gradient: bool


def pools_for(height: int, width: int) -> tuple[int, ...]:
    """The pool factors that leave 4 × 4 (or 6 × 4) where the smaller side is 64, 128 or 256, else `InputError`."""
    side = min(height, width)
    if side not in POOLS:
        sides = " or ".join(map(str, POOLS))
        raise InputError(f"images of {height} × {width}: the smaller side must be {sides}")
    return POOLS[side]


def init_conv_pretrainer(
    arch: ConvPretrainer, shape: tuple[int, int, int], features: int, classes: int, rng, bias_init="zero"
):
    """(params, buffers): named arrays for inputs of `shape` (H, W, C); He-normal weights."""
    params, buffers = {}, {}
    h, w, c = shape
    for i, (d, pool) in enumerate(zip(arch.channels, arch.pools, strict=True), start=1):
        params[f"conv.{i}.w"] = he(rng, (3, 3, c, d), fan_in=9 * c)
        params[f"conv.{i}.b"] = bias(rng, d, bias_init)
        params[f"norm.{i}.gamma"], params[f"norm.{i}.beta"] = constant(1, d), constant(0, d)
        buffers[f"norm.{i}.mean"], buffers[f"norm.{i}.var"] = constant(0, d), constant(1, d)
        h, w, c = h // pool, w // pool, d
    return params | dense({"fc": (h * w * c, features), "classifier": (features, classes)}, rng, bias_init), buffers


def conv_pretrainer(
    params: Mapping[str, Array],
    x: Array,
    *,
    arch: ConvPretrainer,
    mode: str,
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
    input_gradient: bool = False,
) -> tuple[PretrainerOutput, ConvPretrainerCache]:
    """x (N, H, W, C) -> three blocks -> Z -> logits.

    A block is conv → pool → leaky ReLU → batch norm (paper) or conv → leaky ReLU → batch norm → pool (released).
    In `mode` "train" batch norm uses this batch's statistics (see `cache.statistics`) and `masks["z"]` (N, D) is
    dropout's; in "inference" it uses `buffers` and there is no dropout. `arch.batch_norm` "frozen" overrides both.
    """
    form = "frozen" if arch.batch_norm == "frozen" else mode
    steps = BLOCK_ORDERS[arch.block_order]
    steps = FUSED.get(steps, steps) if arch.fused else steps
    blocks, statistics = [], {}
    h = x
    for i, pool in enumerate(arch.pools, start=1):
        kernel = params[f"conv.{i}.w"], params[f"conv.{i}.b"]
        mean, var = (buffers[f"norm.{i}.{s}"] if form == "inference" else None for s in ("mean", "var"))
        norm = params[f"norm.{i}.gamma"], params[f"norm.{i}.beta"], mean, var
        caches = []
        for step in steps:
            if step == "conv":
                h, cache = conv(h, *kernel)
            elif step == "conv+pool":
                h, cache = conv_max_pool(h, *kernel, pool)
            elif step == "conv+act+norm+pool":
                h, cache = conv_act_norm_pool(h, *kernel, *norm, factor=pool, slope=arch.slope, mode=form)
            elif step == "pool":
                h, cache = max_pool(h, pool)
            elif step == "act":
                h, cache = leaky_relu(h, arch.slope)
            elif step == "norm":
                h, cache = batch_norm(h, *norm, mode=form)
            else:
                h, cache = act_norm(h, *norm, slope=arch.slope, mode=form)
            if "norm" in step and form == "train":
                statistics |= {f"norm.{i}.mean": cache.mean, f"norm.{i}.var": cache.var}
            caches.append((step, cache))
        blocks.append((str(i), caches))
    rows = h.reshape(h.shape[0], math.prod(h.shape[1:]))  # not −1: a batch may be empty
    out, head_cache = head(params, rows, masks["z"] if mode == "train" else None, arch.dropout)
    return out, ConvPretrainerCache(blocks, h.shape, head_cache, statistics, input_gradient)


def conv_pretrainer_backward(d: PretrainerOutput, cache: ConvPretrainerCache) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx) for the upstream gradient `d` of the outputs; dx is None unless `input_gradient` was asked for."""
    grads, dh = head_backward(d, cache.head)
    dh = dh.reshape(cache.shape)
    for i, steps in reversed(cache.blocks):
        wanted = i != "1" or cache.input_gradient
        conv_names, norm_names = (f"conv.{i}.w", f"conv.{i}.b"), (f"norm.{i}.gamma", f"norm.{i}.beta")
        for step, step_cache in reversed(steps):
            names, found = (), ()
            if step == "conv":
                names, (dh, *found) = conv_names, conv_backward(dh, step_cache, input_gradient=wanted)
            elif step == "conv+pool":
                names, (dh, *found) = conv_names, conv_max_pool_backward(dh, step_cache, input_gradient=wanted)
            elif step == "conv+act+norm+pool":
                names = conv_names + norm_names
                dh, *found = conv_act_norm_pool_backward(dh, step_cache, input_gradient=wanted)
            elif step == "pool":
                dh = max_pool_backward(dh, step_cache)
            elif step == "act":
                dh = leaky_relu_backward(dh, step_cache)
            elif step == "norm":
                names, (dh, *found) = norm_names, batch_norm_backward(dh, step_cache)
            else:
                names, (dh, *found) = norm_names, act_norm_backward(dh, step_cache)
            grads |= dict(zip(names, found, strict=True))
    return grads, dh
