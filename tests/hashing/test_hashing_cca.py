"""CCA: by its definition, by what it is invariant to, and as scikit-learn computes it."""

import numpy as np
import pytest
import scipy.linalg

from cmir_ref.errors import InputError
from cmir_ref.hashing.cca import cca
from cmir_ref.hashing.codes import project_features


def related(n=200, d_a=6, d_b=5, seed=0):
    """Features that share three directions, more or less, and are correlated within themselves."""
    random = np.random.default_rng(seed)
    common = random.standard_normal((n, 3)) * [1, 0.6, 0.3]
    x, y = (common @ random.standard_normal((3, d)) + random.standard_normal((n, d)) for d in (d_a, d_b))
    return x @ random.standard_normal((d_a, d_a)) + 3, y @ random.standard_normal((d_b, d_b)) - 1


def test_embeddings_are_uncorrelated_and_pairs_of_them_correlated_as_it_says():
    x, y = related()
    found = cca(x, y, 4, ridge=0)
    u, v = project_features(x, found.a), project_features(y, found.b)
    together = np.cov(np.hstack([u, v]).T, bias=True)
    np.testing.assert_allclose(together[:4, :4], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(together[4:, 4:], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(together[:4, 4:], np.diag(found.correlations), atol=1e-12)
    assert np.all(np.diff(found.correlations) < 0) and found.correlations[0] > 0.7
    np.testing.assert_allclose(np.concatenate([u.mean(axis=0), v.mean(axis=0)]), 0, atol=1e-12)


def test_correlations_and_directions_are_those_of_the_whole_eigenproblem():
    """[0 C_ab; C_ba 0] w = ρ [C_aa 0; 0 C_bb] w, solved by SciPy without whitening."""
    x, y = related()
    found = cca(x, y, 5, ridge=0)
    c = np.cov(np.hstack([x, y]).T, bias=True)
    within = scipy.linalg.block_diag(c[:6, :6], c[6:, 6:])
    values, vectors = scipy.linalg.eigh(c - within, within)
    np.testing.assert_allclose(found.correlations, values[::-1][:5], rtol=1e-10)
    w = vectors[:, ::-1][:, :5] * np.sqrt(2)  # half of wᵀBw = 1 belongs to each side
    turn = np.sign((w[:6] * found.a.w).sum(axis=0))  # the sign of a pair is free
    np.testing.assert_allclose(np.vstack([found.a.w, found.b.w]), w * turn, rtol=1e-7, atol=1e-9)


def test_no_other_direction_is_more_correlated():
    x, y = related()
    best = cca(x, y, 1, ridge=0).correlations[0]
    random = np.random.default_rng(1)
    for _ in range(200):
        u, v = x @ random.standard_normal(x.shape[1]), y @ random.standard_normal(y.shape[1])
        assert abs(np.corrcoef(u, v)[0, 1]) < best


def test_invertible_maps_and_shifts_of_either_side_leave_the_correlations():
    x, y = related()
    random = np.random.default_rng(2)
    expected = cca(x, y, 5, ridge=0).correlations
    mapped_x, mapped_y = x @ random.standard_normal((6, 6)) + 7, y @ random.standard_normal((5, 5))
    np.testing.assert_allclose(cca(mapped_x, mapped_y, 5, ridge=0).correlations, expected, rtol=1e-9)
    np.testing.assert_allclose(cca(y, x, 5, ridge=0).correlations, expected, rtol=1e-12)


def test_the_ridge_does_not_depend_on_the_scale_of_the_features():
    x, y = related()
    one, other = cca(x, y, 3, ridge=0.1), cca(1000 * x, y / 1000, 3, ridge=0.1)
    np.testing.assert_allclose(one.correlations, other.correlations, rtol=1e-10)
    assert one.correlations[0] < cca(x, y, 3, ridge=0).correlations[0]


def test_dead_and_repeated_features_change_nothing_that_is_seen():
    x, y = related()
    wide = np.hstack([x, np.zeros((len(x), 2)), x[:, :1]])
    found = cca(wide, y, 4, ridge=1e-9)
    np.testing.assert_allclose(found.correlations, cca(x, y, 4, ridge=0).correlations, rtol=1e-5)
    assert cca(wide, y, 4).correlations[0] <= found.correlations[0]


def test_the_correlations_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.cross_decomposition", reason="needs scikit-learn (extra bench)")
    x, y = related()
    theirs = decomposition.CCA(n_components=3, max_iter=10_000, tol=1e-14).fit(x, y)
    u, v = theirs.transform(x, y)
    correlations = [np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(3)]
    found = cca(x, y, 3, ridge=0)
    np.testing.assert_allclose(found.correlations, correlations, rtol=1e-6)
    ours = project_features(x, found.a)
    np.testing.assert_allclose([abs(np.corrcoef(ours[:, k], u[:, k])[0, 1]) for k in range(3)], 1, rtol=1e-6)


X, Y = related(20)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cca(X, Y, 6), "6 directions: expected 1 to 5"),
        (lambda: cca(X, Y, 0), "0 directions: expected 1 to 5"),
        (lambda: cca(X, Y[:-1], 2), "z_a has 20 rows and z_b 19"),
        (lambda: cca(X, Y * np.inf, 2), "z_b: not all features are finite"),
        (lambda: cca(0 * X, Y, 2), "z_a: all rows are equal"),
        (lambda: cca(X, np.hstack([Y, Y]), 2, ridge=0), "z_b: features are linearly dependent"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e200])
def test_the_unit_of_the_features_does_not_matter(unit):
    x, y = related()
    one, other = cca(x, y, 3), cca(x * unit, y, 3)
    np.testing.assert_allclose(other.correlations, one.correlations, rtol=1e-10)
    np.testing.assert_allclose(project_features(x * unit, other.a), project_features(x, one.a), atol=1e-9)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e9 + 0.1])
def test_constant_features_are_refused_whatever_their_mean_rounds_to(value):
    x, _ = related()
    with pytest.raises(InputError, match="z_b: all rows are equal"):
        cca(x, np.full((200, 4), value), 2)


@pytest.mark.parametrize("ridge", [-1e-3, float("nan"), float("inf")])
def test_a_ridge_that_is_none_is_refused(ridge):
    with pytest.raises(InputError, match="ridge: expected a number from 0"):
        cca(*related(), 2, ridge=ridge)
