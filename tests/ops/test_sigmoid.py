# gradient: checks/ops.py "sigmoid", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest

from cmir_ref.ops import sigmoid


def test_the_logistic_function():
    x = np.array([[-30.0, -1.5, -0.0], [0.0, 0.7, 30.0]])
    expected = [[1 / (1 + math.exp(-value)) for value in row] for row in x.tolist()]
    np.testing.assert_allclose(sigmoid(x)[0], expected, rtol=1e-14)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_never_overflows(dtype):
    assert sigmoid(np.array([-1e4, 1e4], dtype))[0].tolist() == [0, 1]
