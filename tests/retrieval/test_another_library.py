"""Retrieval on another array library gives what it gives on NumPy."""

import numpy as np
import pytest
from elsewhere import Elsewhere

from cmir_ref.retrieval import (
    average_precision,
    collapse,
    evaluate_direction,
    mean_precision_at_tens,
    nearest,
    precision_at_k,
    relevance,
    squared_distances,
)

OWN = np.arange(30) - 1  # one query excludes nothing


def elsewhere(*arrays):
    return [None if array is None else Elsewhere(array) for array in arrays]


def drawn(multi_hot=False):
    """Queries, their labels, gallery, its labels: points of a small grid, so that many tie."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2, (n, 4)) if multi_hot else rng.integers(0, 4, n) for n in (30, 70))
    return rng.integers(0, 3, (30, 3)), a, rng.integers(0, 3, (70, 3)), b


def assert_same(found, expected):
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.array, two)


@pytest.mark.parametrize("distance", ["euclidean", "released"])
@pytest.mark.parametrize("ties", ["index", "expected"])
@pytest.mark.parametrize("multi_hot", [False, True])
@pytest.mark.parametrize("exclude", [None, OWN], ids=["all", "but itself"])
def test_a_whole_direction(distance, ties, multi_hot, exclude):
    data, settings = drawn(multi_hot), {"distance": distance, "ties": ties, "cutoffs": 2}
    expected = evaluate_direction(*data, exclude=exclude, **settings)
    assert evaluate_direction(*elsewhere(*data), exclude=elsewhere(exclude)[0], **settings) == expected


@pytest.mark.parametrize("items", [70, 2 * 4096])  # the second by way of the sieve
@pytest.mark.parametrize("exclude", [None, OWN], ids=["all", "but itself"])
def test_the_nearest(items, exclude):
    q, g = np.random.default_rng(0).normal(size=(30, 5)), np.random.default_rng(1).normal(size=(items, 5))
    found = nearest(*elsewhere(q, g), 4, exclude=elsewhere(exclude)[0])
    assert_same(found, nearest(q, g, 4, exclude=exclude))


@pytest.mark.parametrize("dtype", [int, float])
@pytest.mark.parametrize("exclude", [None, OWN], ids=["all", "but itself"])
def test_metrics_of_rankings(dtype, exclude):
    q, a, g, b = drawn()
    d, relevant = squared_distances(q, g).astype(dtype), relevance(a, b)
    for metric, *settings in ((average_precision,), (precision_at_k, 5), (mean_precision_at_tens, 2)):
        found = metric(*elsewhere(d, relevant), *settings, exclude=elsewhere(exclude)[0])
        assert_same([found], [metric(d, relevant, *settings, exclude=exclude)])


def test_distances_relevance_and_collapse():
    q, a, g, b = drawn()
    hot = np.eye(4, dtype=int)
    assert_same([squared_distances(*elsewhere(q, g))], [squared_distances(q, g)])
    for pair in ((a, b), (hot[a], b), (a, hot[b]), (hot[a], hot[b])):
        assert_same([relevance(*elsewhere(*pair))], [relevance(*pair)])
    assert collapse(*elsewhere(q, g)) == collapse(q, g)
