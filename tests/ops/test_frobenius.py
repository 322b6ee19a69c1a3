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
    energy = sum(float(x[i]) ** 2 for i in np.ndindex(shape))
    for norm, expected in (("squared", energy), ("unsquared", math.sqrt(energy))):
        assert frobenius(x, norm=norm)[0] == pytest.approx(expected, rel=1e-13)
        assert frobenius(x, norm=norm, reduction="sum")[0] == pytest.approx(expected, rel=1e-13)
        assert frobenius(x, norm=norm, reduction="mean")[0] == pytest.approx(expected / shape[0], rel=1e-13)


@pytest.mark.parametrize("norm", ["squared", "unsquared"])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_at_zero_value_and_gradient_are_zero(norm, shape):
    value, cache = frobenius(np.zeros(shape), norm=norm, reduction="mean")
    assert value == 0
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(frobenius_backward(1.0, cache), np.zeros(shape))


def test_unknown_readings_are_refused():
    with pytest.raises(ValueError, match="sum, mean"):
        frobenius(np.ones((2, 2)), reduction="max")
    with pytest.raises(ValueError, match="'nuclear'; it is one of squared, unsquared"):
        frobenius(np.ones((2, 2)), norm="nuclear")
