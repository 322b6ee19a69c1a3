# gradient: checks/attention.py "channel_gate/…", "spatial_mask/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest

from cmir_ref.attention import channel_gate, spatial_mask


def logistic(u):
    return 1 / (1 + math.exp(-u))


@pytest.mark.parametrize("residual", [True, False])
def test_each_channel_is_weighed_by_the_sketch(residual):
    rng = np.random.default_rng(0)
    x, s, w, b = (rng.normal(size=shape) for shape in ((4, 3), (4, 5), (5, 3), (3,)))
    y, cache = channel_gate(x, s, w, b, residual=residual)
    for n in range(4):
        for d in range(3):
            a = logistic(sum(s[n, c] * w[c, d] for c in range(5)) + b[d])
            assert y[n, d] == pytest.approx(x[n, d] * (a + residual), rel=1e-13)
            assert cache.a[n, d] == pytest.approx(a, rel=1e-13)


def test_a_residual_gate_scales_between_once_and_twice():
    rng = np.random.default_rng(1)
    x, s = np.ones((50, 6)), 9 * rng.normal(size=(50, 6))
    y, _ = channel_gate(x, s, rng.normal(size=(6, 6)), np.zeros(6))
    assert (y >= 1).all() and (y <= 2).all() and y.min() < 1.1 and y.max() > 1.9


@pytest.mark.parametrize("residual", [True, False])
def test_each_place_is_weighed_by_the_same_place_of_the_sketch(residual):
    rng = np.random.default_rng(2)
    x, y, w, b = (rng.normal(size=shape) for shape in ((2, 4, 3), (2, 4, 5), (5, 1), (1,)))
    out, cache = spatial_mask(x, y, w, b, residual=residual)
    for n in range(2):
        for p in range(4):
            m = logistic(sum(y[n, p, d] * w[d, 0] for d in range(5)) + b[0])
            np.testing.assert_allclose(out[n, p], x[n, p] * (m + residual), rtol=1e-13)
            assert cache.m[n, p, 0] == pytest.approx(m, rel=1e-13)
