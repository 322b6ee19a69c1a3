"""Shapes that broadcast by accident are refused wherever two arrays meet."""

import numpy as np
import pytest

from cmir_ref.cmirnet.eq2_alignment import alignment
from cmir_ref.cmirnet.eq5_reconstruction import reconstruction
from cmir_ref.ops.batch_norm import batch_norm
from cmir_ref.ops.conv import conv
from cmir_ref.ops.dropout import dropout, dropout_backward
from cmir_ref.ops.fused import act_norm, conv_act_norm_pool, conv_max_pool
from cmir_ref.ops.linear import linear
from cmir_ref.ops.max_pool import max_pool, max_pool_backward
from cmir_ref.ops.relu import leaky_relu, leaky_relu_backward, relu, relu_backward

R = np.random.default_rng(0)
V, IMAGE, KERNEL = R.normal(size=(4, 3)), R.normal(size=(2, 4, 4, 3)), R.normal(size=(3, 3, 3, 5))
C3, C5, ONE = np.ones(3), np.ones(5), np.ones(1)

CALLS = {
    "alignment, one row": lambda: alignment(V, V[:1]),
    "alignment, one column": lambda: alignment(V[:, :1], V),
    "reconstruction of a": lambda: reconstruction(V, V, V, V[:1]),
    "reconstruction of b": lambda: reconstruction(V, V[:, :1], V, V),
    "reconstruction of its own": lambda: reconstruction(V, V, V[:1], V, target="own"),
    "linear, bias of one": lambda: linear(V, np.ones((3, 5)), ONE),
    "linear, bias a row": lambda: linear(V, np.ones((3, 5)), np.ones((1, 5))),
    "linear, bias a column": lambda: linear(V, np.ones((3, 4)), np.ones((4, 1))),
    "conv, bias of one": lambda: conv(IMAGE, KERNEL, ONE),
    "fused conv and pool, bias of one": lambda: conv_max_pool(IMAGE, KERNEL, ONE, 2),
    "batch norm, gamma of one": lambda: batch_norm(IMAGE, ONE, C3),
    "batch norm, beta with an axis": lambda: batch_norm(IMAGE, C3, C3[None]),
    "batch norm, mean of one": lambda: batch_norm(IMAGE, C3, C3, ONE, C3, mode="inference"),
    "fused norm, beta of one": lambda: act_norm(IMAGE, C3, ONE),
    "fused block, gamma of one": lambda: conv_act_norm_pool(IMAGE, KERNEL, C5, ONE, C5, factor=2),
    "fused block, bias of one": lambda: conv_act_norm_pool(IMAGE, KERNEL, ONE, C5, C5, factor=2),
    "dropout, one mask for all": lambda: dropout(V, np.ones((1, 3)), 0.5),
    "dropout, upstream": lambda: dropout_backward(V[:1], dropout(V, V > 0, 0.5)[1]),
    "relu, upstream": lambda: relu_backward(V[:1], relu(V)[1]),
    "leaky relu, upstream": lambda: leaky_relu_backward(V[:, :1], leaky_relu(V)[1]),
    "pool, upstream": lambda: max_pool_backward(IMAGE[:1, :1, :1], max_pool(IMAGE, 2)[1]),
}


@pytest.mark.parametrize("what", CALLS)
def test_shapes_that_would_broadcast(what):
    with pytest.raises(ValueError, match="expected"):
        CALLS[what]()
