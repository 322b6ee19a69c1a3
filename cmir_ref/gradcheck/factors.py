"""Kinds of mistakes that are a factor: one that is left out, one too many, one in the place of another.

The factor may stand anywhere between an output and the input: it is an array of the forward, or one made of it, with
its axes laid on those of the Jacobian.
"""

from itertools import islice
from typing import NamedTuple

import numpy as np

from .evidence import Array, Evidence, Jacobians, line_text
from .forms import ODDS, SLOPE, Form, forms, is_mask

PROBES = 64  # entries of a Jacobian by which most guesses are ruled out
MOST_FORMS = 5000
MOST_PAIRS = 300  # of forms, the simplest ones
FEWEST = 3  # so many numbers, neither of them 0, are a proof of a factor
FEWEST_SIGNS = 8  # likewise of a mask that is made of the signs of an array


class Placed(NamedTuple):
    """A form with its axes laid on axes of a Jacobian."""

    form: Form
    axes: tuple[int, ...]


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


def entries_off(j: Jacobians) -> Array:
    """Where the two Jacobians differ."""
    return np.abs(j.ours - j.right) > j.close * np.maximum(np.abs(j.ours), np.abs(j.right)) + j.rounding


def search_of(e: Evidence) -> Search | None:
    """None where there is too little to prove a factor."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape or j.right.size < 2 or not j.ours.any():
        return None
    off = entries_off(j)
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
                words = f"the factor {one.form.words} is too much, or a division by it is missing"
                return "missing factor", words + _sides_text(one.form, "{p} stands where {q} belongs")
    return mask_on_the_way(search)


def mask_on_the_way(search: Search) -> tuple[str, str] | None:
    """A mask of the forward is left out, one too many, or turned round."""
    j = search.j
    everywhere = np.ones(search.off.shape, dtype=bool)
    s = draw_probe(j, (np.abs(j.ours) > j.rounding) | (np.abs(j.right) > j.rounding))
    both = j._replace(ours=j.ours + j.right)
    for one in search.placed if s.right.any() else ():
        value = s.at(one) if is_mask(one.form.value) and not _few_signs(one.form) else np.zeros(0)
        if value.size and value.min() < value.max():
            if j.same(s.ours * value, s.right) and search.holds(one, where=everywhere):
                return "missing mask", f"a mask is missing: {one.form.words}"
            if j.same(s.ours, s.right * value) and search.holds(None, one, where=everywhere):
                return "entries dropped", f"the mask {one.form.words} is too much"
            if j.same((s.ours + s.right) * value, s.right) and search._replace(j=both).holds(one, where=everywhere):
                return "mask turned round", f"the mask {one.form.words} is turned round"
    return None


def _few_signs(form: Form) -> bool:
    """Whether a mask is made of so few signs, or of lines of equal ones, that one of many arrays has them by chance."""
    a = form.value
    for axis in range(a.ndim):
        a = a.take([0], axis) if (a == a.take([0], axis)).all() else a
    return form.words.endswith((" > 0", " < 0")) and a.size < FEWEST_SIGNS


def _missing_words(form: Form) -> tuple[str, str]:
    if form.remark.startswith(SLOPE):
        return "missing slope", f"the factor {form.words}, {form.remark}, is missing"
    words = f"the factor {form.words} is missing"
    if form.remark.startswith(ODDS):
        return "missing factor", words + _sides_text(form, "{q} stands where {p} belongs")
    return "missing factor", words + (form.remark and f": {form.remark}")


def _sides_text(form: Form, words: str) -> str:
    """exp(a) is σ(a) / (1 − σ(a)): what is said of the one holds of the other."""
    name = form.remark.removeprefix(ODDS)
    return ", or " + words.format(p=f"σ({name})", q=f"1 − σ({name})") if form.remark.startswith(ODDS) else ""


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
    if not _varies(ratio):
        return None  # a number is a factor, and not one array in the place of another
    order = np.argsort(table[:, 0])
    first, pairs = table[order, 0], []
    for k, row in enumerate(table):
        wanted = row * ratio
        low, high = sorted(np.searchsorted(first, wanted[0] * np.array([1 - 1e-6, 1 + 1e-6])))
        pairs += [(k, other) for other in order[low : high + 1] if j.same(table[other], wanted)]
    slopes = {k for k, (one, _) in enumerate(usable) if one.form.remark.startswith(SLOPE)}
    pairs = sorted(pairs, key=lambda pair: (not slopes.issuperset(pair), sum(pair)))
    placed = ([usable[k][0] for k in pair] for pair in pairs)
    found = [(missing, instead) for missing, instead in islice(placed, MOST_PAIRS) if search.holds(missing, instead)]
    return "; or ".join(dict.fromkeys(_exchange_words(e, j, *pair) for pair in _simplest(e, found))) or None


def _simplest(e: Evidence, found: list[tuple[Placed, Placed]]) -> list[tuple[Placed, Placed]]:
    """The first pair; where it is of two arrays as they are, all such pairs, since none of them is simpler."""

    def is_plain(pair):
        missing, instead = (one.form.words for one in pair)
        return missing != instead and missing in e.arrays and instead in e.arrays

    return [pair for pair in found if is_plain(pair)] if found and is_plain(found[0]) else found[:1]


def _exchange_words(e: Evidence, j: Jacobians, missing: Placed, instead: Placed) -> str:
    words, other = missing.form.words, instead.form.words
    if words == other:
        return _turned_words(e, j, missing, instead)
    difference = other in words.split(" − ") and not words.startswith("1 − ")
    branch = ": a branch of the product is missing" if difference else ""
    other_way = f"or a division by {words} where one by {other} belongs"
    return f"the factor {other} stands where {words} belongs, {other_way}{branch}"


def _turned_words(e: Evidence, j: Jacobians, missing: Placed, instead: Placed) -> str:
    """The same factor on other axes: transposed, or multiplied in at the other end of the way."""
    name, right, wrong = missing.form.words, set(missing.axes), set(instead.axes)
    if right == wrong:
        return f"a transpose of {name} is missing, or one too many"
    inside = [max(axes) >= j.outputs for axes in (right - wrong, wrong - right)]
    if inside == [True, False]:
        return (
            f"the factor {name} goes with the entries of {e.result} and belongs to those of {e.input}: multiply after "
            "what sums or reorders on the way back, not before it"
        )
    if inside == [False, True]:
        return (
            f"the factor {name} goes with the entries of {e.input} and belongs to those of {e.result}: multiply before "
            "what sums or reorders on the way back, not after it"
        )
    return f"the factor {name} lies along another axis than it should"


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
    if axis == 0 < j.outputs and len(e.sizes) > 1 and (words := _words_by_output(e, c)):
        return words
    what, of = (axis - j.outputs, e.input) if axis >= j.outputs else (axis, e.result)
    off = np.flatnonzero(np.abs(c - 1) > j.close)
    each = "each index" if off.size == c.size else f"{line_text(what, off[:5], 3).split(' of axis')[0]}"
    each = each if off.size <= 5 or off.size == c.size else f"{off.size} of {c.size} indices"
    lacks = "lacks a factor of its own" if each == "each index" else "alone: a factor is missing there"
    first = ", ".join(map(_number, c[off][:3])) + (", …" if off.size > 3 else "")
    like = "as another ε" if np.abs(c - 1).max() < 0.1 else f"as 1/‖{e.input}‖ of a row, 1/σ, a count, or another ε"
    return f"{each} of axis {what} of {of} {lacks} ({first}), {like}"


def _number(c: float) -> str:
    """A factor in four digits, as 1 + 5e-06 where it is so near to 1."""
    return f"{c:.4g}" if abs(c - 1) > 1e-3 else f"1 {'+' if c > 1 else '−'} {abs(c - 1):.1g}"


def _words_by_output(e: Evidence, c: Array) -> str:
    """Where each of several outputs has one factor: what it is for those that lack one."""
    blocks = np.split(np.broadcast_to(c, sum(e.sizes)) if c.size == 1 else c, np.cumsum(e.sizes)[:-1])
    if c.size == len(e.sizes):
        blocks = list(c[:, None])
    if any(block.size == 0 or np.ptp(block) > 1e-6 * np.abs(block).max() for block in blocks):
        return ""
    lacking = [f"{_number(block[0])} of output {k}" for k, block in enumerate(blocks) if abs(block[0] - 1) > 1e-9]
    return f"what comes back from single outputs lacks a factor: {', '.join(lacking)}"


def parts_left_out(e: Evidence) -> str | None:
    """What some outputs give to x is 0 and should not be, and all the rest is right."""
    if (search := search_of(e)) is None or not search.j.outputs:
        return None
    j, off, right = search.j, search.off, np.abs(search.j.right) > search.j.rounding
    if (np.abs(j.ours[off]) > j.rounding).any() or off.sum() < 2 or not (right & ~off).any():
        return None
    return (
        f"{off.sum()} of {right.sum()} products dy · ∂y/∂{e.input} are left out of the sum, the others are right: "
        "a term is overwritten (= for +=), or never added"
    )


def ignored_output(e: Evidence) -> str | None:
    """Of several outputs, nothing comes back from one, and all the rest is right."""
    j = e.jacobians() if len(e.sizes) > 1 else None
    if j is None or not j.outputs or j.ours.shape != j.right.shape:
        return None
    ends = np.cumsum(e.sizes)[:-1]
    rows = (
        a.reshape(sum(e.sizes), -1) for a in (entries_off(j), np.abs(j.right) > j.rounding, np.abs(j.ours) > j.rounding)
    )
    off, right, ours = (np.split(a, ends) for a in rows)
    some = [k for k, block in enumerate(off) if block.any()]
    if len(some) != 1 or ours[some[0]].any() or not np.array_equal(off[some[0]], right[some[0]]):
        return None
    return f"dy[{some[0]}] has no part in it: nothing comes back from output {some[0]}"


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
        f"dy is multiplied by a wrong number for each entry of {e.result} ({first}, …), and all after it is right: "
        "a slope, or a factor, is left out or wrong at the beginning of this path"
    )
