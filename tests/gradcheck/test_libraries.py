"""The same source on another array library: no function may fall back on NumPy's for arrays that are not."""

from functools import partial

import numpy as np
import pytest
from elsewhere import Elsewhere
from strategies import assert_close, small
from test_battery import leaves, upstream

from cmir_ref.checks import CHECKS, draw

LEFT_OUT = {"eq6/default", "eq6/released"}  # their backward adds zeros of NumPy's for the matrix that has no term
FOR_EVERY_LIBRARY = [c for c in CHECKS if not c.covers.startswith("ops.fused.") and c.name not in LEFT_OUT]


def moved(x):
    """`x` with every array elsewhere: in containers, in the arguments of a partial and in what a function closes over.

    Functions are changed in place: a pair is moved once, after its last use.
    """
    if isinstance(x, np.ndarray | np.generic):
        return Elsewhere(x)
    if isinstance(x, partial):
        return partial(moved(x.func), *moved(x.args), **moved(x.keywords))
    if isinstance(x, dict):
        return {name: moved(part) for name, part in x.items()}
    if isinstance(x, tuple | list):
        parts = map(moved, x)
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    for cell in getattr(x, "__closure__", None) or ():
        cell.cell_contents = moved(cell.cell_contents)
    return x


@pytest.mark.parametrize("check", FOR_EVERY_LIBRARY, ids=lambda check: check.name)
def test_values_and_gradients_are_the_same_elsewhere(check):
    pair = draw(check, **small(check))
    y, cache = pair.forward(*pair.inputs.values())
    dy = upstream(y)
    expected = leaves(y, pair.backward(dy, cache))
    y, cache = moved(pair.forward)(*moved(list(pair.inputs.values())))
    for one, two in zip(leaves(y, moved(pair.backward)(moved(dy), cache)), expected, strict=True):
        assert_close(one.array, two, 1e-12, check.name)
