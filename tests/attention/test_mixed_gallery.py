"""A query finds neither itself nor what shows the very same, however many they are and whatever the gallery holds."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from drawn_worlds import config, data

from cmir_ref import runs, search
from cmir_ref.attention import system
from cmir_ref.attention.inference import draw_contexts
from cmir_ref.data.pairs import draw_others, rows_as_set
from cmir_ref.errors import InputError
from cmir_ref.ranking import examples, items_of, rank
from cmir_ref.records import Items
from cmir_ref.retrieval import average_precision, precision_at_k, relevance
from cmir_ref.retrieval.relevant_items import labels_of, positions

PAIRS = [tuple(pair) for pair in product("ab", ("a", "b", "ab"))]
WAYS = ("mean", "pair", "random")


@cache
def trained():
    return runs.train(config(), data(apart=True))


def traced_otherwise(how, run=None):
    """The run, were its sketches traced from other photos: one from each, up to five from one, a few, or none."""
    run, rng = run or trained(), np.random.default_rng(5)
    apart = {
        "one each": np.stack([np.arange(30)] * 2, axis=1),
        "up to five": np.stack([np.sort(rng.integers(0, 9, 30)), rng.permutation(30)], axis=1),
        "a few": np.array([[3, 9], [3, 2], [29, 0]]),
        "all of one": np.stack([np.full(30, 4), np.arange(30)], axis=1),
        "none": None,
    }[how]
    return run._replace(dataset=run.dataset._replace(apart=apart))


def by(run, how):
    return run._replace(config=run.config.model_copy(update={"attended_inference": how}))


def is_the_same(run, one, other):
    """Whether two samples show the very same, by a look at every row of `apart`."""
    rows = [] if run.dataset.apart is None else run.dataset.apart.tolist()
    photos = [
        {i for i, j in rows if m == "b" and j == row} or ({row} if m == "a" else set()) for m, row in (one, other)
    ]
    return one == other or bool(photos[0] & photos[1])


def what_is_left(run, query, gallery):
    """For each query the places in the gallery that it may find."""
    known = gallery.samples()
    return [[k for k, item in enumerate(known) if not is_the_same(run, asked, item)] for asked in query.samples()]


TRACED = pytest.mark.parametrize("traced", ["one each", "up to five", "a few", "all of one", "none"])


@TRACED
@pytest.mark.parametrize("seed", range(5))
def test_no_photo_is_attended_by_any_sketch_that_was_traced_from_it(traced, seed):
    """Where all were, "random" takes one of them, and "matched" none."""
    run = traced_otherwise(traced)
    a, b = (run.dataset.modalities[m].labels for m in "ab")
    apart = set() if run.dataset.apart is None else set(map(tuple, run.dataset.apart.tolist()))
    drawn = {how: draw_contexts(how, run.dataset, run.parts, seed).tolist() for how in ("random", "matched")}
    for part in run.parts:
        for photo in part["a"].tolist():
            others = [j for j in run.parts.train["b"] if (photo, j) not in apart]
            assert drawn["random"][photo] in (others or run.parts.train["b"])
            matched = [j for j in part["b"] if (photo, j) not in apart and b[j] == a[photo]]
            assert drawn["matched"][photo] in (matched or [-1])


def test_a_photo_from_which_all_were_traced_has_no_partner():
    pairs, both = np.array([[0, 1], [1, 2]]), rows_as_set(np.array([[0, 1], [0, 2]]))
    with pytest.raises(InputError, match="no partner of its class but the one that was made of it"):
        draw_others(pairs, np.arange(2), np.array([1, 2]), np.random.default_rng(0), both)
    draw_others(pairs, np.arange(2), np.array([1, 2, 3]), np.random.default_rng(0), both)
    assert pairs.tolist() == [[0, 3], [1, 2]]


@TRACED
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gallery", ["all", "test"])
def test_every_direction_is_measured_without_what_shows_the_same(traced, way, gallery):
    run = by(traced_otherwise(traced), way)
    for letter, letters in PAIRS:
        query, searched = items_of(run, letter, "all"), items_of(run, letters, gallery)
        distances = system.SYSTEM.distances(run, query, searched)(slice(None))
        relevant = relevance(labels_of(run.dataset, query), labels_of(run.dataset, searched))
        found = runs.evaluate_run_direction(run, f"{letter}->{letters}", "all", gallery, np)
        rows = []
        for k, there in enumerate(what_is_left(run, query, searched)):
            if there and relevant[k, there].any():
                alone = distances[k : k + 1, there], relevant[k : k + 1, there]
                rows.append((average_precision(*alone)[0], precision_at_k(*alone, 10)[0]))
        assert (found["queries"], found["without_relevant"]) == (len(rows), len(query) - len(rows))
        expected = np.mean(rows, axis=0) if rows else (None, None)
        assert (found["map"], found["p@10"]) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


@TRACED
@pytest.mark.parametrize("way", WAYS)
def test_neighbours_and_examples_hold_all_but_what_shows_the_same(traced, way):
    run = by(traced_otherwise(traced), way)
    for letter, letters in PAIRS:
        query, searched = items_of(run, letter, "all"), items_of(run, letters, "all")
        exclude, there = positions(query, searched, run.dataset.apart), what_is_left(run, query, searched)
        if not min(map(len, there)):
            with pytest.raises(InputError, match=r"^gallery: a query excludes all its 30 items, nothing is left"):
                rank(run, query, searched, 5, exclude=exclude)
            asked = [there[row] for row in run.parts.test[letter]]
            assert bool(examples(run, f"{letter}->{letters}", count=30, gallery="all")) == bool(min(map(len, asked)))
            continue
        distances = system.SYSTEM.distances(run, query, searched)(slice(None))
        index, _ = rank(run, query, searched, 1000, exclude=exclude)
        assert index.shape[1] == min(map(len, there))
        for k, left in enumerate(there):
            assert index[k].tolist() == sorted(left, key=lambda j, k=k: (distances[k, j], j))[: index.shape[1]]
        for example in examples(run, f"{letter}->{letters}", count=4, k=1000, gallery="all"):
            asked = (letter, run.dataset.modalities[letter].ids.index(example.query.id))
            found = [(hit.modality, run.dataset.modalities[hit.modality].ids.index(hit.id)) for hit in example.hits]
            assert found and not any(is_the_same(run, asked, item) for item in found)


@TRACED
@pytest.mark.parametrize("way", WAYS)
def test_a_search_for_a_sample_of_the_run_is_without_what_shows_the_same(traced, way):
    run = by(traced_otherwise(traced), way)
    for letter, to in product("ab", ("a", "b", "all")):
        searched = search.open_gallery(run, to, "all")
        for row in (3, 29):
            one = search.insider(run, letter, row)
            (left,) = what_is_left(run, one, searched.items)
            if not left:
                with pytest.raises(
                    InputError, match="x: the gallery holds nothing but the query itself and what shows"
                ):
                    search.find_positions(searched, one, 1000, itself=row, name="x")
                continue
            found, _ = search.find_positions(searched, one, 1000, itself=row)
            assert sorted(found.tolist()) == left
            outside, _ = search.find_positions(searched, search.outsider(letter, one.encoded[letter]), 1000)
            assert len(outside) == len(searched.items)


def test_where_only_what_shows_the_same_is_relevant_nothing_is_averaged():
    """Photos and sketches with a label for each photo: all that is relevant shows the very same."""
    run = traced_otherwise("up to five")
    photo = {j: i for i, j in run.dataset.apart.tolist()}
    labels = {"a": np.arange(30), "b": np.array([photo[j] for j in range(30)])}
    modalities = {m: modality._replace(labels=labels[m]) for m, modality in run.dataset.modalities.items()}
    names = tuple(f"photo {k}" for k in range(30))
    run = run._replace(dataset=run.dataset._replace(modalities=modalities, label_names=names))
    for way, (letter, letters) in product(WAYS, PAIRS):
        found = runs.evaluate_run_direction(by(run, way), f"{letter}->{letters}", "all", "all", np)
        assert (found["map"], found["queries"], found["without_relevant"]) == (None, 0, 30)


@pytest.mark.parametrize("kind", ["channel", "spatial", "mask"])
def test_pairs_in_a_mixed_gallery_are_those_of_each_side(kind):
    """Other modality: an embedding a pair; its own: what is stored. One unit serves both: they rank together."""
    run = by(runs.train(config(f"attention={kind}"), data()), "pair")
    for letter in "ab":
        query, mixed = items_of(run, letter, "all"), items_of(run, "ab", "all")
        whole = system.SYSTEM.distances(run, query, mixed)(slice(None)).astype(float)
        counts = [len(items_of(run, m, "all")) for m in "ab"]
        assert whole.shape == (len(query), sum(counts))
        parts = dict(zip("ab", np.split(whole, [counts[0]], axis=1), strict=True))
        for m, levels in parts.items():
            alone = system.SYSTEM.distances(run, query, items_of(run, m, "all"))(slice(None)).astype(float)
            ratio = alone.sum() / levels.sum()  # of the units
            np.testing.assert_allclose(alone, ratio * levels, atol=30)
    v = run.encoded["a"]["v"].astype(float)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    own = system.SYSTEM.distances(run, items_of(run, "a", "all"), items_of(run, "ab", "all"))(slice(None))[:, : len(v)]
    np.testing.assert_allclose(own / own.max(), (1 - v @ v.T) / (1 - v @ v.T).max(), atol=1e-5)


def test_positions_know_other_letters_and_samples_from_outside():
    def items(**rows):
        return Items({m: np.array(numbers) for m, numbers in rows.items()}, {})

    apart = np.array([[7, 1], [0, 5]])
    where = positions(items(b=[5, 1, 2, -1]), items(a=[7, 0, 5], c=[1, 5]), apart)
    assert where.tolist() == [[1], [0], [-1], [-1]]
    assert positions(items(c=[5]), items(a=[5], b=[5]), apart).shape == (1, 0)
    assert positions(items(a=[0]), items(a=[0], b=[5, 1]), apart).tolist() == [[0, 1]]
    assert positions(items(a=[-1]), items(a=[0]), apart[:0]).shape == (1, 0)
