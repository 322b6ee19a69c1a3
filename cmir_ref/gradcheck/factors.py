"""Kinds of mistakes that are a factor: one that is left out, one too many, one in the place of another.

The factor may stand anywhere between an output and the input: it is an array of the forward, or one made of it, with
its axes laid on those of the Jacobian.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .evidence import Array, Evidence, Jacobians

PROBES = 64  # entries of a Jacobian by which most guesses are ruled out
MOST_FORMS = 5000
FEWEST = 3  # so many numbers, neither of them 0, are a proof of a factor
MOST_BLOCKS = 4  # of an array that holds several side by side
SLOPE = "the slope of "
NOTHING = 1e-9  # relative to the largest entry: below it, a number is what rounding leaves of 0


class Form(NamedTuple):
    """Something made of the forward's arrays that can be a factor."""

    words: str
    value: Array
    remark: str = ""


class Placed(NamedTuple):
    """A form with its axes laid on axes of a Jacobian."""

    form: Form
    axes: tuple[int, ...]


def pieces(e: Evidence) -> dict[str, Array]:
    """The forward's arrays that vary, and the blocks of those that hold several side by side, as gates' weights."""
    varied = {name: a for name, a in e.arrays.items() if a.size > 1 and a.min() < a.max()}
    width = e.y.shape[-1] if e.y is not None and e.y.ndim else e.jacobians().right.shape[-1:][0] if e.x.ndim else 0
    for name, a in list(varied.items()):
        if a.ndim and 1 < width < a.shape[-1] <= MOST_BLOCKS * width and a.shape[-1] % width == 0:
            for k in range(0, a.shape[-1], width):
                varied[f"{name}[{':, ' * (a.ndim - 1)}{k}:{k + width}]"] = a[..., k : k + width]
    return varied


def forms(e: Evidence) -> Iterator[Form]:
    """The forward's arrays themselves, slopes that they tell, their differences, norms and sums by line, and masks."""
    varied = pieces(e)
    computed = {name: a for name, a in varied.items() if name.split("[")[0] not in (e.input, *e.others)}
    most = max((a.ndim for a in (e.x, *e.others.values())), default=0)  # an array for lines alone is no layer's output
    bounded = {n: a for n, a in computed.items() if a.ndim >= most and 1 not in a.shape and -1 < a.min() < a.max() < 1}
    for name, a in varied.items():
        yield Form(name, a, _side_of_gate(name) if name in bounded and a.min() > 0 else "")
    for name, a in bounded.items():
        yield from bounded_forms(name, a)
    for (name, a), (other, b) in combinations(varied.items(), 2):
        if a.shape == b.shape and np.abs(a - b).max() > NOTHING * np.abs(a).max():
            yield Form(f"{name} − {other}", a - b)
    for name, a in varied.items():
        yield from line_forms(name, a)
    for name, a in varied.items():
        yield from unkept_forms(name, a)


def line_forms(name: str, a: Array) -> Iterator[Form]:
    """The square of an array, and the norm and the sum of each line."""
    yield Form(f"{name}²", a * a)
    for axis in range(a.ndim) if a.ndim > 1 else ():
        yield Form(f"‖{name}‖ along axis {axis}", np.sqrt((a * a).sum(axis, keepdims=True)))
        total = a.sum(axis, keepdims=True)
        if np.abs(total).max() > NOTHING * np.abs(a).max():  # else it is what rounding leaves of 0
            yield Form(f"the sum of {name} along axis {axis}", total)


def unkept_forms(name: str, a: Array) -> Iterator[Form]:
    """What a forward may compute of an array and not keep: tanh, σ, their slopes, and the mask of a rectifier."""
    if a.min() < 0 < a.max():
        yield Form(f"{name} > 0", (a > 0) * 1.0)
        yield Form(f"{name} < 0", (a < 0) * 1.0)
    if np.abs(a).max() < 30:
        t, p = np.tanh(a), 1 / (1 + np.exp(-a))
        yield Form(f"1 − tanh({name})²", 1 - t * t, SLOPE + "tanh")
        yield Form(f"σ({name}) (1 − σ({name}))", p * (1 - p), SLOPE + "σ")
        yield Form(f"tanh({name})", t)
        yield Form(f"σ({name})", p, f"half of the slope of σ at {name}")
        yield Form(f"1 − σ({name})", 1 - p, f"half of the slope of σ at {name}")


def bounded_forms(name: str, a: Array) -> Iterator[Form]:
    """What a computed array between −1 and 1 tells: the slope of the tanh or the σ that made it, and halves of it."""
    half = f"half of tanh's slope (1 − {name})(1 + {name})"
    yield Form(f"1 − {name}²", 1 - a * a, SLOPE + "tanh")
    if a.min() > 0:
        yield Form(f"{name} (1 − {name})", a * (1 - a), SLOPE + "σ")
        yield Form(f"1 − {name}", 1 - a, _side_of_gate(name))
    else:
        yield Form(f"1 − {name}", 1 - a, half)
    yield Form(f"1 + {name}", 1 + a, half)


def _side_of_gate(name: str) -> str:
    return f"if {name} is what σ gave, this is half of its slope {name} (1 − {name}), or a side of a gate"


class Probe(NamedTuple):
    """A few entries of both Jacobians."""

    index: tuple[Array, ...]
    ours: Array
    right: Array

    def at(self, placed: Placed) -> Array:
        """A placed form at these entries."""
        value = placed.form.value.reshape([n for n in placed.form.value.shape if n > 1])
        return value[tuple(self.index[k] for k in placed.axes)]


def draw_probe(j: Jacobians, where: Array) -> Probe:
    """Some of the entries at which `where` is true."""
    some = np.flatnonzero(where)
    flat = np.random.default_rng(0).choice(some, PROBES, replace=False) if some.size > PROBES else some
    index = np.unravel_index(flat, j.right.shape)
    return Probe(index, j.ours[index], j.right[index])


def placed_forms(e: Evidence, j: Jacobians) -> list[Placed]:
    """All forms on all axes where they fit."""
    placed = (Placed(form, axes) for form in forms(e) for axes in j.places(form.value))
    return [one for one, _ in zip(placed, range(MOST_FORMS), strict=False)]


class Search(NamedTuple):
    """Where a factor is looked for: both Jacobians, where they differ, and all forms on all axes."""

    j: Jacobians
    off: Array
    placed: list[Placed]

    def holds(self, one: Placed, other: Placed | None = None, *, where: Array | None = None) -> bool:
        """Whether ours · one = right · other at all entries that differ, or where `where` is true."""
        at = self.off if where is None else where
        ours, right = self.j.ours[at], self.j.right[at]
        value, beside = (1.0 if p is None else self.values(p, at) for p in (one, other))
        return self.j.same(ours * value, right * beside)

    def values(self, placed: Placed, at: Array) -> Array:
        """A placed form at some entries of the Jacobians."""
        return np.broadcast_to(self.j.spread(placed.form.value, placed.axes), self.off.shape)[at]


def search_of(e: Evidence) -> Search | None:
    """None where there is too little to prove a factor."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape or j.right.size < 2 or not j.ours.any():
        return None
    off = np.abs(j.ours - j.right) > j.close * np.maximum(np.abs(j.ours), np.abs(j.right)) + j.rounding
    if j.outputs == 0 and off.shape == e.off.shape:
        off = e.off
    return Search(j, off, placed_forms(e, j)) if off.sum() > 1 else None


def factor_on_the_way(e: Evidence) -> tuple[str, str] | None:
    """An array of the forward, or the slope that it tells, is a factor that is left out or one too many.

    It explains all entries that are off. Where others are right, as where a rectifier has the slope 1, it belongs to
    those that are off alone.
    """
    if (search := search_of(e)) is None:
        return None
    j, s = search.j, draw_probe(search.j, search.off)
    enough = ((s.ours != 0) & (s.right != 0)).sum() >= FEWEST
    for one in search.placed if enough else ():
        value = s.at(one)
        if not is_mask(one.form.value) and _varies(value):
            if j.same(s.ours * value, s.right) and search.holds(one):
                return _missing_words(one.form)
            if j.same(s.ours, s.right * value) and search.holds(None, one):
                return "missing factor", f"the factor {one.form.words} is too much, or a division by it is missing"
    return mask_on_the_way(search)


def mask_on_the_way(search: Search) -> tuple[str, str] | None:
    """A mask of the forward is left out, one too many, or turned round."""
    j = search.j
    everywhere = np.ones(search.off.shape, dtype=bool)
    s = draw_probe(j, (np.abs(j.ours) > j.rounding) | (np.abs(j.right) > j.rounding))
    both = j._replace(ours=j.ours + j.right)
    for one in search.placed if s.right.any() else ():
        value = s.at(one) if is_mask(one.form.value) else np.zeros(0)
        if value.size and value.min() < value.max():
            if j.same(s.ours * value, s.right) and search.holds(one, where=everywhere):
                return "missing mask", f"a mask is missing: {one.form.words}"
            if j.same(s.ours, s.right * value) and search.holds(None, one, where=everywhere):
                return "entries dropped", f"the mask {one.form.words} is too much"
            if j.same((s.ours + s.right) * value, s.right) and search._replace(j=both).holds(one, where=everywhere):
                return "mask turned round", f"the mask {one.form.words} is turned round"
    return None


def is_mask(a: Array) -> bool:
    """Whether all numbers are 0 or 1."""
    return bool(np.isin(a, (0, 1)).all())


def _missing_words(form: Form) -> tuple[str, str]:
    if form.remark.startswith(SLOPE):
        return "missing slope", f"the factor {form.words}, {form.remark}, is missing"
    return "missing factor", f"the factor {form.words} is missing" + (form.remark and f": {form.remark}")


def _varies(value: Array) -> bool:
    """Whether the value is a proof of something: not the same everywhere."""
    return bool(np.ptp(value) > 1e-6 * np.abs(value).max())


def other_factor(e: Evidence) -> str | None:
    """One array stands where another belongs: a term of a difference, the other side of a gate, or a transpose.

    Of all pairs with ours · missing = right · instead, the simplest is named.
    """
    if (search := search_of(e)) is None:
        return None
    j, s = search.j, draw_probe(search.j, search.off)
    if s.right.size < 4 or not (s.ours.all() and s.right.all()):
        return None
    usable = [(one, value) for one in search.placed if (value := s.at(one)).all() and _varies(value)]
    if not usable:
        return None
    ratio, table = s.ours / s.right, np.array([value for _, value in usable])
    order = np.argsort(table[:, 0])
    first, pairs = table[order, 0], []
    for k, row in enumerate(table):
        wanted = row * ratio
        low, high = sorted(np.searchsorted(first, wanted[0] * np.array([1 - 1e-6, 1 + 1e-6])))
        pairs += [(k, other) for other in order[low : high + 1] if j.same(table[other], wanted)]
    slopes = {k for k, (one, _) in enumerate(usable) if one.form.remark.startswith(SLOPE)}
    for pair in sorted(pairs, key=lambda pair: (not slopes.issuperset(pair), sum(pair))):
        missing, instead = (usable[k][0] for k in pair)
        if search.holds(missing, instead):
            return _exchange_words(missing.form.words, instead.form.words)
    return None


def _exchange_words(missing: str, instead: str) -> str:
    if missing == instead:
        return f"a transpose of {missing} is missing, or one too many"
    branch = ": a branch of the product is missing" if instead in missing.split(" − ") else ""
    other_way = f"or a division by {missing} where one by {instead} belongs"
    return f"the factor {instead} stands where {missing} belongs, {other_way}{branch}"


def factor_of_each_line(e: Evidence) -> str | None:
    """right = c ⊙ ours with a number c of its own for each index of one axis, as 1/‖x‖ of each row, or 1/σ."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape:
        return None
    for axis in reversed(range(j.right.ndim)):
        others = tuple(a for a in range(j.right.ndim) if a != axis)
        size = (j.ours * j.ours).sum(others, keepdims=True)
        counts = (np.abs(j.ours) > j.rounding).sum(others)
        if j.right.shape[axis] < 2 or not size.all() or counts.min() < 2:
            continue
        c = (j.ours * j.right).sum(others, keepdims=True) / size
        if j.same(j.ours * c, j.right):
            return _line_words(e, j, axis, c.ravel())
    return None


def _line_words(e: Evidence, j: Jacobians, axis: int, c: Array) -> str:
    first = ", ".join(f"{value:.4g}" for value in c[:3])
    what, of = (axis - j.outputs, e.input) if axis >= j.outputs else (axis, "y")
    like = "as another ε" if np.abs(c - 1).max() < 0.1 else f"as 1/‖{e.input}‖ of a row, 1/σ, or another ε"
    return f"each index of axis {what} of {of} lacks a factor of its own ({first}, …), {like}"


def parts_left_out(e: Evidence) -> str | None:
    """What some outputs give to x is 0 and should not be, and all the rest is right."""
    if (search := search_of(e)) is None or not search.j.outputs:
        return None
    j, off, right = search.j, search.off, np.abs(search.j.right) > search.j.rounding
    if (np.abs(j.ours[off]) > j.rounding).any() or off.sum() < 2 or not (right & ~off).any():
        return None
    if (k := _ignored_output(e, off, right)) is not None:
        return f"dy[{k}] has no part in it: nothing comes back from output {k}"
    return (
        f"{off.sum()} of {right.sum()} products dy · ∂y/∂{e.input} are left out of the sum, the others are right: "
        "a term is overwritten (= for +=), or never added"
    )


def _ignored_output(e: Evidence, off: Array, right: Array) -> int | None:
    """Of several outputs, the only one at which anything is left out, and at which everything is."""
    if len(e.sizes) < 2:
        return None
    ends = np.cumsum(e.sizes)[:-1]
    lost, there = (np.split(a.reshape(sum(e.sizes), -1), ends) for a in (off, right))
    some = [k for k, block in enumerate(lost) if block.any()]
    return some[0] if len(some) == 1 and np.array_equal(lost[some[0]], there[some[0]]) else None


def factor_of_each_output(e: Evidence) -> str | None:
    """ours(dy) = right(c ⊙ dy): each output has a factor of its own, and the way from there on is right."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape or j.outputs == 0:
        return None
    inside = tuple(range(j.outputs, j.right.ndim))
    size = (j.right * j.right).sum(inside, keepdims=True)
    counts = (np.abs(j.right) > j.rounding).sum(inside)
    if counts[counts > 0].size < 2 or counts[counts > 0].min() < 2:
        return None
    c = np.divide((j.ours * j.right).sum(inside, keepdims=True), size, out=np.zeros(size.shape), where=size > 0)
    if not j.same(j.ours, j.right * c):
        return None
    first = ", ".join(f"{value:.4g}" for value in c.ravel()[:3])
    return (
        f"dy is multiplied by a wrong number for each entry of y ({first}, …), and all after it is right: "
        "a slope, or a factor, is left out or wrong at the beginning of this path"
    )
