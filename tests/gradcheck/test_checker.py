"""The checker refuses what is wrong and passes what is right."""

import numpy as np
import pytest

from cmir_ref import ops
from cmir_ref.cmirnet import feature_norm, feature_norm_backward
from cmir_ref.gradcheck import (
    Pair,
    central_difference,
    check_gradient,
    complex_step,
    directional,
    explain,
    judge,
    relative_error,
)
from cmir_ref.gradcheck.numeric import random_direction, winners

RNG = np.random.default_rng(0)
X, SQUARE, B = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=3)
GATES = {"complex-step": 1e-12, "central-difference": 1e-6, "directional": 1e-12}


def refused(f, f_backward, inputs):
    """Whether the checker raises, or measures an error that its gates do not let pass."""
    try:
        results = check_gradient(f, f_backward, [np.array(x) for x in inputs])
    except (ValueError, TypeError):
        return True
    return any(not r.error <= GATES[r.method] for r in results)


def linear_with(change):
    """The affine map with a backward that is wrong in one place."""

    def backward(dy, cache):
        return change(dy, cache, *ops.linear_backward(dy, cache))

    return ops.linear, backward, [X, SQUARE, B]


def square(change):
    """y = x², with a backward of the caller's."""
    return lambda x: (x * x, x), change, [X]


def at(g, index, value):
    g = g.copy()
    g[index] = value
    return g


def in_place(dy, factor):
    dy *= factor
    return dy


DRAWS = np.random.default_rng(0)  # each call draws on: another mask each time, and the same masks in each process


def redrawn(x):
    mask = DRAWS.random(x.shape) > 0.5
    return x * mask, mask


def absolute(x):
    return np.abs(x), np.sign(x.real)


BROKEN = {
    "twice too large": square(lambda dy, x: 4 * x * dy),
    "wrong by 1 in 10 000": square(lambda dy, x: 2.0002 * x * dy),
    "sign": square(lambda dy, x: -2 * x * dy),
    "forgets dy": square(lambda dy, x: 2 * x),
    "sums dy": square(lambda dy, x: 2 * x * dy.sum()),
    "zero": square(lambda dy, x: 0 * x),
    "NaN": square(lambda dy, x: np.nan * x),
    "one NaN": square(lambda dy, x: at(2 * x * dy, (1, 2), np.nan)),
    "infinite": square(lambda dy, x: np.inf * x),
    "one entry": square(lambda dy, x: at(2 * x * dy, (3, 2), 0)),
    "two entries exchanged": square(lambda dy, x: (2 * x * dy)[[1, 0, 2, 3]]),
    "writes into dy": (ops.relu, lambda dy, cache: in_place(dy, cache.positive), [X]),
    "writes into dy and hides a factor": (lambda x: (x + 0, None), lambda dy, _: in_place(dy, 2), [X]),
    "forward writes into x": (lambda x: (in_place(x, 2), None), lambda dy, _: 2 * dy, [X]),
    "transposed": square(lambda dy, x: (2 * x * dy).T),
    "shape that broadcasts": square(lambda dy, x: (2 * x * dy).sum(axis=0)),
    "scalar": square(lambda dy, x: (2 * x * dy).sum()),
    "two gradients for one input": square(lambda dy, x: (2 * x * dy, dy)),
    "not even a gradient": square(lambda dy, x: None),
    "square w not transposed": linear_with(lambda dy, cache, dx, dw, db: (dy @ cache.w, dw, db)),
    "square dw transposed": linear_with(lambda dy, cache, dx, dw, db: (dx, dw.T, db)),
    "db averaged": linear_with(lambda dy, cache, dx, dw, db: (dx, dw, db / len(dy))),
    "db missing": linear_with(lambda dy, cache, dx, dw, db: (dx, dw)),
    "one input after the other": linear_with(lambda dy, cache, dx, dw, db: (dw, dx, db)),
    "mean without 1/N": (
        lambda x: ops.frobenius(x, reduction="mean"),
        lambda dy, cache: ops.frobenius_backward(dy, cache._replace(scale=1.0)),
        [X],
    ),
    "mask missing": (ops.relu, lambda dy, cache: dy, [X]),
    "mask turned round": (ops.relu, lambda dy, cache: ops.relu_backward(dy, cache._replace(positive=~cache[0])), [X]),
    "mask drawn anew": (redrawn, lambda dy, mask: dy * mask, [X]),
    "batch norm forgets the mean": (
        ops.batch_norm,
        lambda dy, cache: ops.batch_norm_backward(dy, cache._replace(mode="inference")),
        [X, B, B + 1],
    ),
    "one of two outputs": (lambda x: ((x, 2 * x), None), lambda d, _: d[0], [X]),
    "same gradient for both": (
        ops.linear,
        lambda dy, cache: (ops.linear_backward(dy, cache)[1],) * 3,
        [SQUARE, SQUARE + 1, SQUARE[0]],
    ),
}

RIGHT = {
    "square": square(lambda dy, x: 2 * x * dy),
    "linear": linear_with(lambda dy, cache, dx, dw, db: (dx, dw, db)),
    "a list of gradients": linear_with(lambda dy, cache, *grads: list(grads)),
    "two outputs": (lambda x: ((x, 2 * x), None), lambda d, _: d[0] + 2 * d[1], [X]),
    "an output that is None": (lambda x: ((x, None), None), lambda d, _: d[0], [X]),
    "constant": (lambda x: (0 * x, x), lambda dy, x: 0 * x, [X]),
    "an input that is not differentiated": (lambda x, y: (x * y, y), lambda dy, y: (dy * y, None), [X, X + 1]),
    "no entries": (*square(lambda dy, x: 2 * x * dy)[:2], [np.zeros((0, 3))]),
    "scalar input": (*square(lambda dy, x: 2 * x * dy)[:2], [1.5]),
    "scalar output": (feature_norm, feature_norm_backward, [X, X + 1]),
    "whole numbers": (ops.linear, ops.linear_backward, [np.arange(6).reshape(2, 3), np.ones((3, 2), int), [1, 2]]),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_broken_pairs_are_refused(name):
    assert refused(*BROKEN[name])


@pytest.mark.parametrize("name", RIGHT)
def test_right_pairs_pass(name):
    assert not refused(*RIGHT[name])


def test_a_forward_that_hides_from_the_complex_step_is_refused():
    results = check_gradient(absolute, lambda dy, sign: dy * sign, [X], methods=["complex-step"])
    assert results[0].error == 1.0
    results = check_gradient(absolute, lambda dy, sign: 0 * dy, [X], methods=["central-difference"])
    assert results[0].error == 1.0  # and a backward of zeros, which agrees with it, by the central difference


def test_results_name_input_method_and_worst_entry():
    f, backward, inputs = BROKEN["one entry"]
    results = check_gradient(f, backward, inputs, names=["pixels"], draws=3)
    entries = [r for r in results if r.input == "pixels"]
    assert [r.method for r in entries] == ["complex-step", "central-difference"]
    assert all(r.worst == (3, 2) and r.ours == 0 != r.measured for r in entries)
    assert [(r.input, r.method) for r in results[2:]] == [("all", "directional")] * 3


def test_methods_can_be_chosen_and_the_seed_fixes_the_draw():
    f, backward, inputs = RIGHT["square"]
    once, twice = (check_gradient(f, backward, inputs, methods=["directional"], seed=3) for _ in range(2))
    assert {r.method for r in once} == {"directional"} and once == twice
    assert once != check_gradient(f, backward, inputs, methods=["directional"], seed=4)


@pytest.mark.parametrize("methods", [(), ["complex"], ["directional", "forward"], "complex-step"])
def test_methods_that_would_check_nothing_are_refused(methods):
    with pytest.raises(ValueError, match="expected some of"):
        check_gradient(*RIGHT["square"], methods=methods)


def test_the_message_names_the_input_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"w: a gradient of shape \(1, 2\) for an input of shape \(2, 1\)"):
        check_gradient(lambda w: (w, None), lambda dy, _: dy.T, [np.ones((2, 1))], names=["w"])


@pytest.mark.parametrize("x", [1e-5, -1e-6, 1e-7])
def test_an_entry_next_to_a_kink_is_judged_rightly(x):
    inputs = [np.array([1.0, x])]
    assert not refused(ops.relu, ops.relu_backward, inputs)
    assert refused(ops.relu, lambda dy, cache: dy * [1.0, x < 0], inputs)


@pytest.mark.parametrize("method", ["complex-step", "central-difference"])
def test_on_a_kink_the_gradient_lies_between_two_slopes(method):
    for share, right in ((0, True), (0.5, True), (1, True), (-0.1, False), (1.1, False)):
        backward = lambda dy, _, share=share: share * dy  # noqa: E731
        (result,) = check_gradient(ops.relu, backward, [np.zeros(1)], methods=[method])
        assert result.right == right and (result.error <= 1e-12) == right, share
        assert result.kinks == (share != 0 or method == "central-difference")  # 0 is what the complex step says, too


@pytest.mark.parametrize("method", ["complex-step", "central-difference"])
def test_a_mistake_is_found_beside_a_larger_difference_that_is_right(method):
    """At a kink the backward may differ from what is measured: the search for mistakes goes on."""
    for factor in (1, 1.001):
        backward = lambda dy, cache, c=factor: 1.0 * dy * [1, 1, c]  # noqa: E731
        (result,) = check_gradient(ops.relu, backward, [np.array([0.0, 1.0, 2.0])], methods=[method])
        assert result.right == (factor == 1) and result.kinks == 1


def test_a_mistake_that_stays_is_no_rounding_of_a_large_value_along_a_direction():
    for offset in (0, 1e6):
        f = lambda x, c=offset: (c + (x * x).sum(), x)  # noqa: E731
        for factor in (2, 2 + 1e-11):
            backward = lambda dy, x, c=factor: c * dy * x  # noqa: E731
            assert all(r.right for r in check_gradient(f, backward, [X], methods=["directional"])) == (factor == 2)


def test_measures_of_a_known_derivative():
    x, y = np.array([[1.5, -2.0]]), np.array([3.0])
    f = lambda arrays: (arrays[0] ** 3 * arrays[1]).sum()  # noqa: E731
    exact = [3 * x**2 * y, (x**3).sum(keepdims=True)[0]]
    for i in range(2):
        np.testing.assert_allclose(complex_step(f, [x, y], i), exact[i], rtol=1e-15)
        np.testing.assert_allclose(central_difference(lambda a: (f(a), b""), [x, y], i), exact[i], rtol=1e-9)
    along = directional(f, [x, y], [np.ones((1, 2)), np.array([2.0])])
    assert along == pytest.approx(exact[0].sum() + 2 * exact[1][0], rel=1e-15)
    np.testing.assert_array_equal(x, [[1.5, -2.0]])


def test_a_central_difference_of_large_numbers_takes_large_steps():
    found = central_difference(lambda a: (2 * (a[0] - 1e8).sum(), b""), [np.array([1e8 + 0.5])], 0)
    assert found == pytest.approx(2, rel=1e-9)


def test_where_a_large_value_hides_two_points_four_are_taken_farther_apart():
    x = np.array([0.3, 1.7])
    found = central_difference(lambda a: (3e3 + np.sin(a[0]).sum(), b""), [x], 0)
    np.testing.assert_allclose(found, np.cos(x), rtol=0, atol=3e-9)


def test_winners_see_masks_and_indices_at_any_depth_but_no_values():
    mask, index = np.array([True, False]), np.array([3], np.uint8)
    assert winners((1.5, [mask, {"a": (index, None)}], np.ones(2))) == mask.tobytes() + index.tobytes()
    assert winners((1.5, np.ones(2), "text", None)) == b""


def holds_itself(x):
    cache = {"x": x, "steps": [x > 0]}
    cache["steps"].append(cache)
    return x * x, cache


def test_a_cache_that_holds_itself_is_read_once():
    x = np.array([[0.7, -1.3], [0.4, 2.1]])
    assert winners(holds_itself(x)[1]) == (x > 0).tobytes()
    results = check_gradient(holds_itself, lambda dy, cache: 2 * dy * cache["x"], [x])
    assert len(results) > 2 and all(result.right for result in results)
    assert "the factor x is missing" in explain(holds_itself, lambda dy, cache: 2 * dy, {"x": x})


def test_relative_error():
    assert relative_error([1.0, 2.0], [1.0, 4.0]) == (0.5, (1,))
    assert relative_error([4.0], [-4.0]) == (2.0, (0,))
    assert relative_error(np.zeros(2), np.zeros(2))[0] == 0
    assert relative_error([1e-20], [-1e-20])[0] == 2.0
    assert relative_error([1e-9], [0.0], floor=1e-8)[0] == 1e-9  # a rounded zero: absolute
    assert relative_error([1e-7], [0.0], floor=1e-8)[0] == 1.0
    assert relative_error([1.0, np.nan], [1.0, 1.0]) == (np.inf, (1,))
    assert relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == (0.0, ())
    assert relative_error(1.0, 4.0) == (0.75, ())  # numbers without an axis
    with pytest.raises(ValueError, match="shape"):
        relative_error(np.ones(2), np.ones((2, 1)))


def select(u, rows, keep):
    """Rows of u by whole numbers, entries by a boolean mask: neither survives as float or complex."""
    return u[rows] * keep[rows] + 0 * u[~keep].sum(), (u.shape, rows, keep)


def select_backward(dy, cache):
    shape, rows, keep = cache
    du = np.zeros(shape)
    np.add.at(du, rows, dy * keep[rows])
    return du, None, None


def test_labels_and_masks_are_passed_on_as_they_are():
    inputs = [X[:, 0], np.array([3, 0, 0, 1]), np.array([True, False, True, True])]
    assert not refused(select, select_backward, inputs)
    assert refused(select, lambda dy, cache: (2 * select_backward(dy, cache)[0], None, None), inputs)
    assert {r.input for r in check_gradient(select, select_backward, inputs)} == {"input 0", "all"}


def test_a_mask_with_a_gradient_is_a_number():
    product = (lambda x, m: (x * m, (x, m))), (lambda dy, cache: (dy * cache[1], dy * cache[0]))
    assert not refused(*product, [X, X > 0])


def test_results_count_entries_and_winners_that_changed():
    (result,) = check_gradient(ops.relu, ops.relu_backward, [np.array([1.0, 1e-7])], methods=["central-difference"])
    assert (result.entries, result.shrunk) == (2, 1) and result.error < 1e-6


@pytest.mark.parametrize(
    ("f", "backward", "x", "message"),
    [
        (lambda x: x, lambda dy, _: dy, X, r"\(y, cache\), not an array of shape \(4, 3\)"),
        (lambda x: (x, x, x), lambda dy, _: dy, X, r"\(y, cache\), not a tuple of 3"),
        (lambda x: (1j * x, x), lambda dy, _: dy, X, "y is made of real numbers"),
        (lambda x: (x, x), lambda dy, _: dy, X * 1j, "input 0 is an array of real numbers"),
        (lambda x: (x, x), lambda dy, _: dy, "text", "input 0 is an array of real numbers"),
        (lambda x: (x, x), lambda dy, _: {"x": dy}, X, "input 0: the gradient is an array of real numbers, not dict"),
        (lambda x: (x, x), lambda dy, _: dy.astype(object), X, "gradient is an array of real numbers, not object"),
        (lambda x: (x, x), lambda dy, _: 1j * dy, X, "input 0: the gradient is .* not complex numbers"),
        (lambda x: (x, x), lambda dy, _: (dy, dy), X, "2 gradients for 1 inputs"),
    ],
)
def test_what_is_no_pair_is_told(f, backward, x, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(f, backward, [x])


def test_the_upstream_is_not_the_inputs_of_the_same_seed():
    """y = x/‖x‖ has no gradient along itself: with dy ∝ x every backward that scales dy would be measured against 0."""

    def normalise(x):
        y = x / np.sqrt((x * x).sum())
        return y, (x, y)

    x = random_direction(np.random.default_rng(0), (5,))
    results = check_gradient(normalise, lambda dy, cache: dy / np.sqrt((cache[0] ** 2).sum()), [x], seed=0)
    assert np.abs(results[0].measured) > 1e-3


def test_a_complex_step_is_taken_once_for_each_entry():
    stepped = []

    def square(x):
        if np.count_nonzero(np.imag(x)) == 1:
            stepped.append(int(np.imag(x).argmax()))
        return x * x, x

    results = check_gradient(square, lambda dy, x: 2 * x * dy, [np.array([1.0, 2.0, 3.0])])
    assert all(r.right for r in results) and stepped == [0, 1, 2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("entries", [[np.inf, 1, 1], [np.inf, -np.inf, 1], [np.nan, 1, 1]])
def test_a_gradient_that_is_not_finite_is_wrong_along_every_direction_and_warns_of_nothing(entries):
    """infinity ≤ infinity is no agreement."""

    def backward(dy, x):
        return 2 * dy * x * np.array(entries)

    x = np.array([0.3, -0.7, 1.1])
    results = check_gradient(lambda x: ((x * x).sum(), x), backward, [x])
    assert not any(result.right for result in results)
    directions = check_gradient(lambda x: ((x * x).sum(), x), backward, [x], methods=["directional"])
    assert not any(result.right for result in directions)
    assert "not finite" in [f.kind for f in judge(Pair(lambda x: ((x * x).sum(), x), backward, {"x": x})).findings]


def test_a_gradient_of_booleans_is_judged():
    judgement = judge(Pair(lambda x: (x * x, x), lambda dy, x: dy * x > 0, {"x": np.array([0.3, -0.7, 1.1])}))
    assert judgement.wrong == ["x"]


def test_axes_of_length_1_are_no_missing_sum():
    forward, x = lambda x: (np.ones((2, 4, 3)) * x, x), np.array([0.3, -0.7, 1.1])
    judgement = judge(Pair(forward, lambda dy, x: dy.sum(axis=(0, 1), keepdims=True), {"x": x}))
    assert [finding.kind for finding in judgement.findings] == ["reshape"]
