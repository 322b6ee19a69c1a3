"""The rectifier (ReLU), the leaky one and ReLU6, element by element, for arrays of any shape."""

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


class Relu6Cache(NamedTuple):
    inside: Array


def relu6(x: Array) -> tuple[Array, Relu6Cache]:
    """y = min(max(x, 0), 6).

    The bound keeps activations within the range of eight-bit numbers. Source: Howard et al. 2017.
    """
    xp = get_xp(x)
    positive, above = x.real > 0, x.real >= 6
    return xp.where(above, xp.full_like(x, 6), x * positive), Relu6Cache(positive & ~above)


def relu6_backward(dy: Array, cache: Relu6Cache) -> Array:
    """dx = dy where 0 < x < 6, 0 elsewhere; at both kinks the derivative is 0."""
    return dy * cache.inside
