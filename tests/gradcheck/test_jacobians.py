"""∂y/∂x of single outputs, by the backward and measured, and the arrays that a sentence can name."""

from collections import namedtuple

import numpy as np
import pytest

from cmir_ref.gradcheck import Pair, judge
from cmir_ref.gradcheck.evidence import Jacobians
from cmir_ref.gradcheck.jacobians import (
    MOST_OUTPUTS,
    backward_jacobians,
    cache_names,
    ingredients,
    measured_jacobian,
    output_shape,
)
from cmir_ref.gradcheck.trial import attempt

RNG = np.random.default_rng(11)
X, W, B = RNG.normal(size=(3, 2)), RNG.normal(size=(2, 4)), RNG.normal(size=4)
Kept = namedtuple("Kept", "x w h")


def layer(x, w, b):
    h = np.tanh(x @ w + b)
    return h, Kept(x, w, h)


def layer_backward(dy, c):
    da = dy * (1 - c.h * c.h)
    return da @ c.w.T, c.x.T @ da, da.sum(axis=0)


def two(x, w):
    return (x @ w, (x @ w) ** 2), (x, w)


def two_backward(dy, cache):
    x, w = cache
    d = dy[0] + 2 * dy[1] * (x @ w)
    return d @ w.T, x.T @ d


def norms(x):
    return np.linalg.norm(x, axis=1), x


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("safe", [True, False])
def test_both_jacobians_of_a_right_pair_are_equal(which, safe):
    trial = attempt(layer, layer_backward, [X, W, B])
    ours, right = backward_jacobians(trial)[which], measured_jacobian(trial, which, safe)
    assert ours.shape == right.shape == (3, 4, *trial.inputs[which].shape)
    np.testing.assert_allclose(ours, right, atol=1e-14 if safe else 1e-9)


def test_outputs_of_one_shape_are_stacked_and_others_are_counted():
    trial = attempt(two, two_backward, [X, W])
    assert output_shape(trial) == (2, 3, 4)
    np.testing.assert_allclose(backward_jacobians(trial)[0], measured_jacobian(trial, 0, True), atol=1e-13)
    uneven = attempt(lambda x: ((x, x.sum(axis=0)), None), lambda dy, _: dy[0] + dy[1], [X])
    assert output_shape(uneven) == (8,)
    np.testing.assert_allclose(backward_jacobians(uneven)[0], measured_jacobian(uneven, 0, True), atol=1e-14)


def test_many_outputs_are_too_many():
    x = np.ones(MOST_OUTPUTS + 1)
    trial = attempt(lambda x: (x * x, x), lambda dy, x: 2 * dy * x, [x])
    assert backward_jacobians(trial) is None and measured_jacobian(trial, 0, True) is None


def test_the_arrays_of_a_forward_have_names_and_stand_once():
    trial = attempt(layer, layer_backward, [X, W, B], names=["x", "w", "b"])
    assert list(ingredients(trial)) == ["x", "w", "b", "y"]  # the cache keeps nothing that is new
    kept = attempt(lambda x: (x.sum(), {"double": 2 * x, "x": x, "n": 3, "index": np.array([0, 1])}),
                   lambda dy, c: dy * np.ones_like(c["x"]), [X], names=["x"])  # fmt: skip
    assert list(ingredients(kept)) == ["x", "y", "double"]


def test_labels_stand_as_ones_in_rows_or_as_they_are():
    def pick(u, labels):
        return u[np.arange(3), labels].sum(), None

    labels = np.array([1, 0, 1])
    trial = attempt(pick, lambda dy, _: (dy * np.eye(2)[labels], None), [X, labels], names=["u", "labels"])
    np.testing.assert_array_equal(ingredients(trial)["one-hot labels"], np.eye(2)[labels])
    marks = np.array([[1, 0], [0, 0], [1, 1]])
    marked = attempt(lambda u, t: ((u * t).sum(), t), lambda dy, t: (dy * t, None), [X, marks], names=["u", "t"])
    np.testing.assert_array_equal(ingredients(marked)["t"], marks)


def test_names_are_those_that_the_backward_gives():
    def backward(dy, cache):
        u, _v, w_ = cache
        return dy * u * w_

    def indexed(dy, cache):
        return dy * cache[0]

    assert cache_names(backward, 3) == ["u", "v", "w"]
    assert cache_names(backward, 2) == cache_names(indexed, 2) == ["cache[0]", "cache[1]"]
    assert cache_names(np.tanh, 1) == cache_names(lambda dy: dy, 1) == ["cache[0]"]


def test_a_value_is_laid_on_all_axes_that_are_as_long():
    j = Jacobians(np.zeros((3, 4, 4, 2)), np.zeros((3, 4, 4, 2)), 2)
    assert list(j.places(np.zeros((4, 1, 2)))) == [(1, 3), (2, 3)] and list(j.places(np.zeros(5))) == []
    square = np.arange(16.0).reshape(4, 4)
    assert set(j.places(square)) == {(1, 2), (2, 1)}
    np.testing.assert_array_equal(j.spread(square, (2, 1)), square.T.reshape(1, 4, 4, 1))


def test_a_forward_that_is_not_complex_safe_is_named_as_well():
    wrong = lambda dy, x: 2 * dy[:, None] * x  # noqa: E731 - not divided by the norm, and a 2 too much
    (finding,) = judge(Pair(norms, lambda dy, x: wrong(dy, x) / 2, {"x": X})).findings
    assert finding.kind == "missing factor" and "y is too much, or a division by it" in finding.sentence


def test_a_way_that_is_off_entry_by_entry_is_named():
    """Softmax of a residual: the way past it has a wrong factor that stands nowhere in the forward."""

    def beside(x):
        e = np.exp(x - x.real.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return x + p, p

    def backward(dy, p, wrong):
        return dy * wrong + p * (dy - (dy * p).sum(axis=1, keepdims=True))

    inputs, odd = {"x": RNG.normal(size=(4, 3))}, RNG.normal(size=(4, 3))
    for wrong, words in ((0, "is missing: add dy"), (odd, "entry by entry, is off, and no other")):
        (finding,) = judge(Pair(beside, lambda dy, p, w=wrong: backward(dy, p, w), inputs)).findings
        assert finding.kind == "missing path" and words in finding.sentence
