"""The logistic function, element by element, any shape."""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_fractions


class LogisticCache(NamedTuple):
    y: Array


def sigmoid(x: Array) -> tuple[Array, LogisticCache]:
    """y = 1/(1 + e⁻ˣ).

    It is computed from e^{−|x|} ≤ 1, which never overflows: 1/(1 + e⁻ˣ) where x > 0, eˣ/(1 + eˣ) elsewhere.
    Raises `ValueError` for whole numbers: those without a sign have no −x.
    """
    check_fractions(x=x)
    xp = get_xp(x)
    positive = x.real > 0
    small = xp.exp(xp.where(positive, -x, x))
    y = xp.where(positive, 1, small) / (1 + small)
    return y, LogisticCache(y)


def sigmoid_backward(dy: Array, cache: LogisticCache) -> Array:
    """dx = dy y (1 − y): with s = 1 + e⁻ˣ, y = 1/s and dy/dx = e⁻ˣ/s² = (1/s)(1 − 1/s)."""
    return dy * cache.y * (1 - cache.y)
