"""The reconstruction of SIDHCNN: DCMH and similarity within each source."""

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.hashing.dcmh import dcmh, dcmh_backward
from cmir_ref.hashing.sidhcnn import sidhcnn, sidhcnn_backward

RANDOM = np.random.default_rng(0)
F, G = RANDOM.standard_normal((2, 5, 3))
B = np.where(RANDOM.random((5, 3)) < 0.5, 1, -1)
LABELS = np.array([0, 1, 0, 2, 1])
S = LABELS[:, None] == LABELS


def cross_entropy(theta):
    p = 1 / (1 + np.exp(-theta))
    return -np.log(np.where(S, p, 1 - p)).sum()


def test_dcmh_and_similarity_within_each_source():
    within = cross_entropy(F @ F.T / 2) + cross_entropy(G @ G.T / 2)
    expected = cross_entropy(F @ G.T / 2) + 0.6 * within
    expected += 0.7 * (((B - F) ** 2).sum() + ((B - G) ** 2).sum())
    expected += 0.3 * ((F.sum(axis=0) ** 2).sum() + (G.sum(axis=0) ** 2).sum())
    loss, cache = sidhcnn(F, G, S, B, mu=0.6, gamma=0.7, eta=0.3)
    assert loss == pytest.approx(expected, rel=1e-13)
    assert cache.parts["within"] == pytest.approx(within, rel=1e-13)
    assert cache.parts.keys() == {"likelihood", "within", "quantisation", "balance"}


def test_the_gradient_within_a_source_has_both_sides():
    """½ (E + Eᵀ) F, E = σ(½ F Fᵀ) − S."""
    one, other = (sidhcnn(F, G, S, B, mu=mu, gamma=0, eta=0)[1] for mu in (1, 0))
    found = [d - d_0 for d, d_0 in zip(sidhcnn_backward(1.0, one), sidhcnn_backward(1.0, other), strict=True)]
    for out, d in zip((F, G), found, strict=True):
        e = 1 / (1 + np.exp(-out @ out.T / 2)) - S
        np.testing.assert_allclose(d, 0.5 * (e + e.T) @ out, rtol=1e-12)


def test_without_mu_it_is_dcmh():
    loss, cache = sidhcnn(F, G, S, B, mu=0)
    plain, plain_cache = dcmh(F, G, S, B, B)
    assert loss == plain
    np.testing.assert_array_equal(sidhcnn_backward(2.0, cache), dcmh_backward(2.0, plain_cache))


def test_exchanging_the_sources_exchanges_the_gradients():
    one, cache = sidhcnn(F, G, S, B)
    other, exchanged = sidhcnn(G, F, S, B)
    assert one == pytest.approx(other, rel=1e-13)
    df, dg = sidhcnn_backward(1.0, cache)
    np.testing.assert_allclose(sidhcnn_backward(1.0, exchanged), [dg, df], rtol=1e-12)


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"similar \(4, 5\)"):
        sidhcnn(F, G, S[:4], B)
    with pytest.raises(InputError, match=r"b_f \(4, 3\)"):
        sidhcnn(F, G, S, B[:4])
