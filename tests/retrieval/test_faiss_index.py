"""`nearest` by way of a faiss index: the exact one changes nothing, and bad requests end in one line."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from test_neighbours import LARGE

from cmir_ref.errors import InputError
from cmir_ref.retrieval import faiss_index, keep_gallery, nearest, neighbours, prepare
from cmir_ref.retrieval.distances import gallery_side
from cmir_ref.retrieval.faiss_index import build_index, find_candidates

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="faiss is not installed")


@needs_faiss
@pytest.mark.parametrize("excluding", [False, True])
@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("name", LARGE)
def test_the_exact_index_changes_nothing(name, k, excluding):
    g = LARGE[name](np.random.default_rng(k), 5001)
    q, exclude = (g[:150], np.where(np.arange(150) % 3, np.arange(150), -1)) if excluding else (g[::40] + 1e-4, None)
    expected = nearest(q, g, k, exclude=exclude)
    for memory in (512, 0.01):
        for found, want in zip(
            nearest(q, g, k, exclude=exclude, index="Flat", memory_mb=memory), expected, strict=True
        ):
            np.testing.assert_array_equal(found, want)


@needs_faiss
def test_the_exact_index_changes_nothing_by_cosine():
    g = np.random.default_rng(8).normal(size=(5001, 6))
    g[::7] = 2 * g[1::7][: len(g[::7])]
    found, expected = (nearest(g[:99], g, 7, distance="cosine", index=index) for index in ("Flat", None))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@needs_faiss
def test_ties_at_the_edge_are_looked_up(monkeypatch):
    from cmir_ref.retrieval import neighbours

    g = np.random.default_rng(0).normal(size=(5000, 4))
    g[1000:1100] = g[0]  # more equal items than candidates
    asked, exact = [], neighbours._exact
    monkeypatch.setattr(
        neighbours, "_exact", lambda space, *rest: asked.append(len(space.query)) or exact(space, *rest)
    )
    item, distance = nearest(g[:3], g, 5, index="Flat")
    assert asked == [1]
    assert item[0].tolist() == [0, 1000, 1001, 1002, 1003] and not distance[0].any()


@needs_faiss
def test_an_approximate_index_finds_most_and_ranks_exactly():
    rng = np.random.default_rng(1)
    g = rng.normal(size=(6000, 8))
    item, distance = nearest(g[:200], g, 10, index="IVF16,Flat")
    exact = nearest(g[:200], g, 10)[0]
    shared = np.mean([len(set(a) & set(b)) for a, b in zip(item, exact, strict=True)]) / 10
    assert 0.3 < shared < 1
    np.testing.assert_array_equal(nearest(g[:200], g, 10, index="IVF16,Flat;nprobe=16")[0], exact)  # all of its cells
    assert (np.diff(distance, axis=1) >= 0).all()
    np.testing.assert_allclose(distance, np.sqrt(((g[:200, None] - g[item]) ** 2).sum(axis=2)), atol=1e-3)


def shells(step, count=60):
    """Four queries at ‖q‖ = 1 and items at ‖g‖² = 9 + i · step, all at right angles to them, in 64 dimensions."""
    g = np.zeros((count, 64))
    radii = np.sqrt(9 + step * np.arange(count))
    g[np.arange(count), 1 + np.arange(count) // 2] = radii * np.where(np.arange(count) % 2, -1, 1)  # the mean is 0
    return np.eye(64)[[0] * 4], g


@needs_faiss
@pytest.mark.parametrize("step, expected", [(1.58e-5, False), (1.68e-5, True)])
def test_a_query_is_sure_where_its_last_candidate_is_beyond_the_rounding(step, expected):
    """Both errors and a level are 2 · 68 · 2⁻²³ · (1 + 3)² + 9e-7 = 2.60e-4; the last is 16 steps behind the k-th."""
    queries, gallery = shells(step)
    space, index = prepare(queries, gallery), build_index(gallery_side(gallery), "Flat")
    for k in (1, 5):
        item, sure = find_candidates(space, index, "Flat", k)
        assert item.shape == (4, k + 16) and sure.tolist() == [expected] * 4
    assert find_candidates(space, index, "Flat", 44)[1].all(), "all items are candidates"


@needs_faiss
@pytest.mark.parametrize("seed", range(4))
def test_what_follows_the_excluded_item_is_as_exact(seed):
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(3000, 64))
    g *= np.sqrt(1 + 1e-8 * rng.permutation(3000))[:, None] / np.linalg.norm(g, axis=1, keepdims=True)
    g[0] = 0  # all others lie around it, nearer to each other than float32 can tell
    itself = np.array([0])
    assert nearest(g[:1], g, 1, exclude=itself, index="Flat")[0] == nearest(g[:1], g, 1, exclude=itself)[0]


@needs_faiss
@pytest.mark.parametrize(
    "index, reason",
    [("Nonsense", "could not parse index string Nonsense$"), ("IVF9999,Flat", "Number of training points .100.")],
)
def test_an_index_that_cannot_be_is_refused(index, reason):
    g = np.random.default_rng(1).normal(size=(100, 8))
    with pytest.raises(InputError, match=f"^index: '{index}' is no faiss index for 100 items of 8: {reason}"):
        nearest(g, g, 3, index=index)


def test_another_distance_is_refused():
    g = np.ones((10, 2))
    with pytest.raises(
        InputError, match=r"^index: faiss ranks NumPy arrays by Euclidean distance or cosine; leave it out$"
    ):
        nearest(g, g, 3, index="Flat", distance="released")


def test_without_faiss_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"^index: faiss is not installed; pip install 'cmir-ref\[faiss\]'$"):
        nearest(np.ones((10, 2)), np.ones((10, 2)), 3, index="Flat")


@needs_faiss
@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("", "numbers from 1"),
        ("Flat\nFlat", "numbers from 1"),
        ("IVF0,Flat", "numbers from 1"),
        ("IVF4_HNSW0,Flat", "numbers from 1"),  # aborts
        ("PQ8x0", "numbers from 1"),  # divides by zero
        ("PCA0,Flat", "numbers from 1"),  # would find anything
        ("IVF-1,Flat", "could not parse"),
        ("Nonsense", "could not parse"),
        ("IVF4096,Flat", "300 items of 16"),
        ("PQ7", "300 items of 16"),
        ("IDMap,Flat", "300 items of 16"),
        ("Flat;nprobe=4", "could not set parameter nprobe"),
        ("IVF4,Flat;nprobe", "could not interpret parameters nprobe"),
        ("IVF4,Flat;nprobe=0", "IVF4,Flat;nprobe=0"),
    ],
)
def test_indices_that_faiss_refuses_are_one_line(index, says):
    g = np.random.default_rng(0).normal(size=(300, 16))
    with pytest.raises(InputError, match=says) as error:
        nearest(g[:3], g, 2, index=index)
    assert "\n" not in str(error.value)


@needs_faiss
@pytest.mark.parametrize("trial", ["import os; os.abort()", "import os; os.kill(os.getpid(), 8)"])
def test_an_index_that_ends_the_process_ends_its_own(trial, monkeypatch):
    monkeypatch.setattr(faiss_index, "TRIAL", trial)
    faiss_index.check_description.cache_clear()
    g = np.random.default_rng(0).normal(size=(300, 16))
    with pytest.raises(InputError, match=r"'SQ8' makes faiss end the process for 300 items of 16"):
        nearest(g[:3], g, 2, index="SQ8")
    monkeypatch.setattr(faiss_index, "TRIAL", "import time; time.sleep(30)")
    monkeypatch.setattr(faiss_index, "PATIENCE", 0.3)
    with pytest.raises(InputError, match="keeps faiss busy"):
        nearest(g[:3], g, 2, index="SQ4")
    faiss_index.check_description.cache_clear()


@needs_faiss
@pytest.mark.parametrize("index", ["Flat", "IVF4,Flat"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_a_kept_index_is_built_once_and_gives_the_same(index, distance, monkeypatch):
    rng = np.random.default_rng(3)
    g = rng.normal(size=(300, 8)).astype("float32")
    kept = keep_gallery(g, distance, index)
    queries = [s * rng.normal(size=(2, 8)).astype("float32") for s in (1, 0.01, 40)]
    expected = [nearest(q, g, 5, distance=distance, index=index) for q in queries]
    monkeypatch.setattr(neighbours, "build_index", None)
    for q, (item, found) in zip(queries, expected, strict=True):
        again = nearest(q, kept, 5)
        np.testing.assert_array_equal(again[0], item)
        np.testing.assert_array_equal(again[1], found)
