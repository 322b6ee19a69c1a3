"""What the complex step and finite differences say of every entry of every input."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from .module import Raised
from .slopes import Slope
from .trial import Trial, one_hot


class Measured(NamedTuple):
    """What two methods say about the derivative with respect to one input."""

    shape: tuple[int, ...]
    stepped: np.ndarray | None  # by complex step; None where the forward does not take complex numbers
    slopes: dict[tuple[int, ...], Slope]  # by finite differences, by index

    def array(self, field: str) -> np.ndarray:
        """One field of all slopes, in the input's shape."""
        return np.array([getattr(slope, field) for slope in self.slopes.values()]).reshape(self.shape)


def measure_entries(trial: Trial, progress: Callable[..., Iterable]) -> dict[int, Measured]:
    """Both methods at every entry of every input that has a gradient."""
    entries = [(i, index) for i in trial.with_gradient for index in np.ndindex(trial.inputs[i].shape)]
    slopes = {i: {} for i in trial.with_gradient}
    stepped = {i: np.full(trial.inputs[i].shape, np.nan) for i in trial.with_gradient}
    for i, index in progress(entries, len(entries)):
        slopes[i][index] = trial.slope_of_entry(i, index)
        if stepped[i] is not None:
            stepped[i][index] = _complex_step(trial, i, index)
            if not np.isfinite(stepped[i][index]):
                stepped[i] = None
    return {i: Measured(trial.inputs[i].shape, stepped[i], slopes[i]) for i in trial.with_gradient}


def _complex_step(trial: Trial, i: int, index: tuple[int, ...]) -> float:
    """The derivative with respect to one entry by complex step, NaN where the forward takes no complex numbers."""
    try:
        return trial.complex_slope(i, one_hot(trial.inputs[i].shape, index))
    except (Raised, TypeError, ValueError) as error:
        trial.refused.setdefault("complex", error)
        return np.nan


def contradicts(trial: Trial, i: int, m: Measured) -> bool:
    """Whether the complex step differs from what finite differences see, at any entry without a kink.

    Differences that are as small as the rounding of the gradient elsewhere do not count: 1 + exp(−45) is 1 for finite
    differences, and not for the complex step.
    """
    return any(
        np.isfinite(slope.error)
        and not slope.kink
        and not slope.admits(m.stepped[index])
        and abs(slope.value - m.stepped[index]) > trial.rounding_elsewhere(i, index)
        for index, slope in m.slopes.items()
    )


def somewhere_unknown(measured: dict[int, Measured]) -> bool:
    """Whether finite differences have nothing to say of some entry, as where the forward has no value beside it."""
    return any(not np.isfinite(slope.error) for m in measured.values() for slope in m.slopes.values())
