"""Equation 6: the objective of the latent network.

L = λ₁L₂ + λ₂L₃ + λ₃L₄ + λ₄L₅ + λ₅R        (in the settings: `weights.alignment` … `weights.regulariser`)
"""

from typing import Any, NamedTuple

from ..backend import Array, get_xp
from .eq2_alignment import alignment, alignment_backward
from .eq3_classification import classification, classification_backward
from .eq4_feature_norm import feature_norm, feature_norm_backward
from .eq5_reconstruction import reconstruction, reconstruction_backward
from .eq7_regulariser import RegulariserCache, regulariser, regulariser_backward


class Weights(NamedTuple):
    """The weights of eq. 6, each named after the term that it multiplies."""

    alignment: float = 1.0  # λ₁, of L₂
    classification: float = 1.0  # λ₂, of L₃
    feature_norm: float = 1.0  # λ₃, of L₄
    reconstruction: float = 1.0  # λ₄, of L₅
    regulariser: float = 1.0  # λ₅, of R


FROBENIUS = ("squared", "unsquared")


class Readings(NamedTuple):
    """How the equations of the paper are read where its text, its equations and its released code disagree."""

    classifier: str = "shared"
    label_losses: tuple[str, str] = ("softmax", "softmax")
    decoder_target: str = "cross"
    target_gradient: str = "stop"
    frobenius: str = "squared"
    reduction: str = "mean"
    alpha: float = 0.0
    alpha_reading: str = "norm"
    head_decay: float = 0.0


class LatentOutput(NamedTuple):
    """What the latent network makes of n pairs; its gradient has the same fields."""

    v_a: Array  # (n, d_v) embeddings
    v_b: Array
    u_a: Array  # (n, K) logits; those of the pairs for a concatenated classifier
    u_b: Array | None
    from_a: Array  # (n, D) what the decoder made of v_a
    from_b: Array


class TotalCache(NamedTuple):
    out: LatentOutput
    z: tuple[Array, Array]
    terms: dict[str, Any]
    weights: Weights
    readings: Readings
    parts: dict[str, Array]


class TotalGradient(NamedTuple):
    output: LatentOutput
    z: tuple[Array, Array]  # of the targets of the decoders: zero unless `target_gradient` is "flow"
    w: dict[str, Array]  # of the regularised and decayed matrices, by name


def total(
    out: LatentOutput,
    z: tuple[Array, Array],
    y: tuple[Array, Array],
    regularised: dict[str, Array],
    decayed: dict[str, Array],
    weights: Weights,
    readings: Readings,
) -> tuple[Array, TotalCache]:
    """L of eq. 6; `cache.parts` holds L₂ … L₅, R and the decay before weighting, for the log.

    `z` and `y` are features and labels of both modalities; `regularised` names the encoder matrices that enter R,
    `decayed` the matrices of classifier and decoders, for `head_decay` · ‖w‖². A term of weight 0 is not computed.
    """
    r = readings
    if r.frobenius not in FROBENIUS:
        raise ValueError(f"frobenius is {r.frobenius!r}; it is one of {', '.join(FROBENIUS)}")
    norm = {"squared": r.frobenius == "squared", "reduction": r.reduction}
    parts, terms, loss = {}, {}, 0.0
    if weights.alignment:
        parts["alignment"], terms["alignment"] = alignment(out.v_a, out.v_b, **norm)
        loss = loss + weights.alignment * parts["alignment"]
    if weights.classification:
        parts["classification"], terms["classification"] = classification(
            out.u_a, out.u_b, *y, classifier=r.classifier, kinds=r.label_losses
        )
        loss = loss + weights.classification * parts["classification"]
    if weights.feature_norm:
        parts["feature_norm"], terms["feature_norm"] = feature_norm(out.v_a, out.v_b, reduction=r.reduction)
        loss = loss + weights.feature_norm * parts["feature_norm"]
    if weights.reconstruction:
        parts["reconstruction"], terms["reconstruction"] = reconstruction(
            out.from_a, out.from_b, *z, target=r.decoder_target, **norm
        )
        loss = loss + weights.reconstruction * parts["reconstruction"]
    if weights.regulariser:
        parts["regulariser"], terms["regulariser"] = _penalty(regularised, r.alpha, r.alpha_reading)
        loss = loss + weights.regulariser * parts["regulariser"]
    if r.head_decay:
        parts["head_decay"], terms["head_decay"] = _penalty(decayed, 0.0, "elementwise")
        loss = loss + r.head_decay * parts["head_decay"]
    return loss, TotalCache(out, z, terms, weights, readings, parts)


def _penalty(matrices: dict[str, Array], alpha: float, reading: str) -> tuple[Array, dict[str, RegulariserCache]]:
    """The sum of `regulariser` over matrices, and the cache of each by its name."""
    value, caches = 0, {}
    for name, w in matrices.items():
        r, caches[name] = regulariser(w, alpha, reading=reading)
        value = value + r
    return value, caches


def total_backward(dl: Array, cache: TotalCache) -> TotalGradient:
    """The weighted sum of the gradients of the terms: ∂L/∂v_a = λ₁∂L₂/∂v_a + λ₃∂L₄/∂v_a, ∂L/∂u_a = λ₂∂L₃/∂u_a, …

    It is zero where no term reaches.
    """
    terms, weights, readings = cache.terms, cache.weights, cache.readings
    xp = get_xp(cache.out.v_a)
    v_a, v_b, u_a, u_b, from_a, from_b = (None if x is None else xp.zeros_like(x) for x in cache.out)
    z_a, z_b = map(xp.zeros_like, cache.z)
    w = {}
    if "alignment" in terms:
        v_a, v_b = alignment_backward(weights.alignment * dl, terms["alignment"])
    if "classification" in terms:
        u_a, u_b = classification_backward(weights.classification * dl, terms["classification"])
    if "feature_norm" in terms:
        n_a, n_b = feature_norm_backward(weights.feature_norm * dl, terms["feature_norm"])
        v_a, v_b = v_a + n_a, v_b + n_b
    if "reconstruction" in terms:
        from_a, from_b, dz_a, dz_b = reconstruction_backward(weights.reconstruction * dl, terms["reconstruction"])
        if readings.target_gradient == "flow":
            z_a, z_b = dz_a, dz_b
    if "regulariser" in terms:
        w |= {name: regulariser_backward(weights.regulariser * dl, term) for name, term in terms["regulariser"].items()}
    if "head_decay" in terms:
        w |= {name: regulariser_backward(readings.head_decay * dl, term) for name, term in terms["head_decay"].items()}
    return TotalGradient(LatentOutput(v_a, v_b, u_a, u_b, from_a, from_b), (z_a, z_b), w)
