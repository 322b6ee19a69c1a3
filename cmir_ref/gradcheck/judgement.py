"""Is a pair right, and if not, what is wrong with it?"""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .check import (
    Comparison,
    compare_complex,
    compare_directions,
    compare_slopes,
    gaps,
    rounding_of_entries,
    tied_too_often,
)
from .diagnose import diagnose
from .evidence import Evidence, Jacobians, region
from .findings import UNDECIDED, Finding, Judgement, describe, of_the_whole
from .jacobians import MOST_ENTRIES, MOST_OUTPUTS, backward_jacobians, ingredients, measured_jacobian, output_shape
from .module import Raised, bind_by_name, call_or_refuse
from .numeric import random_direction
from .slopes import Slope
from .trial import (
    NotAPair,
    Pair,
    Trial,
    WrittenInto,
    attempt,
    flat_arrays,
    gradient_of,
    map_parts,
    one_hot,
    parts,
)

NOT_SAFE = (
    "the forward is not complex-safe: np.abs, np.linalg.norm, np.var, a cast to float, … lose the imaginary part; "
    "judged by the central difference instead"
)
NO_COMPLEX = (
    "{}; this is with complex inputs, so that there is no complex step: judged by the central difference instead"
)
NOT_NEARBY = "{}; this is at inputs that are moved a little, where there is then no central difference"
BLIND = (
    "judged by the complex step alone: what the inputs change in the outputs is too small for a central difference, "
    "smaller than the rounding of the outputs"
)
HELD = "{}: labels, indices or a mask: passed on as they are; their gradient of 0 says what None says"
STILL = (
    "{}: the gradient is 0 at every entry, and so is the measured one: at these inputs nothing is said about it; "
    "choose others, at which it changes the outputs"
)
TOO_LARGE = (
    f"single outputs are compared where y has at most {MOST_OUTPUTS} numbers, and {MOST_ENTRIES} with those of the "
    "input: smaller inputs say more about what is wrong"
)
LEADS_LESS_FAR = ("missing path", "missing term")  # of an input where several paths meet: others are named before it
LAST_BITS = 1e-12  # a difference of two calls, relative to the largest entry, that sums in another order can make
SEEN = 2  # finite differences see a derivative that is at least so many times their reach


class Measured(NamedTuple):
    """What two methods say about the derivative with respect to one input."""

    shape: tuple[int, ...]
    stepped: np.ndarray | None  # by complex step; None where the forward does not take complex numbers
    slopes: dict[tuple[int, ...], Slope]  # by finite differences, by index

    def array(self, field: str) -> np.ndarray:
        """One field of all slopes, in the input's shape."""
        return np.array([getattr(slope, field) for slope in self.slopes.values()]).reshape(self.shape)


def judge(pair: Pair, *, seed: int = 0, progress: Callable[..., Iterable] | None = None) -> Judgement:
    """Checks every entry of every input by complex step and by finite differences, and says what is wrong.

    The finite differences estimate their own error. Where the complex step differs from them by more than that, the
    forward loses the imaginary part, and the finite differences judge alone. What they cannot see is undecided.

    `progress(entries, total)` is an iterator that passes the entries on, as a progress bar does. Raises `InputError`
    where the functions raise or do not keep to the protocol.
    """
    for name, x in pair.inputs.items():
        if np.size(x) == 0:
            raise InputError(f"{pair.name}: {name} has no entries (shape {np.shape(x)}): nothing can be compared")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)  # of a cast to float; a note says it
        try:
            return _judge_pair(pair, seed, progress or (lambda entries, total: entries))
        except NotAPair as error:
            raise InputError(f"{pair.name}: {error}") from error


def _judge_pair(pair: Pair, seed: int, progress: Callable[..., Iterable]) -> Judgement:
    """The judgement of a pair whose inputs have entries."""
    forward = partial(call_or_refuse, pair.forward, called=pair.name)
    backward = partial(call_or_refuse, pair.backward, called=f"{pair.name}_backward")
    try:
        trial = attempt(forward, backward, list(pair.inputs.values()), names=list(pair.inputs), seed=seed)
        for i in trial.with_gradient:
            gradient_of(trial, i)
    except (InputError, NotAPair):
        raise
    except WrittenInto as error:
        return Judgement([], [of_the_whole("written in place", str(error))], [], [])
    except ValueError as error:
        return Judgement([], [of_the_whole("no gradient", str(error))], [], [])
    if not trial.with_gradient:
        return Judgement([], [of_the_whole("no gradient", "the backward returns None for every input")], [], [])
    irregular, notes = _regularity(trial)
    if irregular:
        return Judgement([], [irregular], [], [])
    left_out = [name for name, g in zip(trial.names, trial.grads, strict=True) if g is None]
    notes += [f"{name} is not differentiated: {pair.name}_backward returns None for it" for name in left_out]
    measured = _measure(trial, progress)
    safe = all(m.stepped is not None and not _contradicts(trial, i, m) for i, m in measured.items())
    why = {kind: f"{'' if isinstance(e, Raised) else f'{pair.name}: '}{e}" for kind, e in trial.refused.items()}
    notes += [] if safe else [NO_COMPLEX.format(why["complex"]) if "complex" in why else NOT_SAFE]
    notes += [NOT_NEARBY.format(why["moved"])] if "moved" in why and _somewhere_unknown(measured) else []
    return _judge_entries(trial, measured, safe, notes, seed)


def explain(f: Callable, f_backward: Callable, inputs: Mapping[str, np.ndarray], *, seed: int = 0) -> str:
    """What is wrong with a pair, or cannot be judged, in lines for the message of a failing test; else empty.

    `inputs` are arrays by the names of f's parameters.
    """
    if not isinstance(inputs, Mapping):
        raise InputError('the inputs are arrays by the names of the parameters, as {"x": x, "w": w}')
    name = getattr(f, "__name__", "f")
    pair = Pair(*bind_by_name(f, f_backward, inputs), name if name.isidentifier() else "f")
    judgement = judge(pair, seed=seed)
    return "\n".join(line for finding in (*judgement.findings, *judgement.undecided) for line in describe(finding))


# ---- measuring ------------------------------------------------------------------------------------------------------


def _regularity(trial: Trial) -> tuple[Finding | None, list[str]]:
    """(a mistake that leaves nothing to measure, as a random forward; notes)."""
    notes = []
    if not np.isfinite(flat_arrays(trial.y)).all():
        raise InputError("the forward's y is not finite at these inputs: nothing can be measured")
    change = max(_change(parts(trial.y), parts(trial.call(trial.inputs)[0])) for _ in range(4))
    if change > LAST_BITS:
        return of_the_whole(
            "random forward",
            f"two calls of the forward differ, by {change:.0e} of the largest entry: draw a mask outside, and pass it "
            "as an argument",
        ), []
    if any(np.asarray(part).dtype in (np.float16, np.float32) for part in parts(trial.y)):
        return of_the_whole(
            "float32", "the forward returns float32 for float64 inputs: compute in x.dtype to be checked"
        ), []
    with np.errstate(all="ignore"):  # float16 overflows, and a point may leave the function's domain
        in_float32 = _steps_of_float32(trial)
    if in_float32:
        return of_the_whole(
            "float32", "the forward casts to float32 inside, which hides derivatives: compute in x.dtype to be checked"
        ), []
    if change:
        notes.append(
            f"two calls of the forward differ in the last bits, by {change:.0e} of the largest entry, as sums in "
            "another order do"
        )
    cache = trial.call(trial.inputs)[1]
    with np.errstate(all="ignore"), contextlib.suppress(Exception):  # whatever is kept between calls is another's now
        trial.call([x if i in trial.held else 1.01 * x for i, x in enumerate(trial.inputs)])
    first, second = (trial.call_backward(trial.dy, cache) for _ in range(2))
    for name, a, b in zip(trial.names, first, second, strict=True):
        if a is not None and _change([a], [b]) > LAST_BITS:
            sentence = (
                f"{name}: a second call of the backward with the same cache differs: it writes into the cache, adds to "
                "an array that it keeps, or draws anew"
            )
            return of_the_whole("written in place", sentence), []
    for name, a, b in zip(trial.names, trial.grads, first, strict=True):
        if a is not None and _change([a], [b]) > LAST_BITS:
            sentence = f"{name}: another gradient for the same cache once f was called in between: something is kept"
            return of_the_whole("state between calls", sentence), []
    return None, notes


def _steps_of_float32(trial: Trial) -> bool:
    """Whether the forward rounds to float32: all of y is such numbers, or y changes with the inputs' float32 alone.

    Numbers that float16 has, too, are a table's or a quantiser's. A y that stays within what float32 rounds to one
    number, and changes at each next number, has lost its digits there: rounding of another kind has other steps.
    """
    y, rng = flat_arrays(trial.y), np.random.default_rng(8)
    rounded = [x if i in trial.held else x.astype(np.float32) for i, x in enumerate(trial.inputs)]
    if all(np.array_equal(a, b) for a, b in zip(rounded, trial.inputs, strict=True)):
        return False
    single, half = (y.astype(dtype).astype(float) for dtype in (np.float32, np.float16))
    if (single != half).sum() > 1 and np.array_equal(single, y):
        return True

    def moves(draw):
        arrays = [
            x if i in trial.held else x.astype(float) + draw(x.shape) * np.spacing(np.abs(x)).astype(float)
            for i, x in enumerate(rounded)
        ]
        return not np.array_equal(flat_arrays(trial.call(arrays)[0]), y)

    try:
        within = any(moves(lambda shape: rng.uniform(-0.45, 0.45, shape)) for _ in range(4))
        return not within and all(moves(lambda shape: rng.choice([-1.0, 1.0], shape)) for _ in range(4))
    except (InputError, NotAPair):
        return False


def _change(first: list, second: list) -> float:
    """The largest difference, relative to the largest number; infinite between a number and NaN."""
    size = max((np.abs(a[np.isfinite(a)]).max(initial=0) for a in map(np.asarray, first)), default=0.0)
    gap = 0.0
    for a, b in zip(first, second, strict=True):
        if np.shape(a) != np.shape(b):
            return np.inf
        same = np.equal(a, b) | (np.isnan(a) & np.isnan(b))
        gap = max(gap, np.where(same, 0.0, gaps(np.asarray(a, dtype=float), np.asarray(b, dtype=float))).max(initial=0))
    return float(gap / size if size else gap)


def _measure(trial: Trial, progress: Callable[..., Iterable]) -> dict[int, Measured]:
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


def _contradicts(trial: Trial, i: int, m: Measured) -> bool:
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


# ---- judging --------------------------------------------------------------------------------------------------------


def _judge_entries(trial: Trial, measured: dict[int, Measured], safe: bool, notes: list[str], seed: int) -> Judgement:
    """The comparisons of all entries, their mistakes, and what is left open."""
    results, comparisons = [], {}
    fits = [i for i in measured if np.shape(trial.grads[i]) == trial.inputs[i].shape]
    for i in fits:
        comparisons[i] = by_slopes = compare_slopes(trial, i)
        if safe:
            exact = compare_complex(trial, i, measured[i].stepped)
            # a gradient that is not between the slopes of a kink is wrong, though the complex step sees but one of them
            outside = by_slopes.off & by_slopes.kinks
            comparisons[i] = exact._replace(
                off=np.array(exact.off | outside), measured=np.where(outside, by_slopes.measured, exact.measured)
            )
            results.append(exact.result._replace(right=not comparisons[i].off.any()))
            by_slopes = by_slopes.excuse(gradient_of(trial, i), by_slopes.off & ~comparisons[i].off)
        results.append(by_slopes.result)
    if safe and len(fits) == len(measured):
        rough = {i: m.array("kink") | ~np.isfinite(m.array("error")) for i, m in measured.items()}
        excused = {
            i: rounding_of_entries(gradient_of(trial, i), m.stepped, comparisons[i]) for i, m in measured.items()
        }
        results += compare_directions(trial, rough, excused, seed=seed)
    undecided = []
    for i, entries in _open_entries(trial, measured, comparisons, safe).items():
        undecided.append(_undecided_finding(trial, i, measured[i], entries, safe))
        comparisons[i].off[tuple(np.transpose(entries))] = False
    if safe and not undecided and not _some_are_seen(measured) and not _somewhere_unknown(measured):
        notes.append(BLIND)
    findings = []
    by_output = cache(lambda: backward_jacobians(trial))
    for i in measured:
        if i not in fits or comparisons[i].off.any():
            findings.append(_finding(trial, i, measured, comparisons.get(i), safe, by_output))
        elif tied := _count_winners(trial, i, measured[i]):
            findings.append(tied)
        notes += _kink_notes(trial, i, measured[i]) if i in fits else []
    wrong = {finding.input for finding in (*findings, *undecided)}
    zeros = [i for i in fits if not gradient_of(trial, i).any() and trial.names[i] not in wrong]
    notes += [HELD.format(trial.names[i]) for i in zeros if i in trial.held]
    still = [trial.names[i] for i in zeros if i not in trial.held]
    if still:
        notes.append(STILL.format(", ".join(still)))
    if not findings and not undecided and not all(result.right for result in results):
        findings.append(of_the_whole(None, "no known kind: entries agree one by one, and directions do not"))
    unnamed = [trial.inputs[trial.names.index(f.input)].size for f in findings if f.kind is None and f.input != "all"]
    outputs = flat_arrays(trial.y).size
    if unnamed and (outputs > MOST_OUTPUTS or outputs * max(unnamed) > MOST_ENTRIES):
        notes.append(TOO_LARGE)
    findings.sort(key=lambda finding: (finding.kind is None, finding.kind in LEADS_LESS_FAR))
    kinks = {trial.names[i]: [k for k, slope in measured[i].slopes.items() if slope.kink] for i in fits}
    kinks = {name: entries for name, entries in kinks.items() if entries}
    return Judgement(results, findings, notes, undecided, tuple(still), kinks)


def _somewhere_unknown(measured: dict[int, Measured]) -> bool:
    """Whether finite differences have nothing to say of some entry, as where the forward has no value beside it."""
    return any(not np.isfinite(slope.error) for m in measured.values() for slope in m.slopes.values())


def _some_are_seen(measured: dict[int, Measured]) -> bool:
    """Whether finite differences see the derivative at any entry, or no entry changes the outputs."""
    slopes = [(m.stepped[index], slope) for m in measured.values() for index, slope in m.slopes.items()]
    seen = any(slope.kink or (step and abs(step) >= SEEN * slope.reach) for step, slope in slopes)
    return seen or all(slope.still or slope.reach == 0 for _, slope in slopes)


def _may_be(slope: Slope, trial: Trial, i: int, k: tuple) -> bool:
    """Whether entry k of the gradient may be right, by what was measured of it."""
    return not np.isfinite(slope.error) or bool(slope.admits(gradient_of(trial, i)[k]))


def _open_entries(
    trial: Trial, measured: dict[int, Measured], comparisons: dict[int, Comparison], safe: bool
) -> dict[int, list[tuple[int, ...]]]:
    """The entries of each input that cannot be judged.

    If the complex step is safe, it judges. But where finite differences see no derivative at all, nothing confirms that
    it is safe: then only its agreement with a gradient that is not 0 counts.
    If it is not safe, an entry is open where the function has no values on both sides, or where the gradient is smaller
    than what finite differences see, and is not rounding.
    """
    everything = {i: list(measured[i].slopes) for i in comparisons}
    if safe:
        agree = any((gradient_of(trial, i) != 0).any() for i in comparisons)
        right = agree and not any(comparison.off.any() for comparison in comparisons.values())
        if not right and not _some_are_seen(measured):
            hidden = {
                i: [k for k in some if _may_be(measured[i].slopes[k], trial, i, k)] for i, some in everything.items()
            }
            return {i: some for i, some in hidden.items() if some}
        at_an_edge = {
            i: comparison.off & ~np.isfinite(measured[i].array("error")) for i, comparison in comparisons.items()
        }
        return {i: [tuple(map(int, k)) for k in np.argwhere(edge)] for i, edge in at_an_edge.items() if edge.any()}
    open_entries, some_seen, some_hidden = {}, False, False
    for i in comparisons:
        ours = gradient_of(trial, i)
        for index, slope in measured[i].slopes.items():
            seen = slope.kink or not slope.admits(ours[index]) or abs(ours[index]) >= SEEN * slope.reach > 0
            if not np.isfinite(slope.error) or (not seen and slope.reach and not _is_rounding(trial, i, index)):
                open_entries.setdefault(i, []).append(index)
            else:
                some_seen = some_seen or seen
                some_hidden = some_hidden or (slope.reach > 0 and not slope.still)
    return open_entries if some_seen or not some_hidden else everything


def _is_rounding(trial: Trial, i: int, index: tuple[int, ...]) -> bool:
    """Whether a gradient is 0, or changes from point to point nearby."""
    ours = float(gradient_of(trial, i)[index])
    return ours == 0 or any(abs(t.grads[i][index] - ours) > 0.1 * abs(ours) for t in trial.nearby)


def _undecided_finding(trial: Trial, i: int, m: Measured, entries: list[tuple[int, ...]], safe: bool) -> Finding:
    """Why entries of an input cannot be judged."""
    size, worst = trial.inputs[i].size, max(entries, key=lambda index: m.slopes[index].reach)
    slope, ours = m.slopes[worst], float(gradient_of(trial, i)[worst])
    if not np.isfinite(slope.error):
        why = "the forward has no finite values on both sides of it"
    else:
        why = f"the rounding of the forward hides derivatives below {SEEN * slope.reach:.0e}"
        why += ", and the complex step alone is no proof" if safe else ""
    sentence = f"{len(entries)} of {size} entries cannot be judged: {why}; choose other inputs, or other units"
    value = m.stepped[worst] if safe else slope.value
    return Finding(trial.names[i], worst, ours, float(value), len(entries), size, UNDECIDED, sentence)


def _kink_notes(trial: Trial, i: int, m: Measured) -> Iterator[str]:
    """Where an input lies on kinks, and between which slopes its gradient may be."""
    kinks = [index for index, slope in m.slopes.items() if slope.kink]
    if not kinks:
        return
    first, more = kinks[0], len(kinks) - 1
    slope, name = m.slopes[first], trial.names[i] + (f"[{', '.join(map(str, first))}]" if first else "")
    lies = f"and {more} more {'entry' if more == 1 else 'entries'} lie on kinks" if more else "lies on a kink"
    yield (
        f"{name} {lies}, as of a maximum, of abs or of ties: its slope is {_sides(slope)}, and each gradient between "
        "the two is right; inputs off the kinks say more"
    )


def _sides(slope: Slope) -> str:
    """The slopes on both sides of a kink, in words."""
    return f"{slope.value - slope.jump / 2:.4g} on one side and {slope.value + slope.jump / 2:.4g} on the other"


def _count_winners(trial: Trial, i: int, m: Measured) -> Finding | None:
    """A mistake at ties that no single entry shows: each of several winners gets the whole gradient."""
    kinks = [index for index, slope in m.slopes.items() if slope.kink]
    if (tied := tied_too_often(trial, i, kinks)) is None:
        return None
    group, total, slope = tied
    sentence = (
        f"{len(group)} entries tie, and their gradients add up to {total:.6g}, but moved together they have "
        f"the slope {slope:.6g}: give it to one of them, or share it"
    )
    return Finding(trial.names[i], group[0], total, slope, len(group), trial.inputs[i].size, "ties", sentence)


def _finding(
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
    )
    kind, sentence = diagnose(evidence)
    if comparison is None:
        return Finding(name, (), None, None, x.size, x.size, kind, sentence)
    worst = _worst(ours, comparison)
    at_kinks = comparison.off & measured[i].array("kink")
    if np.array_equal(at_kinks, comparison.off):
        slope = measured[i].slopes[worst]
        kind = "kink"
        sentence = f"on a kink, where the slope is {_sides(slope)}: a gradient lies between the two"
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
