"""Our values, gradients and training steps against PyTorch's, which tests/golden keeps: no PyTorch is needed here."""

import json

import numpy as np
import pytest
from golden import stored, ten_steps

from cmir_ref.checks import CHECKS
from cmir_ref.gradcheck import relative_error

GOLDEN = stored.read()
PRINTS = json.loads(stored.FINGERPRINTS.read_text(encoding="utf-8"))


def test_every_declaration_has_golden_values_and_every_preset_a_fingerprint():
    assert GOLDEN.keys() == {check.name for check in CHECKS}, stored.AGAIN
    assert PRINTS.keys() == ten_steps.RUNS.keys(), stored.AGAIN
    assert all(len(case.y) > 0 and len(case.inputs) > 0 for case in GOLDEN.values())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_values_and_gradients_are_pytorchs(check):
    assert check.name in GOLDEN, stored.AGAIN
    case = GOLDEN[check.name]
    pair = check.draw(stored.Replay(case.draws))
    assert stored.said(stored.settings(pair.forward)) == case.settings, f"it has other settings; {stored.AGAIN}"
    assert pair.inputs.keys() == case.inputs.keys(), stored.AGAIN
    for name, x in pair.inputs.items():
        np.testing.assert_array_equal(x, case.inputs[name], f"{name} is drawn in another way; {stored.AGAIN}")
    y, grads = stored.ours(pair, case.inputs, case.dy)
    assert len(y) == len(case.y)
    floor = stored.ROUNDED_ZERO
    far = {f"output {i}": relative_error(a, b, floor=floor)[0] for i, (a, b) in enumerate(zip(y, case.y, strict=True))}
    far |= {name: relative_error(grads[name], golden, floor=floor)[0] for name, golden in case.grads.items()}
    assert {name: error for name, error in far.items() if not error <= stored.GATE} == {}


@pytest.mark.parametrize("name", ten_steps.RUNS)
def test_ten_steps_of_a_preset_have_pytorchs_losses(name):
    run = ten_steps.run(name)
    assert ten_steps.drawn(run) == pytest.approx(PRINTS[name]["drawn"], rel=1e-12), (
        f"other parameters, batches or masks are drawn, with the same seed; if that is meant, {stored.AGAIN}"
    )
    assert ten_steps.worst(run.losses, PRINTS[name]["losses"]) <= ten_steps.gate(run)
