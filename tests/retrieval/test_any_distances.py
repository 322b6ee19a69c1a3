"""Metrics and nearest items from distances that are given block by block, and what is relevant in a run."""

from math import comb

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.records import Dataset, Items, Modality, Run, Splits
from cmir_ref.retrieval import evaluate_direction, first_rank, measure_direction, nearest_by, recall_at_k, relevance
from cmir_ref.retrieval.relevant_items import labels_of, paired, shared_label


def table(seed=0, queries=30, items=40):
    """(distances with ties, relevance, labels of the queries)."""
    rng = np.random.default_rng(seed)
    labels, others = rng.integers(0, 4, queries), rng.integers(0, 4, items)
    distances = np.round(rng.normal(size=(queries, items)) + 2 * (labels[:, None] != others), 1)
    return distances, relevance(labels, others), labels


def test_measures_of_vectors_and_of_their_distances_are_the_same():
    rng = np.random.default_rng(1)
    v, w = rng.integers(0, 3, (20, 4)).astype(float), rng.integers(0, 3, (25, 4)).astype(float)
    y, z = rng.integers(0, 3, 20), rng.integers(0, 3, 25)
    squared = ((v[:, None] - w[None]) ** 2).sum(axis=2)  # whole numbers: they tie where the levels do
    expected = evaluate_direction(v, y, w, z)
    got = measure_direction(
        lambda rows: squared[rows], lambda rows: relevance(y[rows], z), 20, 25, xp=np, query_labels=y
    )
    assert got == expected


def test_recalls_and_the_median_rank_stand_beside_the_others():
    distances, relevant, _ = table()
    got = measure_direction(lambda rows: distances[rows], lambda rows: relevant[rows], 30, 40, xp=np, recall_at=(1, 5))
    assert got["r@1"] == pytest.approx(recall_at_k(distances, relevant, 1).mean())
    assert got["r@5"] == pytest.approx(recall_at_k(distances, relevant, 5).mean())
    assert got["median_rank"] == pytest.approx(np.median(first_rank(distances, relevant)))
    assert "rank" not in got and "per_class" not in got


@pytest.mark.parametrize("exclude", [None, np.arange(30)])
def test_chance_stands_beside_each_recall(exclude):
    """A random order has none of r relevant items among the first k of n with probability C(n − r, k)/C(n, k)."""
    distances, relevant, _ = table(4)
    given = {"xp": np, "recall_at": (1, 5), "exclude": exclude}
    got = measure_direction(lambda rows: distances[rows], lambda rows: relevant[rows], 30, 40, **given)
    counted = relevant.copy()
    counted[np.arange(30), np.arange(30)] &= exclude is None
    n, found = 40 - (exclude is not None), [int(r) for r in counted.sum(axis=1) if r]
    for k in (1, 5):
        assert got[f"chance_r@{k}"] == pytest.approx(np.mean([1 - comb(n - r, k) / comb(n, k) for r in found]))
    assert got["chance_median_rank"] == pytest.approx(np.median([(n + 1) / (r + 1) for r in found]))


@pytest.mark.parametrize("exclude", [None, np.where(np.arange(30) < 15, np.arange(1, 31), -1)])
def test_recalls_of_partners_beside_the_precision_of_labels(exclude):
    distances, relevant, labels = table(5)
    own = np.eye(30, 40, dtype=bool)
    own[3:6] = False  # no partner in this gallery
    given = {"xp": np, "query_labels": labels, "recall_at": (1, 5), "exclude": exclude}
    n = np.full(30, 40) if exclude is None else 40 - (exclude >= 0)
    n = n[own.any(axis=1)]  # what is left of the gallery to each query that is averaged
    got = measure_direction(
        lambda rows: distances[rows], lambda rows: relevant[rows], 30, 40, recalled=lambda rows: own[rows], **given
    )
    plain = measure_direction(lambda rows: distances[rows], lambda rows: relevant[rows], 30, 40, **given)
    assert got["map"] == plain["map"] and got["queries"] == 30
    for c, figures in got["per_class"].items():
        mine, recalls = labels == int(c), ("r@1", "r@5")
        assert [figures[name] for name in figures if name not in recalls] == [
            figure for name, figure in plain["per_class"][c].items() if name not in recalls
        ]
        for name, k in zip(recalls, (1, 5), strict=True):
            assert figures[name] == pytest.approx(np.nanmean(recall_at_k(distances, own, k, exclude)[mine]))
    for k in (1, 5):
        assert got[f"r@{k}"] == pytest.approx(np.nanmean(recall_at_k(distances, own, k, exclude)))
        assert got[f"chance_r@{k}"] == pytest.approx((k / n).mean())
    assert got["median_rank"] == pytest.approx(np.nanmedian(first_rank(distances, own, exclude)))
    assert got["chance_median_rank"] == np.median((n + 1) / 2)
    nowhere = measure_direction(
        lambda rows: distances[rows],
        lambda rows: relevant[rows],
        30,
        40,
        recalled=lambda rows: own[rows] & False,
        **given,
    )
    assert nowhere["r@1"] is None and nowhere["chance_median_rank"] is None and nowhere["map"] == plain["map"]


def test_blocks_do_not_change_the_result():
    distances, relevant, labels = table(2)

    def measured(memory_mb):
        return measure_direction(
            lambda rows: distances[rows],
            lambda rows: relevant[rows],
            *(30, 40),
            xp=np,
            exclude=np.arange(30),
            query_labels=labels,
            recall_at=(1, 3),
            memory_mb=memory_mb,
        )

    assert measured(1e-6) == measured(0.02) == measured(512)


@pytest.mark.parametrize("exclude", [None, np.arange(30)])
@pytest.mark.parametrize("memory_mb", [1e-6, 512])
def test_nearest_by_is_a_stable_sort(exclude, memory_mb):
    distances, _, _ = table(3)
    index, value = nearest_by(lambda rows: distances[rows], 30, 40, 7, xp=np, exclude=exclude, memory_mb=memory_mb)
    for q in range(30):
        order = [i for i in np.argsort(distances[q], kind="stable") if exclude is None or i != exclude[q]][:7]
        assert index[q].tolist() == order and value[q].tolist() == distances[q, order].tolist()


def test_nearest_by_refuses_what_nearest_refuses():
    with pytest.raises(InputError, match="k: expected a whole number from 1, got 0"):
        nearest_by(lambda rows: np.ones((1, 2)), 1, 2, 0, xp=np)
    with pytest.raises(InputError, match="nothing is left to find"):
        nearest_by(lambda rows: np.ones((1, 1)), 1, 1, 3, xp=np, exclude=np.array([0]))
    with pytest.raises(InputError, match="not all of them are finite"):
        nearest_by(lambda rows: np.full((1, 2), np.nan), 1, 2, 1, xp=np)
    assert nearest_by(lambda rows: np.ones((1, 2)), 1, 2, 9, xp=np)[0].tolist() == [[0, 1]]


def run_of(labels_a, labels_b, pairing=None, classes=3):
    def modality(name, labels):
        n = len(labels)
        ids = tuple(f"{name}{k}" for k in range(n))
        return Modality(name, "features", np.empty((0, 2)), np.asarray(labels), ids, None, np.array(["g"] * n))

    names = tuple(f"class{c}" for c in range(classes))
    dataset = Dataset({"a": modality("a", labels_a), "b": modality("b", labels_b)}, names, pairing)
    return Run(None, None, {}, {}, dataset, Splits({}, {}, {}), [], 0.0)


def items(**rows):
    rows = {m: np.array(numbers) for m, numbers in rows.items()}
    return Items(rows, {m: {} for m in rows})


def test_labels_of_two_kinds_become_multi_hot():
    run = run_of([0, 2], [[1, 1, 0], [0, 0, 1]])
    assert labels_of(run.dataset, items(a=[1, 0])).tolist() == [2, 0]
    assert labels_of(run.dataset, items(a=[1], b=[0])).tolist() == [[0, 0, 1], [1, 1, 0]]
    relevant = shared_label(run, items(a=[0, 1]), items(a=[0, 1], b=[0, 1]))
    assert relevant(slice(0, 2)).tolist() == [[True, False, True, False], [False, True, False, True]]
    assert relevant(slice(1, 2)).tolist() == [[False, True, False, True]]


def test_partners_are_relevant_in_both_directions_and_others_are_not():
    run = run_of([0, 1], [0, 0, 1], np.array([[0, 0], [0, 1], [1, 2]]))
    forth = paired(run, items(a=[1, 0]), items(b=[2, 1, 0]))
    assert forth(slice(0, 2)).tolist() == [[True, False, False], [False, True, True]]
    back = paired(run, items(b=[0, 2]), items(a=[0, 1]))
    assert back(slice(0, 2)).tolist() == [[True, False], [False, True]]
    assert not paired(run, items(a=[0]), items(a=[0, 1]))(slice(0, 1)).any()
