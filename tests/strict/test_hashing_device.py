"""The comparators on the stand-in for CuPy, and on CuPy, give what they give on NumPy."""

import numpy as np
import pytest
from strict.moves import assert_same, moved

from cmir_ref.hashing.baselines import class_probabilities
from cmir_ref.hashing.cca import cca
from cmir_ref.hashing.codes import centred_signs, project_features, storage_bits
from cmir_ref.hashing.dcmh import hash_codes
from cmir_ref.hashing.fit import HashingSettings, fit_dcmh, fit_sidhcnn
from cmir_ref.hashing.scm import scm_orthogonal, scm_sequential
from cmir_ref.retrieval.translation import through_pairs

RANDOM = np.random.default_rng(0)
LABELS = np.arange(24) % 4
Z_A, Z_B = (RANDOM.standard_normal((4, d))[LABELS] + 0.5 * RANDOM.standard_normal((24, d)) for d in (6, 5))
LINEAR = {"cca": lambda a, b, y: cca(a, b, 3), "orthogonal": lambda *x: scm_orthogonal(*x, 3)}
LINEAR["sequential"] = lambda *x: scm_sequential(*x, 5)


@pytest.mark.parametrize("method", LINEAR)
def test_linear_methods(method, xp):
    def products(a, b, y):  # a pair of directions may be turned round
        found = LINEAR[method](a, b, y)
        return project_features(a, found.a) @ project_features(b, found.b).T, found[2]

    assert_same(xp, products(*moved((Z_A, Z_B, LABELS), xp.asarray)), products(Z_A, Z_B, LABELS))


@pytest.mark.parametrize("fit", [fit_dcmh, fit_sidhcnn])
def test_networks(fit, xp):
    settings = HashingSettings(bits=4, hidden=6, epochs=2, batch_size=10)
    expected, found = fit(Z_A, Z_B, LABELS, settings), fit(*moved((Z_A, Z_B, LABELS), xp.asarray), settings)
    assert found.losses == pytest.approx(expected.losses, rel=1e-5)
    assert_same(xp, hash_codes(found.b, xp.asarray(Z_B)), hash_codes(expected.b, Z_B))
    assert_same(xp, found.codes, expected.codes)


def test_embeddings_without_training(xp):
    a, b = moved((Z_A, Z_B), xp.asarray)
    assert_same(xp, class_probabilities(a), class_probabilities(Z_A))
    assert_same(xp, class_probabilities(a, "sigmoid"), class_probabilities(Z_A, "sigmoid"))
    assert_same(xp, centred_signs(a, a.mean(axis=0)), centred_signs(Z_A, Z_A.mean(axis=0)))
    assert_same(xp, through_pairs(a, a, b, k=3), through_pairs(Z_A, Z_A, Z_B, k=3))
    assert storage_bits(a) == 32 * 6
