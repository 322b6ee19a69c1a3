"""Equation 6: the objective of the latent network.

L = λ₁L₂ + λ₂L₃ + λ₃L₄ + λ₄L₅ + λ₅R        (in the settings: `weights.alignment` … `weights.regulariser`)
"""

from typing import Any, NamedTuple

from ..backend import Array, get_xp
from .eq2_alignment import alignment, alignment_backward
from .eq3_classification import classification, classification_backward
from .eq4_feature_norm import feature_norm, feature_norm_backward
from .eq5_reconstruction import reconstruction, reconstruction_backward
from .eq7_regulariser import regulariser, regulariser_backward


class Weights(NamedTuple):
    """The weights of eq. 6, each named after the term that it multiplies."""

    alignment: float = 1.0  # λ₁, of L₂
    classification: float = 1.0  # λ₂, of L₃
    feature_norm: float = 1.0  # λ₃, of L₄
    reconstruction: float = 1.0  # λ₄, of L₅
    regulariser: float = 1.0  # λ₅, of R


class Readings(NamedTuple):
    """How the paper's equations are read where its text, equations and released code disagree."""

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
    u_a: Array  # (n, K) logits; the pairs' for a concatenated head
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
    z: tuple[Array, Array]  # of the decoders' targets: zero unless `target_gradient` is "flow"
    w: dict[str, Array]  # of the regularised and decayed matrices, by name


def total(
    out: LatentOutput,
    z: tuple[Array, Array],
    y: tuple[Array, Array],
    regularised: dict[str, Array],
    heads: dict[str, Array],
    weights: Weights,
    readings: Readings,
) -> tuple[Array, TotalCache]:
    """L of eq. 6; `cache.parts` holds L2 … L5, R (and the heads' decay) before weighting, for the log.

    `z` and `y` are both modalities' features and labels; `regularised` names the encoder matrices that enter R,
    `heads` the classifier and decoder matrices that `head_decay` · ‖w‖² acts on. A term of weight 0 is not computed.
    """
    r = readings
    terms, parts, loss = {}, {}, 0.0

    def add(name, weight, term):
        nonlocal loss
        if weight != 0:
            parts[name], terms[name] = term()
            loss = loss + weight * parts[name]

    def penalty(matrices, alpha, reading):
        pairs = {name: regulariser(w, alpha, reading=reading) for name, w in matrices.items()}
        return sum(value for value, _ in pairs.values()), {name: cache for name, (_, cache) in pairs.items()}

    add("alignment", weights.alignment, lambda: alignment(out.v_a, out.v_b, norm=r.frobenius, reduction=r.reduction))
    add(
        "classification",
        weights.classification,
        lambda: classification(out.u_a, out.u_b, *y, classifier=r.classifier, kinds=r.label_losses),
    )
    add("feature_norm", weights.feature_norm, lambda: feature_norm(out.v_a, out.v_b, reduction=r.reduction))
    add(
        "reconstruction",
        weights.reconstruction,
        lambda: reconstruction(
            out.from_a, out.from_b, *z, target=r.decoder_target, norm=r.frobenius, reduction=r.reduction
        ),
    )
    add("regulariser", weights.regulariser, lambda: penalty(regularised, r.alpha, r.alpha_reading))
    add("head_decay", r.head_decay, lambda: penalty(heads, 0.0, "elementwise"))
    return loss, TotalCache(out, z, terms, weights, readings, parts)


def total_backward(dl: Array, cache: TotalCache) -> TotalGradient:
    """The weighted sum of the terms' gradients: ∂L/∂v_a = λ₁∂L₂/∂v_a + λ₃∂L₄/∂v_a …; zero where no term reaches."""
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
    for name, weight in (("regulariser", weights.regulariser), ("head_decay", readings.head_decay)):
        for matrix, term in terms.get(name, {}).items():
            w[matrix] = regulariser_backward(weight * dl, term)
    return TotalGradient(LatentOutput(v_a, v_b, u_a, u_b, from_a, from_b), (z_a, z_b), w)
