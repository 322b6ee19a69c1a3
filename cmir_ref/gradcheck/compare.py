"""A gradient beside a measured one: which differences are a mistake, and which are rounding or a kink."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .numeric import central_difference, directional, random_direction
from .slopes import Slope
from .trial import Trial, flat_arrays, gradient_of, one_hot, rounding_of

CLOSE = 1e-13  # the relative difference of two equal numbers: it needs no second look
ROUNDED = 1e-6  # relative to the terms: what is off by more than this is no rounding, but another function at each call
TWO_POINTS = 1e-8  # likewise for a central difference of two points, relative to the largest entry


class Result(NamedTuple):
    """One comparison: how far `backward` is from the measured derivative of `f` with respect to one input.

    Two differences do not count: those that the error of the measurement explains, and those at a kink where the
    gradient lies between the two slopes. Where no other difference is left, the gradient is `right`.
    """

    input: str
    method: str
    error: float  # max|a − b| / max(max|a|, max|b|)
    worst: tuple[int, ...]  # the index of the largest difference
    ours: float
    measured: float
    entries: int = 1  # how many were compared
    shrunk: int = 0  # at how many of them a winner changed at x ± h, so that h had to shrink
    kinks: int = 0  # at how many of them the slopes above and below differ
    right: bool = True


def relative_error(a: np.ndarray, b: np.ndarray, *, floor: float = 0.0) -> tuple[float, tuple[int, ...]]:
    """(max|a − b| / max(max|a|, max|b|), the index of the largest difference). A NaN is an infinite error.

    Where no entry is larger than `floor`, the error is max|a − b|. It is for callers who know the size of what they
    compare: below the floor both arrays are rounded zeros.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"a gradient of shape {a.shape} for an input of shape {b.shape}")
    if a.size == 0:
        return 0.0, ()
    gap = gaps(a, b)
    worst = tuple(int(i) for i in np.unravel_index(gap.argmax(), gap.shape))
    size = max(np.abs(a).max(), np.abs(b).max())
    return float(gap.max() / size if floor < size < np.inf else gap.max()), worst


def gaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a − b|, infinite where one is NaN."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    return np.where(np.isnan(gap), np.inf, gap)


class Comparison(NamedTuple):
    """A gradient beside a measured one, entry by entry."""

    result: Result
    measured: np.ndarray  # the measured gradient; ours where ours is right and cannot be measured better
    off: np.ndarray  # True where ours is wrong
    kinks: np.ndarray  # True where the slopes above and below differ

    def excuse(self, ours: np.ndarray, entries: np.ndarray) -> "Comparison":
        """The comparison after another method has shown that some entries are right."""
        measured, off = np.where(entries, ours, self.measured), self.off & ~entries
        error, worst = relative_error(ours, measured)
        result = self.result._replace(
            error=error, worst=worst, ours=float(ours[worst]), measured=float(measured[worst]), right=not off.any()
        )
        return Comparison(result, measured, off, self.kinks)


def compare_complex(trial: Trial, i: int, stepped: np.ndarray, *, stop: bool = False) -> Comparison:
    """The backward's gradient of input i beside that by complex step."""
    ours = gradient_of(trial, i)
    finite = np.isfinite(ours) & np.isfinite(stepped)
    clear = finite & (gaps(ours, stepped) <= CLOSE * np.maximum(np.abs(ours), np.abs(stepped)))

    def look_again(index):
        slope = trial.slope_of_entry(i, index)
        if slope.kink:
            return _at_kink(trial, i, index, slope)
        right = rounding_explains(trial, i, index, stepped[index], slope)
        return SecondLook(right, (ours if right else stepped)[index], False)

    return _compare(trial, i, "complex-step", stepped, ~clear, look_again, stop=stop)


def compare_two_points(trial: Trial, i: int, *, stop: bool = False) -> Comparison:
    """The backward's gradient of input i beside central differences of two points.

    Where the two are not near enough to each other, a slope with an estimated error replaces the central difference.
    """
    shrunk: list = []
    central = central_difference(trial.scalar_and_winners, trial.inputs, i, shrunk=shrunk)
    ours = gradient_of(trial, i)
    finite = np.isfinite(ours) & np.isfinite(central)
    size = max(np.abs(a).max(initial=0, where=finite) for a in (ours, central))
    clear = finite & (gaps(ours, central) <= TWO_POINTS * size)
    return _compare(trial, i, "central-difference", central, ~clear, _by_slope(trial, i), stop=stop, shrunk=len(shrunk))


def compare_slopes(trial: Trial, i: int) -> Comparison:
    """The backward's gradient of input i beside a slope with an estimated error for every entry."""
    ours = gradient_of(trial, i)
    everywhere = np.ones(ours.shape, dtype=bool)
    return _compare(trial, i, "central-difference", np.full(ours.shape, np.nan), everywhere, _by_slope(trial, i))


def compare_directions(
    trial: Trial,
    kinks: Mapping[int, np.ndarray],
    excused: Mapping[int, np.ndarray] = MappingProxyType({}),
    *,
    seed: int = 0,
    draws: int = 5,
) -> Iterable[Result]:
    """⟨dx, d⟩ beside the derivative along d, for `draws` random directions d over all entries that are not `kinks`.

    Differences of single entries that are `excused`, each known to be rounding, add up along d; the step along d has as
    much rounding of its own.
    """
    rng = np.random.default_rng([seed, 1])
    for _ in range(draws):
        d = [
            random_direction(rng, x.shape) * ~kinks[i] if i in kinks else np.zeros(x.shape)
            for i, x in enumerate(trial.inputs)
        ]
        with np.errstate(invalid="ignore"):  # a gradient may have infinite entries
            result = _compare_direction(trial, kinks, excused, d)
        yield result


def _compare_direction(
    trial: Trial, kinks: Mapping[int, np.ndarray], excused: Mapping[int, np.ndarray], d: Sequence[np.ndarray]
) -> Result:
    """The result of one direction."""
    terms, measured = _along(trial, kinks, d)
    ours = float(terms.sum())
    gap, size = abs(ours - measured), max(float(np.abs(terms).sum()), abs(measured))  # not |ours|: terms may cancel
    if not np.isfinite(gap):
        return Result("all", "directional", np.inf, (), ours, measured, right=False)
    rounding = sum(float((entries * np.abs(d[i])).sum()) for i, entries in excused.items())
    right = gap <= CLOSE * size + min(2 * rounding, ROUNDED * size)
    if not right:
        others = [terms.sum() - measured for terms, measured in (_along(t, kinks, d) for t in trial.nearby)]
        stays = _stays(ours - measured, others)
        right = not stays and gap <= trial.rounding
        if set(kinks) <= set(excused) or (stays and not excused):  # beside a wrong entry nothing excuses their sum
            elsewhere = (slope for i in kinks for slope in trial.slopes_elsewhere(i, d))
            right = right or any(gap <= rounding_of([slope]) for slope in elsewhere)
    error = 0.0 if gap == 0 or (right and gap > CLOSE * size) else gap / size
    return Result("all", "directional", error, (), ours, measured, right=right)


def _along(trial: Trial, wanted: Iterable[int], d: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """(the terms of ⟨dx, d⟩ of the inputs `wanted`, the derivative along d by complex step)."""
    terms = [(np.asarray(trial.grads[i]) * d[i]).ravel() for i in wanted]
    return np.concatenate(terms), directional(trial.scalar, trial.inputs, d)


def rounding_of_entries(ours: np.ndarray, stepped: np.ndarray, comparison: Comparison) -> np.ndarray:
    """|ours − stepped| of the entries that are right, and off the kinks: it is rounding; 0 elsewhere."""
    known = ~comparison.off & ~comparison.kinks & np.isfinite(ours) & np.isfinite(stepped)
    return np.where(known, gaps(ours, stepped), 0)


def rounding_explains(trial: Trial, i: int, index: tuple[int, ...], stepped: float, slope: Slope) -> bool:
    """Whether the gap between a gradient and the complex step is rounding, and not a mistake.

    A mistake makes the same gap at a point nearby. Rounding makes another gap at each point, and none that is larger
    than the rounding of the function. One kind of rounding stays: 1 − p for p near 1 has lost its digits everywhere
    nearby. Its gap is as small as the rounding of the gradient elsewhere.
    """
    direction = one_hot(trial.inputs[i].shape, index)
    gap = float(gradient_of(trial, i)[index] - stepped)
    nearby = [t.grads[i][index] - t.complex_slope(i, direction) for t in trial.nearby]
    if not _stays(gap, nearby):
        reach = slope.reach if np.isfinite(slope.reach) else 0.0
        return abs(gap) <= max(reach, trial.rounding / max(1.0, np.abs(trial.inputs[i]).max()))
    return abs(gap) <= trial.rounding_elsewhere(i, index) and trial.right_elsewhere(i, index)


def _stays(gap: float, others: Sequence[float]) -> bool:
    """Whether a difference is the same to a tenth at other points."""
    return bool(np.isfinite(gap)) and all(abs(other - gap) <= 0.1 * abs(gap) for other in others)


def tied_too_often(
    trial: Trial, i: int, kinks: Sequence[tuple[int, ...]]
) -> tuple[list[tuple[int, ...]], float, float] | None:
    """Entries of input i that tie and get too much together: (their indices, the sum of their gradients, their slope).

    If entries that tie move together, the output has one slope, and their gradients must add up to it. `kinks` are the
    entries that lie on kinks. None where there is no such mistake.
    """
    ours, x = gradient_of(trial, i), trial.inputs[i]
    groups: dict[bytes, list[tuple[int, ...]]] = {}
    for index in kinks:
        moved = [a + 1e-3 * one_hot(x.shape, index) if j == i else a for j, a in enumerate(trial.inputs)]
        change = flat_arrays(trial.call(moved)[0]) != flat_arrays(trial.y)  # entries that tie change the same outputs
        groups.setdefault(change.tobytes(), []).append(index)
    for group in (group for group in groups.values() if len(group) > 1):
        together = sum(one_hot(x.shape, index) for index in group)
        slope, total = trial.slope(i, together), float((ours * together).sum())
        if not slope.kink and not slope.admits(total) and abs(total) > abs(slope.value):
            return group, total, slope.value
    return None


class SecondLook(NamedTuple):
    """What is known of an entry after it was measured with more care."""

    right: bool
    measured: float  # as in `Comparison`
    kink: bool


def _at_kink(trial: Trial, i: int, index: tuple[int, ...], slope: Slope) -> SecondLook:
    """A gradient on a kink is right between the two slopes.

    Where several kinks meet, as of many rectified units at 0, each unit may take 0 for its slope, and their sum need
    not lie between. Then it is enough that the gradient is right beside the kinks. Beside one kink alone the gradient
    is one of the two slopes.
    """
    ours = float(gradient_of(trial, i)[index])
    right = slope.admits(ours)
    if not right and np.isfinite(ours):
        beside = [float(t.grads[i][index]) for t in trial.off_kinks]
        several = any(abs(abs(g - slope.value) - slope.jump / 2) > 1e-2 * slope.jump for g in beside)
        right = several and all(t.slope_of_entry(i, index).admits(t.grads[i][index]) for t in trial.off_kinks[:4])
    return SecondLook(right, ours if right else slope.nearest(ours), True)


def _by_slope(trial: Trial, i: int) -> Callable[[tuple[int, ...]], SecondLook]:
    """A second look by a slope with an estimated error."""
    ours = gradient_of(trial, i)

    def look_again(index):
        slope = trial.slope_of_entry(i, index)
        if slope.kink:
            return _at_kink(trial, i, index, slope)
        right = slope.admits(ours[index])
        exact = slope.reach <= 1e-3 * max(abs(slope.value), abs(ours[index]))
        return SecondLook(right, ours[index] if right and not exact else slope.value, False)

    return look_again


def _compare(
    trial: Trial,
    i: int,
    method: str,
    measured: np.ndarray,
    doubtful: np.ndarray,
    look_again: Callable[[tuple[int, ...]], SecondLook],
    *,
    stop: bool = False,
    shrunk: int = 0,
) -> Comparison:
    """Takes a second look at each doubtful entry, the largest difference first; with `stop`, until one is wrong."""
    ours, measured = gradient_of(trial, i), measured.copy()
    off, kinks = np.zeros(ours.shape, dtype=bool), np.zeros(ours.shape, dtype=bool)
    for flat_index in np.argsort(-gaps(ours, measured), axis=None, kind="stable"):
        index = tuple(int(k) for k in np.unravel_index(flat_index, ours.shape))
        if doubtful[index]:
            right, measured[index], kinks[index] = look_again(index)
            off[index] = not right
            if stop and not right:
                break
    error, worst = relative_error(ours, measured)
    at = (float(ours[worst]), float(measured[worst])) if ours.size else (0.0, 0.0)
    result = Result(trial.names[i], method, error, worst, *at, ours.size, shrunk, int(kinks.sum()), right=not off.any())
    return Comparison(result, measured, off, kinks)
