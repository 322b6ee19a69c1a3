"""Grad-CAM: where in a photo or a sketch the evidence for a class lies, by gradients that are derived by hand.

N samples, M places of the last map, C channels, K classes. The slides of the talk show such pictures.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..cmirnet.latent import Latent
from ..nets.mlp import mlp, mlp_backward
from ..ops.linear import linear, linear_backward


class ClassScoresCache(NamedTuple):
    head: list
    scale: Array
    encoder: list
    classifier: tuple
    shape: tuple[int, ...]


def class_scores(
    params: Mapping[str, Array], x: Array, factor: Array, *, m: str, arch: Latent, heads: Mapping[str, Array]
) -> tuple[Array, ClassScoresCache]:
    """Logits u (N, K) of modality m's maps x (N, M, C), through all that follows them.

    map -> Z = relu(x W + b) -> Z ⊙ `factor` (D,), the mean gate of photos or 1 -> encoder m -> V -> shared classifier.
    """
    z, head = mlp(heads, m, x.reshape(x.shape[0], x.shape[1] * x.shape[2]), depth=1)
    v, encoder = mlp(params, f"encoder_{m}", z * factor, depth=arch.encoder_depth, activation=arch.encoder_activation)
    u, classifier = linear(v, params["classifier.w"], params["classifier.b"])
    return u, ClassScoresCache(head, factor, encoder, classifier, x.shape)


def class_scores_backward(du: Array, cache: ClassScoresCache) -> Array:
    """dx (N, M, C): the way back through classifier, encoder, gate and layer; weights are constants here.

    dv = du w_cᵀ, then the encoder's backward; Z ⊙ f gives dz = d(Z ⊙ f) ⊙ f; the layer gives dx = δ Wᵀ.
    """
    dv, _, _ = linear_backward(du, cache.classifier)
    _, dgated = mlp_backward(dv, cache.encoder)
    _, dx = mlp_backward(dgated * cache.scale, cache.head)
    return dx.reshape(cache.shape)


def grad_cam(x: Array, dx: Array) -> Array:
    """Maps (N, M) of 0 … 1 from x (N, M, C) and the gradient dx of one class's logit.

    α_c = mean over places of ∂u/∂x_pc, and L_p = relu(Σ_c α_c x_pc), divided by its largest value where that is not 0.
    Source: Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2.
    """
    xp = get_xp(x, dx)
    cam = xp.maximum((x * dx.mean(axis=1, keepdims=True)).sum(axis=2), 0)
    largest = cam.max(axis=1, keepdims=True)
    return cam / xp.where(largest > 0, largest, 1)


def cam_of_class(
    params: Mapping[str, Array],
    x: Array,
    factor: Array,
    classes: Array,
    *,
    m: str,
    arch: Latent,
    heads: Mapping[str, Array],
) -> Array:
    """`grad_cam` (N, M) of the logit of class `classes` (N,) for each of modality m's maps x (N, M, C)."""
    xp = get_xp(x, classes)
    u, cache = class_scores(params, x, factor, m=m, arch=arch, heads=heads)
    du = (xp.arange(u.shape[1])[None, :] == classes[:, None]).astype(x.dtype)
    return grad_cam(x, class_scores_backward(du, cache))
