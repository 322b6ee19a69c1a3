"""Equations 5 to 9: a low map, a high map and one vector from the maps of an image network.

N samples; maps v_1 … v_L (N, H_l, W_l, C_l), the largest first; D numbers a vector.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.global_mean import GlobalMeanCache, global_mean, global_mean_backward
from ..ops.linear import LinearCache, linear, linear_backward
from ..ops.upsample import UpsampleCache, upsample, upsample_backward


class Features(NamedTuple):
    """What is read of an image."""

    low: Array  # (N, H, W, C) fine maps together
    high: Array  # (N, h, w, C') coarse maps together
    v: Array  # (N, D) the image as a whole


class FeaturesCache(NamedTuple):
    upsampled: list[UpsampleCache | None]  # None of a map that has its size already
    channels: list[int]
    low: int
    mean: GlobalMeanCache | None
    linear: LinearCache


def features(
    maps: tuple[Array, ...],
    w: Array,
    b: Array,
    *,
    low: int,
    side: int,
    kind: str = "nearest",
    pooled: Array | None = None,
) -> tuple[Features, FeaturesCache]:
    """low = Cat(v_1, ↑v_2, …), high = Cat(↑v_{low+1}, …), v = mean(v_L) w + 1 bᵀ.

    The first `low` maps are made as large as v_1, the others `side` pixels high, by the nearest pixel or bilinearly
    (`kind`). Paper: five maps, three of them low. Code: the four stages of a residual network, two of them low. Where a
    network has `pooled` features (N, P) of its own behind its last map, v is read from them: v = pooled w + 1 bᵀ.
    """
    xp = get_xp(*maps)
    sides = [maps[0].shape[1] if i < low else side for i in range(len(maps))]
    larger = [
        (m, None) if m.shape[1] == s else upsample(m, s // m.shape[1], kind) for m, s in zip(maps, sides, strict=True)
    ]
    pooled, mean = global_mean(maps[-1]) if pooled is None else (pooled, None)
    v, cache = linear(pooled, w, b)
    out = Features(*(xp.concatenate([y for y, _ in part], axis=3) for part in (larger[:low], larger[low:])), v)
    return out, FeaturesCache([c for _, c in larger], [m.shape[3] for m in maps], low, mean, cache)


def features_backward(d: Features, cache: FeaturesCache) -> tuple[tuple[Array, ...], Array, Array]:
    """((dv_1, …, dv_L), dw, db): each map gets its channels of low or high back, the last one also what v asks.

    Features that were `pooled` before belong to a frozen network: nothing goes back to them.
    """
    maps, start = [], 0
    for i, (channels, upsampled) in enumerate(zip(cache.channels, cache.upsampled, strict=True)):
        start = 0 if i == cache.low else start
        part = (d.low if i < cache.low else d.high)[..., start : start + channels]
        maps.append(part.copy() if upsampled is None else upsample_backward(part, upsampled))
        start += channels
    dpooled, dw, db = linear_backward(d.v, cache.linear)
    if cache.mean is not None:
        maps[-1] = maps[-1] + global_mean_backward(dpooled, cache.mean)
    return tuple(maps), dw, db
