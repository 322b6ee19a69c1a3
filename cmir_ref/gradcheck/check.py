"""The check that a reader can point at a pair of their own."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .numeric import central_difference, complex_step, directional, random_direction, winners

METHODS = ("complex-step", "central-difference", "directional")
FLOOR = 1e-8  # gradients below this are rounded zeros: compared absolutely


class Result(NamedTuple):
    """One comparison: how far `backward` is from the measured derivative of `f` with respect to one input."""

    input: str
    method: str
    error: float  # max|a − b| / max(max|a|, max|b|)
    worst: tuple[int, ...]  # where the largest difference is
    ours: float
    measured: float


def relative_error(a: np.ndarray, b: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """(max|a − b| / max(max|a|, max|b|), the index of the largest difference); absolute where both are zero.

    A NaN counts as an infinite error.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"a gradient of shape {a.shape} for an input of shape {b.shape}")
    if a.size == 0:
        return 0.0, ()
    gap = np.where(np.isnan(a - b), np.inf, np.abs(a - b))
    worst = tuple(int(i) for i in np.unravel_index(gap.argmax(), gap.shape))
    size = max(np.abs(a).max(), np.abs(b).max())
    return float(gap.max() / size if size > FLOOR else gap.max()), worst


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

    Raises `ValueError` where the number or the shape of the gradients is not that of the inputs, where there is no
    gradient at all, and where an argument was written into.
    """
    rng = np.random.default_rng(seed)
    inputs = [np.asarray(x, dtype=float) for x in inputs]
    names = list(names or (f"input {i}" for i in range(len(inputs))))
    given = [x.copy() for x in inputs]
    y, cache = f(*inputs)
    dy = _map(lambda part: random_direction(rng, np.shape(part)), y)
    before = _map(np.copy, dy)
    grads = f_backward(dy, cache)
    grads = list(grads) if isinstance(grads, tuple | list) else [grads]
    upstream_kept = (("dy", *pair) for pair in zip(_parts(dy), _parts(before), strict=True))
    for name, now, then in (*zip(names, inputs, given, strict=True), *upstream_kept):
        if not np.array_equal(now, then, equal_nan=True):
            raise ValueError(f"{name} was written into: a function and its backward leave their arguments alone")
    if len(grads) != len(inputs):
        raise ValueError(f"the backward function returns {len(grads)} gradients for {len(inputs)} inputs")

    def upstream(y):
        return sum((p * d).sum() for p, d in zip(_parts(y), _parts(dy), strict=True))

    def scalar(arrays):
        return upstream(f(*arrays)[0])

    def scalar_and_winners(arrays):
        y, cache = f(*arrays)
        return upstream(y), winners(cache)

    results = []
    wanted = [i for i, g in enumerate(grads) if g is not None]
    if not wanted:
        raise ValueError("the backward function returns no gradient at all")
    for i in wanted:
        ours = np.asarray(grads[i])
        if ours.shape != inputs[i].shape:
            raise ValueError(f"{names[i]}: a gradient of shape {ours.shape} for an input of shape {inputs[i].shape}")
        for method, measure in (
            ("complex-step", partial(complex_step, scalar)),
            ("central-difference", partial(central_difference, scalar_and_winners)),
        ):
            if method in methods:
                measured = measure(inputs, i)
                error, worst = relative_error(ours, measured)
                results.append(Result(names[i], method, error, worst, *_at(ours, measured, worst)))
    if "directional" in methods and wanted:
        for _ in range(draws):
            d = [random_direction(rng, x.shape) if i in wanted else np.zeros(x.shape) for i, x in enumerate(inputs)]
            ours = sum(float((grads[i] * d[i]).sum()) for i in wanted)
            measured = directional(scalar, inputs, d)
            size = sum(float(np.abs(grads[i] * d[i]).sum()) for i in wanted)  # not |ours|: terms may cancel
            error = abs(ours - measured) / size if size > FLOOR else abs(ours - measured)
            results.append(Result("all", "directional", error, (), ours, measured))
    return results


def _at(a: np.ndarray, b: np.ndarray, index: tuple[int, ...]) -> tuple[float, float]:
    return (float(a[index]), float(b[index])) if a.size else (0.0, 0.0)


def _parts(y: Any) -> list:
    """The arrays of an output; None parts are left out."""
    return [part for part in y if part is not None] if isinstance(y, tuple) else [y]


def _map(function: Callable, y: Any) -> Any:
    """`function` on each array of an output, in the output's own (named) tuple."""
    if not isinstance(y, tuple):
        return function(y)
    parts = [None if part is None else function(part) for part in y]
    return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
