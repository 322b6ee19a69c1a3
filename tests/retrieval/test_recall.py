"""Recall at k and the rank of the first relevant item, against all orders of the tied items."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmir_ref.errors import InputError
from cmir_ref.retrieval import first_rank, nearest, precision_at_k, recall_at_k


def over_all_orders(distances, relevant, figure):
    """The mean of `figure(hits)` over every ranking that the distances allow."""
    values = []
    for order in permutations(range(len(distances))):
        ranked = [distances[i] for i in order]
        if ranked == sorted(ranked):
            values.append(figure([relevant[i] for i in order]))
    return np.mean(values)


rankings = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2), min_size=n, max_size=n), st.lists(st.booleans(), min_size=n, max_size=n)
    )
)


@settings(max_examples=60, deadline=None)
@given(rankings, st.integers(1, 7))
def test_ties_take_their_expected_value_over_all_orders(ranking, k):
    distances, relevant = ranking
    pair = np.array([distances, distances], float), np.array([relevant, relevant])
    recall, rank = recall_at_k(*pair, k), first_rank(*pair)
    if not any(relevant):
        assert np.isnan(recall).all() and np.isnan(rank).all()
        return
    np.testing.assert_allclose(recall, over_all_orders(distances, relevant, lambda hits: any(hits[:k])), atol=1e-12)
    np.testing.assert_allclose(rank, over_all_orders(distances, relevant, lambda hits: hits.index(True) + 1))


def test_rankings_worked_by_hand():
    distances = np.array([[1, 2, 3, 4], [4, 3, 2, 1], [5, 5, 5, 5]])
    relevant = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]], bool)
    assert recall_at_k(distances, relevant, 1).tolist() == [0, 0, 0.25]
    assert recall_at_k(distances, relevant, 2).tolist() == [1, 0, 0.5]
    assert recall_at_k(distances, relevant, 9).tolist() == [1, 1, 1]
    assert first_rank(distances, relevant).tolist() == [2, 4, 2.5]


def test_an_excluded_item_might_as_well_not_be_there():
    rng = np.random.default_rng(0)
    distances, relevant = rng.integers(0, 4, (20, 9)), rng.random((20, 9)) < 0.3
    without = np.delete(distances, 4, axis=1), np.delete(relevant, 4, axis=1)
    exclude = np.full(20, 4)
    for k in (1, 3, 9):
        np.testing.assert_array_equal(recall_at_k(distances, relevant, k, exclude), recall_at_k(*without, k))
    np.testing.assert_array_equal(first_rank(distances, relevant, exclude), first_rank(*without))


def test_k_below_one_is_refused():
    with pytest.raises(InputError, match="k: expected a whole number from 1, got 0"):
        recall_at_k(np.ones((1, 2)), np.ones((1, 2), bool), 0)


@pytest.mark.parametrize("k", [2.0, 1.5, float("nan"), "3"])
def test_a_k_that_is_no_whole_number_is_refused(k):
    calls = (
        lambda: recall_at_k(np.ones((1, 2)), np.ones((1, 2), bool), k),
        lambda: precision_at_k(np.ones((1, 2)), np.ones((1, 2), bool), k),
        lambda: nearest(np.ones((1, 2)), np.ones((3, 2)), k),
    )
    for call in calls:
        with pytest.raises(InputError, match="k: expected a whole number from 1, got"):
            call()


def test_a_k_far_beyond_the_gallery_finds_all_of_it_at_once():
    distances, relevant = np.array([[3, 1, 2], [0, 0, 0], [1, 2, 3]]), np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], bool)
    found = recall_at_k(distances, relevant, 10**15)  # as many factors would take weeks
    np.testing.assert_array_equal(found, [1, 1, np.nan])
    assert np.isnan(recall_at_k(distances[2:], relevant[2:], 10**15)).all()
