"""SCM against its definition: the similarity matrix formed, the eigenproblem solved as a whole, residuals counted."""

import numpy as np
import pytest
import scipy.linalg

from cmir_ref.errors import InputError
from cmir_ref.hashing.cca import cca
from cmir_ref.hashing.codes import codes
from cmir_ref.hashing.scm import scm_orthogonal, scm_sequential


def world(n=120, classes=8, d_a=20, d_b=18, noise=0.7, seed=0):
    """Features around the centres of their class: (z_a, z_b, labels)."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    z = [random.standard_normal((classes, d))[labels] + noise * random.standard_normal((n, d)) for d in (d_a, d_b)]
    return *z, labels


def several(n=90, classes=5):
    """The same with one to three labels a sample, and one sample without."""
    random = np.random.default_rng(1)
    hot = (random.random((n, classes)) < 0.35).astype(np.uint8)
    hot[np.arange(n), np.arange(n) % classes] = 1
    hot[3] = 0
    z = [hot @ random.standard_normal((classes, d)) + random.standard_normal((n, d)) for d in (7, 6)]
    return *z, hot


def similarity(labels):
    """S, sample by sample: the cosine of two label rows, from [0, 1] to [−1, 1]."""
    hot = labels if labels.ndim == 2 else np.eye(labels.max() + 1)[labels]
    rows = [row / max(np.sqrt((row.astype(float) ** 2).sum()), 1e-30) for row in hot]
    return np.array([[2 * one @ other - 1 for other in rows] for one in rows])


def centred(z):
    return z - z.mean(axis=0)


def test_orthogonal_is_the_whole_eigenproblem():
    z_a, z_b, labels = several()
    x, y = centred(z_a), centred(z_b)
    c = x.T @ similarity(labels) @ y
    a, b = len(c), len(c.T)
    left = np.block([[np.zeros((a, a)), c], [c.T, np.zeros((b, b))]])
    values, vectors = scipy.linalg.eigh(left, scipy.linalg.block_diag(x.T @ x, y.T @ y))
    found = scm_orthogonal(z_a, z_b, labels, 4, ridge=0)
    np.testing.assert_allclose(found.values, values[::-1][:4], rtol=1e-10)
    scaled = vectors[:, ::-1][:, :4] * np.sqrt(2 * len(x))  # half of wᵀBw = 1 belongs to each side; ours has N
    turn = np.sign((scaled[:a] * found.a.w).sum(axis=0))  # the sign of a pair is free
    np.testing.assert_allclose(found.a.w, scaled[:a] * turn, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.b.w, scaled[a:] * turn, rtol=1e-8, atol=1e-10)


def test_orthogonal_projections_are_decorrelated():
    z_a, z_b, labels = several()
    found = scm_orthogonal(z_a, z_b, labels, 5, ridge=0)
    for z, projection in ((z_a, found.a), (z_b, found.b)):
        p = (z - projection.mean) @ projection.w
        np.testing.assert_allclose(p.T @ p, len(z) * np.eye(5), atol=1e-9)


def test_no_more_directions_than_classes_say_anything_about_them():
    z_a, z_b, labels = world(classes=8)
    c = centred(z_a).T @ similarity(labels) @ centred(z_b)
    assert np.linalg.matrix_rank(z_a.T @ similarity(labels) @ z_b) <= 8 + 1
    assert np.linalg.matrix_rank(c) == 8 - 1
    found = scm_orthogonal(z_a, z_b, labels, 16)
    assert np.all(found.values[:7] > 0.1 * found.values[0])
    np.testing.assert_allclose(found.values[7:], 0, atol=1e-10 * found.values[0])


def residuals(z_a, z_b, labels, found, bits):
    """c S, and what each bit leaves of it."""
    left = [bits * similarity(labels)]
    for h, g in zip(codes(z_a, found.a).T, codes(z_b, found.b).T, strict=True):
        left.append(left[-1] - np.outer(h, g))
    return left


@pytest.mark.parametrize("data", [world, several])
def test_each_sequential_bit_is_the_leading_pair_of_its_residual(data):
    z_a, z_b, labels = data()
    bits = 5
    found = scm_sequential(z_a, z_b, labels, bits, ridge=0)
    x, y = centred(z_a), centred(z_b)
    roots = [scipy.linalg.inv(scipy.linalg.sqrtm(m.T @ m).real) for m in (x, y)]
    left = residuals(z_a, z_b, labels, found, bits)
    assert found.supervised >= 4
    for t in range(found.supervised):
        c = roots[0] @ x.T @ left[t] @ y @ roots[1]
        assert found.values[t] == pytest.approx(scipy.linalg.svdvals(c)[0], rel=1e-9)
        w_a, w_b = found.a.w[:, t], found.b.w[:, t]
        np.testing.assert_allclose([w @ m.T @ m @ w for w, m in ((w_a, x), (w_b, y))], len(x), rtol=1e-9)
        assert w_a @ x.T @ left[t] @ y @ w_b == pytest.approx(len(x) * found.values[t], rel=1e-9)


def test_the_first_sequential_bit_is_the_leading_pair_of_all():
    z_a, z_b, labels = several()
    one, all_at_once = scm_sequential(z_a, z_b, labels, 5), scm_orthogonal(z_a, z_b, labels, 5)
    np.testing.assert_allclose(one.a.w[:, 0], all_at_once.a.w[:, 0], rtol=1e-9)
    np.testing.assert_allclose(one.b.w[:, 0], all_at_once.b.w[:, 0], rtol=1e-9)
    assert one.values[0] == pytest.approx(5 * all_at_once.values[0], rel=1e-12)


def test_every_bit_brings_the_codes_nearer_to_the_similarity():
    z_a, z_b, labels = world()
    found = scm_sequential(z_a, z_b, labels, 12)
    assert found.supervised == 12
    sizes = [(r * r).sum() for r in residuals(z_a, z_b, labels, found, 12)]
    assert np.all(np.diff(sizes) < 0)


def test_where_the_labels_have_no_more_to_say_bits_are_canonical_directions():
    z_a, z_b, labels = world(noise=3)
    bits = 16
    found = scm_sequential(z_a, z_b, labels, bits)
    k = found.supervised
    assert 0 < k < bits
    assert np.all(np.diff(found.values[:k]) <= 0)
    plain = cca(z_a, z_b, bits - k)
    np.testing.assert_allclose(found.a.w[:, k:], plain.a.w, rtol=1e-12)
    np.testing.assert_allclose(found.b.w[:, k:], plain.b.w, rtol=1e-12)
    np.testing.assert_allclose(found.values[k:], plain.correlations, rtol=1e-12)


@pytest.mark.parametrize("fit", [scm_orthogonal, scm_sequential])
def test_the_scale_of_the_features_does_not_matter_and_float32_will_do(fit):
    z_a, z_b, labels = world()
    found, scaled = fit(z_a, z_b, labels, 7), fit((50 * z_a).astype(np.float32), 0.02 * z_b, labels, 7)
    agree = codes(z_a, found.a) == codes(50 * z_a, scaled.a)
    turned = agree.mean(axis=0).round()  # a pair may be turned round: no distance changes
    assert np.mean(agree == turned) > 0.99


X, Y, LABELS = world(24, classes=3, d_a=4, d_b=5)


@pytest.mark.parametrize("fit", [scm_orthogonal, scm_sequential])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bits": 5}, "5 directions: expected 1 to 4"),
        ({"labels": LABELS[:-1]}, "labels: expected"),
        ({"z_b": Y[:-1]}, "z_a has 24 rows and z_b 23"),
        ({"z_a": X * np.nan}, "z_a: not all features are finite"),
        ({"z_b": Y * 0 + 1}, "z_b: all rows are equal"),
    ],
)
def test_bad_input_is_named(fit, change, says):
    with pytest.raises(InputError, match=says) as error:
        fit(**{"z_a": X, "z_b": Y, "labels": LABELS, "bits": 2} | change)
    assert "\n" not in str(error.value)
