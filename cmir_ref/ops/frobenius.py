"""The Frobenius norm of a matrix, squared or not.

x any shape (N, …).
"""

from typing import NamedTuple

from ..backend import Array, get_xp


class FrobeniusCache(NamedTuple):
    x: Array
    norm: Array | None
    scale: float


def frobenius(x: Array, *, norm: str = "squared", reduction: str = "sum") -> tuple[Array, FrobeniusCache]:
    """‖x‖²_F = Σ x², or ‖x‖_F = √Σ x² for `norm` "unsquared"; divided by the N rows where `reduction` is "mean"."""
    xp = get_xp(x)
    if norm not in ("squared", "unsquared"):
        raise ValueError(f"norm is {norm!r}; it is one of squared, unsquared")
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction is {reduction!r}; it is one of sum, mean")
    scale = 1 / max(x.shape[0], 1) if reduction == "mean" else 1.0
    energy = (x * x).sum()
    if norm == "squared":
        return energy * scale, FrobeniusCache(x, None, scale)
    root = xp.sqrt(energy)
    return root * scale, FrobeniusCache(x, root, scale)


def frobenius_backward(dy: Array, cache: FrobeniusCache) -> Array:
    """dx = 2x dy for the square; x/‖x‖ dy for the norm, and 0 at x = 0, where the norm has no derivative.

    ∂/∂x_i Σ x² = 2 x_i;  ∂/∂x_i √E = (2 x_i)/(2 √E).
    """
    xp = get_xp(cache.x)
    x, norm, scale = cache
    if norm is None:
        return x * (2 * scale * dy)
    return x * xp.where(norm.real > 0, scale * dy / xp.where(norm.real > 0, norm, 1), 0)
