"""The pretrainer for vectors that are features already (4096 → 512 → 128, or 128 → 128).

N samples, C inputs, D = 128 features, K classes.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from ..backend import Array
from ..params import dense
from .head import HeadCache, PretrainerOutput, head, head_backward
from .mlp import mlp, mlp_backward


class FeaturePretrainer(NamedTuple):
    """The architecture: widths between the input and Z, and the dropout rate before the classifier."""

    hidden: tuple[int, ...] = ()
    dropout: float = 0.5


class FeaturePretrainerCache(NamedTuple):
    hidden: list
    head: HeadCache


def init_feature_pretrainer(
    arch: FeaturePretrainer, shape: tuple[int], features: int, classes: int, rng, bias_init="zero"
):
    """(params, buffers): named arrays for vectors of `shape` (C,), weights by `he`; there are no buffers."""
    widths = (*shape, *arch.hidden)
    shapes = {f"hidden.{i + 1}": pair for i, pair in enumerate(pairwise(widths))}
    shapes |= {"fc": (widths[-1], features), "classifier": (features, classes)}
    return dense(shapes, rng, bias_init), {}


def feature_pretrainer(
    params: Mapping[str, Array],
    x: Array,
    *,
    arch: FeaturePretrainer,
    mode: str,
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
) -> tuple[PretrainerOutput, FeaturePretrainerCache]:
    """x (N, C) -> hidden layers with ReLU -> Z -> logits; in `mode` "train" `masks["z"]` (N, D) is the dropout mask."""
    h, hidden = mlp(params, "hidden", x, depth=len(arch.hidden))
    out, cache = head(params, h, masks["z"] if mode == "train" else None, arch.dropout)
    return out, FeaturePretrainerCache(hidden, cache)


def feature_pretrainer_backward(d: PretrainerOutput, cache: FeaturePretrainerCache) -> tuple[dict[str, Array], Array]:
    """(grads, dx) for the upstream gradient `d` of the outputs."""
    grads, dh = head_backward(d, cache.head)
    hidden, dx = mlp_backward(dh, cache.hidden)
    return grads | hidden, dx
