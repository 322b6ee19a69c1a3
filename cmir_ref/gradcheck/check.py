"""The check that a reader can point at a pair of their own."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .compare import (
    CLOSE,
    Comparison,
    Result,
    compare_complex,
    compare_directions,
    compare_slopes,
    compare_two_points,
    relative_error,
    rounding_of_entries,
    tied_too_often,
)
from .numeric import directional, random_direction
from .slopes import slopes_of
from .trial import Trial, attempt, flat_arrays, gradient_of, rounding_of, usual_size

METHODS = ("complex-step", "central-difference", "directional")
APART = 2**20  # how much larger the rounding of a difference of two near points is than that of a derivative


def check_gradient(
    f: Callable[..., tuple[Any, Any]],
    f_backward: Callable[[Any, Any], Any],
    inputs: Sequence[np.ndarray],
    *,
    names: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    draws: int = 5,
) -> list[Result]:
    """Compares `f_backward` with the measured derivative of `f`, one `Result` for each input and method.

    `f(*inputs) -> (y, cache)` with y an array, a scalar or a (named) tuple of them; `f_backward(dy, cache)` returns
    one gradient for each input (None: not differentiated). The cache is passed on unread. What is differentiated is
    ⟨y, dy⟩ for a random upstream dy, never ones: a backward that forgets dy is found.

        complex-step, central-difference   every entry of every input, float64
        directional                        ⟨dx, d⟩ against the derivative along d, all inputs at once, `draws` times

    Each entry is judged by its own size. Where an entry differs, the error of the measurement is estimated, and the
    difference is compared with it. So a gradient that is nothing but rounding is right, and at a kink each number
    between the slope above and the slope below is right, as long as entries that tie do not get too much together.

    A forward that is not complex-safe, as with np.abs, is judged by the central difference alone, every entry with an
    estimated error: there are no results of the other two methods.

    Whole numbers and booleans reach `f` as they are where their gradient is None (labels, a mask), else as float64.

    Raises `ValueError` where the number or the shape of the gradients is not that of the inputs, where there is no
    gradient at all, where `f` does not return (y, cache), where an input is not made of real numbers, where an
    argument was written into, and where `methods` names none or one that does not exist: nothing would be checked.
    """
    if isinstance(methods, str) or not methods or not set(methods) <= set(METHODS):
        raise ValueError(f"methods {methods!r}: expected some of {METHODS}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)  # of a cast to float, which is found out
        return _check(f, f_backward, inputs, names, methods, seed, draws)


def _check(
    f: Callable,
    f_backward: Callable,
    inputs: Sequence[np.ndarray],
    names: Sequence[str] | None,
    methods: Sequence[str],
    seed: int,
    draws: int,
) -> list[Result]:
    """The results of `check_gradient`."""
    trial = attempt(f, f_backward, inputs, names=names, seed=seed)
    if not trial.with_gradient:
        raise ValueError("the backward function returns no gradient at all")
    if "central-difference" in methods and (loses_imaginary_part(trial) or _an_entry_contradicts(trial)):
        methods = ["slopes"]
    results, kinks, excused = [], {}, {}
    for i in trial.with_gradient:
        ours = gradient_of(trial, i)
        if ours.shape != trial.inputs[i].shape:
            raise ValueError(
                f"{trial.names[i]}: a gradient of shape {ours.shape} for an input of shape {trial.inputs[i].shape}"
            )
        comparisons = []
        if "complex-step" in methods:
            stepped = trial.stepped(i)
            comparisons.append(compare_complex(trial, i, stepped, stop=True))
            if comparisons[-1].result.right:
                excused[i] = rounding_of_entries(ours, stepped, comparisons[-1])
        if "central-difference" in methods:
            two_points = compare_two_points(trial, i, stop=True)
            unseen = comparisons and comparisons[-1].result.right and _unseen_rounding(trial, i, two_points)
            comparisons.append(two_points.excuse(ours, unseen) if np.any(unseen) else two_points)
        if "slopes" in methods:
            comparisons.append(compare_slopes(trial, i))
        kinks[i] = np.any([comparison.kinks for comparison in comparisons] or [np.zeros(ours.shape)], axis=0)
        tied = tied_too_often(trial, i, [tuple(map(int, index)) for index in np.argwhere(kinks[i])])
        results += [
            comparison.result._replace(right=comparison.result.right and not tied) for comparison in comparisons
        ]
    if "directional" in methods:
        results += compare_directions(trial, kinks, excused, seed=seed, draws=draws)
    return results


def loses_imaginary_part(trial: Trial) -> bool:
    """Whether the forward is not complex-safe: finite differences along one direction contradict the complex step.

    The direction moves all entries of all inputs, each by its usual size. np.abs, np.linalg.norm, np.var or a cast to
    float make such a forward, and one that takes no complex numbers is one.
    """
    rng = np.random.default_rng(7)
    moving = [i not in trial.held for i in range(len(trial.inputs))]
    d = [m * usual_size(x) * random_direction(rng, x.shape) for m, x in zip(moving, trial.inputs, strict=True)]

    def outputs(t):
        return flat_arrays(trial.call([x + t[0] * v for x, v in zip(trial.inputs, d, strict=True)])[0])

    try:
        stepped = directional(trial.scalar, trial.inputs, d)
    except Exception:
        return True
    here = slopes_of(outputs, flat_arrays(trial.dy), [np.zeros(())], 0)(np.ones(()))
    if not (np.isfinite(here.error) and np.isfinite(stepped)) or here.admits(stepped):
        return False
    elsewhere = (slope for i in trial.with_gradient for slope in trial.slopes_elsewhere(i, d))
    return not any(abs(here.value - stepped) <= rounding_of([slope]) for slope in elsewhere)


def _an_entry_contradicts(trial: Trial) -> bool:
    """Whether finite differences deny the complex step, and not the gradient, at the entry where these differ most.

    Along one direction the rounding of all outputs adds up, and may hide what a single entry shows.
    """
    for i in trial.with_gradient:
        ours = gradient_of(trial, i)
        if ours.shape != trial.inputs[i].shape or not ours.size:
            continue
        stepped = trial.stepped(i)
        _, worst = relative_error(ours, stepped)
        if abs(ours[worst] - stepped[worst]) > CLOSE * max(abs(ours[worst]), abs(stepped[worst])):
            slope = trial.slope_of_entry(i, worst)
            if slope.admits(ours[worst]) and not slope.admits(stepped[worst]):
                return True
    return False


def _unseen_rounding(trial: Trial, i: int, comparison: "Comparison") -> np.ndarray:
    """Where two points differ by no more than rounding does elsewhere, though the outputs show none: 0 is 0 exactly."""
    ours, small = gradient_of(trial, i), np.zeros(comparison.off.shape, dtype=bool)
    for index in map(tuple, np.argwhere(comparison.off & ~comparison.kinks)):
        small[index] = abs(ours[index] - comparison.measured[index]) <= APART * trial.rounding_elsewhere(i, index)
    return small
