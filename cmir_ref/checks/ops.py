"""The operations of the calculus, plain and fused."""

from functools import partial

from .. import ops
from ..gradcheck import Pair
from ..ops.padding import same_padding
from .declarations import declare, draw_arrays, draw_targets


@declare("linear", "ops.linear.linear", sizes={"n": 4, "c": 3, "d": 5})
def _linear(rng, n, c, d):
    return Pair(ops.linear, ops.linear_backward, draw_arrays(rng, x=(n, c), w=(c, d), b=(d,)))


@declare("relu", "ops.relu.relu", sizes={"n": 4, "d": 5})
def _relu(rng, n, d):
    return Pair(ops.relu, ops.relu_backward, draw_arrays(rng, x=(n, d)))


@declare("leaky_relu", "ops.relu.leaky_relu", sizes={"n": 4, "d": 5})
def _leaky_relu(rng, n, d):
    return Pair(partial(ops.leaky_relu, slope=0.2), ops.leaky_relu_backward, draw_arrays(rng, x=(n, d)))


@declare("relu6", "ops.relu.relu6", sizes={"n": 4, "d": 5})
def _relu6(rng, n, d):
    return Pair(ops.relu6, ops.relu6_backward, {"x": 8 * draw_arrays(rng, x=(n, d))["x"]})


@declare("sigmoid", "ops.sigmoid.sigmoid", sizes={"n": 4, "c": 3})
def _logistic(rng, n, c):
    return Pair(ops.sigmoid, ops.sigmoid_backward, draw_arrays(rng, x=(n, c)))


@declare(
    "softmax_attention",
    "ops.softmax_attention.softmax_attention",
    sizes={"n": 4, "p": 3, "q": 5, "c": 2, "d": 6},
    variants={"all": {"seen": None}, "keys": {"seen": "keys"}, "pairs": {"seen": "pairs"}},
)
def _softmax_attention(rng, seen, n, p, q, c, d):
    """With masks of keys, as padding has them, and of pairs; the first sample sees nothing."""
    mask = None
    if seen:
        mask = rng.random((n, 1 if seen == "keys" else p, q)) < 0.6
        mask[:1] = False
        mask[1:2] = True
    forward = partial(ops.softmax_attention, mask=mask)
    return Pair(forward, ops.softmax_attention_backward, draw_arrays(rng, q=(n, p, d), k=(n, q, d), v=(n, q, c)))


@declare("conv", "ops.conv.conv", sizes={"n": 2, "h": 4, "w": 5, "c": 3, "d": 2})
def _conv(rng, n, h, w, c, d):
    return Pair(ops.conv, ops.conv_backward, draw_arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,)))


STRIDES = {  # of convolutions with a stride: what is padded where (None: as TensorFlow does), and what is left over
    "same": {"k": 3, "stride": 1, "padding": (1, 1, 1, 1)},
    "tensorflow": {"k": 3, "stride": 2, "padding": None},
    "uneven": {"k": 2, "stride": 3, "padding": (2, 0, 1, 3)},
}


@declare(
    "strided_conv",
    "ops.strided_conv.strided_conv",
    sizes={"n": 2, "h": 6, "w": 5, "c": 3, "d": 4},
    variants=STRIDES | {"pointwise": {"k": 1, "stride": 1, "padding": (0, 0, 0, 0)}},
)
def _strided_conv(rng, k, stride, padding, n, h, w, c, d):
    forward = partial(ops.strided_conv, stride=stride, padding=padding or same_padding(h, w, k, stride))
    return Pair(forward, ops.strided_conv_backward, draw_arrays(rng, x=(n, h, w, c), w=(k, k, c, d)))


@declare(
    "depthwise_conv",
    "ops.depthwise_conv.depthwise_conv",
    sizes={"n": 2, "h": 6, "w": 5, "c": 3},
    variants=STRIDES,
)
def _depthwise_conv(rng, k, stride, padding, n, h, w, c):
    forward = partial(ops.depthwise_conv, stride=stride, padding=padding or same_padding(h, w, k, stride))
    return Pair(forward, ops.depthwise_conv_backward, draw_arrays(rng, x=(n, h, w, c), w=(k, k, c)))


@declare(
    "fused/depthwise_by_lines",
    "ops.fused.depthwise_by_lines.depthwise_by_lines",
    sizes={"n": 3, "h": 6, "w": 5, "c": 4},
    variants={
        "same": {"k": 3, "stride": 1, "padding": (1, 1, 1, 1)},
        "asymmetric": {"k": 3, "stride": 1, "padding": (2, 0, 0, 2)},
        "tensorflow": {"k": 3, "stride": 2, "padding": None},
    },
)
def _depthwise_by_lines(rng, k, stride, padding, n, h, w, c):
    forward = partial(ops.fused.depthwise_by_lines, stride=stride, padding=padding or same_padding(h, w, k, stride))
    return Pair(forward, ops.fused.depthwise_by_lines_backward, draw_arrays(rng, x=(n, h, w, c), w=(k, k, c)))


@declare("global_mean", "ops.global_mean.global_mean", sizes={"n": 2, "h": 4, "w": 5, "c": 3})
def _global_mean(rng, n, h, w, c):
    return Pair(ops.global_mean, ops.global_mean_backward, draw_arrays(rng, x=(n, h, w, c)))


@declare(
    "max_pool",
    "ops.max_pool.max_pool",
    sizes={"n": 2, "h": 7, "w": 6, "c": 3},
    variants={"1": {"factor": 1}, "2": {"factor": 2}, "3": {"factor": 3}},
)
def _max_pool(rng, factor, n, h, w, c):
    x = rng.permutation(n * h * w * c).reshape(n, h, w, c) / 50  # distinct: no ties near the difference
    return Pair(partial(ops.max_pool, factor=factor), ops.max_pool_backward, {"x": x})


@declare(
    "fused/conv_max_pool",
    "ops.fused.conv_max_pool.conv_max_pool",
    sizes={"n": 8, "h": 6, "w": 5, "c": 3, "d": 2},
    variants={"2": {"factor": 2}, "3": {"factor": 3}},
)
def _conv_max_pool(rng, factor, n, h, w, c, d):
    inputs = draw_arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,))
    return Pair(partial(ops.fused.conv_max_pool, factor=factor), ops.fused.conv_max_pool_backward, inputs)


@declare(
    "batch_norm",
    "ops.batch_norm.batch_norm",
    sizes={"n": 2, "h": 3, "w": 4, "c": 3},
    variants={"train": {"mode": "train"}, "inference": {"mode": "inference"}, "frozen": {"mode": "frozen"}},
)
def _batch_norm(rng, mode, n, h, w, c):
    mean, var = rng.normal(size=c), rng.uniform(0.5, 2, c)
    forward = partial(ops.batch_norm, mean=mean, var=var, mode=mode)
    return Pair(forward, ops.batch_norm_backward, draw_arrays(rng, x=(n, h, w, c), gamma=(c,), beta=(c,)))


@declare(
    "fused/act_norm",
    "ops.fused.act_norm.act_norm",
    sizes={"n": 2, "h": 3, "w": 4, "c": 3},
    variants={"train": {"mode": "train"}, "inference": {"mode": "inference"}, "frozen": {"mode": "frozen"}},
)
def _act_norm(rng, mode, n, h, w, c):
    mean, var = rng.normal(size=c), rng.uniform(0.5, 2, c)
    forward = partial(ops.fused.act_norm, mean=mean, var=var, mode=mode)
    return Pair(forward, ops.fused.act_norm_backward, draw_arrays(rng, x=(n, h, w, c), gamma=(c,), beta=(c,)))


@declare(
    "fused/conv_act_norm_pool",
    "ops.fused.conv_act_norm_pool.conv_act_norm_pool",
    sizes={"n": 8, "h": 6, "w": 4, "c": 3, "d": 5},
    variants={"train": {"mode": "train"}, "inference": {"mode": "inference"}, "frozen": {"mode": "frozen"}},
)
def _conv_act_norm_pool(rng, mode, n, h, w, c, d):
    mean, var = rng.normal(size=d), rng.uniform(0.5, 2, d)
    factor = 2 if min(h, w) > 1 else 1
    forward = partial(ops.fused.conv_act_norm_pool, mean=mean, var=var, factor=factor, slope=0.2, mode=mode)
    inputs = draw_arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,), gamma=(d,), beta=(d,))
    return Pair(forward, ops.fused.conv_act_norm_pool_backward, inputs)


@declare(
    "fused/dense_layer",
    "ops.fused.dense_layer.dense_layer",
    sizes={"n": 4, "c": 3, "d": 5},
    variants={"relu": {"active": True}, "linear": {"active": False}},
)
def _dense_layer(rng, active, n, c, d):
    inputs = draw_arrays(rng, x=(n, c), w=(c, d), b=(d,))
    return Pair(partial(ops.fused.dense_layer, active=active), ops.fused.dense_layer_backward, inputs)


@declare("fused/conv_on_device", "ops.fused.on_device.conv_on_device", sizes={"n": 2, "h": 4, "w": 5, "c": 3, "d": 2})
def _conv_on_device(rng, n, h, w, c, d):
    inputs = draw_arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,))
    return Pair(ops.fused.conv_on_device, ops.fused.conv_on_device_backward, inputs)


@declare("fused/max_pool_on_device", "ops.fused.on_device.max_pool_on_device", sizes={"n": 2, "h": 7, "w": 6, "c": 3})
def _max_pool_on_device(rng, n, h, w, c):
    x = rng.permutation(n * h * w * c).reshape(n, h, w, c) / 50
    return Pair(partial(ops.fused.max_pool_on_device, factor=2), ops.fused.max_pool_on_device_backward, {"x": x})


@declare(
    "fused/softmax_rows",
    "ops.fused.softmax_rows.softmax_rows",
    sizes={"n": 5, "k": 4},
    variants={"integer": {"kind": "integer"}, "multi-hot": {"kind": "multi-hot"}},
)
def _softmax_rows(rng, kind, n, k):
    forward = partial(ops.fused.softmax_rows, targets=draw_targets(rng, kind, n, k))
    return Pair(forward, ops.fused.softmax_rows_backward, draw_arrays(rng, u=(n, k)))


@declare(
    "fused/norm_terms",
    "ops.fused.norm_terms.norm_terms",
    sizes={"n": 4, "d": 3, "c": 5},
    variants={kind: {"kind": kind} for kind in ("square", "root", "gap-square", "gap-size")},
)
def _norm_terms(rng, kind, n, d, c):
    inputs = draw_arrays(rng, x=(n, d), y=(n, d), w=(d, c))
    return Pair(partial(_three_terms, kind=kind), _gradients_of_three_terms, inputs)


def _three_terms(x, y, w, kind):
    """A term of two arrays, and two of the same array and different numbers."""
    second = ops.fused.NormTerm("w", w, 0.3, kind, alpha=0.7, weight=0.6)
    first = ops.fused.NormTerm("x", x, y, kind, scale=0.5, weight=1.3)
    return ops.fused.norm_terms([first, second, second._replace(y=0.1, scale=2.0)])


def _gradients_of_three_terms(dl, cache):
    dx, dw, dw_2 = ops.fused.norm_terms_backward(dl, cache)
    return dx, -dx, dw + dw_2


@declare("dropout", "ops.dropout.dropout", sizes={"n": 4, "d": 5})
def _dropout(rng, n, d):
    mask = rng.random((n, d)) > 0.3
    return Pair(partial(ops.dropout, mask=mask, rate=0.3), ops.dropout_backward, draw_arrays(rng, x=(n, d)))


@declare(
    "softmax_cross_entropy",
    "ops.softmax_cross_entropy.softmax_cross_entropy",
    sizes={"n": 5, "k": 4},
    variants={
        "integer": {"kind": "integer"},
        "one-hot": {"kind": "one-hot"},
        "multi-hot": {"kind": "multi-hot"},
        "sum": {"kind": "multi-hot", "reduction": "sum"},
    },
)
def _softmax(rng, kind, n, k, reduction="mean"):
    forward = partial(ops.softmax_cross_entropy, targets=draw_targets(rng, kind, n, k), reduction=reduction)
    return Pair(forward, ops.softmax_cross_entropy_backward, draw_arrays(rng, u=(n, k)))


@declare(
    "sigmoid_cross_entropy",
    "ops.sigmoid_cross_entropy.sigmoid_cross_entropy",
    sizes={"n": 5, "k": 4},
    variants={
        "integer": {"kind": "integer"},
        "multi-hot": {"kind": "multi-hot"},
        "sum": {"kind": "multi-hot", "reduction": "sum"},
    },
)
def _sigmoid(rng, kind, n, k, reduction="mean"):
    forward = partial(ops.sigmoid_cross_entropy, targets=draw_targets(rng, kind, n, k), reduction=reduction)
    return Pair(forward, ops.sigmoid_cross_entropy_backward, draw_arrays(rng, u=(n, k)))


@declare(
    "cross_entropy",
    "ops.cross_entropy.cross_entropy",
    sizes={"n": 5, "k": 4},
    variants={"softmax": {"kind": "softmax"}, "sigmoid": {"kind": "sigmoid"}},
)
def _cross_entropy(rng, kind, n, k):
    forward = partial(ops.cross_entropy, targets=draw_targets(rng, "multi-hot", n, k), kind=kind)
    return Pair(forward, ops.cross_entropy_backward, draw_arrays(rng, u=(n, k)))


@declare(
    "frobenius",
    "ops.frobenius.frobenius",
    sizes={"n": 4, "d": 3},
    variants={
        "squared": {"squared": True, "reduction": "sum"},
        "unsquared": {"squared": False, "reduction": "sum"},
        "mean": {"squared": True, "reduction": "mean"},
        "unsquared-mean": {"squared": False, "reduction": "mean"},
    },
)
def _frobenius(rng, n, d, **reading):
    return Pair(partial(ops.frobenius, **reading), ops.frobenius_backward, draw_arrays(rng, x=(n, d)))


@declare("prelu", "ops.prelu.prelu", sizes={"n": 4, "d": 5})
def _prelu(rng, n, d):
    return Pair(ops.prelu, ops.prelu_backward, draw_arrays(rng, x=(n, d), slope=(d,)))


@declare("tanh", "ops.tanh.tanh", sizes={"n": 4, "d": 5})
def _tanh(rng, n, d):
    return Pair(ops.tanh, ops.tanh_backward, draw_arrays(rng, x=(n, d)))


@declare(
    "upsample",
    "ops.upsample.upsample",
    sizes={"n": 2, "h": 3, "w": 4, "c": 3},
    variants={
        "nearest": {"kind": "nearest", "factor": 2},
        "bilinear": {"kind": "bilinear", "factor": 2},
        "bilinear/3": {"kind": "bilinear", "factor": 3},
    },
)
def _upsample(rng, kind, factor, n, h, w, c):
    forward = partial(ops.upsample, factor=factor, kind=kind)
    return Pair(forward, ops.upsample_backward, draw_arrays(rng, x=(n, h, w, c)))


@declare("unit_rows", "ops.unit_rows.unit_rows", sizes={"n": 4, "d": 5})
def _unit_rows(rng, n, d):
    return Pair(ops.unit_rows, ops.unit_rows_backward, draw_arrays(rng, x=(n, d)))


@declare("cosine", "ops.cosine.cosine", sizes={"n": 4, "m": 3, "d": 5})
def _cosine(rng, n, m, d):
    return Pair(ops.cosine, ops.cosine_backward, draw_arrays(rng, v=(n, d), t=(m, d)))


@declare("embedding", "ops.embedding.embedding", sizes={"n": 4, "t": 6, "k": 5, "d": 3})
def _embedding(rng, n, t, k, d):
    numbers = rng.integers(0, k, (n, t))
    return Pair(partial(ops.embedding, numbers=numbers), ops.embedding_backward, draw_arrays(rng, table=(k, d)))


@declare("time_mean", "ops.time_mean.time_mean", sizes={"n": 4, "t": 6, "d": 3})
def _time_mean(rng, n, t, d):
    lengths = rng.integers(0, t + 1, n)
    return Pair(partial(ops.time_mean, lengths=lengths), ops.time_mean_backward, draw_arrays(rng, x=(n, t, d)))


@declare(
    "gru_cell",
    "ops.gru_cell.gru_cell",
    sizes={"n": 4, "c": 3, "d": 5},
    variants={"after": {"reset": "after"}, "before": {"reset": "before"}},
)
def _gru_cell(rng, reset, n, c, d):
    inputs = draw_arrays(rng, x=(n, c), h=(n, d), w=(c, 3 * d), u=(d, 3 * d), b=(3 * d,))
    return Pair(partial(ops.gru_cell, reset=reset), ops.gru_cell_backward, inputs)


GRU_READINGS = {
    "after": {"reset": "after"},
    "before": {"reset": "before"},
    "reverse": {"reset": "after", "reverse": True},
    "reverse/before": {"reset": "before", "reverse": True},
}


def _draw_gru(rng, n, t, c, d):
    return rng.integers(0, t + 1, n), draw_arrays(rng, x=(n, t, c), w=(c, 3 * d), u=(d, 3 * d), b=(3 * d,))


@declare("gru", "ops.gru.gru", sizes={"n": 3, "t": 4, "c": 3, "d": 2}, variants=GRU_READINGS)
def _gru(rng, n, t, c, d, **reading):
    lengths, inputs = _draw_gru(rng, n, t, c, d)
    return Pair(partial(ops.gru, lengths=lengths, **reading), ops.gru_backward, inputs)


@declare(
    "fused/gru_by_length",
    "ops.fused.gru_by_length.gru_by_length",
    sizes={"n": 3, "t": 12, "c": 3, "d": 2},
    variants=GRU_READINGS,
)
def _gru_by_length(rng, n, t, c, d, **reading):
    lengths, inputs = _draw_gru(rng, n, t, c, d)
    forward = partial(ops.fused.gru_by_length, lengths=lengths, **reading)
    return Pair(forward, ops.fused.gru_by_length_backward, inputs)


@declare(
    "fused/gru_on_device",
    "ops.fused.gru_on_device.gru_on_device",
    sizes={"n": 3, "t": 4, "c": 3, "d": 2},
    variants=GRU_READINGS,
)
def _gru_on_device(rng, n, t, c, d, **reading):
    lengths, inputs = _draw_gru(rng, n, t, c, d)
    forward = partial(ops.fused.gru_on_device, lengths=lengths, **reading)
    return Pair(forward, ops.fused.gru_on_device_backward, inputs)
