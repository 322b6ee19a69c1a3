"""What kind of mistake looks like this? A table of pure functions, asked in order, from a wrong gradient to a sentence.

Each takes the `Evidence` about one input and answers with a sentence, or None where its kind does not fit. "Fits" means
equality to rounding after the mistake is undone: a guess is never named.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, combinations, permutations, product
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .check import gaps, relative_error
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
    others: Mapping[str, Array] = MappingProxyType({})  # the other inputs …
    ours_of: Mapping[str, Array] = MappingProxyType({})  # … the backward's gradients for them …
    measured_of: Mapping[str, Array] = MappingProxyType({})  # … and the measured ones
    remeasure: Callable[[str, Array], Array | None] = lambda name, value: None  # measured at another value of an input
    close: float = 1e-9  # the relative error to which a measured gradient can be trusted
    error: float = 0.0  # … and the largest estimated error of one of its entries
    wrong: Array | None = None  # the entries that are off, where this is known
    dy: Array | None = None  # the upstream of y

    def same(self, a: Array | None, b: Array) -> bool:
        """Whether two arrays are equal to rounding, each entry by its own size, and not merely both zero."""
        if a is None or np.shape(a) != np.shape(b) or np.size(a) == 0 or not np.isfinite(a).all() or not np.any(b):
            return False
        return bool((gaps(a, b) <= self.close * np.maximum(np.abs(a), np.abs(b)) + self.rounding).all())

    @property
    def rounding(self) -> float:
        """Differences that may be rounding of the largest entry, as where an entry should be 0.

        0 where entries are off by less: then the sizes differ so much that each has to be looked at by itself.
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


def diagnose(e: Evidence) -> tuple[str | None, str]:
    """(the kind of mistake or None, a sentence)."""
    for kind, look in KINDS_OF_VALUES if e.ours.shape == e.measured.shape else KINDS_OF_SHAPES:
        if sentence := look(e):
            return kind, sentence
    if e.ours.shape != e.measured.shape:
        return None, f"no known kind: a gradient of shape {e.ours.shape} for an input of shape {e.x.shape}"
    return None, f"no known kind: {e.off.sum()} of {e.off.size} entries are off{where(e)}"


# ---- shapes ---------------------------------------------------------------------------------------------------------


def transposed(e: Evidence) -> str | None:
    """The right numbers with the axes in another order, square or not."""
    for order in permutations(range(e.ours.ndim)):
        if list(order) != sorted(order) and e.same(e.ours.transpose(order), e.measured):
            how = ".T" if e.ours.ndim == 2 else f".transpose{order}"
            return f"the right numbers, transposed: return the gradient's {how}"
    return None


def exchanged(e: Evidence) -> str | None:
    """The right numbers for another input, and the other way round."""
    for name, measured in e.measured_of.items():
        if e.same(e.ours, measured) and name in e.ours_of and e.same(e.ours_of[name], e.measured):
            return f"this is the gradient of {name}, and the other way round: the two are swapped"
    return None


def of_another_input(e: Evidence) -> str | None:
    """The right numbers for another input."""
    for name, measured in e.measured_of.items():
        if e.same(e.ours, measured):
            return f"this is the gradient of {name}"
    return None


def sum_missing(e: Evidence) -> str | None:
    """The forward broadcast the input, and the backward did not sum over the axes along which it did."""
    for axes in subsets(e.ours.ndim):
        total = e.ours.sum(axes)
        if total.size == e.x.size and e.same(total.reshape(e.x.shape), e.measured):
            return f"the sum over {named(axes)} is missing: the forward broadcasts {e.input} along it"
    return None


def sum_too_much(e: Evidence) -> str | None:
    """The right numbers summed over axes that the input has."""
    for axes in subsets(e.x.ndim):
        total = e.measured.sum(axes)
        if total.size == e.ours.size and e.same(e.ours.reshape(total.shape), total):
            return f"summed over {named(axes)}, which {e.input} has"
    return None


def spread_missing(e: Evidence) -> str | None:
    """The forward sums the input, and the backward did not hand the numbers to all that was summed."""
    for axes in subsets(e.x.ndim):
        shape = tuple(1 if a in axes else n for a, n in enumerate(e.x.shape))
        if e.ours.size == np.prod(shape) and e.same(np.broadcast_to(e.ours.reshape(shape), e.x.shape), e.measured):
            return f"the right numbers, once: each entry along {named(axes)} of {e.input} gets them (np.broadcast_to)"
    return None


def reshaped(e: Evidence) -> str | None:
    """The right numbers in the right order, in another shape."""
    if e.ours.size == e.x.size and e.same(e.ours.reshape(e.x.shape), e.measured):
        return f"the right numbers in shape {e.ours.shape}: {e.input} has shape {e.x.shape}"
    return None


# ---- values ---------------------------------------------------------------------------------------------------------


def not_finite(e: Evidence) -> str | None:
    """NaN or infinity where the derivative is finite."""
    bad = ~np.isfinite(e.ours)
    if bad.any() and np.isfinite(e.measured).all():
        return f"{bad.sum()} of {bad.size} entries are NaN or infinite: 0/0, log 0, or an overflow in the backward"
    return None


def independent(e: Evidence) -> str | None:
    """A gradient for something that the output does not depend on."""
    if np.abs(e.measured).max() <= max(e.error, 1e-12 * np.abs(e.ours).max()):
        return f"the output does not depend on {e.input}: its gradient is 0"
    return None


def zero(e: Evidence) -> str | None:
    """No gradient at all."""
    return f"only zeros: the path to {e.input} is missing" if not e.ours.any() else None


def upstream_ignored(e: Evidence) -> str | None:
    """The answer to 2·dy is that to dy."""
    if e.same(e.answer(twice), e.ours):
        return "the upstream dy is ignored: 2·dy gives the same gradient as dy; multiply by dy"
    return None


def upstream_twice(e: Evidence) -> str | None:
    """The answer to 2·dy is four times that to dy."""
    if e.same(e.answer(twice), 4 * e.ours):
        return "the upstream dy enters twice: 2·dy gives four times the gradient of dy"
    return None


def float32(e: Evidence) -> str | None:
    """Off by rounding, but by float32's."""
    error = relative_error(e.ours, e.measured)[0]
    signs = np.sign(e.ours - e.measured)[e.off]
    scatter = e.off.sum() >= 2 and signs.min() < signs.max()  # rounding goes both ways, a wrong constant does not
    scatter = scatter and not follows_sign(e)
    if 1e-10 < error < 1e-6 and (e.ours.dtype == np.float32 or scatter):
        which = (
            "the gradient's dtype is float32" if e.ours.dtype == np.float32 else "a float32 array or constant inside"
        )
        return f"off by {error:.0e}, which is float32's rounding: {which}; allocate in x.dtype"
    return None


def sign(e: Evidence) -> str | None:
    """−1 times the derivative."""
    return "the sign is wrong: this is −1 times the derivative" if e.same(-e.ours, e.measured) else None


def constant_factor(e: Evidence) -> str | None:
    """c times the derivative; an N, a C or an N·C is named after its axes."""
    c = float((e.ours * e.measured).sum() / (e.measured * e.measured).sum())
    if not e.same(e.ours, c * e.measured):
        return None
    meaning = "; or ".join(meanings(abs(c), e))
    if not meaning and (np.abs(e.measured) > e.rounding).sum() < 2:
        return None  # a single number is always some multiple of another
    signed = "the sign is wrong, and there is a " if c < 0 else ""
    factor = f"{abs(c):.6g}" if abs(abs(c) - 1) > 1e-4 else f"1 {'+' if abs(c) > 1 else '−'} {abs(abs(c) - 1):.2g}"
    return f"{signed}factor {factor} on every entry" + (f": {meaning}" if meaning else "")


def meanings(c: float, e: Evidence) -> Iterator[str]:
    """What a factor c can come from: a square's 2, a half, the length of axes of x or y."""
    near = lambda value: abs(c / value - 1) <= max(10 * e.close, 1e-9)  # noqa: E731
    if near(2):
        yield "a 2 too much (a ½ in the forward that cancels the square's 2)"
    if near(0.5):
        yield "a 2 is missing (the square's derivative), or one of the two parts of an input that enters twice"
    for name, a in e.others.items():
        if a.size == 1 and near(abs(a.item())):
            yield f"the factor {name} is too much"
        if a.size == 1 and near(1 / abs(a.item())):
            yield f"the factor {name} is missing"
    lengths: dict[str, tuple[int, str]] = {}  # "N = 4" of y says no more than "N = 4" of x
    for name, shape in shapes(e).items():
        for n, symbol, axes in products(shape):
            lengths.setdefault(f"{symbol} = {n}", (n, f"{symbol} = {n}, {named(axes)} of {name}"))
    if places := " or ".join(place for n, place in lengths.values() if near(n)):
        yield f"the 1/n of a mean is missing ({places})"
    if places := " or ".join(place for n, place in lengths.values() if near(1 / n)):
        yield f"divided by n too often, a mean where the forward sums ({places})"


def shapes(e: Evidence) -> dict[str, tuple[int, ...]]:
    """The shapes over which a forward can average."""
    return {e.input: e.x.shape} | ({} if e.y is None else {"y": e.y.shape})


def products(shape: tuple[int, ...]) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """(n, its symbol, its axes) for each axis of an array, and for the first set of axes with each other product."""
    symbols = {len(shape) - 1: "C"} | {0: "N"} if len(shape) > 1 else {}
    found = set()
    for axes in subsets(len(shape)):
        n = int(np.prod([shape[a] for a in axes]))
        if n > 1 and (len(axes) == 1 or n not in found):
            symbol = "·".join(symbols.get(a, "n" if len(shape) == 1 else f"n{a}") for a in axes)
            yield n, symbol, axes
        found.add(n)


def shifted(e: Evidence) -> str | None:
    """The right numbers one place further, along one axis or two."""
    for axes in (a for a in subsets(e.ours.ndim) if len(a) <= 2 and all(e.ours.shape[k] > 2 for k in a)):
        for steps in product((1, -1), repeat=len(axes)):
            here, there = [slice(None)] * e.ours.ndim, [slice(None)] * e.ours.ndim
            for axis, step in zip(axes, steps, strict=True):
                ends = slice(1, None), slice(None, -1)
                here[axis], there[axis] = ends[::step]
            ours, measured = e.ours[tuple(here)], e.measured[tuple(there)]
            if e.same(ours, measured) and not e.same(ours, e.measured[tuple(here)]):
                return f"the right numbers, shifted by one along {named(axes)} (the padding's offset?)"
    return None


def other_axis(e: Evidence) -> str | None:
    """A sum over the wrong axis, of dy or of another input's gradient: in a square the shape does not tell."""
    for a in (*([] if e.dy is None else [e.dy]), *e.measured_of.values()):
        sums = {axes: total for axes in subsets(a.ndim) if (total := a.sum(axes)).size == e.x.size}
        for wrong, right in permutations(sums, 2):
            if e.same(sums[wrong].reshape(e.x.shape), e.ours) and e.same(sums[right].reshape(e.x.shape), e.measured):
                return f"summed over {named(wrong)} instead of {named(right)}"
    return None


def missing_factor(e: Evidence) -> str | None:
    """ours · a = measured, or ours = measured · a, for an array a of the forward: another input, x, or y."""
    for name, a in arrays(e):
        if e.same(e.ours * a, e.measured):
            return f"the factor {name} is missing"
        if e.same(e.ours, e.measured * a):
            return f"the factor {name} is too much"
    return None


def flipped(e: Evidence) -> str | None:
    """The right numbers, reversed along axes."""
    for axes in subsets(e.ours.ndim):
        if e.same(np.flip(e.ours, axes), e.measured):
            return f"the right numbers, flipped along {named(axes)} (convolution or correlation?)"
    return None


def other_transposed(e: Evidence) -> str | None:
    """The derivative as it would be if another input, a square matrix, were transposed."""
    for name, w in e.others.items():
        if w.ndim >= 2 and w.shape[-1] == w.shape[-2] and explains(e, name, w.swapaxes(-1, -2)):
            return f"this is the derivative for {name} transposed: a transpose of {name} is missing, or one too many"
    return None


def other_flipped(e: Evidence) -> str | None:
    """The derivative as it would be if another input, a kernel, were flipped."""
    for name, w in e.others.items():
        for axes in subsets(min(w.ndim, 4)):
            if all(w.shape[a] > 1 for a in axes) and explains(e, name, np.flip(w, axes)):
                return f"this is the derivative for {name} flipped along {named(axes)}: the kernel's flip is missing"
    return None


def explains(e: Evidence, name: str, value: Array) -> bool:
    """Whether ours is the derivative at another value of the input `name`."""
    if np.array_equal(value, e.others[name]):
        return False
    measured = e.remeasure(name, value)
    return measured is not None and e.same(e.ours, measured)


def half_of_two(e: Evidence) -> str | None:
    """y is symmetric in two uses of x, as xᵀx is, and one of the two parts is missing: the other is that of dyᵀ."""
    if e.y is None or e.y.ndim != 2 or e.y.shape[0] != e.y.shape[1] or (other := e.answer(np.transpose)) is None:
        return None
    if other.shape == e.ours.shape and e.same(e.ours + other, e.measured):
        return f"{e.input} enters twice, and one of the two parts is missing or overwritten: add that of dy.T"
    return None


def mask_missing(e: Evidence) -> str | None:
    """Ours is nonzero where the derivative is 0, and right elsewhere."""
    blocked = np.abs(e.measured) <= e.rounding
    if (e.off & ~blocked).any():
        return None
    return f"a mask is missing: {e.off.sum()} of {e.off.size} entries should be 0, the others are right{where(e)}"


def mask_turned(e: Evidence) -> str | None:
    """Ours is nonzero exactly where the derivative is 0."""
    if (e.ours == 0).any() and ((e.ours == 0) == (np.abs(e.measured) > e.rounding)).all():
        return "the mask is turned round: nonzero exactly where the derivative is 0"
    return None


def entries_dropped(e: Evidence) -> str | None:
    """Ours is 0 where the derivative is not, and right elsewhere."""
    if (e.ours[e.off] != 0).any():
        return None
    return (
        f"{e.off.sum()} of {e.off.size} entries are 0 and should not be, the others are right: "
        f"a mask that is too wide, or entries that were never written{where(e)}"
    )


def branch(e: Evidence) -> str | None:
    """One constant factor on some entries, the others right."""
    if e.off.all() or e.off.sum() < 2 or not e.measured[e.off].all():
        return None
    ours, measured = e.ours[e.off], e.measured[e.off]
    c = float((ours * measured).sum() / (measured * measured).sum())
    if not e.same(ours, c * measured):
        return None
    return f"a factor {c:.6g} on {e.off.sum()} of {e.off.size} entries, the others are right: one branch{where(e)}"


def permuted(e: Evidence) -> str | None:
    """The right numbers at the wrong places."""
    if e.ours.size > 1 and e.same(np.sort(e.ours, None), np.sort(e.measured, None)):
        return f"the right numbers, {e.off.sum()} of {e.off.size} of them at wrong places (an index, a reshape)"
    return None


def follows_sign(e: Evidence) -> bool:
    """Whether what is missing is one number times the sign of x."""
    missing = e.measured - e.ours
    signs = np.sign(e.x)
    size = float((missing * signs).sum() / max((signs * signs).sum(), 1))
    return e.x.size > 2 and bool(size) and bool((gaps(missing, size * signs) <= 1e-3 * abs(size)).all())


def penalty_missing(e: Evidence) -> str | None:
    """The gradient of a penalty λΣ|x| is missing, or wrong: one number times the sign of x."""
    if not follows_sign(e):
        return None
    weight = ""
    if e.dy is not None and e.dy.size == 1 and e.dy.any():
        weight = f" with λ = {np.abs((e.measured - e.ours) / e.dy).max():.3g}"
    return f"a term is missing, or wrong: a multiple of the sign of {e.input}, as of a penalty λΣ|{e.input}|{weight}"


def term_missing(e: Evidence) -> str | None:
    """What is missing has a simple form along some axes: a constant, a multiple of x, of y, of another input."""
    missing = np.where(e.off, e.measured - e.ours, 0)
    tolerance = min(e.close * np.abs(e.measured).max() + e.rounding, 1e-3 * np.abs(missing).max())
    one = ("a constant", np.ones(e.x.shape))
    candidates = [(f"a multiple of {name}", a) for name, a in arrays(e) if a.shape == e.x.shape]
    simple = [one, *candidates]
    for basis in chain(combinations(simple, 1), combinations(simple, 2)):
        for axes in reversed(list(subsets(e.x.ndim))):  # the strictest first: the same numbers for all entries
            if spans([a for _, a in basis], missing, axes, tolerance):
                words = " plus ".join(words for words, _ in basis)
                if len(axes) == e.x.ndim > 1:
                    return f"a term is missing, or wrong: {words}, the same for all entries"
                path = PATHS.get(words.replace(f"of {e.input}", "of x"), "")
                return f"a term is missing, or wrong: {words} along {named(axes)}{path}"
    return None


PATHS = {
    "a constant": ", a path through a mean or a sum",
    "a multiple of x": ", a path through a norm or a variance",
    "a multiple of y": ", a path through the sum that normalises, as Σ dy·y in softmax",
    "a constant plus a multiple of x": ", a path through a variance, or mean and variance (batch normalisation)",
}


def spans(basis: list[Array], missing: Array, axes: tuple[int, ...], tolerance: float) -> bool:
    """Whether `missing` is a combination of the basis on every fibre along `axes`; a short fibre is no proof."""
    fibres = [np.moveaxis(a, axes, range(-len(axes), 0)) for a in (missing, *basis)]
    n = int(np.prod(fibres[0].shape[-len(axes) :]))
    if n < len(basis) + 2:
        return False
    target, *columns = (a.reshape(-1, n) for a in fibres)
    left = 0.0
    for row in range(len(target)):
        b = np.stack([c[row] for c in columns], axis=1)
        left = max(left, np.abs(target[row] - b @ np.linalg.lstsq(b, target[row], rcond=None)[0]).max())
    return bool(left <= tolerance)


def not_linear(e: Evidence) -> str | None:
    """The answer to 2·dy is not twice that to dy."""
    answer = e.answer(twice)
    if answer is not None and not e.same(answer, 2 * e.ours):
        return "not linear in the upstream: 2·dy does not give twice the gradient of dy"
    return None


# The order is from the surest to the vaguest: a kind that fits to rounding only where it is true stands before one that
# fits more gradients. With x + b, dy is the gradient of x, but given to b it lacks a sum: the sum is asked first.
KINDS_OF_SHAPES = (
    ("swapped", exchanged),
    ("transpose", transposed),
    ("missing sum", sum_missing),
    ("sum too much", sum_too_much),
    ("missing broadcast", spread_missing),
    ("swapped", of_another_input),
    ("reshape", reshaped),
)
# Likewise. First what makes every later question meaningless (NaN, zeros, no dy), then what holds for all entries, then
# what holds for some of them; a missing term and "not linear" stand last, for they fit nearly everything.
KINDS_OF_VALUES = (
    ("not finite", not_finite),
    ("no dependence", independent),
    ("zero", zero),
    ("upstream ignored", upstream_ignored),
    ("upstream twice", upstream_twice),
    ("float32", float32),
    ("sign", sign),
    ("factor", constant_factor),
    ("transpose", transposed),
    ("swapped", exchanged),
    ("swapped", of_another_input),
    ("wrong axis", other_axis),
    ("flip", flipped),
    ("shift", shifted),
    ("missing factor", missing_factor),
    ("half of a shared input", half_of_two),
    ("missing mask", mask_missing),
    ("mask turned round", mask_turned),
    ("entries dropped", entries_dropped),
    ("branch", branch),
    ("permutation", permuted),
    ("transpose", other_transposed),
    ("flip", other_flipped),
    ("missing term", penalty_missing),
    ("missing term", term_missing),
    ("not linear", not_linear),
)


# ---- words ----------------------------------------------------------------------------------------------------------


def twice(dy: Array) -> Array:
    """2·dy."""
    return 2 * dy


def subsets(ndim: int) -> Iterator[tuple[int, ...]]:
    """All sets of axes but the empty one, small sets first."""
    return chain.from_iterable(combinations(range(ndim), n) for n in range(1, ndim + 1))


def named(axes: tuple[int, ...]) -> str:
    """(0,) -> "axis 0"; (0, 1) -> "axes 0, 1"."""
    return f"ax{'i' if len(axes) == 1 else 'e'}s {', '.join(map(str, axes))}"


def arrays(e: Evidence) -> Iterator[tuple[str, Array]]:
    """The forward's arrays that can multiply x's gradient: x itself, y, the other inputs."""
    found = {e.input: e.x} | ({} if e.y is None else {"y": e.y}) | e.others
    for name, a in found.items():
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
    for axis, places in enumerate(np.nonzero(off)):
        if off.shape[axis] > 1 and len(set(places)) == 1:
            return f"; all at index {places[0]} of axis {axis}"
    return ""
