"""A pair that was called once: what every comparison starts from."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .numeric import complex_step, directional, random_direction, winners
from .slopes import EPS, Slope, slopes_of

NEARBY = 1e-6  # how far from its inputs a pair is called again, relative to each entry


class Pair(NamedTuple):
    """A function and its backward over positional arrays, and inputs by name at which they can be checked."""

    forward: Callable
    backward: Callable
    inputs: dict[str, np.ndarray]
    name: str = "f"


class WrittenInto(ValueError):
    """A function or its backward changed one of its arguments."""


class NotAPair(ValueError):
    """The function does not keep to the protocol y, cache = f(…)."""


@dataclass(eq=False)
class Trial:
    """A pair that was called once. Its answers are copied: no later call changes them."""

    f: Callable
    f_backward: Callable
    inputs: list[np.ndarray]
    names: list[str]
    held: set[int]  # labels, masks, indices: passed on as they are, never differentiated
    y: Any
    cache: Any
    dy: Any  # the random upstream
    grads: list  # the backward's answer, one for each input, not judged yet
    refused: dict[str, Exception] = field(default_factory=dict)  # the first of "complex" inputs, and of those "moved"
    _stepped: dict[int, np.ndarray] = field(default_factory=dict)
    _slopes: dict[int, Callable[[np.ndarray], Slope]] = field(default_factory=dict)
    _measured: dict[tuple, Slope] = field(default_factory=dict)

    def upstream(self, y: Any) -> Any:
        """⟨y, dy⟩: the scalar that is differentiated."""
        return sum((p * d).sum() for p, d in zip(parts(y), parts(self.dy), strict=True))

    def call(self, arrays: Sequence[np.ndarray]) -> tuple[Any, Any]:
        """f at `arrays`, with whatever is not differentiated left as it was given.

        Raises `NotAPair` where it does not answer as it did at the inputs.
        """
        answer = self.f(*(self.inputs[i] if i in self.held else x for i, x in enumerate(arrays)))
        if not (isinstance(answer, tuple | list) and len(answer) == 2):
            raise NotAPair(f"the function returns {_describe(answer)}, not (y, cache) as at first")
        if (there := shapes_of(answer[0])) != (here := shapes_of(self.y)):
            raise NotAPair(f"called again, y has the shapes {there}, and at first {here}")
        return map_parts(np.array, answer[0]), answer[1]

    def call_backward(self, dy: Any, cache: Any) -> list:
        """The gradients for the upstream `dy`, one for each input; raises `NotAPair` for others than at first."""
        grads = copy_gradients(self.f_backward(dy, cache))
        if (there := shapes_of(tuple(grads))) != (here := shapes_of(tuple(self.grads))):
            raise NotAPair(f"called again, the backward returns gradients of shapes {there}, and at first {here}")
        return grads

    def scalar(self, arrays: Sequence[np.ndarray]) -> Any:
        """⟨f(arrays), dy⟩."""
        return self.upstream(self.call(arrays)[0])

    def scalar_and_winners(self, arrays: Sequence[np.ndarray]) -> tuple[Any, bytes]:
        """⟨f(arrays), dy⟩ and the masks and indices in the cache."""
        y, cache = self.call(arrays)
        return self.upstream(y), winners(cache)

    @property
    def with_gradient(self) -> list[int]:
        """The inputs for which the backward gives a gradient."""
        return [i for i, gradient in enumerate(self.grads) if gradient is not None]

    def stepped(self, i: int) -> np.ndarray:
        """The gradient of input i by complex step; measured once."""
        if i not in self._stepped:
            self._stepped[i] = complex_step(self.scalar, self.inputs, i)
        return self._stepped[i]

    def complex_slope(self, i: int, direction: np.ndarray, arrays: Sequence[np.ndarray] | None = None) -> float:
        """The derivative along `direction` in input i by complex step, at `arrays` or at the inputs."""
        directions = [direction if j == i else np.zeros(x.shape) for j, x in enumerate(self.inputs)]
        return directional(self.scalar, self.inputs if arrays is None else arrays, directions)

    def slope(self, i: int, direction: np.ndarray) -> Slope:
        """The derivative along `direction` in input i by finite differences, with its estimated error."""
        if i not in self._slopes:
            self._slopes[i] = slopes_of(self._outputs, flat_arrays(self.dy), self.inputs, i)
        return self._slopes[i](direction)

    def _outputs(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """All numbers of the output at `arrays`; why there are none is kept."""
        try:
            return flat_arrays(self.call(arrays)[0])
        except Exception as error:
            self.refused.setdefault("moved", error)
            raise

    def slope_of_entry(self, i: int, index: tuple[int, ...]) -> Slope:
        """The derivative with respect to one entry of input i by finite differences; measured once."""
        if (i, index) not in self._measured:
            self._measured[i, index] = self.slope(i, one_hot(self.inputs[i].shape, index))
        return self._measured[i, index]

    @cached_property
    def rounding(self) -> float:
        """How large a gradient can be that is nothing but rounding, for inputs of the size of 1."""
        return 8 * EPS * float(np.abs(flat_arrays(self.dy)) @ np.abs(flat_arrays(self.y)))

    def rounding_elsewhere(self, i: int, index: tuple[int, ...]) -> float:
        """How much rounding the gradient of one entry has at the points `elsewhere`."""
        direction = one_hot(self.inputs[i].shape, index)
        return rounding_of(
            self.slopes_elsewhere(i, [direction if j == i else 0 * x for j, x in enumerate(self.inputs)])
        )

    def right_elsewhere(self, i: int, index: tuple[int, ...]) -> bool:
        """Whether the gradient of one entry is right where it is largest among the points `elsewhere`.

        A mistake in a formula is one there as well; what has lost its digits here, as 1 − p near p = 1, has them there.
        """
        direction, seen = one_hot(self.inputs[i].shape, index), []
        for arrays in self.elsewhere(i):
            with np.errstate(all="ignore"), contextlib.suppress(Exception):  # a point may leave the function's domain
                there = float(self.call_backward(self.dy, self.call(arrays)[1])[i][index])
                slope = self.complex_slope(i, direction, arrays)
                if np.isfinite(there) and np.isfinite(slope):
                    seen.append((abs(slope), abs(there - slope)))
        size, gap = max(seen, default=(0.0, 0.0))
        return gap <= 1e-9 * size

    def slopes_elsewhere(self, i: int, directions: Sequence[np.ndarray]) -> Iterator[float]:
        """The derivatives along `directions` by complex step at the points `elsewhere`, of those at which f answers."""
        for arrays in self.elsewhere(i):
            slope = np.nan
            with np.errstate(all="ignore"), contextlib.suppress(Exception):  # a point may leave the function's domain
                slope = directional(self.scalar, arrays, directions)
            yield slope

    @cached_property
    def nearby(self) -> "list[Trial]":
        """The pair called at four points close to its inputs, with upstreams close to dy."""
        rng = np.random.default_rng(4)
        return [self._beside(lambda x: x * (1 + NEARBY * random_direction(rng, np.shape(x)))) for _ in range(4)]

    def _beside(self, move: Callable[[np.ndarray], np.ndarray]) -> "Trial":
        arrays = [x if i in self.held else move(x) for i, x in enumerate(self.inputs)]
        y, cache = self.call(arrays)
        dy = map_parts(move, self.dy)
        return Trial(
            self.f, self.f_backward, arrays, self.names, self.held, y, cache, dy, self.call_backward(dy, cache)
        )

    @cached_property
    def off_kinks(self) -> "list[Trial]":
        """The pair called at 16 points close to its inputs, at which an entry has left the kink that it was on."""
        rng = np.random.default_rng(6)
        return [
            self._beside(lambda x: x + NEARBY * usual_size(x) * random_direction(rng, np.shape(x))) for _ in range(16)
        ]

    def elsewhere(self, i: int) -> Iterator[list[np.ndarray]]:
        """Three points with input i nearer to 0, by a factor of up to 10, 100 and 1000, and three with all inputs.

        Signs stay, and no entry is 0.
        """
        rng = np.random.default_rng([5, i])
        for shrink in (1.0, 0.1, 0.01):
            nearer = [x if j in self.held else _shrink(x, shrink, rng) for j, x in enumerate(self.inputs)]
            yield nearer
            yield [nearer[j] if j == i else x for j, x in enumerate(self.inputs)]


def attempt(
    f: Callable, f_backward: Callable, inputs: Sequence, *, names: Sequence[str] | None = None, seed: int = 0
) -> Trial:
    """Calls the pair once, with a random upstream. Raises as `check_gradient`, shapes of gradients apart.

    Whole numbers and booleans are passed on as they are where the backward answers None for them (labels, masks,
    indices), or zeros where numbers beside them mean something else, and as float64 where it gives a gradient.
    """
    if isinstance(inputs, np.ndarray | Mapping) or not isinstance(inputs, Iterable):
        raise ValueError(f"the inputs are {_describe(inputs)}; expected a list of arrays, as [x, w]")
    inputs = [_real(x, i) for i, x in enumerate(inputs)]
    names = list(names or (f"input {i}" for i in range(len(inputs))))
    discrete = {i for i, x in enumerate(inputs) if x.dtype.kind in "biu"}
    trial = _call(f, f_backward, inputs, names, discrete, seed)
    masks = {i for i in discrete if inputs[i].dtype.kind == "b" and not np.any(trial.grads[i])}  # zeros mean the same
    held = masks | {i for i in discrete if trial.grads[i] is None}
    held |= {i for i in discrete - held if not np.any(trial.grads[i]) and _jumps(f, inputs, trial.y, i)}
    if held != discrete:
        inputs = [x if i in held else x.astype(float) for i, x in enumerate(inputs)]
        trial = _call(f, f_backward, inputs, names, held, seed)
    return trial


def _jumps(f: Callable, inputs: list, y: Any, i: int) -> bool:
    """Whether whole numbers i are labels or indices: numbers beside them are refused, or change y by much at once."""
    wanted = flat_arrays(y)
    for step in (-1e-9, 1e-9):
        try:
            found = flat_arrays(f(*inputs[:i], inputs[i] + step, *inputs[i + 1 :])[0])
        except Exception:
            return True
        if found.shape != wanted.shape or (np.abs(found - wanted) > 1e-4 * np.abs(wanted).max(initial=0)).any():
            return True
    return False


def gradient_of(trial: Trial, i: int) -> np.ndarray:
    """The backward's gradient for input i as an array; `ValueError` where it is not made of real numbers."""
    ours = np.asarray(trial.grads[i])
    if ours.dtype.kind not in "fiub":
        kind = type(trial.grads[i]).__name__ if not isinstance(trial.grads[i], np.ndarray) else str(ours.dtype)
        kind = "complex numbers" if ours.dtype.kind == "c" else kind
        raise ValueError(f"{trial.names[i]}: the gradient is an array of real numbers, not {kind}")
    return ours if ours.dtype.kind == "f" else ours.astype(float)  # booleans have no difference


def _call(f: Callable, f_backward: Callable, inputs: list, names: list[str], held: set[int], seed: int) -> Trial:
    """The pair called once; an argument that it changed is an error."""
    rng = np.random.default_rng([seed, 3])  # not `seed`: inputs drawn from it would be the upstream themselves
    given = [x.copy() for x in inputs]
    answer = f(*inputs)
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise NotAPair(f"the function returns (y, cache), not {_describe(answer)}")
    for part in parts(answer[0]):
        if isinstance(part, list) and len({np.shape(entry) for entry in part}) > 1:
            raise NotAPair("the function's y is a list of arrays of several shapes; several outputs are a tuple")
        if np.asarray(part).dtype.kind not in "fiub":
            raise NotAPair(f"the function's y is made of real numbers, not {_describe(part)}")
    y, cache = map_parts(np.array, answer[0]), answer[1]
    _refuse_changes("the forward function", names, inputs, given)
    dy = map_parts(lambda part: random_direction(rng, np.shape(part)), y)
    before = map_parts(np.copy, dy)
    grads = f_backward(dy, cache)
    _refuse_changes("the backward function", names, inputs, given)
    _refuse_changes("the backward function", ["dy"] * len(parts(dy)), parts(dy), parts(before))
    grads = copy_gradients(grads)
    if len(inputs) > 1 and len(grads) == 1 and isinstance(grads[0], Mapping):
        raise ValueError("the backward function returns a dict; expected a tuple of gradients, in the inputs' order")
    if len(grads) != len(inputs):
        raise ValueError(f"the backward function returns {len(grads)} gradients for {len(inputs)} inputs")
    return Trial(f, f_backward, inputs, names, held, y, cache, dy, grads)


def _refuse_changes(who: str, names: Sequence[str], now: Sequence, then: Sequence) -> None:
    for name, a, b in zip(names, now, then, strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            raise WrittenInto(f"{name} was written into by {who}: arguments are left alone")


def _real(x: Any, i: int) -> np.ndarray:
    """An input as it is checked: float64, or whole numbers and booleans as they are."""
    try:
        x = np.asarray(x)
    except ValueError:  # a list of arrays of several shapes
        x = np.asarray(x, dtype=object)
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


def shapes_of(y: Any) -> list:
    """The shapes of the parts of an output, or of gradients, None for those that are None."""
    return [None if part is None else np.shape(part) for part in (y if isinstance(y, tuple) else (y,))]


def map_parts(function: Callable, y: Any) -> Any:
    """`function` on each array of an output, in the output's own (named) tuple."""
    if not isinstance(y, tuple):
        return function(y)
    answers = [None if part is None else function(part) for part in y]
    return type(y)(*answers) if hasattr(y, "_fields") else tuple(answers)


def flat_arrays(y: Any) -> np.ndarray:
    """All numbers of an output in one vector; whole ones and booleans as float64, for bytes have no negative ones."""
    flat = np.concatenate([np.ravel(part) for part in parts(y)])
    return flat.astype(float) if flat.dtype.kind in "biu" else flat


def copy_gradients(grads: Any) -> list:
    """The backward's answer as a list of copies, which a later call cannot change."""
    grads = list(grads) if isinstance(grads, tuple | list) else [grads]
    return [gradient.copy() if isinstance(gradient, np.ndarray) else gradient for gradient in grads]


def one_hot(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """1 at one index, 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1.0
    return direction


def _shrink(x: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """x times up to `factor`, with 0 replaced by an entry of the usual size."""
    usual = np.copysign(usual_size(x), x.mean() if x.size else 0.0)
    return np.where(x == 0, usual, x) * rng.uniform(0.1, 1, x.shape) * factor


def usual_size(x: np.ndarray) -> float:
    """The mean size of the entries, 1 where all are 0."""
    return float(np.abs(x).mean() if np.size(x) else 0.0) or 1.0


def rounding_of(slopes: Iterable[float]) -> float:
    """How much rounding derivatives of the size of `slopes` have."""
    return 16 * EPS * max((abs(slope) for slope in slopes if np.isfinite(slope)), default=0.0)
