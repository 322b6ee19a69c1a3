"""What stage 1 minimises: a pretrainer together with eq. 1, from samples and labels to one number, and back."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..nets.head import PretrainerOutput
from ..nets.pretraining import Pretrainer
from .eq1_pretraining import PretrainingCache, pretraining_loss, pretraining_loss_backward


class PretrainingObjectiveCache(NamedTuple):
    front: NamedTuple  # what the pretrainer keeps
    loss: PretrainingCache
    out: PretrainerOutput
    backward: Callable  # of the pretrainer
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
    kind: str = "softmax",
    weight: float = 1.0,
    target: str = "identity",
    scaled: bool = False,
    before_relu: bool = False,
) -> tuple[Array, PretrainingObjectiveCache]:
    """L of eq. 1 for samples x (N, …) with labels y; its parts are in `cache.loss.parts`.

    `kind`, `weight`, `target` and `scaled` are those of `pretraining_loss`. `before_relu`: the features before their
    ReLU are kept orthogonal, since a non-negative Z can only be orthonormal if each sample activates at most one
    feature.
    """
    out, front = network.forward(params, x, arch=network.arch, mode=mode, buffers=buffers, masks=masks)
    features = out.s if before_relu else out.z
    loss, cache = pretraining_loss(out.logits, features, y, kind=kind, weight=weight, target=target, scaled=scaled)
    return loss, PretrainingObjectiveCache(front, cache, out, network.backward, before_relu)


def pretraining_objective_backward(
    dl: Array, cache: PretrainingObjectiveCache
) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx): the gradients of eq. 1 enter the network at the logits and at Z, or at S, which is Z before its
    ReLU.
    """
    dlogits, dfeatures = pretraining_loss_backward(dl, cache.loss)
    zero = get_xp(dlogits).zeros_like(cache.out.z)
    if dfeatures is None:
        dfeatures = zero
    dz, ds = (zero, dfeatures) if cache.before_relu else (dfeatures, zero)
    return cache.backward(PretrainerOutput(dlogits, dz, ds), cache.front)
