# gradient: checks/ops.py "tanh", tests/gradcheck/test_battery.py

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import tanh


@given(st.lists(st.floats(-15, 15), min_size=1, max_size=5))
def test_the_quotient_of_exponentials(values):
    values = [*values, 0.5]
    expected = [(math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x)) for x in values]
    np.testing.assert_allclose(tanh(np.array(values))[0], expected, rtol=1e-11, atol=1e-14)
