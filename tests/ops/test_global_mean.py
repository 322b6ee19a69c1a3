# gradient: checks/ops.py "global_mean", tests/gradcheck/test_battery.py

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import global_mean, global_mean_backward


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_the_mean_of_every_channel(seed, n, h, w, c):
    x = np.random.default_rng(seed).normal(size=(n, h, w, c))
    y, _ = global_mean(x)
    assert y.shape == (n, c)
    for i, e in np.ndindex(y.shape):
        assert abs(y[i, e] - sum(x[i, p, q, e] for p, q in np.ndindex(h, w)) / (h * w)) < 1e-13


def test_every_pixel_gets_the_same_share_in_memory_of_its_own():
    x, dy = np.ones((2, 3, 4, 2), np.float32), np.array([[12, 24], [36, 48]], np.float32)
    dx = global_mean_backward(dy, global_mean(x)[1])
    assert dx.dtype == np.float32 and dx.flags.writeable
    np.testing.assert_array_equal(dx[0, :, :, 0], np.ones((3, 4)))
    np.testing.assert_array_equal(dx[1, 2, 3], [3, 4])
