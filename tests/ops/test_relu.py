# gradient: checks/ops.py "relu", "leaky_relu", "relu6", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cmir_ref.ops import leaky_relu, leaky_relu_backward, relu, relu6, relu6_backward, relu_backward

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


@given(FLOATS)
def test_relu6(x):
    y, _ = relu6(x)
    assert y.dtype == x.dtype
    assert all(y[i] == min(max(x[i], 0), 6) for i in np.ndindex(x.shape))


def test_relu6_has_no_slope_at_either_kink():
    x = np.array([-1.0, 0.0, 1e-9, 3.0, 6.0 - 1e-9, 6.0, 7.0])
    dy = np.arange(1.0, 8.0)
    np.testing.assert_array_equal(relu6_backward(dy, relu6(x)[1]), [0, 0, 3, 4, 5, 0, 0])
    np.testing.assert_array_equal(relu6_backward(dy, relu6(x + 1e-40j)[1]), [0, 0, 3, 4, 5, 0, 0])


def test_what_is_no_number_stays_so():
    assert np.isnan(relu6(np.array([np.nan]))[0]).all()
