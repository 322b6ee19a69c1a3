"""Every declaration of `checks.CHECKS` goes through the same battery."""

import numpy as np
import pytest

from cmir_ref.checks import CHECKS, run, tolerance
from cmir_ref.gradcheck import relative_error
from cmir_ref.gradcheck.numeric import random_direction

EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)

WITHOUT_GRADIENT = {"eq1/off": ["z"]}  # declared inputs that the backward answers with None
OWN_FLOAT64 = {  # declarations with float64 arrays beside their inputs, and where their float32 is tested
    "batch_norm/inference": "test_batch_norm",
    "conv_pretrainer/paper/inference": "test_conv_pretrainer",
    "end_to_end": "test_end_to_end",
    "eq6/default": "test_eq6_total",
    "eq6/released": "test_eq6_total",
}

LAYOUTS = {
    "fortran": np.asfortranarray,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


def drawn(check):
    return check.draw(np.random.default_rng(7))


def each(function, y):
    """`function` on every array of a nested result, in its own containers."""
    if isinstance(y, dict):
        return {name: each(function, part) for name, part in y.items()}
    if isinstance(y, tuple | list):
        parts = [each(function, part) for part in y]
        return type(y)(*parts) if hasattr(y, "_fields") else type(y)(parts)
    return None if y is None else function(y)


def leaves(*y):
    """All arrays of nested results in one list; None is left out."""
    found = []
    each(found.append, y)
    return found


def upstream(y):
    """A random gradient for every part of y, in its shape and dtype."""
    rng = np.random.default_rng(8)
    return each(lambda part: np.asarray(random_direction(rng, np.shape(part)), part.dtype)[()], y)


def forward_backward(pair, inputs, *, spread=lambda dy: dy):
    """(y, one gradient or None for each input)."""
    y, cache = pair.forward(*inputs)
    grads = pair.backward(spread(upstream(y)), cache)
    return y, list(grads) if isinstance(grads, tuple | list) else [grads]


def bits(*y):
    return [(part.dtype, part.shape, part.tobytes()) for part in leaves(y)]


@EACH
def test_the_backward_is_the_derivative(check):
    results = run(check)
    wrong = [r for r in results if not r.error <= tolerance(check, r.method)]
    assert wrong == []
    differentiated = [name for name in drawn(check).inputs if name not in WITHOUT_GRADIENT.get(check.name, [])]
    for method in ("complex-step", "central-difference"):
        assert [r.input for r in results if r.method == method] == differentiated
    assert sum(r.method == "directional" for r in results) == 5


@EACH
def test_shapes_and_presence_of_gradients(check):
    pair = drawn(check)
    _, grads = forward_backward(pair, pair.inputs.values())
    missing = [name for name, g in zip(pair.inputs, grads, strict=True) if g is None]
    assert missing == WITHOUT_GRADIENT.get(check.name, [])
    for x, g in zip(pair.inputs.values(), grads, strict=True):
        assert g is None or g.shape == x.shape


@EACH
def test_the_backward_is_linear_in_the_upstream(check):
    pair = drawn(check)
    y, cache = pair.forward(*pair.inputs.values())
    dy = upstream(y)
    once = leaves(pair.backward(dy, cache))
    for g, minus_twice in zip(once, leaves(pair.backward(each(lambda d: -2 * d, dy), cache)), strict=True):
        np.testing.assert_array_equal(minus_twice, -2 * g)  # powers of two round nothing
    for zero in leaves(pair.backward(each(lambda d: 0 * d, dy), cache)):
        np.testing.assert_array_equal(zero, np.zeros_like(zero))


@EACH
def test_a_replay_gives_the_same_bits(check):
    pair = drawn(check)
    y, cache = pair.forward(*pair.inputs.values())
    dy = upstream(y)
    first = bits(pair.backward(dy, cache))
    again, _ = pair.forward(*pair.inputs.values())
    assert bits(pair.backward(dy, cache)) == first
    assert bits(again) == bits(y)


@EACH
def test_nothing_that_is_handed_in_is_written_to(check):
    pair = drawn(check)
    y, cache = pair.forward(*pair.inputs.values())
    dy = upstream(y)
    handed_in = leaves(pair.inputs, dy)
    before = bits(handed_in)
    expected = bits(y, pair.backward(dy, cache))
    assert bits(handed_in) == before
    for array in filter(np.ndim, handed_in):
        array.flags.writeable = False
    y, cache = pair.forward(*pair.inputs.values())
    assert bits(y, pair.backward(dy, cache)) == expected


@pytest.mark.parametrize("check", [c for c in CHECKS if c.name not in OWN_FLOAT64], ids=lambda check: check.name)
def test_float32_gives_float32(check):
    pair = drawn(check)
    double = leaves(forward_backward(pair, pair.inputs.values()))
    single = leaves(forward_backward(pair, [x.astype(np.float32) for x in pair.inputs.values()]))
    assert {part.dtype for part in single} == {np.dtype("float32")}
    size = max(np.abs(two).max() for two in double)  # exact zeros come out as rounding errors of what cancelled
    for one, two in zip(single, double, strict=True):
        np.testing.assert_allclose(one, two, rtol=5e-6, atol=(5e-5 if check.network else 5e-7) * size)


@EACH
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_does_not_matter(check, layout):
    pair = drawn(check)
    expected = leaves(forward_backward(pair, pair.inputs.values()))
    lay = lambda x: LAYOUTS[layout](x) if np.ndim(x) else x  # noqa: E731
    found = leaves(forward_backward(pair, each(lay, list(pair.inputs.values())), spread=lambda dy: each(lay, dy)))
    for one, two in zip(found, expected, strict=True):
        assert one.shape == two.shape and relative_error(one, two)[0] < 1e-12


@EACH
def test_an_upstream_of_one_repeated_number(check):
    pair = drawn(check)
    repeated, full = (
        lambda dy: each(lambda d: np.broadcast_to(0.3, np.shape(d))[()], dy),
        lambda dy: each(lambda d: np.full(np.shape(d), 0.3)[()], dy),
    )
    expected = leaves(forward_backward(pair, pair.inputs.values(), spread=full))
    for one, two in zip(leaves(forward_backward(pair, pair.inputs.values(), spread=repeated)), expected, strict=True):
        assert relative_error(one, two)[0] < 1e-12
