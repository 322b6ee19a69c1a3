"""Grad-CAM: where in a photo or a sketch the evidence for a class lies, by gradients that are derived by hand.

N samples, M places of the last map, C channels, K classes. The slides of the talk show such pictures.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..backend import Array, get_xp
from ..cmirnet.latent import Latent
from ..nets.mlp import mlp, mlp_backward
from ..ops.linear import linear, linear_backward
from ..ops.unit_rows import UnitRowsCache, unit_rows, unit_rows_backward
from .objective import ON_MAPS, AttendCache, Attention, attend, attend_backward

NO_ATTENTION = Attention("none")


class FeatureReading(NamedTuple):
    """What becomes of Z = relu(x W + b) before the attention: Z − shift, and all of one length √D where `unit`."""

    shift: Array | float = 0.0
    unit: bool = False


AS_THEY_ARE = FeatureReading()


class ClassScoresCache(NamedTuple):
    head: list | None  # None where the attention reads the map itself
    unit: UnitRowsCache | None
    attended: list[tuple[tuple[Array, Array], AttendCache]]  # both sides, of each context
    scale: Array
    encoder: list
    classifier: tuple
    m: str
    shape: tuple[int, ...]


def class_scores(
    params: Mapping[str, Array],
    x: Array,
    factor: Array,
    *,
    m: str,
    arch: Latent,
    heads: Mapping[str, Array],
    features: FeatureReading = AS_THEY_ARE,
    attention: Attention = NO_ATTENTION,
    contexts: Array | None = None,
) -> tuple[Array, ClassScoresCache]:
    """Logits u (N, K) of modality m's maps x (N, M, C), through all that follows them.

    map -> Z = relu(x W + b) -> `features` -> attention -> Z ⊙ `factor` (D,) -> encoder m -> V -> shared classifier.

    Attention on maps stands before the layer to Z. Where sketches have a part in it, Z is the mean over `contexts` (S,
    …), which are constants. R1 by its mean is no more than a `factor`: its `attention` is "none" here.
    """
    xp, n, head, unit, given = get_xp(x), len(x), None, None, x
    if attention.kind not in ON_MAPS:
        z, head = mlp(heads, m, x.reshape(n, x.shape[1] * x.shape[2]), depth=1)
        given = z - features.shift
        if features.unit:
            given, unit = unit_rows(given)
            given = given * given.shape[1] ** 0.5
    some = [given] if contexts is None else [xp.repeat(contexts[k : k + 1], n, axis=0) for k in range(len(contexts))]
    attended = [attend(params, given, given, one, attention=attention, heads=heads) for one in some]
    z = sum(both["ab".index(m)] for both, _ in attended) / len(attended)
    v, encoder = mlp(params, f"encoder_{m}", z * factor, depth=arch.encoder_depth, activation=arch.encoder_activation)
    u, classifier = linear(v, params["classifier.w"], params["classifier.b"])
    return u, ClassScoresCache(head, unit, attended, factor, encoder, classifier, m, x.shape)


def class_scores_backward(du: Array, cache: ClassScoresCache) -> Array:
    """dx (N, M, C): the way back through classifier, encoder, gate, attention and layer; weights are constants here.

    dv = du w_cᵀ, then the encoder's backward; Z ⊙ f gives dz = d(Z ⊙ f) ⊙ f; each of S contexts gets dz/S, and what
    they give back adds up; the layer gives dx = δ Wᵀ.
    """
    xp, side = get_xp(du), "ab".index(cache.m)
    dv, _, _ = linear_backward(du, cache.classifier)
    _, dgated = mlp_backward(dv, cache.encoder)
    dz, dx = dgated * cache.scale / len(cache.attended), 0
    for both, one in cache.attended:
        upstream = tuple(dz if k == side else xp.zeros_like(z) for k, z in enumerate(both))
        dx = dx + attend_backward(upstream, one)[1][side]
    if cache.head is None:
        return dx
    if cache.unit is not None:
        dx = unit_rows_backward(dx * dx.shape[1] ** 0.5, cache.unit)
    _, dx = mlp_backward(dx, cache.head)
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
    params: Mapping[str, Array], x: Array, factor: Array, classes: Array, *, m: str, **settings: Any
) -> Array:
    """`grad_cam` (N, M) of the logit of class `classes` (N,) for each of modality m's maps x (N, M, C).

    `settings` are those of `class_scores`.
    """
    xp = get_xp(x, classes)
    u, cache = class_scores(params, x, factor, m=m, **settings)
    du = (xp.arange(u.shape[1])[None, :] == classes[:, None]).astype(x.dtype)
    return grad_cam(x, class_scores_backward(du, cache))
