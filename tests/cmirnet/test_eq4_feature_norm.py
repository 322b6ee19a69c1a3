import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import feature_norm, feature_norm_backward


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4))
def test_energy_of_both(seed, n, d):
    v_a, v_b = np.random.default_rng(seed).normal(size=(2, n, d))
    energy = sum(v_a[i] ** 2 + v_b[i] ** 2 for i in np.ndindex(n, d))
    assert feature_norm(v_a, v_b)[0] == pytest.approx(energy, rel=1e-12)
    assert feature_norm(v_a, v_b, reduction="mean")[0] == pytest.approx(energy / n, rel=1e-12)


def test_gradients():
    v_a, v_b = np.array([[1.0, 2]]), np.array([[3.0, 4]])
    dv_a, dv_b = feature_norm_backward(0.5, feature_norm(v_a, v_b)[1])
    np.testing.assert_array_equal(dv_a, v_a)
    np.testing.assert_array_equal(dv_b, v_b)
