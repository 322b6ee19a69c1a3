"""One step of stage 2 (loss, gradients, Adam): 128 → 64, depth 3, batch 64, float32, every loss on."""

from threadpoolctl import threadpool_limits

from ..training.loop import keep_freed_memory
from .peers import Case, Side
from .steps import BATCH, Step, draw_latent, latent_step, torch_latent_step

STEPS_A_TURN = 50  # one takes a millisecond or two


def cases() -> list[Case]:
    """`latent/64`; PyTorch may use one thread or two."""
    others = {f"{n} thread{'s'[: n - 1]}": (f"{__name__}:torch_latent_side", {"threads": n}) for n in (1, 2)}
    return [Case("latent/64", (f"{__name__}:latent_side", {}), "torch", others, 1e-5, latent_operations())]


def latent_operations(batch: int = BATCH) -> float:
    """Additions and multiplications of a step's layers, each a forward and two backwards; features need no gradient."""
    _, params, *_ = draw_latent(batch)
    matrices = {name: value.size for name, value in params.items() if value.ndim == 2}
    matrices["classifier.w"] *= 2  # both modalities pass through it
    return batch * sum(2 * size * (2 if name.endswith((".1.w",)) and "encoder" in name else 3)
                       for name, size in matrices.items())  # fmt: skip


def latent_side() -> Side:
    """This package's step; products in one thread and memory kept, as in training."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    return side_of(latent_step(BATCH))


def torch_latent_side(threads: int) -> Side:
    """The same step by PyTorch, with so many threads."""
    import torch

    torch.set_num_threads(threads)
    return side_of(torch_latent_step(BATCH))


def side_of(step: Step, steps: int = STEPS_A_TURN) -> Side:
    """A side whose turn is many of these steps."""

    def turn():
        for _ in range(steps):
            step.step()

    return Side(step.gradients(BATCH), turn, steps)
