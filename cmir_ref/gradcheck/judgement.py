"""Is a pair right, and if not, what is wrong with it?"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial

import numpy as np

from ..errors import InputError
from .compare import (
    Comparison,
    compare_complex,
    compare_directions,
    compare_slopes,
    rounding_of_entries,
    tied_too_often,
)
from .examine import examine_input
from .findings import UNDECIDED, Finding, Judgement, describe, of_the_whole, sides_text
from .jacobians import MOST_ENTRIES, MOST_OUTPUTS, backward_jacobians
from .jumps import jumps
from .measured import Measured, contradicts, measure_entries, somewhere_unknown
from .module import Raised, bind_by_name, call_or_refuse
from .regularity import find_irregularity
from .slopes import Slope
from .trial import NotAPair, Pair, Trial, WrittenInto, attempt, flat_arrays, gradient_of

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
FLAT = (
    "{}: the gradient is 0 at every entry, and right: the outputs jump as it moves, as of rounding, a sign or an "
    "argmax, and are flat between"
)
TOO_LARGE = (
    f"single outputs are compared where y has at most {MOST_OUTPUTS} numbers, and {MOST_ENTRIES} with those of the "
    "input: smaller inputs say more about what is wrong"
)
LEADS_LESS_FAR = ("missing path", "missing term")  # of an input where several paths meet: others are named before it
SEEN = 2  # finite differences see a derivative that is at least so many times their reach


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
    irregular, notes = find_irregularity(trial)
    if irregular:
        return Judgement([], [irregular], [], [])
    left_out = [name for name, g in zip(trial.names, trial.grads, strict=True) if g is None]
    notes += [f"{name} is not differentiated: {pair.name}_backward returns None for it" for name in left_out]
    measured = measure_entries(trial, progress)
    safe = all(m.stepped is not None and not contradicts(trial, i, m) for i, m in measured.items())
    why = {kind: f"{'' if isinstance(e, Raised) else f'{pair.name}: '}{e}" for kind, e in trial.refused.items()}
    notes += [] if safe else [NO_COMPLEX.format(why["complex"]) if "complex" in why else NOT_SAFE]
    notes += [NOT_NEARBY.format(why["moved"])] if "moved" in why and somewhere_unknown(measured) else []
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
    undecided, flat = [], [i for i in comparisons if _is_flat(trial, i, measured[i], safe)]
    for i, entries in _open_entries(trial, measured, comparisons, safe, flat).items():
        undecided.append(_undecided_finding(trial, i, measured[i], entries, safe))
        comparisons[i].off[tuple(np.transpose(entries))] = False
    moving = {i: m for i, m in measured.items() if i not in flat}
    if safe and not undecided and not _some_are_seen(moving) and not somewhere_unknown(measured):
        notes.append(BLIND)
    findings = []
    by_output = cache(lambda: backward_jacobians(trial))
    for i in measured:
        if i not in fits or comparisons[i].off.any():
            findings.append(examine_input(trial, i, measured, comparisons.get(i), safe, by_output))
        elif tied := _count_winners(trial, i, measured[i]):
            findings.append(tied)
        notes += _kink_notes(trial, i, measured[i]) if i in fits else []
    wrong = {finding.input for finding in (*findings, *undecided)}
    zeros = [i for i in fits if not gradient_of(trial, i).any() and trial.names[i] not in wrong]
    notes += [HELD.format(trial.names[i]) for i in zeros if i in trial.held]
    still = [trial.names[i] for i in zeros if i not in trial.held]
    notes += [FLAT.format(trial.names[i]) for i in zeros if i in flat]
    unseen = [name for name in still if trial.names.index(name) not in flat]
    if unseen:
        notes.append(STILL.format(", ".join(unseen)))
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


def _some_are_seen(measured: dict[int, Measured]) -> bool:
    """Whether finite differences see the derivative at any entry, or no entry changes the outputs."""
    slopes = [(m.stepped[index], slope) for m in measured.values() for index, slope in m.slopes.items()]
    seen = any(slope.kink or (step and abs(step) >= SEEN * slope.reach) for step, slope in slopes)
    return seen or all(slope.still or slope.reach == 0 for _, slope in slopes)


def _is_flat(trial: Trial, i: int, m: Measured, safe: bool) -> bool:
    """Whether the outputs jump as input i moves, and no method sees them move near it: the derivative is 0."""
    nothing = not m.array("value").any() and not m.array("kink").any() and not (safe and m.stepped.any())
    return nothing and jumps(trial, i)


def _may_be(slope: Slope, trial: Trial, i: int, k: tuple) -> bool:
    """Whether entry k of the gradient may be right, by what was measured of it."""
    return not np.isfinite(slope.error) or bool(slope.admits(gradient_of(trial, i)[k]))


def _open_entries(
    trial: Trial, measured: dict[int, Measured], comparisons: dict[int, Comparison], safe: bool, flat: list[int]
) -> dict[int, list[tuple[int, ...]]]:
    """The entries of each input that cannot be judged.

    If the complex step is safe, it judges. But where finite differences see no derivative at all, nothing confirms that
    it is safe: then only its agreement with a gradient that is not 0 counts.
    If it is not safe, an entry is open where the function has no values on both sides, or where the gradient is smaller
    than what finite differences see, and is not rounding. Where the outputs are flat between jumps, nothing is open.
    """
    everything = {i: list(measured[i].slopes) for i in comparisons if i not in flat}
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
    for i in everything:
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
        f"{name} {lies}, as of a maximum, of abs or of ties: its slope is {sides_text(slope)}, and each gradient "
        "between the two is right; inputs off the kinks say more"
    )


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
