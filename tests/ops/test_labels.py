import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet.eq1_pretraining import pretraining_loss
from cmir_ref.cmirnet.eq3_classification import classification, label_union
from cmir_ref.ops.cross_entropy import cross_entropy
from cmir_ref.ops.labels import multi_hot
from cmir_ref.ops.sigmoid_cross_entropy import sigmoid_cross_entropy


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


LOGITS = np.random.default_rng(0).normal(size=(4, 3))
WRONG = {  # labels of four samples and three classes, and what their error names
    "a column": (np.array([[2], [0], [1], [1]]), r"\(4, 1\).*rows \(N, 3\); give labels\[:, 0\]"),
    "too many columns": (np.zeros((4, 5)), r"\(4, 5\).*rows \(N, 3\)"),
    "three axes": (np.zeros((4, 3, 1)), r"\(4, 3, 1\)"),
    "from 1": (np.array([1, 2, 3, 1]), "row 2 has 3; expected a whole number from 0 to 2"),
    "minus one": (np.array([0, -1, 1, 1]), "row 1 has -1; expected"),
    "ignored": (np.array([255, 0, 1, 1], np.uint8), "row 0 has 255; expected"),
    "fractional": (np.array([0, 1, 1.5, 2]), "row 2 has 1.5; expected"),
    "NaN": (np.array([0, 1, 1, np.nan]), "row 3 has nan; expected"),
    "NaN in a row": (np.where(np.eye(4, 3), np.nan, 0), "row 0 has nan; expected"),
    "negative in a row": (-np.eye(4, 3), "row 0 has -1; expected"),
    "inf in a row": (np.full((4, 3), np.inf), "row 0 has inf; expected"),
    "words": (np.array(["a", "b", "a", "c"]), "expected numbers"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_labels_that_are_none_are_named(case, kind):
    """In the operation, in every loss that reads labels, and as rows."""
    labels, says = WRONG[case]
    for call in (
        lambda: multi_hot(labels, 3),
        lambda: cross_entropy(LOGITS, labels, kind=kind),
        lambda: classification(LOGITS, LOGITS, labels, labels, kinds=(kind, kind)),
        lambda: label_union(labels, labels, 3),
        lambda: pretraining_loss(LOGITS, LOGITS, labels, kind=kind),
    ):
        with pytest.raises(ValueError, match=says):
            call()


@pytest.mark.parametrize("labels", [np.array([0, 1]), np.array([2]), np.array([[0, 1, 1]]), np.zeros((5, 3))])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_another_number_of_labels_is_refused(labels, kind):
    with pytest.raises(ValueError, match="same shape"):
        cross_entropy(LOGITS, labels, kind=kind)
    if len(labels) != 1:
        with pytest.raises(ValueError, match="same shape"):
            label_union(labels, np.array([[1, 0, 0]]), 3)


def test_probabilities_of_more_than_one_are_refused():
    with pytest.raises(ValueError, match=r"row 2 has 1\.5; expected numbers from 0 to 1"):
        sigmoid_cross_entropy(LOGITS, np.where(np.arange(4)[:, None] == 2, 1.5, 0.5) * np.ones(3))


def test_whole_numbers_of_any_dtype_are_classes():
    for dtype in ("uint8", "int64", "float32", "float64"):
        np.testing.assert_array_equal(multi_hot(np.array([2, 0], dtype), 3), [[0, 0, 1], [1, 0, 0]])


def test_rows_that_whole_numbers_do_not_keep_are_refused():
    for rows in (np.array([[0.5, 0.5]]), np.array([[0, 257]])):
        np.testing.assert_array_equal(multi_hot(rows, 2, "float64"), rows)
        with pytest.raises(ValueError, match="uint8 does not keep their values"):
            multi_hot(rows, 2)
