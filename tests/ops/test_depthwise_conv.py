# gradient: checks/ops.py "depthwise_conv/…", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import depthwise_conv, depthwise_conv_backward, strided_conv

SIZES = {
    "seed": st.integers(0, 2**32), "n": st.integers(0, 2), "h": st.integers(3, 6), "w": st.integers(3, 5),
    "c": st.integers(1, 3), "stride": st.integers(1, 3), "padding": st.tuples(*[st.integers(0, 2)] * 4),
}  # fmt: skip


@pytest.mark.parametrize("k", [1, 2, 3])
@given(**SIZES)
def test_each_channel_by_its_own_kernel(k, seed, n, h, w, c, stride, padding):
    rng = np.random.default_rng(seed)
    x, kernel, (top, _, left, _) = rng.normal(size=(n, h, w, c)), rng.normal(size=(k, k, c)), padding
    y, _ = depthwise_conv(x, kernel, stride=stride, padding=padding)
    for i, p, q, e in np.ndindex(y.shape):
        expected = 0.0
        for a, b in np.ndindex(k, k):
            row, column = p * stride + a - top, q * stride + b - left
            if 0 <= row < h and 0 <= column < w:
                expected += x[i, row, column, e] * kernel[a, b, e]
        assert y[i, p, q, e] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert y.shape[1] == (h + padding[0] + padding[1] - k) // stride + 1


@pytest.mark.parametrize("k", [1, 2, 3])
@given(**SIZES)
def test_it_is_a_convolution_whose_kernel_is_diagonal(k, seed, n, h, w, c, stride, padding):
    rng = np.random.default_rng(seed)
    x, kernel = rng.normal(size=(n, h, w, c)), rng.normal(size=(k, k, c))
    y, _ = depthwise_conv(x, kernel, stride=stride, padding=padding)
    full, _ = strided_conv(x, kernel[..., None] * np.eye(c), stride=stride, padding=padding)
    np.testing.assert_allclose(y, full, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_input_can_be_left_out():
    x, w = np.ones((2, 5, 5, 3)), np.ones((3, 3, 3))
    y, cache = depthwise_conv(x, w, stride=2)
    dy = np.random.default_rng(0).normal(size=y.shape)
    (dx, dw), (nothing, same) = (
        depthwise_conv_backward(dy, cache),
        depthwise_conv_backward(dy, cache, input_gradient=False),
    )
    assert dx.shape == x.shape and nothing is None
    np.testing.assert_array_equal(dw, same)


def test_a_kernel_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="5 × 5 does not fit"):
        depthwise_conv(np.ones((1, 4, 9, 2)), np.ones((5, 5, 2)))
