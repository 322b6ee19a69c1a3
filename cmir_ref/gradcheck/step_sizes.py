"""The error of a numerical derivative against its step: the central difference's V, the complex step's flat line."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .numeric import random_direction
from .trial import attempt, gradient_of

CENTRAL_STEPS = 10.0 ** np.arange(-1, -15.1, -0.25)
COMPLEX_STEPS = 10.0 ** np.concatenate([np.arange(-1, -20, -0.5), np.arange(-20, -200.1, -5)])


class Curves(NamedTuple):
    """Error by step, a pair (h, error) for each method."""

    central: tuple[np.ndarray, np.ndarray]
    complex: tuple[np.ndarray, np.ndarray]


def step_errors(f: Callable, f_backward: Callable, inputs: Sequence, *, seed: int = 0, draws: int = 5) -> Curves:
    """The largest error of ⟨∇f, d⟩ over `draws` random directions d, for steps h from 1e-1 down.

        central difference   (f(x + hd) − f(x − hd))/2h    h to 1e-15: truncation ∝ h², rounding ∝ ε/h
        complex step         Im f(x + ihd)/h               h to 1e-200: truncation ∝ h², no difference, no rounding

    The truth is the hand-derived gradient; error = |a − b| / Σ|∇f · d|, as in `check_gradient`.
    """
    trial = attempt(f, f_backward, inputs, seed=seed)
    wanted = trial.with_gradient
    if any(gradient_of(trial, i).shape != trial.inputs[i].shape for i in wanted):
        raise ValueError("a gradient has another shape than its input")
    rng = np.random.default_rng([seed, 2])
    central, stepped = np.zeros(CENTRAL_STEPS.shape), np.zeros(COMPLEX_STEPS.shape)
    for _ in range(draws):
        d = [random_direction(rng, x.shape) if i in wanted else np.zeros(x.shape) for i, x in enumerate(trial.inputs)]
        ours = sum(float((trial.grads[i] * d[i]).sum()) for i in wanted)
        size = sum(float(np.abs(trial.grads[i] * d[i]).sum()) for i in wanted) or 1.0

        def along(h, d=d):
            try:
                return trial.scalar([x + h * v for x, v in zip(trial.inputs, d, strict=True)])
            except Exception:
                return np.nan + 1j * np.nan  # a wide step left its domain, or it takes no complex numbers

        differences = [np.real(along(h) - along(-h)) / (2 * h) for h in CENTRAL_STEPS]
        slopes = [np.imag(along(1j * h)) / h for h in COMPLEX_STEPS]
        central = np.maximum(central, np.abs(np.array(differences) - ours) / size)
        stepped = np.maximum(stepped, np.abs(np.array(slopes) - ours) / size)
    return Curves((CENTRAL_STEPS, central), (COMPLEX_STEPS, stepped))
