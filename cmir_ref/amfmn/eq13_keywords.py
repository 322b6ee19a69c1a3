"""Equation 13: one vector for the keywords of an image, each an attribute and its target ("white airplane").

N images of up to K keywords of up to T words: word vectors x (N, K, T, E), lengths integer (N, K), 0 for no keyword;
D numbers: k (N, D).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.fused import gru_by_length, gru_by_length_backward
from ..ops.linear import linear, linear_backward
from ..ops.relu import relu, relu_backward


class KeywordsCache(NamedTuple):
    gru: tuple
    weights: Array  # (N, K, 1)
    hidden: tuple
    relu: tuple
    out: tuple
    shape: tuple[int, ...]


def keywords_vector(
    params: Mapping[str, Array], x: Array, *, lengths: Array, reset: str = "after"
) -> tuple[Array, KeywordsCache]:
    """k = MLP((1/K_n) Σ_i k_i), k_i the last state of a GRU over keyword i; the mean of no keywords is 0.

    The MLP has one hidden layer: relu(k W₁ + b₁) W₂ + b₂ (the paper does not say).
    """
    xp = get_xp(x, lengths)
    n, count, t, e = x.shape
    weights = tuple(params[f"gru.{part}"] for part in "wub")
    states, gru = gru_by_length(x.reshape(n * count, t, e), *weights, lengths=lengths.reshape(-1), reset=reset)
    given = (lengths > 0)[:, :, None]
    shares = (given / xp.maximum(given.sum(axis=1, keepdims=True), 1)).astype(x.real.dtype)
    mean = (states[:, -1].reshape(n, count, states.shape[2]) * shares).sum(axis=1)
    h, hidden = linear(mean, params["mlp.1.w"], params["mlp.1.b"])
    h, relu_cache = relu(h)
    k, out = linear(h, params["mlp.2.w"], params["mlp.2.b"])
    return k, KeywordsCache(gru, shares, hidden, relu_cache, out, states.shape)


def keywords_vector_backward(dk: Array, cache: KeywordsCache) -> tuple[dict[str, Array], Array]:
    """(grads, dx): through the MLP; each keyword's last state gets its share of the mean, and the GRU does the rest."""
    xp, grads = get_xp(dk), {}
    dh, grads["mlp.2.w"], grads["mlp.2.b"] = linear_backward(dk, cache.out)
    dmean, grads["mlp.1.w"], grads["mlp.1.b"] = linear_backward(relu_backward(dh, cache.relu), cache.hidden)
    dstates = xp.zeros(cache.shape, dtype=dk.dtype)
    dstates[:, -1] = (dmean[:, None, :] * cache.weights).reshape(cache.shape[0], cache.shape[2])
    dx, *parts = gru_by_length_backward(dstates, cache.gru)
    grads |= {f"gru.{part}": value for part, value in zip("wub", parts, strict=True)}
    n, count, _ = cache.weights.shape
    return grads, dx.reshape(n, count, *dx.shape[1:])
