# gradient: checks/ops.py "unit_rows", tests/gradcheck/test_battery.py

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import unit_rows, unit_rows_backward


@given(seed=st.integers(0, 2**32), n=st.integers(1, 3), d=st.integers(1, 4))
def test_length_one_and_the_same_direction(seed, n, d):
    x = np.random.default_rng(seed).normal(size=(n, 2, d))
    y, _ = unit_rows(x)
    for i, j in np.ndindex(n, 2):
        length = math.sqrt(sum(value * value for value in x[i, j]))
        np.testing.assert_allclose(y[i, j], [value / length for value in x[i, j]], rtol=1e-12)


def test_zeros_stay_zeros_and_have_no_gradient():
    y, cache = unit_rows(np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(y, [[0, 0], [0.6, 0.8]])
    np.testing.assert_allclose(unit_rows_backward(np.ones((2, 2)), cache), [[0, 0], [0.032, -0.024]], rtol=1e-12)
