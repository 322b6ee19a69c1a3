"""The collapse as properties: what theory says of α, on the package's own losses by plain gradient descent in float64.

Letters: w the encoder's weights, W_c the classifier's, λ₁ … λ₅ the weights of L2, L3, L4, L5 and R, A the quadratic
form of L2 + L4 + R in the weights, M the class moment Zᵀ(Y − p̄)/N, σ the largest singular value. docs/alpha.md sets
these properties against the paper's claims; whole runs are in `test_collapse.py`.
"""

import ast
import re
from pathlib import Path

import alpha
import numpy as np
import pytest
from alpha import (
    DSRSID,
    OFF,
    UCM,
    class_moment,
    cross_moment,
    descend,
    embeddings_norm,
    evaluate,
    hessian,
    is_encoder,
    is_encoder_matrix,
    measures,
    norm,
    origin,
    pack,
    pick,
    problem,
    promised_steps,
    quadratic,
    second_difference,
    smoothness,
    start,
    step,
    threshold,
    top,
    unpack,
    without,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cmir_ref.cmirnet import Readings, Weights
from cmir_ref.retrieval import average_precision, chance, evaluate_direction, nearest

FEW = settings(max_examples=max(1, settings.default.max_examples // 5))
SEED = st.integers(0, 2**32 - 1)
SQUARES = st.sampled_from(["elementwise", "norm"])  # the readings that are ‖w‖² at α = 0


def positive(low, high):
    return st.floats(low, high, allow_subnormal=False)


@st.composite
def label_free(draw, activation):
    """(problem, start): L2 + L4 + R at α = 0 with any weights, sizes, data and start."""
    weights = Weights(draw(positive(0, 1)), 0.0, draw(positive(0.5, 2)), 0.0, draw(positive(0.3, 2)))
    sizes = {"n": draw(st.integers(4, 20)), "d": draw(st.integers(2, 6)), "d_v": draw(st.integers(1, 4))}
    readings = Readings(alpha=0.0, alpha_reading=draw(SQUARES))
    seed = draw(SEED)
    p = problem(seed, classes=2, weights=weights, readings=readings, encoder_activation=activation, **sizes)
    return p, start(p, seed, draw(positive(0.01, 10)))


# --- L2 + L4 + R alone ---------------------------------------------------------------------------------------------


def layer(params):
    """θ (2D + 2, d_v): the rows w_a, b_a, w_b, b_b of one linear layer."""
    return np.vstack([params[f"encoder_{m}.1.{kind}"] for m in "ab" for kind in "wb"])


@given(label_free("linear"), positive(0.3, 0.99))
def test_without_labels_a_linear_layer_goes_to_zero_in_the_steps_that_contraction_promises(world, share):
    """∇ = 2Aθ, A positive definite, so a step is θ ← (1 − 2ηA)θ. With η = share/L below 1/L, L = 2 λ_max(A), it shrinks
    ‖θ‖ to (1 − share λ_min/λ_max)‖θ‖ at most, and T steps suffice wherever one starts (P1)."""
    p, params = world
    gradient = layer(evaluate(p, params)[1])
    np.testing.assert_allclose(gradient, 2 * quadratic(p) @ layer(params), atol=1e-12 * np.abs(gradient).max())
    steps = promised_steps(p, params, share)
    assert embeddings_norm(p, descend(p, params, share / smoothness(p), steps, is_encoder)) < 1e-8


@given(label_free("relu"), positive(0.3, 0.99))
def test_without_labels_a_relu_layer_goes_to_zero_and_its_parameters_only_shrink(world, share):
    """f(cθ) = c² f(θ), so ⟨∇f, θ⟩ = 2f, and ‖∇f‖² ≤ 2L f: hence ‖θ − η∇f‖² ≤ ‖θ‖² − 2η(2 − ηL) f for η < 1/L. The sum
    of all f is at most ‖θ‖²/2η, and f ≥ λ₃‖V‖²/n, so V goes to 0 although f is not convex (P1, ReLU)."""
    p, params = world
    loss, grads, _ = evaluate(p, params)
    inner = sum((grads[k] * params[k]).sum() for k in pick(params, is_encoder))
    assert inner == pytest.approx(2 * loss, rel=1e-10)
    assert norm(grads.values()) ** 2 <= 2 * smoothness(p) * loss * (1 + 1e-12)
    for c in (0.1, 0.5, 2.0):
        scaled = {k: c * v for k, v in params.items()}
        assert evaluate(p, scaled)[0] == pytest.approx(c * c * loss, rel=1e-10)
    size = norm(pick(params, is_encoder).values())
    rate = share / smoothness(p)
    for _ in range(1000):
        for _ in range(10):
            params = step(p, params, rate, is_encoder)
            before, size = size, norm(pick(params, is_encoder).values())
            assert size <= before
        if embeddings_norm(p, params) < 1e-8:
            return
    raise AssertionError(f"‖V‖ is still {embeddings_norm(p, params):.1e}")


def test_alignment_alone_has_its_minimum_wherever_the_two_encoders_agree():
    """L2 = 0 for every Z_a w_a = Z_b w_b, w = 0 being one of them: what shrinks V is L4 and R."""
    p = problem(weights=OFF._replace(alignment=1.0), encoder_activation="linear")
    p, params = p._replace(z=(p.z[0], p.z[0])), start(p)
    params |= {f"encoder_b.1.{kind}": params[f"encoder_a.1.{kind}"] for kind in "wb"}
    loss, grads, _ = evaluate(p, params)
    assert loss == 0 and norm(grads.values()) == 0 and embeddings_norm(p, params) > 1


def test_the_loss_at_zero_weights_is_zero_without_l3_and_l5_only():
    """With V const L3 is the labels' entropy, L5 the variance of Z: both above 0, and above what descent finds."""
    found = alpha.at_zero()
    assert found["free"] == 0 and found["free trained"] < 1e-12
    assert found["l3"] == pytest.approx(np.log(3), rel=1e-2) and found["l3 trained"] < found["l3"] - 0.1
    assert found["l5 trained"] < found["l5"] - 0.1


# --- a ReLU on the layer that makes V ------------------------------------------------------------------------------

ANY_WEIGHTS = st.builds(Weights, *[positive(0, 100)] * 4, positive(0.001, 100))
ANY_READINGS = st.builds(
    Readings,
    classifier=st.sampled_from(["shared", "separate", "concatenated"]),
    label_losses=st.just(("softmax", "softmax")),
    decoder_target=st.sampled_from(["cross", "own"]),
    target_gradient=st.just("stop"),
    frobenius=st.sampled_from(["squared", "unsquared"]),
    reduction=st.sampled_from(["sum", "mean"]),
    alpha=st.just(0.0),
    alpha_reading=st.sampled_from(["elementwise", "norm", "released"]),
    head_decay=positive(0, 1),
)


@given(SEED, st.integers(1, 3), ANY_WEIGHTS, ANY_READINGS)
def test_a_zero_relu_layer_is_never_left_at_alpha_0(seed, depth, weights, readings):
    """S = HW + 1bᵀ = 0 and relu'(0) = 0, so dS = dV ⊙ relu'(S) = 0 whatever dV is; and R has no slope at W = 0.
    The element-wise reading with α > 0 alone leads away: dW = −2 λ₅ α on every weight."""
    p = problem(seed, d=4, encoder_depth=depth, encoder_activation="relu", classifier=readings.classifier)
    p = p._replace(weights=weights, readings=readings)
    last = [f"encoder_{m}.{depth}." for m in "ab"]
    params = without(start(p, seed), lambda name: name.startswith(tuple(last)))
    grads = evaluate(p, params)[1]
    assert not any(np.any(grads[prefix + kind]) for prefix in last for kind in "wb")
    assert norm(evaluate(p, descend(p, params, 1e-3, 3))[2][:2]) == 0
    above = p._replace(readings=readings._replace(alpha=0.7))
    for prefix in last:
        dw = evaluate(above, params)[1][prefix + "w"]
        expected = -2 * 0.7 * weights.regulariser if readings.alpha_reading == "elementwise" else 0
        np.testing.assert_allclose(dw, np.full_like(dw, expected), rtol=1e-13)


def test_a_linear_layer_at_zero_is_left():
    p = problem(weights=OFF._replace(classification=1.0, regulariser=1.0), encoder_activation="linear")
    grads = evaluate(p, without(start(p), is_encoder))[1]
    assert min(norm([grads[f"encoder_{m}.1.w"]]) for m in "ab") > 0.01


@FEW
@given(SEED, st.sampled_from(["norm", "released"]))
def test_a_dead_relu_unit_stays_dead_under_the_norm_readings_and_wakes_under_the_elementwise(seed, reading):
    """zw + b ≤ 0 on all samples: only R reaches w, along w itself, and scales it; with b ≤ 0 nothing can cross 0 (P6).
    The element-wise reading draws w to α > 0, and Z ≥ 0 then makes every unit positive unless its b forbids it."""
    p = problem(seed, weights=Weights(1, 1, 1, 1, 1), readings=Readings(alpha=1.0, alpha_reading=reading))
    p = p._replace(arch=p.arch._replace(encoder_activation="relu"))
    dead = {k: -np.abs(v) / (1 if k.endswith("w") else 10) if is_encoder(k) else v for k, v in start(p, seed).items()}
    after = descend(p, dead, 0.02, 250)
    assert embeddings_norm(p, dead) == embeddings_norm(p, after) == 0
    for k, w in pick(after, is_encoder_matrix).items():
        np.testing.assert_allclose(w / norm([w]), dead[k] / norm([dead[k]]), rtol=1e-9)
        assert norm([w]) == pytest.approx(1, abs=0.1)
    awake = p._replace(readings=Readings(alpha=1.0, alpha_reading="elementwise"))
    assert embeddings_norm(p, descend(awake, dead, 0.02, 100)) > 1


# --- one regularised layer with cross entropy or decoders ----------------------------------------------------------


@FEW
@given(SEED, positive(0.1, 3), positive(0.01, 20))
def test_with_cross_entropy_the_origin_is_a_strict_saddle_for_every_weight_of_r(seed, l3, l5):
    """At w = W_c = 0 with b_c = log p̄ the gradient is 0 and the Hessian's form 2λ₅‖w‖² − 2λ₂ tr(W_cᵀwᵀM) has no ‖W_c‖²:
    its smallest eigenvalue is λ₅ − √(λ₅² + λ₂²σ(M)²) < 0, d_v times (P2)."""
    p = problem(seed, weights=OFF._replace(classification=l3, regulariser=l5), encoder_activation="linear")
    assert norm(evaluate(p, origin(p))[1].values()) < 1e-13
    expected = l5 - np.hypot(l5, l3 * top(class_moment(p)))
    assert expected < 0
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian(p, origin(p)))[: p.arch.d_v], expected, rtol=1e-5)


@FEW
@given(SEED, positive(0, 3), positive(0, 3), positive(0.01, 20))
def test_alignment_and_norm_terms_do_not_change_that(seed, l2, l4, l5):
    """Along W_c = e vᵀ, θ = ½A⁻¹Mv eᵀ the second difference is −½(Mv)ᵀA⁻¹Mv < 0 for all λ: v any direction of classes,
    e any of V. A is the form over (w, b): an encoder's bias takes the mean out of Z."""
    p = problem(seed, weights=Weights(l2, 1.0, l4, 0.0, l5), encoder_activation="linear")
    p = p._replace(weights=p.weights._replace(feature_norm=l4 + 0.01))  # so that A has an inverse
    v = np.linalg.svd(class_moment(p))[2][0]
    moved = np.linalg.solve(quadratic(p), class_moment(p) @ v) / 2
    direction = {k: np.zeros_like(x) for k, x in origin(p).items()}
    direction["classifier.w"][0] = v
    rows = p.z[0].shape[1]
    for m, part in zip("ab", np.split(moved, 2), strict=True):
        direction[f"encoder_{m}.1.w"][:, 0], direction[f"encoder_{m}.1.b"][0] = part[:rows], part[rows]
    second = second_difference(p, origin(p), direction)
    assert second == pytest.approx(-(class_moment(p) @ v) @ moved, rel=1e-4)
    assert second < 0


@FEW
@given(SEED, positive(0.1, 3), positive(0.01, 20))
def test_with_decoders_it_is_one_too(seed, l4, l5):
    """L5 = ‖Z_a w w_ab − Z_b‖²/n + … : smallest eigenvalue λ₅ − √(λ₅² + 4λ₄²σ(C)²), C = Z_aᵀ(Z_b − z̄_b)/n (P3).
    With the decoders' biases at the mean, V = const costs the variance of Z, not ‖Z‖²."""
    p = problem(seed, weights=OFF._replace(reconstruction=l4, regulariser=l5), encoder_activation="linear")
    loss, grads, _ = evaluate(p, origin(p))
    assert norm(grads.values()) < 1e-12
    assert loss == pytest.approx(l4 * sum(((z - z.mean(axis=0)) ** 2).sum() for z in p.z) / len(p.y))
    sigma = max(top(cross_moment(q)) for q in (p, p._replace(z=p.z[::-1])))
    found = np.linalg.eigvalsh(hessian(p, origin(p)))[0]
    assert found == pytest.approx(l5 - np.hypot(l5, 2 * l4 * sigma), rel=1e-5)


def test_descent_leaves_the_saddle_at_the_rate_of_its_curvature():
    """Beside the saddle the direction of curvature −κ grows by 1 + ηκ a step: slowly where λ₅ is large, never not."""
    p = problem(weights=OFF._replace(classification=3.0, regulariser=1.0), encoder_activation="linear")
    values, vectors = np.linalg.eigh(hessian(p, origin(p)))
    saddle = pack(origin(p))
    params = unpack(saddle + 1e-6 * vectors[:, 0], origin(p))
    params = descend(p, params, 0.1, 300)
    moved = (pack(params) - saddle) @ vectors[:, 0]
    assert moved == pytest.approx(1e-6 * (1 - 0.1 * values[0]) ** 300, rel=1e-3)
    end = descend(p, params, 0.1, 1500)
    assert embeddings_norm(p, end) > 0.5
    assert evaluate(p, end)[0] < evaluate(p, origin(p))[0] - 0.1


@given(SEED, ANY_WEIGHTS, positive(0.1, 3))
def test_no_minimum_is_attained_since_shrinking_v_and_growing_the_head_always_pays(seed, weights, scale):
    """CE sees only VW_c, so along (θ/c, cW_c) L3 stays and dL/d log c = −2(λ₅‖w‖² + λ₁L2 + λ₃L4) < 0: the scale drifts
    to 0, and every stationary point has V = 0 (P2)."""
    p = problem(seed, weights=weights._replace(reconstruction=0.0), encoder_activation="linear")
    params = start(p, seed, scale)
    loss, grads, _ = evaluate(p, params)
    slopes = {k: (grads[k] * v).sum() for k, v in params.items()}
    along = slopes["classifier.w"] - sum(pick(slopes, is_encoder).values())
    quiet = evaluate(p._replace(weights=p.weights._replace(classification=0.0)), params)[0]
    size = sum(abs(s) for s in slopes.values())
    assert along == pytest.approx(-2 * quiet, rel=1e-9, abs=1e-12 * size) and quiet > 0
    moved = {k: v / 2 if is_encoder(k) else 2 * v if k == "classifier.w" else v for k, v in params.items()}
    assert evaluate(p, moved)[0] == pytest.approx(loss - 0.75 * quiet, rel=1e-12)


def test_so_the_scale_shrinks_while_the_head_grows_and_the_ranking_hardly_moves():
    early, late = alpha.scale_drift()
    assert late["v"] < 0.9 * early["v"] and late["w"] < 0.9 * early["w"] and late["head"] > 1.5 * early["head"]
    assert late["map"] == pytest.approx(early["map"], abs=0.03) and late["map"] > late["chance"] + 0.05
    assert late["state"] == "alive"


@given(SEED, positive(1e-6, 1e6))
def test_rankings_do_not_see_the_scale(seed, c):
    """‖cq − cg‖ = c‖q − g‖: average precision and the neighbours of V and cV are the same."""
    random = np.random.default_rng(seed)
    v, labels = random.standard_normal((24, 3)), random.integers(0, 3, 24)
    one, other = (evaluate_direction(s * v[:8], labels[:8], s * v[8:], labels[8:]) for s in (1.0, c))
    assert one == other
    np.testing.assert_array_equal(nearest(v[:8], v[8:], 5)[0], nearest(c * v[:8], c * v[8:], 5)[0])


# --- heads that are decayed too ------------------------------------------------------------------------------------


@FEW
@given(SEED, positive(0, 2), positive(0, 2), positive(0.3, 2), positive(0.5, 5))
def test_the_hessian_at_the_origin_turns_at_the_threshold(seed, l2, l4, l5, l3):
    """With μ‖W_c‖² the form gains a diagonal block: it is ≥ 0 iff λ₂σ(A^{−½}M) ≤ 2√μ, that is μ ≥ μ* (P4)."""
    p = problem(seed, weights=Weights(l2, l3, l4, 0.0, l5), encoder_activation="linear")
    mu = threshold(p)
    smallest = [
        np.linalg.eigvalsh(hessian(p._replace(readings=Readings(head_decay=factor * mu)), origin(p)))[0]
        for factor in (0.8, 1.25)
    ]
    assert smallest[0] < -1e-3 * mu and smallest[1] > -1e-7


@FEW
@given(SEED, positive(0.3, 1), st.sampled_from([1e-3, 0.3, 1.0]))
def test_heads_decayed_beyond_the_threshold_kill_v_from_any_start_and_below_it_do_not(seed, l5, scale):
    """min over wW_c = B of λ₅‖w‖² + μ‖W_c‖² is 2√(λ₅μ)‖B‖_*: the problem is λ₂CE(ZB) + 2√(λ₅μ)‖B‖_*, convex, and B = 0
    is its minimum iff λ₂σ(M) ≤ 2√(λ₅μ). So μ* = (λ₂σ)²/4λ₅ holds globally (P4; d_v ≥ rank B)."""
    assert alpha.decayed_heads(0.8, seed, l5, scale) > 0.1
    assert alpha.decayed_heads(1.25, seed, l5, scale) < 1e-6


@FEW
@given(SEED, positive(0.3, 2), positive(0.5, 5))
def test_decoders_have_their_threshold_too(seed, l5, l4):
    """Form λ₅s² + μt² − 2λ₄σ(C)st: ≥ 0 iff λ₄σ(C) ≤ √(λ₅μ) (P4)."""
    p = problem(seed, weights=OFF._replace(reconstruction=l4, regulariser=l5), encoder_activation="linear")
    sigma = max(top(cross_moment(q)) for q in (p, p._replace(z=p.z[::-1])))
    decays = [Readings(head_decay=factor * (l4 * sigma) ** 2 / l5) for factor in (0.8, 1.25)]
    below, above = (np.linalg.eigvalsh(hessian(p._replace(readings=r), origin(p)))[0] for r in decays)
    assert below < -1e-4 and above > -1e-7


# --- depth ---------------------------------------------------------------------------------------------------------


def deep(seed, depth, l5):
    """(problem, params): a linear encoder of zeros, any heads."""
    p = problem(seed, d=3, weights=Weights(0.5, 1.0, 0.5, 1.0, l5), encoder_activation="linear", encoder_depth=depth)
    return p, without(start(p, seed), is_encoder)


def pull(p, params):
    """σ(G) of either modality, G the gradient of the data terms in the product of the encoder's matrices, at V = 0."""
    single = p._replace(arch=p.arch._replace(encoder_depth=1), weights=p.weights._replace(regulariser=0.0))
    heads = pick(params, lambda name: not is_encoder(name))
    grads = evaluate(single, pick(without(start(single), is_encoder), is_encoder) | heads)[1]
    return [top(grads[f"encoder_{m}.1.w"]) for m in "ab"]


@FEW
@given(SEED, positive(0.01, 2))
def test_one_layer_is_pulled_from_zero_two_hold_above_a_threshold_and_three_always(seed, l5):
    """The data terms see the product W₁ … W_D. At 0 and for any heads: D = 1 has the slope G; D = 2 the smallest
    curvature 2λ₅ − σ(G); D ≥ 3 the Hessian 2λ₅, a strict minimum for every λ₅ > 0 (P5)."""
    one, two, three = (deep(seed, depth, l5) for depth in (1, 2, 3))
    assert norm(pick(evaluate(*one)[1], is_encoder_matrix).values()) > 0.01
    assert norm(pick(evaluate(*two)[1], is_encoder_matrix).values()) == 0
    smallest = np.linalg.eigvalsh(hessian(*two, is_encoder_matrix))[0]
    assert smallest == pytest.approx(2 * l5 - max(pull(*two)), rel=1e-4, abs=1e-6)
    at_three = hessian(*three, is_encoder_matrix)
    np.testing.assert_allclose(at_three, 2 * l5 * np.eye(len(at_three)), atol=1e-6)


@given(SEED, positive(0.01, 2), positive(0.01, 0.999))
def test_the_basin_of_three_layers_is_as_wide_as_theory_says(seed, l5, share):
    """Data terms are convex in V, so L(W) − L(0) ≥ Σ_m λ₅ s_m − σ(G_m)(s_m/3)^{3/2}, s_m = Σ‖W_l‖² of modality m, which
    is positive for √s_m < 3^{3/2} λ₅/σ(G_m) (P5)."""
    p, params = deep(seed, 3, l5)
    base, random = evaluate(p, params)[0], np.random.default_rng(seed)
    for m, sigma in zip("ab", pull(p, params), strict=True):
        names = [f"encoder_{m}.{layer}.w" for layer in (1, 2, 3)]
        drawn = {k: random.standard_normal(params[k].shape) for k in names}
        radius = share * 3**1.5 * l5 / sigma
        params = params | {k: radius * v / norm(drawn.values()) for k, v in drawn.items()}
    assert evaluate(p, params)[0] > base


def test_from_within_the_basin_three_layers_collapse_even_where_r_is_light():
    """λ₅ = 0.01, heads and biases held: from a tenth of the basin's radius the weights go to 0."""
    p, params = deep(0, 3, 0.01)
    drawn = pick(start(p), is_encoder_matrix)
    radius = 0.1 * 3**1.5 * 0.01 / max(pull(p, params))
    near = {k: radius * v / norm(drawn.values()) for k, v in drawn.items()}
    end = descend(p, params | near, 0.5, 1500, is_encoder_matrix)
    assert norm(pick(end, is_encoder_matrix).values()) < 1e-8


@pytest.mark.parametrize("activation", ["linear", "relu", "hidden"])
@pytest.mark.parametrize("seed", [0, 1])
def test_three_regularised_layers_collapse_at_lambda5_1_and_live_at_a_hundredth(activation, seed):
    """Labels and decoders on, α = 0, drawn start: λ₅ decides. Free biases keep V ≠ 0: each modality is one point, and
    the two points come together as slowly as L2 is light (P5)."""
    dead, alive = (alpha.three_layers(l5, activation, seed) for l5 in (1.0, 1e-2))
    assert dead["spread"] < 1e-12 and dead["map"] == dead["chance"] and dead["scale"] < 0.05
    assert alive["spread"] > 0.1 and alive["scale"] > 0.1
    if activation != "relu":
        assert alive["map"] > alive["chance"] + 0.3


# --- the released reading at α = 0 ---------------------------------------------------------------------------------


@FEW
@given(SEED, positive(1.25, 3), st.sampled_from([4e-3, 2e-3]))
def test_the_released_penalty_kills_one_layer_when_it_outweighs_the_data(seed, factor, rate):
    """λ₅‖w‖ has slope λ₅ at 0. Data terms are convex in w, so w = 0 is the minimum iff λ₅ ≥ ‖∇data(0)‖; then
    d‖w‖/dt ≤ −(λ₅ − ‖∇data(0)‖): 0 in finite time. A step η jitters about it by O(ηλ₅); ‖w‖² never gets there (P7)."""
    found = alpha.released_at_0(factor, seed, rate)
    assert max(found["w"]) < found["reach"]
    assert min(found["squared"]) > 0.01


@FEW
@given(SEED)
def test_and_does_not_where_the_data_outweigh_it(seed):
    """λ₅ = 0.8 of the smaller modality's slope: both leave a start at exactly 0."""
    assert min(alpha.released_at_0(0.8, seed)["w"]) > 0.05


@given(SEED, positive(0.1, 2), positive(0.01, 0.999), positive(1e-4, 10))
def test_beside_small_heads_the_released_penalty_makes_zero_a_minimum_in_w(seed, l5, share, size):
    """CE is convex in V: L(w, W_c) − L(0, W_c) ≥ λ₅‖w‖ − λ₂ tr(W_cᵀwᵀM) > 0 while λ₂σ(M)‖W_c‖ < λ₅ (P7)."""
    readings = Readings(alpha=0.0, alpha_reading="released")
    p = problem(
        seed, weights=OFF._replace(classification=1.0, regulariser=l5), readings=readings, encoder_activation="linear"
    )
    drawn, at = start(p, seed), origin(p)
    head = drawn["classifier.w"] * share * l5 / (top(class_moment(p)) * norm([drawn["classifier.w"]]))
    w = {k: size * v for k, v in pick(drawn, is_encoder_matrix).items()}
    assert evaluate(p, at | w | {"classifier.w": head})[0] > evaluate(p, at | {"classifier.w": head})[0]


# --- α > 0 ---------------------------------------------------------------------------------------------------------


@given(SEED, ANY_WEIGHTS, positive(0.1, 5), st.sampled_from(["norm", "released"]))
def test_the_norm_readings_exclude_zero_weights(seed, weights, level, reading):
    """Slopes along u and −u at W = 0: smooth data terms cancel, R leaves −4λ₅α (norm) or −2λ₅ (released), so one of the
    two descends for every λ. (The gradient at exactly 0 is 0 by convention.)"""
    weights = weights._replace(
        **{k: getattr(weights, k) / 100 for k in ("alignment", "classification", "feature_norm", "reconstruction")}
    )
    p = problem(seed, weights=weights, readings=Readings(alpha=level, alpha_reading=reading))
    p = p._replace(arch=p.arch._replace(encoder_activation="linear"))
    params = start(p, seed)
    u = np.random.default_rng(seed).standard_normal(params["encoder_b.1.w"].shape)
    found = alpha.one_sided_sum(p, params, "encoder_b.1.w", u / norm([u]))
    assert found == pytest.approx(
        -4 * weights.regulariser * level if reading == "norm" else -2 * weights.regulariser, rel=1e-4, abs=1e-4
    )


@pytest.mark.parametrize(("reading", "one_way"), [("norm", -1.8), ("released", -0.6)])
def test_behind_a_relu_the_way_down_may_lead_to_dead_units(reading, one_way):
    """relu has a kink at W = 0, b = 0, so the sum of both slopes gains ⟨dV, |Zu|⟩. With Z ≥ 0, u ∝ −1 leaves V at 0:
    the slope is R's own, −2λ₅α or −λ₅. W = 0 is excluded; V = 0 is not."""
    both, down = alpha.slopes_at_zero(reading, "linear")
    assert both == pytest.approx(2 * one_way, rel=1e-6)
    both, down = alpha.slopes_at_zero(reading, "relu")
    assert down == pytest.approx(one_way, rel=1e-6)
    assert abs(both - 2 * one_way) > 0.1


@FEW
@given(SEED, positive(0.1, 2), positive(0, 2), positive(0, 2))
def test_without_labels_the_elementwise_reading_ends_in_one_column(seed, level, l2, l4):
    """Every unit minimises the same quadratic, so all columns of the minimiser are equal: V = v1ᵀ, of rank one."""
    weights = Weights(l2, 0.0, 0.01 + l4, 0.0, 1.0)
    readings = Readings(alpha=level, alpha_reading="elementwise")
    p = problem(seed, weights=weights, readings=readings, encoder_activation="linear", d_v=4)
    params = start(p, seed)
    params = descend(p, params, 0.9 / smoothness(p), promised_steps(p, params, 0.9), is_encoder)
    minimum = np.linalg.solve(quadratic(p), weights.regulariser * level * np.array([1.0, 1, 1, 1, 1, 0] * 2))
    np.testing.assert_allclose(layer(params), np.tile(minimum[:, None], 4), atol=1e-7)
    assert measures(p, params)["rank"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("weights", [UCM, DSRSID], ids=["ucm", "dsrsid"])
@pytest.mark.parametrize(("activation", "depth"), [("linear", 1), ("relu", 1), ("relu", 3), ("hidden", 3)])
def test_the_elementwise_reading_leaves_one_dimension(activation, depth, weights):
    """α = 1, λ₅ = 1, all terms on: participation ratio of either modality below 1.2."""
    found = alpha.elementwise(activation, depth, weights)
    assert 1 <= found["rank"] < 1.2 and found["spread"] > 1e-3


# --- trained: α = 0, 1 and 2 on held-out pairs ---------------------------------------------------------------------


def test_alpha_1_is_not_far_above_alpha_2():
    """The paper's Table 4 has 62 against 32 and 54 against 34."""
    for reading in ("norm", "released"):
        one, two = (alpha.trained(UCM, level, reading)["map"] for level in (1.0, 2.0))
        assert one < two - 0.05  # three ReLU layers: the other way round
        one, two = (alpha.trained(UCM, level, reading, "linear", 1)["map"] for level in (1.0, 2.0))
        assert one == pytest.approx(two, abs=0.1)


def test_three_layers_at_alpha_0_end_at_chance_with_ucm_weights_and_one_layer_does_not():
    """A ranking knows no scale: what is left after 400 steps, a ten-millionth, still holds a little of the classes."""
    for reading in ("norm", "released"):
        dead = alpha.trained(UCM, 0.0, reading, steps=1600)
        assert dead["spread"] < 1e-5 and dead["map"] == pytest.approx(dead["chance"], abs=0.02)
    one_layer = alpha.trained(UCM, 0.0, activation="linear", depth=1)
    assert one_layer["map"] > one_layer["chance"] + 0.3


def test_lambda5_and_not_alpha_tells_dsrsid_from_ucm():
    """With DSRSID's weights and its lightest λ₅ three layers live at α = 0 and at 1 alike; so do UCM's at λ₅ = 0.01."""
    light = [alpha.trained(DSRSID, level) for level in (0.0, 1.0)]
    assert min(found["spread"] for found in light) > 0.1
    assert light[0]["map"] == pytest.approx(light[1]["map"], abs=0.03)
    lighter = alpha.trained(UCM._replace(regulariser=0.01), 0.0)
    assert lighter["spread"] > 0.5 and lighter["map"] > alpha.trained(UCM, 0.0)["map"] + 0.2


def test_the_decoders_are_not_what_keeps_the_embeddings_from_zero():
    """One linear layer at α = 0: without L5 nothing changes, without L3 the ranking is lost."""
    cases = (UCM, UCM._replace(reconstruction=0.0), UCM._replace(classification=0.0))
    full, no_l5, no_l3 = (alpha.trained(weights, 0.0, "norm", "linear", 1) for weights in cases)
    assert no_l5["map"] == pytest.approx(full["map"], abs=0.05) and no_l5["spread"] > 0.05
    assert no_l3["map"] < full["map"] - 0.3


# --- what a collapsed space scores ---------------------------------------------------------------------------------


@given(SEED, st.integers(2, 40), st.integers(1, 10), positive(-10, 10))
def test_constant_embeddings_score_chance_in_any_order_of_the_gallery(seed, items, queries, value):
    """All items tie, so AP is its mean over all orders, (r−1)/(n−1) + (1 − (r−1)/(n−1)) H_n/n for r of n relevant."""
    random = np.random.default_rng(seed)
    gallery, labels = random.integers(0, 2, items), random.integers(0, 2, queries)
    gallery[0], labels[0] = 0, 0
    v = np.full((items, 3), value)
    orders, point = (gallery, gallery[random.permutation(items)]), np.full((queries, 3), value)
    found, shuffled = (evaluate_direction(point, labels, v, order, ties="expected") for order in orders)
    assert found == shuffled
    relevant = np.array([(gallery == y).sum() for y in labels])
    n, r = items, relevant[relevant > 0]
    share = (r - 1) / (n - 1)
    expected = (share + (1 - share) * (1 / np.arange(1, n + 1)).sum() / n).mean()
    assert found["map"] == pytest.approx(expected, rel=1e-12) == pytest.approx(np.nanmean(chance(relevant, n)[0]))


@given(SEED, st.integers(1, 60), st.integers(0, 60))
def test_and_anything_where_ties_fall_in_the_order_of_the_gallery(seed, relevant, others):
    """One query, all items at one distance: AP is 1 with the r relevant first, Σ i/(n − r + i)/r with them last, which
    is near 0 for few of many, and between in any other order; ours is one number."""
    hits = np.repeat([True, False], [relevant, others])
    places = np.arange(1, relevant + 1)
    lowest = (places / (others + places)).mean()
    mixed = np.random.default_rng(seed).permutation(hits)
    tied, orders = np.zeros((1, hits.size)), [h[None] for h in (hits, hits[::-1], mixed)]
    first, last, middle = (alpha.precision_by_index(tied, order) for order in orders)
    assert first == 1 and last == pytest.approx(lowest)
    assert lowest - 1e-12 <= middle <= 1
    ours = {float(average_precision(tied, order)[0]) for order in orders}
    assert len(ours) == 1 and lowest - 1e-12 <= ours.pop() <= 1


def test_the_exact_zero_is_the_order_of_the_gallery():
    """200 items of 5 classes at one point: the released mean precision is 0 when the 160 others stand first."""
    found = alpha.constant_embeddings()
    assert found["last"]["mean_precision_at_tens"] == 0 and found["first"]["mean_precision_at_tens"] > 0.7
    assert found["first"]["by_index"] == 1 and found["last"]["by_index"] < 0.12
    assert found["first"]["map"] == found["last"]["map"] == found["first"]["chance"]


# --- docs/alpha.md -------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "alpha.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e-\d+)?")


def test_the_page_holds_what_the_runs_give():
    """`python tests/alpha.py` prints the table; its figures may differ by two in the last digit shown."""
    found = re.search(r"<!-- claims -->\n(.*)\n<!-- /claims -->", PAGE, re.DOTALL)
    assert found, "docs/alpha.md: the markers of the table are missing"
    shown, made = found.group(1), alpha.table()
    assert NUMBER.sub("#", shown) == NUMBER.sub("#", made), "docs/alpha.md: take the output of `python tests/alpha.py`"
    for one, other in zip(NUMBER.findall(shown), NUMBER.findall(made), strict=True):
        unit = 0 if "e" in one else 10.0 ** -len(one.partition(".")[2])
        assert abs(float(one.replace("−", "-")) - float(other.replace("−", "-"))) <= 2.01 * unit, (one, other)


def test_the_page_names_tests_that_exist():
    names = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))
    assert len(names) > 20 and PAGE.count("`tests/") >= len(names)
    for file, name in names:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
