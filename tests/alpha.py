"""The paper's α on worlds small enough for plain gradient descent in float64, and what theory names in them.

    python tests/alpha.py             prints the table of docs/alpha.md
    python tests/alpha.py FILE.png    draws its picture

n pairs, D features, d_v dimensions, K classes. The objective is the package's own; only the descent is written here.
"""

import argparse
from functools import cache
from typing import NamedTuple

import numpy as np

from cmir_ref.cmirnet import Readings, Weights
from cmir_ref.cmirnet.latent import Latent, encoder, init_latent
from cmir_ref.cmirnet.objective import objective, objective_backward
from cmir_ref.params import Params, flatten
from cmir_ref.retrieval import average_precision, collapse, evaluate_direction
from cmir_ref.training.adam import adam

OFF = Weights(0.0, 0.0, 0.0, 0.0, 0.0)
LABEL_FREE = Weights(1.0, 0.0, 1.0, 0.0, 1.0)
UCM = Weights(1e-5, 1.0, 0.01, 0.01, 1.0)  # the paper's, with λ₂, which it does not give, at 1
DSRSID = Weights(1.0, 1.0, 1.0, 1.0, 1e-3)  # λ₅ was tuned between 0.001 and 1


# --- a world, and descent in it ------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """Everything about eq. 6 but the parameters; `y` are both modalities' labels: the samples are pairs."""

    z: tuple[np.ndarray, np.ndarray]
    y: np.ndarray
    arch: Latent
    weights: Weights
    readings: Readings


def features(seed, n, d, classes, noise):
    """Two modalities of noisy classes: Z ≥ 0 as stage 1 leaves it (0.01 for 0), its rows of length 1 in the mean."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = [random.standard_normal((classes, d))[y] + noise * random.standard_normal((n, d)) for _ in "ab"]
    z = [np.maximum(x_m, 0.01) for x_m in x]
    return tuple(z_m / np.sqrt((z_m * z_m).sum() / n) for z_m in z), y


def problem(seed=0, n=20, d=5, classes=3, *, noise=0.5, weights=OFF, readings=None, **arch) -> Problem:
    arch = {"d_v": 3, "encoder_depth": 1, "decoder_depth": 1, "decoder_activation": "linear"} | arch
    z, y = features(seed, n, d, classes, noise)
    return Problem(z, y, Latent(**arch), weights, readings or Readings())


def start(p: Problem, seed=0, scale=1.0) -> dict[str, np.ndarray]:
    """Weights drawn as the package draws them, and drawn biases."""
    params, _ = init_latent(
        p.arch, tuple(z.shape[1] for z in p.z), int(p.y.max()) + 1, np.random.default_rng(seed), "xavier"
    )
    return {name: scale * value.astype("float64") for name, value in params.items()}


def evaluate(p: Problem, params):
    """(loss, gradients, output)."""
    loss, kept = objective(params, p.z, (p.y, p.y), arch=p.arch, weights=p.weights, readings=p.readings)
    return float(loss), objective_backward(1.0, kept)[0], kept.out


def is_encoder(name):
    return name.startswith("encoder")


def is_encoder_matrix(name):
    return is_encoder(name) and name.endswith("w")


def anything(name):
    return True


def step(p: Problem, params, rate, free=anything):
    """One step of gradient descent on the parameters that are `free`."""
    _, grads, _ = evaluate(p, params)
    return {k: w - rate * grads[k] if free(k) else w for k, w in params.items()}


def descend(p: Problem, params, rate, steps, free=anything):
    for _ in range(steps):
        params = step(p, params, rate, free)
    return params


def norm(arrays) -> float:
    """The norm of all of them together."""
    return float(np.sqrt(sum((a * a).sum() for a in arrays)))


def pick(params, free):
    return {k: v for k, v in params.items() if free(k)}


def pack(params) -> np.ndarray:
    return np.concatenate([v.ravel() for v in params.values()])


def unpack(flat, like):
    ends = np.cumsum([v.size for v in like.values()])[:-1]
    return {k: part.reshape(like[k].shape) for k, part in zip(like, np.split(flat, ends), strict=True)}


def without(params, free):
    """The same with zeros where `free`."""
    return {k: np.zeros_like(v) if free(k) else v for k, v in params.items()}


def embeddings_norm(p: Problem, params) -> float:
    return norm(evaluate(p, params)[2][:2])


def measures(p: Problem, params) -> dict:
    """`collapse` of the embeddings, the larger spread and rank of one modality, and average precision a → b."""
    out = evaluate(p, params)[2]
    found = evaluate_direction(out.v_a, p.y, out.v_b, p.y)
    both = collapse(out.v_a, out.v_b)
    return both | {
        "spread": max(both["scale_a"], both["scale_b"]),
        "rank": max(collapse(v, v)["effective_rank"] for v in out[:2]),
        "map": found["map"],
        "chance": found["chance"],
    }


# --- what theory names ---------------------------------------------------------------------------------------------


def quadratic(p: Problem) -> np.ndarray:
    """A (2D + 2)²: λ₁L₂ + λ₃L₄ + λ₅R = Σ_k θ_kᵀAθ_k for one linear layer at α = 0, θ_k = (w_a, b_a, w_b, b_b) a unit's.

    Biases are not regularised.
    """
    (x_a, x_b), lam = [np.column_stack([z, np.ones(len(z))]) / np.sqrt(len(z)) for z in p.z], p.weights
    nothing = np.zeros((x_a.shape[1], x_b.shape[1]))
    gap = np.column_stack([x_a, -x_b])
    size = np.block([[x_a.T @ x_a, nothing], [nothing.T, x_b.T @ x_b]])
    matrices = np.concatenate([[1.0] * (x.shape[1] - 1) + [0.0] for x in (x_a, x_b)])
    return lam.alignment * gap.T @ gap + lam.feature_norm * size + lam.regulariser * np.diag(matrices)


def smoothness(p: Problem) -> float:
    """L, the Lipschitz constant of the gradient of λ₁L₂ + λ₃L₄ + λ₅R at α = 0 for one layer.

    Linear: the largest eigenvalue of the Hessian 2A. ReLU: a bound over all patterns of active units, since
    (u − v)² ≤ 2u² + 2v² and a pattern only strikes out rows of [Z, 1].
    """
    if p.arch.encoder_activation == "linear":
        return 2 * np.linalg.eigvalsh(quadratic(p))[-1]
    lam = p.weights
    largest = max(np.linalg.norm(np.column_stack([z, np.ones(len(z))]), 2) ** 2 / len(z) for z in p.z)
    return 2 * ((2 * lam.alignment + lam.feature_norm) * largest + lam.regulariser)


def class_moment(p: Problem) -> np.ndarray:
    """M (2D + 2, K), rows as in `quadratic`: Zᵀ(Y − p̄)/N over the N = 2n rows of V_ab, 0 for the biases."""
    hot = np.eye(int(p.y.max()) + 1)[p.y]
    rows = [np.vstack([z.T @ (hot - hot.mean(axis=0)), np.zeros((1, hot.shape[1]))]) for z in p.z]
    return np.vstack(rows) / (2 * len(p.y))


def cross_moment(p: Problem) -> np.ndarray:
    """C (D, D) = Z_aᵀ(Z_b − z̄_b)/n: centred, since the decoders' biases take the mean."""
    return p.z[0].T @ (p.z[1] - p.z[1].mean(axis=0)) / len(p.y)


def top(matrix) -> float:
    """The largest singular value."""
    return float(np.linalg.norm(matrix, 2))


def threshold(p: Problem) -> float:
    """μ* = λ₂² σ(A^{−½}M)²/4, the decay of the heads from which on the origin is a minimum (P4); a bias may cost 0."""
    values, vectors = np.linalg.eigh(quadratic(p))
    inverse_root = vectors @ np.diag(np.where(values > 1e-12, values, np.inf) ** -0.5) @ vectors.T
    return float((p.weights.classification * top(inverse_root @ class_moment(p))) ** 2 / 4)


def origin(p: Problem):
    """All zero but the heads' last biases, which are the best constant guess: log prior, and the mean of Z."""
    params = without(start(p), anything)
    params["classifier.b"] = np.log(np.bincount(p.y) / len(p.y))
    last = p.arch.decoder_depth
    return params | {f"decoder_ab.{last}.b": p.z[1].mean(axis=0), f"decoder_ba.{last}.b": p.z[0].mean(axis=0)}


def hessian(p: Problem, params, free=anything, h=1e-5) -> np.ndarray:
    """Central differences of the gradient over the parameters that are `free`, made symmetric."""
    own = pick(params, free)
    centre = pack(own)

    def gradient(flat):
        grads = evaluate(p, params | unpack(flat, own))[1]
        return pack({k: grads[k] for k in own})

    columns = np.array([(gradient(centre + h * e) - gradient(centre - h * e)) / (2 * h) for e in np.eye(len(centre))])
    return (columns + columns.T) / 2


def second_difference(p: Problem, params, direction, h=1e-4) -> float:
    """dᵀ∇²L d along `direction`."""
    ends = [evaluate(p, {k: v + s * h * direction[k] for k, v in params.items()})[1] for s in (1, -1)]
    return float(sum(((ends[0][k] - ends[1][k]) * d).sum() for k, d in direction.items()) / (2 * h))


def one_sided_sum(p: Problem, params, name, u, h=1e-4) -> float:
    """L'(0; u) + L'(0; −u) along ±u at params[name] = 0, the term in h extrapolated away."""

    def at(t):
        return evaluate(p, params | {name: t * u})[0]

    def quotient(h):
        return (at(h) + at(-h) - 2 * at(0)) / h

    return 2 * quotient(h / 2) - quotient(h)


def one_sided(p: Problem, params, name, u, h=1e-4) -> float:
    """L'(0; u) along u at params[name] = 0, likewise."""

    def quotient(h):
        return (evaluate(p, params | {name: h * u})[0] - evaluate(p, params | {name: 0 * u})[0]) / h

    return 2 * quotient(h / 2) - quotient(h)


def precision_by_index(distances, relevant) -> float:
    """Average precision of a plain stable argsort, averaged over the queries: ties fall in the order of the gallery."""
    hits = np.take_along_axis(relevant, np.argsort(distances, axis=1, kind="stable"), axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(axis=1) / hits.sum(axis=1)).mean())


# --- runs whose figures stand in docs/alpha.md ----------------------------------------------------------------------


@cache
def steps_to_zero(activation, seed=0, share=0.9) -> tuple[int, int]:
    """(steps of L2 + L4 + R at α = 0 until ‖V‖ < 1e-8, the number the contraction of a linear layer promises)."""
    p = problem(seed, weights=LABEL_FREE, encoder_activation=activation)
    params = start(p, seed)
    bound = promised_steps(p, params, share)
    for done in range(20 * bound):
        if embeddings_norm(p, params) < 1e-8:
            return done, bound
        params = step(p, params, share / smoothness(p), is_encoder)
    raise AssertionError(f"{activation}: ‖V‖ ≥ 1e-8 after {20 * bound} steps")


def promised_steps(p: Problem, params, share) -> int:
    """T with ‖[Z, 1]‖ (1 − share λ_min/L)ᵀ ‖θ‖ ≤ 1e-8, λ_min and L the extreme eigenvalues of the Hessian 2A."""
    ratio = np.linalg.eigvalsh(2 * quadratic(p))[0] / smoothness(p)
    largest = max(np.linalg.norm(np.column_stack([z, np.ones(len(z))]), 2) for z in p.z)
    return int(np.ceil(np.log(largest * norm(pick(params, is_encoder).values()) / 1e-8) / -np.log1p(-share * ratio)))


@cache
def curvature(l5) -> tuple[float, float]:
    """(smallest eigenvalue of the Hessian at the origin of L3 + R, λ₅ − √(λ₅² + λ₂²σ(M)²))."""
    p = problem(weights=OFF._replace(classification=1.0, regulariser=l5), encoder_activation="linear")
    found = np.linalg.eigvalsh(hessian(p, origin(p)))[0]
    return float(found), float(l5 - np.hypot(l5, top(class_moment(p))))


@cache
def scale_drift() -> list[dict]:
    """λ₂L3 and one regularised layer after 2000 and 8000 steps; three labels in ten are drawn at random.

    Where all labels can be fitted L3 keeps falling, and hides the drift of the scale for as long.
    """
    weights = Weights(0.01, 10.0, 0.01, 0.0, 1.0)
    p = problem(3, n=24, d=3, d_v=2, weights=weights, encoder_activation="linear")
    random = np.random.default_rng(5)
    p = p._replace(y=np.where(random.random(24) < 0.3, random.integers(0, 3, 24), p.y))
    params, found = without(start(p), lambda name: name.endswith("b")), []
    for steps in (2000, 6000):
        params = descend(p, params, 0.01, steps)
        matrices, head = pick(params, is_encoder_matrix).values(), params["classifier.w"]
        found.append(measures(p, params) | {"v": embeddings_norm(p, params), "w": norm(matrices), "head": norm([head])})
    return found


@cache
def decayed_heads(factor, seed=0, l5=0.5, scale=1.0) -> float:
    """‖w‖ after 1500 steps of λ₂L3 + λ₅R with the heads' decay at `factor` · μ*, from a start of any `scale`."""
    p = problem(seed, n=12, d=4, encoder_activation="linear")
    p = p._replace(weights=OFF._replace(classification=1 / top(class_moment(p)), regulariser=l5))
    p = p._replace(readings=Readings(head_decay=factor * threshold(p)))
    return norm(pick(descend(p, start(p, seed, scale), 0.2, 1500), is_encoder_matrix).values())


@cache
def three_layers(l5, activation="relu", seed=0, steps=800) -> dict:
    """`measures` after descent at α = 0 with three regularised layers, labels and decoders on."""
    weights = Weights(0.1, 1.0, 0.1, 0.1, l5)
    p = problem(seed, n=24, d=6, weights=weights, encoder_activation=activation, encoder_depth=3)
    return measures(p, descend(p, start(p, seed), 0.03, steps))


@cache
def released_at_0(factor, seed=0, rate=2e-3) -> dict:
    """One linear layer under λ₅‖w‖, heads and biases held, λ₅ at `factor` times the data's gradient at w = 0."""
    p = problem(seed, weights=Weights(0.3, 1.0, 0.3, 0.5, 0.0), encoder_activation="linear")
    p = p._replace(readings=Readings(alpha=0.0, alpha_reading="released"))
    params = start(p, seed)
    grads = evaluate(p, without(params, is_encoder_matrix))[1]
    slopes = [norm([g]) for g in pick(grads, is_encoder_matrix).values()]
    l5 = factor * (max(slopes) if factor > 1 else min(slopes))
    p = p._replace(weights=p.weights._replace(regulariser=l5))
    if factor > 1:  # ‖w‖ falls by rate · (λ₅ − slope) at least
        steps = int(np.ceil(norm(pick(params, is_encoder_matrix).values()) / (rate * (l5 - max(slopes)))))
    else:
        params, steps = without(params, is_encoder_matrix), 600
    squared = p._replace(readings=Readings(alpha=0.0, alpha_reading="norm"))
    runs = ((p, rate, steps), (squared, 0.02, 300))
    ends = [descend(q, params, eta, count, is_encoder_matrix) for q, eta, count in runs]
    w, w_squared = ([norm([w]) for w in pick(end, is_encoder_matrix).values()] for end in ends)
    # ‖w₊‖² ≤ ‖w‖² − 2ηδ‖w‖ + η²G² with G ≤ λ₅ + g, δ = λ₅ − g: below ηG²/2δ a step may lead up again, by ηG
    reach = rate * l5 * ((1 + factor) ** 2 / (2 * factor * (factor - 1)) + 2) if factor > 1 else None
    return {"w": w, "squared": w_squared, "steps": steps, "reach": reach}


@cache
def elementwise(activation, depth, weights, seed=0, steps=600) -> dict:
    """`measures` under the element-wise reading at α = 1, λ₅ = 1."""
    readings = Readings(alpha=1.0, alpha_reading="elementwise")
    arch = {"encoder_activation": activation, "encoder_depth": depth, "d_v": 8}
    p = problem(seed, n=24, d=12, weights=weights._replace(regulariser=1.0), readings=readings, **arch)
    return measures(p, descend(p, start(p, seed), 0.003, steps))


@cache
def slopes_at_zero(reading, activation, alpha=1.5, l5=0.6) -> tuple[float, float]:
    """At W = 0, b = 0 with all terms on: the sum of the slopes along ±u, and the slope along u ∝ −1."""
    weights = Weights(0.7, 1.0, 0.4, 0.9, l5)
    p = problem(weights=weights, readings=Readings(alpha=alpha, alpha_reading=reading), encoder_activation=activation)
    params = without(start(p), lambda name: name.startswith("encoder_a"))
    u = np.random.default_rng(1).standard_normal(params["encoder_a.1.w"].shape)
    down = -np.ones_like(u)
    sum_of_both = one_sided_sum(p, params, "encoder_a.1.w", u / norm([u]))
    return sum_of_both, one_sided(p, params, "encoder_a.1.w", down / norm([down]))


@cache
def trained(weights, alpha, reading="norm", activation="relu", depth=3, seeds=(0, 1, 2), steps=400) -> dict:
    """Means over `seeds` of held-out average precision (both directions), and the largest spread of one modality.

    90 pairs for training, 60 held out, 6 classes, 16 features, d_v = 8, Adam on all pairs at rate 0.005.
    """
    found = []
    for seed in seeds:
        z, y = features(seed, 150, 16, 6, noise=0.8)
        arch = Latent(8, depth, 1, activation)
        p = Problem(tuple(x[:90] for x in z), y[:90], arch, weights, Readings(alpha=alpha, alpha_reading=reading))
        params = Params(start(p, seed))
        m, v = np.zeros_like(params.flat), np.zeros_like(params.flat)
        for t in range(1, steps + 1):
            adam(params.flat, flatten(evaluate(p, params)[1], params), m, v, t, 0.005)
        v_a, v_b = (encoder(params, name, x[90:], arch=arch)[0] for name, x in zip("ab", z, strict=True))
        both = [evaluate_direction(one, y[90:], other, y[90:]) for one, other in ((v_a, v_b), (v_b, v_a))]
        at = collapse(v_a, v_b)
        found.append((np.mean([d["map"] for d in both]), max(at["scale_a"], at["scale_b"]), both[0]["chance"]))
    aps, spreads, chances = np.array(found).T
    return {"map": float(aps.mean()), "each": aps, "spread": float(spreads.max()), "chance": float(chances[0])}


@cache
def constant_embeddings() -> dict:
    """Average precision of identical embeddings, by three orders of the gallery and two rules for ties."""
    y = np.repeat(np.arange(5), 40)
    queries, distances = np.zeros(7, int), np.zeros((7, 200))
    found = {}
    for name, order in (("first", slice(None)), ("last", slice(None, None, -1))):
        gallery = y[order]
        relevant = queries[:, None] == gallery[None, :]
        v = np.full((200, 3), 0.3)
        ours = evaluate_direction(v[:7], queries, v, gallery, cutoffs=10)
        assert ours["map"] == float(average_precision(distances, relevant).mean())
        found[name] = ours | {"by_index": precision_by_index(distances, relevant)}
    return found


@cache
def at_zero() -> dict:
    """L at w = 0 with the best constant heads, for each of the label-free, the L3 and the L5 objective, and the last
    two after 2000 steps from a drawn start."""
    found = {}
    for name, weights in (
        ("free", LABEL_FREE),
        ("l3", OFF._replace(classification=1.0)),
        ("l5", OFF._replace(reconstruction=1.0)),
    ):
        p = problem(weights=weights._replace(regulariser=0.1), encoder_activation="linear")
        found[name] = evaluate(p, origin(p))[0]
        found[name + " trained"] = evaluate(p, descend(p, start(p), 0.05, 2000))[0]
    return found


# --- the page ------------------------------------------------------------------------------------------------------

COLLAPSE = "α = 0 maps everything to one point (section 4.3; Table 4: 0 / 0)"
NOT_TRIVIAL = "α = 1 avoids the trivial solution (section 4.3, below eq. 7)"


def claims() -> list[tuple[str, str, str, str, str]]:
    """(claim, reading, verdict, measured, tests): the rows of docs/alpha.md, with the figures of this machine."""
    steps = {name: steps_to_zero(name) for name in ("linear", "relu")}
    early, late = scale_drift()
    dead, alive = (three_layers(l5, "linear") for l5 in (1.0, 0.01))
    ranks = [
        elementwise(activation, depth, weights)["rank"]
        for activation, depth in (("linear", 1), ("relu", 1), ("relu", 3), ("hidden", 3))
        for weights in (UCM, DSRSID)
    ]
    zero, tied = at_zero(), constant_embeddings()
    heavy, light = released_at_0(1.25), released_at_0(0.8)
    one = {"activation": "linear", "depth": 1}
    deep, single = ({(r, a): trained(UCM, a, r, **kind)["map"] for r, a in LEVELS} for kind in ({}, one))
    lines, line = (trained(UCM, 1.0, "elementwise", **kind) for kind in ({}, one))
    return [
        (
            COLLAPSE,
            "element-wise = norm; L2 + L4 + R alone",
            "holds, from any start: the only minimum is 0",
            f"‖V‖ < 1e-8 after {steps['linear'][0]} steps, linear ({steps['linear'][1]} promised by the contraction); "
            f"{steps['relu'][0]} steps, ReLU",
            "test_without_labels_a_linear_layer_goes_to_zero_in_the_steps_that_contraction_promises "
            "test_without_labels_a_relu_layer_goes_to_zero_and_its_parameters_only_shrink",
        ),
        (
            COLLAPSE,
            "element-wise = norm; one layer, with L3 or L5",
            "does not hold: w = 0 is a strict saddle for every λ₅; the scale shrinks, and rankings do not see it",
            f"least curvature {minus(curvature(1.0)[0], 4)} at λ₅ = 1, {minus(curvature(10.0)[0], 4)} at λ₅ = 10; "
            f"‖V‖ {early['v']:.2f} → {late['v']:.2f} while ‖W_c‖ {early['head']:.1f} → {late['head']:.1f} and AP "
            f"{early['map']:.2f} → {late['map']:.2f}; trained: AP {single['norm', 0.0]:.2f} (chance "
            f"{lines['chance']:.2f})",
            "test_with_cross_entropy_the_origin_is_a_strict_saddle_for_every_weight_of_r "
            "test_with_decoders_it_is_one_too test_descent_leaves_the_saddle_at_the_rate_of_its_curvature "
            "test_so_the_scale_shrinks_while_the_head_grows_and_the_ranking_hardly_moves "
            "test_rankings_do_not_see_the_scale",
        ),
        (
            COLLAPSE,
            "element-wise = norm; three layers, all in R, with L3 and L5",
            "depends on λ₅: w = 0 is a minimum for every λ₅ > 0, in a basin as wide as λ₅",
            f"λ₅ = 1: spread < 1e-12, AP {dead['map']:.2f} = chance; λ₅ = 0.01: spread {alive['spread']:.2f}, "
            f"AP {alive['map']:.2f}",
            "test_one_layer_is_pulled_from_zero_two_hold_above_a_threshold_and_three_always "
            "test_the_basin_of_three_layers_is_as_wide_as_theory_says "
            "test_three_regularised_layers_collapse_at_lambda5_1_and_live_at_a_hundredth",
        ),
        (
            COLLAPSE,
            "released; one layer, with L3 and L5",
            "depends: holds iff λ₅ is at least the slope of the data terms at w = 0",
            f"at 1.25 of that slope ‖w‖ is within the jitter of a step of 0.002, which is below {heavy['reach']:.2f}, "
            f"after {heavy['steps']} steps; at 0.8 of it {max(light['w']):.2f}",
            "test_the_released_penalty_kills_one_layer_when_it_outweighs_the_data "
            "test_and_does_not_where_the_data_outweigh_it "
            "test_beside_small_heads_the_released_penalty_makes_zero_a_minimum_in_w",
        ),
        (
            COLLAPSE,
            "element-wise = norm; one layer, heads decayed by μ‖W_c‖²",
            "depends: holds iff μ ≥ μ* = (λ₂σ(M))²/4λ₅",
            f"‖w‖ {decayed_heads(0.8):.2f} at 0.8 μ*, < 1e-6 at 1.25 μ*",
            "test_the_hessian_at_the_origin_turns_at_the_threshold "
            "test_heads_decayed_beyond_the_threshold_kill_v_from_any_start_and_below_it_do_not",
        ),
        (
            COLLAPSE,
            "all; a ReLU makes V, and w = 0, b = 0 is reached",
            "holds: no loss reaches a dead ReLU, whatever λ",
            "‖V‖ = 0 exactly; only the element-wise reading with α > 0 has a gradient there, −2λ₅α",
            "test_a_zero_relu_layer_is_never_left_at_alpha_0 "
            "test_a_dead_relu_unit_stays_dead_under_the_norm_readings_and_wakes_under_the_elementwise",
        ),
        (
            "The loss has its global minimum, 0, at w = 0 (below eq. 7, which names L2 and L5)",
            "element-wise = norm, α = 0",
            "holds for L2 + L4 + R; L2 alone has others; does not hold with L3 or L5",
            f"L at w = 0: {zero['free']:.0f} label-free; L3 + R {zero['l3']:.2f}, trained {zero['l3 trained']:.2f}; "
            f"L5 + R {zero['l5']:.2f}, trained {zero['l5 trained']:.2f}",
            "test_alignment_alone_has_its_minimum_wherever_the_two_encoders_agree "
            "test_the_loss_at_zero_weights_is_zero_without_l3_and_l5_only",
        ),
        (
            "R is the standard ℓ2 regulariser (with eq. 7)",
            "all, α = 0",
            "holds for element-wise and norm; released is ‖w‖, not ‖w‖²",
            "25, 25 and 5 at ‖w‖ = 5",
            "tests/cmirnet/test_eq7_regulariser.py::test_alpha_zero_is_the_plain_penalty",
        ),
        (
            NOT_TRIVIAL,
            "element-wise",
            "V ≠ 0, but of one dimension: all columns of w are drawn to one",
            f"participation ratio of a modality {min(ranks):.2f} – {max(ranks):.2f}; trained: AP {lines['map']:.2f} "
            f"with three layers, {line['map']:.2f} with one (chance {lines['chance']:.2f})",
            "test_without_labels_the_elementwise_reading_ends_in_one_column "
            "test_the_elementwise_reading_leaves_one_dimension",
        ),
        (
            NOT_TRIVIAL,
            "norm, released",
            "holds for w = 0; ReLU units may still all die, with ‖w‖ at 1",
            f"slopes along ±u at w = 0 (α = 1.5, λ₅ = 0.6) sum to {minus(slopes_at_zero('norm', 'linear')[0], 2)} = "
            f"−4λ₅α and {minus(slopes_at_zero('released', 'linear')[0], 2)} = −2λ₅",
            "test_the_norm_readings_exclude_zero_weights test_behind_a_relu_the_way_down_may_lead_to_dead_units "
            "tests/test_collapse.py::test_at_alpha_1_relu_encoders_die_though_their_weights_live",
        ),
        (
            "α = 1 is far better than α = 2 (Table 4: 62 / 54 against 32 / 34)",
            "norm, released; λ of UCM",
            "does not hold: α = 2 is better with three layers, about as good with one",
            "AP at α = 1 and 2, three ReLU layers: "
            + "; ".join(f"{r} {deep[r, 1.0]:.2f} and {deep[r, 2.0]:.2f}" for r in ("norm", "released"))
            + "; one linear layer: "
            + "; ".join(f"{r} {single[r, 1.0]:.2f} and {single[r, 2.0]:.2f}" for r in ("norm", "released")),
            "test_alpha_1_is_not_far_above_alpha_2",
        ),
        (
            "α = 0 is best on DSRSID and fatal on UCM (section 4.3)",
            "norm; three ReLU layers",
            "consistent, through λ₅: 0.001 – 1 with heavy data terms there, 1 with light ones here",
            f"λ of DSRSID, λ₅ = 0.001: AP {trained(DSRSID, 0.0)['map']:.2f} at α = 0, "
            f"{trained(DSRSID, 1.0)['map']:.2f} at α = 1; λ of UCM, α = 0: {deep['norm', 0.0]:.2f} at λ₅ = 1, "
            f"{trained(UCM._replace(regulariser=0.01), 0.0)['map']:.2f} at λ₅ = 0.01 (chance {lines['chance']:.2f})",
            "test_lambda5_and_not_alpha_tells_dsrsid_from_ucm "
            "test_three_layers_at_alpha_0_end_at_chance_with_ucm_weights_and_one_layer_does_not",
        ),
        (
            "A collapsed space scores exactly 0 (Table 4)",
            "any",
            "does not hold: it scores chance; 0 needs ties broken by the order of the gallery",
            f"one point, two orders of one gallery: AP {tied['first']['map']:.2f} = chance both times; by index "
            f"{tied['first']['by_index']:.2f} and {tied['last']['by_index']:.2f}; the released mean precision "
            f"{tied['first']['mean_precision_at_tens']:.2f} and {tied['last']['mean_precision_at_tens']:.2f}",
            "test_constant_embeddings_score_chance_in_any_order_of_the_gallery "
            "test_and_anything_where_ties_fall_in_the_order_of_the_gallery "
            "test_the_exact_zero_is_the_order_of_the_gallery "
            "tests/retrieval/test_metrics.py::test_the_zeros_of_table_4_on_the_real_label_matrix",
        ),
        (
            "Without L5 most latents go to zero (section 4.3)",
            "norm, α = 0; one linear layer",
            "does not hold while L3 is on; without L3 and L5 it does (first row)",
            f"AP {single['norm', 0.0]:.2f} with all terms, "
            f"{trained(UCM._replace(reconstruction=0.0), 0.0, **one)['map']:.2f} without L5, "
            f"{trained(UCM._replace(classification=0.0), 0.0, **one)['map']:.2f} without L3",
            "test_the_decoders_are_not_what_keeps_the_embeddings_from_zero",
        ),
    ]


LEVELS = [("norm", 0.0), ("norm", 1.0), ("norm", 2.0), ("released", 1.0), ("released", 2.0)]


def minus(value, digits) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def table() -> str:
    """The claims as a Markdown table, and under it the tests of each row; one without a file is in test_alpha.py."""
    lines, shown = ["| | claim | reading | verdict | measured |", "|---|---|---|---|---|"], ["Tests, by row:", ""]
    for number, (*cells, tests) in enumerate(claims(), start=1):
        ids = [name if "::" in name else f"tests/test_alpha.py::{name}" for name in tests.split()]
        lines.append(f"| {number} | {' | '.join(cells)} |")
        shown.append("\n   ".join([f"{number}. `{ids[0]}`", *(f"`{one}`" for one in ids[1:])]))
    return "\n".join([*lines, "", *shown])


def draw(path) -> None:
    """‖V‖ without labels and the spread of V with them, over the steps of descent."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    blue, orange, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
    full = Weights(0.1, 1.0, 0.1, 0.1, 1.0)
    left = (
        ("norm = element-wise, α = 0", LABEL_FREE, 0.0, "norm", "linear", 1, blue, "-"),
        ("released, α = 0 (the step jitters)", LABEL_FREE, 0.0, "released", "linear", 1, orange, "--"),
        ("norm, α = 1", LABEL_FREE, 1.0, "norm", "linear", 1, green, "-."),
        ("element-wise, α = 1 (rank one)", LABEL_FREE, 1.0, "elementwise", "linear", 1, pink, ":"),
    )
    right = (
        ("one layer, α = 0", full, 0.0, "norm", "linear", 1, green, "-"),
        ("three, α = 0, λ₅ = 1", full, 0.0, "norm", "hidden", 3, blue, "-"),
        ("three, α = 0, λ₅ = 0.01", full._replace(regulariser=0.01), 0.0, "norm", "hidden", 3, orange, "--"),
        ("three, norm, α = 1", full, 1.0, "norm", "hidden", 3, pink, "-."),
    )
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axes, cases, rate, steps in ((panels[0], left, 0.04, 600), (panels[1], right, 0.03, 800)):
        for label, weights, level, reading, activation, depth, colour, style in cases:
            readings = Readings(alpha=level, alpha_reading=reading)
            arch = {"encoder_activation": activation, "encoder_depth": depth}
            p = problem(n=24, d=6, weights=weights, readings=readings, **arch)
            params, values = start(p), []
            for _ in range(steps):
                params = step(p, params, rate)
                v = evaluate(p, params)[2][:2]
                values.append(norm(v if axes is panels[0] else [x - x.mean(axis=0) for x in v]))
            axes.semilogy(values, style, color=colour, label=label, lw=1.8)
        axes.set_xlabel("steps of gradient descent")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    panels[0].set(title="L2 + L4 + R alone, one linear layer", ylabel="‖V‖", ylim=(1e-8, 1e2))
    panels[1].set(title="labels and decoders on", ylabel="‖V − mean of its modality‖", ylim=(1e-17, 1e2))
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", metavar="FILE.png", help="Draw its picture there; else print the table.")
    file = parser.parse_args().file
    print(table()) if file is None else draw(file)
