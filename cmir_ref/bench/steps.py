"""One training step, ours and PyTorch's, from the same start: what `conv`, `latent` and `gpu` time.

Stage 1 is loss (eq. 1), gradients and Adam of the convolution pretrainer; stage 2 eq. 6 with every loss on, 128 → 64,
depth 3, cross decoders, a shared classifier, α = 1 read by the norms.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import to_device
from ..cmirnet.objective import objective, objective_backward
from ..cmirnet.pretraining_objective import pretraining_objective, pretraining_objective_backward
from ..cmirnet.stage2 import init_stage2, latent_settings
from ..config import load_config
from ..nets.pretraining import choose_pretrainer
from ..params import Params, flatten
from ..training.adam import adam

SHAPES = {"pan": (256, 256, 1), "mul": (64, 64, 4)}
ORDERS = {  # block order, batch normalisation
    "paper": ("conv-pool-act-norm", "train"),
    "released-frozen": ("conv-act-norm-pool", "frozen"),
    "released-train": ("conv-act-norm-pool", "train"),
}
ENTRIES = [*(("pan", order) for order in ORDERS), ("mul", "paper"), ("mul", "released-frozen")]
LAYOUTS = ("contiguous_format", "channels_last")  # of PyTorch's arrays: the better one counts
BATCH, FEATURES, CLASS_COUNT, LEARNING_RATE = 64, 128, 8, 1e-3
CHECKED = 8  # samples whose gradients are compared, in float64: in float32 rounding decides some winner of a pool


class Step(NamedTuple):
    """A training step: loss and gradients of the first n samples by name, and a whole step with Adam."""

    gradients: Callable[[int], dict[str, Any]]
    step: Callable[[], None]


# ---- ours -----------------------------------------------------------------------------------------------------------


def draw_conv(shape: tuple[int, int, int], order: str, batch: int, dtype: str = "float32"):
    """(network, params, buffers, x, y, mask) of stage 1, the same for every side."""
    block_order, norm = ORDERS[order]
    network = choose_pretrainer(shape, block_order=block_order, batch_norm=norm, dropout=0.5)
    rng = np.random.default_rng(0)
    params, buffers = network.init(network.arch, shape, FEATURES, CLASS_COUNT, rng)
    x = rng.standard_normal((batch, *shape), dtype=np.float32)
    y, mask = rng.integers(0, CLASS_COUNT, batch), rng.random((batch, FEATURES)) > 0.5
    cast = [{k: value.astype(np.float32).astype(dtype) for k, value in part.items()} for part in (params, buffers)]
    return network, *cast, x.astype(dtype), y, mask


def conv_step(shape: tuple[int, int, int], order: str, batch: int, xp=np, dtype: str = "float32") -> Step:
    """Stage 1 on arrays of `xp`."""
    network, *tensors, x, y, mask = draw_conv(shape, order, batch, dtype)
    params, buffers = ({name: to_device(v, xp) for name, v in part.items()} for part in tensors)
    params, x, y, mask = Params(params), *(to_device(part, xp) for part in (x, y, mask))

    def gradients(n=batch):
        loss, cache = pretraining_objective(
            params, x[:n], y[:n], network=network, buffers=buffers, masks={"z": mask[:n]}, scaled=True
        )
        return {"loss": loss, **pretraining_objective_backward(1.0, cache)[0]}

    return Step(gradients, with_adam(params, gradients, xp))


def draw_latent(batch: int, dtype: str = "float32"):
    """(network, params, z, y) of stage 2 as preset `pan-mul` has it, without dropout; float32 values in any dtype."""
    config, rng = load_config("pan-mul", ["latent_dropout=none"]), np.random.default_rng(0)
    z = [rng.random((batch, FEATURES)).astype(np.float32).astype(dtype) for _ in "ab"]
    y = [rng.integers(0, CLASS_COUNT, batch) for _ in "ab"]
    shapes = dict.fromkeys("ab", (FEATURES,))
    network = latent_settings(config, shapes, dict(zip("ab", y, strict=True)))
    params, _ = init_stage2(config, network, shapes, CLASS_COUNT)
    return network, {name: value.astype(np.float32).astype(dtype) for name, value in params.items()}, z, y


def latent_step(batch: int, xp=np, dtype: str = "float32") -> Step:
    """Stage 2 on arrays of `xp`."""
    network, params, z, y = draw_latent(batch, dtype)
    params = Params({name: to_device(v, xp) for name, v in params.items()})
    z, y = (tuple(to_device(part, xp) for part in both) for both in (z, y))

    terms = {name: value for name, value in network._asdict().items() if name != "fronts"}

    def gradients(n=batch):
        few = (tuple(part[:n] for part in both) for both in (z, y))
        loss, cache = objective(params, *few, **terms)
        return {"loss": loss, **objective_backward(1.0, cache, input_gradient=False)[0]}

    return Step(gradients, with_adam(params, gradients, xp))


def with_adam(params: Params, gradients: Callable, xp: Any) -> Callable[[], None]:
    """A whole step: `gradients()` without its loss, then Adam on all of `params`."""
    m, v, count = xp.zeros_like(params.flat), xp.zeros_like(params.flat), 0

    def step():
        nonlocal count
        count += 1
        grads = gradients()
        del grads["loss"]
        adam(params.flat, flatten(grads, params), m, v, count, LEARNING_RATE)

    return step


# ---- PyTorch's ------------------------------------------------------------------------------------------------------


def torch_conv_step(shape: tuple[int, int, int], order: str, batch: int, layout: str, device: str = "cpu") -> Step:
    """The step of `conv_step` by autograd, in one of PyTorch's layouts, with its fused Adam."""
    import torch
    from torch.nn import functional

    network, params, _, x, y, mask = draw_conv(shape, order, batch)
    arch, memory = network.arch, getattr(torch, layout)

    def there(array):
        return torch.from_numpy(array).to(device)

    def kernel(value):
        return value.permute(3, 2, 0, 1).contiguous(memory_format=memory) if value.ndim == 4 else value

    x = there(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)
    y, mask, eye = there(y), there(mask), torch.eye(FEATURES, device=device)
    leaves = {name: kernel(there(value)).clone().requires_grad_() for name, value in params.items()}
    blocks = range(1, len(arch.pools) + 1)
    running = {i: [torch.full((arch.channels[i - 1],), float(s), device=device) for s in (0, 1)] for i in blocks}

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
        loss = functional.cross_entropy(logits, y[:n]) + ((z.T @ z / n - eye.to(z.dtype)) ** 2).sum()
        loss.backward()
        return loss

    def gradients(n):  # in float64: float32 changes winners of the pools
        exact = in_float64(leaves)
        statistics = {i: [value.double() for value in pair] for i, pair in running.items()}
        results = {"loss": backward(exact, x[:n].double(), statistics).detach()}
        results |= {k: leaf.grad.permute(2, 3, 1, 0) if leaf.ndim == 4 else leaf.grad for k, leaf in exact.items()}
        return as_numpy(results)

    return Step(gradients, with_torchs_adam(leaves, lambda: backward(leaves, x, running)))


def torch_latent_step(batch: int, device: str = "cpu") -> Step:
    """The step of `latent_step` by autograd; both modalities go through the shared classifier at once."""
    import torch
    from torch.nn import functional

    network, params, z, y = draw_latent(batch)
    weights, alpha = network.weights, network.readings.alpha
    leaves = {name: torch.from_numpy(value).to(device).clone().requires_grad_() for name, value in params.items()}
    z, y = ([torch.from_numpy(part).to(device) for part in both] for both in (z, y))

    def backward(leaves, z):
        n = len(z[0])

        def layers(name, h):
            for i in range(1, 4):
                h = torch.addmm(leaves[f"{name}.{i}.b"], h, leaves[f"{name}.{i}.w"])
                h = h.relu_() if i < 3 or getattr(network.arch, f"{name[:7]}_activation") == "relu" else h
            return h

        def energy(x):
            return x.square().sum() / n

        v_a, v_b = layers("encoder_a", z[0]), layers("encoder_b", z[1])
        logits = torch.addmm(leaves["classifier.b"], torch.cat([v_a, v_b]), leaves["classifier.w"])
        labels = torch.cat([part[:n] for part in y])
        loss = weights.alignment * energy(v_a - v_b) + weights.classification * functional.cross_entropy(logits, labels)
        loss = loss + weights.feature_norm * (energy(v_a) + energy(v_b))
        crossed = energy(layers("decoder_ab", v_a) - z[1]) + energy(layers("decoder_ba", v_b) - z[0])
        matrices = [leaf for name, leaf in leaves.items() if "encoder" in name and leaf.ndim == 2]
        r = (torch.stack(torch._foreach_norm(matrices)) - alpha).square().sum()
        loss = loss + weights.reconstruction * crossed + weights.regulariser * r
        loss.backward()
        return loss

    def gradients(n):
        exact = in_float64(leaves)
        results = {"loss": backward(exact, [part[:n].double() for part in z]).detach()}
        return as_numpy(results | {name: leaf.grad for name, leaf in exact.items()})

    return Step(gradients, with_torchs_adam(leaves, lambda: backward(leaves, z)))


def in_float64(leaves: dict) -> dict:
    """PyTorch's leaves in float64."""
    return {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}


def as_numpy(results: dict) -> dict[str, np.ndarray]:
    """PyTorch's tensors on the host."""
    return {name: value.cpu().numpy().copy() for name, value in results.items()}


def with_torchs_adam(leaves: dict, backward: Callable) -> Callable[[], None]:
    """A step: `backward`, then PyTorch's fused Adam."""
    import torch

    optimiser = torch.optim.Adam(leaves.values(), LEARNING_RATE, fused=True)

    def step():
        optimiser.zero_grad()
        backward()
        optimiser.step()

    return step
