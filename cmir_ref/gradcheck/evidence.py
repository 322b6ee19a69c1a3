"""What is known of a wrong gradient, and the words for axes and entries."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, combinations, product
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .compare import gaps
from .slopes import EPS

Array = np.ndarray


def _scaled(rounding: float, size: Array, whole: Array) -> float:
    """The rounding of the numbers of `whole`, less where all that is compared is smaller than these."""
    largest = np.abs(whole).max(initial=0)
    return rounding * min(1.0, float(size.max(initial=0) / largest)) if largest else rounding


class Jacobians(NamedTuple):
    """∂y/∂x for one input, its axes those of y and then those of x."""

    ours: Array  # by the backward
    right: Array  # measured
    outputs: int  # how many of the axes are y's
    close: float = 1e-9  # the relative error of two numbers that are equal
    noise: float | None = None  # the largest difference that can be rounding, where it is known

    @property
    def rounding(self) -> float:
        """The largest difference that can be rounding."""
        return 64 * EPS * float(np.abs(self.right).max(initial=0)) if self.noise is None else self.noise

    def same(self, a: Array, b: Array) -> bool:
        """Whether two arrays are equal to rounding, and not both 0. The rounding of smaller numbers is smaller."""
        size = np.maximum(np.abs(a), np.abs(b))
        rounding = _scaled(self.rounding, size, self.right)
        return bool(np.any(b) and (np.abs(a - b) <= self.close * size + rounding).all())

    def spread(self, value: Array, axes: tuple[int, ...]) -> Array:
        """A value whose axes longer than 1 are `axes` here, in a shape that multiplies the Jacobians."""
        value = value.reshape([n for n in value.shape if n > 1])
        order = np.argsort(axes)
        shape = [1] * self.right.ndim
        for k in order:
            shape[axes[k]] = value.shape[k]
        return value.transpose(order).reshape(shape)

    def places(self, value: Array) -> Iterator[tuple[int, ...]]:
        """All ways to lay the axes of a value on axes of the Jacobians that are as long."""
        lengths = [n for n in value.shape if n > 1]
        fitting = [[k for k, m in enumerate(self.right.shape) if m == n] for n in lengths]
        yield from (axes for axes in product(*fitting) if len(set(axes)) == len(axes))


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
    kept: Mapping[str, Array] = MappingProxyType({})  # what the forward's cache keeps besides, by name
    sizes: tuple[int, ...] = ()  # of the outputs, where there are several
    each_output: Callable[[], Jacobians | None] = lambda: None  # measured when it is asked for
    jumps: Callable[..., bool] = lambda some=None: False  # whether the outputs, or `some`, jump as x moves

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays of the forward by name: x, y, the other inputs, and what the cache keeps."""
        y = {} if self.y is None else {self.result: self.y}
        return {self.input: self.x} | y | dict(self.others) | dict(self.kept)

    @property
    def result(self) -> str:
        """What the output is called: y, unless an input has that name."""
        return result_name((self.input, *self.others, *self.measured_of))

    def jacobians(self) -> Jacobians:
        """∂y/∂x of each output; where they are not known, the two gradients as those of one output."""
        return self.each_output() or Jacobians(self.ours, self.measured, 0, self.close, self.rounding)

    def same(self, a: Array | None, b: Array) -> bool:
        """Whether two arrays are equal to rounding, each entry by its own size, and not merely both zero."""
        if a is None or np.shape(a) != np.shape(b) or not np.isfinite(a).all() or not np.any(b):
            return False
        size = np.maximum(np.abs(a), np.abs(b))
        return bool((gaps(a, b) <= self.close * size + _scaled(self.rounding, size, self.measured)).all())

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


def result_name(inputs: Iterable[str]) -> str:
    """What the output is called beside inputs of these names."""
    return "the output" if "y" in inputs else "y"


def twice(dy: Array) -> Array:
    """2·dy."""
    return 2 * dy


def subsets(ndim: int) -> Iterator[tuple[int, ...]]:
    """All sets of axes but the empty one, small sets first."""
    return chain.from_iterable(combinations(range(ndim), n) for n in range(1, ndim + 1))


def axes_text(axes: tuple[int, ...]) -> str:
    """(0,) -> "axis 0"; (0, 1) -> "axes 0, 1"."""
    return f"ax{'i' if len(axes) == 1 else 'e'}s {', '.join(map(str, axes))}"


def where(e: Evidence) -> str:
    """What the wrong entries have in common, for the end of a sentence; empty where it is nothing, or where all are."""
    words = region(e.off, e.x, e.input)
    return f"; they are {words}" if words not in ("", "all") else ""


def region(off: Array, x: Array, name: str) -> str:
    """Which entries are off: all, those of a sign, the diagonal, rows, columns, a block; empty without a pattern."""
    if off.all() or not off.any():
        return "all" if off.any() else ""
    for words, part in (("< 0", x < 0), ("> 0", x > 0)):
        if np.array_equal(off, part):
            return f"those with {name} {words}"
    if off.sum() == 1:
        return ""  # the entry is named anyway
    return diagonal(off) or whole_lines(off) or whole_block(off) or part_of_line(off)


def diagonal(off: Array) -> str:
    """The diagonal of a matrix, most of it, or all but it."""
    if off.ndim != 2 or min(off.shape) < 3:
        return ""
    eye = np.eye(*off.shape, dtype=bool)
    if np.array_equal(off, eye) or np.array_equal(off, ~eye):
        return "the diagonal" if off[0, 0] else "all but the diagonal"
    return "on the diagonal" if not (off & ~eye).any() and 2 * off.sum() > eye.sum() else ""


def whole_lines(off: Array) -> str:
    """Whole lines: each index of an axis is off everywhere or nowhere."""
    for axis in range(off.ndim):
        others = tuple(a for a in range(off.ndim) if a != axis)
        some, whole = off.any(others), off.all(others)
        if others and np.array_equal(some, whole):
            return line_text(axis, np.flatnonzero(whole), off.ndim)
    return ""


def line_text(axis: int, indices: Array, ndim: int) -> str:
    """(0, [2], 2) -> "row 2"; (1, [0, 2], 2) -> "columns 0, 2"; (2, [1], 3) -> "index 1 of axis 2"."""
    one, numbers = len(indices) == 1, ", ".join(map(str, indices))
    if ndim == 2:
        return f"{('row', 'column')[axis]}{'' if one else 's'} {numbers}"
    return f"{'index' if one else 'indices'} {numbers} of axis {axis}"


def part_of_line(off: Array) -> str:
    """Entries of one line of an array of several axes."""
    for axis, indices in enumerate(np.nonzero(off)):
        if off.ndim > 1 and off.shape[axis] > 1 and len(set(indices)) == 1:
            return f"in {line_text(axis, indices[:1], off.ndim)}"
    return ""


def whole_block(off: Array) -> str:
    """A block of neighbours, a slice of each axis."""
    ends = [(int(index.min()), int(index.max()) + 1) for index in np.nonzero(off)]
    slices = tuple(slice(*end) for end in ends)
    if off.ndim < 2 or off.sum() < 4 or not off[slices].all():
        return ""
    return f"the block [{', '.join(f'{a}:{b}' for a, b in ends)}]"
