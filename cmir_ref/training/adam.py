"""Adam over one flat vector of parameters, and the schedules of its learning rate."""

import math

from ..backend import Array, get_xp
from ..kernels import adam_step_kernel, supported
from ..ops.fused.adam import adam_step_by_chunks

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam_step(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """One step, in place, for arrays of any library; `adam` says what the numbers are."""
    theta -= lr * (decay * theta)
    m += share_m * (g - m)
    v += share_v * (g * g - v)
    theta -= rate * (m / (get_xp(v).sqrt(v) + epsilon))


def adam(theta: Array, grad: Array, m: Array, v: Array, t: int, lr: float, *, decay: Array | float = 0.0) -> None:
    """One step, in place: m and v are the running moments, t = 1, 2, … counts the steps.

        m ← β₁m + (1 − β₁)g        v ← β₂v + (1 − β₂)g²
        θ ← θ − lr (m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) + decay θ)

    `adam_step` is these lines, with m/(√v + ε √(1 − β₂ᵗ)) times lr √(1 − β₂ᵗ)/(1 − β₁ᵗ) for the first part of the last
    one, which is the same. NumPy's arrays take it by chunks, CuPy's by one kernel; both do the same to every entry.
    Sources: Kingma & Ba 2015, algorithm 1; the decoupled `decay` Loshchilov & Hutter 2019.
    """
    adam_by_numbers(theta, grad, m, v, adam_numbers(t, lr), decay=decay)


def adam_numbers(t: int, lr: float) -> tuple[float, float, float]:
    """What changes from step to step: lr, what m/(√v + ε') is multiplied by, and ε'."""
    root = math.sqrt(1 - BETA2**t)
    return lr, lr / (1 - BETA1**t) * root, EPSILON * root


def adam_by_numbers(
    theta: Array, grad: Array, m: Array, v: Array, numbers: Array | tuple[float, ...], *, decay: Array | float = 0.0
) -> None:
    """`adam` by `adam_numbers`, which may lie on the device of the arrays: then a captured step reads them anew."""
    library = get_xp(theta, grad).__name__
    kernel = library == "cupy" or supported(theta, grad)
    step = adam_step_by_chunks if library == "numpy" else adam_step_kernel if kernel else adam_step
    step(
        theta,
        grad,
        m,
        v,
        decay=decay,
        lr=numbers[0],
        rate=numbers[1],
        epsilon=numbers[2],
        share_m=1 - BETA1,
        share_v=1 - BETA2,
    )


def learning_rate(step: int, steps: int, lr: float, schedule: str = "constant", warmup: float = 0.0) -> float:
    """The rate of step 0 … steps − 1: constant, or a half cosine from lr to 0; both after a linear `warmup` share.

    Raises `ValueError` for another `schedule`.
    """
    if schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule is {schedule!r}; it is one of constant, cosine")
    rising = warmup * steps
    if step < rising:
        return lr * min(1.0, (step + 1) / rising)
    if schedule == "constant":
        return lr
    return lr * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))
