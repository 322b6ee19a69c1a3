import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import reconstruction, reconstruction_backward


def energy(x, y):
    return sum((x[i] - y[i]) ** 2 for i in np.ndindex(x.shape))


@pytest.mark.parametrize("target", ["cross", "own"])
@given(seed=st.integers(0, 2**32), n=st.integers(1, 5), d_a=st.integers(1, 4), d_b=st.integers(1, 4))
def test_each_decoder_against_its_target(target, seed, n, d_a, d_b):
    rng = np.random.default_rng(seed)
    z_a, z_b = rng.normal(size=(n, d_a)), rng.normal(size=(n, d_b))
    goals = (z_b, z_a) if target == "cross" else (z_a, z_b)
    from_a, from_b = (rng.normal(size=goal.shape) for goal in goals)
    e_a, e_b = energy(from_a, goals[0]), energy(from_b, goals[1])
    for squared, expected in ((True, e_a + e_b), (False, math.sqrt(e_a) + math.sqrt(e_b))):
        for reduction, rows in (("sum", 1), ("mean", n)):
            value, _ = reconstruction(from_a, from_b, z_a, z_b, target=target, squared=squared, reduction=reduction)
            assert value == pytest.approx(expected / rows, rel=1e-12)


def test_cross_squared_sum_by_default():
    one, two = np.full((2, 1), 1.0), np.full((2, 1), 2.0)
    assert reconstruction(2 * one, 5 * one, one, two)[0] == 0 + 2 * 16


def test_a_target_gets_the_opposite_of_its_reconstruction():
    from_a, from_b, z_a, z_b = np.random.default_rng(0).normal(size=(4, 3, 2))
    for target in ("cross", "own"):
        _, cache = reconstruction(from_a, from_b, z_a, z_b, target=target)
        dfrom_a, dfrom_b, dz_a, dz_b = reconstruction_backward(1.0, cache)
        goal_a, goal_b = (dz_b, dz_a) if target == "cross" else (dz_a, dz_b)
        np.testing.assert_array_equal(goal_a, -dfrom_a)
        np.testing.assert_array_equal(goal_b, -dfrom_b)


@pytest.mark.parametrize("squared", [True, False])
def test_a_perfect_reconstruction_has_gradient_zero(squared):
    z = np.ones((2, 3))
    _, cache = reconstruction(z, z, z, z, squared=squared)
    assert not np.any(reconstruction_backward(1.0, cache))


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="'both'; it is one of cross, own"):
        reconstruction(*np.ones((4, 2, 3)), target="both")
