"""What `check` refuses, and labels as multi-hot."""

import numpy as np
import pytest

from cmir_ref.data import as_multi_hot, check


def test_as_multi_hot():
    np.testing.assert_array_equal(as_multi_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    hot = np.array([[1, 0, 1]])
    np.testing.assert_array_equal(as_multi_hot(hot, 3), hot)
    assert as_multi_hot(hot, 3).dtype == np.uint8


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [[1, 0]], [[1, 0, 2]]])
def test_labels_out_of_range(labels, refused, make):
    with refused("label"):
        as_multi_hot(np.array(labels), 3)
    a = make.modality(labels)
    with refused("a:", "label"):
        check(make.dataset(a, a, 3))


def test_samples_of_which_none_has_a_label_are_refused(refused, make):
    a = make.modality([[0, 0, 0]] * 4)
    with refused("a: none of its 4 samples carries a label"):
        check(make.dataset(a, a, 3))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 1.5], "row 1 has 1.5; expected a whole number from 0 to 2"),
        ([0.0, np.nan], "row 1 has nan"),
        ([[2], [0]], "give labels[:, 0]"),
        ([[1, 0, 0], [0, 0.5, 0]], "row 1 has 0.5; expected rows of 0 and 1"),
        ([[1, 0, 0], [0, 2, 0]], "row 1 has 2; expected rows of 0 and 1"),
        ([[1, 0, 0], [0, np.nan, 0]], "row 1 has nan"),
        ([["a"]], "expected numbers"),
    ],
)
def test_labels_that_are_none_are_named(labels, says, refused):
    with refused(says):
        as_multi_hot(np.array(labels), 3)


def test_a_sound_data_set_passes(make):
    a, b = make.modality([0, 1, 1]), make.modality([[1, 1], [0, 1], [1, 0]], name="b")
    assert check(make.dataset(a, b, 2)).modalities == {"a": a, "b": b}
    check(make.dataset(a, b, 2, np.array([[0, 0], [0, 2], [1, 1], [2, 1]])))  # a sample may have several partners


def test_samples_of_no_numbers(refused, make):
    a = make.modality([0, 1, 0, 1], x=np.ones((4, 0), np.float32))
    with refused("samples of 0 numbers"):
        check(make.dataset(a, a, 2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(value, refused, make):
    x = np.ones((4, 3), np.float32)
    x[2:, 1] = value
    a = make.modality([0, 1, 0, 1], x=x)
    with refused("a.mat:2", "row 2", "2 such rows"):
        check(make.dataset(a, a, 2))


def test_classes_without_samples(refused, make):
    a, b = make.modality([0, 1]), make.modality([0, 0], name="b")
    with refused("class 'class2'", "no samples"):
        check(make.dataset(a, a, 3))
    with refused("class 'class1'", "no samples in b"):
        check(make.dataset(a, b, 2))
    check(make.dataset(b, a, 2))  # a spoken label that no image of a subset shows is no error


def test_counts_that_differ(refused, make):
    a, b = make.modality([0, 1]), make.modality([0, 1, 1], name="b")
    with refused("b2 (b)", "no partner"):
        check(make.dataset(a, b, 2, np.array([[0, 0], [1, 1]])))
    with refused("a: 2 samples but 1 ids"):
        check(make.dataset(a._replace(ids=("x",)), b, 2))
    with refused("a: no samples"):
        check(make.dataset(make.modality([]), b, 2))


@pytest.mark.parametrize("pairing", [[[0, 0], [1, 2]], [[0, 0], [2, 1]], [[-1, 0]]])
def test_pairs_of_samples_that_do_not_exist(pairing, refused, make):
    with refused("does not exist"):
        check(make.dataset(make.modality([0, 1]), make.modality([0, 1]), 2, np.array(pairing)))


def test_pairs_without_a_common_label(refused, make):
    with refused("a1", "b0", "share no label"):
        b = make.modality([0, 1], name="b")
        check(make.dataset(make.modality([0, 1]), b, 2, np.array([[0, 0], [1, 0], [1, 1]])))


def test_a_pair_of_which_one_alone_has_labels(refused, make):
    """Where none has one there is none to share."""
    none = np.eye(3, 2, dtype=np.uint8)
    a, b = make.modality(none), make.modality(none, name="b")
    assert check(make.dataset(a, b, 2, np.stack([np.arange(3)] * 2, axis=1)))
    for pairing in ([[0, 0], [1, 1], [1, 2], [2, 2]], [[0, 0], [1, 1], [2, 1], [2, 2]]):
        with refused("are paired but share no label"):
            check(make.dataset(a, b, 2, np.array(pairing)))
