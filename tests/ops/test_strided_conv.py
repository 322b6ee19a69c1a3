# gradient: checks/ops.py "strided_conv/…", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import conv, conv_backward, strided_conv, strided_conv_backward
from cmir_ref.ops.padding import crop, pad, same_padding


def naive(x, w, stride, padding):
    """Window by window, number by number."""
    top, bottom, left, right = padding
    (n, h, wide, c), k, d = x.shape, w.shape[0], w.shape[3]
    p, q = (h + top + bottom - k) // stride + 1, (wide + left + right - k) // stride + 1
    y = np.zeros((n, p, q, d))
    for i, r, s, o in np.ndindex(y.shape):
        for a, b in np.ndindex(k, k):
            row, column = r * stride + a - top, s * stride + b - left
            if 0 <= row < h and 0 <= column < wide:
                y[i, r, s, o] += sum(x[i, row, column, e] * w[a, b, e, o] for e in range(c))
    return y


@pytest.mark.parametrize("k", [1, 2, 3])
@given(
    seed=st.integers(0, 2**32), n=st.integers(0, 2), h=st.integers(3, 6), w=st.integers(3, 5), c=st.integers(1, 3),
    d=st.integers(1, 3), stride=st.integers(1, 3), padding=st.tuples(*[st.integers(0, 2)] * 4),
)  # fmt: skip
def test_window_by_window(k, seed, n, h, w, c, d, stride, padding):
    rng = np.random.default_rng(seed)
    x, kernel = rng.normal(size=(n, h, w, c)), rng.normal(size=(k, k, c, d))
    y, _ = strided_conv(x, kernel, stride=stride, padding=padding)
    np.testing.assert_allclose(y, naive(x, kernel, stride, padding), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("stride", "padding"), [(1, (0, 0, 0, 0)), (2, (0, 0, 0, 0)), (1, (0, 1, 0, 0))])
def test_a_kernel_of_one_pixel(stride, padding):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(1, 1, 3, 2))
    y, _ = strided_conv(x, kernel, stride=stride, padding=padding)
    np.testing.assert_allclose(y, naive(x, kernel, stride, padding), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_with_stride_1_and_equal_sides_it_is_the_other_convolution(k):
    rng = np.random.default_rng(0)
    x, w, dy = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(k, k, 3, 4)), rng.normal(size=(2, 6, 5, 4))
    y, cache = strided_conv(x, w, padding=(k // 2,) * 4)
    other, other_cache = conv(x, w, np.zeros(4))
    np.testing.assert_allclose(y, other, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(strided_conv_backward(dy, cache), conv_backward(dy, other_cache), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_an_image_can_be_left_out():
    x, w = np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 2))
    y, cache = strided_conv(x, w, stride=2, padding=(0, 1, 0, 1))
    dy = np.random.default_rng(0).normal(size=y.shape)
    (dx, dw), (nothing, same) = strided_conv_backward(dy, cache), strided_conv_backward(dy, cache, input_gradient=False)
    assert dx.shape == x.shape and nothing is None
    np.testing.assert_array_equal(dw, same)


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 0, 0, 0)])
def test_a_kernel_that_does_not_fit_is_refused(padding):
    with pytest.raises(ValueError, match="3 × 3 does not fit"):
        strided_conv(np.ones((1, 2, 1, 1)), np.ones((3, 3, 1, 1)), padding=padding)


@pytest.mark.parametrize(
    ("size", "k", "stride", "sides"),
    [  # tf.nn.conv2d(padding="SAME"), by its formula in TensorFlow's guide
        ((224, 224), 3, 2, (0, 1, 0, 1)),
        ((112, 112), 5, 2, (1, 2, 1, 2)),
        ((112, 56), 3, 1, (1, 1, 1, 1)),
        ((7, 8), 5, 2, (2, 2, 1, 2)),
        ((5, 1), 1, 1, (0, 0, 0, 0)),
        ((1, 4), 1, 3, (0, 0, 0, 0)),
    ],
)
def test_same_padding_is_tensorflows(size, k, stride, sides):
    assert same_padding(*size, k, stride) == sides


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 7), st.integers(1, 4))
def test_same_padding_gives_one_output_for_every_stride(h, w, k, stride):
    x, kernel = np.zeros((1, h, w, 1)), np.zeros((k, k, 1, 1))
    y, _ = strided_conv(x, kernel, stride=stride, padding=same_padding(h, w, k, stride))
    assert y.shape[1:3] == (-(-h // stride), -(-w // stride))


@given(st.integers(0, 2**32), st.tuples(*[st.integers(0, 3)] * 4))
def test_what_is_padded_is_cropped_again(seed, padding):
    x = np.random.default_rng(seed).normal(size=(2, 3, 4, 2))
    padded = pad(x, padding)
    np.testing.assert_array_equal(crop(padded, padding), x)
    assert padded.sum() == pytest.approx(x.sum()) and padded.shape[1] == 3 + padding[0] + padding[1]
    assert pad(x.astype(np.float32), padding).dtype == np.float32
