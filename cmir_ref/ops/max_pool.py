"""Max-pooling over non-overlapping f × f windows.

x (N, H, W, C), y (N, H//f, W//f, C); rows and columns that fill no window are left out.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_same_shape


class MaxPoolCache(NamedTuple):
    winner: Array
    factor: int
    shape: tuple[int, ...]


def _tap(x: Array, tap: int, f: int) -> Array:
    """A view of one pixel of every window: that at the position `tap`, counted row by row."""
    h, w = x.shape[1] // f * f, x.shape[2] // f * f
    i, j = divmod(tap, f)
    return x[:, i:h:f, j:w:f]


def max_pool(x: Array, factor: int) -> tuple[Array, MaxPoolCache]:
    """y = the largest value of each window; of equal values the first wins, counted row by row.

    A NaN counts as larger than all numbers: the pool of its window is NaN wherever in it the NaN stands.
    """
    xp = get_xp(x)
    y = _tap(x, 0, factor)
    winner = xp.zeros(y.shape, dtype="uint8" if factor <= 16 else "uint32")
    for tap in range(1, factor * factor):
        candidate = _tap(x, tap, factor)
        better = ~(candidate.real <= y.real) & (y.real == y.real)
        y = xp.where(better, candidate, y)
        winner = xp.where(better, tap, winner)
    return y if factor > 1 else y.copy(), MaxPoolCache(winner, factor, x.shape)


def max_pool_backward(dy: Array, cache: MaxPoolCache) -> Array:
    """dx: the winner of a window gets the gradient of that window, all its other pixels get 0.

    Near x the winner is constant, y = x[winner], so ∂y/∂x is 1 at the winner and 0 elsewhere.
    """
    xp = get_xp(dy)
    check_same_shape(dy=dy, y=cache.winner)
    dx = xp.zeros(cache.shape, dtype=dy.dtype)
    for tap in range(cache.factor * cache.factor):
        _tap(dx, tap, cache.factor)[...] = xp.where(cache.winner == tap, dy, 0)
    return dx
