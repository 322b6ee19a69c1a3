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


def _windows(x: Array, f: int) -> Array:
    """The pixels of each window side by side, row by row: (N, H, W, C) -> (N, H//f, W//f, C, f·f)."""
    n, h, w, c = x.shape
    x = x[:, : h // f * f, : w // f * f].reshape(n, h // f, f, w // f, f, c)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // f, w // f, c, f * f)


def max_pool(x: Array, factor: int) -> tuple[Array, MaxPoolCache]:
    """y = the largest value of each window; of equal values the first wins, counted row by row.

    A NaN counts as larger than all numbers: the pool of its window is NaN wherever in it the NaN stands.
    """
    xp = get_xp(x)
    pixels = _windows(x, factor)
    winner = pixels.real.argmax(axis=-1)
    first = xp.arange(winner.size) * factor**2  # of each window, in the flat pixels
    y = pixels.reshape(-1)[first + winner.reshape(-1)].reshape(winner.shape)
    return y, MaxPoolCache(winner.astype("uint8" if factor <= 16 else "uint32"), factor, x.shape)


def max_pool_backward(dy: Array, cache: MaxPoolCache) -> Array:
    """dx: the winner of a window gets the gradient of that window, all its other pixels get 0.

    Near x the winner is constant, y = x[winner], so ∂y/∂x is 1 at the winner and 0 elsewhere.
    """
    check_same_shape(dy=dy, y=cache.winner)
    xp, f, (n, down, across, c) = get_xp(dy), cache.factor, dy.shape
    won = cache.winner[..., None] == xp.arange(f * f, dtype=cache.winner.dtype)
    pixels = xp.where(won, dy[..., None], 0).reshape(n, down, across, c, f, f)
    dx = xp.zeros(cache.shape, dtype=dy.dtype)  # what fills no window stays 0
    dx[:, : down * f, : across * f] = pixels.transpose(0, 1, 4, 2, 5, 3).reshape(n, down * f, across * f, c)
    return dx
