"""Gradients over all shapes: square (a missing transpose), one of everything, nothing at all."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref import losses, ops
from cmir_ref.gradcheck import check_gradient
from cmir_ref.gradcheck.numeric import random_direction

SIDES = {"n": st.integers(0, 3), "c": st.integers(1, 3), "d": st.integers(1, 3)}

PAIRS = {  # name: (forward, backward, shapes of the inputs for n samples, c channels in, d out)
    "linear": (ops.linear, ops.linear_backward, lambda n, c, d: [(n, c), (c, d), (d,)]),
    "conv": (ops.conv, ops.conv_backward, lambda n, c, d: [(n, 2, c, c), (3, 3, c, d), (d,)]),
    "conv/5": (ops.conv, ops.conv_backward, lambda n, c, d: [(n, d, 2, c), (5, 5, c, d), (d,)]),
    "conv_max_pool": (
        partial(ops.fused.conv_max_pool, factor=2),
        ops.fused.conv_max_pool_backward,
        lambda n, c, d: [(n, 2, 1 + c, c), (3, 3, c, d), (d,)],
    ),
    "softmax": (
        lambda u: ops.softmax_cross_entropy(u, np.arange(len(u)) % u.shape[1]),
        ops.softmax_cross_entropy_backward,
        lambda n, c, d: [(n, c)],
    ),
    "orthogonality": (
        partial(losses.soft_orthogonality, scaled=True),
        losses.soft_orthogonality_backward,
        lambda n, c, d: [(n, c)],
    ),
    "alignment": (losses.alignment, losses.alignment_backward, lambda n, c, d: [(n, d), (n, d)]),
    "regulariser": (losses.regulariser, losses.regulariser_backward, lambda n, c, d: [(c, d)]),
}


@pytest.mark.parametrize("name", PAIRS)
@given(seed=st.integers(0, 2**32), **SIDES)
def test_gradients_of_any_shape(name, seed, n, c, d):
    forward, backward, shapes = PAIRS[name]
    rng = np.random.default_rng(seed)
    inputs = [random_direction(rng, shape) for shape in shapes(n, c, d)]
    for result in check_gradient(forward, backward, inputs, methods=["complex-step", "directional"]):
        assert result.error < 1e-11, result
