# gradient: checks/ops.py "linear", tests/gradcheck/test_battery.py

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import linear


@given(st.integers(0, 2**32), st.integers(0, 5), st.integers(1, 5), st.integers(1, 5))
def test_sum_over_inputs_plus_bias(seed, n, c, d):
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=(n, c)), rng.normal(size=(c, d)), rng.normal(size=d)
    y, _ = linear(x, w, b)
    assert y.shape == (n, d)
    for i, j in np.ndindex(n, d):
        np.testing.assert_allclose(y[i, j], sum(x[i, k] * w[k, j] for k in range(c)) + b[j], rtol=1e-12, atol=1e-12)
