"""The last layers of both pretrainers: the features Z, and a classifier of them.

h (N, C) -> s = h W + b (N, D) -> z = relu(s) -> dropout -> logits (N, K).   D = 128.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from ..ops.dropout import dropout, dropout_backward
from ..ops.fused.dense_layer import dense_layer, dense_layer_backward
from ..ops.relu import relu, relu_backward


class PretrainerOutput(NamedTuple):
    """What a pretrainer makes of N samples; its gradient has the same fields."""

    logits: Array  # (N, K)
    z: Array  # (N, D) the stage-1 features, ≥ 0, before dropout
    s: Array  # (N, D) the same before the ReLU


class HeadCache(NamedTuple):
    fc: tuple
    relu: tuple
    dropout: tuple | None
    classifier: tuple


def head(params: Mapping[str, Array], h: Array, mask: Array | None, rate: float) -> tuple[PretrainerOutput, HeadCache]:
    """Features and logits; `mask` is the dropout mask (N, D), and None leaves dropout out (inference)."""
    s, fc = dense_layer(h, params["fc.w"], params["fc.b"], active=False)
    z, relu_cache = relu(s)
    kept, dropout_cache = (z, None) if mask is None else dropout(z, mask, rate)
    logits, classifier = dense_layer(kept, params["classifier.w"], params["classifier.b"], active=False)
    return PretrainerOutput(logits, z, s), HeadCache(fc, relu_cache, dropout_cache, classifier)


def head_backward(d: PretrainerOutput, cache: HeadCache) -> tuple[dict[str, Array], Array]:
    """(grads, dh): z is used twice, by the classifier and as the features Z, so two gradients add up in dz."""
    dkept, dw_c, db_c = dense_layer_backward(d.logits, cache.classifier)
    dz = d.z + (dkept if cache.dropout is None else dropout_backward(dkept, cache.dropout))
    dh, dw, db = dense_layer_backward(d.s + relu_backward(dz, cache.relu), cache.fc)
    return {"fc.w": dw, "fc.b": db, "classifier.w": dw_c, "classifier.b": db_c}, dh
