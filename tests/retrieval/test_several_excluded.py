"""Queries that exclude any number of items: every metric and every search against loops over what is left."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metrics import naive_ap, naive_precision, naive_tens, over_tie_orders

from cmir_ref.errors import InputError
from cmir_ref.retrieval import (
    average_precision,
    evaluate_direction,
    first_rank,
    levels,
    mean_precision_at_tens,
    measure_direction,
    nearest,
    nearest_by,
    neighbours,
    precision_at_k,
    prepare,
    recall_at_k,
    relevance,
)
from cmir_ref.retrieval.neighbours import keep_gallery

QUERIES = 3


def rows_of(element, width):
    return st.lists(st.lists(element, min_size=width, max_size=width), min_size=QUERIES, max_size=QUERIES)


@st.composite
def cases(draw, most=6):
    """(distances (Q, G) with ties, relevant (Q, G), exclude (Q, E)): items are named twice, or all, or none."""
    items, several = draw(st.integers(1, most)), draw(st.integers(0, 2 * most))
    distances = draw(rows_of(st.integers(-1, 2), items))
    relevant = draw(rows_of(st.booleans(), items))
    exclude = draw(rows_of(st.integers(-1, items - 1), several))
    return np.array(distances), np.array(relevant), np.array(exclude, int).reshape(QUERIES, several)


def left(exclude, query, items):
    """The items that a query may find."""
    return [j for j in range(items) if j not in exclude[query]]


@given(cases(), st.integers(1, 8), st.sampled_from([int, float, np.int8, np.float32]))
@settings(max_examples=150, deadline=None)
def test_metrics_are_those_of_what_is_left_under_all_orders_of_ties(case, k, dtype):
    distances, relevant, exclude = case
    given_distances = distances.astype(dtype)
    found = {
        naive_ap: average_precision(given_distances, relevant, exclude),
        lambda hits: naive_precision(hits, k): precision_at_k(given_distances, relevant, k, exclude),
        lambda hits: naive_tens(hits, 1): mean_precision_at_tens(given_distances, relevant, 1, "expected", exclude),
        lambda hits: any(hits[:k]): recall_at_k(given_distances, relevant, k, exclude),
        lambda hits: hits.index(True) + 1: first_rank(given_distances, relevant, exclude),
    }
    by_index = mean_precision_at_tens(given_distances, relevant, 2, "index", exclude)
    for q in range(QUERIES):
        there = left(exclude, q, distances.shape[1])
        d, hits = distances[q, there].tolist(), relevant[q, there].tolist()
        if not any(hits):
            assert all(np.isnan(values[q]) for values in (*found.values(), by_index))
            continue
        for metric, values in found.items():
            assert values[q] == pytest.approx(over_tie_orders(d, hits, metric), abs=1e-12)
        ranked = [hits[j] for j in sorted(range(len(d)), key=d.__getitem__)]
        assert by_index[q] == pytest.approx(naive_tens(ranked, 2), abs=1e-12)


@given(cases(), st.integers(1, 9), st.sampled_from([1e-6, 512]))
@settings(max_examples=100, deadline=None)
def test_the_nearest_by_any_distance_are_a_stable_sort_of_what_is_left(case, k, memory_mb):
    distances, _, exclude = case
    items = distances.shape[1]
    there = [left(exclude, q, items) for q in range(QUERIES)]
    k_left = min(k, *map(len, there))
    how = {"xp": np, "exclude": exclude, "memory_mb": memory_mb}
    if not k_left:
        what = "its only item is excluded" if items == 1 else f"a query excludes all its {items} items"
        with pytest.raises(InputError, match=f"^gallery: {what}, nothing is left to find$"):
            nearest_by(lambda rows: distances[rows], QUERIES, items, k, **how)
        return
    index, value = nearest_by(lambda rows: distances[rows], QUERIES, items, k, **how)
    for q in range(QUERIES):
        order = sorted(there[q], key=lambda j, q=q: (distances[q, j], j))[:k_left]
        assert index[q].tolist() == order and value[q].tolist() == distances[q, order].tolist()


def points(items, seed):
    """Few points of a small grid: most tie."""
    return np.random.default_rng(seed).integers(0, 3, (items, 3)).astype("float32")


def exclusions_of(queries, items, seed, most=9):
    """(Q, E) with a query that excludes nothing, one that excludes `most`, and items named twice."""
    rng = np.random.default_rng(seed)
    exclude = np.full((queries, most + 2), -1)
    for q in range(queries):
        some = rng.permutation(items)[: q % (most + 1)]
        exclude[q, rng.permutation(most + 2)[: len(some)]] = some
    exclude[-1, -2:] = exclude[-1, 0]
    return exclude


WAYS = {"plain": {}, "little memory": {"memory_mb": 0.01}, "kept": {}, "faiss": {"index": "Flat"}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("items", [12, 61, 5001])  # the last by way of the sieve
@pytest.mark.parametrize("k", [1, 7, 33, 10**6])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_nearest_are_a_stable_sort_of_what_is_left(way, items, k, seed):
    if way == "faiss" and find_spec("faiss") is None:
        pytest.skip("faiss is not installed")
    q, g, exclude = points(40, seed), points(items, seed + 1), exclusions_of(40, items, seed)
    level = levels(prepare(q, g)).astype(float)
    index, _ = nearest(q, keep_gallery(g) if way == "kept" else g, k, exclude=exclude, **WAYS[way])
    most = max(len({*row} - {-1}) for row in exclude.tolist())
    assert index.shape == (40, min(k, items - most))
    for row in range(40):
        there = np.array(left(exclude, row, items))
        order = there[np.argsort(level[row, there], kind="stable")]
        np.testing.assert_array_equal(index[row], order[: index.shape[1]])


@pytest.mark.parametrize("distance", ["cosine", "released"])
def test_the_sieve_is_right_about_several_by_any_distance(distance, monkeypatch):
    g = np.random.default_rng(3).normal(size=(5001, 4))
    q = g[:30]
    near = nearest(q, g, 6, distance=distance)[0]  # what is excluded stands in front
    found = nearest(q, g, 5, exclude=near, distance=distance)
    monkeypatch.setattr(neighbours, "TILE", 10**9)
    for one, other in zip(found, nearest(q, g, 5, exclude=near, distance=distance), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found[0], nearest(q, g, 11, distance=distance)[0][:, 6:])


def test_more_may_be_excluded_than_the_sieve_has_groups():
    g = np.random.default_rng(4).normal(size=(5000, 3))
    exclude = nearest(g[:2], g, 400)[0]
    np.testing.assert_array_equal(nearest(g[:2], g, 3, exclude=exclude)[0], nearest(g[:2], g, 403)[0][:, 400:])


@pytest.mark.parametrize("memory_mb", [1e-6, 0.02, 512])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_direction_is_measured_without_them_and_queries_left_with_nothing_are_counted(seed, memory_mb):
    rng = np.random.default_rng(seed)
    v, y, w, z = points(30, seed), rng.integers(0, 4, 30), points(50, seed + 1), rng.integers(0, 4, 50)
    exclude = np.full((30, 50), -1)
    for row in range(30):
        of_class = np.flatnonzero(z == y[row])
        gone = of_class if row < 4 else rng.permutation(50)[: row % 7]  # all that is relevant to four queries
        exclude[row, : len(gone)] = gone
    exclude[4] = np.arange(50)  # the whole gallery
    found = evaluate_direction(v, y, w, z, exclude=exclude, memory_mb=memory_mb)
    level, relevant = levels(prepare(v, w)), relevance(y, z)
    same = measure_direction(
        lambda rows: level[rows],
        lambda rows: relevant[rows],
        *(30, 50),
        xp=np,
        exclude=exclude,
        query_labels=y,
        recall_at=(1, 5),
        memory_mb=memory_mb,
    )
    alone = []
    for row in range(30):
        there = left(exclude, row, 50)
        if relevant[row, there].any():
            one = measure_direction(
                lambda _, row=row, there=there: level[row : row + 1, there],
                lambda _, row=row, there=there: relevant[row : row + 1, there],
                *(1, len(there)),
                xp=np,
                recall_at=(1, 5),
            )
            alone.append(one)
    assert found["queries"] == len(alone) <= 25 and found["without_relevant"] == 30 - len(alone)
    for name in set(found) - {"queries", "without_relevant", "per_class"}:
        mean = np.mean([one[name] for one in alone])
        assert found[name] == pytest.approx(mean, rel=1e-12) and same[name] == pytest.approx(mean, rel=1e-12)
    assert same["r@5"] == pytest.approx(np.mean([one["r@5"] for one in alone]), rel=1e-12)
    assert same["median_rank"] == np.median([one["median_rank"] for one in alone])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_an_excluded_item_at_the_top_of_its_type_leaves_room(dtype):
    most = np.iinfo(dtype).max if dtype != "int64" else 2**61 - 1
    distances, hits = np.array([[most, 3, most, 4]], dtype), np.array([[True, False, True, True]])
    for exclude in (np.array([0]), np.array([[0, 2]])):
        there = left(exclude.reshape(1, -1), 0, 4)
        for ties in ("index", "expected"):
            got = mean_precision_at_tens(distances, hits, 1, ties, exclude)
            assert got == hits[0, there].mean()
    assert average_precision(distances, hits, np.array([[0, 2]])) == [1 / 2]


def test_one_a_query_is_a_row_of_one():
    g, own = points(61, 2), np.arange(61) - 1
    for one, other in zip(nearest(g, g, 9, exclude=own), nearest(g, g, 9, exclude=own[:, None]), strict=True):
        np.testing.assert_array_equal(one, other)
    padded = np.stack([np.full(61, -1), own, own], axis=1)
    np.testing.assert_array_equal(nearest(g, g, 60, exclude=padded)[0], nearest(g, g, 60, exclude=own)[0])


@pytest.mark.parametrize("exclude", [np.full((2, 0), 0), np.full((2, 3), -1), np.full(2, -1), None])
def test_nothing_excluded_is_no_exclusion(exclude):
    g = points(20, 0)
    np.testing.assert_array_equal(nearest(g[:2], g, 99, exclude=exclude)[0], nearest(g[:2], g, 20)[0])


@pytest.mark.parametrize(
    "exclude, word",
    [
        (np.array([[0, 4], [1, 1]]), "gallery of 4"),
        (np.array([[0, -2], [1, 1]]), "exclude: expected indices"),
        (np.zeros((3, 2), int), r"expected 2 integers, one a query or a row a query, got int64 \(3, 2\)"),
        (np.zeros((2, 2, 1), int), "a row a query"),
        (np.zeros((2, 2)), "integers"),
        (np.array(1), "integers"),
    ],
)
def test_other_exclusions_are_refused(exclude, word):
    with pytest.raises(InputError, match=word) as error:
        nearest(np.ones((2, 3)), np.ones((4, 3)), 1, exclude=exclude)
    assert "\n" not in str(error.value)


def test_no_query_excludes_nothing():
    for exclude in (np.zeros(0, int), np.zeros((0, 2), int)):
        found, _ = nearest_by(lambda block: np.zeros((0, 5), int), 0, 5, 2, xp=np, exclude=exclude)
        assert found.shape == (0, 2)


def test_rows_that_exclude_nothing_may_be_empty():
    query, gallery = np.random.default_rng(0).standard_normal((2, 3, 4))
    for exclude in ([[], [], []], np.empty((3, 0), int)):
        for one, other in zip(nearest(query, gallery, 2, exclude=exclude), nearest(query, gallery, 2), strict=True):
            np.testing.assert_array_equal(one, other)
