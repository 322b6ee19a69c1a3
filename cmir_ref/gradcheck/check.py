"""The check that a reader can point at a pair of their own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .numeric import central_difference, complex_step, directional, random_direction, winners
from .slopes import EPS, Slope, slopes_of

METHODS = ("complex-step", "central-difference", "directional")
CLOSE = 1e-12  # a relative difference that is rounding, whatever the function
TWO_POINTS = 1e-8  # so far, relative to the largest entry, two points are trusted; beyond it a slope is measured
NEARBY = 1e-6  # how far from its inputs a pair is called again, relative to each entry


class Pair(NamedTuple):
    """A function and its backward over positional arrays, and inputs by name at which they can be checked."""

    forward: Callable
    backward: Callable
    inputs: dict[str, np.ndarray]
    name: str = "f"


class Result(NamedTuple):
    """One comparison: how far `backward` is from the measured derivative of `f` with respect to one input.

    Differences that the measurement's own error explains do not count, nor does a gradient between the two slopes of a
    kink: `right` is whether nothing else is left.
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


class WrittenInto(ValueError):
    """A function or its backward changed one of its arguments."""


class NotAPair(ValueError):
    """The function does not keep to the protocol y, cache = f(…)."""


@dataclass(eq=False)
class Trial:
    """A pair that was called once: what every comparison starts from. No answer shares memory with another one."""

    f: Callable
    f_backward: Callable
    inputs: list[np.ndarray]
    names: list[str]
    held: set[int]  # labels, masks, indices: passed on as they are, never differentiated
    y: Any
    cache: Any
    dy: Any  # the random upstream
    grads: list  # the backward's answer, one for each input, not judged yet
    _slopes: dict[int, Callable[[np.ndarray], Slope]] = field(default_factory=dict)
    _measured: dict[tuple, Slope] = field(default_factory=dict)

    def upstream(self, y: Any) -> Any:
        """⟨y, dy⟩: the scalar that is differentiated."""
        return sum((p * d).sum() for p, d in zip(parts(y), parts(self.dy), strict=True))

    def call(self, arrays: Sequence[np.ndarray]) -> tuple[Any, Any]:
        """f at `arrays`, with whatever is not differentiated left as it was given."""
        y, cache = self.f(*(self.inputs[i] if i in self.held else x for i, x in enumerate(arrays)))
        return map_parts(np.array, y), cache

    def call_backward(self, dy: Any, cache: Any) -> list:
        """The gradients for the upstream `dy`, one for each input."""
        return copy_gradients(self.f_backward(dy, cache))

    def scalar(self, arrays: Sequence[np.ndarray]) -> Any:
        """⟨f(arrays), dy⟩."""
        return self.upstream(self.call(arrays)[0])

    def scalar_and_winners(self, arrays: Sequence[np.ndarray]) -> tuple[Any, bytes]:
        """⟨f(arrays), dy⟩ and the masks and indices in the cache."""
        y, cache = self.call(arrays)
        return self.upstream(y), winners(cache)

    @property
    def differentiated(self) -> list[int]:
        """The inputs for which the backward gives a gradient."""
        return [i for i, gradient in enumerate(self.grads) if gradient is not None]

    def complex_slope(self, i: int, direction: np.ndarray, arrays: Sequence[np.ndarray] | None = None) -> float:
        """The derivative along `direction` in input i by complex step, at `arrays` or at the inputs."""
        ways = [direction if j == i else np.zeros(x.shape) for j, x in enumerate(self.inputs)]
        return directional(self.scalar, self.inputs if arrays is None else arrays, ways)

    def slope(self, i: int, direction: np.ndarray) -> Slope:
        """The derivative along `direction` in input i by finite differences, with its estimated error."""
        if i not in self._slopes:
            outputs = lambda arrays: flat_arrays(self.call(arrays)[0])  # noqa: E731
            self._slopes[i] = slopes_of(outputs, flat_arrays(self.dy), self.inputs, i)
        return self._slopes[i](direction)

    def slope_of_entry(self, i: int, index: tuple[int, ...]) -> Slope:
        """The derivative with respect to one entry of input i by finite differences; measured once."""
        if (i, index) not in self._measured:
            self._measured[i, index] = self.slope(i, one_hot(self.inputs[i].shape, index))
        return self._measured[i, index]

    @cached_property
    def rounding(self) -> float:
        """The size of a gradient that is nothing but rounding, for inputs of the size of 1."""
        return 8 * EPS * float(np.abs(flat_arrays(self.dy)) @ np.abs(flat_arrays(self.y)))

    @cached_property
    def nearby(self) -> list[tuple[list[np.ndarray], list]]:
        """Four points close to the inputs, and the backward's gradients there."""
        rng, points = np.random.default_rng(4), []
        for _ in range(4):
            arrays = [
                x if i in self.held else x * (1 + NEARBY * random_direction(rng, x.shape))
                for i, x in enumerate(self.inputs)
            ]
            points.append((arrays, self.call_backward(self.dy, self.call(arrays)[1])))
        return points

    @cached_property
    def elsewhere(self) -> list[list[np.ndarray]]:
        """Three points of the size of the inputs."""
        rng = np.random.default_rng(5)
        return [
            [x if i in self.held else x * random_direction(rng, x.shape) for i, x in enumerate(self.inputs)]
            for _ in range(3)
        ]


def relative_error(a: np.ndarray, b: np.ndarray, *, floor: float = 0.0) -> tuple[float, tuple[int, ...]]:
    """(max|a − b| / max(max|a|, max|b|), the index of the largest difference). A NaN is an infinite error.

    Where neither array is larger than `floor`, the error is max|a − b|: whoever knows the size of what is compared can
    say below which size it is a rounded zero.
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


def attempt(
    f: Callable, f_backward: Callable, inputs: Sequence, *, names: Sequence[str] | None = None, seed: int = 0
) -> Trial:
    """Calls the pair once, with a random upstream. Raises as `check_gradient`, shapes of gradients apart.

    Whole numbers and booleans are passed on as they are where the backward answers None for them (labels, masks,
    indices), and as float64 where it gives a gradient.
    """
    inputs = [_real(x, i) for i, x in enumerate(inputs)]
    names = list(names or (f"input {i}" for i in range(len(inputs))))
    discrete = {i for i, x in enumerate(inputs) if x.dtype.kind in "biu"}
    trial = _call(f, f_backward, inputs, names, discrete, seed)
    held = {i for i in discrete if trial.grads[i] is None}
    if held != discrete:
        inputs = [x if i in held else x.astype(float) for i, x in enumerate(inputs)]
        trial = _call(f, f_backward, inputs, names, held, seed)
    return trial


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

    Each entry is judged by its own size. Where it differs, the difference is compared with the error of the
    measurement, which is estimated: a gradient that is nothing but rounding is right, and so is any between the slopes
    above and below a kink.

    Whole numbers and booleans reach `f` as they are where their gradient is None (labels, a mask), else as float64.

    Raises `ValueError` where the number or the shape of the gradients is not that of the inputs, where there is no
    gradient at all, where `f` does not return (y, cache), where an input is not made of real numbers, and where an
    argument was written into.
    """
    trial = attempt(f, f_backward, inputs, names=names, seed=seed)
    if not trial.differentiated:
        raise ValueError("the backward function returns no gradient at all")
    results, kinks = [], {}
    for i in trial.differentiated:
        ours = gradient_of(trial, i)
        if ours.shape != trial.inputs[i].shape:
            raise ValueError(
                f"{trial.names[i]}: a gradient of shape {ours.shape} for an input of shape {trial.inputs[i].shape}"
            )
        comparisons = []
        if "complex-step" in methods:
            comparisons.append(compare_complex(trial, i, complex_step(trial.scalar, trial.inputs, i), stop=True))
        if "central-difference" in methods:
            comparisons.append(compare_two_points(trial, i, stop=True))
        results += [comparison.result for comparison in comparisons]
        kinks[i] = np.any([comparison.kinks for comparison in comparisons] or [np.zeros(ours.shape)], axis=0)
    if "directional" in methods:
        results += compare_directions(trial, kinks, seed=seed, draws=draws)
    return results


def gradient_of(trial: Trial, i: int) -> np.ndarray:
    """The backward's gradient for input i as an array; `ValueError` where it is not made of real numbers."""
    ours = np.asarray(trial.grads[i])
    if ours.dtype.kind not in "fiub":
        kind = "complex numbers" if ours.dtype.kind == "c" else type(trial.grads[i]).__name__
        raise ValueError(f"{trial.names[i]}: the gradient is an array of real numbers, not {kind}")
    return ours


class Comparison(NamedTuple):
    """A gradient beside a measured one, entry by entry."""

    result: Result
    measured: np.ndarray  # with ours in place of what is right, but not to be measured better
    off: np.ndarray  # True where ours is wrong
    kinks: np.ndarray  # True where the slopes above and below differ


def compare_complex(trial: Trial, i: int, stepped: np.ndarray, *, stop: bool = False) -> Comparison:
    """The backward's gradient of input i beside that by complex step."""
    ours = gradient_of(trial, i)
    finite = np.isfinite(ours) & np.isfinite(stepped)
    clear = finite & (gaps(ours, stepped) <= CLOSE * np.maximum(np.abs(ours), np.abs(stepped)))

    def settle(index):
        slope = trial.slope_of_entry(i, index)
        between = slope.kink and slope.admits(ours[index])
        right = between or rounding_explains(trial, i, index, stepped[index], slope)
        return Settled(right, (ours if right else stepped)[index], slope.kink)

    return _compare(trial, i, "complex-step", stepped, ~clear, settle, stop=stop)


def compare_two_points(trial: Trial, i: int, *, stop: bool = False) -> Comparison:
    """The backward's gradient of input i beside central differences of two points.

    Where those two are not near enough, a slope with an estimated error takes their place.
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
    trial: Trial, kinks: Mapping[int, np.ndarray], *, seed: int = 0, draws: int = 5
) -> Iterable[Result]:
    """⟨dx, d⟩ beside the derivative along d for `draws` random directions d over all inputs, entries at kinks apart."""
    rng = np.random.default_rng([seed, 1])
    for _ in range(draws):
        d = [
            random_direction(rng, x.shape) * ~kinks[i] if i in kinks else np.zeros(x.shape)
            for i, x in enumerate(trial.inputs)
        ]

        def both(arrays, grads, d=d):
            terms = [(np.asarray(grads[i]) * d[i]).ravel() for i in kinks]
            return np.concatenate(terms), directional(trial.scalar, arrays, d)

        terms, measured = both(trial.inputs, trial.grads)
        ours = float(terms.sum())
        gap, size = abs(ours - measured), max(float(np.abs(terms).sum()), abs(measured))  # not |ours|: terms may cancel
        right = gap <= CLOSE * size
        if not right:
            others = [(terms.sum() - measured) for terms, measured in (both(*point) for point in trial.nearby)]
            right = not _stays(ours - measured, others) and gap <= trial.rounding
        error = 0.0 if gap == 0 or (right and gap > CLOSE * size) else gap / size
        yield Result("all", "directional", error, (), ours, measured, right=right)


def rounding_explains(trial: Trial, i: int, index: tuple[int, ...], stepped: float, slope: Slope) -> bool:
    """Whether the difference of a gradient and the complex step is rounding, and no mistake.

    A mistake is the same at a point nearby. Rounding is not, and is no larger than that of the function. Only rounding
    as of 1 − p for p near 1 is the same nearby: it is small beside the gradient elsewhere.
    """
    direction = one_hot(trial.inputs[i].shape, index)
    gap = float(gradient_of(trial, i)[index] - stepped)
    nearby = [g[i][index] - trial.complex_slope(i, direction, arrays) for arrays, g in trial.nearby]
    if not _stays(gap, nearby):
        return abs(gap) <= max(slope.reach, trial.rounding / max(1.0, np.abs(trial.inputs[i]).max()))
    with np.errstate(all="ignore"):
        elsewhere = [trial.complex_slope(i, direction, arrays) for arrays in trial.elsewhere]
    return abs(gap) <= 16 * EPS * max((abs(s) for s in elsewhere if np.isfinite(s)), default=0.0)


def one_hot(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """1 at one index, 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1.0
    return direction


def _stays(gap: float, others: Sequence[float]) -> bool:
    """Whether a difference is the same to a tenth at other points."""
    return all(abs(other - gap) <= 0.1 * abs(gap) for other in others)


class Settled(NamedTuple):
    """What a second look at an entry says."""

    right: bool
    measured: float  # what is to be compared with: the gradient itself where it is right and cannot be measured better
    kink: bool


def _by_slope(trial: Trial, i: int) -> Callable[[tuple[int, ...]], Settled]:
    """A second look by a slope with an estimated error."""
    ours = gradient_of(trial, i)

    def settle(index):
        slope = trial.slope_of_entry(i, index)
        right = slope.admits(ours[index])
        exact = slope.reach <= 1e-3 * max(abs(slope.value), abs(ours[index]))
        return Settled(right, ours[index] if right and not exact else slope.value, slope.kink)

    return settle


def _compare(
    trial: Trial,
    i: int,
    method: str,
    measured: np.ndarray,
    doubtful: np.ndarray,
    settle: Callable[[tuple[int, ...]], Settled],
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
            right, measured[index], kinks[index] = settle(index)
            off[index] = not right
            if stop and not right:
                break
    error, worst = relative_error(ours, measured)
    at = (float(ours[worst]), float(measured[worst])) if ours.size else (0.0, 0.0)
    result = Result(trial.names[i], method, error, worst, *at, ours.size, shrunk, int(kinks.sum()), right=not off.any())
    return Comparison(result, measured, off, kinks)


def _call(f: Callable, f_backward: Callable, inputs: list, names: list[str], held: set[int], seed: int) -> Trial:
    """The pair called once; an argument that it changed is an error."""
    rng = np.random.default_rng([seed, 3])  # not `seed`: inputs drawn from it would be the upstream themselves
    given = [x.copy() for x in inputs]
    answer = f(*inputs)
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise NotAPair(f"the function returns (y, cache), not {_describe(answer)}")
    for part in parts(answer[0]):
        if np.asarray(part).dtype.kind not in "fiub":
            raise NotAPair(f"the function's y is made of real numbers, not {_describe(part)}")
    y, cache = map_parts(np.array, answer[0]), answer[1]
    _unchanged("the forward function", names, inputs, given)
    dy = map_parts(lambda part: random_direction(rng, np.shape(part)), y)
    before = map_parts(np.copy, dy)
    grads = f_backward(dy, cache)
    _unchanged("the backward function", names, inputs, given)
    _unchanged("the backward function", ["dy"] * len(parts(dy)), parts(dy), parts(before))
    grads = copy_gradients(grads)
    if len(grads) != len(inputs):
        raise ValueError(f"the backward function returns {len(grads)} gradients for {len(inputs)} inputs")
    return Trial(f, f_backward, inputs, names, held, y, cache, dy, grads)


def _unchanged(who: str, names: Sequence[str], now: Sequence, then: Sequence) -> None:
    for name, a, b in zip(names, now, then, strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            raise WrittenInto(f"{name} was written into by {who}: arguments are left alone")


def _real(x: Any, i: int) -> np.ndarray:
    """An input as it is checked: float64, or whole numbers and booleans as they are."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"input {i} is an array of real numbers, not {_describe(x)}")
    return x.astype(float) if x.dtype.kind == "f" else x


def _describe(x: Any) -> str:
    if isinstance(x, tuple | list):
        return f"a {type(x).__name__} of {len(x)}"
    return f"an array of shape {x.shape} and dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__


def parts(y: Any) -> list:
    """The arrays of an output; None parts are left out."""
    return [part for part in y if part is not None] if isinstance(y, tuple) else [y]


def map_parts(function: Callable, y: Any) -> Any:
    """`function` on each array of an output, in the output's own (named) tuple."""
    if not isinstance(y, tuple):
        return function(y)
    answers = [None if part is None else function(part) for part in y]
    return type(y)(*answers) if hasattr(y, "_fields") else tuple(answers)


def flat_arrays(y: Any) -> np.ndarray:
    """All numbers of an output in one vector."""
    return np.concatenate([np.ravel(part) for part in parts(y)])


def copy_gradients(grads: Any) -> list:
    """The backward's answer as a list of its own arrays, which a later call cannot change."""
    grads = list(grads) if isinstance(grads, tuple | list) else [grads]
    return [gradient.copy() if isinstance(gradient, np.ndarray) else gradient for gradient in grads]
