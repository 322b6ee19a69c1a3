"""Every declaration of `checks.CHECKS` goes through the same battery."""

import numpy as np
import pytest
from memory import fresh_memory_is_nan
from strategies import LAYOUTS, again, assert_close, report, small

from cmir_ref.checks import CHECKS, draw, regimes, run, tolerance
from cmir_ref.gradcheck import check_gradient
from cmir_ref.gradcheck.check import METHODS
from cmir_ref.gradcheck.numeric import random_direction

EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)

WITHOUT_GRADIENT = {"eq1/off": ["z"]}  # declared inputs that the backward answers with None
WHOLE_NETWORKS = {c.name for c in CHECKS if c.name.startswith(("amfmn/objective", "amfmn/image", "amfmn/label"))}
OWN_FLOAT64 = {  # declarations with float64 arrays beside their inputs, and where their float32 is tested
    "batch_norm/inference": "test_batch_norm",
    "conv_pretrainer/paper/inference": "test_conv_pretrainer",
    "efficientnet_lite/inference": "test_efficientnet_lite",
    "efficientnet_lite/last": "test_efficientnet_lite",
    "end_to_end": "test_end_to_end",
    "trunk_pretrainer": "test_trunk_pretrainer",
    "conv_maps/inference": "test_amfmn_objective",
    **{
        c.name: "test_amfmn_objective"
        for c in CHECKS
        if c.name.startswith(("amfmn/objective", "amfmn/image", "amfmn/label"))
    },
    **{c.name: "test_amfmn_triplet" for c in CHECKS if c.name.startswith("amfmn/triplet")},
}
NOTHING_KEPT = {"global_mean"}  # its cache holds no array, but a shape

REPEATED = {  # strides of 0: one row for all, one number for all
    "row": lambda x: np.broadcast_to(x[:1], x.shape),
    "number": lambda x: np.broadcast_to(x.ravel()[0], x.shape),
}
SHARED = [c for c in CHECKS if not c.network and next(iter(draw(c).inputs)) == "x" and len(draw(c).inputs) > 1]
SEED = 7


def drawn(check):
    return draw(check, seed=SEED)


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


def arrays_in(*y):
    """The arrays of results, caches and functions (what they hold: targets, masks, running averages)."""
    found = []
    for part in leaves(y):
        if isinstance(part, np.ndarray):
            found.append(part)
        elif callable(part):
            held = getattr(part, "args", ()), getattr(part, "keywords", {}), getattr(part, "func", None)
            found += arrays_in(held, [cell.cell_contents for cell in getattr(part, "__closure__", None) or ()])
    return found


def read_only(arrays):
    for array in filter(np.ndim, arrays):
        array.flags.writeable = False


def assert_right(check, *, methods=METHODS, **settings):
    """`run` finds the backward right, by each method, for each input that has a gradient; the cheapest method first."""
    differentiated = [name for name in drawn(check).inputs if name not in WITHOUT_GRADIENT.get(check.name, [])]
    expected = {method: ["all"] * 5 if method == "directional" else differentiated for method in methods}
    for some in ("directional",), tuple(method for method in methods if method != "directional"):
        results, call = run(check, seed=SEED, methods=some, **settings), again(check, SEED, **settings)
        assert [report(r, call) for r in results if not (r.right and r.error <= tolerance(check, r.method))] == []
        for method in some:
            assert [r.input for r in results if r.method == method] == expected[method]


@EACH
def test_the_backward_is_the_derivative(check):
    """By complex steps and by differences, which so agree: no lost `.real` and no kink can hide in one of them."""
    assert_right(check)


def exact(check):
    """Networks by complex steps alone: what is left of a gradient of ones or of nothing, differences cannot measure."""
    return {"methods": ("complex-step", "directional")} if check.network else {}


@EACH
@pytest.mark.parametrize("regime", ["square", "one"])
def test_in_every_regime_of_shapes(check, regime):
    assert_right(check, sizes=regimes(check)[regime], **exact(check))


@pytest.mark.parametrize("check", [c for c in CHECKS if "empty" in regimes(c)], ids=lambda check: check.name)
def test_an_empty_batch(check):
    assert_right(check, sizes=small(check) | regimes(check)["empty"], **exact(check))


def test_only_matrices_of_weights_have_no_batch():
    assert {c.covers for c in CHECKS if "empty" not in regimes(c)} == {"cmirnet.eq7_regulariser.regulariser"}


@EACH
def test_no_parameter_is_0_or_1_and_no_upstream_is(check):
    pair = drawn(check)
    y, _ = pair.forward(*pair.inputs.values())
    parameters = [x for name, x in pair.inputs.items() if name != "x"]
    for value in (*parameters, *leaves(upstream(y))):
        assert not np.isin(value, [0, 1]).any()


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
def test_nothing_is_read_that_was_never_written(check):
    """In fresh memory that is NaN, values and gradients have the same bits."""

    def answers():
        pair = drawn(check)
        y, cache = pair.forward(*pair.inputs.values())
        return bits(y, pair.backward(upstream(y), cache))

    expected = answers()
    with fresh_memory_is_nan():
        assert answers() == expected


@EACH
def test_nothing_is_written_to(check):
    """Neither inputs, parameters, upstream, targets and masks nor the cache, by forward or backward."""
    pair = drawn(check)
    inputs = list(pair.inputs.values())
    y, cache = pair.forward(*inputs)
    dy = upstream(y)
    handed_in, kept = leaves(inputs, dy) + arrays_in(pair.forward), arrays_in(cache)
    assert kept or check.name in NOTHING_KEPT
    before = bits(handed_in, kept)
    expected = bits(y, pair.backward(dy, cache))
    again, _ = pair.forward(*inputs)
    assert bits(handed_in, kept) == before
    read_only(handed_in + kept)
    assert bits(again, pair.backward(dy, cache)) == expected
    y, cache = pair.forward(*inputs)
    assert bits(y, pair.backward(dy, cache)) == expected


@EACH
def test_no_gradient_shares_memory_with_the_upstream(check):
    """Whoever adds to a gradient in place must not change the upstream gradient that others still read."""
    pair = drawn(check)
    y, cache = pair.forward(*pair.inputs.values())
    dy = upstream(y)
    grads = leaves(pair.backward(dy, cache))
    assert grads
    for d in leaves(dy):
        for g in grads:
            assert not np.shares_memory(g, d)


@pytest.mark.parametrize("check", SHARED, ids=lambda check: check.name)
def test_a_shared_weight_gets_the_gradients_of_both_its_uses(check):
    """op(x₁, w) and op(x₂, w), both forward before either backward: no cache may remember only the last call."""
    pair, other = drawn(check), draw(check, seed=SEED + 1)

    def twice(x, x_2, *w):
        (y, cache), (y_2, cache_2) = pair.forward(x, *w), pair.forward(x_2, *w)
        return (y, y_2), (cache, cache_2)

    def twice_backward(d, caches):
        (dx, *dw), (dx_2, *dw_2) = (pair.backward(*both) for both in zip(d, caches, strict=True))
        return dx, dx_2, *(one + two for one, two in zip(dw, dw_2, strict=True))

    x, *w = pair.inputs.values()
    results = check_gradient(twice, twice_backward, [x, other.inputs["x"], *w], methods=["complex-step"])
    assert [report(r, check.name) for r in results if not r.error <= tolerance(check, r.method)] == []


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
        assert_close(one, two, 1e-12, f"{layout} arrays in {again(check, SEED)}")


@EACH
@pytest.mark.parametrize("repeated", REPEATED)
def test_inputs_that_repeat_one_row_or_number(check, repeated):
    pair = drawn(check)
    views = [REPEATED[repeated](x) for x in pair.inputs.values()]
    expected = leaves(forward_backward(pair, [x.copy() for x in views]))
    rounding = 2**-50 * max(
        np.abs(leaf).max(initial=0) for leaf in expected
    )  # NumPy 2.0 adds repeated numbers otherwise
    for one, two in zip(leaves(forward_backward(pair, views)), expected, strict=True):
        if not np.abs(one - two).max(initial=0) <= rounding:
            assert_close(one, two, 1e-12, f"one {repeated} for all in {again(check, SEED)}")


@EACH
def test_an_upstream_of_one_repeated_number(check):
    pair = drawn(check)
    repeated, full = (
        lambda dy: each(lambda d: np.broadcast_to(0.3, np.shape(d))[()], dy),
        lambda dy: each(lambda d: np.full(np.shape(d), 0.3)[()], dy),
    )
    expected = leaves(forward_backward(pair, pair.inputs.values(), spread=full))
    for one, two in zip(leaves(forward_backward(pair, pair.inputs.values(), spread=repeated)), expected, strict=True):
        assert_close(one, two, 1e-12, again(check, SEED))
