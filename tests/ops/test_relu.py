# gradient: checks/ops.py "relu", "leaky_relu", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cmir_ref.ops import leaky_relu, leaky_relu_backward, relu, relu_backward

FLOATS = arrays(np.float64, array_shapes(max_side=4), elements=st.floats(-1e4, 1e4) | st.just(0.0))


@given(FLOATS)
def test_relu(x):
    y, _ = relu(x)
    assert all(y[i] == (x[i] if x[i] > 0 else 0) for i in np.ndindex(x.shape))


@given(FLOATS, st.floats(0, 1))
def test_leaky_relu(x, slope):
    y, _ = leaky_relu(x, slope)
    assert all(y[i] == (x[i] if x[i] > 0 else slope * x[i]) for i in np.ndindex(x.shape))


def test_the_slope_is_one_percent_unless_given():
    assert leaky_relu(np.array([-2.0]))[0] == [-0.02]


@pytest.mark.parametrize("zero", [0.0, -0.0, 0.0 + 1e-40j, 0.0 - 1e-40j])
def test_the_kink_belongs_to_the_negative_side(zero):
    x, dy = np.array([zero, 1.0]), np.array([3.0, 5.0])
    np.testing.assert_array_equal(relu_backward(dy, relu(x)[1]), [0, 5])
    np.testing.assert_array_equal(leaky_relu_backward(dy, leaky_relu(x, 0.5)[1]), [1.5, 5])
