"""Adam over one flat vector of parameters, and the learning-rate schedules."""

import math

from ..backend import Array, get_xp

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam(theta: Array, grad: Array, m: Array, v: Array, t: int, lr: float, *, decay: Array | float = 0.0) -> None:
    """One step, in place: m and v are the running moments, t = 1, 2, … counts the steps.

        m ← β₁m + (1 − β₁)g        v ← β₂v + (1 − β₂)g²
        θ ← θ − lr (m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) + decay θ)
    Sources: Kingma & Ba 2015, algorithm 1; the decoupled `decay` Loshchilov & Hutter 2019.
    """
    xp = get_xp(theta, grad)
    m *= BETA1
    m += (1 - BETA1) * grad
    v *= BETA2
    v += (1 - BETA2) * (grad * grad)
    step = xp.sqrt(v / (1 - BETA2**t))
    step += EPSILON
    xp.divide(m, step, out=step)
    step *= lr / (1 - BETA1**t)
    theta -= step + (lr * decay) * theta


def learning_rate(step: int, steps: int, lr: float, schedule: str = "constant", warmup: float = 0.0) -> float:
    """The rate of step 0 … steps − 1: constant, or a half cosine from lr to 0; both after a linear `warmup` share."""
    rising = warmup * steps
    if step < rising:
        return lr * min(1.0, (step + 1) / rising)
    if schedule == "constant":
        return lr
    return lr * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))
