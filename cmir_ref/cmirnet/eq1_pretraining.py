"""Equation 1: the loss of a pretrainer, classification plus soft orthogonality of the features.

    L_{A/B} = CE(logits, labels) + weight · ‖ZᵀZ − I‖²_F

N samples, D = 128 features, K classes: z (N, D), logits (N, K).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.cross_entropy import cross_entropy, cross_entropy_backward


class OrthogonalityCache(NamedTuple):
    z: Array
    excess: Array
    scale: float


def soft_orthogonality(z: Array, *, target: str = "identity", scaled: bool = False) -> tuple[Array, OrthogonalityCache]:
    """O = ‖ZᵀZ − T‖²_F, or ‖ZᵀZ/N − T‖²_F where `scaled`.

    `target`: "identity" T = I (decorrelated features), or "ones" T = 11ᵀ, the paper's literal "vector of ones", whose
    minimum makes all features identical. With the singular values s_i of Z, O = Σ (s_i² − 1)² + (D − rank), so for
    N < D the unscaled minimum is D − N, not 0. It asks for ‖z_n‖² = min(N, D)/N on average, which depends on the size
    of the batch; the scaled form asks for unit energy in each feature at any N ≥ D.
    """
    xp = get_xp(z)
    n, d = z.shape
    if target not in ("identity", "ones"):
        raise ValueError(f"orthogonality.target is {target!r}; it is one of identity, ones")
    dtype = z.real.dtype
    goal = xp.eye(d, dtype=dtype) if target == "identity" else xp.ones((d, d), dtype=dtype)
    scale = 1 / max(n, 1) if scaled else 1.0
    excess = (z.T @ z) * scale - goal
    return (excess * excess).sum(), OrthogonalityCache(z, excess, scale)


def soft_orthogonality_backward(do: Array, cache: OrthogonalityCache) -> Array:
    """dz = 4 do s Z (s ZᵀZ − T), s = 1 or 1/N.

    With G = s ZᵀZ − T symmetric, dO = 2⟨G, dG⟩ = 2s⟨G, dZᵀZ + ZᵀdZ⟩ = 4s⟨Z G, dZ⟩.
    """
    z, excess, scale = cache
    return (z @ excess) * (4 * scale * do)


class PretrainingCache(NamedTuple):
    classification: tuple
    orthogonality: OrthogonalityCache | None
    weight: float
    parts: dict[str, Array]


def pretraining_loss(
    logits: Array,
    z: Array,
    labels: Array,
    *,
    kind: str = "softmax",
    weight: float = 1.0,
    target: str = "identity",
    scaled: bool = False,
) -> tuple[Array, PretrainingCache]:
    """L = CE + weight · O; `cache.parts` holds both terms for the log.

    `kind`: "softmax" or "sigmoid" (multi-label) cross entropy, a mean. `target` "off" leaves O out, as the released
    code does. `z` may be given before its ReLU (setting `orthogonality.before_relu`): a non-negative Z can only be
    orthonormal if each sample activates at most one feature.
    """
    ce, classification = cross_entropy(logits, labels, kind=kind)
    if target == "off" or weight == 0:
        return ce, PretrainingCache(classification, None, weight, {"ce": ce})
    o, orthogonality = soft_orthogonality(z, target=target, scaled=scaled)
    parts = {"ce": ce, "orthogonality": o}
    return ce + weight * o, PretrainingCache(classification, orthogonality, weight, parts)


def pretraining_loss_backward(dloss: Array, cache: PretrainingCache) -> tuple[Array, Array | None]:
    """(dlogits, dz): logits enter the first term alone, z the second. dz is None where orthogonality is off."""
    dlogits = cross_entropy_backward(dloss, cache.classification)
    if cache.orthogonality is None:
        return dlogits, None
    return dlogits, soft_orthogonality_backward(cache.weight * dloss, cache.orthogonality)
