# gradient: checks/ops.py "upsample/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.ops import upsample


def between(line, at):
    """The value at the position `at` of a line of pixels, whose first and last pixel go on beyond it."""
    at = min(max(at, 0), len(line) - 1)
    low = min(math.floor(at), max(len(line) - 2, 0))
    high = min(low + 1, len(line) - 1)
    return line[low] + (at - low) * (line[high] - line[low])


def naive(x, factor, kind):
    n, h, w, c = x.shape
    y = np.empty((n, factor * h, factor * w, c))
    for i, p, q, o in np.ndindex(y.shape):
        if kind == "nearest":
            y[i, p, q, o] = x[i, p // factor, q // factor, o]
        else:
            column = [between(x[i, r, :, o], (q + 0.5) / factor - 0.5) for r in range(h)]
            y[i, p, q, o] = between(column, (p + 0.5) / factor - 0.5)
    return y


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
@given(
    seed=st.integers(0, 2**32), n=st.integers(0, 2), h=st.integers(1, 4), w=st.integers(1, 3), factor=st.integers(1, 3)
)
def test_every_pixel_from_its_neighbours(kind, seed, n, h, w, factor):
    x = np.random.default_rng(seed).normal(size=(n, h, w, 2)) + 3
    np.testing.assert_allclose(upsample(x, factor, kind)[0], naive(x, factor, kind), rtol=1e-12, atol=1e-12)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="'cubic'; it is one of nearest, bilinear"):
        upsample(np.ones((1, 2, 2, 1)), 2, "cubic")
