"""Softmax cross entropy, row by row: on a GPU three launches for loss and gradient.

N samples, K classes: logits u (N, K); targets integer (N,), or one-hot, multi-hot or weights (N, K).
"""

from typing import NamedTuple

from ... import kernels
from ...backend import Array
from ..softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_backward
from ..sums import reduction_factor


class SoftmaxRowsCache(NamedTuple):
    """The cache where the kernels of a GPU computed: du for an upstream gradient of 1."""

    du: Array


def softmax_rows(u: Array, targets: Array, *, reduction: str = "mean") -> tuple[Array, tuple]:
    """`softmax_cross_entropy(u, targets, reduction=reduction)`; the gradient is found along with the loss."""
    if not kernels.supported(u) or not u.size:
        return softmax_cross_entropy(u, targets, reduction=reduction)
    losses, du = kernels.softmax_rows_kernel(u, targets, reduction_factor(reduction, u.shape[0]))
    return losses.sum(), SoftmaxRowsCache(du)


def softmax_rows_backward(dloss: Array, cache: tuple) -> Array:
    """du = dloss (p Σ_k y_k − y), divided by N for the mean."""
    if isinstance(cache, SoftmaxRowsCache):
        return cache.du * dloss
    return softmax_cross_entropy_backward(dloss, cache)
