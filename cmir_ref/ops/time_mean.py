"""The mean over the valid steps of padded sequences.

x (N, T, D), lengths integer (N,), y (N, D).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_fractions


class TimeMeanCache(NamedTuple):
    weights: Array  # (N, T, 1)


def time_mean(x: Array, lengths: Array) -> tuple[Array, TimeMeanCache]:
    """y = (1/T_n) Σ_{t < T_n} x[n, t], T_n the length; 0 for a sequence of length 0.

    Raises `ValueError` for an x of whole numbers: 1/T_n would round to 0.
    """
    check_fractions(x=x)
    xp = get_xp(x, lengths)
    valid = xp.arange(x.shape[1])[None, :] < lengths[:, None]
    weights = (valid / xp.maximum(lengths, 1)[:, None]).astype(x.real.dtype)[:, :, None]
    return (x * weights).sum(axis=1), TimeMeanCache(weights)


def time_mean_backward(dy: Array, cache: TimeMeanCache) -> Array:
    """dx[n, t] = dy[n]/T_n at the valid steps, 0 beyond them."""
    return dy[:, None, :] * cache.weights
