# gradient: checks/ops.py "softmax_cross_entropy/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import softmax_cross_entropy, softmax_cross_entropy_backward


def naive(u, rows):
    """−Σ_n Σ_k y_nk log p_nk with y's rows divided by their sum."""
    loss = 0.0
    for logits, y in zip(u.tolist(), rows, strict=True):
        p = [math.exp(v) / sum(map(math.exp, logits)) for v in logits]
        loss -= sum(t / sum(y) * math.log(q) for t, q in zip(y, p, strict=True) if t)
    return loss


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_value_for_every_kind_of_target(seed, n, k):
    rng = np.random.default_rng(seed)
    u, labels = rng.normal(0, 3, (n, k)), rng.integers(0, k, n)
    hot = [[int(labels[i] == j) for j in range(k)] for i in range(n)]
    multi = (rng.random((n, k)) < 0.5).astype(int)  # several labels, one, or none
    weights = rng.uniform(0, 2, (n, k))
    for targets, rows in ((labels, hot), (np.array(hot), hot), (multi, multi.tolist()), (weights, weights.tolist())):
        expected = naive(u, rows)
        for dtype in (targets.dtype, float) if targets.ndim == 2 else (int, np.uint8):
            value = softmax_cross_entropy(u, targets.astype(dtype), reduction="sum")[0]
            np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(softmax_cross_entropy(u, targets)[0], expected / n, rtol=1e-11, atol=1e-12)


def test_a_row_without_label_costs_nothing_and_gets_no_gradient_but_counts_in_the_mean():
    u, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0, 0], [1, 0]])
    loss, cache = softmax_cross_entropy(u, y)
    assert loss == pytest.approx(naive(u[1:], [[1, 0]]) / 2)
    assert not softmax_cross_entropy_backward(1.0, cache)[0].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_ten_thousand(dtype):
    u = np.array([[1e4, -1e4], [1e4, -1e4], [-1e4, -1e4]], dtype)
    loss, cache = softmax_cross_entropy(u, np.array([0, 1, 1]), reduction="sum")
    assert loss == pytest.approx(2e4 + math.log(2), rel=1e-6) and loss.dtype == dtype
    np.testing.assert_allclose(softmax_cross_entropy_backward(1.0, cache), [[0, 0], [1, -1], [0.5, -0.5]], atol=1e-12)


def test_an_empty_batch_and_an_unknown_reduction():
    loss, cache = softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, int))
    assert loss == 0 and softmax_cross_entropy_backward(1.0, cache).shape == (0, 3)
    with pytest.raises(ValueError, match="sum, mean"):
        softmax_cross_entropy(np.zeros((1, 3)), np.zeros(1, int), reduction="none")
