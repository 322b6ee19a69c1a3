"""Everything whose gradient is checked: one declaration for each operation, loss and network.

The command `cmir-ref gradcheck` and the tests read this list; a test fails if a public pair has no entry.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from .. import cmirnet, ops
from ..backend import get_xp
from ..cmirnet.end_to_end import FRONTS, end_to_end, end_to_end_backward
from ..cmirnet.eq6_total import LatentOutput, Readings, Weights
from ..cmirnet.latent import Latent, init_latent, latent_network, latent_network_backward
from ..cmirnet.many import many_objective, many_objective_backward
from ..cmirnet.objective import objective, objective_backward
from ..cmirnet.pretraining_objective import pretraining_objective, pretraining_objective_backward
from ..gradcheck import Result, check_gradient
from ..gradcheck.numeric import random_direction
from ..hashing.dcmh import dcmh, dcmh_backward, likelihood, likelihood_backward
from ..hashing.sidhcnn import sidhcnn, sidhcnn_backward
from ..nets.conv_block import conv_block, conv_block_backward
from ..nets.conv_pretrainer import ConvPretrainer, conv_pretrainer, conv_pretrainer_backward, init_conv_pretrainer
from ..nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from ..nets.head import head, head_backward
from ..nets.mlp import mlp, mlp_backward
from ..nets.pretraining import Pretrainer
from ..params import add_prefix


class Pair(NamedTuple):
    """A function and its backward over positional arrays, ready for `check_gradient`."""

    forward: Callable
    backward: Callable
    inputs: dict[str, np.ndarray]


class Check(NamedTuple):
    """One declaration. `draw(rng)` gives the pair with fresh inputs; `covers` is the name of the public pair.

    `sizes` names the dimensions with their usual values, all different: `draw(rng, n=0)` draws an empty batch.
    """

    name: str
    covers: str
    draw: Callable[..., Pair]
    sizes: dict[str, int]
    network: bool = False


CHECKS: list[Check] = []


def declare(name: str, covers: str, *, network: bool = False, **settings) -> Callable:
    """Adds a drawing function to `CHECKS`; several declarations may share one with different `settings`.

    The function's parameters of one letter are its sizes: n and m rows of a batch, h × w pixels, c channels or columns
    in, d out, k classes, and what else it has.
    """

    def add(draw):
        sizes = {p.name: p.default for p in inspect.signature(draw).parameters.values() if len(p.name) == 1}
        CHECKS.append(Check(name, covers, partial(draw, **settings), sizes, network))
        return draw

    return add


def arrays(rng: np.random.Generator, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Named arrays with entries ±(0.1 … 1): away from the kinks at 0, and no parameter is 0 or 1."""
    return {name: random_direction(rng, shape) for name, shape in shapes.items()}


def regimes(check: Check) -> dict[str, dict[str, int]]:
    """The sizes to draw with by name: all different, all equal (a missing transpose), all one, and an empty batch."""
    empty = {name: 0 for name in check.sizes if name in "nm"}
    found = {"different": {}, "square": dict.fromkeys(check.sizes, 4), "one": dict.fromkeys(check.sizes, 1)}
    return found | ({"empty": empty} if empty else {})


def draw(check: Check, *, seed: int = 0, **sizes: int) -> Pair:
    """The pair with inputs drawn with `seed`; a declaration's draw does not depend on what else is checked."""
    return check.draw(np.random.default_rng([seed, *check.name.encode()]), **sizes)


def run(check: Check, *, seed: int = 0, sizes: Mapping[str, int] | None = None, **settings) -> list[Result]:
    """The results of one declaration on inputs drawn with `seed`; `settings` are those of `check_gradient`."""
    pair = draw(check, seed=seed, **(sizes or {}))
    names, inputs = list(pair.inputs), list(pair.inputs.values())
    return check_gradient(pair.forward, pair.backward, inputs, names=names, seed=seed, **settings)


def select(names: list[str]) -> Iterator[Check]:
    """The declarations whose name contains one of `names` (all of them for no names)."""
    return (check for check in CHECKS if not names or any(name in check.name for name in names))


# ---- operations -----------------------------------------------------------------------------------------------------


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


@declare("batch_norm/train", "ops.batch_norm.batch_norm", mode="train")
@declare("batch_norm/inference", "ops.batch_norm.batch_norm", mode="inference")
@declare("batch_norm/frozen", "ops.batch_norm.batch_norm", mode="frozen")
def _batch_norm(rng, mode, n=2, h=3, w=4, c=3):
    mean, var = rng.normal(size=c), rng.uniform(0.5, 2, c)
    forward = partial(ops.batch_norm, mean=mean, var=var, mode=mode)
    return Pair(forward, ops.batch_norm_backward, arrays(rng, x=(n, h, w, c), gamma=(c,), beta=(c,)))


@declare("fused/act_norm/train", "ops.fused.act_norm.act_norm", mode="train")
@declare("fused/act_norm/inference", "ops.fused.act_norm.act_norm", mode="inference")
@declare("fused/act_norm/frozen", "ops.fused.act_norm.act_norm", mode="frozen")
def _act_norm(rng, mode, n=2, h=3, w=4, c=3):
    mean, var = rng.normal(size=c), rng.uniform(0.5, 2, c)
    forward = partial(ops.fused.act_norm, mean=mean, var=var, mode=mode)
    return Pair(forward, ops.fused.act_norm_backward, arrays(rng, x=(n, h, w, c), gamma=(c,), beta=(c,)))


@declare("fused/conv_act_norm_pool/train", "ops.fused.conv_act_norm_pool.conv_act_norm_pool", mode="train")
@declare("fused/conv_act_norm_pool/inference", "ops.fused.conv_act_norm_pool.conv_act_norm_pool", mode="inference")
@declare("fused/conv_act_norm_pool/frozen", "ops.fused.conv_act_norm_pool.conv_act_norm_pool", mode="frozen")
def _conv_act_norm_pool(rng, mode, n=8, h=6, w=4, c=3, d=5):
    mean, var = rng.normal(size=d), rng.uniform(0.5, 2, d)
    factor = 2 if min(h, w) > 1 else 1
    forward = partial(ops.fused.conv_act_norm_pool, mean=mean, var=var, factor=factor, slope=0.2, mode=mode)
    inputs = arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,), gamma=(d,), beta=(d,))
    return Pair(forward, ops.fused.conv_act_norm_pool_backward, inputs)


@declare("dropout", "ops.dropout.dropout")
def _dropout(rng, n=4, d=5):
    mask = rng.random((n, d)) > 0.3
    return Pair(partial(ops.dropout, mask=mask, rate=0.3), ops.dropout_backward, arrays(rng, x=(n, d)))


def _targets(rng, kind, n, k):
    if kind == "integer":
        return rng.integers(0, k, n)
    if kind == "one-hot":
        return np.eye(k, dtype=np.uint8)[rng.integers(0, k, n)]
    hot = (rng.random((n, k)) < 0.5).astype(np.uint8)
    hot[:1] = 1
    hot[1:2] = 0  # a sample without label
    return hot


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


@declare("cross_entropy/softmax", "ops.cross_entropy.cross_entropy", kind="softmax")
@declare("cross_entropy/sigmoid", "ops.cross_entropy.cross_entropy", kind="sigmoid")
def _cross_entropy(rng, kind, n=5, k=4):
    forward = partial(ops.cross_entropy, targets=_targets(rng, "multi-hot", n, k), kind=kind)
    return Pair(forward, ops.cross_entropy_backward, arrays(rng, u=(n, k)))


@declare("frobenius/squared", "ops.frobenius.frobenius", squared=True, reduction="sum")
@declare("frobenius/unsquared", "ops.frobenius.frobenius", squared=False, reduction="sum")
@declare("frobenius/mean", "ops.frobenius.frobenius", squared=True, reduction="mean")
@declare("frobenius/unsquared-mean", "ops.frobenius.frobenius", squared=False, reduction="mean")
def _frobenius(rng, n=4, d=3, **reading):
    return Pair(partial(ops.frobenius, **reading), ops.frobenius_backward, arrays(rng, x=(n, d)))


# ---- losses ---------------------------------------------------------------------------------------------------------


@declare("eq1/soft_orthogonality/identity", "cmirnet.eq1_pretraining.soft_orthogonality", target="identity")
@declare("eq1/soft_orthogonality/scaled", "cmirnet.eq1_pretraining.soft_orthogonality", target="identity", scaled=True)
@declare("eq1/soft_orthogonality/ones", "cmirnet.eq1_pretraining.soft_orthogonality", target="ones")
def _orthogonality(rng, n=5, d=4, **reading):
    inputs = arrays(rng, z=(n, d))
    return Pair(partial(cmirnet.soft_orthogonality, **reading), cmirnet.soft_orthogonality_backward, inputs)


@declare("eq1/softmax", "cmirnet.eq1_pretraining.pretraining_loss", kind="softmax")
@declare("eq1/sigmoid", "cmirnet.eq1_pretraining.pretraining_loss", kind="sigmoid")
@declare("eq1/off", "cmirnet.eq1_pretraining.pretraining_loss", kind="softmax", target="off")
def _eq1(rng, kind, target="identity", n=5, k=4, d=3):
    labels = _targets(rng, "multi-hot", n, k)
    forward = partial(cmirnet.pretraining_loss, labels=labels, kind=kind, weight=0.3, target=target)
    return Pair(forward, cmirnet.pretraining_loss_backward, arrays(rng, logits=(n, k), z=(n, d)))


@declare("eq2/squared", "cmirnet.eq2_alignment.alignment", squared=True, reduction="sum")
@declare("eq2/unsquared", "cmirnet.eq2_alignment.alignment", squared=False, reduction="sum")
@declare("eq2/mean", "cmirnet.eq2_alignment.alignment", squared=True, reduction="mean")
def _eq2(rng, n=4, d=3, **reading):
    return Pair(partial(cmirnet.alignment, **reading), cmirnet.alignment_backward, arrays(rng, v_a=(n, d), v_b=(n, d)))


@declare("eq3/shared", "cmirnet.eq3_classification.classification", classifier="shared")
@declare(
    "eq3/shared/sigmoid", "cmirnet.eq3_classification.classification", classifier="shared", kinds=("sigmoid", "sigmoid")
)
@declare(
    "eq3/separate",
    "cmirnet.eq3_classification.classification",
    classifier="separate",
    kinds=("sigmoid", "softmax"),
)
def _eq3(rng, classifier, kinds=("softmax", "softmax"), n=5, m=3, k=4):
    y_a, y_b = _targets(rng, "multi-hot", n, k), _targets(rng, "integer", m, k)
    forward = partial(cmirnet.classification, y_a=y_a, y_b=y_b, classifier=classifier, kinds=kinds)
    return Pair(forward, cmirnet.classification_backward, arrays(rng, u_a=(n, k), u_b=(m, k)))


@declare("eq3/concatenated", "cmirnet.eq3_classification.classification")
def _eq3_concatenated(rng, n=5, k=4):
    y_a, y_b = _targets(rng, "multi-hot", n, k), _targets(rng, "integer", n, k)

    def forward(u):
        return cmirnet.classification(u, None, y_a, y_b, classifier="concatenated")

    return Pair(forward, lambda dl, cache: cmirnet.classification_backward(dl, cache)[0], arrays(rng, u=(n, k)))


@declare("eq4/sum", "cmirnet.eq4_feature_norm.feature_norm", reduction="sum")
@declare("eq4/mean", "cmirnet.eq4_feature_norm.feature_norm", reduction="mean")
def _eq4(rng, reduction, n=4, d=3):
    forward = partial(cmirnet.feature_norm, reduction=reduction)
    return Pair(forward, cmirnet.feature_norm_backward, arrays(rng, v_a=(n, d), v_b=(n, d)))


@declare("eq5/cross", "cmirnet.eq5_reconstruction.reconstruction", target="cross")
@declare("eq5/own", "cmirnet.eq5_reconstruction.reconstruction", target="own")
@declare("eq5/unsquared", "cmirnet.eq5_reconstruction.reconstruction", target="cross", squared=False)
@declare("eq5/mean", "cmirnet.eq5_reconstruction.reconstruction", target="cross", reduction="mean")
def _eq5(rng, n=4, d=3, **reading):
    forward = partial(cmirnet.reconstruction, **reading)
    shapes = dict.fromkeys(("from_a", "from_b", "z_a", "z_b"), (n, d))
    return Pair(forward, cmirnet.reconstruction_backward, arrays(rng, **shapes))


@declare("eq7/elementwise", "cmirnet.eq7_regulariser.regulariser", reading="elementwise", alpha=0.7)
@declare("eq7/norm", "cmirnet.eq7_regulariser.regulariser", reading="norm", alpha=0.7)
@declare("eq7/released/above", "cmirnet.eq7_regulariser.regulariser", reading="released", alpha=0.7)
@declare("eq7/released/below", "cmirnet.eq7_regulariser.regulariser", reading="released", alpha=70.0)
def _eq7(rng, c=4, d=3, **reading):
    return Pair(partial(cmirnet.regulariser, **reading), cmirnet.regulariser_backward, arrays(rng, w=(c, d)))


WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
READINGS = {
    "default": Readings(alpha=0.5),
    "sum": Readings(alpha=0.5, reduction="sum"),
    "released": Readings(
        classifier="separate",
        label_losses=("sigmoid", "softmax"),
        decoder_target="own",
        target_gradient="flow",
        frobenius="unsquared",
        alpha=1.0,
        alpha_reading="released",
    ),
    "concatenated": Readings(classifier="concatenated", alpha=0.5, alpha_reading="elementwise"),
    "flow": Readings(alpha=0.5, target_gradient="flow"),
    "head-decay": Readings(alpha=0.5, head_decay=0.3),
}


@declare("eq6/default", "cmirnet.eq6_total.total", reading="default")
@declare("eq6/released", "cmirnet.eq6_total.total", reading="released")
@declare("eq6/head-decay", "cmirnet.eq6_total.total", reading="head-decay")
def _eq6(rng, reading, n=5, d=3, k=4, f=6, c=2):
    readings = READINGS[reading]._replace(target_gradient="flow")
    y = _targets(rng, "multi-hot", n, k), _targets(rng, "integer", n, k)
    shapes = {"v_a": (n, d), "v_b": (n, d), "u_a": (n, k), "u_b": (n, k), "from_a": (n, f), "from_b": (n, f)}
    inputs = arrays(rng, **shapes, z_a=(n, f), z_b=(n, f), w=(d, c), head=(c, k))

    def forward(*x):
        return cmirnet.total(LatentOutput(*x[:6]), (x[6], x[7]), y, {"w": x[8]}, {"head": x[9]}, WEIGHTS, readings)

    def backward(dl, cache):
        d = cmirnet.total_backward(dl, cache)
        xp, dtype = get_xp(d.w["w"]), d.w["w"].dtype
        return [*d.output, *d.z, d.w["w"], d.w["head"] if "head" in d.w else xp.zeros((c, k), dtype=dtype)]

    return Pair(forward, backward, inputs)


# ---- comparators ----------------------------------------------------------------------------------------------------


def _codes(rng, n, d):
    return (2 * rng.integers(0, 2, (n, d)) - 1).astype(np.int8)


@declare("hashing/likelihood", "hashing.dcmh.likelihood")
def _likelihood(rng, n=5, m=4, d=3):
    forward = partial(likelihood, similar=rng.random((n, m)) < 0.4)
    return Pair(forward, likelihood_backward, arrays(rng, f=(n, d), g=(m, d)))


@declare("hashing/dcmh", "hashing.dcmh.dcmh", rest=False)
@declare("hashing/dcmh/batch", "hashing.dcmh.dcmh", rest=True)
def _dcmh(rng, rest, n=5, m=4, d=3):
    inputs = arrays(rng, f=(n, d), g=(m, d))
    settings = {"similar": rng.random((n, m)) < 0.4, "b_f": _codes(rng, n, d), "b_g": _codes(rng, m, d)}
    rests = {name: rng.integers(-9, 9, d) if rest else None for name in ("rest_f", "rest_g")}
    forward = partial(dcmh, **settings, gamma=0.7, eta=0.3, **rests)
    return Pair(forward, dcmh_backward, inputs)


@declare("hashing/sidhcnn", "hashing.sidhcnn.sidhcnn")
def _sidhcnn(rng, n=5, d=3):
    inputs = arrays(rng, f=(n, d), g=(n, d))
    similar, b = rng.random((n, n)) < 0.4, _codes(rng, n, d)  # not symmetric: S and its transpose are told apart
    return Pair(partial(sidhcnn, similar=similar, b=b, mu=0.6, gamma=0.7, eta=0.3), sidhcnn_backward, inputs)


# ---- networks -------------------------------------------------------------------------------------------------------


def network_pair(forward: Callable, backward: Callable, params: Mapping, batch: Mapping) -> Pair:
    """A network as a function of its parameters and inputs, one positional array each.

    `forward(params, **batch) -> out, cache`; `backward(d, cache) -> grads, gradients of the batch in its order`.
    """
    names, inputs = list(params), list(batch)

    def call(*values):
        return forward(dict(zip(names, values, strict=False)), *values[len(names) :])

    def call_backward(d, cache):
        grads, dx = backward(d, cache)
        return [grads[name] for name in names] + list(dx)

    return Pair(call, call_backward, dict(params) | {name: batch[name] for name in inputs})


def jitter(rng: np.random.Generator, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """float64 parameters around their initial values: none is exactly 0 or 1."""
    return {name: value.astype(np.float64) + 0.2 * random_direction(rng, value.shape) for name, value in params.items()}


def lively(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Biases raised by a half: where a stack is alive by a hair, its gradients are too small to be measured."""
    return {name: value + 0.5 if name.endswith(".b") else value for name, value in params.items()}


@declare("mlp/relu", "nets.mlp.mlp", network=True, activation="relu")
@declare("mlp/hidden", "nets.mlp.mlp", network=True, activation="hidden")
@declare("mlp/linear", "nets.mlp.mlp", network=True, activation="linear")
def _mlp(rng, activation, n=6, c=3, p=5, q=4, d=2):
    widths = (c, p, q, d)
    params = {}
    for i in range(3):
        params |= arrays(rng, **{f"m.{i + 1}.w": (widths[i], widths[i + 1]), f"m.{i + 1}.b": (widths[i + 1],)})

    def backward(d, cache):
        grads, dx = mlp_backward(d, cache)
        return grads, [dx]

    forward = lambda p, x: mlp(p, "m", x, depth=3, activation=activation)  # noqa: E731
    return network_pair(forward, backward, params, arrays(rng, x=(n, c)))


@declare("head", "nets.head.head", network=True)
def _head(rng, n=6, c=5, d=4, k=3):
    params = arrays(rng, **{"fc.w": (c, d), "fc.b": (d,), "classifier.w": (d, k), "classifier.b": (k,)})
    mask = rng.random((n, d)) > 0.5

    def backward(d, cache):
        grads, dh = head_backward(d, cache)
        return grads, [dh]

    return network_pair(lambda p, h: head(p, h, mask, 0.5), backward, params, arrays(rng, h=(n, c)))


@declare("feature_pretrainer", "nets.feature_pretrainer.feature_pretrainer", network=True)
def _feature_pretrainer(rng, n=4, c=7, p=6, d=5, k=3):
    arch = FeaturePretrainer(hidden=(p,))
    params, _ = init_feature_pretrainer(arch, (c,), d, k, rng)
    masks = {"z": rng.random((n, d)) > 0.5}

    def backward(d, cache):
        grads, dx = feature_pretrainer_backward(d, cache)
        return grads, [dx]

    forward = lambda p, x: feature_pretrainer(p, x, arch=arch, mode="train", masks=masks)  # noqa: E731
    return network_pair(forward, backward, jitter(rng, params), arrays(rng, x=(n, c)))


@declare("conv_block/paper", "nets.conv_block.conv_block", network=True, fused=False)
@declare("conv_block/paper/fused", "nets.conv_block.conv_block", network=True, fused=True)
@declare("conv_block/released", "nets.conv_block.conv_block", network=True, order="conv-act-norm-pool", fused=False)
@declare(
    "conv_block/released/fused",
    "nets.conv_block.conv_block",
    network=True,
    order="conv-act-norm-pool",
    fused=True,
    mode="inference",
)
def _conv_block(rng, fused, order="conv-pool-act-norm", mode="train", n=8, h=6, w=4, c=3, d=5):
    settings = {"pool": 2 if min(h, w) > 1 else 1, "order": order, "mode": mode, "slope": 0.2, "fused": fused}
    forward = partial(conv_block, mean=rng.normal(size=d), var=rng.uniform(0.5, 2, d), **settings)
    inputs = arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,), gamma=(d,), beta=(d,))
    return Pair(forward, conv_block_backward, inputs)


def _pools(h, w):
    """Of three blocks: the first halves. In blocks of one pixel batch norm would undo what the biases do."""
    return (2, 1, 1) if min(h, w) >= 4 else (1, 1, 1)


@declare("conv_pretrainer/paper/train", "nets.conv_pretrainer.conv_pretrainer", network=True)
@declare("conv_pretrainer/paper/plain", "nets.conv_pretrainer.conv_pretrainer", network=True, fused=False)
@declare(
    "conv_pretrainer/paper/inference",
    "nets.conv_pretrainer.conv_pretrainer",
    network=True,
    mode="inference",
    fused=False,
)
@declare(
    "conv_pretrainer/released/train",  # plain: a fused cache does not tell which losers of a pool are rectified
    "nets.conv_pretrainer.conv_pretrainer",
    network=True,
    order="conv-act-norm-pool",
    fused=False,
)
@declare(
    "conv_pretrainer/released/frozen",
    "nets.conv_pretrainer.conv_pretrainer",
    network=True,
    order="conv-act-norm-pool",
    norm="frozen",
)
def _conv_pretrainer(
    rng, mode="train", order="conv-pool-act-norm", norm="train", fused=True, n=4, h=5, w=4, c=2, p=5, q=3, r=4, d=5, k=3
):
    arch = ConvPretrainer(_pools(h, w), channels=(p, q, r), block_order=order, batch_norm=norm, fused=fused)
    params, buffers = init_conv_pretrainer(arch, (h, w, c), d, k, rng)
    buffers = {k: v.astype(float) + rng.uniform(0.1, 0.5, v.shape) for k, v in buffers.items()}
    masks = {"z": rng.random((n, d)) > 0.5}

    def forward(p, x):
        return conv_pretrainer(p, x, arch=arch, mode=mode, buffers=buffers, masks=masks, input_gradient=True)

    def backward(d, cache):
        grads, dx = conv_pretrainer_backward(d, cache)
        return grads, [dx]

    return network_pair(forward, backward, jitter(rng, params), {"x": rng.normal(size=(n, h, w, c))})


@declare(
    "pretraining_objective/z", "cmirnet.pretraining_objective.pretraining_objective", network=True, before_relu=False
)
@declare(
    "pretraining_objective/s", "cmirnet.pretraining_objective.pretraining_objective", network=True, before_relu=True
)
@declare(
    "pretraining_objective/off",
    "cmirnet.pretraining_objective.pretraining_objective",
    network=True,
    before_relu=False,
    target="off",
)
def _pretraining_objective(rng, before_relu, target="identity", n=5, c=7, p=6, d=5, k=4):
    arch = FeaturePretrainer(hidden=(p,))
    network = Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, arch)
    params, _ = init_feature_pretrainer(arch, (c,), d, k, rng)
    y, masks = _targets(rng, "multi-hot", n, k), {"z": rng.random((n, d)) > 0.5}
    reading = {"kind": "sigmoid", "weight": 0.3, "target": target, "scaled": True, "before_relu": before_relu}

    def forward(p, x):
        return pretraining_objective(p, x, y, network=network, masks=masks, **reading)

    def backward(dl, cache):
        grads, dx = pretraining_objective_backward(dl, cache)
        return grads, [dx]

    return network_pair(forward, backward, jitter(rng, params), arrays(rng, x=(n, c)))


def _latent(rng, sizes, depth=3, classifier="shared", activation="hidden", dropout="none"):
    n, f, d, k = sizes
    arch = Latent(
        d_v=d,
        encoder_depth=depth,
        decoder_depth=depth,
        encoder_activation=activation,
        classifier=classifier,
        latent_dropout=dropout,
    )
    params, _ = init_latent(arch, (f, f), k, rng)
    masks = {m: rng.random((n, d)) > 0.5 for m in "ab"}
    return arch, lively(jitter(rng, params)), masks


@declare("latent_network/shared", "cmirnet.latent.latent_network", network=True)
@declare("latent_network/separate", "cmirnet.latent.latent_network", network=True, classifier="separate", dropout="b")
@declare(
    "latent_network/concatenated",
    "cmirnet.latent.latent_network",
    network=True,
    classifier="concatenated",
    depth=1,
    dropout="both",
)
def _latent_network(rng, n=6, f=5, d=3, k=4, **arch):
    arch, params, masks = _latent(rng, (n, f, d, k), **arch)

    def forward(p, z_a, z_b):
        return latent_network(p, (z_a, z_b), arch=arch, mode="train", masks=masks)

    return network_pair(forward, latent_network_backward, params, arrays(rng, z_a=(n, f), z_b=(n, f)))


def _labels(rng, n, k):
    return _targets(rng, "multi-hot", n, k), _targets(rng, "integer", n, k)


def _declare_objectives():
    """eq. 6 through the latent network: all weights in each reading, then each weight alone."""
    for name, reading in READINGS.items():
        activation = "relu" if name == "default" else "hidden"
        settings = {"readings": reading, "activation": activation}
        declare(f"objective/{name}", "cmirnet.objective.objective", network=True, **settings)(_objective)
    for term in Weights._fields:
        alone = Weights(**{field: float(field == term) for field in Weights._fields})
        only = Readings(alpha=0.5)
        declare(f"objective/{term}-alone", "cmirnet.objective.objective", network=True, readings=only, weights=alone)(
            _objective
        )
    last = {"readings": READINGS["default"], "layers": "last", "activation": "linear"}
    declare("objective/last-layer", "cmirnet.objective.objective", network=True, **last)(_objective)


def _objective(rng, readings, weights=WEIGHTS, layers="all", activation="hidden", n=6, f=5, d=3, k=4):
    arch, params, masks = _latent(rng, (n, f, d, k), classifier=readings.classifier, activation=activation)
    y = _labels(rng, n, k)
    readings = readings._replace(
        target_gradient="flow"
    )  # with "stop" the gradient of z is, on purpose, not the derivative

    def forward(p, z_a, z_b):
        return objective(
            p,
            (z_a, z_b),
            y,
            arch=arch,
            weights=weights,
            readings=readings,
            regularized_layers=layers,
            masks=masks,
        )

    return network_pair(forward, objective_backward, params, arrays(rng, z_a=(n, f), z_b=(n, f)))


_declare_objectives()


@declare("many/default", "cmirnet.many.many_objective", network=True, reading="default")
@declare("many/dropout", "cmirnet.many.many_objective", network=True, reading="head-decay", dropout="both")
@declare("many/last-layer", "cmirnet.many.many_objective", network=True, reading="sum", layers="last")
def _many(rng, reading, layers="all", dropout="none", n=6, f=5, p=7, q=2, d=3, k=4):
    arch = Latent(d_v=d, encoder_depth=2, decoder_depth=2, encoder_activation="hidden", latent_dropout=dropout)
    params = lively(jitter(rng, init_latent(arch, (f, p, q), k, rng)[0]))
    masks, y = {m: rng.random((n, d)) > 0.5 for m in "abc"}, _targets(rng, "integer", n, k)
    readings = READINGS[reading]._replace(target_gradient="flow")

    def forward(p, *z):
        return many_objective(
            p, z, y, arch=arch, weights=WEIGHTS, readings=readings, regularized_layers=layers, masks=masks
        )

    return network_pair(forward, many_objective_backward, params, arrays(rng, z_a=(n, f), z_b=(n, p), z_c=(n, q)))


@declare("end_to_end", "cmirnet.end_to_end.end_to_end", network=True)
def _end_to_end(rng, n=6, h=4, w=4, p=5, q=3, r=4, c=3, f=5, d=3, k=4):
    conv = ConvPretrainer(_pools(h, w), channels=(p, q, r), fused=False)
    dense = FeaturePretrainer()
    fronts = (
        Pretrainer(init_conv_pretrainer, conv_pretrainer, conv_pretrainer_backward, conv),
        Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, dense),
    )
    arch, latent, masks = _latent(rng, (n, f, d, k))
    masks |= {name: rng.random((n, f)) > 0.3 for name in FRONTS}
    front_a, _ = init_conv_pretrainer(conv, (h, w, 1), f, k, rng)
    front_b, _ = init_feature_pretrainer(dense, (c,), f, k, rng)
    params = add_prefix("latent", latent)
    params |= add_prefix("front_a", jitter(rng, front_a)) | add_prefix("front_b", jitter(rng, front_b))
    x, y = (rng.normal(size=(n, h, w, 1)), rng.normal(size=(n, c))), _labels(rng, n, k)

    def forward(p):
        return end_to_end(
            p,
            x,
            y,
            fronts=fronts,
            mode="train",
            masks=masks,
            arch=arch,
            weights=WEIGHTS,
            readings=Readings(alpha=0.5, target_gradient="flow"),
        )

    return network_pair(forward, lambda d, cache: (end_to_end_backward(d, cache), []), params, {})


def tolerance(check: Check, method: str) -> float:
    """The largest error that passes; whole networks add up the rounding of their layers."""
    return 1e-6 if method == "central-difference" else 1e-12 if check.network else 1e-13
