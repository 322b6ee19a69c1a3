"""`nearest` against brute force, with ties, exclusions and small memory."""

import tracemalloc

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.retrieval import levels, nearest, neighbours, prepare
from cmir_ref.retrieval.neighbours import keep_gallery, smallest
from cmir_ref.retrieval.sieve import candidates, sieve


def brute(q, g, k, exclude=None, kind="euclidean"):
    level = levels(prepare(q, g, kind)).astype(float)
    if exclude is not None:
        for i, j in enumerate(exclude):
            if j >= 0:
                level[i, j] = np.inf
    return np.array([sorted(range(len(g)), key=lambda j: (row[j], j))[:k] for row in level])


def grid_points(n, seed):
    """Small integer points: many ties."""
    return np.random.default_rng(seed).integers(0, 3, size=(n, 3)).astype("float32")


@pytest.mark.parametrize("kind", ["euclidean", "cosine", "released"])
@pytest.mark.parametrize("k", [1, 4, 10, 150, 400])
def test_nearest_is_brute_force_with_ties_in_gallery_order(k, kind):
    q, g = grid_points(40, 0), grid_points(400, 1)
    index, distance = nearest(q, g, k, distance=kind)
    np.testing.assert_array_equal(index, brute(q, g, k, kind=kind))
    assert index.shape == distance.shape == (40, k)
    assert (np.diff(distance, axis=1) >= 0).all()


def by_definition(kind, q, g):
    """The distance of two vectors, as the table of `retrieval.distances` has it."""
    d = q - g
    if kind == "released":
        return sum(np.sum(abs(d[side]) ** 1.5) ** 2 for side in (d > 0, d < 0)) ** 0.25
    if kind == "cosine":
        return 1 - q @ g / np.sqrt((q @ q) * (g @ g))
    return np.sqrt(d @ d)


@pytest.mark.parametrize("kind", ["euclidean", "cosine", "released"])
@pytest.mark.parametrize("size", [0.01, 50])
def test_distances_are_in_the_units_of_the_embeddings(kind, size):
    rng = np.random.default_rng(0)
    q, g = size * rng.normal(size=(20, 6)), size * rng.normal(size=(90, 6))
    index, distance = nearest(q, g, 5, distance=kind)
    expected = [[by_definition(kind, q[i], g[j]) for j in row] for i, row in enumerate(index)]
    np.testing.assert_allclose(distance, expected, rtol=1e-4)
    assert np.issubdtype(index.dtype, np.integer)


@pytest.mark.parametrize("k", [1, 5, 60])
def test_an_excluded_item_is_never_found(k):
    g = grid_points(61, 2)
    own = np.arange(61)
    index, _ = nearest(g, g, k, exclude=own)
    assert (index != own[:, None]).all()
    np.testing.assert_array_equal(index, brute(g, g, k, own))
    some = np.where(own % 2, own, -1)
    np.testing.assert_array_equal(nearest(g, g, k, exclude=some)[0], brute(g, g, k, some))


def test_k_is_cut_to_what_the_gallery_has():
    g = grid_points(7, 3)
    assert nearest(g, g, 50)[0].shape == (7, 7)
    assert nearest(g, g, 50, exclude=np.arange(7))[0].shape == (7, 6)
    assert nearest(g, g, 50, exclude=np.full(7, -1))[0].shape == (7, 7)


def test_nothing_left_to_find_is_refused():
    with pytest.raises(InputError, match=r"^gallery: its only item is excluded, nothing is left to find$"):
        nearest(np.ones((1, 2)), np.ones((1, 2)), 1, exclude=np.array([0]))


def test_memory_mb_does_not_change_a_bit():
    rng = np.random.default_rng(5)
    q, g = rng.normal(size=(70, 20)).astype("float32"), rng.normal(size=(500, 20)).astype("float32")
    expected = nearest(q, g, 9)
    for memory in (1e-6, 0.02, 0.1, 0.3):
        for got, want in zip(nearest(q, g, 9, memory_mb=memory), expected, strict=True):
            np.testing.assert_array_equal(got, want)


LARGE = {  # galleries that go through the sieve, and how: (queries, items)
    "far from the origin": lambda rng, n: 1000 + rng.normal(size=(n, 8)),
    "tight clusters": lambda rng, n: rng.integers(0, 3, (n, 4)) + 1e-3 * rng.normal(size=(n, 4)),
    "one dimension": lambda rng, n: rng.normal(size=(n, 1)),
    "levels apart": lambda rng, n: rng.integers(-2000, 2000, (n, 2)) * 3e-4,
    "many ties": lambda rng, n: rng.integers(0, 3, (n, 3)).astype("float32"),
    "ties by last bits": lambda rng, n: (30_000 + rng.normal(size=(n, 3))).astype("float32"),
    "one point": lambda rng, n: np.full((n, 3), 0.1),
}


@pytest.mark.parametrize("excluding", [False, True])
@pytest.mark.parametrize("k", [1, 10, 33])
@pytest.mark.parametrize("name", LARGE)
def test_the_sieve_changes_nothing(name, k, excluding, monkeypatch):
    g = LARGE[name](np.random.default_rng(k), 5001)
    q, exclude = (g[:150], np.where(np.arange(150) % 3, np.arange(150), -1)) if excluding else (g[::40] + 1e-4, None)
    sieved = nearest(q, g, k, exclude=exclude)
    monkeypatch.setattr(neighbours, "TILE", 10**9)
    for found, expected in zip(sieved, nearest(q, g, k, exclude=exclude), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("memory", [0.01, 1, 3])  # MiB: one query at a time, and sub-blocks of a block of the sieve
@pytest.mark.parametrize("excluding", [False, True])
@pytest.mark.parametrize("k", [1, 33])
@pytest.mark.parametrize("name", LARGE)
def test_little_memory_changes_nothing_in_large_galleries(name, k, excluding, memory, monkeypatch):
    """Where the sieve gives up, a block is searched in parts, and each query keeps its own exclusion."""
    g = LARGE[name](np.random.default_rng(k), 5001)
    own = np.random.default_rng(1).permutation(5001)[:150]
    exclude = np.where(np.arange(150) % 4, own, -1) if excluding else None
    little = nearest(g[own], g, k, exclude=exclude, memory_mb=memory)
    monkeypatch.setattr(neighbours, "TILE", 10**9)  # no sieve
    for found, expected in zip(little, nearest(g[own], g, k, exclude=exclude, memory_mb=10**6), strict=True):
        np.testing.assert_array_equal(found, expected)
    if excluding:
        assert (little[0] != exclude[:, None]).all()


@pytest.mark.parametrize("memory", [1e-6, 0.1, 1])
@pytest.mark.parametrize("excluding", [False, True])
@pytest.mark.parametrize("kind", ["euclidean", "released"])
@pytest.mark.parametrize("items", [1, 2, 61, 500])
def test_little_memory_changes_nothing_in_small_galleries(items, kind, excluding, memory):
    for g in (grid_points(items, 2), np.full((items, 3), 0.1, "float32")):
        rows = np.random.default_rng(items).permutation(items)
        exclude = np.where(rows % 3, rows, -1) if excluding else None
        if items == 1 and excluding:
            exclude = np.array([-1])
        settings = {"exclude": exclude, "distance": kind}
        little = nearest(g[rows], g, 5, memory_mb=memory, **settings)
        for found, expected in zip(little, nearest(g[rows], g, 5, memory_mb=10**6, **settings), strict=True):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(little[0], brute(g[rows], g, little[0].shape[1], exclude, kind))


@pytest.mark.parametrize("name", ["tight clusters", "levels apart", "many ties"])
def test_the_sieve_changes_nothing_by_cosine(name, monkeypatch):
    g = LARGE[name](np.random.default_rng(3), 5001)
    sieved = nearest(g[::40] + 1e-4, g, 10, distance="cosine")
    monkeypatch.setattr(neighbours, "TILE", 10**9)
    for found, expected in zip(sieved, nearest(g[::40] + 1e-4, g, 10, distance="cosine"), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("items", "k", "kind", "expected"),
    [
        (4096, 32, "euclidean", ["sieve", "_of_few"]),
        (4096, 33, "euclidean", ["_of_all"]),
        (4095, 1, "euclidean", ["_of_all"]),
        (4096, 32, "cosine", ["sieve", "_of_few"]),
        (4096, 1, "released", ["_of_all"]),
    ],
)
def test_only_large_galleries_are_sieved(items, k, kind, expected, monkeypatch):
    ran = []
    for name in ("sieve", "_of_few", "_of_all"):
        work = getattr(neighbours, name)
        monkeypatch.setattr(neighbours, name, lambda *args, name=name, work=work: ran.append(name) or work(*args))
    g = np.random.default_rng(0).normal(size=(items, 2))
    nearest(g[:3], g, k, distance=kind)
    assert ran == expected


def test_the_sieve_leaves_few():
    rng = np.random.default_rng(0)
    g = rng.normal(size=(20_000, 16))
    space = prepare(g[:128], g)
    row, item = candidates(sieve(space), slice(0, 128), 10)
    assert 128 * 10 <= len(row) < 128 * 20
    wanted = {(i, j) for i, found in enumerate(brute(g[:128], g, 10)) for j in found}
    assert wanted <= set(zip(row.tolist(), item.tolist(), strict=True))


def test_the_sieve_gives_up_where_nothing_is_gained():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(8192, 4))
    spaces = {"one point": np.full((8192, 4), 0.1), "few points": rng.integers(0, 5, (8192, 1)).astype(float)}
    spaces["one point in one place"] = np.concatenate([np.full((1024, 4), 0.1), 9 + spread[1024:]])
    for name, g in spaces.items():
        assert candidates(sieve(prepare(g[:9], g)), slice(0, 9), 10) is None, name
    assert candidates(sieve(prepare(spread[:9], spread)), slice(0, 9), 10) is not None


def test_groups_computed_again_in_parts_are_those_of_one(monkeypatch):
    g = np.random.default_rng(0).normal(size=(6000, 8))
    whole = nearest(g[:200], g, 20)
    monkeypatch.setattr("cmir_ref.retrieval.sieve.GATHERED", 1000)
    for found, expected in zip(nearest(g[:200], g, 20), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_identical_embeddings_come_in_gallery_order():
    v = np.full((300, 4), 0.3)
    index, distance = nearest(v[:3], v, 12)
    np.testing.assert_array_equal(index, np.tile(np.arange(12), (3, 1)))
    assert not distance.any()


def test_smallest_keeps_runs_whose_minima_tie():
    rng = np.random.default_rng(6)
    for items, k in [(100, 3), (101, 3), (1000, 10), (37, 1), (50, 49), (5, 5)]:
        level = rng.integers(0, 4, size=(30, items), dtype="int32")
        level[::3, -1] = -1  # the last columns fill no run
        column, value = smallest(level, k)
        np.testing.assert_array_equal(column, np.argsort(level, axis=1, kind="stable")[:, :k])
        np.testing.assert_array_equal(value, np.sort(level, axis=1)[:, :k])


@pytest.mark.parametrize(("items", "k"), [(37, 1), (400_000, 1), (1000, 10), (5000, 400)])
def test_smallest_of_distinct_levels(items, k):
    rng = np.random.default_rng(items)
    level = np.stack([rng.permutation(items) for _ in range(5)])
    column, value = smallest(level, k)
    np.testing.assert_array_equal(value, np.tile(np.arange(k), (5, 1)))
    np.testing.assert_array_equal(np.take_along_axis(level, column, axis=1), value)


def test_memory_stays_below_the_bound():
    rng = np.random.default_rng(7)
    q, g = rng.normal(size=(600, 4)), rng.normal(size=(20_000, 4))  # all distances at once: 92 MiB in float64
    for k in (10, 20_000 // 2):
        tracemalloc.start()
        nearest(q if k == 10 else q[:20], g, k, memory_mb=8)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        assert peak < 8 + 16  # the embeddings' copies and a tile's temporaries come on top


def test_five_thousand_queries_in_twenty_thousand_items():
    rng = np.random.default_rng(8)
    q, g = (rng.normal(size=(n, 64)).astype("float32") for n in (5000, 20_000))
    index, _ = nearest(q, g, 10)
    for i in (0, 2500, 4999):
        np.testing.assert_array_equal(index[i], np.argsort(((q[i].astype(float) - g) ** 2).sum(1))[:10])


@pytest.mark.parametrize(
    "kwargs, word",
    [
        ({"k": 0}, "k"),
        ({"k": 1, "exclude": np.array([0, 4])}, "gallery of 4"),
        ({"k": 1, "exclude": np.array([0, -2])}, "exclude"),
        ({"k": 1, "exclude": np.array([0])}, "exclude"),
        ({"k": 1, "exclude": np.array([0.0, 1.0])}, "integers"),
    ],
)
def test_bad_arguments_are_refused(kwargs, word):
    with pytest.raises(InputError, match=word):
        nearest(np.ones((2, 3)), np.ones((4, 3)), **kwargs)


# ---- a gallery that is kept -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", ["euclidean", "cosine", "released"])
@pytest.mark.parametrize("items", [40, 5000], ids=["looked at whole", "sieved"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1.1, 7.0, 1e30], ids="queries {} times as large".format)
@pytest.mark.parametrize("offset", [0, 1000])  # beside which a level is what the last bits of float32 tell apart
def test_a_kept_gallery_gives_what_its_embeddings_give(distance, items, size, offset):
    rng = np.random.default_rng(4)
    g = (rng.normal(size=(items, 9)) + offset).astype("float32")
    g[items // 2 :] = g[: items // 2]  # ties
    kept = keep_gallery(g, distance)
    for seed in range(3):
        q = (size * (np.random.default_rng(seed).normal(size=(2, 9)) + offset)).astype("float32")
        out = np.array([seed, -1])
        for k in (1, 12):
            for mine, theirs in zip(
                nearest(q, kept, k, exclude=out), nearest(q, g, k, exclude=out, distance=distance), strict=True
            ):
                np.testing.assert_array_equal(mine, theirs)


def test_a_kept_gallery_has_the_index_that_it_was_kept_with():
    query, gallery = np.random.default_rng(0).standard_normal((2, 6, 3))
    with pytest.raises(InputError, match="'Flat' is not what the gallery was kept with; give it to keep_gallery"):
        nearest(query, keep_gallery(gallery), 2, index="Flat")


def test_a_kept_gallery_refuses_what_embeddings_refuse():
    kept = keep_gallery(np.eye(5, 3))
    with pytest.raises(InputError, match="query has 4 dimensions and gallery 3"):
        nearest(np.ones((1, 4)), kept, 1)
    with pytest.raises(InputError, match="not finite"):
        nearest(np.full((1, 3), np.nan), kept, 1)
    with pytest.raises(InputError, match="is none of"):
        keep_gallery(np.eye(3), "manhattan")
    with pytest.raises(InputError, match="not finite"):
        keep_gallery(np.full((2, 3), np.inf))


def test_smallest_of_levels_far_below_zero():
    level = np.array([[5, -(2**61), 0, -(2**61) - 1, 7, 3]])
    column, value = smallest(level, 3)
    np.testing.assert_array_equal(column, [[3, 1, 2]])
    np.testing.assert_array_equal(value, level[0, column])
