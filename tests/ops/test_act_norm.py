"""The fused pair is its plain twin: same values, statistics and gradients."""
# gradient: checks/ops.py "fused/act_norm/…", tests/gradcheck/test_battery.py

import importlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import fresh_memory_is_nan

from cmir_ref.ops import batch_norm, batch_norm_backward, leaky_relu, leaky_relu_backward
from cmir_ref.ops.fused import act_norm, act_norm_backward
from cmir_ref.ops.fused.act_norm import ActNormCache
from cmir_ref.ops.fused.moments import combine, moments

MODULE = importlib.import_module("cmir_ref.ops.fused.act_norm")  # the package's attribute is the function
MODES = st.sampled_from(["train", "inference", "frozen"])


def drawn(seed, n, pixels, c, dtype, zeros=False):
    """x with exact zeros where asked, γ of both signs and 0, β, μ, σ² and dy."""
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(2, n, *pixels, c))
    if zeros:
        x = np.round(x)
    gamma = rng.choice([-1.5, 0, 0.7, 1], c)
    arrays = x, gamma, rng.normal(size=c), rng.normal(size=c), rng.uniform(0.5, 2, c), dy
    return [array.astype(dtype) for array in arrays]


def twins(x, gamma, beta, mean, var, dy, slope, mode):
    a, act_cache = leaky_relu(x, slope)
    y, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)
    da, *rest = batch_norm_backward(dy, norm_cache)
    fused, cache = act_norm(x, gamma, beta, mean, var, slope=slope, mode=mode)
    plain = [y, norm_cache.mean, norm_cache.var, leaky_relu_backward(da, act_cache), *rest]
    return plain, [fused, cache.mean, cache.var, *act_norm_backward(dy, cache)], cache


def test_one_percent_and_training_unless_given():
    x, gamma, beta, *_ = drawn(0, 3, (4,), 5, np.float64)
    wanted = act_norm(x, gamma, beta, slope=0.01, mode="train")
    np.testing.assert_array_equal(act_norm(x, gamma, beta)[0], wanted[0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(
    seed=st.integers(0, 2**32), n=st.integers(0, 9), pixels=st.sampled_from([(), (1,), (2, 3), (8, 8), (16, 5)]),
    c=st.integers(1, 4), slope=st.sampled_from([0.01, 0.2, 1.0, 1.5]), mode=MODES, zeros=st.booleans(),
    block=st.sampled_from([1, 200, MODULE.ACT_NORM_BYTES]),
)  # fmt: skip
def test_values_statistics_and_gradients(dtype, seed, n, pixels, c, slope, mode, zeros, block):
    with mock.patch.object(MODULE, "ACT_NORM_BYTES", block), fresh_memory_is_nan():  # bytes: a sample, a few, all
        plain, fused, cache = twins(*drawn(seed, n, pixels, c, dtype, zeros), slope, mode)
    assert isinstance(cache, ActNormCache)
    tolerance = 1e-12 if dtype is np.float64 else 1e-4
    for ours, theirs in zip(fused, plain, strict=True):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize(("dtype", "slope"), [(np.complex128, 0.01), (np.float64, 0.0), (np.float64, -0.5)])
def test_what_takes_the_plain_composition(dtype, slope):
    plain, fused, cache = twins(*drawn(0, 3, (2, 2), 3, dtype), slope, "train")
    assert not isinstance(cache, ActNormCache)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="mode is 'training'"):
        act_norm(*drawn(0, 3, (2, 2), 3, np.float64)[:3], mode="training")


def test_statistics_far_from_zero():
    """Mean 1000, deviation 1: squares minus the squared mean would keep two digits of the variance in float32."""
    x = np.random.default_rng(0).normal(1000, 1, (5, 4000, 2)).astype(np.float32)
    total, mean, var = combine([moments(part) for part in x], np.zeros(2, np.float32))
    exact = x.reshape(-1, 2).astype(np.float64)
    assert total == 20000
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var(axis=0), rtol=1e-5)


def test_the_mean_of_float32_far_from_zero_is_finer_than_float32():
    x = (1000 + np.random.default_rng(0).normal(size=(500, 3))).astype(np.float32)
    np.testing.assert_allclose(moments(x).mean, x.astype(np.float64).mean(axis=0), rtol=2e-9)  # a step is 6e-8


@pytest.mark.parametrize("sizes", [(5,), (1, 9, 2), (64, 3, 128, 7)])
def test_moments_of_parts_of_any_sizes(sizes):
    rng = np.random.default_rng(len(sizes))
    x = [1000 * k + rng.normal(size=(n, 3)) for k, n in enumerate(sizes)]
    total, mean, var = combine([moments(part) for part in x], np.zeros(3))
    whole = np.concatenate(x)
    assert total == len(whole)
    np.testing.assert_allclose(mean, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(var, whole.var(axis=0), rtol=1e-9)
