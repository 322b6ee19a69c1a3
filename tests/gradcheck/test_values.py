"""Gradients at awkward numbers: tiny, huge, tied, all zero; targets of every kind. Finite always, right where there
is a derivative, and at a kink what the documentation says.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANY_SHAPE, again, report, sizes
from test_battery import forward_backward, leaves

from cmir_ref import cmirnet as losses
from cmir_ref import ops
from cmir_ref.checks import CHECKS, draw
from cmir_ref.gradcheck import central_difference, check_gradient

SEEDS = st.integers(0, 2**32)
VALUES = {
    "usual": lambda x: x,
    "tiny": lambda x: 1e-30 * x,
    "huge": lambda x: 1e4 * x,
    "tied": lambda x: 0.5 * np.sign(x),  # two numbers, many times each
    "one": lambda x: np.full_like(x, 0.5),
    "zero": lambda x: 0 * x,
}
NORMS = ("unsquared", "eq6", "eq7/norm", "eq7/released")  # √Σx², which has no derivative at 0
KINDS = {
    "integer": lambda rng, n, k: rng.integers(0, k, n),
    "one-hot": lambda rng, n, k: np.eye(k)[rng.integers(0, k, n)],
    "multi-hot": lambda rng, n, k: rng.integers(0, 2, (n, k)),
    "no label": lambda rng, n, k: np.zeros((n, k), int),
    "every label": lambda rng, n, k: np.ones((n, k), np.uint8),
}
WITH_TARGETS = {
    "softmax": (ops.softmax_cross_entropy, ops.softmax_cross_entropy_backward),
    "sigmoid": (ops.sigmoid_cross_entropy, ops.sigmoid_cross_entropy_backward),
    "eq1": (
        lambda u, y: losses.pretraining_loss(u, u, y, kind="sigmoid", weight=0.3),
        lambda dl, cache: sum(losses.pretraining_loss_backward(dl, cache)),  # the logits are the features here
    ),
    "eq3": (
        lambda u, y: losses.classification(u, u, y, y),
        lambda dl, cache: sum(losses.classification_backward(dl, cache)),
    ),
}

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # no overflow, no 0/0 on the way


def right(result):
    """A small error, or the rounding of p ≈ 1 that p − y leaves over where a logit is large."""
    return result.error <= ANY_SHAPE or abs(result.ours - result.measured) <= 4 * np.finfo(float).eps


@pytest.mark.parametrize("check", [c for c in CHECKS if not c.network], ids=lambda check: check.name)
@given(seed=SEEDS, data=st.data())
def test_any_mixture_of_numbers(check, seed, data):
    pair = draw(check, seed=seed, **data.draw(sizes(check, most=3)))
    chosen = {name: data.draw(st.sampled_from(sorted(VALUES)), label=name) for name in pair.inputs}
    inputs = [VALUES[chosen[name]](x) for name, x in pair.inputs.items()]
    for part in leaves(forward_backward(pair, inputs)):
        assert np.isfinite(part).all(), (chosen, again(check, seed))
    if any(name in check.name for name in NORMS) and {"tied", "one", "zero"} & set(chosen.values()):
        return
    if check.name == "batch_norm/train" and chosen["x"] == "huge" and inputs[0].size == 2 * inputs[0].shape[-1]:
        return  # of two rows nothing is left but ε/σ²
    if "attention" in check.name and "huge" in chosen.values():
        return  # weights of 0 and 1, and differences of huge numbers that cancel: what is left is rounding
    if "fused/conv" in check.name and set(chosen.values()) - {"usual", "huge"}:
        return  # rounding makes ties, which its plain twin may see elsewhere (tests of both)
    for result in check_gradient(pair.forward, pair.backward, inputs, names=list(chosen), methods=["complex-step"]):
        assert right(result), f"{chosen}: {report(result, again(check, seed))}"


@pytest.mark.parametrize("check", [c for c in CHECKS if not c.network], ids=lambda check: check.name)
@pytest.mark.parametrize("values", VALUES)
def test_float32_stays_finite(check, values):
    pair = draw(check)
    for part in leaves(forward_backward(pair, [VALUES[values](x).astype("f4") for x in pair.inputs.values()])):
        assert np.isfinite(part).all(), again(check, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", WITH_TARGETS)
@given(seed=SEEDS, values=st.sampled_from(sorted(VALUES)), n=st.integers(0, 4), k=st.integers(1, 4))
def test_every_kind_of_target_at_any_logits(loss, kind, seed, values, n, k):
    rng = np.random.default_rng(seed)
    u, y = VALUES[values](rng.normal(size=(n, k))), KINDS[kind](rng, n, k)
    forward, backward = WITH_TARGETS[loss]
    for dtype in ("f8", "f4"):
        value, cache = forward(u.astype(dtype), y)
        assert np.isfinite(value) and np.isfinite(backward(1.0, cache)).all()
    for result in check_gradient(lambda u: forward(u, y), backward, [u], names=["logits"], methods=["complex-step"]):
        assert right(result), report(result, f"{loss}, {kind}, {values}, seed {seed}, {n} × {k}")


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_a_batch_without_any_label_has_the_gradient_of_its_readings(loss):
    """Softmax: nothing to say, 0. Sigmoid: every answer is no, p."""
    u = np.array([[1e4, -1e4, 0.0], [3.0, 3.0, 3.0]])
    forward, backward = WITH_TARGETS[loss]
    du = backward(1.0, forward(u, np.zeros(u.shape, int))[1])
    p = np.array([[1, 0, 0.5], [1 / (1 + np.exp(-3.0))] * 3])
    np.testing.assert_allclose(du, 0 * u if loss == "softmax" else p / u.size, rtol=1e-14, atol=0)


def test_at_its_kinks_a_gradient_is_what_the_documentation_says():
    zero, ones = np.zeros((2, 3)), np.ones((2, 3))
    gradient = lambda pair, x, dy=1.0: pair[1](dy, pair[0](x)[1])  # noqa: E731
    np.testing.assert_array_equal(gradient((ops.relu, ops.relu_backward), zero, ones), zero)
    leaky = partial(ops.leaky_relu, slope=0.2), ops.leaky_relu_backward
    np.testing.assert_array_equal(gradient(leaky, zero, ones), 0.2 * ones)
    pool = partial(ops.max_pool, factor=2), ops.max_pool_backward
    first = [[3.0, 0], [0, 0]]
    np.testing.assert_array_equal(gradient(pool, np.ones((1, 2, 2, 1)), np.full((1, 1, 1, 1), 3.0))[0, :, :, 0], first)
    norm = partial(ops.frobenius, squared=False), ops.frobenius_backward
    np.testing.assert_array_equal(gradient(norm, zero), zero)
    for reading, alpha in (("norm", 1.0), ("released", 1.0), ("released", np.sqrt(6.0))):
        pair = partial(losses.regulariser, alpha=alpha, reading=reading), losses.regulariser_backward
        np.testing.assert_array_equal(gradient(pair, ones if alpha > 1 else zero), zero)


@pytest.mark.parametrize("kink", [-0.5, 0.3 + 1.5e-3])
def test_a_small_gradient_beside_a_large_value_is_measured_all_the_same(kink):
    """ε|f|/h is more than may pass here; a kink nearby leaves a narrower place for the four points."""
    f = lambda arrays: ((1e2 + 1e-3 * np.sin(arrays[0])).sum(), np.packbits(arrays[0] > kink).tobytes())  # noqa: E731
    x, h = [np.array([0.3])], 6e-6
    two_points = (f([x[0] + h])[0] - f([x[0] - h])[0]) / (2 * h)
    exact = 1e-3 * np.cos(0.3)
    assert abs(two_points - exact) > 1e-6 * exact
    assert abs(central_difference(f, x, 0).item() - exact) < 1e-6 * exact
