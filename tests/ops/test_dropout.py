# gradient: checks/ops.py "dropout", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import dropout


@given(st.integers(0, 2**32), st.floats(0, 0.9))
def test_kept_units_are_divided_by_the_chance_to_be_kept(seed, rate):
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(4, 3)), rng.random((4, 3)) > rate
    y, _ = dropout(x, mask, rate)
    for i in np.ndindex(x.shape):
        assert y[i] == pytest.approx(x[i] / (1 - rate) if mask[i] else 0, rel=1e-14)


def test_a_boolean_mask_keeps_float32():
    assert dropout(np.ones(3, np.float32), np.array([True, False, True]), 0.3)[0].dtype == np.float32
