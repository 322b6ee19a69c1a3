"""Gradients over shapes, layouts and dtypes as hypothesis draws them, for every declaration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANY_SHAPE, ROUNDED_ZERO, again, assert_close, layouts, report, sizes
from test_battery import EACH, OWN_FLOAT64, each, forward_backward, leaves

from cmir_ref.checks import CHECKS, draw, run

SEEDS = st.integers(0, 2**32)
PLAIN = pytest.mark.parametrize(
    "check", [c for c in CHECKS if not c.network and c.name not in OWN_FLOAT64], ids=lambda check: check.name
)


@EACH
@given(seed=SEEDS, data=st.data())
def test_gradients_of_any_shape(check, seed, data):
    settings = {"sizes": data.draw(sizes(check, most=3)), "methods": ("directional",)}
    if not check.network:
        settings["methods"] += ("complex-step",)
    for result in run(check, seed=seed, **settings):  # unit vectors of one dimension have no gradient but rounding
        zero = max(abs(result.ours), abs(result.measured)) <= ROUNDED_ZERO
        assert result.error <= ANY_SHAPE or zero, report(result, again(check, seed, **settings))


@EACH
@given(seed=SEEDS, data=st.data())
def test_any_layout_of_each_array(check, seed, data):
    given = data.draw(sizes(check, most=3))
    pair = draw(check, seed=seed, **given)
    lay = lambda x: data.draw(layouts(x))  # noqa: E731
    expected = leaves(forward_backward(pair, pair.inputs.values()))
    found = leaves(forward_backward(pair, each(lay, list(pair.inputs.values())), spread=lambda dy: each(lay, dy)))
    for one, two in zip(found, expected, strict=True):
        assert_close(one, two, ANY_SHAPE, again(check, seed, sizes=given))


@PLAIN
@given(seed=SEEDS, data=st.data())
def test_float32_of_any_shape_and_layout(check, seed, data):
    given = data.draw(sizes(check, most=3))
    pair = draw(check, seed=seed, **given)
    inputs = [data.draw(layouts(x.astype(np.float32))) for x in pair.inputs.values()]
    double = leaves(forward_backward(pair, [x.astype(np.float64) for x in inputs]))
    single = leaves(forward_backward(pair, inputs))
    assert {part.dtype for part in single} == {np.dtype("float32")}
    size = max([1.0, *(np.abs(two).max() for two in double if two.size)])
    for one, two in zip(single, double, strict=True):
        np.testing.assert_allclose(one, two, rtol=5e-6, atol=5e-6 * size, err_msg=again(check, seed, sizes=given))
