"""Adam over one flat vector of parameters, and the learning-rate schedules."""

import math

from ..backend import Array, get_xp
from ..kernels import adam_step

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
CHUNK = 2**16  # of the vector at a time: what the passes below share stays in the processor's cache


def adam(theta: Array, grad: Array, m: Array, v: Array, t: int, lr: float, *, decay: Array | float = 0.0) -> None:
    """One step, in place: m and v are the running moments, t = 1, 2, … counts the steps.

        m ← β₁m + (1 − β₁)g        v ← β₂v + (1 − β₂)g²
        θ ← θ − lr (m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε) + decay θ)
    computed as m/(√v + ε √(1 − β₂ᵗ)) times lr √(1 − β₂ᵗ)/(1 − β₁ᵗ), which is the same.
    Sources: Kingma & Ba 2015, algorithm 1; the decoupled `decay` Loshchilov & Hutter 2019.
    """
    xp = get_xp(theta, grad)
    rate, root = lr / (1 - BETA1**t), math.sqrt(1 - BETA2**t)
    if xp.__name__ == "cupy":
        shares = {"share_m": 1 - BETA1, "share_v": 1 - BETA2}
        adam_step(theta, grad, m, v, decay=decay, lr=lr, rate=rate * root, epsilon=EPSILON * root, **shares)
        return
    size = CHUNK if xp.__name__ == "numpy" else len(theta)
    decayed = xp.ndim(decay) > 0 or decay != 0
    work = xp.empty_like(theta[:size])
    for start in range(0, len(theta), size):
        part = slice(start, start + size)
        p, g, m_p, v_p = theta[part], grad[part], m[part], v[part]
        s = work[: len(p)]
        if decayed:
            xp.multiply(p, decay[part] if xp.ndim(decay) else decay, out=s)
            s *= lr
            p -= s
        xp.subtract(g, m_p, out=s)
        s *= 1 - BETA1
        m_p += s
        xp.multiply(g, g, out=s)
        s -= v_p
        s *= 1 - BETA2
        v_p += s
        xp.sqrt(v_p, out=s)
        s += EPSILON * root
        xp.divide(m_p, s, out=s)
        s *= rate * root
        p -= s


def learning_rate(step: int, steps: int, lr: float, schedule: str = "constant", warmup: float = 0.0) -> float:
    """The rate of step 0 … steps − 1: constant, or a half cosine from lr to 0; both after a linear `warmup` share."""
    rising = warmup * steps
    if step < rising:
        return lr * min(1.0, (step + 1) / rising)
    if schedule == "constant":
        return lr
    return lr * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))
