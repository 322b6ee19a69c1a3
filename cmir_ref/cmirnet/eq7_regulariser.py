"""Equation 7: the α-regulariser of the encoders' weights, in its three readings.

R = ‖w_a − α‖²_F + ‖w_b − α‖²_F, one term for each matrix
"""

from typing import NamedTuple

from ..backend import Array, get_xp

ALPHA_READINGS = ("elementwise", "norm", "released")


class RegulariserCache(NamedTuple):
    w: Array
    alpha: float
    norm: Array | None
    reading: str


def regulariser(w: Array, alpha: float = 0.0, *, reading: str = "norm") -> tuple[Array, RegulariserCache]:
    """R(w) for one weight matrix.

        elementwise  ‖w − α11ᵀ‖²_F     the equation to the letter: every weight is drawn to α
        norm         (‖w‖_F − α)²      the norm is drawn to α
        released     | ‖w‖_F − α |     the released speech code (α = 1 there)
    elementwise and norm agree at α = 0: the plain ‖w‖²_F that the text calls the standard ℓ2 regulariser.
    """
    xp = get_xp(w)
    if reading not in ALPHA_READINGS:
        raise ValueError(f"alpha_reading is {reading!r}; it is one of {', '.join(ALPHA_READINGS)}")
    if reading == "elementwise":
        difference = w - alpha
        return (difference * difference).sum(), RegulariserCache(w, alpha, None, reading)
    norm = xp.sqrt((w * w).sum())
    gap = norm - alpha
    value = gap * gap if reading == "norm" else xp.where(gap.real >= 0, gap, -gap)
    return value, RegulariserCache(w, alpha, norm, reading)


def regulariser_backward(dr: Array, cache: RegulariserCache) -> Array:
    """dw, with u = w/‖w‖_F (0 at w = 0, where the norm has no derivative):

    elementwise  2(w − α)           ∂(w_ij − α)²/∂w_ij
    norm         2(‖w‖ − α) u       chain rule, ∂‖w‖/∂w = u
    released     sign(‖w‖ − α) u    likewise; 0 at the kink ‖w‖ = α
    """
    w, alpha, norm, reading = cache
    if reading == "elementwise":
        return (w - alpha) * (2 * dr)
    xp = get_xp(w)
    slope = 2 * (norm - alpha) if reading == "norm" else xp.sign(norm - alpha)
    return w * (slope * dr / xp.where(norm > 0, norm, xp.inf))
