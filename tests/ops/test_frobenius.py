# gradient: checks/ops.py "frobenius/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import frobenius, frobenius_backward


@given(st.integers(0, 2**32), st.sampled_from([(4, 3), (1, 1), (2, 3, 2), (5,)]))
def test_sum_of_squares_its_root_and_their_mean_over_rows(seed, shape):
    x = np.random.default_rng(seed).normal(size=shape)
    assert frobenius(np.array([3.0, 4.0]))[0] == 25
    energy = sum(float(x[i]) ** 2 for i in np.ndindex(shape))
    for squared, expected in ((True, energy), (False, math.sqrt(energy))):
        assert frobenius(x, squared=squared)[0] == pytest.approx(expected, rel=1e-13)
        assert frobenius(x, squared=squared, reduction="sum")[0] == pytest.approx(expected, rel=1e-13)
        assert frobenius(x, squared=squared, reduction="mean")[0] == pytest.approx(expected / shape[0], rel=1e-13)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_at_zero_value_and_gradient_are_zero(squared, shape):
    value, cache = frobenius(np.zeros(shape), squared=squared, reduction="mean")
    assert value == 0
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(frobenius_backward(1.0, cache), np.zeros(shape))


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="sum, mean"):
        frobenius(np.ones((2, 2)), reduction="max")
