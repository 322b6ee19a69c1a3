"""What is known of a wrong gradient, and the words for axes and entries."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, combinations
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .check import gaps
from .slopes import EPS

Array = np.ndarray


class Evidence(NamedTuple):
    """All that is known about one input x whose gradient is wrong."""

    input: str
    x: Array
    ours: Array
    measured: Array
    y: Array | None = None  # the forward's output, where it is one array
    answer: Callable[[Callable], Array | None] = lambda change: None  # the backward's gradient for another dy
    others: Mapping[str, Array] = MappingProxyType({})  # the other inputs by name
    ours_of: Mapping[str, Array] = MappingProxyType({})  # the backward's gradients for them
    measured_of: Mapping[str, Array] = MappingProxyType({})  # the measured gradients for them
    remeasure: Callable[[str, Array], Array | None] = lambda name, value: None  # x's, at another value of an input
    close: float = 1e-9  # the relative error of two numbers that are equal
    error: float = 0.0  # the largest estimated error of an entry of `measured`
    wrong: Array | None = None  # True where an entry is wrong; where it is not given, `off` finds out
    dy: Array | None = None  # the upstream of y

    def same(self, a: Array | None, b: Array) -> bool:
        """Whether two arrays are equal to rounding, each entry by its own size, and not merely both zero."""
        if a is None or np.shape(a) != np.shape(b) or np.size(a) == 0 or not np.isfinite(a).all() or not np.any(b):
            return False
        return bool((gaps(a, b) <= self.close * np.maximum(np.abs(a), np.abs(b)) + self.rounding).all())

    @property
    def rounding(self) -> float:
        """The largest difference that can be rounding of the largest entry, as where an entry should be 0.

        It is 0 where a wrong entry is off by less. Then the entries differ so much in size that each needs its own
        comparison.
        """
        rounding = max(64 * EPS * np.abs(self.measured).max(initial=0), 4 * self.error)
        if self.ours.shape == self.measured.shape and (self.off & (gaps(self.ours, self.measured) <= rounding)).any():
            return 0.0
        return float(rounding)

    @property
    def off(self) -> Array:
        """Where ours differs from the measured gradient."""
        if self.wrong is not None:
            return self.wrong
        size = np.maximum(np.abs(self.ours), np.abs(self.measured))
        rounding = max(64 * EPS * np.abs(self.measured).max(initial=0), 4 * self.error)
        return ~(gaps(self.ours, self.measured) <= self.close * size + rounding)


# ---- words ----------------------------------------------------------------------------------------------------------


def twice(dy: Array) -> Array:
    """2·dy."""
    return 2 * dy


def subsets(ndim: int) -> Iterator[tuple[int, ...]]:
    """All sets of axes but the empty one, small sets first."""
    return chain.from_iterable(combinations(range(ndim), n) for n in range(1, ndim + 1))


def axes_text(axes: tuple[int, ...]) -> str:
    """(0,) -> "axis 0"; (0, 1) -> "axes 0, 1"."""
    return f"ax{'i' if len(axes) == 1 else 'e'}s {', '.join(map(str, axes))}"


def multipliers(e: Evidence) -> Iterator[tuple[str, Array]]:
    """The forward's arrays that can multiply x's gradient: x itself, y, the other inputs."""
    for name, a in ({e.input: e.x} | ({} if e.y is None else {"y": e.y}) | e.others).items():
        fits = a.ndim <= e.x.ndim and all(m in (1, n) for m, n in zip(a.shape[::-1], e.x.shape[::-1], strict=False))
        if fits and a.size > 1:
            yield name, a


def where(e: Evidence) -> str:
    """What the wrong entries have in common: the sign of x, or one index along an axis."""
    off = e.off
    if off.all() or not off.any():
        return ""
    for words, region in (("x < 0", e.x < 0), ("x > 0", e.x > 0)):
        if np.array_equal(off, region):
            return f"; they are those with {words.replace('x', e.input)}"
    for axis, indices in enumerate(np.nonzero(off)):
        if off.shape[axis] > 1 and len(set(indices)) == 1:
            return f"; all at index {indices[0]} of axis {axis}"
    if off.ndim == 2 and min(off.shape) > 1:
        diagonal = np.eye(*off.shape, dtype=bool)
        for words, region in (("the diagonal", diagonal), ("all but the diagonal", ~diagonal)):
            if np.array_equal(off, region):
                return f"; they are {words}"
    return whole_lines(off) or whole_block(off)


def whole_lines(off: Array) -> str:
    """Whole lines: each index of an axis is off everywhere or nowhere."""
    for axis in range(off.ndim):
        others = tuple(a for a in range(off.ndim) if a != axis)
        some, whole = off.any(others), off.all(others)
        if others and np.array_equal(some, whole):
            return f"; they are all at indices {', '.join(map(str, np.flatnonzero(whole)))} of axis {axis}"
    return ""


def whole_block(off: Array) -> str:
    """A block of neighbours, a slice of each axis."""
    ends = [(int(index.min()), int(index.max()) + 1) for index in np.nonzero(off)]
    slices = tuple(slice(*end) for end in ends)
    if off.ndim < 2 or off.sum() < 4 or not off[slices].all():
        return ""
    return f"; they are the block [{', '.join(f'{a}:{b}' for a, b in ends)}]"
