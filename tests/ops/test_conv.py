# gradient: checks/ops.py "conv", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import conv, conv_backward
from cmir_ref.ops.conv import col2im, im2col


def naive(x, w, b):
    (n, h, wide, _), k, d = x.shape, w.shape[0], w.shape[3]
    y = np.zeros((n, h, wide, d))
    for i, p, q, o in np.ndindex(y.shape):
        y[i, p, q, o] = b[o]
        for r, s in np.ndindex(k, k):
            row, column = p + r - k // 2, q + s - k // 2
            if 0 <= row < h and 0 <= column < wide:
                y[i, p, q, o] += sum(x[i, row, column, c] * w[r, s, c, o] for c in range(x.shape[3]))
    return y


@pytest.mark.parametrize("k", [1, 3, 5])
@given(
    seed=st.integers(0, 2**32), n=st.integers(0, 2), h=st.integers(1, 5), w=st.integers(1, 4), c=st.integers(1, 3),
    d=st.integers(1, 3),
)  # fmt: skip
def test_same_cross_correlation(k, seed, n, h, w, c, d):
    rng = np.random.default_rng(seed)
    x, kernel, b = rng.normal(size=(n, h, w, c)), rng.normal(size=(k, k, c, d)), rng.normal(size=d)
    np.testing.assert_allclose(conv(x, kernel, b)[0], naive(x, kernel, b), rtol=1e-12, atol=1e-12)


def test_columns_and_back_are_transposes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 3))
    columns = im2col(x, 3)
    rows = rng.normal(size=columns.shape)
    np.testing.assert_allclose((columns * rows).sum(), (x * col2im(rows, x.shape, 3)).sum(), rtol=1e-12)


def test_the_gradient_of_an_image_can_be_left_out():
    x, w, b = np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 2)), np.zeros(2)
    dy = np.random.default_rng(0).normal(size=(1, 3, 3, 2))
    _, cache = conv(x, w, b)
    with_dx, without = conv_backward(dy, cache), conv_backward(dy, cache, input_gradient=False)
    assert with_dx[0].shape == x.shape and without[0] is None
    np.testing.assert_array_equal(with_dx[1], without[1])
    np.testing.assert_array_equal(with_dx[2], without[2])
