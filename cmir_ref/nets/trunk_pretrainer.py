"""The pretrainer that begins with ImageNet's weights: EfficientNet-Lite, its last blocks or all trained on, then Z.

N samples, H × W pixels, D = 128 features, K classes: x (N, H, W, 3) -> pooled (N, 1280) -> head. Where only the last
blocks are trained on, x is what the first of them is given, (N, h, w, C): what comes before never changes, and is
computed once.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.fused import add_parts, by_samples
from ..params import add_prefix, below, dense
from .efficientnet_lite import (
    LITE0,
    EfficientNetLite,
    LiteCache,
    LiteOutput,
    efficientnet_lite,
    efficientnet_lite_backward,
    fold_lite,
    init_efficientnet_lite,
    is_statistic,
    lite_features,
    trained_layers,
)
from .head import HeadCache, PretrainerOutput, head, head_backward


class TrunkPretrainer(NamedTuple):
    """The architecture. Blocks before number `first` have no part in it; 0 trains the stem and all blocks."""

    trunk: EfficientNetLite = LITE0
    first: int = 0
    batch_norm: str = "inference"  # what normalises in training: the running averages, or "train": the batch
    dropout: float = 0.5


class TrunkPretrainerCache(NamedTuple):
    x: Array
    trunk: Callable  # that computes them, of some samples
    whole: LiteCache | None  # of all samples, where the batch normalised
    head: HeadCache
    statistics: dict[str, Array]  # this batch's, for the running averages


def init_trunk_pretrainer(
    arch: TrunkPretrainer,
    shape: tuple[int, ...],
    features: int,
    classes: int,
    rng,
    bias_init: str = "zero",
    *,
    weights: Mapping[str, Array] | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(params, buffers): `weights` are the trunk's arrays by the names of `lite_shapes`, random where there are none.

    Of the layers that are trained kernels, γ and β are parameters `trunk.…`, running statistics buffers `trunk.…`.
    """
    if weights is None:
        drawn, statistics = init_efficientnet_lite(arch.trunk, rng)
        weights = drawn | statistics
    trained = set(trained_layers(arch.trunk, arch.first))
    weights = {name: array for name, array in weights.items() if name.rpartition(".")[0] in trained}
    params = {name: array for name, array in weights.items() if not is_statistic(name)}
    buffers = {name: array for name, array in weights.items() if is_statistic(name)}
    layers = dense({"fc": (arch.trunk.head, features), "classifier": (features, classes)}, rng, bias_init)
    return add_prefix("trunk", params) | layers, add_prefix("trunk", buffers)


def trunk_pretrainer(
    params: Mapping[str, Array],
    x: Array,
    *,
    arch: TrunkPretrainer,
    mode: str,
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
) -> tuple[PretrainerOutput, TrunkPretrainerCache]:
    """x (N, H, W, 3), or (N, h, w, C) from `output_before`, -> trunk -> Z -> logits.

    In `mode` "train" `masks["z"]` (N, D) is the mask of dropout, and the trained layers normalise as
    `arch.batch_norm` says. In "inference" normalisation is folded into the kernels, and there is no backward.

    Where running averages normalise, no sample sees another: threads share them out, nothing of the trunk is kept, and
    the backward computes a few samples again at a time. What a batch would keep are some 80 MB an image of 224 × 224.
    """
    own, fixed = below("trunk", params), below("trunk", buffers or {})
    if mode == "inference":
        pooled = lite_features(fold_lite(arch.trunk, fixed | own), x, first=arch.first, maps=False).pooled
        out, cache = head(params, pooled, None, arch.dropout)
        return out, TrunkPretrainerCache(x, None, None, cache, {})
    settings = {"arch": arch.trunk, "mode": arch.batch_norm, "buffers": fixed, "first": arch.first}
    trunk = partial(efficientnet_lite, own, **settings)
    if arch.batch_norm == "train":
        trunk_out, whole = trunk(x)
        pooled, statistics = trunk_out.pooled, add_prefix("trunk", whole.statistics)
    else:
        pooled = get_xp(x).concatenate(by_samples(lambda images: trunk(images)[0].pooled, x))
        whole, statistics = None, {}
    out, cache = head(params, pooled, masks["z"], arch.dropout)
    return out, TrunkPretrainerCache(x, trunk, whole, cache, statistics)


def trunk_pretrainer_backward(d: PretrainerOutput, cache: TrunkPretrainerCache) -> tuple[dict[str, Array], None]:
    """(grads, None) for the upstream gradient `d` of the outputs; nobody needs the gradient of an image."""
    grads, dpooled = head_backward(d, cache.head)

    def gradients(images, dy):
        kept = cache.whole or cache.trunk(images)[1]
        return efficientnet_lite_backward(LiteOutput(*[None] * 5, dy), kept)[0]

    parts = [gradients(cache.x, dpooled)] if cache.whole else by_samples(gradients, cache.x, dpooled)
    return grads | add_prefix("trunk", add_parts(parts)), None
