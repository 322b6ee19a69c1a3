"""Theory's thresholds of the collapse against descent on small problems."""

import alpha
import numpy as np
import pytest
from alpha import is_encoder, is_encoder_matrix, norm, pick, problem, start, without
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import Readings, Weights
from cmir_ref.cmirnet.collapse_theory import certain_from, minimum_from, pulls

SEED = st.integers(0, 2**32 - 1)


def is_encoder_bias(name):
    return is_encoder(name) and name.endswith("b")


def made(depth, reading, seed=0):
    """(problem without R, parameters of zero matrices and the encoders' biases at their best)."""
    p = problem(
        seed,
        d=4,
        weights=Weights(0.0, 1.0, 0.0, 0.3, 0.0),
        readings=Readings(alpha=0.0, alpha_reading=reading),
        encoder_activation="linear",
        encoder_depth=depth,
    )
    return p, alpha.descend(p, without(start(p, seed), is_encoder), 0.3, 300, is_encoder_bias)


def pull_of(p, params):
    """{modality: G} by the function under test."""
    return pulls(params, p.z, (p.y, p.y), arch=p.arch, weights=p.weights, readings=p.readings)


def both(g):
    return np.linalg.norm(g, 2), np.linalg.norm(g)


@given(SEED)
def test_the_pull_is_the_class_moment_and_the_cross_moment_seen_through_the_heads(seed):
    """G_a = −λ₂ M_a W_cᵀ − 2λ₄ C w_abᵀ, M_a = Z_aᵀ(Y − p̄)/2n, C = Z_aᵀ(Z_b − z̄_b)/n, at any biases."""
    p = problem(seed, weights=Weights(0.2, 0.7, 0.1, 0.3, 5.0), encoder_activation="linear", encoder_depth=2)
    params, rows = start(p, seed), p.z[0].shape[1]
    expected = -0.7 * alpha.class_moment(p)[:rows] @ params["classifier.w"].T
    expected = expected - 0.6 * alpha.cross_moment(p) @ params["decoder_ab.1.w"].T
    np.testing.assert_allclose(pull_of(p, params)["a"], expected, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_biases_at_their_best_it_is_the_gradient_at_zero_of_one_layer(seed):
    p, params = made(1, "norm", seed)
    grads = alpha.evaluate(p, params)[1]
    for m, g in pull_of(p, params).items():
        np.testing.assert_allclose(g, grads[f"encoder_{m}.1.w"], atol=1e-3)


def aligned(p, params, size):
    """Matrices of norm `size` whose product points where the data pull: the worst case of the bound."""
    params = dict(params)
    for m, g in pull_of(p, params).items():
        left, _, right = np.linalg.svd(g)
        first = np.eye(g.shape[0])[0]
        chain = [left[:, 0], *[first] * (p.arch.encoder_depth - 1), -right[0]]
        if p.arch.encoder_depth == 1:  # the nearest to G itself
            params[f"encoder_{m}.1.w"] = -size * g / np.linalg.norm(g)
            continue
        for i in range(p.arch.encoder_depth):
            params[f"encoder_{m}.{i + 1}.w"] = size * np.outer(chain[i], chain[i + 1])
    return params


def sizes(params):
    return np.array(
        [norm(pick(params, lambda k, m=m: k.startswith(f"encoder_{m}") and k.endswith("w")).values()) for m in "ab"]
    )


@pytest.mark.parametrize(
    ("depth", "reading", "size", "rate", "steps"),
    [
        (2, "norm", 0.05, 0.2, 500),
        (3, "norm", 0.3, 0.3, 400),
        (4, "norm", 0.4, 0.3, 800),
        (1, "released", 0.02, 0.002, 200),
        (2, "released", 0.1, 0.05, 800),
        (3, "released", 0.3, 0.1, 800),
    ],
)
def test_just_above_the_certain_lambda5_descent_ends_at_zero_and_just_below_it_does_not(
    depth, reading, size, rate, steps
):
    """From the worst start, heads held, encoders' biases free. Each modality has its own threshold."""
    p, params = made(depth, reading)
    params = aligned(p, params, size)
    limits = [certain_from(depth, reading, both(g), [size] * depth) for g in pull_of(p, params).values()]
    above, below = (
        sizes(alpha.descend(p._replace(weights=p.weights._replace(regulariser=r)), params, rate, steps, is_encoder))
        for r in (1.15 * max(limits), 0.87 * min(limits))
    )
    assert (above < 0.3 * sizes(params)).all() and (below > 1.05 * sizes(params)).all()


@pytest.mark.parametrize("reading", ["norm", "released"])
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_above_it_every_start_loses_size_at_once(seed, depth, reading):
    """ds/dt < 0 from any matrices: −⟨W, ∇⟩ < 0 for every draw."""
    p, params = made(depth, reading, seed % 3)
    params |= {k: 3 * v for k, v in pick(start(p, seed), is_encoder_matrix).items()}
    for m, g in pull_of(p, params).items():
        names = [f"encoder_{m}.{i}.w" for i in range(1, depth + 1)]
        limit = certain_from(depth, reading, both(g), [norm([params[k]]) for k in names])
        held = p._replace(weights=p.weights._replace(regulariser=1.001 * limit))
        still = alpha.descend(held, params, 0.3, 300, lambda k, m=m: k == f"encoder_{m}.{depth}.b")
        grads = alpha.evaluate(held, still)[1]
        assert sum((grads[k] * still[k]).sum() for k in names) > 0


@pytest.mark.parametrize("depth", [2, 3])
def test_w_0_is_a_minimum_from_the_curvature_that_theory_says(depth):
    p, params = made(depth, "norm")
    limit = max(minimum_from(depth, "norm", both(g)) for g in pull_of(p, params).values())
    for factor in (0.9, 1.1):
        held = p._replace(weights=p.weights._replace(regulariser=factor * limit if depth == 2 else 1e-3))
        smallest = np.linalg.eigvalsh(alpha.hessian(held, params, is_encoder_matrix))[0]
        assert (smallest > 0) == (factor > 1 or depth == 3)


def test_one_layer_under_the_norm_reading_has_no_threshold():
    assert minimum_from(1, "norm", (2.0, 3.0)) == certain_from(1, "norm", (2.0, 3.0), [1.0]) == np.inf
    assert minimum_from(1, "released", (2.0, 3.0)) == certain_from(1, "released", (2.0, 3.0), [1.0]) == 3.0
    assert minimum_from(2, "released", (2.0, 3.0)) == minimum_from(3, "norm", (2.0, 3.0)) == 0.0
