"""Inverted dropout for arrays of any shape. The mask is an argument: nothing random happens here."""

from typing import NamedTuple

from ..backend import Array
from .shapes import check_same_shape


class DropoutCache(NamedTuple):
    mask: Array
    rate: float


def dropout(x: Array, mask: Array, rate: float) -> tuple[Array, DropoutCache]:
    """y = x ⊙ mask / (1 − rate): `mask` is true where a unit is kept, which has the probability 1 − rate.

    The division keeps E[y] = x, so that inference does not have to rescale anything. Source: Srivastava et al. 2014.
    Raises `ValueError` for a mask of another shape than x, and for a rate that is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate is {rate}; expected 0 ≤ rate < 1")
    check_same_shape(x=x, mask=mask)
    return x * mask * (1 / (1 - rate)), DropoutCache(mask, rate)


def dropout_backward(dy: Array, cache: DropoutCache) -> Array:
    """dx = dy ⊙ mask / (1 − rate): the map is diagonal."""
    check_same_shape(dy=dy, mask=cache.mask)
    return dy * cache.mask * (1 / (1 - cache.rate))
