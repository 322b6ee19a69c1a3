# gradient: checks/ops.py "prelu", tests/gradcheck/test_battery.py

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmir_ref.ops import prelu, prelu_backward


@given(
    arrays(np.float64, st.tuples(st.integers(0, 3), st.integers(1, 4)), elements=st.floats(-9, 9)), st.integers(0, 9)
)
def test_a_slope_for_each_channel(x, seed):
    slope = np.random.default_rng(seed).normal(size=x.shape[1])
    y, _ = prelu(x, slope)
    expected = [[v if v > 0 else v * s for v, s in zip(row, slope, strict=True)] for row in x]
    np.testing.assert_allclose(y, np.reshape(expected, x.shape), rtol=1e-12)
    ones, _ = prelu(np.array([[-2.0, 4.0]]), np.array([0.5, 0.25]))
    assert ones.tolist() == [[-1.0, 4.0]]


def test_the_kink_belongs_to_the_negative_side():
    dx, dslope = prelu_backward(np.array([[3.0]]), prelu(np.zeros((1, 1)), np.array([0.5]))[1])
    assert (dx.tolist(), dslope.tolist()) == ([[1.5]], [0.0])
