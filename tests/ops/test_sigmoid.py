# gradient: checks/ops.py "sigmoid", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest

from cmir_ref.ops import sigmoid, sigmoid_backward


def test_against_math():
    x = np.array([[-3.0, -0.5, 0.0], [0.25, 1.0, 7.0]])
    y, _ = sigmoid(x)
    np.testing.assert_allclose(y, [[1 / (1 + math.exp(-t)) for t in row] for row in x], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_numbers_neither_overflow_nor_warn(dtype):
    with np.errstate(all="raise", under="ignore"):
        y, cache = sigmoid(np.array([-1e4, -90, 90, 1e4], dtype))
        slope = sigmoid_backward(np.ones(4, dtype), cache)
    assert y.dtype == dtype and (y[:2] < 1e-30).all() and (y[2:] == 1).all()
    assert (slope < 1e-30).all()


def test_the_two_sides_are_mirrored():
    x = np.linspace(-8, 8, 33)
    np.testing.assert_allclose(sigmoid(x)[0] + sigmoid(-x)[0], 1, rtol=1e-15)
