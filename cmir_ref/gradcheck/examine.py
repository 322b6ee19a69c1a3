"""Examines one wrong gradient: gathers the evidence about it, has it diagnosed, and says which entries are off."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np

from ..errors import InputError
from .compare import Comparison, gaps
from .diagnose import diagnose
from .evidence import Evidence, Jacobians, region
from .findings import Finding, sides_text
from .jacobians import ingredients, measured_jacobian, output_shape
from .jumps import jumps
from .measured import Measured
from .numeric import random_direction
from .trial import NotAPair, Trial, flat_arrays, gradient_of, map_parts, one_hot, parts


def examine_input(
    trial: Trial,
    i: int,
    measured: dict[int, Measured],
    comparison: Comparison | None,
    safe: bool,
    by_output: Callable[[], dict[int, np.ndarray] | None],
) -> Finding:
    """The diagnosis of input i; no comparison where the gradient has another shape."""
    name, names, x, ours = trial.names[i], trial.names, trial.inputs[i], gradient_of(trial, i)
    derivative = {j: m.stepped if safe else m.array("value") for j, m in measured.items()}
    rng = np.random.default_rng(i)
    direction = random_direction(rng, x.shape)

    def remeasure(other: str, value: np.ndarray) -> np.ndarray | None:
        arrays = [value if n == other else a for n, a in zip(names, trial.inputs, strict=True)]
        try:
            if not safe:
                there = replace(trial, inputs=arrays, _slopes={}, _measured={})
                slopes = [there.slope_of_entry(i, index).value for index in np.ndindex(x.shape)]
                return np.reshape(slopes, x.shape)
            terms = ours * direction  # one evaluation rules out most guesses, before every entry is measured
            if abs(trial.complex_slope(i, direction, arrays) - terms.sum()) > 1e-6 * np.abs(terms).sum():
                return None
            steps = [trial.complex_slope(i, one_hot(x.shape, index), arrays) for index in np.ndindex(x.shape)]
            return np.reshape(steps, x.shape)
        except (InputError, ValueError):
            return None

    def answer(change: Callable) -> np.ndarray | None:
        try:
            return np.asarray(trial.call_backward(map_parts(change, trial.dy), trial.call(trial.inputs)[1])[i])
        except (InputError, NotAPair):
            return None

    differentiable = {n: a for n, a in zip(names, trial.inputs, strict=True) if n != name and a.dtype.kind == "f"}
    truth = derivative[i] if comparison is None else comparison.measured
    evidence = Evidence(
        input=name,
        x=x,
        ours=ours,
        measured=truth,
        y=None if isinstance(trial.y, tuple) else np.asarray(trial.y),
        answer=answer,
        others=differentiable,
        ours_of={names[j]: gradient_of(trial, j) for j in measured if j != i},
        measured_of={names[j]: derivative[j] for j in measured if j != i},
        remeasure=remeasure,
        close=_closeness(ours, comparison, 1e-9 if safe else _resolution(measured[i])),
        error=0.0 if safe else max(_errors(measured[i]), default=0.0),
        dy=None if isinstance(trial.y, tuple) else np.asarray(trial.dy),
        wrong=None if comparison is None else comparison.off,
        kept={n: a for n, a in ingredients(trial).items() if n != name and n not in differentiable},
        sizes=tuple(np.size(part) for part in parts(trial.y)) if isinstance(trial.y, tuple) else (),
        each_output=cache(lambda: _jacobians(trial, i, by_output(), truth, safe)),
        jumps=partial(jumps, trial, i),
    )
    kind, sentence = diagnose(evidence)
    if comparison is None:
        return Finding(name, (), None, None, x.size, x.size, kind, sentence)
    worst = _worst(ours, comparison)
    at_kinks = comparison.off & measured[i].array("kink")
    if np.array_equal(at_kinks, comparison.off):
        slope = measured[i].slopes[worst]
        kind = "kink"
        sentence = f"on a kink, where the slope is {sides_text(slope)}: a gradient lies between the two"
    return Finding(
        name,
        worst,
        float(ours[worst]),
        float(comparison.measured[worst]),
        int(comparison.off.sum()),
        x.size,
        kind,
        sentence,
        region(comparison.off, x, name),
        tuple(tuple(map(int, index)) for index in np.argwhere(comparison.off)),
    )


def _jacobians(
    trial: Trial, i: int, by_output: dict[int, np.ndarray] | None, truth: np.ndarray, safe: bool
) -> Jacobians | None:
    """The Jacobians of input i; None where they do not make the gradients, as of a backward that is not linear."""
    if by_output is None or (right := measured_jacobian(trial, i, safe)) is None:
        return None
    outputs, dy = len(output_shape(trial)), flat_arrays(trial.dy)
    for jacobian, gradient in ((by_output[i], gradient_of(trial, i)), (right, truth)):
        total = np.tensordot(dy, jacobian.reshape(dy.size, *jacobian.shape[outputs:]), 1)
        if gaps(total, gradient).max() > 1e-6 * np.abs(gradient).max():
            return None
    close, ours = 1e-9 if safe else 1e-5, gradient_of(trial, i)
    if ours.shape == truth.shape and truth.any():  # a kind explains far more than what finite differences cannot see
        close = min(close, max(float(gaps(ours, truth).max() / np.abs(truth).max()) / 100, 1e-9))
    jacobians = Jacobians(by_output[i], right, outputs, close)
    alike = by_output[i].shape == right.shape and jacobians.same(by_output[i], right)
    return None if alike else jacobians  # of a mistake that is too small to be seen in them


def _closeness(ours: np.ndarray, comparison: Comparison | None, resolution: float) -> float:
    """The relative error that a diagnosis may leave: far smaller than that of the gradient."""
    if comparison is None:
        return resolution
    size = np.maximum(np.abs(ours), np.abs(comparison.measured))
    with np.errstate(invalid="ignore", divide="ignore"):
        mistakes = (gaps(ours, comparison.measured) / size)[comparison.off]
    return float(min(resolution, mistakes.max() / 100))


def _resolution(m: Measured) -> float:
    """The relative error of finite differences at the largest entries of an input."""
    size = np.abs(m.array("value")).max(initial=0)
    return float(np.clip(4 * max(_errors(m), default=0) / size, 1e-9, 1e-2)) if size else 1e-9


def _errors(m: Measured) -> list[float]:
    """The estimated errors of the entries that are measured and not on a kink."""
    return [slope.error for slope in m.slopes.values() if np.isfinite(slope.error) and not slope.kink]


def _worst(ours: np.ndarray, comparison: Comparison) -> tuple[int, ...]:
    """The index of the largest difference among the entries that are off."""
    difference = np.where(comparison.off, gaps(ours, comparison.measured), -1)
    return tuple(int(k) for k in np.unravel_index(difference.argmax(), difference.shape))
