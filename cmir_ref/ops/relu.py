"""The rectifier (ReLU), the leaky one and ReLU6, element by element, for arrays of any shape."""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_same_shape


class ReluCache(NamedTuple):
    positive: Array
    slope: float


def leaky_relu(x: Array, slope: float = 0.01) -> tuple[Array, ReluCache]:
    """y = x where x > 0, slope · x elsewhere."""
    xp = get_xp(x)
    if slope == 0:  # 0 · ∞ is no number
        return relu(x)
    positive = x.real > 0
    return xp.where(positive, x, slope * x), ReluCache(positive, slope)


def leaky_relu_backward(dy: Array, cache: ReluCache) -> Array:
    """dx = dy where x > 0, slope · dy elsewhere; at the kink x = 0 the derivative is the slope."""
    xp = get_xp(dy)
    if cache.slope == 0:
        return relu_backward(dy, cache)
    check_same_shape(dy=dy, y=cache.positive)
    return xp.where(cache.positive, dy, cache.slope * dy)


def relu(x: Array) -> tuple[Array, ReluCache]:
    """y = max(x, 0), of ±∞ too; NaN stays NaN."""
    xp = get_xp(x)
    return xp.where(x.real <= 0, 0, x), ReluCache(x.real > 0, 0.0)


def relu_backward(dy: Array, cache: ReluCache) -> Array:
    """dx = dy where x > 0, 0 elsewhere; at the kink relu'(0) = 0."""
    xp = get_xp(dy)
    check_same_shape(dy=dy, y=cache.positive)
    return xp.where(cache.positive, dy, 0)


class Relu6Cache(NamedTuple):
    inside: Array


def relu6(x: Array) -> tuple[Array, Relu6Cache]:
    """y = min(max(x, 0), 6), of ±∞ too; NaN stays NaN.

    The bound keeps activations within the range of eight-bit numbers. Source: Howard et al. 2017.
    """
    xp = get_xp(x)
    positive, above = x.real > 0, x.real >= 6
    return xp.where(above, 6, xp.where(x.real <= 0, 0, x)), Relu6Cache(positive & ~above)


def relu6_backward(dy: Array, cache: Relu6Cache) -> Array:
    """dx = dy where 0 < x < 6, 0 elsewhere; at both kinks the derivative is 0."""
    xp = get_xp(dy)
    check_same_shape(dy=dy, y=cache.inside)
    return xp.where(cache.inside, dy, 0)
