"""Softmax cross entropy.

N samples, K classes: logits u (N, K); targets integer (N,), or one-hot, multi-hot or weights (N, K).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .labels import multi_hot
from .shapes import check_fractions, check_same_shape
from .sums import reduction_factor


class SoftmaxCache(NamedTuple):
    p: Array
    y: Array
    scale: float


def target_distribution(targets: Array, like: Array) -> Array:
    """Targets as rows that sum to 1 (or to 0 where a sample has no label), in the shape and dtype of `like` (N, K).

    A multi-hot row is divided by its number of labels, so that each of them weighs the same. Raises `ValueError` for
    labels that are none (`multi_hot`), and another number of them than rows.
    """
    xp = get_xp(like, targets)
    y = multi_hot(targets, like.shape[1], like.real.dtype)
    check_same_shape(logits=like, labels=y)
    mass = y.sum(axis=1, keepdims=True)
    return y / xp.where(mass > 0, mass, 1)


def softmax_cross_entropy(u: Array, targets: Array, *, reduction: str = "mean") -> tuple[Array, SoftmaxCache]:
    """L = Σ_n Σ_k y_nk (log Σ_j e^{u_nj} − u_nk), divided by N where `reduction` is "mean".

    The maximum of its row is subtracted from every logit first. That changes nothing in L and keeps e^u finite. A
    logit of −∞ is a class that is ruled out: where y_nk = 0 it adds 0 to the loss, for 0 log 0 is 0. Raises
    `ValueError` as `target_distribution` does, and for logits that are whole numbers.
    """
    check_fractions(u=u)
    xp = get_xp(u, targets)
    y = target_distribution(targets, u)
    shifted = u - u.real.max(axis=1, keepdims=True)
    exp = xp.exp(shifted)
    total = exp.sum(axis=1, keepdims=True)
    scale = reduction_factor(reduction, u.shape[0])
    ruled_out = (y == 0) & (shifted.real == -xp.inf)
    loss = (y * (xp.log(total) - xp.where(ruled_out, 0, shifted))).sum() * scale
    return loss, SoftmaxCache(exp / total, y, scale)


def softmax_cross_entropy_backward(dloss: Array, cache: SoftmaxCache) -> Array:
    """du = dloss (p Σ_k y_k − y), divided by N for the mean; p = softmax(u).

    ∂/∂u_j log Σ_i e^{u_i} = p_j, so ∂L/∂u_j = Σ_k y_k p_j − y_j; Σ_k y_k is 1, or 0 for a sample without label.
    """
    p, y, scale = cache
    return (p * y.sum(axis=1, keepdims=True) - y) * (dloss * scale)
