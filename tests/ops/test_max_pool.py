# gradient: checks/ops.py "max_pool/…", tests/gradcheck/test_battery.py

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmir_ref.ops import max_pool, max_pool_backward


def naive(x, f, dy=None):
    """(y, dx): the first largest pixel of each window, found by comparing one after the other."""
    n, h, w, c = x.shape
    y, dx = np.zeros((n, h // f, w // f, c)), np.zeros(x.shape)
    for i, p, q, o in np.ndindex(y.shape):
        best = (p * f, q * f)
        for r, s in np.ndindex(f, f):
            if x[i, p * f + r, q * f + s, o] > x[(i, *best, o)]:
                best = (p * f + r, q * f + s)
        y[i, p, q, o] = x[(i, *best, o)]
        dx[(i, *best, o)] = 0 if dy is None else dy[i, p, q, o]
    return y, dx


@given(
    seed=st.integers(0, 2**32), n=st.integers(0, 2), h=st.integers(1, 9), w=st.integers(1, 9), c=st.integers(1, 2),
    f=st.integers(1, 5), levels=st.sampled_from([1, 3, 1000]),
)  # fmt: skip
@example(seed=0, n=2, h=5, w=7, c=2, f=2, levels=1000)  # few of those drawn hold a whole window of several values
@example(seed=0, n=2, h=7, w=6, c=2, f=3, levels=3)
def test_first_largest_pixel_of_each_whole_window(seed, n, h, w, c, f, levels):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, (n, h, w, c)) - 1.5  # few levels: many ties
    dy = rng.normal(size=(n, h // f, w // f, c))
    y, cache = max_pool(x, f)
    expected, dx = naive(x, f, dy)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(max_pool_backward(dy, cache), dx)


@pytest.mark.parametrize("f", [16, 17])
def test_windows_of_more_places_than_a_byte_can_name(f):
    x = np.arange(f * f, dtype=float).reshape(1, f, f, 1)
    y, cache = max_pool(x, f)
    assert y.item() == f * f - 1
    assert cache.winner.dtype == ("uint8" if f == 16 else "uint32")
    np.testing.assert_array_equal(max_pool_backward(np.full(y.shape, 3.0), cache), np.where(x == f * f - 1, 3.0, 0))


def test_the_result_is_not_a_view_of_the_input():
    x = np.ones((1, 2, 2, 1))
    assert not np.shares_memory(max_pool(x, 1)[0], x)
