# gradient: checks/ops.py "batch_norm/…", tests/gradcheck/test_battery.py

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import batch_norm, batch_norm_backward

SHAPES = st.sampled_from([(5, 3), (1, 2), (2, 3, 4, 3), (2, 2, 1)])


def drawn(seed, shape):
    rng = np.random.default_rng(seed)
    c = shape[-1]
    return rng.normal(2, 3, shape), *rng.normal(size=(3, c)), rng.uniform(0.1, 2, c)  # x, γ, β, mean, variance


def normalised(x, gamma, beta, mean, var):
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        c = i[-1]
        y[i] = gamma[c] * (x[i] - mean[c]) / math.sqrt(var[c] + 1e-3) + beta[c]
    return y


@given(st.integers(0, 2**32), SHAPES)
def test_train_uses_and_returns_the_statistics_of_the_batch(seed, shape):
    x, gamma, beta, mean, var = drawn(seed, shape)
    channels = [x[..., c].ravel().tolist() for c in range(shape[-1])]
    y, cache = batch_norm(x, gamma, beta, mean, var, mode="train")
    own = [statistics.fmean(v) for v in channels], [statistics.pvariance(v) for v in channels]
    np.testing.assert_allclose(y, normalised(x, gamma, beta, *own), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(cache.mean, own[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cache.var, own[1], rtol=1e-11, atol=1e-12)


@given(st.integers(0, 2**32), SHAPES)
def test_inference_uses_the_running_statistics(seed, shape):
    x, gamma, beta, mean, var = drawn(seed, shape)
    y, _ = batch_norm(x, gamma, beta, mean, var, mode="inference")
    np.testing.assert_allclose(y, normalised(x, gamma, beta, mean, var), rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**32), SHAPES)
def test_frozen_is_affine(seed, shape):
    x, gamma, beta, mean, var = drawn(seed, shape)
    for running in ((), (mean, var)):
        y, _ = batch_norm(x, gamma, beta, *running, mode="frozen")
        np.testing.assert_allclose(y, gamma * x / math.sqrt(1.001) + beta, rtol=1e-12, atol=1e-12)


def test_train_is_the_default_and_an_unknown_form_is_refused():
    x, gamma, beta, mean, var = drawn(0, (4, 2))
    np.testing.assert_array_equal(batch_norm(x, gamma, beta)[0], batch_norm(x, gamma, beta, mode="train")[0])
    with pytest.raises(ValueError, match="train, inference, frozen"):
        batch_norm(x, gamma, beta, mean, var, mode="eval")


def test_a_channel_that_does_not_vary_stays_finite():
    x = np.full((4, 2), 7.0)
    y, cache = batch_norm(x, np.ones(2), np.array([0.5, -1]))
    np.testing.assert_array_equal(y, [[0.5, -1]] * 4)
    assert np.isfinite(batch_norm_backward(np.ones((4, 2)), cache)[0]).all()


@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
def test_float32_stays_float32(mode):
    single = [a.astype(np.float32) for a in drawn(0, (2, 3, 3, 2))]
    y, cache = batch_norm(*single, mode=mode)
    assert [a.dtype for a in (y, *batch_norm_backward(y, cache))] == [np.float32] * 4
