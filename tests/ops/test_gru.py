# gradient: checks/ops.py "gru_cell/…", "gru/…", "fused/gru_by_length/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref import ops
from cmir_ref.gradcheck.numeric import random_direction

SIZES = {"n": st.integers(0, 4), "t": st.integers(1, 5), "c": st.integers(1, 3), "d": st.integers(1, 3)}
READINGS = [("after", False), ("after", True), ("before", False), ("before", True)]


def step(x, h, w, u, b, reset):
    """One sequence's next state, number by number."""
    d, columns = len(h), range(len(x))
    logistic = lambda a: 1 / (1 + math.exp(-a))  # noqa: E731
    drive = [sum(x[c] * w[c, k] for c in columns) + b[k] for k in range(3 * d)]
    r = [logistic(drive[k] + sum(h[i] * u[i, k] for i in range(d))) for k in range(d)]
    z = [logistic(drive[d + k] + sum(h[i] * u[i, d + k] for i in range(d))) for k in range(d)]
    new = []
    for k in range(d):
        if reset == "after":
            memory = r[k] * sum(h[i] * u[i, 2 * d + k] for i in range(d))
        else:
            memory = sum(r[i] * h[i] * u[i, 2 * d + k] for i in range(d))
        new.append((1 - z[k]) * math.tanh(drive[2 * d + k] + memory) + z[k] * h[k])
    return np.array(new)


def draw(seed, n, t, c, d):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, t + 1, n)
    lengths[:1] = t
    return rng.normal(size=(n, t, c)), lengths, *(rng.normal(size=s) for s in ((c, 3 * d), (d, 3 * d), (3 * d,)))


@pytest.mark.parametrize("reset", ["after", "before"])
@given(seed=st.integers(0, 2**32), **SIZES)
def test_a_cell_number_by_number(reset, seed, n, t, c, d):
    x, _, w, u, b = draw(seed, n + 1, t, c, d)
    h = np.random.default_rng(seed).normal(size=(n + 1, d))
    y, _ = ops.gru_cell(x[:, 0], h, w, u, b, reset=reset)
    np.testing.assert_allclose(y, [step(*both, w, u, b, reset) for both in zip(x[:, 0], h, strict=True)], rtol=1e-9)


@pytest.mark.parametrize("function", ["gru", "gru_by_length", "gru_on_device"])
@pytest.mark.parametrize(("reset", "reverse"), READINGS)
@given(seed=st.integers(0, 2**32), **SIZES)
def test_sequences_one_by_one_without_their_padding(function, reset, reverse, seed, n, t, c, d):
    x, lengths, w, u, b = draw(seed, n + 1, t, c, d)
    forward = getattr(ops if function == "gru" else ops.fused, function)
    y, _ = forward(x, w, u, b, lengths=lengths, reverse=reverse, reset=reset)
    for row, length, states in zip(x, lengths.tolist(), y, strict=True):
        h = np.zeros(d)
        for i in reversed(range(length)) if reverse else range(length):
            h = step(row[i], h, w, u, b, reset)
            np.testing.assert_allclose(states[i], h, rtol=1e-9, atol=1e-12)
        beyond = np.zeros(d) if reverse else h
        np.testing.assert_allclose(states[length:], np.broadcast_to(beyond, (t - length, d)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("reset", "reverse"), READINGS)
@given(seed=st.integers(0, 2**32), **SIZES)
def test_the_fused_twin_gives_the_same_states_and_gradients(reset, reverse, seed, n, t, c, d):
    x, lengths, *weights = draw(seed, n, t, c, d)
    y, cache = ops.gru(x, *weights, lengths=lengths, reverse=reverse, reset=reset)
    y_2, cache_2 = ops.fused.gru_by_length(x, *weights, lengths=lengths, reverse=reverse, reset=reset)
    dy = random_direction(np.random.default_rng(seed), y.shape)
    grads, grads_2 = ops.gru_backward(dy, cache), ops.fused.gru_by_length_backward(dy, cache_2)
    for one, two in zip((y, *grads), (y_2, *grads_2), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("forward", [ops.gru, ops.fused.gru_by_length, ops.fused.gru_on_device])
def test_another_reading_is_refused(forward):
    with pytest.raises(ValueError, match="'never'; it is one of after, before"):
        x, lengths, *weights = draw(0, 2, 3, 1, 1)
        forward(x, *weights, lengths=lengths, reset="never")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8"])
def test_lengths_of_any_whole_numbers(dtype):
    x, _, *weights = draw(0, 4, 5, 2, 3)
    lengths = np.array([0, 5, 2, 3])
    expected, _ = ops.gru(x, *weights, lengths=lengths)
    y, _ = ops.fused.gru_by_length(x, *weights, lengths=lengths.astype(dtype))
    np.testing.assert_allclose(y, expected, atol=1e-12)
