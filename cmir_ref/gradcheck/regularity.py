"""What is wrong with a pair before anything is measured: a random forward, float32, a cache that is written into."""

import contextlib

import numpy as np

from ..errors import InputError
from .compare import gaps
from .findings import Finding, of_the_whole
from .trial import NotAPair, Trial, flat_arrays, parts

LAST_BITS = 1e-12  # a difference of two calls, relative to the largest entry, that sums in another order can make


def find_irregularity(trial: Trial) -> tuple[Finding | None, list[str]]:
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

    Numbers that float16 has, too, are a table's or a quantiser's, as are those that stay where the inputs move.
    A y that stays within what float32 rounds to one number, and changes at each next number, has lost its digits there:
    rounding of another kind has other steps.
    """
    y, rng = flat_arrays(trial.y), np.random.default_rng(8)
    rounded = [x if i in trial.held else x.astype(np.float32) for i, x in enumerate(trial.inputs)]
    if all(np.array_equal(a, b) for a, b in zip(rounded, trial.inputs, strict=True)):
        return False
    single, half = (y.astype(dtype).astype(float) for dtype in (np.float32, np.float16))

    def moved(draw):
        arrays = [
            x if i in trial.held else x.astype(float) + draw(x.shape) * np.spacing(np.abs(x)).astype(float)
            for i, x in enumerate(rounded)
        ]
        return flat_arrays(trial.call(arrays)[0]) != y

    def next_numbers(shape):
        return rng.choice([-1.0, 1.0], shape)

    try:
        if (single != half).sum() > 1 and np.array_equal(single, y):
            return moved(lambda shape: 16 * next_numbers(shape))[single != half].mean() > 0.5
        within = any(moved(lambda shape: rng.uniform(-0.45, 0.45, shape)).any() for _ in range(4))
        return not within and all(moved(next_numbers).any() for _ in range(4))
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
