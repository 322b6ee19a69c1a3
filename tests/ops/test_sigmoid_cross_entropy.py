# gradient: checks/ops.py "sigmoid_cross_entropy/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import sigmoid_cross_entropy, sigmoid_cross_entropy_backward


def naive(u, y):
    """−Σ_nk y log σ(u) + (1 − y) log(1 − σ(u))."""
    loss = 0.0
    for i in np.ndindex(u.shape):
        p = 1 / (1 + math.exp(-u[i]))
        loss -= y[i] * math.log(p) + (1 - y[i]) * math.log(1 - p)
    return loss


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_value_for_every_kind_of_target(seed, n, k):
    rng = np.random.default_rng(seed)
    u, labels = rng.normal(0, 3, (n, k)), rng.integers(0, k, n)
    hot = np.array([[int(labels[i] == j) for j in range(k)] for i in range(n)])
    multi = (rng.random((n, k)) < 0.5).astype(np.uint8)
    for targets, y in ((labels, hot), (hot, hot), (multi, multi.astype(float)), *[(rng.random((n, k)),) * 2]):
        expected = naive(u, y)
        np.testing.assert_allclose(sigmoid_cross_entropy(u, targets, reduction="sum")[0], expected, rtol=1e-10)
        np.testing.assert_allclose(sigmoid_cross_entropy(u, targets)[0], expected / (n * k), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_ten_thousand(dtype):
    u = np.array([[1e4, -1e4], [1e4, -1e4]], dtype)
    loss, cache = sigmoid_cross_entropy(u, np.array([[1, 0], [0, 1]]), reduction="sum")
    assert loss == 2e4 and loss.dtype == dtype
    np.testing.assert_array_equal(sigmoid_cross_entropy_backward(1.0, cache), [[0, 0], [1, -1]])


def test_an_empty_batch_and_an_unknown_reduction():
    loss, cache = sigmoid_cross_entropy(np.zeros((0, 3)), np.zeros(0, int))
    assert loss == 0 and sigmoid_cross_entropy_backward(1.0, cache).shape == (0, 3)
    with pytest.raises(ValueError, match="sum, mean"):
        sigmoid_cross_entropy(np.zeros((1, 3)), np.zeros(1, int), reduction="none")
