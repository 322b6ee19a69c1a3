"""±∞ and NaN in operations: what is known stays right, and a NaN is never lost."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops.batch_norm import batch_norm
from cmir_ref.ops.cosine import cosine
from cmir_ref.ops.fused import conv_act_norm_pool, conv_max_pool
from cmir_ref.ops.max_pool import max_pool, max_pool_backward
from cmir_ref.ops.relu import leaky_relu, leaky_relu_backward, relu, relu_backward
from cmir_ref.ops.sigmoid_cross_entropy import sigmoid_cross_entropy, sigmoid_cross_entropy_backward
from cmir_ref.ops.softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_backward
from cmir_ref.ops.unit_rows import unit_rows

INF, NAN = np.inf, np.nan


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("forward", [relu, lambda x: leaky_relu(x, 0.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu(forward, dtype):
    x = np.array([-INF, -1, 0, 1, INF, NAN], dtype)
    y, cache = forward(x)
    np.testing.assert_array_equal(y, np.array([0, 0, 0, 1, INF, NAN], dtype))
    assert y.dtype == dtype
    dy = np.array([INF, NAN, -INF, 2, 3, 0], dtype)
    for dx in (relu_backward(dy, cache), leaky_relu_backward(dy, cache)):
        np.testing.assert_array_equal(dx, np.array([0, 0, 0, 2, 3, 0], dtype))


def test_leaky_relu():
    y, _ = leaky_relu(np.array([-INF, -2.0, INF, NAN]), 0.5)
    np.testing.assert_array_equal(y, [-INF, -1, INF, NAN])


@pytest.mark.parametrize(
    "targets", [np.array([1, 2]), np.array([[0, 1.0, 0], [0, 0, 1]]), np.array([[0, 3.0, 0], [0, 0, 1]])]
)
def test_softmax_with_classes_that_are_ruled_out(targets):
    """A masked logit counts as a class that is not there."""
    u = np.array([[-INF, 0.3, -1.2], [0.1, -INF, 2.0]])
    loss, cache = softmax_cross_entropy(u, targets, reduction="sum")
    expected = np.log1p(np.exp(-1.2 - 0.3)) + np.log1p(np.exp(0.1 - 2.0))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    du = softmax_cross_entropy_backward(1.0, cache)
    assert np.isfinite(du).all() and du[0, 0] == 0 and du[1, 1] == 0
    np.testing.assert_allclose(du.sum(axis=1), 0, atol=1e-15)


def test_softmax_of_the_impossible_and_of_nan():
    with np.errstate(all="ignore"):
        assert softmax_cross_entropy(np.array([[-INF, 1.0]]), np.array([0]))[0] == INF
        assert np.isnan(softmax_cross_entropy(np.array([[NAN, 1.0]]), np.array([1]))[0])


@pytest.mark.parametrize(("u", "y", "loss"), [(-INF, 0, 0), (INF, 1, 0), (INF, 0, INF), (-INF, 1, INF), (NAN, 1, NAN)])
def test_sigmoid(u, y, loss):
    got, cache = sigmoid_cross_entropy(np.array([[u, 0.0]]), np.array([[y, 0.0]]), reduction="sum")
    np.testing.assert_allclose(got, loss + np.log(2))
    expected = [[NAN if np.isnan(u) else float(u > 0) - y, 0.5]]
    np.testing.assert_array_equal(sigmoid_cross_entropy_backward(1.0, cache), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_vector_with_a_nan_has_no_direction(dtype):
    """… and no cosine with any other; nor has one without an end."""
    x = np.array([[3, 4], [NAN, 1], [0, 0], [INF, 1]], dtype)
    with np.errstate(invalid="ignore"):
        y, scores = unit_rows(x)[0], cosine(x, x[:1])[0]
    np.testing.assert_allclose(y[[0, 2]], [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert np.isnan(y[1]).all() and np.isnan(y[3]).any() and y.dtype == dtype
    np.testing.assert_allclose(scores[:, 0], [1, NAN, 0, NAN], rtol=1e-6)


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from(["float32", "float64"]))
def test_a_pool_keeps_every_nan(seed, factor, dtype):
    """Wherever in its window it stands; the fused twin agrees, its gradient too."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 2 * factor, 3 * factor, 1)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = NAN
    x[rng.random(x.shape) < 0.1] = -INF
    y, cache = max_pool(x, factor)
    np.testing.assert_array_equal(y, x.reshape(2, 2, factor, 3, factor, 1).max(axis=(2, 4)))
    dx = max_pool_backward(np.ones_like(y), cache)
    assert dx.sum() == y.size and np.isnan(x[dx == 1]).sum() == np.isnan(y).sum()
    w, b = np.ones((1, 1, 1, 1), dtype), np.zeros(1, dtype)
    fused, fused_cache = conv_max_pool(x, w, b, factor)
    np.testing.assert_array_equal(fused, y)
    np.testing.assert_array_equal(fused_cache.winner, cache.winner)
    for gamma in (np.ones(1, dtype), -np.ones(1, dtype)):
        given = (gamma, b, b, 1 + b)
        block, _ = conv_act_norm_pool(x, w, b, *given, factor=factor, slope=0.1, mode="inference")
        with np.errstate(invalid="ignore"):
            plain = max_pool(batch_norm(leaky_relu(x, 0.1)[0], *given, mode="inference")[0], factor)[0]
        np.testing.assert_allclose(block, plain, rtol=1e-6)
