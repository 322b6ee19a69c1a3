"""Three ways to measure a derivative, for a scalar function of a list of arrays.

f(inputs) -> scalar; `inputs` a list of float64 arrays; each function returns arrays shaped like its inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Scalar = Callable[[list[np.ndarray]], complex]

COMPLEX_STEP = 1e-40
CENTRAL_STEP = 6e-6  # about ε^(1/3): rounding error ε/h and truncation error h² meet there
WIDE_STEP = 1e-3  # about ε^(1/5), likewise for h⁴
ROUNDING = 1e-8  # how much of a central difference may be rounding


def complex_step(f: Scalar, inputs: Sequence[np.ndarray], which: int) -> np.ndarray:
    """∂f/∂x by f(x + ih) = f(x) + ih f'(x) + O(h²): Im f(x + ih)/h, with no difference to cancel digits.

    Exact to rounding for every entry of `inputs[which]` where f is analytic: it computes squares as x·x and compares
    `.real` only. Source: Squire & Trapp 1998.
    """
    arrays = [np.array(x, dtype=complex) for x in inputs]
    gradient = np.zeros(arrays[which].shape)
    for index in np.ndindex(gradient.shape):
        arrays[which][index] += 1j * COMPLEX_STEP
        gradient[index] = np.imag(f(arrays)) / COMPLEX_STEP
        arrays[which][index] = arrays[which][index].real
    return gradient


def central_difference(
    f: Callable[[list[np.ndarray]], tuple[float, bytes]],
    inputs: Sequence[np.ndarray],
    which: int,
    step: float = CENTRAL_STEP,
    shrunk: list | None = None,
) -> np.ndarray:
    """∂f/∂x by (f(x + h) − f(x − h))/2h, h = step · max(1, |x|), for every entry of `inputs[which]`.

    `f` returns its value and its winners (`winners`). If they change between x and x ± h, a kink lies between: another
    unit is switched on, or another pixel wins a pool. Then h shrinks tenfold until they stay. If they never stay, the
    answer is NaN. `shrunk`, a list, receives the indices where h had to shrink.

    The rounding of f makes an error of ε|f|/h. Where this is not small beside the largest entry, a wider h is needed:
    four points, (8(f(x + h) − f(x − h)) − (f(x + 2h) − f(x − 2h)))/12h, have an error of h⁴ only.
    """
    arrays = [np.array(x, dtype=float) for x in inputs]
    value, here = f(arrays)
    gradient = np.full(arrays[which].shape, np.nan)

    def around(index, h, multiples):
        """f at x + h times each of `multiples`, or None where a winner changes."""
        x, values = arrays[which][index], []
        for multiple in multiples:
            arrays[which][index] = x + multiple * h
            moved, there = f(arrays)
            arrays[which][index] = x
            if there != here:
                return None
            values.append(moved)
        return values

    for index in np.ndindex(gradient.shape):
        for shrink in (1, 0.1, 0.01, 0.001):
            h = step * shrink * max(1.0, abs(arrays[which][index]))
            if values := around(index, h, (1, -1)):
                gradient[index] = (values[0] - values[1]) / (2 * h)
                break
            if shrunk is not None and shrink == 1:
                shrunk.append(index)
    if np.finfo(float).eps * abs(value) / step <= ROUNDING * np.abs(gradient).max(initial=0):
        return gradient
    for index in np.ndindex(gradient.shape):
        for shrink in (1, 0.3, 0.1, 0.03):
            h = WIDE_STEP * shrink * max(1.0, abs(arrays[which][index]))
            if values := around(index, h, (1, -1, 2, -2)):
                gradient[index] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
                break
    return gradient


def winners(cache: Any, around: tuple = ()) -> bytes:
    """The masks and indices in a cache, that is, its arrays of booleans or unsigned integers, as bytes to compare.

    `around` is what the cache is a part of: what holds itself is read once.
    """
    if isinstance(cache, np.ndarray):
        return cache.tobytes() if cache.dtype.kind in "bu" else b""
    if not isinstance(cache, dict | tuple | list) or any(cache is whole for whole in around):
        return b""
    return b"".join(winners(part, (*around, cache)) for part in (cache.values() if isinstance(cache, dict) else cache))


def directional(f: Scalar, inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> float:
    """⟨∇f, d⟩ over all inputs at once, by complex step: one evaluation, whatever the number of entries."""
    arrays = [np.asarray(x) + 1j * COMPLEX_STEP * d for x, d in zip(inputs, directions, strict=True)]
    return float(np.imag(f(arrays)) / COMPLEX_STEP)


def random_direction(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random entries ±(0.1 … 1): each is large enough to show a mistake."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 1, shape)
