"""`nearest` by way of a faiss index: the exact one changes nothing, and bad requests end in one line."""

import sys

import numpy as np
import pytest
from test_neighbours import LARGE

from cmir_ref.errors import InputError
from cmir_ref.retrieval import nearest

needs_faiss = pytest.mark.skipif("not __import__('importlib').util.find_spec('faiss')", reason="faiss is not installed")


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
    assert (np.diff(distance, axis=1) >= 0).all()
    np.testing.assert_allclose(distance, np.sqrt(((g[:200, None] - g[item]) ** 2).sum(axis=2)), atol=1e-3)


@needs_faiss
@pytest.mark.parametrize("index", ["Nonsense", "IVF9999,Flat"])
def test_an_index_that_cannot_be_is_refused(index):
    g = np.random.default_rng(1).normal(size=(100, 8))
    with pytest.raises(InputError, match=f"index: '{index}' is no faiss index for 100 items of 8"):
        nearest(g, g, 3, index=index)


def test_another_distance_is_refused():
    g = np.ones((10, 2))
    with pytest.raises(InputError, match="index: faiss ranks NumPy arrays by Euclidean distance"):
        nearest(g, g, 3, index="Flat", distance="released")


def test_without_faiss_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install 'cmir-ref\[faiss\]'"):
        nearest(np.ones((10, 2)), np.ones((10, 2)), 3, index="Flat")
