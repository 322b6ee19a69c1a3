"""The operations of the calculus, plain and fused."""

from functools import partial

from .. import ops
from .declarations import Pair, _targets, arrays, declare


@declare("linear", "ops.linear.linear")
def _linear(rng, n=4, c=3, d=5):
    return Pair(ops.linear, ops.linear_backward, arrays(rng, x=(n, c), w=(c, d), b=(d,)))


@declare("relu", "ops.relu.relu")
def _relu(rng, n=4, d=5):
    return Pair(ops.relu, ops.relu_backward, arrays(rng, x=(n, d)))


@declare("leaky_relu", "ops.relu.leaky_relu")
def _leaky_relu(rng, n=4, d=5):
    return Pair(partial(ops.leaky_relu, slope=0.2), ops.leaky_relu_backward, arrays(rng, x=(n, d)))


@declare("conv", "ops.conv.conv")
def _conv(rng, n=2, h=4, w=5, c=3, d=2):
    return Pair(ops.conv, ops.conv_backward, arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,)))


@declare("max_pool/2", "ops.max_pool.max_pool", factor=2)
@declare("max_pool/3", "ops.max_pool.max_pool", factor=3)
@declare("max_pool/1", "ops.max_pool.max_pool", factor=1)
def _max_pool(rng, factor, n=2, h=7, w=6, c=3):
    x = rng.permutation(n * h * w * c).reshape(n, h, w, c) / 50  # distinct: no ties near the difference
    return Pair(partial(ops.max_pool, factor=factor), ops.max_pool_backward, {"x": x})


@declare("fused/conv_max_pool/2", "ops.fused.conv_max_pool.conv_max_pool", factor=2)
@declare("fused/conv_max_pool/3", "ops.fused.conv_max_pool.conv_max_pool", factor=3)
def _conv_max_pool(rng, factor, n=8, h=6, w=5, c=3, d=2):
    inputs = arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,))
    return Pair(partial(ops.fused.conv_max_pool, factor=factor), ops.fused.conv_max_pool_backward, inputs)


@declare("batch_norm/train", "ops.batch_norm.batch_norm", form="train")
@declare("batch_norm/inference", "ops.batch_norm.batch_norm", form="inference")
@declare("batch_norm/frozen", "ops.batch_norm.batch_norm", form="frozen")
def _batch_norm(rng, form, n=2, h=3, w=4, c=3):
    mean, var = rng.normal(size=c), rng.uniform(0.5, 2, c)
    forward = partial(ops.batch_norm, mean=mean, var=var, form=form)
    return Pair(forward, ops.batch_norm_backward, arrays(rng, x=(n, h, w, c), gamma=(c,), beta=(c,)))


@declare("fused/act_norm/train", "ops.fused.act_norm.act_norm", form="train")
@declare("fused/act_norm/inference", "ops.fused.act_norm.act_norm", form="inference")
@declare("fused/act_norm/frozen", "ops.fused.act_norm.act_norm", form="frozen")
def _act_norm(rng, form, n=2, h=3, w=4, c=3):
    mean, var = rng.normal(size=c), rng.uniform(0.5, 2, c)
    forward = partial(ops.fused.act_norm, mean=mean, var=var, form=form)
    return Pair(forward, ops.fused.act_norm_backward, arrays(rng, x=(n, h, w, c), gamma=(c,), beta=(c,)))


@declare("fused/conv_act_norm_pool/train", "ops.fused.conv_act_norm_pool.conv_act_norm_pool", form="train")
@declare("fused/conv_act_norm_pool/inference", "ops.fused.conv_act_norm_pool.conv_act_norm_pool", form="inference")
@declare("fused/conv_act_norm_pool/frozen", "ops.fused.conv_act_norm_pool.conv_act_norm_pool", form="frozen")
def _conv_act_norm_pool(rng, form, n=8, h=6, w=4, c=3, d=5):
    mean, var = rng.normal(size=d), rng.uniform(0.5, 2, d)
    factor = 2 if min(h, w) > 1 else 1
    forward = partial(ops.fused.conv_act_norm_pool, mean=mean, var=var, factor=factor, slope=0.2, form=form)
    inputs = arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,), gamma=(d,), beta=(d,))
    return Pair(forward, ops.fused.conv_act_norm_pool_backward, inputs)


@declare("dropout", "ops.dropout.dropout")
def _dropout(rng, n=4, d=5):
    mask = rng.random((n, d)) > 0.3
    return Pair(partial(ops.dropout, mask=mask, rate=0.3), ops.dropout_backward, arrays(rng, x=(n, d)))


@declare("softmax_cross_entropy/integer", "ops.softmax_cross_entropy.softmax_cross_entropy", kind="integer")
@declare("softmax_cross_entropy/one-hot", "ops.softmax_cross_entropy.softmax_cross_entropy", kind="one-hot")
@declare("softmax_cross_entropy/multi-hot", "ops.softmax_cross_entropy.softmax_cross_entropy", kind="multi-hot")
@declare(
    "softmax_cross_entropy/sum", "ops.softmax_cross_entropy.softmax_cross_entropy", kind="multi-hot", reduction="sum"
)
def _softmax(rng, kind, reduction="mean", n=5, k=4):
    forward = partial(ops.softmax_cross_entropy, targets=_targets(rng, kind, n, k), reduction=reduction)
    return Pair(forward, ops.softmax_cross_entropy_backward, arrays(rng, u=(n, k)))


@declare("sigmoid_cross_entropy/integer", "ops.sigmoid_cross_entropy.sigmoid_cross_entropy", kind="integer")
@declare("sigmoid_cross_entropy/multi-hot", "ops.sigmoid_cross_entropy.sigmoid_cross_entropy", kind="multi-hot")
@declare(
    "sigmoid_cross_entropy/sum", "ops.sigmoid_cross_entropy.sigmoid_cross_entropy", kind="multi-hot", reduction="sum"
)
def _sigmoid(rng, kind, reduction="mean", n=5, k=4):
    forward = partial(ops.sigmoid_cross_entropy, targets=_targets(rng, kind, n, k), reduction=reduction)
    return Pair(forward, ops.sigmoid_cross_entropy_backward, arrays(rng, u=(n, k)))


@declare("frobenius/squared", "ops.frobenius.frobenius", norm="squared", reduction="sum")
@declare("frobenius/unsquared", "ops.frobenius.frobenius", norm="unsquared", reduction="sum")
@declare("frobenius/mean", "ops.frobenius.frobenius", norm="squared", reduction="mean")
@declare("frobenius/unsquared-mean", "ops.frobenius.frobenius", norm="unsquared", reduction="mean")
def _frobenius(rng, n=4, d=3, **reading):
    return Pair(partial(ops.frobenius, **reading), ops.frobenius_backward, arrays(rng, x=(n, d)))
