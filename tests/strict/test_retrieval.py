"""Retrieval on the stand-in for CuPy, and on CuPy, gives what it gives on NumPy."""

import numpy as np
import pytest
from strict.moves import assert_same, moved

from cmir_ref.retrieval import (
    average_precision,
    chance,
    collapse,
    evaluate_direction,
    mean_precision_at_tens,
    nearest,
    precision_at_k,
    relevance,
    squared_distances,
)

OWN = np.arange(30) - 1  # one query excludes nothing
SEVERAL = np.stack([OWN, 69 - np.arange(30), OWN], axis=1)  # one of them named twice
EXCLUDE = pytest.mark.parametrize("exclude", [None, OWN, SEVERAL], ids=["all", "but itself", "but several"])


def drawn(multi_hot=False):
    """Queries, their labels, gallery, its labels: points of a small grid, so that many tie."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2, (n, 4)) if multi_hot else rng.integers(0, 4, n) for n in (30, 70))
    return rng.integers(0, 3, (30, 3)), a, rng.integers(0, 3, (70, 3)), b


def approximately(xp, expected):
    """`expected` to the bit, or as near as a GPU's sums come."""
    return expected if xp.__name__ == "strict" else pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("distance", ["euclidean", "cosine", "released"])
@pytest.mark.parametrize("ties", ["index", "expected"])
@pytest.mark.parametrize("multi_hot", [False, True])
@EXCLUDE
def test_a_whole_direction(distance, ties, multi_hot, exclude, xp):
    data, settings = drawn(multi_hot), {"distance": distance, "ties": ties, "cutoffs": 2}
    expected = evaluate_direction(*data, exclude=exclude, **settings)
    found = evaluate_direction(*moved(data, xp.asarray), exclude=moved(exclude, xp.asarray), **settings)
    classes, of_class = expected.pop("per_class"), found.pop("per_class")
    assert found == approximately(xp, expected)
    assert of_class == {name: approximately(xp, figures) for name, figures in classes.items()} and len(classes) == 4


@pytest.mark.parametrize("items", [70, 2 * 4096])  # the second by way of the sieve
@pytest.mark.parametrize("distance", ["euclidean", "cosine", "released"])
@EXCLUDE
def test_the_nearest(items, distance, exclude, xp):
    q, g = np.random.default_rng(0).normal(size=(30, 5)), np.random.default_rng(1).normal(size=(items, 5))
    found = nearest(*moved((q, g), xp.asarray), 4, exclude=moved(exclude, xp.asarray), distance=distance)
    assert_same(xp, found, nearest(q, g, 4, exclude=exclude, distance=distance))


@pytest.mark.parametrize("dtype", [int, float])
@EXCLUDE
def test_metrics_of_rankings(dtype, exclude, xp):
    q, a, g, b = drawn()
    d, relevant = squared_distances(q, g).astype(dtype), relevance(a, b)
    for metric, *settings in ((average_precision,), (precision_at_k, 5), (mean_precision_at_tens, 2)):
        found = metric(*moved((d, relevant), xp.asarray), *settings, exclude=moved(exclude, xp.asarray))
        assert_same(xp, found, metric(d, relevant, *settings, exclude=exclude))


def test_distances_relevance_chance_and_collapse(xp):
    q, a, g, b = drawn()
    hot, total = np.eye(4, dtype=int), np.array([0, 1, 5])
    assert_same(xp, squared_distances(xp.asarray(q), xp.asarray(g)), squared_distances(q, g))
    for pair in ((a, b), (hot[a], b), (a, hot[b]), (hot[a], hot[b])):
        assert_same(xp, relevance(*moved(pair, xp.asarray)), relevance(*pair))
    for items in (9, np.array([9, 8, 9])):
        assert_same(xp, chance(xp.asarray(total), moved(items, xp.asarray)), chance(total, items))
    assert collapse(xp.asarray(q), xp.asarray(g)) == approximately(xp, collapse(q, g))
    still = np.ones((3, 2))
    assert collapse(xp.asarray(still), xp.asarray(still)) == collapse(still, still)
