"""A weighted sum of functions of Frobenius norms, all of them at once: on a GPU two launches, and one for a gradient.

x, y any shape, the two of a term the same. E = Σ (x − y)², r = √E.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ... import kernels
from ...backend import Array, get_xp


def saves_launches(x: Array) -> bool:
    """Whether the norms of arrays like `x` are best taken all at once."""
    return kernels.supported(x)


class NormTerm(NamedTuple):
    """One term: `weight` · `scale` · φ(E)."""

    group: str  # what the values of terms are added up under
    x: Array
    y: Array | float = 0.0  # an array, or a number that all of x is compared with
    kind: str = "square"  # φ: "square" E, "root" r, "gap-square" (r − α)², "gap-size" |r − α|
    alpha: float = 0.0
    scale: float = 1.0
    weight: float = 1.0


class NormTermsCache(NamedTuple):
    terms: Sequence[NormTerm]
    coefficients: Array | list  # (T,) what x − y is multiplied by, but for the upstream gradient
    values: dict[str, Array]  # the scaled φ of each group, added up


def norm_terms(terms: Sequence[NormTerm]) -> tuple[Array, NormTermsCache]:
    """L = Σ_t weight_t scale_t φ_t(‖x_t − y_t‖²)."""
    xp, groups = get_xp(*(term.x for term in terms)), list(dict.fromkeys(term.group for term in terms))
    if kernels.supported(*(term.x for term in terms)):
        pairs = [(t.x, t.y, 0.0) if hasattr(t.y, "shape") else (t.x, None, t.y) for t in terms]
        total, values, coefficients = kernels.norm_terms_kernel(
            kernels.energies_kernel(pairs),
            [t.kind for t in terms],
            [groups.index(t.group) for t in terms],
            [(t.alpha, t.scale, t.weight) for t in terms],
        )
        values = {group: values[k] for k, group in enumerate(groups)}
        return total, NormTermsCache(terms, coefficients, values)
    total, values, coefficients = 0.0, dict.fromkeys(groups, 0.0), []
    for term in terms:
        difference = term.x - term.y
        value, slope = _value_and_slope((difference * difference).sum(), term.kind, term.alpha, xp)
        values[term.group] = values[term.group] + term.scale * value
        total = total + term.weight * term.scale * value
        coefficients.append(term.weight * term.scale * slope)
    return total, NormTermsCache(terms, coefficients, values)


def _value_and_slope(energy: Array, kind: str, alpha: float, xp) -> tuple[Array, Array | float]:
    """(φ(E), 2 φ'(E)); the slope is 0 where the norm has no derivative."""
    if kind == "square":
        return energy, 2.0
    root = xp.sqrt(energy)
    inverse = xp.where(root.real > 0, 1 / xp.where(root.real > 0, root, 1), 0)
    if kind == "root":
        return root, inverse
    gap = root - alpha
    if kind == "gap-square":
        return gap * gap, 2 * gap * inverse
    return xp.where(gap.real >= 0, gap, -gap), xp.sign(gap.real) * inverse


def norm_terms_backward(dl: Array, cache: NormTermsCache) -> list[Array]:
    """dx of each term; dy is its negative.

    ∂φ(Σ (x − y)²)/∂x = 2 φ'(E) (x − y):  square 2 (x − y);  root (x − y)/r;  gap-square 2 (r − α)(x − y)/r;
    gap-size sign(r − α)(x − y)/r.
    """
    terms, coefficients, _ = cache
    if isinstance(coefficients, list):
        return [(t.x - t.y) * (dl * c) for t, c in zip(terms, coefficients, strict=True)]
    return [kernels.scaled_difference_kernel(coefficients, k, dl, t.x, t.y) for k, t in enumerate(terms)]
