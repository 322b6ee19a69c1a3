"""Three ways to measure a derivative, for a scalar function of a list of arrays.

f(inputs) -> scalar; `inputs` a list of float64 arrays; each function returns arrays shaped like its inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Scalar = Callable[[list[np.ndarray]], complex]

COMPLEX_STEP = 1e-40
CENTRAL_STEP = 6e-6  # about ε^(1/3): rounding error ε/h and truncation error h² meet there


def complex_step(f: Scalar, inputs: Sequence[np.ndarray], which: int) -> np.ndarray:
    """∂f/∂x by f(x + ih) = f(x) + ih f'(x) + O(h²): Im f(x + ih)/h, with no difference to cancel digits.

    Exact to rounding for every entry of `inputs[which]`, provided that f is analytic: it takes squares as x·x and
    asks `.real` in comparisons. Source: Squire & Trapp 1998.
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

    `f` returns its value and its winners (`winners`): where x ± h lies beyond a kink, that is, where another unit is
    switched on or another pixel wins a pool, h shrinks tenfold until none has changed, and NaN is the answer where
    that never happens. `shrunk`, a list, receives the indices where h had to shrink.
    """
    arrays = [np.array(x, dtype=float) for x in inputs]
    _, here = f(arrays)
    gradient = np.full(arrays[which].shape, np.nan)
    for index in np.ndindex(gradient.shape):
        x = arrays[which][index]
        for shrink in (1, 0.1, 0.01, 0.001):
            h = step * shrink * max(1.0, abs(x))
            arrays[which][index] = x + h
            above, there = f(arrays)
            arrays[which][index] = x - h
            below, yonder = f(arrays)
            arrays[which][index] = x
            if here == there == yonder:
                gradient[index] = (above - below) / (2 * h)
                break
            if shrunk is not None and shrink == 1:
                shrunk.append(index)
    return gradient


def winners(cache: Any) -> bytes:
    """The masks and indices in a cache (arrays of bool or unsigned integers) as bytes that can be compared."""
    if isinstance(cache, np.ndarray):
        return cache.tobytes() if cache.dtype.kind in "bu" else b""
    if isinstance(cache, dict):
        cache = cache.values()
    elif not isinstance(cache, tuple | list):
        return b""
    return b"".join(map(winners, cache))


def directional(f: Scalar, inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> float:
    """⟨∇f, d⟩ over all inputs at once, by complex step: one evaluation however many entries there are."""
    arrays = [np.asarray(x) + 1j * COMPLEX_STEP * d for x, d in zip(inputs, directions, strict=True)]
    return float(np.imag(f(arrays)) / COMPLEX_STEP)


def random_direction(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """±(0.1 … 1): every entry is large enough for a mistake in it to show."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 1, shape)
