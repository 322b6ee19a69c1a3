"""The trunk's own first stage: it learns the labels from the mean of its last map."""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..nets.conv_maps import ConvMaps, ConvMapsCache, conv_maps, conv_maps_backward
from ..ops.cross_entropy import cross_entropy, cross_entropy_backward
from ..ops.global_mean import GlobalMeanCache, global_mean, global_mean_backward
from ..ops.linear import LinearCache, linear, linear_backward
from ..params import add_prefix, below


class LabelCache(NamedTuple):
    trunk: ConvMapsCache
    maps: tuple[Array, ...]
    mean: GlobalMeanCache
    linear: LinearCache
    loss: tuple
    logits: Array


def label_objective(
    params: Mapping[str, Array],
    x: Array,
    y: Array,
    *,
    arch: ConvMaps,
    kind: str,
    mode: str = "train",
    buffers: Mapping[str, Array] | None = None,
) -> tuple[Array, LabelCache]:
    """CE(mean(v_L) W + b, y), v_L the last map of the trunk; `kind` "softmax" or "sigmoid"."""
    running = None if buffers is None else below("trunk", buffers)
    maps, trunk = conv_maps(below("trunk", params), x, arch=arch, mode=mode, buffers=running)
    pooled, mean = global_mean(maps[-1])
    logits, cache = linear(pooled, params["classifier.w"], params["classifier.b"])
    loss, last = cross_entropy(logits, y, kind=kind)
    return loss, LabelCache(trunk, maps, mean, cache, last, logits)


def label_objective_backward(dloss: Array, cache: LabelCache) -> tuple[dict[str, Array], None]:
    """(grads, None): only the last map is read, so the gradients of the others are 0."""
    xp = get_xp(cache.logits)
    dpooled, dw, db = linear_backward(cross_entropy_backward(dloss, cache.loss), cache.linear)
    dmaps = (*(xp.zeros_like(m) for m in cache.maps[:-1]), global_mean_backward(dpooled, cache.mean))
    grads, _ = conv_maps_backward(dmaps, cache.trunk)
    return add_prefix("trunk", grads) | {"classifier.w": dw, "classifier.b": db}, None
