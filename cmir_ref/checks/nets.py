"""Networks of no paper."""

from functools import partial

from ..gradcheck import Pair
from ..nets.conv_block import conv_block, conv_block_backward
from ..nets.conv_pretrainer import ConvPretrainer, conv_pretrainer, conv_pretrainer_backward, init_conv_pretrainer
from ..nets.efficientnet_lite import (
    EfficientNetLite,
    LiteStage,
    efficientnet_lite,
    efficientnet_lite_backward,
    init_efficientnet_lite,
    trained_layers,
)
from ..nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from ..nets.head import head, head_backward
from ..nets.mlp import mlp, mlp_backward
from ..nets.trunk_pretrainer import (
    TrunkPretrainer,
    init_trunk_pretrainer,
    trunk_pretrainer,
    trunk_pretrainer_backward,
)
from .declarations import declare, draw_arrays, jitter, network_pair


@declare(
    "mlp",
    "nets.mlp.mlp",
    sizes={"n": 6, "c": 3, "p": 5, "q": 4, "d": 2},
    variants={"relu": {"activation": "relu"}, "hidden": {"activation": "hidden"}, "linear": {"activation": "linear"}},
    network=True,
)
def _mlp(rng, activation, n, c, p, q, d):
    widths = (c, p, q, d)
    params = {}
    for i in range(3):
        params |= draw_arrays(rng, **{f"m.{i + 1}.w": (widths[i], widths[i + 1]), f"m.{i + 1}.b": (widths[i + 1],)})

    def backward(d, cache):
        grads, dx = mlp_backward(d, cache)
        return grads, [dx]

    forward = lambda p, x: mlp(p, "m", x, depth=3, activation=activation)  # noqa: E731
    return network_pair(forward, backward, params, draw_arrays(rng, x=(n, c)))


@declare("head", "nets.head.head", sizes={"n": 6, "c": 5, "d": 4, "k": 3}, network=True)
def _head(rng, n, c, d, k):
    params = draw_arrays(rng, **{"fc.w": (c, d), "fc.b": (d,), "classifier.w": (d, k), "classifier.b": (k,)})
    mask = rng.random((n, d)) > 0.5

    def backward(d, cache):
        grads, dh = head_backward(d, cache)
        return grads, [dh]

    return network_pair(lambda p, h: head(p, h, mask, 0.5), backward, params, draw_arrays(rng, h=(n, c)))


@declare(
    "feature_pretrainer",
    "nets.feature_pretrainer.feature_pretrainer",
    sizes={"n": 4, "c": 7, "p": 6, "d": 5, "k": 3},
    network=True,
)
def _feature_pretrainer(rng, n, c, p, d, k):
    arch = FeaturePretrainer(hidden=(p,))
    params, _ = init_feature_pretrainer(arch, (c,), d, k, rng)
    masks = {"z": rng.random((n, d)) > 0.5}

    def backward(d, cache):
        grads, dx = feature_pretrainer_backward(d, cache)
        return grads, [dx]

    forward = lambda p, x: feature_pretrainer(p, x, arch=arch, mode="train", masks=masks)  # noqa: E731
    return network_pair(forward, backward, jitter(rng, params), draw_arrays(rng, x=(n, c)))


@declare(
    "conv_block",
    "nets.conv_block.conv_block",
    sizes={"n": 8, "h": 6, "w": 4, "c": 3, "d": 5},
    variants={
        "paper": {"fused": False},
        "paper/fused": {"fused": True},
        "released": {"order": "conv-act-norm-pool", "fused": False},
        "released/fused": {"order": "conv-act-norm-pool", "fused": True, "mode": "inference"},
    },
    network=True,
)
def _conv_block(rng, fused, n, h, w, c, d, order="conv-pool-act-norm", mode="train"):
    settings = {"pool": 2 if min(h, w) > 1 else 1, "order": order, "mode": mode, "slope": 0.2, "fused": fused}
    forward = partial(conv_block, mean=rng.normal(size=d), var=rng.uniform(0.5, 2, d), **settings)
    inputs = draw_arrays(rng, x=(n, h, w, c), w=(3, 3, c, d), b=(d,), gamma=(d,), beta=(d,))
    return Pair(forward, conv_block_backward, inputs)


def pool_factors(h: int, w: int) -> tuple[int, int, int]:
    """The pooling factors of three blocks: the first halves an image of at least 4 × 4 pixels.

    A block never comes down to one pixel: batch normalisation would undo there what the biases do.
    """
    return (2, 1, 1) if min(h, w) >= 4 else (1, 1, 1)


@declare(
    "conv_pretrainer",
    "nets.conv_pretrainer.conv_pretrainer",
    sizes={"n": 4, "h": 5, "w": 4, "c": 2, "p": 5, "q": 3, "r": 4, "d": 5, "k": 3},
    variants={
        "paper/train": {},
        "paper/plain": {"fused": False},
        "paper/inference": {"mode": "inference", "fused": False},
        # plain: a fused cache does not tell which losers of a pool are rectified
        "released/train": {"order": "conv-act-norm-pool", "fused": False},
        "released/frozen": {"order": "conv-act-norm-pool", "norm": "frozen"},
    },
    network=True,
)
def _conv_pretrainer(
    rng, n, h, w, c, p, q, r, d, k, mode="train", order="conv-pool-act-norm", norm="train", fused=True
):
    arch = ConvPretrainer(pool_factors(h, w), channels=(p, q, r), block_order=order, batch_norm=norm, fused=fused)
    params, buffers = init_conv_pretrainer(arch, (h, w, c), d, k, rng)
    buffers = {name: x.astype(float) + rng.uniform(0.1, 0.5, x.shape) for name, x in buffers.items()}
    masks = {"z": rng.random((n, d)) > 0.5}

    def forward(p, x):
        return conv_pretrainer(p, x, arch=arch, mode=mode, buffers=buffers, masks=masks, input_gradient=True)

    def backward(d, cache):
        grads, dx = conv_pretrainer_backward(d, cache)
        return grads, [dx]

    return network_pair(forward, backward, jitter(rng, params), {"x": rng.normal(size=(n, h, w, c))})


def tiny_lite(c: int, p: int, q: int, d: int) -> EfficientNetLite:
    """A network of three blocks: without a first convolution, with a stride, with a shortcut."""
    return EfficientNetLite(stem=c, head=d, stages=(LiteStage(1, 3, 1, p, 1), LiteStage(2, 3, 2, q, 2)))


@declare(
    "efficientnet_lite",
    "nets.efficientnet_lite.efficientnet_lite",
    sizes={"n": 2, "h": 5, "w": 4, "c": 2, "p": 3, "q": 2, "d": 4},
    variants={
        "train": {"mode": "train"},
        "inference": {"mode": "inference"},
        "last": {"mode": "inference", "first": 1},
    },
    network=True,
)
def _efficientnet_lite(rng, mode, n, h, w, c, p, q, d, first=0):
    arch = tiny_lite(c, p, q, d)
    params, buffers = init_efficientnet_lite(arch, rng)
    buffers = {name: x.astype(float) + rng.uniform(0.1, 0.5, x.shape) for name, x in buffers.items()}
    layers = trained_layers(arch, first)
    params = jitter(rng, {name: x for name, x in params.items() if name.rpartition(".")[0] in layers})
    if mode == "train":  # a variance near ε: above it a batch undoes what scales a channel, and no gradient is left
        params = {name: x / 5 if name.endswith(".w") else x for name, x in params.items()}

    def forward(params, x):
        settings = {"arch": arch, "mode": mode, "buffers": buffers, "first": first}
        return efficientnet_lite(params, x, **settings, input_gradient=True)

    def backward(d, cache):
        grads, dx = efficientnet_lite_backward(d, cache)
        return grads, [dx]

    return network_pair(forward, backward, params, draw_arrays(rng, x=(n, h, w, p if first else 3)))


@declare(
    "trunk_pretrainer",
    "nets.trunk_pretrainer.trunk_pretrainer",
    sizes={"n": 2, "h": 5, "w": 4, "c": 2, "p": 3, "q": 2, "r": 4, "d": 5, "k": 3},
    network=True,
)
def _trunk_pretrainer(rng, n, h, w, c, p, q, r, d, k, norm="inference"):
    arch = TrunkPretrainer(tiny_lite(c, p, q, r), batch_norm=norm)
    params, buffers = init_trunk_pretrainer(arch, (h, w, 3), d, k, rng)
    buffers = {name: x.astype(float) + rng.uniform(0.1, 0.5, x.shape) for name, x in buffers.items()}
    masks, x = {"z": rng.random((n, d)) > 0.5}, rng.normal(size=(n, h, w, 3))

    def forward(params):
        return trunk_pretrainer(params, x, arch=arch, mode="train", buffers=buffers, masks=masks)

    def backward(d, cache):
        grads, _ = trunk_pretrainer_backward(d, cache)
        return grads, []

    return network_pair(forward, backward, jitter(rng, params), {})
