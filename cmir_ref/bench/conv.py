"""One step of stage 1 (loss, gradients, Adam) of the convolution pretrainer, batch 64, float32, against PyTorch."""

import numpy as np

from ..models.pretrainers import choose_pretrainer
from ..models.pretraining import pretraining_objective, pretraining_objective_backward
from ..ops.fused.parallel import single_threaded_blas
from ..params import Params, flatten
from ..training.adam import adam
from ..training.loop import keep_freed_memory
from .peers import Case, Side

SHAPES = {"pan": (256, 256, 1), "mul": (64, 64, 4)}
ORDERS = {
    "paper": ("conv-pool-act-norm", "train"),
    "released-frozen": ("conv-act-norm-pool", "frozen"),
    "released-train": ("conv-act-norm-pool", "train"),
}
ENTRIES = [*(("pan", order) for order in ORDERS), ("mul", "paper"), ("mul", "released-frozen")]
FEATURES, CLASSES, BATCH, RATE = 128, 8, 64, 1e-3
CHECKED = 8  # samples whose gradients are compared: among millions of windows rounding decides some winner


def cases() -> list[Case]:
    """`conv/pan/paper` … `conv/mul/released-frozen`; PyTorch may lay out its arrays in either way."""
    found = []
    for net, order in ENTRIES:
        settings = {"shape": SHAPES[net], "order": order}
        layouts = ("contiguous", "channels_last")
        others = {layout: (f"{__name__}:torch_side", settings | {"layout": layout}) for layout in layouts}
        found.append(Case(f"conv/{net}/{order}", (f"{__name__}:our_side", settings), "torch", others))
    return found


def drawn(shape: tuple[int, int, int], order: str, batch: int):
    """(network, params, buffers, x, y, mask), the same for both sides."""
    block_order, norm = ORDERS[order]
    network = choose_pretrainer(shape, block_order=block_order, batch_norm=norm, dropout=0.5)
    rng = np.random.default_rng(0)
    params, buffers = network.init(network.arch, shape, FEATURES, CLASSES, rng)
    x = rng.standard_normal((batch, *shape), dtype=np.float32)
    return network, params, buffers, x, rng.integers(0, CLASSES, batch), rng.random((batch, FEATURES)) > 0.5


def our_side(shape: tuple[int, int, int], order: str, batch: int = BATCH) -> Side:
    """This package's step."""
    keep_freed_memory()
    network, params, buffers, x, y, mask = drawn(shape, order, batch)
    params = Params(params)
    m, v = np.zeros_like(params.flat), np.zeros_like(params.flat)
    steps = 0

    def gradients(n=None):
        masks = {"z": mask[:n]}
        loss, cache = pretraining_objective(
            params, x[:n], y[:n], network=network, buffers=buffers, masks=masks, scaled=True
        )
        return loss, pretraining_objective_backward(1.0, cache)[0]

    def step():
        nonlocal steps
        steps += 1
        with single_threaded_blas():
            adam(params.flat, flatten(gradients()[1], params), m, v, steps, RATE)

    loss, grads = gradients(CHECKED)
    return Side({"loss": loss, **grads}, step)


def torch_side(shape: tuple[int, int, int], order: str, layout: str) -> Side:
    """PyTorch's step: the same network from the same start, in its own layout, with its fused Adam."""
    import torch
    from torch import nn
    from torch.nn import functional

    network, params, _, x, y, mask = drawn(shape, order, BATCH)
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)
    y, mask = torch.from_numpy(y), torch.from_numpy(mask)
    arch, eye = network.arch, torch.eye(FEATURES)
    leaves = {}
    for name, value in params.items():
        value = torch.from_numpy(value)
        value = value.permute(3, 2, 0, 1).contiguous(memory_format=memory) if value.ndim == 4 else value.clone()
        leaves[name] = nn.Parameter(value)
    blocks = range(1, len(arch.pools) + 1)
    running = {i: (torch.zeros(arch.channels[i - 1]), torch.ones(arch.channels[i - 1])) for i in blocks}
    optimiser = torch.optim.Adam(leaves.values(), RATE, fused=True)

    def backward(leaves, x, running):
        n, h = len(x), x
        for i in blocks:
            h = functional.conv2d(h, leaves[f"conv.{i}.w"], leaves[f"conv.{i}.b"], padding=1)
            if order == "paper":
                h = functional.max_pool2d(h, arch.pools[i - 1])
            h = functional.leaky_relu(h, arch.slope, inplace=True)
            norm = leaves[f"norm.{i}.gamma"], leaves[f"norm.{i}.beta"]
            h = functional.batch_norm(h, *running[i], *norm, training=arch.batch_norm == "train", eps=1e-3)
            if order != "paper":
                h = functional.max_pool2d(h, arch.pools[i - 1])
        z = torch.relu(h.permute(0, 2, 3, 1).flatten(1) @ leaves["fc.w"] + leaves["fc.b"])
        logits = (z * mask[:n] * 2) @ leaves["classifier.w"] + leaves["classifier.b"]
        loss = functional.cross_entropy(logits, y[:n]) + ((z.T @ z / n - eye) ** 2).sum()
        loss.backward()
        return loss

    def step():
        optimiser.zero_grad()
        backward(leaves, x, running)
        optimiser.step()

    # compared in float64: in float32 PyTorch's convolutions differ by 1e-5, enough to change winners of the pools
    exact = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}
    statistics = {i: [value.double() for value in pair] for i, pair in running.items()}
    result = {"loss": backward(exact, x[:CHECKED].double(), statistics).detach().numpy()}
    for name, leaf in exact.items():
        result[name] = (leaf.grad.permute(2, 3, 1, 0) if leaf.ndim == 4 else leaf.grad).numpy().copy()
    return Side(result, step)
