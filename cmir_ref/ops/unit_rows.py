"""Vectors along the last axis brought to length 1.

x (…, D), y (…, D).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_fractions


class UnitRowsCache(NamedTuple):
    y: Array
    length: Array  # (…, 1); 1 where the vector is 0
    positive: Array  # (…, 1) whether it is not


def unit_rows(x: Array) -> tuple[Array, UnitRowsCache]:
    """y = x/‖x‖; a vector of zeros stays one. Squares must neither overflow nor vanish in x's dtype.

    Raises `ValueError` for whole numbers, which overflow soon.
    """
    check_fractions(x=x)
    xp = get_xp(x)
    square = (x * x).sum(axis=-1, keepdims=True)
    positive = square.real > 0
    length = xp.sqrt(xp.where(positive, square, 1))
    y = xp.where(positive, x / length, 0)
    return y, UnitRowsCache(y, length, positive)


def unit_rows_backward(dy: Array, cache: UnitRowsCache) -> Array:
    """dx = (dy − y ⟨y, dy⟩)/‖x‖, and 0 at x = 0, where the length has no derivative.

    ∂‖x‖/∂x = x/‖x‖ = y, so ∂y_i/∂x_j = δ_ij/‖x‖ − x_i y_j/‖x‖² = (δ_ij − y_i y_j)/‖x‖.
    """
    xp = get_xp(dy, cache.y)
    y, length, positive = cache
    return xp.where(positive, dy - y * (y * dy).sum(axis=-1, keepdims=True), 0) / length
