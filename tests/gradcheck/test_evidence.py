"""What counts as equal beside a measured gradient, the arrays that a sentence can name, and the words for entries."""

import numpy as np
import pytest

from cmir_ref.gradcheck.evidence import Evidence, Jacobians, region
from cmir_ref.gradcheck.slopes import EPS


def seen(ours, measured, **more):
    return Evidence("x", np.ones(np.shape(measured)), np.array(ours, float), np.array(measured, float), **more)


def test_rounding_is_of_the_largest_number_or_what_is_known_of_it():
    j = Jacobians(np.ones(3), np.array([1.0, -4.0, 2.0]), 0)
    assert j.rounding == 4 * 64 * EPS and j._replace(noise=1e-3).rounding == 1e-3
    e = seen([2, -4], [1, -4])
    assert e.rounding == 4 * 64 * EPS and e._replace(error=0.1).rounding == 0.4
    assert e._replace(error=0.1).jacobians().rounding == 0.4
    small = seen([2, 2e-20], [1, 1e-20], wrong=np.array([True, True]))
    assert small.rounding == 0, "one wrong entry is off by less: each is compared by its own size"


def test_an_entry_is_off_by_more_than_the_error_of_its_measurement():
    e = seen([1, 0.01], [1, 0])
    assert e.off.tolist() == [False, True] and e._replace(error=0.01).off.tolist() == [False, False]
    assert e._replace(wrong=np.array([True, False])).off.tolist() == [True, False], "where it is known, it is so"


@pytest.mark.parametrize("e", [seen([2, 2], [1, 1]), Jacobians(np.ones(2), np.ones(2), 0)], ids=["x", "outputs"])
@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ([1, 2], [1, 2 + 1e-12], True),
        ([1, 2], [1, 2 + 1e-6], False),
        ([1, 1e-17], [1, 0], True),
        ([1e-17, 1e-17], [1e-17, 2e-17], False),  # rounding is less where all is small
        ([0, 0], [0, 0], False),
        ([1e-17, 0], [0, 0], False),
    ],
)
def test_two_arrays_are_equal_to_rounding_and_not_merely_zero(e, a, b, equal):
    assert e.same(np.array(a, float), np.array(b, float)) == equal


def test_what_is_not_finite_or_of_another_shape_is_equal_to_nothing():
    e = seen([2, 2], [1, 1])
    for a in (None, np.ones(1), np.array([np.inf, 1]), np.array([np.nan, 1])):
        assert not e.same(a, np.ones(2))


def test_the_arrays_of_a_forward_by_name():
    x, w, h = np.ones((3, 2))
    e = seen(x, x, others={"w": w}, kept={"h": h})
    assert list(e.arrays) == ["x", "w", "h"] and list(e._replace(y=h).arrays) == ["x", "y", "w", "h"]
    for others, measured in (({"y": w}, {}), ({}, {"y": w})):
        assert e._replace(others=others, measured_of=measured).result == "the output"


LINE = np.array([-1.0, 0.0, 2.0, 3.0])
SCATTERED = np.zeros((1, 3, 4), bool)
SCATTERED[0, [0, 1], [0, 2]] = True


@pytest.mark.parametrize(
    ("off", "x", "words"),
    [
        (LINE < 0, LINE, "those with x < 0"),
        (LINE > 0, LINE, "those with x > 0"),
        (LINE != 0, LINE, ""),  # of an array of one axis there are no lines
        (np.outer(LINE == 2, LINE == 0), np.ones((4, 4)), ""),  # one entry, which is named anyway
        (np.eye(2) > 0, np.ones((2, 2)), ""),  # two entries prove no diagonal
        (np.diag([1, 1, 0, 0]) > 0, np.ones((4, 4)), ""),
        (np.diag([1, 1, 0, 1]) > 0, np.ones((4, 4)), "on the diagonal"),
        (np.outer(LINE == 2, [1, 1, 1, 0]) > 0, np.ones((4, 4)), "in row 2"),  # three are no block
        (np.outer(LINE >= 2, LINE >= 2), np.ones((4, 4)), "the block [2:4, 2:4]"),
        (SCATTERED, np.ones((1, 3, 4)), ""),  # the only index of an axis says nothing
    ],
)
def test_which_entries_are_off(off, x, words):
    assert region(off, x, "x") == words
