"""One block against plain loops. Its gradient: `checks` "conv_block/…", in tests/gradcheck/test_battery.py."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.nets.conv_block import BLOCK_ORDERS, conv_block, conv_block_backward

MODES = ["train", "inference", "frozen"]
FUSED = pytest.mark.parametrize("fused", [False, True])


def drawn(seed, n=3, h=6, wide=4, c=2, d=3, dtype=np.float64):
    """x, w, b, γ of both signs, β, running mean and variance."""
    rng = np.random.default_rng(seed)
    arrays = rng.normal(size=(n, h, wide, c)), rng.normal(size=(3, 3, c, d)), rng.normal(size=d)
    arrays += rng.choice([-1.5, 0.7], d), rng.normal(size=d), rng.normal(size=d), rng.uniform(0.5, 2, d)
    return [array.astype(dtype) for array in arrays]


def convolved(x, w, b):
    (n, h, wide, _), d = x.shape, w.shape[-1]
    y = np.zeros((n, h, wide, d))
    for i, p, q, o in np.ndindex(y.shape):
        taps = [(r, s) for r in range(3) for s in range(3) if 0 <= p + r - 1 < h and 0 <= q + s - 1 < wide]
        y[i, p, q, o] = b[o] + sum(float(x[i, p + r - 1, q + s - 1] @ w[r, s, :, o]) for r, s in taps)
    return y


def largest(x, f):
    n, h, wide, d = x.shape
    y = np.zeros((n, h // f, wide // f, d))
    for i, p, q, o in np.ndindex(y.shape):
        y[i, p, q, o] = max(x[i, p * f + r, q * f + s, o] for r in range(f) for s in range(f))
    return y


def leaky(x, slope):
    return np.array([v if v > 0 else slope * v for v in x.ravel()]).reshape(x.shape)


def normalised(x, gamma, beta, mean, var):
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        y[i] = gamma[i[-1]] * (x[i] - mean[i[-1]]) / math.sqrt(var[i[-1]] + 1e-3) + beta[i[-1]]
    return y


def naive(x, w, b, gamma, beta, mean, var, pool, order, mode, slope):
    """(y, mean, variance), step by step."""
    for step in order.split("-"):
        if step == "conv":
            x = convolved(x, w, b)
        elif step == "pool":
            x = largest(x, pool)
        elif step == "act":
            x = leaky(x, slope)
        else:
            channels = [x[..., c].ravel().tolist() for c in range(x.shape[-1])]
            if mode == "train":
                mean, var = map(statistics.fmean, channels), map(statistics.pvariance, channels)
                mean, var = list(mean), list(var)
            elif mode == "frozen":
                mean, var = [0] * len(channels), [1] * len(channels)
            x = normalised(x, gamma, beta, mean, var)
    return x, mean, var


@FUSED
@pytest.mark.parametrize("order", BLOCK_ORDERS)
@given(
    seed=st.integers(0, 2**32), n=st.integers(1, 3), h=st.integers(2, 5), wide=st.integers(2, 5),
    pool=st.integers(1, 2), mode=st.sampled_from(MODES), slope=st.sampled_from([0.01, 0.5]),
)  # fmt: skip
def test_four_operations_in_their_order(fused, order, seed, n, h, wide, pool, mode, slope):
    inputs = drawn(seed, n, h, wide)
    y, cache = conv_block(*inputs, pool=pool, order=order, mode=mode, slope=slope, fused=fused)
    expected, mean, var = naive(*inputs, pool, order, mode, slope)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(cache.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cache.var, var, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", BLOCK_ORDERS)
def test_fused_and_plain_have_the_same_gradients(order, mode):
    inputs, dy = drawn(0), np.random.default_rng(1).normal(size=(3, 3, 2, 3))
    plain, fused = (
        conv_block_backward(dy, conv_block(*inputs, pool=2, order=order, mode=mode, fused=fused)[1])
        for fused in (False, True)
    )
    for one, other in zip(plain, fused, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@FUSED
@pytest.mark.parametrize("order", BLOCK_ORDERS)
def test_the_gradient_of_an_image_can_be_left_out(order, fused):
    inputs, dy = drawn(0), np.random.default_rng(1).normal(size=(3, 3, 2, 3))
    _, cache = conv_block(*inputs, pool=2, order=order, fused=fused)
    whole, (dx, *rest) = conv_block_backward(dy, cache), conv_block_backward(dy, cache, input_gradient=False)
    assert dx is None and whole[0].shape == inputs[0].shape
    for one, other in zip(rest, whole[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_text_in_training_by_default_and_an_unknown_order_is_refused():
    x, w, b, gamma, beta, *_ = drawn(0)
    settings = {"order": "conv-pool-act-norm", "mode": "train", "slope": 0.01, "fused": True}
    default, _ = conv_block(x, w, b, gamma, beta, pool=2)
    np.testing.assert_array_equal(default, conv_block(x, w, b, gamma, beta, pool=2, **settings)[0])
    with pytest.raises(ValueError, match="'norm-first'; it is one of conv-pool-act-norm, conv-act-norm-pool"):
        conv_block(x, w, b, gamma, beta, pool=2, order="norm-first")


@FUSED
@pytest.mark.parametrize("order", BLOCK_ORDERS)
def test_float32_stays_float32(order, fused):
    for mode in MODES:
        y, cache = conv_block(*drawn(0, dtype=np.float32), pool=2, order=order, mode=mode, fused=fused)
        arrays = [y, cache.mean, cache.var, *conv_block_backward(y, cache)]
        assert {array.dtype for array in arrays} == {np.dtype("float32")}
