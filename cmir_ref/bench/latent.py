"""One step of stage 2 (loss, gradients, Adam): 128 → 64, depth 3, batch 64, float32, every loss on."""

from threadpoolctl import threadpool_limits

from ..training.loop import keep_freed_memory
from .peers import Case, Side
from .steps import Step, latent_step, torch_latent_step

BATCH = 64
STEPS = 50  # of a turn: one takes a millisecond or two


def cases() -> list[Case]:
    """`latent/64`; PyTorch may use one thread or two."""
    others = {f"{n} thread{'s'[: n - 1]}": (f"{__name__}:torch_side", {"threads": n}) for n in (1, 2)}
    return [Case("latent/64", (f"{__name__}:our_side", {}), "torch", others, tolerance=1e-5)]


def our_side() -> Side:
    """This package's step; products in one thread and memory kept, as in training."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    return many(latent_step(BATCH))


def torch_side(threads: int) -> Side:
    """PyTorch's."""
    import torch

    torch.set_num_threads(threads)
    return many(torch_latent_step(BATCH))


def many(step: Step) -> Side:
    """A turn of many steps."""

    def turn():
        for _ in range(STEPS):
            step.step()

    return Side(step.gradients(BATCH), turn, STEPS)
