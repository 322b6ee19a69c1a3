"""The central difference with an estimate of its own error, and the jump of the slope at a kink.

`outputs(arrays)` is a function of a list of arrays, and returns all its outputs y as one vector. What is differentiated
is ⟨y, dy⟩ for a given vector dy, with respect to one entry x of one of the arrays:

    D(h) = ⟨y(x + h) − y(x − h), dy⟩ / 2h          = slope + c₂h² + c₄h⁴ + …
    J(h) = (y(x + h) − 2y(x) + y(x − h)) / h       = jump  + c₁h  + c₃h³ + …        for each output

The jump is the slope above x less the slope below x: 0 where an output is smooth, and not 0 where x lies on a kink.
Both are measured for a row of steps h, each a quarter of the step before, and extrapolated to h = 0 (Richardson,
Ridders). The estimated error is the sum of two parts:

    truncation   what the last extrapolation changed
    rounding     2 Σ |dy| noise / h, over the outputs that depend on x; the noise is measured, and at least ε|y|

A gradient passes if it is off by at most twice this error and half the jump, ½ Σ |dy| |jump|. So both slopes of a kink
pass, and all that lies between them.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Outputs = Callable[[Sequence[np.ndarray]], np.ndarray]

EPS = float(np.finfo(float).eps)
RATIO = 4.0  # of a step to the next
COLUMNS = 6  # how many steps are extrapolated together, at most
FAR = 1e6  # so many widest steps away, an output that depends on x has moved by more than its rounding
NOISE_STEP = 1e-9  # of each entry: the function is straight over so short a way, and what is left is noise
LONGER_STEPS = (1e-6, 1e-3, 1.0)


class Slope(NamedTuple):
    """The derivative along a direction, as finite differences see it; UNKNOWN where there are no values nearby."""

    value: float
    error: float  # of truncation and rounding, estimated
    jump: float = 0.0  # Σ |dy| |jump|
    kink: bool = False  # the jump is larger than its own error
    still: bool = False  # no output moves, however far the step

    @property
    def reach(self) -> float:
        """How far a gradient may be from the value."""
        return 2 * self.error + self.jump / 2

    def nearest(self, gradient: float) -> float:
        """What is nearest to a gradient among the slopes of a kink and all between them."""
        return float(np.clip(gradient, self.value - self.jump / 2, self.value + self.jump / 2))

    def admits(self, gradient: float) -> bool:
        """Whether a gradient can be the derivative, or one between the two slopes of a kink."""
        return bool(np.isfinite(gradient)) and abs(gradient - self.value) <= self.reach < np.inf


UNKNOWN = Slope(np.nan, np.inf)


def slopes_of(
    outputs: Outputs, dy: np.ndarray, inputs: Sequence[np.ndarray], which: int
) -> Callable[[np.ndarray], Slope]:
    """A function from a direction in `inputs[which]` to the slope of ⟨y, dy⟩ along it.

    The steps go from wide to narrow, and the estimate with the smallest reach is kept. A narrower step that contradicts
    it replaces it: then the wide steps went past something small. The search ends where rounding alone has this reach.
    """
    x = np.asarray(inputs[which], dtype=float)
    size = float(np.abs(x).max(initial=0))
    enough = size / 100 or np.inf  # the search does not end before the step is small beside the input

    def evaluate(point: np.ndarray) -> np.ndarray | None:
        """y at `point` instead of x; None where there is no value: a wide step may leave the function's domain."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                y = outputs([point if i == which else a for i, a in enumerate(inputs)])
            except Exception:
                return None
        return y if np.isfinite(y).all() else None

    y = outputs(inputs)
    noise = np.maximum(measure_noise(evaluate, x, y), EPS * np.abs(y))

    def slope_along(direction: np.ndarray) -> Slope:
        h, best = max(1.0, size) / 8, UNKNOWN
        depends = np.zeros(y.shape, dtype=bool)
        for far in (evaluate(x + FAR * h * direction), evaluate(x - FAR * h * direction)):
            depends |= far != y if far is not None else False
        unseen = np.abs(dy) * noise / (FAR * h)  # what an output that does not move may still have for a slope
        slopes, jumps, kinks = [], [], []  # the last rows of the two tables, and the jumps that are certain
        while h > 1e-17 * (size or 1.0):
            up, down = x + h * direction, x - h * direction
            above, below = evaluate(up), evaluate(down)
            if above is None or below is None:
                depends[:] = True
                slopes, jumps, h = [], [], h / RATIO
                continue
            up, down = np.abs(up - x).max(), np.abs(down - x).max()  # the steps that were taken, after rounding
            if not (up and down):
                break
            moves = (above != y) | (below != y)
            if not moves.any() and best.reach <= 1e-3 * abs(best.value):
                break  # a change that wider steps have measured is lost in the rounding of something like 1 + x
            depends |= moves
            noise_there = np.maximum(noise, EPS * np.maximum(np.abs(above), np.abs(below)))
            rounding = 2 * float(np.where(depends, np.abs(dy) * noise_there / h, unseen).sum())
            slopes = extrapolate(float(dy @ (above - below)) / (up + down), slopes, RATIO**2)
            jumps = extrapolate((above - y) / up - (y - below) / down, jumps, RATIO)
            for slope in estimates(dy, slopes, jumps, rounding):
                contradicts = abs(slope.value - best.value) > 2 * (slope.reach + best.reach)
                if best is UNKNOWN or slope.reach < best.reach or contradicts:
                    best = slope
                kinks += [slope.jump] if slope.kink else []
            if best is not UNKNOWN and h <= enough and 2 * rounding >= best.reach:
                break
            h /= RATIO
        kink = any(abs(jump - best.jump) < 0.1 * best.jump for jump in kinks)
        return best._replace(kink=kink, still=best is not UNKNOWN and not depends.any())

    return slope_along


class Estimate(NamedTuple):
    """An entry of a table of extrapolations, and what the last extrapolation changed."""

    value: float | np.ndarray
    change: float | np.ndarray


def extrapolate(value: float | np.ndarray, last: Sequence[Estimate], factor: float) -> list[Estimate]:
    """The next row of a table of extrapolations to h = 0, for a `value` whose step is a `RATIO`th of the last row's.

    That divides the first term of the error by `factor`, and each further term by `RATIO`² more.
    """
    row = [Estimate(value, np.inf)]
    for before in last[: COLUMNS - 1]:
        value = row[-1].value + (row[-1].value - before.value) / (factor - 1)
        row.append(Estimate(value, np.maximum(abs(value - row[-1].value), abs(value - before.value))))
        factor *= RATIO**2
    return row


def estimates(
    dy: np.ndarray, slopes: Sequence[Estimate], jumps: Sequence[Estimate], rounding: float
) -> Iterator[Slope]:
    """The extrapolated slopes of one row of the tables, each with its error."""
    for slope, jump in zip(slopes[1:], jumps[1:], strict=True):
        size, unsure = float(np.abs(dy) @ np.abs(jump.value)), float(np.abs(dy) @ jump.change) + 4 * rounding
        error = float(slope.change) + rounding + 16 * EPS * abs(slope.value)
        yield Slope(slope.value, error, size, size > 10 * unsure)


def measure_noise(evaluate: Callable[[np.ndarray], np.ndarray | None], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The standard deviation of the rounding error of each output near x; 0 where the function has no values there.

    Nine values lie on a short straight line. Their fourth differences are nothing but noise: noise of variance σ² has
    fourth differences of variance 70σ². The line begins beside x, so that a kink at x is not taken for noise.
    Source: Moré & Wild 2011, "Estimating computational noise".

    An output may not move at all on so short a line, as log(1 + x) for a small x. Then a longer line is taken, if what
    is left on it is as small as the rounding of numbers like 1.
    """
    rng, size = np.random.default_rng(0), np.abs(x) if x.any() else 1.0

    def noise_on_a_line(step):
        way = step * size * rng.uniform(-1, 1, x.shape)
        values = [evaluate(x + k * way) for k in range(1, 10)]
        if any(value is None for value in values):
            return 0.0
        return np.sqrt((np.diff(values, 4, axis=0) ** 2).mean(axis=0) / 70)

    noise = np.max([noise_on_a_line(step) + 0 * y for step in 3 * [NOISE_STEP]], axis=0)
    for step in LONGER_STEPS if (noise == 0).any() else ():
        longer = noise_on_a_line(step)
        noise = np.where((noise == 0) & (longer <= 64 * EPS * np.maximum(1.0, np.abs(y))), longer, noise)
    return noise
