"""One step of stage 2 (loss, gradients, Adam) as training takes it: 128 → 64, depth 3, batch 64, every loss on.

float32; cross decoders, a shared classifier, α = 1 drawn to by the norms.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from ..config import Config
from ..params import Params, flatten
from ..training.adam import adam
from ..training.loop import keep_freed_memory
from ..training.stages import Source, init_stage2, stage2_network, stage2_task
from .peers import Case, Side

CONFIG = Config(scenario="pan-mul", image_size=256, alpha=1.0)
CLASSES, BATCH, RATE = 8, 64, 1e-3
STEPS = 50  # of a turn: one takes a millisecond or two


def cases() -> list[Case]:
    """`latent/64`; PyTorch may use one thread or two."""
    others = {f"{n} thread{'s'[: n - 1]}": (f"{__name__}:torch_side", {"threads": n}) for n in (1, 2)}
    return [Case("latent/64", (f"{__name__}:our_side", {}), "torch", others, tolerance=1e-5)]


def drawn():
    """(task, params, batch), the same for both sides."""
    rng = np.random.default_rng(0)
    shape = (CONFIG.d_z,)
    sources = [
        Source(rng.random((BATCH, *shape), dtype=np.float32), rng.integers(0, CLASSES, BATCH), "features", lambda z: z)
        for _ in "ab"
    ]
    network = stage2_network(CONFIG, (shape, shape), [s.labels for s in sources])
    params, _ = init_stage2(CONFIG, network, (shape, shape), CLASSES)
    pairs = np.stack([np.arange(BATCH)] * 2, axis=1)
    task = stage2_task(CONFIG, network, sources, lambda epoch: pairs, BATCH, (pairs[:, 0], pairs[:, 1]))
    return task, Params(params), next(iter(task.batches(0)))


def our_side() -> Side:
    """This package's step; products in one thread and memory kept, as in training."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    task, params, batch = drawn()
    m, v = np.zeros_like(params.flat), np.zeros_like(params.flat)
    parts, grads, _ = task.gradients(params, {}, batch, 0, 0)
    steps = 0

    def turn():
        nonlocal steps
        for _ in range(STEPS):
            steps += 1
            adam(params.flat, flatten(task.gradients(params, {}, batch, 0, 0)[1], params), m, v, steps, RATE)

    return Side({"loss": parts["loss"], **grads}, turn, STEPS)


def torch_side(threads: int) -> Side:
    """PyTorch's step from the same start; both modalities go through the shared classifier at once."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(threads)
    _, params, ((z_a, z_b), y, _) = drawn()
    leaves = {name: nn.Parameter(torch.from_numpy(value.copy())) for name, value in params.items()}
    z_a, z_b, y = torch.from_numpy(z_a), torch.from_numpy(z_b), torch.from_numpy(np.concatenate(y))
    optimiser = torch.optim.Adam(leaves.values(), RATE, fused=True)

    def backward(leaves, z_a, z_b):
        def layers(name, h, depth=3):
            for i in range(1, depth + 1):
                h = torch.addmm(leaves[f"latent.{name}.{i}.b"], h, leaves[f"latent.{name}.{i}.w"]).relu_()
            return h

        def energy(x):
            return x.square().sum() / BATCH

        v_a, v_b = layers("encoder_a", z_a), layers("encoder_b", z_b)
        logits = torch.addmm(leaves["latent.classifier.b"], torch.cat([v_a, v_b]), leaves["latent.classifier.w"])
        loss = energy(v_a - v_b) + functional.cross_entropy(logits, y) + energy(v_a) + energy(v_b)
        loss = loss + energy(layers("decoder_ab", v_a) - z_b) + energy(layers("decoder_ba", v_b) - z_a)
        weights = [leaf for name, leaf in leaves.items() if "encoder" in name and leaf.ndim == 2]
        loss = loss + (torch.stack(torch._foreach_norm(weights)) - CONFIG.alpha).square().sum()
        loss.backward()
        return loss

    def turn():
        for _ in range(STEPS):
            optimiser.zero_grad()
            backward(leaves, z_a, z_b)
            optimiser.step()

    exact = {name: leaf.detach().double().requires_grad_() for name, leaf in leaves.items()}
    loss = backward(exact, z_a.double(), z_b.double()).detach().numpy()
    return Side({"loss": loss, **{name: leaf.grad.numpy().copy() for name, leaf in exact.items()}}, turn, STEPS)
