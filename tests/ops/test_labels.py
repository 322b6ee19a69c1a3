import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops.labels import multi_hot


@given(st.integers(0, 2**32), st.integers(0, 4), st.integers(1, 5))
def test_rows_of_zeros_and_ones(seed, n, classes):
    rng = np.random.default_rng(seed)
    labels, rows = rng.integers(0, classes, n), rng.integers(0, 2, (n, classes))
    expected = [[int(label == k) for k in range(classes)] for label in labels.tolist()]
    for dtype in ("uint8", "float32", "float64"):
        hot = multi_hot(labels, classes, dtype)
        assert hot.dtype == dtype and hot.shape == (n, classes) and hot.tolist() == expected
        assert multi_hot(rows, classes, dtype).dtype == dtype
        np.testing.assert_array_equal(multi_hot(rows, classes, dtype), rows)
    assert multi_hot(labels, classes).dtype == np.uint8


@pytest.mark.parametrize("labels", [np.array([0, 2]), np.array([[1, 0, 0], [0, 1, 1]], np.uint8)])
def test_the_labels_stay_as_they_are(labels):
    before = labels.copy()
    multi_hot(labels, 3)[...] = 7
    np.testing.assert_array_equal(labels, before)
