"""The hyperbolic tangent, element by element, for arrays of any shape."""

from typing import NamedTuple

from ..backend import Array, get_xp


class TanhCache(NamedTuple):
    y: Array


def tanh(x: Array) -> tuple[Array, TanhCache]:
    """y = (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ). The result is kept, not the input."""
    y = get_xp(x).tanh(x)
    return y, TanhCache(y)


def tanh_backward(dy: Array, cache: TanhCache) -> Array:
    """dx = dy (1 − y²): by the quotient rule ((eˣ + e⁻ˣ)² − (eˣ − e⁻ˣ)²)/(eˣ + e⁻ˣ)² = 1 − y²."""
    return dy * (1 - cache.y * cache.y)
