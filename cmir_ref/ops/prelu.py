"""The rectifier with a learned slope for each channel (PReLU).

x (…, C), slope (C,), y (…, C).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .sums import column_sum


class PreluCache(NamedTuple):
    x: Array
    slope: Array
    positive: Array


def prelu(x: Array, slope: Array) -> tuple[Array, PreluCache]:
    """y = x where x > 0, slope · x elsewhere. Source: He et al. 2015."""
    xp = get_xp(x, slope)
    positive = x.real > 0
    return xp.where(positive, x, slope * x), PreluCache(x, slope, positive)


def prelu_backward(dy: Array, cache: PreluCache) -> tuple[Array, Array]:
    """(dx, dslope): dx = dy where x > 0, slope · dy elsewhere; dslope = Σ dy x over all x ≤ 0 of the channel.

    At the kink x = 0 the derivative is the slope.
    """
    xp = get_xp(dy, cache.x)
    dx = xp.where(cache.positive, dy, cache.slope * dy)
    return dx, column_sum(xp.where(cache.positive, 0, dy * cache.x))
