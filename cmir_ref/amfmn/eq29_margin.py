"""Equation 29: a margin that looks at the captions. It is given to the loss, and no gradient goes through it."""

from ..backend import Array, get_xp

LARGEST_BETA = 80  # of β: e^β is still a number of 32 bits


def dynamic_margin(prior: Array, gamma: float, beta: float) -> Array:
    """α = γ (e^β − e^{β ς})/(e^β − 1), of the prior similarities ς in [0, 1] of captions, any shape.

    γ where two captions have nothing in common, 0 where they are the same. It stays near γ for long (β = 5: 0.92 γ at
    ς = ½) and then falls steeply; β → 0 gives the line γ (1 − ς). Raises `ValueError` for a β beyond `LARGEST_BETA`.
    """
    if not 0 <= beta <= LARGEST_BETA:
        raise ValueError(f"beta is {beta}; expected 0 to {LARGEST_BETA}")
    xp = get_xp(prior)
    if beta == 0:
        return gamma * (1 - prior)
    return gamma * (1 - xp.expm1(beta * prior) / xp.expm1(xp.asarray(beta, dtype=prior.dtype)))
