"""The Frobenius norm of an array, squared or not.

x any shape (N, …).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_fractions
from .sums import reduction_factor


class FrobeniusCache(NamedTuple):
    x: Array
    root: Array | None  # ‖x‖_F, where that was asked for
    scale: float


def frobenius(x: Array, *, squared: bool = True, reduction: str = "sum") -> tuple[Array, FrobeniusCache]:
    """‖x‖²_F = Σ x², or ‖x‖_F = √Σ x² where not `squared`; divided by the N rows where `reduction` is "mean".

    Raises `ValueError` for whole numbers: their squares overflow.
    """
    check_fractions(x=x)
    xp = get_xp(x)
    scale = reduction_factor(reduction, x.shape[0])
    energy = (x * x).sum()
    if squared:
        return energy * scale, FrobeniusCache(x, None, scale)
    root = xp.sqrt(energy)
    return root * scale, FrobeniusCache(x, root, scale)


def frobenius_backward(dy: Array, cache: FrobeniusCache) -> Array:
    """dx = 2x dy for the square; x/‖x‖ dy for the norm, and 0 at x = 0, where the norm has no derivative.

    ∂/∂x_i Σ x² = 2 x_i;  ∂/∂x_i √E = (2 x_i)/(2 √E).
    """
    xp = get_xp(cache.x)
    x, root, scale = cache
    if root is None:
        return x * (2 * scale * dy)
    return x * xp.where(root.real > 0, scale * dy / xp.where(root.real > 0, root, 1), 0)
