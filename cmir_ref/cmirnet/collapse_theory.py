"""From which λ5 on encoders must collapse at α = 0, by theory (docs/alpha.md).

It is about linear encoders of D regularised matrices W₁ … W_D, descent in small steps, and heads (classifier and
decoders) that stand still. G is the gradient of L2 … L5 in the product W₁ ⋯ W_D where that is 0 and biases are at their
best; σ its largest singular value.
"""

from collections.abc import Mapping, Sequence
from math import inf

from ..backend import Array, get_xp
from .eq6_total import Readings, Weights
from .latent import Latent
from .objective import objective, objective_backward


def pulls(
    params: Mapping[str, Array],
    z: tuple[Array, Array],
    y: tuple[Array, Array],
    *,
    arch: Latent,
    weights: Weights,
    readings: Readings,
) -> dict[str, Array]:
    """{modality: G (D, d_v)}: the gradient of L2 … L5 in the product of a linear encoder's matrices, at product 0.

    G = (Z − z̄)ᵀ ∂L/∂V. Taking the mean out of Z is what biases at their best do: they make the sum of ∂L/∂V over the
    samples 0, and at V = const a constant more or less in ∂L/∂V is all that they change.
    """
    xp = get_xp(*z)
    still = {name: value for name, value in params.items() if not name.startswith("encoder")}
    for m, z_m in zip("ab", z, strict=True):
        still[f"encoder_{m}.1.w"] = xp.zeros((z_m.shape[1], arch.d_v), z_m.dtype)
        still[f"encoder_{m}.1.b"] = xp.zeros(arch.d_v, z_m.dtype)
    flat = arch._replace(encoder_depth=1, encoder_activation="linear")
    _, kept = objective(
        still, z, y, arch=flat, weights=weights._replace(regulariser=0.0), readings=readings, mode="inference"
    )
    grads, _ = objective_backward(1.0, kept)
    return {
        m: grads[f"encoder_{m}.1.w"] - xp.outer(z_m.mean(axis=0), grads[f"encoder_{m}.1.b"])
        for m, z_m in zip("ab", z, strict=True)
    }


def minimum_from(depth: int, reading: str, pull: tuple[float, float]) -> float:
    """The λ5 from which on w = 0 is a local minimum at α = 0, the heads held; `pull` is (σ(G), ‖G‖_F).

    Near 0 the data terms change by ⟨G, W₁ ⋯ W_D⟩, and R by λ5 Σ‖W_l‖² (norm) or λ5 Σ‖W_l‖ (released):
        norm      D = 1: never (a slope against a square)   D = 2: σ(G)/2   D ≥ 3: 0, always
        released  D = 1: ‖G‖_F                              D ≥ 2: 0, always
    """
    if reading == "norm":
        return {1: inf, 2: pull[0] / 2}.get(depth, 0.0)
    return pull[1] if depth == 1 else 0.0


def certain_from(depth: int, reading: str, pull: tuple[float, float], norms: Sequence[float]) -> float:
    """The λ5 from which on small steps from matrices of these `norms` end at w = 0 (α = 0, linear, the heads held).

    The data terms are convex in V, hence ⟨∇, W₁ ⋯ W_D⟩ ≥ ⟨G, W₁ ⋯ W_D⟩ ≥ −σ(G) Π‖W_l‖, and along −∇ of all terms
        norm      d/dt Σ‖W_l‖² ≤ −2 (2 λ5 s − D σ(G) (s/D)^{D/2}),  s = Σ‖W_l‖²:  < 0 from λ5 = σ(G)/2 · (s/D)^{D/2 − 1}
        released  likewise from λ5 = σ(G) (t/D)^{D−1},  t = Σ‖W_l‖;  D = 1: ‖G‖_F
    and the smaller s, the more so (D ≥ 2). It is two thirds of the radius within which L is above L(w = 0) (D = 3).
    """
    if reading == "norm":
        return inf if depth == 1 else pull[0] / 2 * (sum(n * n for n in norms) / depth) ** (depth / 2 - 1)
    return pull[1] if depth == 1 else pull[0] * (sum(norms) / depth) ** (depth - 1)
