# gradient: checks/ops.py "batch_norm/…", "fused/act_norm/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest

from cmir_ref.ops.sums import column_mean, column_sum, reduction_factor


@pytest.mark.parametrize("rows", [0, 1, 255, 511, 512, 513, 1000, 1537])
@pytest.mark.parametrize("shape", [(-1, 3), (1, -1, 1, 3)])
def test_every_row_is_counted_once(rows, shape):
    x = np.random.default_rng(rows).normal(size=(rows, 3))
    expected = [math.fsum(x[:, c]) for c in range(3)]
    folded = x.reshape([rows if side < 0 else side for side in shape])
    np.testing.assert_allclose(column_sum(folded), expected, rtol=1e-12, atol=1e-12)
    if rows:
        np.testing.assert_allclose(column_mean(folded), np.divide(expected, rows), rtol=1e-12, atol=1e-12)


def test_float32_stays_accurate_over_a_million_rows():
    x = np.full((2**20, 3), 0.1, np.float32)
    total = column_sum(x)
    assert total.dtype == np.float32
    assert total == pytest.approx(2**20 * float(x[0, 0]), rel=1e-4)  # in one stage: 1e-2


def test_the_factor_of_a_sum_and_of_a_mean():
    assert [reduction_factor("sum", n) for n in (0, 4)] == [1, 1]
    assert [reduction_factor("mean", n) for n in (0, 1, 4)] == [1, 1, 0.25]
    with pytest.raises(ValueError, match="reduction is 'max'; it is one of sum, mean"):
        reduction_factor("max", 4)
