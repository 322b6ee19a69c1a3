"""Distances on a grid: their values, and that ties are what they are whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmir_ref.errors import InputError
from cmir_ref.retrieval import distance_of, levels, nearest, prepare, squared_distances
from cmir_ref.retrieval.distances import KINDS, blocks, levels_of_pairs, with_factors
from cmir_ref.retrieval.neighbours import smallest


def direct(q, g):
    return ((q[:, None, :].astype(float) - g[None, :, :].astype(float)) ** 2).sum(-1)


def step(q, g):
    """The unit of squared distances: of what is centred on the gallery's mean."""
    centre = g.astype(np.longdouble).mean(axis=0).astype(float)
    squares = ((np.concatenate([q, g]).astype(float) - centre) ** 2).sum(axis=1)
    size = np.median((np.concatenate([q, g]).astype(float) ** 2).sum(axis=1))
    return max(1e-7 * np.median(squares), 1e-13 * squares.max(), (4 * np.finfo(q.dtype).eps) ** 2 * size)


@pytest.mark.parametrize("offset", [0, 30, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_squared_distances_are_the_direct_ones_rounded(offset, dtype):
    rng = np.random.default_rng(1)
    q, g = ((rng.normal(size=(n, 16)) + offset).astype(dtype) for n in (30, 70))
    got, unit = squared_distances(q, g), step(q, g)
    assert got.dtype == np.float64
    assert np.abs(got - direct(q, g)).max() <= 0.501 * unit
    assert np.abs(got / unit - np.rint(got / unit)).max() < 1e-6
    assert len(np.unique(got)) > 40


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wider", [None, "queries", "gallery"])
def test_embeddings_that_differ_in_their_last_bits_tie_and_others_do_not(dtype, far, wider):
    """A network that maps everything to one point does so up to its rounding; one far item changes nothing, and
    neither do more digits of one side, which hold none of the other's."""
    rng = np.random.default_rng(3)
    point = rng.uniform(0.5, 1, 8).astype(dtype)
    v = np.where(rng.random((60, 8)) < 0.5, np.nextafter(point, point.dtype.type(2)), point)
    gallery = np.concatenate([v, v[:1] + point.dtype.type(10)]) if far else v
    apart = (gallery + np.arange(len(gallery))[:, None] * 1e-3).astype(dtype)
    as_queries, as_gallery = (np.float64 if wider == side else dtype for side in ("queries", "gallery"))
    v, one = v[:20].astype(as_queries), apart[:1].astype(as_queries)
    assert len(np.unique(gallery, axis=0)) > 40
    assert not squared_distances(v, gallery.astype(as_gallery))[:, :60].any()
    assert len(np.unique(squared_distances(one, apart.astype(as_gallery)))) == len(gallery)


def boundary_set():
    """Integer points whose squared distances, when 3 modulo 6, lie exactly half way between two levels of 6."""
    rng = np.random.default_rng(2)
    near = 300.0 + rng.integers(-5, 6, size=(150, 6))  # far from the mean: the product cancels
    far = np.zeros((404, 6))
    far[:] = [4000, 4000, 4000, 2000, 2000, 2000]  # norm² 6e7, the median
    far[::2] *= -1
    return near[:100], np.concatenate([near, -near, far])  # whose mean is 0


def test_values_on_the_edge_of_a_level_do_not_depend_on_blocks_or_on_the_order_of_the_gallery():
    q, g = boundary_set()
    space = prepare(q, g)
    whole = levels(space)
    assert (direct(q, g) % 6 == 3).sum() > 1000  # the edge is really met
    for size in (1, 3, 7, 32):
        parts = [levels(space, slice(i, i + size)) for i in range(0, len(q), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    order = np.random.default_rng(0).permutation(len(g))
    np.testing.assert_array_equal(levels(prepare(q, g[order])), whole[:, order])
    # equal distances, equal levels: the product alone gets this wrong
    d2 = direct(q, g).astype(int)
    for value in np.unique(d2):
        assert len(np.unique(whole[d2 == value])) == 1
    product = np.rint(space.left @ space.right)
    assert (product != whole).any()


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_of_the_gallery_do_not_change_levels(kind, monkeypatch):
    q, g = boundary_set()
    whole = levels(prepare(q, g, kind))
    monkeypatch.setattr("cmir_ref.retrieval.distances.TILE", 700)
    np.testing.assert_array_equal(levels(prepare(q, g, kind)), whole)


@pytest.mark.parametrize("tile", [1, 100, 2**18])
@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
def test_levels_of_some_pairs_are_those_of_all(tile, kind, monkeypatch):
    q, g = boundary_set()
    space = prepare(q, g, kind)
    i, j = np.random.default_rng(0).integers(0, [[100], [350]], (2, 130))
    expected = levels(space)[i, j]
    monkeypatch.setattr("cmir_ref.retrieval.distances.TILE", tile)
    np.testing.assert_array_equal(levels_of_pairs(space, i, j), expected.astype("int64"), strict=True)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e5, 1e-30, 1e-310, 1e200, 1e308])
@pytest.mark.parametrize("kind", KINDS)
def test_identical_embeddings_are_at_distance_zero(value, kind):
    v = np.full((9, 7), value)
    assert not levels(prepare(v, v[:5], kind)).any()
    assert not squared_distances(v, v[:5]).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2.0**-900, 2.0**-3, 2.0**500])
def test_levels_do_not_change_when_embeddings_are_scaled_by_a_power_of_two(kind, factor):
    rng = np.random.default_rng(3)
    q, g = rng.normal(size=(20, 5)), rng.normal(size=(40, 5))
    expected = levels(prepare(q, g, kind))
    np.testing.assert_array_equal(levels(prepare(q * factor, g * factor, kind)), expected)


def test_float32_duplicates_tie():
    rng = np.random.default_rng(4)
    g = (rng.normal(size=(200, 33)) + 100).astype("float32")
    g[100:] = g[:100][rng.permutation(100)]
    q = (rng.normal(size=(50, 33)) + 100).astype("float32")
    got = np.sort(squared_distances(q, g), axis=1)
    np.testing.assert_array_equal(got[:, 0::2], got[:, 1::2])


def test_two_points_closer_than_half_a_level_tie_and_two_levels_apart_do_not():
    g = np.array([[1.0, 0.0], [np.sqrt(1 + 2e-8), 0.0], [np.sqrt(1 + 2e-7), 0.0], [0.0, 1.0]])
    level = levels(prepare(np.zeros((1, 2)), np.concatenate([g, -g])))[0]  # the mean is 0, the median norm 1
    assert level[0] == level[1] == level[3]
    assert level[2] == level[0] + 2


def nearest_by_definition(q, g, k):
    """Ranks by exact squared distances, ties by the order of the gallery."""
    return np.argsort(direct(q, g), axis=1, kind="stable")[:, :k]


SPACES = {  # what is done to queries and gallery, so that little is left of the old unit, a share of the largest norm
    "nothing": lambda q, g: (q, g),
    "one far item": lambda q, g: (q, np.vstack([g[:-1], 1e4 * g[-1:]])),
    "one far item on the other side": lambda q, g: (q, np.vstack([-2e4 * g[:1], g[1:]])),
    "one far query": lambda q, g: (np.vstack([q[:-1], 1e4 * q[-1:]]), g),
    "one far of each": lambda q, g: (np.vstack([q[:-1], 3e3 * q[-1:]]), np.vstack([-5e3 * g[:1], g[1:]])),
    "a tenth far": lambda q, g: (q, np.vstack([g[:-50], 1e3 * g[-50:]])),
    "an offset": lambda q, g: (q + 1e4, g + 1e4),
    "a large offset of one dimension": lambda q, g: (q + 1e6 * np.eye(16)[3], g + 1e6 * np.eye(16)[3]),
    "offset and far": lambda q, g: (q - 1e3, np.vstack([g[:-1], 1e3 * g[-1:]]) - 1e3),
}


@pytest.mark.parametrize("what", SPACES)
@pytest.mark.parametrize("items", [500, 5000])
def test_far_items_and_offsets_leave_the_ranking_of_all_others(what, items):
    """By the whole gallery and, with 5000 items, through the sieve."""
    rng = np.random.default_rng(0)
    g = rng.normal(size=(items, 16))
    q, g = SPACES[what](g[:50] + 0.05 * rng.normal(size=(50, 16)), g)
    found, distance = nearest(q, g, 5)
    np.testing.assert_array_equal(found, nearest_by_definition(q, g, 5))
    got, unit = squared_distances(q, g), step(q, g)
    assert np.abs(got - direct(q, g)).max() <= 0.51 * unit + 1e-13 * got.max()
    np.testing.assert_allclose(distance, np.sqrt(np.take_along_axis(got, found, axis=1)), rtol=1e-12)


def test_one_far_item_of_few_shifts_no_unit():
    """It would shift the mean of fifty by a fiftieth of its distance, and all lengths about that mean."""
    rng = np.random.default_rng(0)
    q, g = rng.normal(size=(50, 16)), rng.normal(size=(50, 16))
    g[0] += 1e4
    np.testing.assert_array_equal(nearest(q, g, 5)[0], nearest_by_definition(q, g, 5))


@pytest.mark.parametrize(("times", "least", "most"), [(1e4, 100, 100), (1e5, 90, 99), (1e7, 1, 1)])
def test_how_far_one_item_must_be_until_the_others_tie(times, least, most):
    """The figures of the module's text and of docs/design.md: of 100 items so many differ in distance."""
    rng = np.random.default_rng(0)
    g, q = rng.normal(size=(101, 16)), rng.normal(size=(5, 16))
    g[100] = times * 4 * np.eye(16)[0]  # the others are about 4 from their mean
    apart = [len(np.unique(row)) for row in levels(prepare(q, g))[:, :100]]
    assert least <= min(apart) and min(apart) <= most


@pytest.mark.parametrize("what", SPACES)
def test_levels_of_far_items_are_the_direct_ones(what):
    """The product is wrong by levels there, and says so itself."""
    rng = np.random.default_rng(1)
    g = rng.normal(size=(500, 16))
    space = prepare(*SPACES[what](g[:50] + 0.05 * rng.normal(size=(50, 16)), g))
    i, j = np.divmod(np.arange(50 * 500), 500)
    np.testing.assert_array_equal(levels(space).ravel(), levels_of_pairs(space, i, j))


def test_far_items_tie_where_their_distance_is_lost_in_the_unit():
    """Two items at 1e7, 1 apart, have the same distance to a query near 0; identical items tie at any distance."""
    rng = np.random.default_rng(0)
    g = rng.normal(size=(40, 4))
    g[1] = g[0]
    g[38] = [1e7, 0, 0, 0]
    g[39] = g[38]
    level = levels(prepare(g[2:9], g))
    assert level.dtype == "int64"
    np.testing.assert_array_equal(level[:, 0], level[:, 1])
    np.testing.assert_array_equal(level[:, 38], level[:, 39])
    assert not (level < 0).any()


def test_levels_too_large_to_be_packed_are_ranked():
    level = np.array([[5, 2**61, 3, 3], [2**62, 1, 2**62, 0]])
    column, value = smallest(level, 3)
    np.testing.assert_array_equal(column, [[2, 3, 0], [3, 1, 0]])
    np.testing.assert_array_equal(value, [[3, 3, 5], [0, 1, 2**62]])


def released(q, g):
    """The MATLAB line by line: sum of sqrt(d)·d over complex numbers, its root, the modulus."""
    d = (q[:, None, :] - g[None, :, :]).astype(complex)
    return np.abs(np.sqrt((np.sqrt(d) * d).sum(-1)))


def test_released_distance_is_the_modulus_of_the_matlab_expression():
    rng = np.random.default_rng(5)
    q, g = rng.normal(size=(10, 8)), 3 * rng.normal(size=(30, 8))
    space = prepare(q, g, "released")
    np.testing.assert_allclose(distance_of(space, levels(space)), released(q, g), atol=1e-8)
    order = np.argsort(released(q, g)[0])
    assert (np.argsort(levels(space)[0]) == order).all()
    assert (np.argsort(direct(q, g)[0]) != order).any()  # it is another distance


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_scaling_by_anything_moves_levels_by_rounding_only(seed, factor):
    rng = np.random.default_rng(seed)
    q, g = rng.normal(size=(4, 3)), rng.normal(size=(9, 3))
    one, other = levels(prepare(q, g)), levels(prepare(q * factor, g * factor))
    assert np.abs(one - other).max() <= 1 and (one != other).mean() < 0.2


@pytest.mark.parametrize(
    "q, g, word",
    [
        (np.ones((2, 3)), np.ones((2, 4)), "agree"),
        (np.ones(3), np.ones((2, 3)), "^query: "),
        (np.ones((2, 3)), np.ones((0, 3)), "^gallery: "),
        (np.array([[1.0, np.nan]]), np.ones((2, 2)), "finite"),
        (np.ones((2, 2)), np.array([[1.0, np.inf]]), "gallery"),
        (np.ones((2, 2), complex), np.ones((2, 2)), "real"),
    ],
)
def test_bad_embeddings_are_refused_in_one_line(q, g, word):
    with pytest.raises(InputError, match=word) as error:
        squared_distances(q, g)
    assert "\n" not in str(error.value)


def test_the_refusal_counts_embeddings_not_numbers():
    v = np.ones((5, 4))
    v[1, :2] = v[3, 0] = np.nan
    with pytest.raises(InputError, match=r"^gallery: 2 of 5 embeddings are not finite"):
        prepare(np.ones((1, 4)), v)


@pytest.mark.parametrize("kind, dtype", [("euclidean", "int32"), ("released", "int64")])
def test_levels_are_integers(kind, dtype):
    assert levels(prepare(np.ones((2, 3)), np.ones((4, 3)), kind)).dtype == dtype


def test_a_level_of_the_released_distance():
    q, g = np.full((2, 3), 5.0), np.full((4, 3), 7.0)
    space = prepare(q, g, "released")
    assert space.scale == 4  # a power of two below the largest number
    middle = 1e-6 * 3 * 2**2  # the median is 0: a millionth of the largest
    np.testing.assert_allclose(space.unit * space.scale**0.75, 1e-9 * np.sqrt(middle) ** 0.75, rtol=1e-12)
    space = prepare(np.concatenate([q, q - 4, q]), g, "released")  # median 3·2²
    np.testing.assert_allclose(space.unit * space.scale**0.75, 1e-9 * np.sqrt(3 * 4) ** 0.75, rtol=1e-12)


def test_factors_are_made_where_they_are_asked_for():
    v = np.random.default_rng(0).normal(size=(4, 3))
    light, whole = prepare(v, v, whole=False), prepare(v, v)
    assert light.left is None and light.right is None
    for one, other in zip(with_factors(light), whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert with_factors(prepare(v, v, "released")).left is None


def test_blocks_of_all_cores_fit_in_memory(monkeypatch):
    monkeypatch.setattr("cmir_ref.retrieval.distances.cores", lambda: 4)
    for rows, row_bytes, memory in ((1000, 1000, 1), (1000, 2**20, 100), (1000, 2**20, 1000), (7, 2**20, 10_000)):
        parts = blocks(rows, row_bytes, memory)
        assert [i for part in parts for i in range(rows)[part]] == list(range(rows))
        longest = max(part.stop - part.start for part in parts)
        assert longest == min(rows, int(min(memory / 4, 64) * 2**20 / row_bytes))
    assert [part.stop - part.start for part in blocks(5, 10**9, 1)] == [1] * 5, "one row at least"
    assert [part.stop for part in blocks(5, 1, 512, most=2)] == [2, 4, 5]


def cosine_by_hand(q, g):
    """1 − cos, pair by pair; a vector of zeros is at right angles to all but another one."""
    out = np.empty((len(q), len(g)))
    for i, a in enumerate(q.astype(float)):
        for j, b in enumerate(g.astype(float)):
            a2, b2 = sum(x * x for x in a), sum(x * x for x in b)
            if a2 == 0 or b2 == 0:
                out[i, j] = 0 if a2 == b2 == 0 else 1
            else:
                out[i, j] = 1 - sum(x * y for x, y in zip(a, b, strict=True)) / (a2 * b2) ** 0.5
    return out


@pytest.mark.parametrize("offset", [0, 3, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cosine_is_the_angle_at_the_origin(offset, dtype):
    rng = np.random.default_rng(5)
    q, g = ((rng.normal(size=(n, 4)) + offset).astype(dtype) for n in (12, 17))
    q[3] = g[[2, 9]] = 0
    g[4] = -q[0]
    space = prepare(q, g, "cosine")
    got = distance_of(space, levels(space))
    np.testing.assert_allclose(got, cosine_by_hand(q, g), atol=1e-7)
    assert got[3, 2] == got[3, 9] == 0, "vectors of zeros tie with each other"
    others = np.delete(levels(space)[3], [2, 9])
    assert len(set(others)) == 1 and others[0] * space.unit == pytest.approx(2), "and with nothing else: all are at 1"
    assert got[0, 4] == pytest.approx(2)


@pytest.mark.parametrize("lengths", [(1, 3), (1e-300, 1e300), (0.1, 7)])
def test_cosine_does_not_see_length(lengths):
    rng = np.random.default_rng(6)
    q, g = rng.normal(size=(30, 5)), rng.normal(size=(40, 5))
    expected = levels(prepare(q, g, "cosine")).astype(int)
    scaled = g * rng.choice(lengths, (40, 1))
    assert np.abs(levels(prepare(q, scaled, "cosine")) - expected).max() <= 1
    twins = np.concatenate([g, g * lengths[0]])
    level = levels(prepare(g, twins, "cosine"))
    assert not level[np.arange(40), np.arange(40)].any() and not level[np.arange(40), 40 + np.arange(40)].any()


def test_cosine_of_a_pair_does_not_depend_on_the_rest_of_the_gallery():
    rng = np.random.default_rng(7)
    q, g = rng.normal(size=(9, 5)) + 4, rng.normal(size=(20, 5)) + 4
    whole, alone = prepare(q, g, "cosine"), prepare(q[:1], g[:1], "cosine")
    of_whole, of_alone = (distance_of(space, levels(space)) for space in (whole, alone))
    assert of_alone[0, 0] == pytest.approx(of_whole[0, 0], abs=1e-7) and of_whole.std() > 1e-3


def test_an_unknown_distance_is_refused():
    with pytest.raises(InputError, match=r"^distance: 'manhattan' is none of euclidean, cosine, released$"):
        prepare(np.ones((1, 2)), np.ones((1, 2)), "manhattan")


def test_arguments_are_not_written_to():
    q, g = boundary_set()
    copies = q.copy(), g.copy()
    levels(prepare(q, g)), levels(prepare(q, g, "released"))
    np.testing.assert_array_equal(q, copies[0])
    np.testing.assert_array_equal(g, copies[1])
