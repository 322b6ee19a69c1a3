"""The numeric suite on the stand-in for CuPy, and on CuPy: what NumPy computes, to the bit.

The fused twins take NumPy's arrays alone; others go through the plain composition, and so does NumPy here (`plain`).
"""

import numpy as np
import pytest
from strict.moves import arrays, assert_same, moved, silence

from cmir_ref.backend import get_xp
from cmir_ref.checks import CHECKS, draw, regimes
from cmir_ref.gradcheck.numeric import random_direction

CASES = [(check, regime) for check in CHECKS for regime in regimes(check) if regime != "square"]


def upstream(y):
    """A random gradient for every part of y."""
    rng = np.random.default_rng(8)
    return moved(y, lambda part: np.asarray(random_direction(rng, np.shape(part)), part.dtype))


@pytest.mark.parametrize(("check", "regime"), CASES, ids=[f"{check.name}-{regime}" for check, regime in CASES])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_gradients(check, regime, dtype, xp, plain):
    pair = moved(
        draw(check, **regimes(check)[regime]), lambda array: array.astype(dtype) if array.dtype == float else array
    )
    inputs = list(pair.inputs.values())
    y, cache = pair.forward(*inputs)
    dy = upstream(y)
    expected = y, pair.backward(dy, cache)

    there, dy = moved((pair, dy), xp.asarray)
    with silence(xp):
        found, cache = there.forward(*there.inputs.values())
        gradients = there.backward(dy, cache)
    assert len(arrays(expected)) > 1
    assert {get_xp(array) for array in arrays(found, gradients)} == {xp}
    assert_same(xp, (found, gradients), expected)
