"""Networks of no paper."""

from ..nets.conv_pretrainer import ConvPretrainer, conv_pretrainer, conv_pretrainer_backward, init_conv_pretrainer
from ..nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from ..nets.head import head, head_backward
from ..nets.mlp import mlp, mlp_backward
from .declarations import arrays, declare, jitter, network_pair


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
