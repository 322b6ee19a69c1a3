"""Which pretrainer a modality gets: the convolution pretrainer for images and sounds, the other one for vectors."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .conv_pretrainer import ConvPretrainer, conv_pretrainer, conv_pretrainer_backward, init_conv_pretrainer, pools_for
from .feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)


class Pretrainer(NamedTuple):
    """The three functions of a pretrainer, and its architecture."""

    init: Callable
    forward: Callable
    backward: Callable
    arch: Any


def choose_pretrainer(
    shape: tuple[int, ...],
    *,
    block_order: str = "conv-pool-act-norm",
    batch_norm: str = "train",
    dropout: float = 0.5,
    hidden: tuple[int, ...] = (),
    fused: bool = True,
) -> Pretrainer:
    """The pretrainer for samples of `shape`: (H, W, C) images and log-mel patches, or (C,) vectors."""
    if len(shape) == 1:
        arch = FeaturePretrainer(hidden=hidden, dropout=dropout)
        return Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, arch)
    arch = ConvPretrainer(
        pools_for(*shape[:2]), block_order=block_order, batch_norm=batch_norm, dropout=dropout, fused=fused
    )
    return Pretrainer(init_conv_pretrainer, conv_pretrainer, conv_pretrainer_backward, arch)
