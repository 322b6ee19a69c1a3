"""Embeddings that cost nothing beyond stage 1: what its classifiers predict.

A fair table shows them beside the comparators. Others are `cca.cca`, `codes.centred_signs` of CMIR-NET's own V, and the
nearest neighbours in Z (`retrieval.translation`).
"""

from ..backend import Array, get_xp
from ..errors import InputError
from .codes import check_features


def class_probabilities(logits: Array, kind: str = "softmax") -> Array:
    """Logits u (N, K) of a stage-1 classifier to probabilities (N, K), in float64: the same axes in both modalities.

    "softmax" p_k = e^{u_k} / Σ_j e^{u_j} for one label a sample, "sigmoid" p_k = 1/(1 + e^{−u_k}) for several. Neither
    overflows. Raises `InputError` for logits that are not finite or not (N, K), and for another kind.
    """
    xp = get_xp(logits)
    u = check_features(logits, "logits")
    if kind == "softmax":
        e = xp.exp(u - u.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if kind == "sigmoid":
        small = xp.exp(-xp.abs(u))
        return xp.where(u >= 0, 1, small) / (1 + small)
    raise InputError(f"kind is {kind!r}; it is one of softmax, sigmoid")
