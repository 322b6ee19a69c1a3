"""EfficientNet-Lite: a stem, inverted residual blocks and a head, of convolutions, batch normalisation and ReLU6 alone.

N samples, H × W pixels, x (N, H, W, 3). `map_2` … `map_32` are the last maps with a half … a thirty-second of the
pixels along each side; `pooled` (N, 1280) is the mean of the head's channels over all pixels.

    block(x) = BN(project(relu6(BN(depthwise(relu6(BN(expand(x)))))))) (+ x, where shapes allow)

expand and project are 1 × 1 convolutions; all convolutions are padded as in TensorFlow ("same"), and have no bias.
Sources: Tan & Le 2019; Sandler et al. 2018 for the block; the "lite" family leaves out squeeze-and-excitation.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.batch_norm import NORM_EPSILON, batch_norm, batch_norm_backward
from ..ops.fused import (
    FoldedBlock,
    by_samples,
    depthwise_by_lines,
    depthwise_by_lines_backward,
    folded_block,
    pointwise_relu6,
    write_relu6,
)
from ..ops.global_mean import global_mean, global_mean_backward
from ..ops.padding import same_padding
from ..ops.relu import relu6, relu6_backward
from ..ops.strided_conv import strided_conv, strided_conv_backward
from ..params import below, constant, he


class LiteStage(NamedTuple):
    """Blocks of one shape; the first has the stride."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    repeats: int


STAGES = (  # of EfficientNet-B0, which Lite0 shares
    LiteStage(1, 3, 1, 16, 1),
    LiteStage(6, 3, 2, 24, 2),
    LiteStage(6, 5, 2, 40, 2),
    LiteStage(6, 3, 2, 80, 3),
    LiteStage(6, 5, 1, 112, 3),
    LiteStage(6, 5, 2, 192, 4),
    LiteStage(6, 3, 1, 320, 1),
)


class EfficientNetLite(NamedTuple):
    """The architecture; its defaults are Lite0's."""

    stem: int = 32
    head: int = 1280
    stages: tuple[LiteStage, ...] = STAGES


LITE0 = EfficientNetLite()


class LiteOutput(NamedTuple):
    """What the network makes of N samples; its gradient has the same fields, None where nothing comes back.

    A map is None where the architecture has none of that size.
    """

    map_2: Array | None
    map_4: Array | None
    map_8: Array | None
    map_16: Array | None
    map_32: Array | None
    pooled: Array


class LiteBlock(NamedTuple):
    """One block as the architecture lists it."""

    name: str
    channels: int  # in
    wide: int  # channels between its 1 × 1 convolutions
    out: int
    kernel: int
    stride: int
    map: str | None  # the field of `LiteOutput` that its output is


class LiteCache(NamedTuple):
    blocks: tuple[LiteBlock, ...]
    layers: dict[str, tuple]  # the caches of each convolution with its normalisation and ReLU6, by name
    pool: tuple
    map_shapes: dict[str, tuple[int, ...]]
    statistics: dict[str, Array]  # this batch's mean and variance by buffer name, for the running averages
    first: int  # the first block that is trained
    input_gradient: bool


def scale_lite(width: float = 1.0, depth: float = 1.0, *, divisor: int = 8) -> EfficientNetLite:
    """The architecture with `width` times the channels and `depth` times the blocks of Lite0.

    Channels are rounded to multiples of `divisor` (never down by more than 10 %), blocks up. As in the published
    family stem and head keep their width, and the first and the last stage their one block.
    """

    def channels(c: int) -> int:
        scaled = max(divisor, int(c * width + divisor / 2) // divisor * divisor)
        return scaled + divisor if scaled < 0.9 * c * width else scaled

    last = len(STAGES) - 1
    stages = tuple(
        s._replace(channels=channels(s.channels), repeats=s.repeats if i in (0, last) else math.ceil(s.repeats * depth))
        for i, s in enumerate(STAGES)
    )
    return EfficientNetLite(stages=stages)


def lite_blocks(arch: EfficientNetLite) -> tuple[LiteBlock, ...]:
    """All blocks in order, the last one of each size of map marked."""
    blocks, channels, reduction = [], arch.stem, 2
    for stage in arch.stages:
        for i in range(stage.repeats):
            stride = stage.stride if i == 0 else 1
            if stride > 1 and blocks:
                blocks[-1] = blocks[-1]._replace(map=f"map_{reduction}")
            reduction *= stride
            wide = channels * stage.expansion
            blocks.append(LiteBlock(f"block.{len(blocks)}", channels, wide, stage.channels, stage.kernel, stride, None))
            channels = stage.channels
    blocks[-1] = blocks[-1]._replace(map=f"map_{reduction}")
    return tuple(blocks)


def last_stage(arch: EfficientNetLite) -> int:
    """The number of the first block of the last stage."""
    return sum(stage.repeats for stage in arch.stages[:-1])


def lite_shapes(arch: EfficientNetLite) -> dict[str, tuple[int, ...]]:
    """The shape of every array of the network, parameters and running statistics, by name.

    A kernel is `NAME.w`; its normalisation has `NAME.gamma`, `NAME.beta`, `NAME.mean` and `NAME.var`.
    """
    blocks, kernels = lite_blocks(arch), {"stem": (3, 3, 3, arch.stem)}
    for b in blocks:
        if b.wide != b.channels:
            kernels[f"{b.name}.expand"] = (1, 1, b.channels, b.wide)
        kernels[f"{b.name}.depthwise"] = (b.kernel, b.kernel, b.wide)
        kernels[f"{b.name}.project"] = (1, 1, b.wide, b.out)
    kernels["head"] = (1, 1, blocks[-1].out, arch.head)
    shapes = {}
    for name, shape in kernels.items():
        shapes[f"{name}.w"] = shape
        shapes |= {f"{name}.{part}": shape[-1:] for part in ("gamma", "beta", "mean", "var")}
    return shapes


def trained_layers(arch: EfficientNetLite, first: int = 0) -> tuple[str, ...]:
    """The names of all convolutions from block number `first` on, the stem's with the block 0, in order."""
    names = [name.removesuffix(".w") for name in lite_shapes(arch) if name.endswith(".w")]
    before = {"stem", *(block.name for block in lite_blocks(arch)[:first])} if first else set()
    return tuple(name for name in names if name.rpartition(".")[0] not in before and name not in before)


def is_statistic(name: str) -> bool:
    """Whether the array of that name is a running statistic, which no gradient moves."""
    return name.endswith((".mean", ".var"))


def init_efficientnet_lite(arch: EfficientNetLite, rng) -> tuple[dict[str, Array], dict[str, Array]]:
    """(params, buffers) before training: kernels by `he`, γ 1, β 0, mean 0, variance 1."""
    params, buffers = {}, {}
    for name, shape in lite_shapes(arch).items():
        if name.endswith(".w"):
            params[name] = he(rng, shape, fan_in=math.prod(shape[:-1]))
        else:
            where = buffers if is_statistic(name) else params
            where[name] = constant(float(name.endswith((".gamma", ".var"))), *shape)
    return params, buffers


# ---- forward and backward -------------------------------------------------------------------------------------------


def efficientnet_lite(
    params: Mapping[str, Array],
    x: Array,
    *,
    arch: EfficientNetLite = LITE0,
    mode: str = "inference",
    buffers: Mapping[str, Array] | None = None,
    first: int = 0,
    input_gradient: bool = False,
) -> tuple[LiteOutput, LiteCache]:
    """x (N, H, W, 3) -> the five maps and the pooled features.

    `mode` is that of `batch_norm`: "train" normalises by this batch (`cache.statistics` returns how), "inference" by
    the running averages in `buffers`, "frozen" by 0 and 1. With `first` > 0 the stem and the blocks before that one are
    left out: x is then the output of block `first` − 1, as `output_before` gives it, and the maps before it are None.
    """
    blocks, layers, statistics, maps = lite_blocks(arch), {}, {}, {}

    def layer(h: Array, name: str, *, stride: int = 1, active: bool = True) -> Array:
        h, layers[name] = _layer(params, buffers or {}, h, name, stride, mode, active)
        if mode == "train":
            norm = layers[name][1]
            statistics.update({f"{name}.mean": norm.mean, f"{name}.var": norm.var})
        return h

    h = x if first else layer(x, "stem", stride=2)
    for block in blocks[first:]:
        wide = h if block.wide == block.channels else layer(h, f"{block.name}.expand")
        wide = layer(wide, f"{block.name}.depthwise", stride=block.stride)
        out = layer(wide, f"{block.name}.project", active=False)
        h = out + h if has_shortcut(block) else out
        if block.map:
            maps[block.map] = h
    pooled, pool = global_mean(layer(h, "head"))
    out = LiteOutput(*(maps.get(name) for name in LiteOutput._fields[:-1]), pooled)
    return out, LiteCache(
        blocks, layers, pool, {name: m.shape for name, m in maps.items()}, statistics, first, input_gradient
    )


def efficientnet_lite_backward(d: LiteOutput, cache: LiteCache) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx) of the layers that `efficientnet_lite` computed; dx is None unless `input_gradient` was asked for.

    From the last layer to the first. A block's output is read by the next block and, where it is a map, by whoever
    reads that map: both gradients add up. Where the block has a shortcut, y = f(x) + x, dx gets dy as well.
    """
    grads = {}

    def layer(dy: Array, name: str, *, needed: bool = True) -> Array | None:
        dx, grads[f"{name}.w"], grads[f"{name}.gamma"], grads[f"{name}.beta"] = _layer_backward(
            dy, cache.layers[name], needed
        )
        return dx

    least = cache.first if cache.first and not cache.input_gradient else -1  # below it nothing asks for a gradient
    dh = layer(global_mean_backward(d.pooled, cache.pool), "head", needed=len(cache.blocks) > least)
    for i in range(len(cache.blocks) - 1, cache.first - 1, -1):
        block = cache.blocks[i]
        if block.map and getattr(d, block.map) is not None:
            dh = dh + getattr(d, block.map)
        dwide = layer(dh, f"{block.name}.project")
        if block.wide == block.channels:
            dx = layer(dwide, f"{block.name}.depthwise", needed=i > least)
        else:
            dx = layer(layer(dwide, f"{block.name}.depthwise"), f"{block.name}.expand", needed=i > least)
        dh = dx + dh if has_shortcut(block) and dx is not None else dx
    return grads, dh if cache.first else layer(dh, "stem", needed=cache.input_gradient)


def has_shortcut(block: LiteBlock) -> bool:
    """Whether a block adds its input to its output."""
    return block.stride == 1 and block.channels == block.out


def _layer(params, buffers, x, name, stride, mode, active):
    """BN(conv(x)) and, where `active`, ReLU6 of it; the convolution is depthwise where the kernel has three axes."""
    w = params[f"{name}.w"]
    padding = same_padding(x.shape[1], x.shape[2], w.shape[0], stride)
    convolve = depthwise_by_lines if w.ndim == 3 else strided_conv
    u, conv_cache = convolve(x, w, stride=stride, padding=padding)
    running = (buffers[f"{name}.mean"], buffers[f"{name}.var"]) if mode == "inference" else (None, None)
    y, norm_cache = batch_norm(u, params[f"{name}.gamma"], params[f"{name}.beta"], *running, mode=mode)
    if not active:
        return y, (conv_cache, norm_cache, None)
    y, act_cache = relu6(y)
    return y, (conv_cache, norm_cache, act_cache)


def _layer_backward(dy, caches, needed):
    """(dx, dw, dγ, dβ) of `_layer`."""
    conv_cache, norm_cache, act_cache = caches
    dy = dy if act_cache is None else relu6_backward(dy, act_cache)
    du, dgamma, dbeta = batch_norm_backward(dy, norm_cache)
    depthwise = conv_cache.w.ndim == 3
    convolve_back = depthwise_by_lines_backward if depthwise else strided_conv_backward
    dx, dw = convolve_back(du, conv_cache, input_gradient=needed)
    return dx, dw, dgamma, dbeta


# ---- inference ------------------------------------------------------------------------------------------------------


class FoldedLite(NamedTuple):
    """The network for inference: normalisation is part of the kernels, each of which has a bias (see `fold_lite`)."""

    arch: EfficientNetLite
    arrays: dict[str, Array]  # "NAME.w" and "NAME.b"


def fold_lite(arch: EfficientNetLite, arrays: Mapping[str, Array]) -> FoldedLite:
    """The network whose kernels do what kernels and normalisation do in `mode` "inference".

    γ (w ∗ x − μ)/√(σ² + ε) + β = (s w) ∗ x + (β − s μ),  s = γ/√(σ² + ε) for each output channel. `arrays` holds
    parameters and running statistics by name, of all layers or of those that are going to be computed.
    """
    folded = {}
    for name in (n.removesuffix(".w") for n in arrays if n.endswith(".w")):
        own = below(name, arrays)
        scale = own["gamma"] * (own["var"] + NORM_EPSILON) ** -0.5
        folded[f"{name}.w"], folded[f"{name}.b"] = own["w"] * scale, own["beta"] - own["mean"] * scale
    return FoldedLite(arch, folded)


def lite_maps(
    network: FoldedLite, x: Array, *, first: int = 0, until: int | None = None
) -> tuple[dict[str, Array], Array]:
    """(maps by name, output of the last block) of images x (N, H, W, 3), for inference.

    With `first` > 0 x is the output of block `first` − 1; with `until` the blocks from that one on are left out.
    """
    arrays, maps, h = network.arrays, {}, x
    if not first:
        w = arrays["stem.w"]
        h, _ = strided_conv(x, w, stride=2, padding=same_padding(x.shape[1], x.shape[2], w.shape[0], 2))
        h = write_relu6(h, arrays["stem.b"])
    for block in lite_blocks(network.arch)[first:until]:
        h = folded_block(h, _folded(arrays, block, h.shape))
        if block.map:
            maps[block.map] = h
    return maps, h


def output_before(network: FoldedLite, x: Array, block: int) -> Array:
    """What block number `block` is given of images x (N, H, W, 3), for inference; threads share out the images."""
    return get_xp(x).concatenate(by_samples(lambda images: lite_maps(network, images, until=block)[1], x))


def lite_features(network: FoldedLite, x: Array, *, first: int = 0, maps: bool = True) -> LiteOutput:
    """The five maps and the pooled features of images x (N, H, W, 3), for inference; threads share out the images.

    Without `maps` the features alone are kept, so that memory hardly grows with the number of images. `first` is that
    of `efficientnet_lite`.
    """
    w, b = network.arrays["head.w"], network.arrays["head.b"]

    def work(images):
        found, h = lite_maps(network, images, first=first)
        pooled, _ = global_mean(pointwise_relu6(h, w.reshape(w.shape[2:]), b))
        return LiteOutput(*(found.get(name) if maps else None for name in LiteOutput._fields[:-1]), pooled)

    xp, parts = get_xp(x), by_samples(work, x)
    return LiteOutput(*(None if part[0] is None else xp.concatenate(part) for part in zip(*parts, strict=True)))


def _folded(arrays, block: LiteBlock, shape: tuple[int, ...]) -> FoldedBlock:
    """The arrays of one block as `folded_block` takes them."""

    def dense(name):
        w = arrays[f"{block.name}.{name}.w"]
        return w.reshape(w.shape[2:]), arrays[f"{block.name}.{name}.b"]

    return FoldedBlock(
        expand=None if block.wide == block.channels else dense("expand"),
        depthwise=(arrays[f"{block.name}.depthwise.w"], arrays[f"{block.name}.depthwise.b"]),
        project=dense("project"),
        stride=block.stride,
        padding=same_padding(shape[1], shape[2], block.kernel, block.stride),
        residual=has_shortcut(block),
    )
