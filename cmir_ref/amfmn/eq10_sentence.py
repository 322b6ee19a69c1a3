"""Equations 10 to 12: one vector for a sentence, from its words in their order.

N sentences of T words, word vectors x (N, T, E), lengths integer (N,), D numbers a sentence: s (N, D).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.fused import gru_by_length, gru_by_length_backward
from ..ops.linear import linear, linear_backward
from ..ops.relu import relu, relu_backward
from ..ops.time_mean import time_mean, time_mean_backward


class SentenceCache(NamedTuple):
    forward: tuple
    backward: tuple | None
    mean: tuple | None
    linear: tuple | None
    relu: tuple | None
    shape: tuple[int, ...]


def gru_weights(params: Mapping[str, Array], name: str) -> tuple[Array, Array, Array]:
    """(w, u, b) of the recurrent unit `name`."""
    return params[f"{name}.w"], params[f"{name}.u"], params[f"{name}.b"]


def sentence(
    params: Mapping[str, Array], x: Array, *, lengths: Array, reading: str = "mean", reset: str = "after"
) -> tuple[Array, SentenceCache]:
    """`reading` "mean" (paper): s_t = (h→_t + h←_t)/2 of a GRU in either direction, s = (1/T_n) Σ_t s_t.

    "last" (code): s = relu(h→_{T_n} W + b), the last state of one GRU. A sentence of length 0 has the states 0.
    """
    states, forward = gru_by_length(x, *gru_weights(params, "forward"), lengths=lengths, reset=reset)
    if reading == "mean":
        others, backward = gru_by_length(
            x, *gru_weights(params, "backward"), lengths=lengths, reset=reset, reverse=True
        )
        s, mean = time_mean((states + others) / 2, lengths)
        return s, SentenceCache(forward, backward, mean, None, None, states.shape)
    if reading != "last":
        raise ValueError(f"reading is {reading!r}; it is one of mean, last")
    s, cache = linear(states[:, -1], params["fc.w"], params["fc.b"])
    s, relu_cache = relu(s)
    return s, SentenceCache(forward, None, None, cache, relu_cache, states.shape)


def sentence_backward(ds: Array, cache: SentenceCache) -> tuple[dict[str, Array], Array]:
    """(grads, dx): either direction gets half of what the mean gives back; the last state, which padding passes on,
    gets all of it.
    """
    xp, grads = get_xp(ds), {}

    def through(name: str, dstates: Array, states: tuple) -> Array:
        dx, *parts = gru_by_length_backward(dstates, states)
        grads.update({f"{name}.{part}": value for part, value in zip("wub", parts, strict=True)})
        return dx

    if cache.mean is not None:
        half = time_mean_backward(ds, cache.mean) / 2
        return grads, through("forward", half, cache.forward) + through("backward", half, cache.backward)
    dlast, grads["fc.w"], grads["fc.b"] = linear_backward(relu_backward(ds, cache.relu), cache.linear)
    dstates = xp.zeros(cache.shape, dtype=ds.dtype)
    dstates[:, -1] = dlast
    return grads, through("forward", dstates, cache.forward)
