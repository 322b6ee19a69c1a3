import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import alignment, alignment_backward


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4))
def test_distance_of_the_pairs(seed, n, d):
    v_a, v_b = np.random.default_rng(seed).normal(size=(2, n, d))
    energy = sum((v_a[i] - v_b[i]) ** 2 for i in np.ndindex(n, d))
    assert alignment(v_a, v_b)[0] == pytest.approx(energy, rel=1e-12)
    assert alignment(v_a, v_b, reduction="mean")[0] == pytest.approx(energy / n, rel=1e-12)
    assert alignment(v_a, v_b, squared=False)[0] == pytest.approx(math.sqrt(energy), rel=1e-12)
    assert alignment(v_a, v_b, squared=False, reduction="mean")[0] == pytest.approx(math.sqrt(energy) / n, rel=1e-12)


def test_gradients():
    v_a, v_b = np.array([[3.0, 1]]), np.array([[0.0, 5]])  # a difference of 3, −4: norm 5
    for squared, expected in ((True, [[6, -8]]), (False, [[0.6, -0.8]])):
        dv_a, dv_b = alignment_backward(1.0, alignment(v_a, v_b, squared=squared)[1])
        np.testing.assert_allclose(dv_a, expected)
        np.testing.assert_array_equal(dv_b, -dv_a)


@pytest.mark.parametrize("squared", [True, False])
def test_at_equality_the_gradient_is_zero_not_nan(squared):
    v = np.ones((2, 3))
    value, cache = alignment(v, v, squared=squared)
    assert value == 0
    assert not np.any(alignment_backward(1.0, cache))
