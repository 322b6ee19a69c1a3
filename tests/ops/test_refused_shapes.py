"""Shapes that broadcast by accident are refused wherever two arrays meet, and whole numbers where they would round."""

import numpy as np
import pytest

from cmir_ref.cmirnet.eq2_alignment import alignment
from cmir_ref.cmirnet.eq5_reconstruction import reconstruction
from cmir_ref.ops.batch_norm import batch_norm
from cmir_ref.ops.conv import conv
from cmir_ref.ops.cosine import cosine
from cmir_ref.ops.dropout import dropout, dropout_backward
from cmir_ref.ops.frobenius import frobenius
from cmir_ref.ops.fused import act_norm, conv_act_norm_pool, conv_max_pool, dense_layer, dense_layer_backward
from cmir_ref.ops.linear import linear
from cmir_ref.ops.max_pool import max_pool, max_pool_backward
from cmir_ref.ops.relu import leaky_relu, leaky_relu_backward, relu, relu_backward
from cmir_ref.ops.sigmoid import sigmoid
from cmir_ref.ops.sigmoid_cross_entropy import sigmoid_cross_entropy
from cmir_ref.ops.softmax_cross_entropy import softmax_cross_entropy
from cmir_ref.ops.time_mean import time_mean
from cmir_ref.ops.unit_rows import unit_rows
from cmir_ref.ops.upsample import upsample

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
    "fused dense layer, upstream a row": lambda: dense_layer_backward(
        C5, dense_layer(V, KERNEL[0, 0], C5, active=True)[1]
    ),
    "pool, upstream": lambda: max_pool_backward(IMAGE[:1, :1, :1], max_pool(IMAGE, 2)[1]),
}


@pytest.mark.parametrize("what", CALLS)
def test_shapes_that_would_broadcast(what):
    with pytest.raises(ValueError, match="expected"):
        CALLS[what]()


WHOLE, LABELS = np.arange(12, dtype="uint8").reshape(4, 3), np.full((4, 3), 0.5)
FRACTIONS = {
    "unit rows": lambda x: unit_rows(x),
    "cosine": lambda x: cosine(x, x),
    "Frobenius": lambda x: frobenius(x),
    "sigmoid": lambda x: sigmoid(x),
    "softmax cross entropy": lambda x: softmax_cross_entropy(x, LABELS),
    "sigmoid cross entropy": lambda x: sigmoid_cross_entropy(x, LABELS),
    "mean over time": lambda x: time_mean(x.reshape(2, 2, 3), np.array([1, 2])),
    "upsampling": lambda x: upsample(x.reshape(1, 4, 3, 1), 2, "bilinear"),
}


@pytest.mark.parametrize("what", FRACTIONS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_whole_numbers_that_would_round_or_overflow(what, dtype):
    FRACTIONS[what](WHOLE.astype("float64"))
    with pytest.raises(ValueError, match=f"of {dtype}: expected floating-point numbers"):
        FRACTIONS[what](WHOLE.astype(dtype))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_of_dropout_that_is_none(rate):
    with pytest.raises(ValueError, match="expected 0 ≤ rate < 1"):
        dropout(V, V > 0, rate)
