import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import classification
from cmir_ref.cmirnet.eq3_classification import label_union


def softmax_rows(u, y):
    """One loss for each row, y multi-hot."""
    return [
        -sum(t / max(sum(ty), 1) * (v - math.log(sum(map(math.exp, row)))) for t, v in zip(ty, row, strict=True))
        for row, ty in zip(u.tolist(), y.tolist(), strict=True)
    ]


def sigmoid_rows(u, y):
    """One loss for each row: the mean over its labels."""
    return [
        sum(math.log(1 + math.exp(v)) - v * t for t, v in zip(ty, row, strict=True)) / len(row)
        for row, ty in zip(u.tolist(), y.tolist(), strict=True)
    ]


ROWS = {"softmax": softmax_rows, "sigmoid": sigmoid_rows}
KINDS = [(a, b) for a in ROWS for b in ROWS]


def drawn(seed, n, m):
    rng = np.random.default_rng(seed)
    y_b = rng.integers(0, 4, m)
    return rng.normal(size=(n, 4)), rng.normal(size=(m, 4)), rng.integers(0, 2, (n, 4)), y_b, np.eye(4, dtype=int)[y_b]


@pytest.mark.parametrize("kinds", KINDS)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 4), m=st.integers(1, 4))
def test_heads_seen_row_by_row(kinds, seed, n, m):
    u_a, u_b, y_a, y_b, hot_b = drawn(seed, n, m)
    rows_a, rows_b = ROWS[kinds[0]](u_a, y_a), ROWS[kinds[1]](u_b, hot_b)
    shared = sum(rows_a + rows_b) / (n + m)
    separate = sum(rows_a) / n + sum(rows_b) / m
    assert classification(u_a, u_b, y_a, y_b, kinds=kinds)[0] == pytest.approx(shared, rel=1e-11)
    value, _ = classification(u_a, u_b, y_a, y_b, classifier="separate", kinds=kinds)
    assert value == pytest.approx(separate, rel=1e-11)


@pytest.mark.parametrize("kind", ROWS)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 4))
def test_a_concatenated_pair_has_the_labels_of_both(kind, seed, n):
    u, _, y_a, y_b, hot_b = drawn(seed, n, n)
    union = np.array([[int(y_a[i, k] or hot_b[i, k]) for k in range(4)] for i in range(n)])
    value, _ = classification(u, None, y_a, y_b, classifier="concatenated", kinds=(kind, kind))
    assert value == pytest.approx(sum(ROWS[kind](u, union)) / n, rel=1e-11)


def test_the_union_of_integer_labels():
    np.testing.assert_array_equal(label_union(np.array([0, 1]), np.array([0, 2]), 3), [[1, 0, 0], [0, 1, 1]])


def test_an_empty_modality_leaves_the_other_whole():
    u = np.ones((2, 3))
    value, _ = classification(u, np.ones((0, 3)), np.array([0, 1]), np.zeros(0, int))
    assert value == pytest.approx(math.log(3))


@pytest.mark.parametrize(("n", "m"), [(1, 0), (0, 1)])
def test_a_single_row_is_the_whole_mean(n, m):
    y = np.array([1])
    value, _ = classification(np.ones((n, 3)), np.ones((m, 3)), y[:n], y[:m])
    assert value == pytest.approx(math.log(3))


def test_a_concatenated_head_has_the_cross_entropy_of_the_first_modality():
    u, y = np.array([[1.0, -2, 0.5]]), np.array([1])
    one, both = (
        classification(u, None, y, y, classifier="concatenated", kinds=("sigmoid", second))[0]
        for second in ("softmax", "sigmoid")
    )
    assert one == both


def test_an_unknown_classifier_is_refused():
    with pytest.raises(ValueError, match="'joint'; it is one of shared, separate, concatenated"):
        classification(np.ones((1, 3)), np.ones((1, 3)), np.array([0]), np.array([0]), classifier="joint")
