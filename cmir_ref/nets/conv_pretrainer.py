"""The convolution pretrainer: three blocks (32, 64, 128 channels), then Z and a classifier.

N samples, H × W pixels, C channels, D = 128 features, K classes. The pools leave 4 × 4 × 128 = 2048 numbers:
PAN 256 × 256 × 1 pools 4, 4, 4;  MUL 64 × 64 × C pools 2, 2, 4;  log-mel patches 96 × 64 × 1 (6 × 4 × 128 remain).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from ..errors import InputError
from ..params import bias, constant, dense, he
from .conv_block import ConvBlockCache, conv_block, conv_block_backward
from .head import HeadCache, PretrainerOutput, head, head_backward

CHANNELS = (32, 64, 128)
POOLS = {64: (2, 2, 4), 128: (2, 4, 4), 256: (4, 4, 4)}  # by the smaller side of the image


class ConvPretrainer(NamedTuple):
    """The architecture."""

    pools: tuple[int, ...] = (2, 2, 4)
    channels: tuple[int, ...] = CHANNELS
    block_order: str = "conv-pool-act-norm"
    batch_norm: str = "train"  # or "frozen"
    slope: float = 0.01
    dropout: float = 0.5
    fused: bool = True  # the fast twins of ops/fused; False: every operation by itself


class ConvPretrainerCache(NamedTuple):
    blocks: list[ConvBlockCache]
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
    """(params, buffers): named arrays for inputs of `shape` (H, W, C); weights by `he`, biases by `bias_init`."""
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

    In `mode` "train" the blocks normalise by the statistics of this batch (which `cache.statistics` returns), and
    `masks["z"]` (N, D) is the mask of dropout. In "inference" they normalise by `buffers`, and there is no dropout.
    Where `arch.batch_norm` is "frozen" the blocks normalise by 0 and 1 in both.
    """
    norm_mode = "frozen" if arch.batch_norm == "frozen" else mode
    h, blocks, statistics = x, [], {}
    for i, pool in enumerate(arch.pools, start=1):
        running = (buffers[f"norm.{i}.mean"], buffers[f"norm.{i}.var"]) if norm_mode == "inference" else (None, None)
        h, cache = conv_block(
            h,
            params[f"conv.{i}.w"],
            params[f"conv.{i}.b"],
            params[f"norm.{i}.gamma"],
            params[f"norm.{i}.beta"],
            *running,
            pool=pool,
            order=arch.block_order,
            mode=norm_mode,
            slope=arch.slope,
            fused=arch.fused,
        )
        if norm_mode == "train":
            statistics |= {f"norm.{i}.mean": cache.mean, f"norm.{i}.var": cache.var}
        blocks.append(cache)
    rows = h.reshape(h.shape[0], math.prod(h.shape[1:]))  # not −1: a batch may be empty
    out, head_cache = head(params, rows, masks["z"] if mode == "train" else None, arch.dropout)
    return out, ConvPretrainerCache(blocks, h.shape, head_cache, statistics, input_gradient)


def conv_pretrainer_backward(d: PretrainerOutput, cache: ConvPretrainerCache) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx) for the upstream gradient `d` of the outputs; dx is None unless `input_gradient` was asked for."""
    grads, dh = head_backward(d, cache.head)
    dh = dh.reshape(cache.shape)
    for i in range(len(cache.blocks), 0, -1):
        needed = i > 1 or cache.input_gradient
        dh, dw, db, dgamma, dbeta = conv_block_backward(dh, cache.blocks[i - 1], input_gradient=needed)
        grads |= {f"conv.{i}.w": dw, f"conv.{i}.b": db, f"norm.{i}.gamma": dgamma, f"norm.{i}.beta": dbeta}
    return grads, dh
