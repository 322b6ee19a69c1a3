"""Vectors along the last axis brought to length 1.

x (…, D), y (…, D).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_fractions


class UnitRowsCache(NamedTuple):
    y: Array
    length: Array  # (…, 1); 1 where the vector is 0
    zero: Array  # (…, 1) whether it is


def unit_rows(x: Array) -> tuple[Array, UnitRowsCache]:
    """y = x/‖x‖; a vector of zeros stays one, a NaN too. Squares must neither overflow nor vanish in x's dtype.

    Raises `ValueError` for whole numbers, which overflow soon.
    """
    check_fractions(x=x)
    xp = get_xp(x)
    square = (x * x).sum(axis=-1, keepdims=True)
    zero = square.real <= 0
    length = xp.sqrt(xp.where(zero, 1, square))
    y = xp.where(zero, 0, x / length)
    return y, UnitRowsCache(y, length, zero)


def unit_rows_backward(dy: Array, cache: UnitRowsCache) -> Array:
    """dx = (dy − y ⟨y, dy⟩)/‖x‖, and 0 at x = 0, where the length has no derivative.

    ∂‖x‖/∂x = x/‖x‖ = y, so ∂y_i/∂x_j = δ_ij/‖x‖ − x_i y_j/‖x‖² = (δ_ij − y_i y_j)/‖x‖.
    """
    xp = get_xp(dy, cache.y)
    y, length, zero = cache
    return xp.where(zero, 0, dy - y * (y * dy).sum(axis=-1, keepdims=True)) / length
