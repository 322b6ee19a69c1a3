"""Sums over pixels, part by part. x (…, C); a part has n values per channel."""

import math
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Of one part: how many values a channel has, their mean and Σ (x − mean)², in float64."""

    n: int
    mean: np.ndarray
    m2: np.ndarray


def widen(x: np.ndarray, *vectors: np.ndarray) -> tuple[np.ndarray, ...]:
    """x as (rows, g·C) with g ≤ 64 pixels side by side, and each (C,) vector repeated g times.

    NumPy's loop runs along the last axis, and a few dozen channels are too short for it.
    """
    g = math.gcd(x.size // x.shape[-1], 64)
    return x.reshape(-1, g * x.shape[-1]), *(np.tile(v.astype(x.dtype, copy=False), g) for v in vectors)


def channel_sum(x: np.ndarray, c: int) -> np.ndarray:
    """Σ over all but the channels of x as `widen` gives it: (rows, g·C) -> (C,), float64."""
    return x.sum(axis=0).reshape(-1, c).sum(axis=0, dtype=np.float64)


def moments(x: np.ndarray) -> Moments:
    """Two passes: Σ (x − s) and Σ (x − s)², where s is the mean in the dtype of x, so that nothing cancels."""
    c = x.shape[-1]
    n = x.size // c
    s = channel_sum(widen(x)[0], c) / n
    rows, s_wide = widen(x, s)
    centred = rows - s_wide
    first = channel_sum(centred, c)
    np.multiply(centred, centred, out=centred)
    s = s_wide[:c].astype(np.float64)
    return Moments(n, s + first / n, channel_sum(centred, c) - first * first / n)


def combine(parts: list[Moments], like: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """(M, mean, variance) of all parts together, the arrays in the dtype of `like` (C,).

    With n_i, μ_i and Q_i of part i: μ = Σ n_i μ_i / M and σ² M = Σ Q_i + n_i (μ_i − μ)²  (Chan, Golub & LeVeque 1979).
    """
    total = max(sum(part.n for part in parts), 1)
    mean = sum((part.n * part.mean for part in parts), start=np.zeros(like.shape))
    mean /= total
    m2 = sum((part.m2 + part.n * (part.mean - mean) ** 2 for part in parts), start=np.zeros(like.shape))
    return total, mean.astype(like.dtype), (m2 / total).astype(like.dtype)
