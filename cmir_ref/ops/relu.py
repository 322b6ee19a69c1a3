"""The rectifier (ReLU) and the leaky rectifier, element by element, for arrays of any shape."""

from typing import NamedTuple

from ..backend import Array, get_xp


class ReluCache(NamedTuple):
    positive: Array
    slope: float


def leaky_relu(x: Array, slope: float = 0.01) -> tuple[Array, ReluCache]:
    """y = x where x > 0, slope · x elsewhere."""
    xp = get_xp(x)
    positive = x.real > 0
    return xp.where(positive, x, slope * x), ReluCache(positive, slope)


def leaky_relu_backward(dy: Array, cache: ReluCache) -> Array:
    """dx = dy where x > 0, slope · dy elsewhere; at the kink x = 0 the derivative is the slope."""
    xp = get_xp(dy)
    return xp.where(cache.positive, dy, cache.slope * dy)


def relu(x: Array) -> tuple[Array, ReluCache]:
    """y = max(x, 0)."""
    positive = x.real > 0
    return x * positive, ReluCache(positive, 0.0)


def relu_backward(dy: Array, cache: ReluCache) -> Array:
    """dx = dy where x > 0, 0 elsewhere; at the kink relu'(0) = 0."""
    return dy * cache.positive
