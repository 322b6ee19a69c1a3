"""Sigmoid (multi-label) cross entropy: K independent yes/no questions about each sample.

N samples, K labels: logits u (N, K); targets y (N, K) in [0, 1], or integer (N,) for one-hot.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .labels import check_targets, multi_hot
from .shapes import check_fractions, check_same_shape
from .sums import reduction_factor


class SigmoidCache(NamedTuple):
    p: Array
    y: Array
    scale: float


def sigmoid_cross_entropy(u: Array, targets: Array, *, reduction: str = "mean") -> tuple[Array, SigmoidCache]:
    """L = −Σ_nk [y log σ(u) + (1 − y) log(1 − σ(u))], divided by N·K where `reduction` is "mean".

    It is computed as max(u, 0) − u y + log(1 + e^{−|u|}), which never overflows; the first two are u (1 − y) for u > 0,
    and a certain answer that is right, u = ±∞, adds 0. Raises `ValueError` for labels that are none (`multi_hot`), rows
    beyond [0, 1], another number of labels than logits, and logits that are whole numbers.
    """
    check_fractions(u=u)
    xp = get_xp(u, targets)
    check_targets(targets, u.shape[1], most=1 if targets.ndim == 2 else float("inf"))
    y = multi_hot(targets, u.shape[1], u.real.dtype)
    check_same_shape(logits=u, labels=y)
    positive = u.real > 0
    small = xp.exp(xp.where(positive, -u, u))  # e^{−|u|} ≤ 1
    slope = xp.where(positive, 1 - y, -y)
    loss = xp.where(slope == 0, 0, u) * slope + xp.log1p(small)
    p = xp.where(positive, 1, small) / (1 + small)
    scale = reduction_factor(reduction, u.size)
    return loss.sum() * scale, SigmoidCache(p, y, scale)


def sigmoid_cross_entropy_backward(dloss: Array, cache: SigmoidCache) -> Array:
    """du = dloss (σ(u) − y), divided by N·K for the mean.

    d/du log(1 + e^u) = σ(u), and the loss is log(1 + e^u) − u y.
    """
    p, y, scale = cache
    return (p - y) * (dloss * scale)
