"""Ranking metrics against hand-computed rankings, all orders of tied items, and the facts of the paper's Table 4."""

import json
import os
import tracemalloc
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmir_ref.errors import InputError
from cmir_ref.retrieval import (
    average_precision,
    chance,
    evaluate_direction,
    mean_precision_at_tens,
    measure_direction,
    most_precision,
    precision_at_k,
    relevance,
)


# --- oracles: loops over one ranking -------------------------------------------------------------------------------
def naive_ap(hits):
    found, total = 0, 0.0
    for rank, hit in enumerate(hits, 1):
        if hit:
            found += 1
            total += found / rank
    return total / found


def naive_precision(hits, k):
    k = min(k, len(hits))
    return sum(hits[:k]) / k


def naive_tens(hits, cutoffs):
    return np.mean([naive_precision(hits, 10 * c) for c in range(1, cutoffs + 1)])


def over_tie_orders(distances, relevant, metric):
    """Mean of `metric` over all permutations of the gallery, each sorted stably: over all tie orders, equally often."""
    values = []
    for order in permutations(range(len(distances))):
        ranking = sorted(order, key=lambda j: distances[j])
        values.append(metric([relevant[j] for j in ranking]))
    return np.mean(values)


def one(distances, hits):
    return np.array([distances], float), np.array([hits], bool)


# --- average precision and precision at k --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "distances, hits, ap, p2",
    [
        ([1, 2, 3, 4], [1, 1, 0, 0], 1, 1),
        ([1, 2, 3, 4], [0, 0, 1, 1], (1 / 3 + 2 / 4) / 2, 0),
        ([4, 3, 2, 1], [1, 0, 1, 0], (1 / 2 + 2 / 4) / 2, 1 / 2),  # ranking: 0 1 0 1
        ([1, 2, 3, 4, 5], [1, 0, 1, 0, 1], (1 + 2 / 3 + 3 / 5) / 3, 1 / 2),
        ([7, 7], [1, 0], (1 + 1 / 2) / 2, 1 / 2),
        ([1, 2, 2, 3], [0, 1, 0, 1], (1 / 2 * (1 / 2 + 2 / 4) + 1 / 2 * (1 / 3 + 2 / 4)) / 2, 1 / 4),
        ([5, 5, 5], [1, 1, 0], (1 + (1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 3, 2 / 3),
        ([0, 0, 0], [1, 1, 1], 1, 1),
        ([2, 1], [0, 1], 1, 1 / 2),
    ],
)
def test_rankings_worked_by_hand(distances, hits, ap, p2):
    assert average_precision(*one(distances, hits))[0] == pytest.approx(ap, abs=1e-15)
    assert precision_at_k(*one(distances, hits), 2)[0] == pytest.approx(p2, abs=1e-15)
    integers = np.array([distances]), np.array([hits], bool)
    assert average_precision(*integers)[0] == pytest.approx(ap, abs=1e-15)


ranking = st.lists(st.tuples(st.integers(-2, 3), st.booleans()), min_size=1, max_size=6).filter(
    lambda items: any(hit for _, hit in items)
)


@given(ranking)
@settings(max_examples=60, deadline=None)
def test_ties_take_their_expected_value_over_all_orders(items):
    distances, hits = [d for d, _ in items], [h for _, h in items]
    expected = over_tie_orders(distances, hits, naive_ap)
    for dtype in (float, np.int64, np.int8, np.float32):
        given_distances = np.array([distances], dtype)
        assert average_precision(given_distances, np.array([hits]))[0] == pytest.approx(expected, abs=1e-12)
        for k in (1, 2, 4, 9):
            at_k = over_tie_orders(distances, hits, lambda ranked, k=k: naive_precision(ranked, k))
            assert precision_at_k(given_distances, np.array([hits]), k)[0] == pytest.approx(at_k, abs=1e-12)


def random_case(seed, queries=6, items=40, values=9):
    rng = np.random.default_rng(seed)
    return rng.integers(0, values, size=(queries, items)), rng.random((queries, items)) < 0.3


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_gallery_does_not_matter(seed):
    distances, hits = random_case(seed)
    order = np.random.default_rng(seed + 1).permutation(distances.shape[1])
    for d in (distances, distances / 7):
        np.testing.assert_array_equal(
            average_precision(d, hits), average_precision(d[:, order], hits[:, order]), strict=True
        )
        np.testing.assert_array_equal(precision_at_k(d, hits, 10), precision_at_k(d[:, order], hits[:, order], 10))


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_only_the_order_of_distances_matters(seed):
    distances, hits = random_case(seed)
    expected = average_precision(distances, hits)
    large = distances * 10**12
    others = [np.exp(distances / 3.0), np.log1p(distances) - 5, large - 7, large - 10**13, distances.astype("uint8")]
    for other in others:
        np.testing.assert_array_equal(average_precision(other, hits), expected)
        for ties in ("index", "expected"):
            np.testing.assert_array_equal(
                mean_precision_at_tens(other, hits, 3, ties), mean_precision_at_tens(distances, hits, 3, ties)
            )


def test_untied_rankings_agree_with_a_loop_and_perfect_ones_score_exactly_one():
    rng = np.random.default_rng(0)
    distances, hits = rng.random((50, 300)), rng.random((50, 300)) < 0.1
    ranked = np.take_along_axis(hits, np.argsort(distances, axis=1), axis=1)
    np.testing.assert_allclose(average_precision(distances, hits), [naive_ap(r) for r in ranked], rtol=1e-13)
    assert (average_precision(np.arange(300) + 0 * distances, np.arange(300) < np.arange(1, 51)[:, None]) == 1).all()


def test_an_excluded_item_comes_behind_the_largest_distance():
    distances, hits = np.array([[2**30 - 1, 5, 2**30 - 1]]), np.array([[True, False, True]])
    assert average_precision(distances, hits, exclude=np.array([2])) == [1 / 2]


def test_five_cutoffs_and_the_order_of_the_gallery_by_default():
    distances, hits = random_case(3, items=90)
    np.testing.assert_array_equal(
        mean_precision_at_tens(distances, hits), mean_precision_at_tens(distances, hits, 5, "index")
    )


def test_a_query_without_relevant_items_is_nan_everywhere():
    distances, hits = random_case(1)
    hits[2] = False
    for value in (
        average_precision(distances, hits),
        precision_at_k(distances, hits, 5),
        mean_precision_at_tens(distances, hits, 2, "index"),
        mean_precision_at_tens(distances, hits, 2, "expected"),
        *chance(hits.sum(1), hits.shape[1]),
    ):
        assert np.isnan(value[2]) and np.isfinite(np.delete(value, 2)).all()


@pytest.mark.parametrize("as_type", [int, float])
def test_an_excluded_item_might_as_well_not_be_there(as_type):
    distances, hits = random_case(2)
    distances = distances.astype(as_type)
    own = np.array([0, 5, -1, 39, 7, -1])
    for i, j in enumerate(own):
        keep = np.arange(40) != j
        d, h = distances[i : i + 1, keep], hits[i : i + 1, keep]
        assert average_precision(distances, hits, own)[i] == average_precision(d, h)[0]
        for k in (5, 39, 40, 99):
            assert precision_at_k(distances, hits, k, own)[i] == precision_at_k(d, h, k)[0]
        for ties in ("index", "expected"):
            got = mean_precision_at_tens(distances, hits, 6, ties, own)[i]
            assert got == mean_precision_at_tens(d, h, 6, ties)[0]


def test_the_first_item_excluded_counts_for_nothing_in_either_order_of_ties():
    distances, hits = one([1, 2, 3], [1, 0, 1])
    for ties in ("index", "expected"):
        assert mean_precision_at_tens(distances, hits, 1, ties, np.array([0]))[0] == 1 / 2


def test_a_gallery_of_one_relevant_item_is_all_precise():
    distances, hits = one([1], [1])
    for ties in ("index", "expected"):
        assert mean_precision_at_tens(distances, hits, 3, ties)[0] == 1


def test_a_query_that_is_its_own_only_relevant_item_is_nan():
    distances, hits = one([3, 1, 2], [0, 1, 0])
    for d in (distances, distances.astype(int)):
        for ties in ("index", "expected"):
            assert np.isnan(mean_precision_at_tens(d, hits, 2, ties, np.array([1]))[0])
        assert np.isnan(average_precision(d, hits, np.array([1]))[0])
    alone = evaluate_direction(np.ones((1, 2)), np.array([0]), np.ones((1, 2)), np.array([0]), exclude=np.array([0]))
    assert alone["map"] is None and alone["without_relevant"] == 1


def test_metrics_leave_their_arguments_alone():
    distances, hits = random_case(3)
    own = np.arange(6)
    for d in (distances, distances.astype(float)):
        before = d.copy(), hits.copy(), own.copy()
        average_precision(d, hits, own), precision_at_k(d, hits, 3, own), mean_precision_at_tens(d, hits, exclude=own)
        for now, then in zip((d, hits, own), before, strict=True):
            np.testing.assert_array_equal(now, then)


# --- the released "MAP" --------------------------------------------------------------------------------------------
def test_mean_precision_at_tens_is_what_the_matlab_does_with_a_stable_sort():
    distances, hits = random_case(4, items=120)
    ranked = np.take_along_axis(hits, np.argsort(distances, axis=1, kind="stable"), axis=1)
    for cutoffs in (1, 5, 10):
        expected = [naive_tens(list(r), cutoffs) for r in ranked]
        np.testing.assert_allclose(mean_precision_at_tens(distances, hits, cutoffs), expected, rtol=1e-14)
        np.testing.assert_allclose(mean_precision_at_tens(distances / 3, hits, cutoffs, "index"), expected, rtol=1e-14)


def test_mean_precision_at_tens_takes_expected_ties_where_asked():
    distances, hits = random_case(5, items=60)
    expected = np.mean([precision_at_k(distances, hits, k) for k in (10, 20, 30)], axis=0)
    np.testing.assert_allclose(mean_precision_at_tens(distances, hits, 3, "expected"), expected)
    assert (mean_precision_at_tens(distances, hits, 3, "index") != expected).any()


def test_cutoffs_beyond_the_gallery_are_the_precision_of_the_whole_gallery():
    distances, hits = one(range(14), [1, 0] * 7)
    for ties in ("index", "expected"):
        assert mean_precision_at_tens(distances, hits, 4, ties)[0] == pytest.approx((5 / 10 + 3 * 7 / 14) / 4)
    hits[0, 10:] = False
    assert mean_precision_at_tens(distances, hits, 2)[0] == pytest.approx((5 / 10 + 5 / 14) / 2)


# --- chance --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("r, n", [(1, 1), (1, 5), (2, 5), (5, 5), (3, 6), (1, 6)])
def test_chance_is_the_mean_over_all_orders(r, n):
    ap, precision = chance(np.array([r]), n)
    orders = list(permutations([True] * r + [False] * (n - r)))
    assert ap[0] == pytest.approx(np.mean([naive_ap(o) for o in orders]), abs=1e-13)
    assert precision[0] == r / n


def test_chance_is_the_printed_formula():
    n, r = 2100, np.array([100, 1, 1300])
    rho, harmonic = (r - 1) / (n - 1), sum(1 / i for i in range(1, n + 1))
    np.testing.assert_allclose(chance(r, n)[0], rho + (1 - rho) * harmonic / n, rtol=1e-13)


# --- relevance -----------------------------------------------------------------------------------------------------
def test_relevance_is_the_same_class_or_a_shared_label_in_any_mix():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 12), rng.integers(0, 5, 9)
    one_hot = np.eye(5, dtype="uint8")
    many_a, many_b = rng.random((12, 5)) < 0.3, (rng.random((9, 5)) < 0.3).astype(float)
    np.testing.assert_array_equal(relevance(a, b), [[i == j for j in b] for i in a])
    for query, query_sets in ((a, [{i} for i in a]), (many_a, [set(np.flatnonzero(v)) for v in many_a])):
        for gallery, sets in ((b, [{j} for j in b]), (many_b, [set(np.flatnonzero(v)) for v in many_b])):
            got = relevance(query, gallery)
            np.testing.assert_array_equal(got, [[bool(s & t) for t in sets] for s in query_sets])
            assert got.dtype == bool
    np.testing.assert_array_equal(relevance(one_hot[a], one_hot[b]), relevance(a, b))


@pytest.mark.parametrize(
    "query, gallery, word",
    [
        (np.array([0.5, 1]), np.array([1, 2]), "integer"),
        (np.array([[0, 2]]), np.array([[0, 1]]), "0 and 1"),
        (np.array([[0, 1]]), np.array([[0, 1, 1]]), "columns"),
        (np.array([2]), np.array([[0, 1]]), "2"),
        (np.array([-1]), np.array([[0, 1]]), "-1"),
        (np.zeros((1, 1, 1), int), np.array([1]), "shape"),
    ],
)
def test_labels_that_do_not_compare_are_refused(query, gallery, word):
    for pair in ((query, gallery), (gallery, query)):
        with pytest.raises(InputError, match=word):
            relevance(*pair)


def test_the_refusal_says_which_labels():
    good, bad = np.array([0, 1]), np.array([0.5, 1])
    for pair, name in (((bad, good), "query"), ((good, bad), "gallery")):
        with pytest.raises(InputError, match=f"^{name} labels: expected integer classes, got float64$"):
            relevance(*pair)


# --- evaluate_direction --------------------------------------------------------------------------------------------
def embedded(seed=0, queries=60, items=150, classes=4, multi=False):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 8))
    if multi:
        a, b = ((rng.random((n, classes)) < 0.4).astype("uint8") for n in (queries, items))
        means = a @ centres, b @ centres
    else:
        a, b = rng.integers(0, classes, queries), rng.integers(0, classes, items)
        means = centres[a], centres[b]
    v_a, v_b = ((m + rng.normal(size=m.shape)).astype("float32") for m in means)
    return v_a, a, v_b, b


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_evaluate_direction_is_the_mean_of_loops_over_queries(multi, own):
    v_a, a, v_b, b = embedded(multi=multi)
    exclude = None
    if own:
        v_b, b, exclude = np.concatenate([v_b, v_a]), np.concatenate([b, a]), np.arange(len(b), len(b) + len(a))
    labels_a, labels_b = (labels if multi else np.eye(4, dtype=int)[labels] for labels in (a, b))
    rows = []
    for i in range(len(v_a)):
        keep = [j for j in range(len(v_b)) if exclude is None or j != exclude[i]]
        order = sorted(keep, key=lambda j: ((v_a[i].astype(float) - v_b[j]) ** 2).sum())
        hits = [bool(labels_a[i] @ labels_b[j]) for j in order]
        r, n = sum(hits), len(hits)
        if r:
            rho = (r - 1) / (n - 1)
            by_chance = rho + (1 - rho) * sum(1 / m for m in range(1, n + 1)) / n
            at = [naive_precision(hits, k) for k in (10, 50)]
            rows.append(
                [i, naive_ap(hits), *at, naive_tens(hits, 5), naive_tens(sorted(hits)[::-1], 5), by_chance, r / n]
            )
    rows = np.array(rows)
    got = evaluate_direction(v_a, a, v_b, b, exclude=exclude, label_names=["w", "x", "y", "z"])
    names = ["map", "p@10", "p@50", "mean_precision_at_tens", "mean_precision_at_tens_most", "chance"]
    names.append("chance_precision")
    np.testing.assert_allclose([got[name] for name in names], rows[:, 1:].mean(0), rtol=1e-12)
    assert (got["queries"], got["without_relevant"]) == (len(rows), len(v_a) - len(rows))
    for c, name in enumerate("wxyz"):
        chosen = rows[labels_a[rows[:, 0].astype(int), c] > 0]
        per_class = got["per_class"][name]
        np.testing.assert_allclose([per_class[m] for m in names[:3]], chosen[:, 1:4].mean(0), rtol=1e-12)
        assert per_class["queries"] == len(chosen) and set(per_class) == {*names[:3], "queries"}
    assert json.loads(json.dumps(got)) == got


@pytest.mark.parametrize("distance", ["euclidean", "released"])
def test_memory_mb_does_not_change_a_bit(distance):
    data = embedded(1, multi=True)
    own = np.arange(len(data[0]))
    expected = evaluate_direction(*data, exclude=own, distance=distance)
    for memory in (1e-6, 0.03, 0.2):
        assert evaluate_direction(*data, exclude=own, distance=distance, memory_mb=memory) == expected


def test_memory_stays_below_the_bound():
    v_a, a, v_b, b = embedded(2, queries=400, items=20_000)
    peaks = []
    for memory in (4, 40):
        tracemalloc.start()
        evaluate_direction(v_a, a, v_b, b, memory_mb=memory)
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert peaks[0] < 4 + 16 and peaks[1] < 40 + 16  # the embeddings' copies and a tile's temporaries come on top


def test_the_distance_matters():
    data = embedded(3)
    assert evaluate_direction(*data)["map"] != evaluate_direction(*data, distance="released")["map"]


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_gallery_and_the_scale_of_the_space_do_not_matter(seed):
    v_a, a, v_b, b = embedded(seed, 10, 40)
    v_b[20:] = v_b[:20]  # ties
    expected = evaluate_direction(v_a, a, v_b, b, ties="expected")
    order = np.random.default_rng(seed).permutation(40)
    assert evaluate_direction(v_a, a, v_b[order], b[order], ties="expected") == expected
    assert evaluate_direction(v_a * 4, a, v_b * 4, b, ties="expected") == expected
    assert evaluate_direction(v_a * 3, a, v_b * 3, b, ties="expected")["map"] == pytest.approx(expected["map"], 1e-3)


def test_ten_cutoffs_beside_five():
    random = np.random.default_rng(0)
    d, hits = random.integers(0, 40, (7, 130)), random.random((7, 130)) < 0.3
    ranked = [list(row[np.argsort(level, kind="stable")]) for level, row in zip(d, hits, strict=True)]
    got = measure_direction(lambda rows: d[rows], lambda rows: hits[rows], *d.shape, xp=np, ten_tens=True)
    for name, count in (("mean_precision_at_tens", 5), ("mean_precision_at_ten_tens", 10)):
        assert got[name] == pytest.approx(np.mean([naive_tens(row, count) for row in ranked]))
        assert got[f"{name}_most"] == pytest.approx(np.mean([naive_tens(sorted(r)[::-1], count) for r in ranked]))


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_embeddings_score_exactly_chance_and_the_released_map_the_order_of_the_gallery(value):
    _, a, _, b = embedded(4)
    b = np.sort(b)
    v_a, v_b = np.full((60, 5), value, "float32"), np.full((150, 5), value, "float32")
    got = evaluate_direction(v_a, a, v_b, b)
    assert got["map"] == got["chance"]
    assert got["p@10"] == pytest.approx(got["chance_precision"], abs=1e-14)
    assert got["p@50"] == pytest.approx(got["chance_precision"], abs=1e-14)
    first = np.mean([naive_tens(list(b == c), 5) for c in a])
    assert got["mean_precision_at_tens"] == pytest.approx(first, abs=1e-14)
    backwards = evaluate_direction(v_a, a, v_b, b[::-1])
    assert backwards["map"] == got["map"]
    assert backwards["mean_precision_at_tens"] != got["mean_precision_at_tens"]
    expected = evaluate_direction(v_a, a, v_b, b, ties="expected")["mean_precision_at_tens"]
    assert expected == pytest.approx(got["chance_precision"], abs=1e-14)


@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("kind", ["euclidean", "cosine", "released"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gallery_of_one_point_up_to_its_last_bit_scores_exactly_chance(dtype, kind, apart):
    """Though each class has last bits of its own, for queries at that point and at another."""
    _, a, _, b = embedded(4)
    rng = np.random.default_rng(7)
    points = rng.uniform(0.5, 1, (2, 8)).astype(dtype)
    bit, turn = np.finfo(dtype).eps / 2, rng.integers(-1, 2, (1 + max(*a, *b), 8))
    v_a, v_b = (p + (bit * turn[labels]).astype(dtype) for p, labels in ((points[apart], a), (points[0], b)))
    assert len(np.unique(v_b, axis=0)) > 1
    got = evaluate_direction(v_a, a, v_b, b, distance=kind)
    assert got["map"] == got["chance"]


def test_queries_without_relevant_items_are_counted_and_kept_out():
    v_a, a, v_b, b = embedded(5)
    expected = evaluate_direction(v_a, a, v_b, b)
    more = evaluate_direction(np.concatenate([v_a, v_a[:3]]), np.append(a, [9, 9, 9]), v_b, b)
    assert more.pop("without_relevant") == 3 and expected.pop("without_relevant") == 0
    assert more == expected  # and class 9 has no entry
    none = evaluate_direction(v_a[:2], np.array([8, 9]), v_b, b)
    assert none["map"] is None and none["queries"] == 0 and none["without_relevant"] == 2 and none["per_class"] == {}
    json.dumps(none, allow_nan=False)


def test_other_ks_and_names():
    data = embedded(6)
    got = evaluate_direction(*data, ks=(1, 7))
    assert {"p@1", "p@7"} <= set(got) and "p@10" not in got
    assert set(got["per_class"]) == {"0", "1", "2", "3"}


def test_bad_input_is_refused_in_one_line():
    v_a, a, v_b, b = embedded(7)
    broken = v_a.copy()
    broken[3, 2] = np.nan
    for args, kwargs, word in [
        ((broken, a, v_b, b), {}, "1 of 60 embeddings are not finite"),
        ((v_a, a[:-1], v_b, b), {}, "labels"),
        ((v_a, a, v_b, b[:-1]), {}, "labels"),
        ((v_a, a, v_b, b), {"label_names": ["x"]}, "label_names"),
        ((v_a, a, v_b, b), {"label_names": ["x", "y", "z"]}, "3 names for classes 0 … 3"),
        ((v_a, a, v_b, b), {"distance": "manhattan"}, "manhattan"),
        ((v_a, a, v_b, b), {"ks": (0,)}, "k: "),
        ((v_a, a, v_b, b), {"cutoffs": 0}, "cutoffs"),
        ((v_a, a, v_b, b), {"ties": "random"}, "random"),
        ((v_a, a, v_b, b), {"exclude": np.arange(5)}, "exclude"),
    ]:
        with pytest.raises(InputError, match=word) as error:
            evaluate_direction(*args, **kwargs)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"^distances: not all of them are finite$"):
        average_precision(np.array([[np.inf, 1]]), np.array([[True, False]]))
    with pytest.raises(InputError, match="expected both"):
        average_precision(np.ones((2, 3)), np.ones((2, 4), bool))
    for odd in (np.ones((2, 3), bool), np.ones((2, 3), complex), np.full((2, 3), "1"), np.ones((2, 3), object)):
        with pytest.raises(InputError, match=f"^distances: expected floats or integers, got {odd.dtype}$"):
            average_precision(odd, np.ones((2, 3), bool), np.array([0, 1]))


# --- the real labels -----------------------------------------------------------------------------------------------
def test_the_zeros_of_table_4_on_the_real_label_matrix():
    """Prevalence is 19.6 % both ways; a collapsed space scores 0 by the MATLAB, chance by our metrics."""
    if "CMIR_DATA" not in os.environ:
        pytest.skip("CMIR_DATA is not set: the real LandUse_multilabels.mat is not at hand")
    from scipy.io import loadmat

    images = loadmat(Path(os.environ["CMIR_DATA"]) / "cmirnet_official" / "LandUse_multilabels.mat")["labels"].T
    assert images.shape == (2100, 17)
    assert images.sum(1).mean() == pytest.approx(3.335, abs=5e-4)
    recordings = np.repeat(np.arange(17), 15)
    v_images, v_recordings = np.full((2100, 4), 0.3), np.full((255, 4), 0.3)
    to_images = evaluate_direction(v_recordings, recordings, v_images, images, cutoffs=10)
    to_audio = evaluate_direction(v_images, images, v_recordings, recordings, cutoffs=10)
    for got in (to_images, to_audio):
        assert got["chance_precision"] == pytest.approx(0.1962, abs=5e-5)
        assert got["map"] == got["chance"] and 0.196 < got["chance"] < 0.22
    # the released script's five queries are recordings of class 0, which none of the first 100 images shows
    shown = evaluate_direction(v_recordings[:5], recordings[:5], v_images, images, cutoffs=10)
    assert shown["mean_precision_at_tens"] == 0 and shown["map"] > 0.04


@pytest.mark.parametrize("items", [7, 30, 80])
def test_the_most_that_precision_can_be(items):
    """… is what a perfect order has; no cutoff is beyond the gallery."""
    relevant = np.array([0, 1, 5, items])
    most = most_precision(relevant, items, (10, 20, 50))
    perfect = [[i < r for i in range(items)] for r in relevant]
    wanted = [np.mean([naive_precision(hits, k) for k in (10, 20, 50)]) for hits in perfect[1:]]
    assert np.isnan(most[0])
    np.testing.assert_allclose(most[1:], wanted, rtol=1e-14)


def test_names_that_two_classes_share_are_refused():
    v, labels = np.random.default_rng(0).standard_normal((6, 2)), np.arange(6) % 3
    with pytest.raises(InputError, match="two classes are named 'river'"):
        evaluate_direction(v, labels, v, labels, label_names=["river", "forest", "river"])


def test_a_list_is_no_array_of_labels():
    with pytest.raises(TypeError, match="expected an array, got list"):
        relevance([0, 1], np.array([0, 1]))
