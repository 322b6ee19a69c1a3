"""Is a pair right, and if not, what is wrong with it?"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .check import (
    GATES,
    NotAPair,
    Pair,
    Result,
    Trial,
    WrittenInto,
    attempt,
    check_gradient,
    compare,
    gradient_of,
    mapped,
    measure,
    relative_error,
)
from .diagnose import Evidence, diagnose
from .module import call_or_refuse
from .numeric import CENTRAL_STEP, central_difference, complex_step, directional, random_direction

NOT_SAFE = (
    "the forward is not complex-safe: np.abs, np.linalg.norm, np.var, a cast to float, … lose the imaginary part; "
    "judged by the central difference instead"
)


class Finding(NamedTuple):
    """One wrong gradient: which entry is worst, by how much, how many are off, and what it looks like."""

    input: str
    entry: tuple[int, ...]
    ours: float | None
    measured: float | None
    off: int
    entries: int
    kind: str | None
    sentence: str

    @property
    def ratio(self) -> float | None:
        """ours / measured; None where nothing can be divided."""
        return self.ours / self.measured if self.measured and self.ours is not None else None


class Judgement(NamedTuple):
    """The comparisons, what is wrong (nothing: the gradient is right), and what should be known."""

    results: list[Result]
    findings: list[Finding]
    notes: list[str]


def judge(pair: Pair, *, seed: int = 0) -> Judgement:
    """Every entry of every input by complex step and central difference, five random directions, and a diagnosis.

    Where complex step and central difference disagree because the forward loses the imaginary part, the central
    difference judges alone. Raises `InputError` where the functions raise or do not keep to the protocol.
    """
    forward, backward = partial(call_or_refuse, pair.forward), partial(call_or_refuse, pair.backward)
    try:
        trial = attempt(forward, backward, list(pair.inputs.values()), names=list(pair.inputs), seed=seed)
        wanted = [i for i, g in enumerate(trial.grads) if g is not None]
        ours = {i: gradient_of(trial, i) for i in wanted}
    except InputError:
        raise
    except WrittenInto as error:
        return Judgement([], [_whole("written in place", str(error))], [])
    except NotAPair as error:
        raise InputError(f"{pair.name}: {error}") from error
    except ValueError as error:
        return Judgement([], [_whole("no gradient", str(error))], [])
    if not wanted:
        return Judgement([], [_whole("no gradient", "the backward returns None for every input")], [])
    if odd := _irregular(trial, backward):
        return Judgement([], [odd], [])

    left_out = [name for name, g in zip(trial.names, trial.grads, strict=True) if g is None]
    notes = [f"{name} is not differentiated: {pair.name}_backward returns None for it" for name in left_out]
    central = {i: measure(trial, i, "central-difference") for i in wanted}
    stepped = {i: _by_complex_step(trial, i) for i in wanted}
    safe = all(stepped[i] is not None and not _loses(trial, i, stepped[i], central[i][0]) for i in wanted)
    if not safe:
        notes.append(NOT_SAFE)
    measured = {i: stepped[i] if safe else central[i][0] for i in wanted}
    results = []
    for i in wanted:
        if ours[i].shape == trial.inputs[i].shape:
            results += [compare(trial, i, "complex-step", stepped[i])] if safe else []
            results.append(compare(trial, i, "central-difference", *central[i]))
    shapes_fit = all(ours[i].shape == trial.inputs[i].shape for i in wanted)
    if safe and shapes_fit:
        results += check_gradient(
            forward, backward, trial.inputs, names=trial.names, methods=["directional"], seed=seed
        )
    method = "complex-step" if safe else "central-difference"
    wrong = {r.input for r in results if r.method == method and not r.error <= GATES[method]}
    findings = [
        _finding(trial, i, backward, ours, measured, safe)
        for i in wanted
        if trial.names[i] in wrong or ours[i].shape != trial.inputs[i].shape
    ]
    if not findings:
        notes += [
            f"{r.input}: the central difference disagrees with the complex step; a kink is near, or digits cancel"
            for r in results
            if r.method == "central-difference" and not r.error <= GATES[r.method]
        ]
        if any(r.method == "directional" and not r.error <= GATES[r.method] for r in results):
            findings.append(_whole(None, "no known kind: entries agree one by one, and directions do not"))
    return Judgement(results, findings, notes)


def explain(f: Callable, f_backward: Callable, inputs: Mapping[str, np.ndarray], *, seed: int = 0) -> str:
    """What is wrong with a pair, in lines for the message of a failing test; empty where nothing is."""
    judgement = judge(Pair(f, f_backward, dict(inputs), getattr(f, "__name__", "f")), seed=seed)
    return "\n".join(line for finding in judgement.findings for line in describe(finding))


def describe(finding: Finding) -> Iterator[str]:
    """Which entry is wrong, by how much, and what it looks like."""
    if finding.measured is not None:
        ratio = "" if finding.ratio is None else f" ({finding.ratio:.4g} times)"
        entry = f"[{', '.join(map(str, finding.entry))}]" if finding.entry else ""
        yield (
            f"{finding.input}{entry}: {finding.ours:.6g}, measured {finding.measured:.6g}{ratio}; "
            f"{finding.off} of {finding.entries} entries are off"
        )
    else:
        yield "the pair as a whole" if finding.input == "all" else finding.input
    yield f"  looks like: {finding.sentence}" if finding.kind else f"  {finding.sentence}"


def _whole(kind: str | None, sentence: str) -> Finding:
    """A mistake that is not one input's."""
    return Finding("all", (), None, None, 0, 0, kind, sentence)


def _irregular(trial: Trial, backward: Callable) -> Finding | None:
    """A pair that is not a function of its arguments: nothing can be measured, or a second call differs."""
    (y, cache), (again, _) = trial.call(trial.inputs), trial.call(trial.inputs)
    flat = lambda y: [np.asarray(part) for part in (y if isinstance(y, tuple) else (y,)) if part is not None]  # noqa: E731
    if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(flat(y), flat(again), strict=True)):
        return _whole(
            "random forward", "two calls of the forward differ: draw a mask outside, and pass it as an argument"
        )
    if any(not np.isfinite(a).all() for a in flat(y)):
        raise InputError("the forward's y is not finite at these inputs: nothing can be measured")
    if any(a.dtype in (np.float16, np.float32) for a in flat(y)):
        return _whole("float32", "the forward returns float32 for float64 inputs: compute in x.dtype to be checked")
    first, second = (_gradients(backward, trial.dy, cache) for _ in range(2))
    for name, a, b in zip(trial.names, first, second, strict=True):
        if a is not None and not np.array_equal(a, b, equal_nan=True):
            said = "a second call of the backward with the same cache differs: it writes into the cache, or draws anew"
            return _whole("written in place", f"{name}: {said}")
    return None


def _gradients(backward: Callable, dy: Any, cache: Any) -> list:
    grads = backward(dy, cache)
    return list(grads) if isinstance(grads, tuple | list) else [grads]


def _by_complex_step(trial: Trial, i: int) -> np.ndarray | None:
    """The gradient by complex step, None where the forward does not take complex numbers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            measured, _ = measure(trial, i, "complex-step")
    except (InputError, TypeError, ValueError):
        return None
    return measured if np.isfinite(measured).all() else None


def _loses(trial: Trial, i: int, stepped: np.ndarray, central: np.ndarray) -> bool:
    """Whether the complex step misses what central differences of two step sizes agree on (so that no kink is near)."""
    if relative_error(stepped, central)[0] <= 1e-4:
        return False
    finer = central_difference(trial.scalar_and_winners, trial.inputs, i, step=CENTRAL_STEP / 30)
    size = np.abs(central[np.isfinite(central)]).max(initial=0)
    smooth = np.abs(finer - central) <= 1e-5 * size
    return bool((smooth & (np.abs(stepped - central) > 1e-4 * size)).any())


def _finding(trial: Trial, i: int, backward: Callable, ours: dict, measured: dict, safe: bool) -> Finding:
    """The diagnosis of input i."""
    name, names, x = trial.names[i], trial.names, trial.inputs[i]
    rng = np.random.default_rng(i)
    directions = [random_direction(rng, a.shape) if j == i else np.zeros(a.shape) for j, a in enumerate(trial.inputs)]

    def along(slope: float) -> bool:  # one evaluation sorts out most guesses before every entry is measured
        terms = ours[i] * directions[i]
        return abs(slope - terms.sum()) <= 1e-6 * np.abs(terms).sum()

    def remeasure(other: str, value: np.ndarray) -> np.ndarray | None:
        arrays = [value if n == other else a for n, a in zip(names, trial.inputs, strict=True)]
        try:
            if not safe:
                return central_difference(trial.scalar_and_winners, arrays, i)
            likely = along(directional(trial.scalar, arrays, directions))
            return complex_step(trial.scalar, arrays, i) if likely else None
        except (InputError, ValueError):
            return None

    def answer(change: Callable) -> np.ndarray | None:
        try:
            return np.asarray(_gradients(backward, mapped(change, trial.dy), trial.call(trial.inputs)[1])[i])
        except InputError:
            return None

    evidence = Evidence(
        input=name,
        x=x,
        ours=ours[i],
        measured=measured[i],
        y=None if isinstance(trial.y, tuple) else np.asarray(trial.y),
        answer=answer,
        others={n: a for n, a in zip(names, trial.inputs, strict=True) if n != name and a.dtype.kind == "f"},
        ours_of={names[j]: a for j, a in ours.items() if j != i},
        measured_of={names[j]: a for j, a in measured.items() if j != i},
        remeasure=remeasure,
        close=1e-9 if safe else 1e-5,
    )
    kind, sentence = diagnose(evidence)
    if ours[i].shape != x.shape:
        return Finding(name, (), None, None, x.size, x.size, kind, sentence)
    _, worst = relative_error(ours[i], measured[i])
    off = int(evidence.off.sum())
    return Finding(name, worst, float(ours[i][worst]), float(measured[i][worst]), off, x.size, kind, sentence)
