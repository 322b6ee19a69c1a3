"""Convolution blocks one behind another, each of whose outputs is a map: what a multi-scale network reads of an image.

N samples, H × W pixels, C channels. Parameters and buffers are named as those of the convolution pretrainer.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from ..params import constant, he
from .conv_block import ConvBlockCache, conv_block, conv_block_backward


class ConvMaps(NamedTuple):
    """The architecture. The first `skipped` blocks only prepare: their outputs are no maps."""

    channels: tuple[int, ...]
    pools: tuple[int, ...]
    skipped: int = 0
    slope: float = 0.01
    fused: bool = True

    def shapes(self, shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """(H, W, C) of each map for images of `shape`."""
        (h, w, _), found = shape, []
        for d, pool in zip(self.channels, self.pools, strict=True):
            h, w = h // pool, w // pool
            found.append((h, w, d))
        return found[self.skipped :]


class ConvMapsCache(NamedTuple):
    blocks: list[ConvBlockCache]
    skipped: int
    statistics: dict[str, Array]  # this batch's mean and variance by buffer name, for the running averages


def init_conv_maps(arch: ConvMaps, channels: int, rng) -> tuple[dict, dict]:
    """(params, buffers) for images of so many channels; weights by `he`."""
    params, buffers, c = {}, {}, channels
    for i, d in enumerate(arch.channels, start=1):
        params[f"conv.{i}.w"], params[f"conv.{i}.b"] = he(rng, (3, 3, c, d), fan_in=9 * c), constant(0, d)
        params[f"norm.{i}.gamma"], params[f"norm.{i}.beta"] = constant(1, d), constant(0, d)
        buffers[f"norm.{i}.mean"], buffers[f"norm.{i}.var"] = constant(0, d), constant(1, d)
        c = d
    return params, buffers


def conv_maps(
    params: Mapping[str, Array],
    x: Array,
    *,
    arch: ConvMaps,
    mode: str,
    buffers: Mapping[str, Array] | None = None,
) -> tuple[tuple[Array, ...], ConvMapsCache]:
    """h_i = block_i(h_{i−1}), h_0 = x (N, H, W, C); the maps are the h_i behind the skipped blocks.

    In `mode` "train" the blocks normalise by the statistics of this batch, in "inference" by `buffers`.
    """
    maps, blocks, statistics = [], [], {}
    for i, pool in enumerate(arch.pools, start=1):
        running = (buffers[f"norm.{i}.mean"], buffers[f"norm.{i}.var"]) if mode == "inference" else (None, None)
        weights = (params[f"{name}"] for name in (f"conv.{i}.w", f"conv.{i}.b", f"norm.{i}.gamma", f"norm.{i}.beta"))
        x, cache = conv_block(
            x, *weights, *running, pool=pool, order="conv-pool-act-norm", mode=mode, slope=arch.slope, fused=arch.fused
        )
        if mode == "train":
            statistics |= {f"norm.{i}.mean": cache.mean, f"norm.{i}.var": cache.var}
        maps.append(x)
        blocks.append(cache)
    return tuple(maps[arch.skipped :]), ConvMapsCache(blocks, arch.skipped, statistics)


def conv_maps_backward(
    dmaps: tuple[Array, ...], cache: ConvMapsCache, *, input_gradient: bool = False
) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx); dx is None without `input_gradient`.

    A map is read twice, by whoever uses the maps and by the next block, so two gradients add up in dh_i.
    """
    grads, dh = {}, None
    for i in range(len(cache.blocks), 0, -1):
        if i > cache.skipped:
            dmap = dmaps[i - 1 - cache.skipped]
            dh = dmap if dh is None else dmap + dh
        needed = i > 1 or input_gradient
        dh, dw, db, dgamma, dbeta = conv_block_backward(dh, cache.blocks[i - 1], input_gradient=needed)
        grads |= {f"conv.{i}.w": dw, f"conv.{i}.b": db, f"norm.{i}.gamma": dgamma, f"norm.{i}.beta": dbeta}
    return grads, dh
