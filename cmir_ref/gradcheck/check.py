"""The check that a reader can point at a pair of their own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .numeric import central_difference, complex_step, directional, random_direction, winners

METHODS = ("complex-step", "central-difference", "directional")
GATES = {"complex-step": 1e-12, "central-difference": 1e-6, "directional": 1e-12}  # the largest error that passes
FLOOR = 1e-8  # gradients below this are rounded zeros: compared absolutely


class Pair(NamedTuple):
    """A function and its backward over positional arrays, and inputs by name at which they can be checked."""

    forward: Callable
    backward: Callable
    inputs: dict[str, np.ndarray]
    name: str = "f"


class Result(NamedTuple):
    """One comparison: how far `backward` is from the measured derivative of `f` with respect to one input."""

    input: str
    method: str
    error: float  # max|a − b| / max(max|a|, max|b|)
    worst: tuple[int, ...]  # where the largest difference is
    ours: float
    measured: float
    entries: int = 1  # how many were compared
    shrunk: int = 0  # at how many of them a winner changed at x ± h, so that h had to shrink


class WrittenInto(ValueError):
    """A function or its backward changed one of its arguments."""


class NotAPair(ValueError):
    """The function does not keep to the protocol y, cache = f(…)."""


class Trial(NamedTuple):
    """A pair that was called once: what every comparison starts from."""

    f: Callable
    inputs: list[np.ndarray]
    names: list[str]
    held: set[int]  # labels, masks, indices: passed on as they are, never differentiated
    y: Any
    cache: Any
    dy: Any  # the random upstream
    grads: list  # the backward's answer, one for each input, not judged yet

    def upstream(self, y: Any) -> Any:
        """⟨y, dy⟩: the scalar that is differentiated."""
        return sum((p * d).sum() for p, d in zip(_parts(y), _parts(self.dy), strict=True))

    def call(self, arrays: Sequence[np.ndarray]) -> tuple[Any, Any]:
        """f at `arrays`, with whatever is not differentiated left as it was given."""
        return self.f(*(self.inputs[i] if i in self.held else x for i, x in enumerate(arrays)))

    def scalar(self, arrays: Sequence[np.ndarray]) -> Any:
        """⟨f(arrays), dy⟩."""
        return self.upstream(self.call(arrays)[0])

    def scalar_and_winners(self, arrays: Sequence[np.ndarray]) -> tuple[Any, bytes]:
        """⟨f(arrays), dy⟩ and the masks and indices in the cache."""
        y, cache = self.call(arrays)
        return self.upstream(y), winners(cache)


def relative_error(a: np.ndarray, b: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """(max|a − b| / max(max|a|, max|b|), the index of the largest difference); absolute where both are zero.

    A NaN counts as an infinite error.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"a gradient of shape {a.shape} for an input of shape {b.shape}")
    if a.size == 0:
        return 0.0, ()
    with np.errstate(invalid="ignore"):
        gap = np.where(np.isnan(a - b), np.inf, np.abs(a - b))
    worst = tuple(int(i) for i in np.unravel_index(gap.argmax(), gap.shape))
    size = max(np.abs(a).max(), np.abs(b).max())
    return float(gap.max() / size if FLOOR < size < np.inf else gap.max()), worst


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

    Whole numbers and booleans reach `f` as they are where their gradient is None (labels, a mask), else as float64.

    Raises `ValueError` where the number or the shape of the gradients is not that of the inputs, where there is no
    gradient at all, where `f` does not return (y, cache), where an input is not made of real numbers, and where an
    argument was written into.
    """
    trial = attempt(f, f_backward, inputs, names=names, seed=seed)
    wanted = [i for i, g in enumerate(trial.grads) if g is not None]
    if not wanted:
        raise ValueError("the backward function returns no gradient at all")
    results = []
    for i in wanted:
        ours = gradient_of(trial, i)
        if ours.shape != trial.inputs[i].shape:
            raise ValueError(
                f"{trial.names[i]}: a gradient of shape {ours.shape} for an input of shape {trial.inputs[i].shape}"
            )
        for method in METHODS[:2]:
            if method in methods:
                results.append(compare(trial, i, method, *measure(trial, i, method)))
    if "directional" in methods:
        results += _directional(trial, wanted, seed, draws)
    return results


def gradient_of(trial: Trial, i: int) -> np.ndarray:
    """The backward's gradient for input i as an array; `ValueError` where it is not made of real numbers."""
    ours = np.asarray(trial.grads[i])
    if ours.dtype.kind not in "fiub":
        kind = "complex numbers" if ours.dtype.kind == "c" else type(trial.grads[i]).__name__
        raise ValueError(f"{trial.names[i]}: the gradient is an array of real numbers, not {kind}")
    return ours


def measure(trial: Trial, i: int, method: str) -> tuple[np.ndarray, int]:
    """(∂⟨f, dy⟩/∂ input i by complex step or central difference, at how many entries h had to shrink)."""
    if method == "complex-step":
        return complex_step(trial.scalar, trial.inputs, i), 0
    shrunk: list = []
    return central_difference(trial.scalar_and_winners, trial.inputs, i, shrunk=shrunk), len(shrunk)


def compare(trial: Trial, i: int, method: str, measured: np.ndarray, shrunk: int = 0) -> Result:
    """One `Result`: the backward's gradient of input i against a measured one of the same shape."""
    ours = gradient_of(trial, i)
    error, worst = relative_error(ours, measured)
    at = (float(ours[worst]), float(measured[worst])) if ours.size else (0.0, 0.0)
    return Result(trial.names[i], method, error, worst, *at, ours.size, shrunk)


def _directional(trial: Trial, wanted: list[int], seed: int, draws: int) -> list[Result]:
    """⟨dx, d⟩ against the derivative along d for `draws` random directions d over all inputs."""
    rng = np.random.default_rng([seed, 1])
    results = []
    for _ in range(draws):
        d = [random_direction(rng, x.shape) if i in wanted else np.zeros(x.shape) for i, x in enumerate(trial.inputs)]
        ours = sum(float((trial.grads[i] * d[i]).sum()) for i in wanted)
        measured = directional(trial.scalar, trial.inputs, d)
        size = sum(float(np.abs(trial.grads[i] * d[i]).sum()) for i in wanted)  # not |ours|: terms may cancel
        error = abs(ours - measured) / size if size > FLOOR else abs(ours - measured)
        results.append(Result("all", "directional", error, (), ours, measured))
    return results


def _call(f: Callable, f_backward: Callable, inputs: list, names: list[str], held: set[int], seed: int) -> Trial:
    """The pair called once; an argument that it changed is an error."""
    rng = np.random.default_rng([seed, 3])  # not `seed`: inputs drawn from it would be the upstream themselves
    given = [x.copy() for x in inputs]
    answer = f(*inputs)
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise NotAPair(f"the function returns (y, cache), not {_described(answer)}")
    y, cache = answer
    for part in _parts(y):
        if np.asarray(part).dtype.kind not in "fiub":
            raise NotAPair(f"the function's y is made of real numbers, not {_described(part)}")
    _unchanged("the forward function", names, inputs, given)
    dy = mapped(lambda part: random_direction(rng, np.shape(part)), y)
    before = mapped(np.copy, dy)
    grads = f_backward(dy, cache)
    _unchanged("the backward function", names, inputs, given)
    _unchanged("the backward function", ["dy"] * len(_parts(dy)), _parts(dy), _parts(before))
    grads = list(grads) if isinstance(grads, tuple | list) else [grads]
    if len(grads) != len(inputs):
        raise ValueError(f"the backward function returns {len(grads)} gradients for {len(inputs)} inputs")
    return Trial(f, inputs, names, held, y, cache, dy, grads)


def _unchanged(who: str, names: Sequence[str], now: Sequence, then: Sequence) -> None:
    for name, a, b in zip(names, now, then, strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            raise WrittenInto(f"{name} was written into by {who}: arguments are left alone")


def _real(x: Any, i: int) -> np.ndarray:
    """An input as it is checked: float64, or whole numbers and booleans as they are."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"input {i} is an array of real numbers, not {_described(x)}")
    return x.astype(float) if x.dtype.kind == "f" else x


def _described(x: Any) -> str:
    if isinstance(x, tuple | list):
        return f"a {type(x).__name__} of {len(x)}"
    return f"an array of shape {x.shape} and dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__


def _parts(y: Any) -> list:
    """The arrays of an output; None parts are left out."""
    return [part for part in y if part is not None] if isinstance(y, tuple) else [y]


def mapped(function: Callable, y: Any) -> Any:
    """`function` on each array of an output, in the output's own (named) tuple."""
    if not isinstance(y, tuple):
        return function(y)
    parts = [None if part is None else function(part) for part in y]
    return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
