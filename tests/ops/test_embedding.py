# gradient: checks/ops.py "embedding", tests/gradcheck/test_battery.py

import numpy as np
import pytest

from cmir_ref.ops import embedding, embedding_backward

NUMBERS = np.array([[2, 1, 2], [1, 0, 0]])


def test_rows_of_the_table_and_zeros_for_padding():
    table = np.array([[9.0, 9], [1, 2], [3, 4]])
    y, _ = embedding(table, NUMBERS)
    assert y.tolist() == [[[3, 4], [1, 2], [3, 4]], [[1, 2], [0, 0], [0, 0]]]


def test_a_row_that_is_read_twice_learns_twice_and_padding_never():
    table = np.random.default_rng(0).normal(size=(4, 2))
    dy = np.arange(1.0, 13).reshape(2, 3, 2)
    dtable = embedding_backward(dy, embedding(table, NUMBERS)[1])
    assert dtable.tolist() == [[0, 0], [3 + 7, 4 + 8], [1 + 5, 2 + 6], [0, 0]]


def test_a_number_below_zero_is_no_row():
    with pytest.raises(ValueError, match="-1 is none of a table of 4 rows"):
        embedding(np.ones((4, 2)), np.array([[2, -1]]))
