import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import regulariser, regulariser_backward


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4), st.floats(0, 10))
def test_three_readings(seed, c, d, alpha):
    w = np.random.default_rng(seed).normal(size=(c, d))
    norm = math.sqrt(sum(w[i] ** 2 for i in np.ndindex(c, d)))
    expected = {
        "elementwise": sum((w[i] - alpha) ** 2 for i in np.ndindex(c, d)),
        "norm": (norm - alpha) ** 2,
        "released": abs(norm - alpha),
    }
    for reading, value in expected.items():
        assert regulariser(w, alpha, reading=reading)[0] == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_alpha_zero_is_the_plain_penalty():
    w = np.array([[3.0, 4.0]])
    assert [regulariser(w)[0], regulariser(w, reading="elementwise")[0], regulariser(w, reading="released")[0]] == [
        25, 25, 5,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "alpha", "expected"),
    [
        ("elementwise", 1.0, [[4, 6]]),
        ("norm", 1.0, [[2 * 4 * 0.6, 2 * 4 * 0.8]]),
        ("norm", 5.0, [[0, 0]]),
        ("released", 1.0, [[0.6, 0.8]]),
        ("released", 9.0, [[-0.6, -0.8]]),
        ("released", 5.0, [[0, 0]]),
    ],
)
def test_gradients_at_norm_five(reading, alpha, expected):
    dw = regulariser_backward(1.0, regulariser(np.array([[3.0, 4.0]]), alpha, reading=reading)[1])
    np.testing.assert_allclose(dw, expected)


@pytest.mark.parametrize(("reading", "expected"), [("elementwise", -2.0), ("norm", 0.0), ("released", 0.0)])
def test_at_zero_only_the_elementwise_reading_leads_away(reading, expected):
    _, cache = regulariser(np.zeros((2, 3)), 1.0, reading=reading)
    np.testing.assert_array_equal(regulariser_backward(1.0, cache), np.full((2, 3), expected))


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="elementwise, norm, released"):
        regulariser(np.ones((2, 2)), 1.0, reading="code")
