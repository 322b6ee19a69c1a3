"""The logistic function, element by element, for arrays of any shape."""

from typing import NamedTuple

from ..backend import Array, get_xp


class LogisticCache(NamedTuple):
    y: Array


def sigmoid(x: Array) -> tuple[Array, LogisticCache]:
    """y = 1/(1 + e⁻ˣ), computed from e^{−|x|} ≤ 1, which never overflows."""
    xp = get_xp(x)
    positive = x.real > 0
    small = xp.exp(xp.where(positive, -x, x))
    y = xp.where(positive, 1, small) / (1 + small)
    return y, LogisticCache(y)


def sigmoid_backward(dy: Array, cache: LogisticCache) -> Array:
    """dx = dy y (1 − y): dy/dx = e⁻ˣ/(1 + e⁻ˣ)² = y (1 − y)."""
    return dy * cache.y * (1 - cache.y)
