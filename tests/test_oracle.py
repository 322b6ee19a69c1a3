"""Our values, gradients and training steps against PyTorch's, made here and now."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[oracle]'")

from golden import stored, ten_steps
from oracle_torch import TWINS, oracle, train

from cmir_ref.checks import CHECKS, regimes
from cmir_ref.gradcheck import relative_error
from cmir_ref.gradcheck.numeric import random_direction

GOLDEN = stored.read()
EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
KINKS = {"rounded": np.sign, "zero": np.zeros_like}  # ties, rectifiers and norms at 0


def worst(values, others):
    """The largest relative difference between two (outputs, gradients by name)."""
    (y, grads), (y2, grads2) = values, others
    assert len(y) == len(y2) and grads.keys() == grads2.keys()
    pairs = [*zip(y, y2, strict=True), *((grads[name], grads2[name]) for name in grads)]
    return max(relative_error(a, b, floor=stored.ROUNDED_ZERO)[0] for a, b in pairs)


def both(check, pair, inputs, rng):
    """(outputs, gradients) of ours and of the oracle, for a random upstream gradient."""
    y, _ = oracle(check.covers, pair, inputs)
    dy = [random_direction(rng, np.shape(part)) for part in y]
    return stored.ours(pair, inputs, dy), oracle(check.covers, pair, inputs, dy)


def test_every_checked_function_has_a_twin():
    assert TWINS.keys() == {check.covers for check in CHECKS}


@EACH
@pytest.mark.parametrize("sizes", ["different", "square"])
def test_ours_are_the_twins(check, sizes):
    rng = np.random.default_rng([1, *check.name.encode()])
    pair = check.draw(rng, **regimes(check)[sizes])
    assert worst(*both(check, pair, pair.inputs, rng)) <= stored.GATE


@pytest.mark.parametrize("check", [c for c in CHECKS if "h" not in c.sizes], ids=lambda check: check.name)
def test_ours_are_the_twins_of_single_samples_and_columns(check):
    rng = np.random.default_rng([2, *check.name.encode()])
    pair = check.draw(rng, **regimes(check)["one"])  # PyTorch pools no single pixel
    assert worst(*both(check, pair, pair.inputs, rng)) <= stored.GATE


@pytest.mark.parametrize("check", [c for c in CHECKS if not c.network], ids=lambda check: check.name)
@pytest.mark.parametrize("kink", KINKS)
def test_kinks_are_taken_as_pytorch_takes_them(check, kink):
    rng = np.random.default_rng([3, *check.name.encode()])
    pair = check.draw(rng)
    inputs = {name: KINKS[kink](x) for name, x in pair.inputs.items()}
    assert worst(*both(check, pair, inputs, rng)) <= stored.GATE


@EACH
def test_the_golden_values_are_the_twins(check):
    case = GOLDEN[check.name]
    pair = check.draw(stored.Replay(case.draws))
    assert worst(oracle(check.covers, pair, case.inputs, case.dy), (case.y, case.grads)) <= stored.GATE


@pytest.mark.parametrize("name", ten_steps.RUNS)
def test_ten_steps_of_a_preset_are_the_twins(name):
    run = ten_steps.run(name)
    assert ten_steps.worst(run.losses, train(run)) <= ten_steps.gate(run)
