# gradient: checks/ops.py "time_mean", tests/gradcheck/test_battery.py

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import time_mean


@given(seed=st.integers(0, 2**32), n=st.integers(0, 4), t=st.integers(1, 5))
def test_the_mean_of_the_valid_steps(seed, n, t):
    rng = np.random.default_rng(seed)
    x, lengths = rng.normal(size=(n + 1, t, 3)), rng.integers(0, t + 1, n + 1)
    lengths[0] = t
    y, _ = time_mean(x, lengths)
    for row, length, mean in zip(x, lengths, y, strict=True):
        np.testing.assert_allclose(mean, sum(row[:length]) / length if length else np.zeros(3), rtol=1e-12, atol=1e-15)
