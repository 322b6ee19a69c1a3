"""Cross entropy of either kind, by its name: a mean.

N samples, K classes: logits u (N, K); targets integer (N,) or multi-hot (N, K).
"""

from ..backend import Array
from .fused.softmax_rows import SoftmaxRowsCache, softmax_rows, softmax_rows_backward
from .sigmoid_cross_entropy import SigmoidCache, sigmoid_cross_entropy, sigmoid_cross_entropy_backward
from .softmax_cross_entropy import SoftmaxCache


def cross_entropy(u: Array, targets: Array, *, kind: str) -> tuple[Array, SoftmaxCache | SigmoidCache]:
    """`kind` "softmax": classes exclude each other, a mean over the N samples. "sigmoid": each of the K labels is a
    question by itself, a mean over the N·K answers.
    """
    if kind == "softmax":
        return softmax_rows(u, targets)
    if kind == "sigmoid":
        return sigmoid_cross_entropy(u, targets)
    raise ValueError(f"kind is {kind!r}; it is one of softmax, sigmoid")


def cross_entropy_backward(dloss: Array, cache: SoftmaxCache | SigmoidCache) -> Array:
    """du, by the backward of the kind that the cache is of."""
    if isinstance(cache, SoftmaxCache | SoftmaxRowsCache):
        return softmax_rows_backward(dloss, cache)
    return sigmoid_cross_entropy_backward(dloss, cache)
