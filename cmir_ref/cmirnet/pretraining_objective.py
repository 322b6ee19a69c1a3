"""A pretrainer together with eq. 1: from samples and labels to one number, and back."""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..nets.head import PretrainerOutput
from ..nets.pretraining import Pretrainer
from .eq1_pretraining import PretrainingCache, pretraining_loss, pretraining_loss_backward


class PretrainingObjectiveCache(NamedTuple):
    front: NamedTuple
    loss: PretrainingCache
    out: PretrainerOutput
    backward: object
    before_relu: bool


def pretraining_objective(
    params: Mapping[str, Array],
    x: Array,
    y: Array,
    *,
    network: Pretrainer,
    mode: str = "train",
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
    before_relu: bool = False,
    **reading,
) -> tuple[Array, PretrainingObjectiveCache]:
    """L of eq. 1 for samples x (N, …) with labels y; its parts are in `cache.loss.parts`.

    `reading` is that of `pretraining_loss`. `before_relu`: the features before their ReLU are kept orthogonal, since a
    non-negative Z can only be orthonormal by activating at most one feature a sample.
    """
    out, front = network.forward(params, x, arch=network.arch, mode=mode, buffers=buffers, masks=masks)
    loss, cache = pretraining_loss(out.logits, out.s if before_relu else out.z, y, **reading)
    return loss, PretrainingObjectiveCache(front, cache, out, network.backward, before_relu)


def pretraining_objective_backward(
    dl: Array, cache: PretrainingObjectiveCache
) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx): eq. 1's gradients enter the network at the logits and at Z, or at S = Z before the ReLU."""
    dlogits, dfeatures = pretraining_loss_backward(dl, cache.loss)
    zero = get_xp(dlogits).zeros_like(cache.out.z)
    dfeatures = zero if dfeatures is None else dfeatures
    dz, ds = (zero, dfeatures) if cache.before_relu else (dfeatures, zero)
    return cache.backward(PretrainerOutput(dlogits, dz, ds), cache.front)
