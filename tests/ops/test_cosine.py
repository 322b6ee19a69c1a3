# gradient: checks/ops.py "cosine", tests/gradcheck/test_battery.py

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import cosine


@given(seed=st.integers(0, 2**32), n=st.integers(1, 3), m=st.integers(1, 4), d=st.integers(1, 4))
def test_every_pair_by_itself(seed, n, m, d):
    rng = np.random.default_rng(seed)
    v, t = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    s, _ = cosine(v, t)
    for i, j in np.ndindex(n, m):
        np.testing.assert_allclose(s[i, j], v[i] @ t[j] / np.sqrt((v[i] @ v[i]) * (t[j] @ t[j])), rtol=1e-9, atol=1e-12)


def test_a_vector_of_zeros_has_no_angle():
    assert cosine(np.zeros((1, 2)), np.ones((3, 2)))[0].tolist() == [[0, 0, 0]]
