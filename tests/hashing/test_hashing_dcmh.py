"""DCMH's objective entry by entry, its codes, and its networks."""

from itertools import product

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.hashing.dcmh import (
    dcmh,
    dcmh_backward,
    hash_codes,
    init_hash_network,
    likelihood,
    likelihood_backward,
    relaxed_codes,
    shared_codes,
)

RANDOM = np.random.default_rng(0)
F, G = RANDOM.standard_normal((4, 3)), RANDOM.standard_normal((5, 3))
S = np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [1, 0, 0, 1, 1]])
B_F, B_G = np.where(RANDOM.random((4, 3)) < 0.5, 1, -1), np.where(RANDOM.random((5, 3)) < 0.5, 1, -1)


def test_likelihood_of_every_pair_of_samples():
    expected = 0.0
    for i, j in product(range(4), range(5)):
        p = 1 / (1 + np.exp(-0.5 * F[i] @ G[j]))
        expected -= np.log(p if S[i, j] else 1 - p)
    assert likelihood(F, G, S)[0] == pytest.approx(expected, rel=1e-13)


def test_the_formula_entry_by_entry():
    rest = np.array([2.0, -1.0, 0.5])
    expected = likelihood(F, G, S)[0]
    for out, b, added in ((F, B_F, rest), (G, B_G, 0)):
        expected += 0.7 * sum((out[i, k] - b[i, k]) ** 2 for i in range(len(out)) for k in range(3))
        expected += 0.3 * sum(t**2 for t in sum(out) + added)
    loss, cache = dcmh(F, G, S, B_F, B_G, gamma=0.7, eta=0.3, rest_f=rest)
    assert loss == pytest.approx(expected, rel=1e-13)
    parts = cache.parts
    assert loss == pytest.approx(parts["likelihood"] + 0.7 * parts["quantisation"] + 0.3 * parts["balance"], rel=1e-13)


def test_weights_are_one_unless_given():
    parts = dcmh(F, G, S, B_F, B_G)[1].parts
    assert dcmh(F, G, S, B_F, B_G)[0] == pytest.approx(sum(parts.values()), rel=1e-13)


def test_outputs_of_any_size_overflow_nowhere_and_are_judged_by_their_signs():
    f, g = np.array([[1e3], [-1e3]], np.float32), np.array([[1e3]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        value, cache = likelihood(f, g, np.array([[1], [0]]))
        assert value == 0
        wrong, worst = likelihood(f, g, np.array([[0], [1]]))
    assert wrong == pytest.approx(1e6)
    np.testing.assert_array_equal(cache.slope, [[0], [0]])
    np.testing.assert_array_equal(worst.slope, [[1], [-1]])


def test_the_slope_of_a_right_answer_is_small_and_exact():
    """σ(Θ) − 1 would be 0 in float64 from Θ = 37 on."""
    _, cache = likelihood(np.array([[10.0]]), np.array([[10.0]]), np.array([[1]]))
    assert cache.slope.item() == pytest.approx(-np.exp(-50.0), rel=1e-12, abs=0)


def test_the_gradient_for_a_batch_is_that_of_all_pairs():
    """∂J/∂F = ½ (σ(Θ) − S) G + 2γ (F − B) + 2η 1 (1ᵀF): its rows, from a batch and the sum of the others."""
    random = np.random.default_rng(1)
    f, g = random.standard_normal((6, 3)), random.standard_normal((6, 3))
    similar, b = random.random((6, 6)) < 0.4, shared_codes(f, g)
    theta = f @ g.T / 2
    whole = 0.5 * (1 / (1 + np.exp(-theta)) - similar) @ g + 2 * 0.7 * (f - b) + 2 * 0.3 * f.sum(axis=0)
    all_pairs = dcmh_backward(1.0, dcmh(f, g, similar, b, b, gamma=0.7, eta=0.3)[1])[0]
    np.testing.assert_allclose(all_pairs, whole, rtol=1e-12)
    rows = np.array([4, 1])
    rest = np.delete(f, rows, axis=0).sum(axis=0)
    batch = dcmh(f[rows], g, similar[rows], b[rows], b, gamma=0.7, eta=0.3, rest_f=rest)[1]
    np.testing.assert_allclose(dcmh_backward(1.0, batch)[0], whole[rows], rtol=1e-12)


def test_shared_codes_minimise_the_objective():
    f, g = F, G[:4]
    best = shared_codes(f, g)
    found = {b: dcmh(f, g, S[:, :4], (c := np.reshape(b, f.shape)), c)[0] for b in product((-1, 1), repeat=f.size)}
    assert min(found, key=found.get) == tuple(best.ravel())


def test_a_code_is_the_sign_of_a_dense_network():
    params = init_hash_network(5, 4, np.random.default_rng(3), hidden=7)
    z = np.random.default_rng(4).standard_normal((6, 5))
    hidden = np.maximum(z @ params["hash.1.w"] + params["hash.1.b"], 0)
    expected = hidden @ params["hash.2.w"] + params["hash.2.b"]
    np.testing.assert_allclose(relaxed_codes(params, z)[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(hash_codes(params, z), np.sign(expected))
    assert expected.min() < 0 < expected.max()


def test_a_network_starts_near_zero():
    params = init_hash_network(500, 300, np.random.default_rng(5), hidden=400)
    assert params["hash.1.w"].std() == pytest.approx(np.sqrt(2 / 500), rel=0.02)
    assert params["hash.2.w"].std() == pytest.approx(0.1 * np.sqrt(2 / 400), rel=0.02)
    assert not params["hash.1.b"].any() and not params["hash.2.b"].any()


PARAMS = init_hash_network(3, 2, np.random.default_rng(6), hidden=4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: likelihood(F, G, S.T), r"similar \(5, 4\).*expected \(4, 5\)"),
        (lambda: likelihood(F, G[:, :2], S), "similar"),
        (lambda: dcmh(F, G, S, B_G, B_G), r"b_f \(5, 3\) for outputs \(4, 3\)"),
        (lambda: dcmh(F, G, S, B_F, B_F), r"b_g \(4, 3\) for outputs \(5, 3\)"),
        (lambda: shared_codes(F, G), "codes are shared"),
        (lambda: hash_codes(PARAMS, np.ones((2, 4))), "z has 4 columns, but the network takes 3"),
        (lambda: hash_codes(PARAMS, np.full((2, 3), np.nan)), "z: not all features are finite"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says) as error:
        call()
    assert "\n" not in str(error.value)


def test_the_gradient_at_outputs_of_zero():
    """Θ = 0 everywhere: nothing but codes pulls."""
    zero = np.zeros((2, 3))
    df, dg = likelihood_backward(1.0, likelihood(zero, zero, np.eye(2))[1])
    np.testing.assert_array_equal([df, dg], np.zeros((2, 2, 3)))
