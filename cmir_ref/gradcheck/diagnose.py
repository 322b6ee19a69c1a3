"""What kind of mistake is it? A table of pure functions that are asked in order, from a wrong gradient to a sentence.

Each function knows one kind of mistake. It takes the `Evidence` about one input, undoes the mistake, and compares with
the measured gradient. Where the two are equal to rounding it answers with a sentence, else with None. Nothing is
guessed.
"""

from collections.abc import Iterator
from itertools import chain, combinations, permutations, product

import numpy as np

from .check import gaps, relative_error
from .evidence import Array, Evidence, axes_text, multipliers, subsets, twice, where


def diagnose(e: Evidence) -> tuple[str | None, str]:
    """(the kind of mistake or None, a sentence)."""
    for kind, look in KINDS_OF_VALUES if e.ours.shape == e.measured.shape else KINDS_OF_SHAPES:
        if sentence := look(e):
            return kind, sentence
    if e.ours.shape != e.measured.shape:
        return None, f"no known kind: a gradient of shape {e.ours.shape} for an input of shape {e.x.shape}"
    return None, f"no known kind: {e.off.sum()} of {e.off.size} entries are off{where(e)}"


# ---- shapes ---------------------------------------------------------------------------------------------------------


def transpose(e: Evidence) -> str | None:
    """The right numbers with the axes in another order, square or not."""
    for order in permutations(range(e.ours.ndim)):
        if list(order) != sorted(order) and e.same(e.ours.transpose(order), e.measured):
            how = ".T" if e.ours.ndim == 2 else f".transpose{order}"
            return f"the right numbers, transposed: return the gradient's {how}"
    return None


def exchange(e: Evidence) -> str | None:
    """The right numbers for another input, and the other way round."""
    for name, measured in e.measured_of.items():
        if e.same(e.ours, measured) and name in e.ours_of and e.same(e.ours_of[name], e.measured):
            return f"this is the gradient of {name}, and the other way round: the two are swapped"
    return None


def gradient_of_another(e: Evidence) -> str | None:
    """The right numbers for another input."""
    for name, measured in e.measured_of.items():
        if e.same(e.ours, measured):
            return f"this is the gradient of {name}"
    return None


def missing_sum(e: Evidence) -> str | None:
    """The forward broadcasts the input along some axes, and the backward does not sum over them."""
    for axes in subsets(e.ours.ndim):
        total = e.ours.sum(axes)
        if total.size == e.x.size and e.same(total.reshape(e.x.shape), e.measured):
            return f"the sum over {axes_text(axes)} is missing: the forward broadcasts {e.input} along it"
    return None


def sum_too_much(e: Evidence) -> str | None:
    """The right numbers summed over axes that the input has."""
    for axes in subsets(e.x.ndim):
        total = e.measured.sum(axes)
        if total.size == e.ours.size and e.same(e.ours.reshape(total.shape), total):
            return f"summed over {axes_text(axes)}, which {e.input} has"
    return None


def missing_spread(e: Evidence) -> str | None:
    """The forward sums over axes of the input, and the backward does not repeat the numbers along them."""
    for axes in subsets(e.x.ndim):
        shape = tuple(1 if a in axes else n for a, n in enumerate(e.x.shape))
        if e.ours.size == np.prod(shape) and e.same(np.broadcast_to(e.ours.reshape(shape), e.x.shape), e.measured):
            return f"the right numbers, but once: repeat them along {axes_text(axes)} of {e.input} (np.broadcast_to)"
    return None


def reshape(e: Evidence) -> str | None:
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


def no_dependence(e: Evidence) -> str | None:
    """A gradient for something that the output does not depend on."""
    if np.abs(e.measured).max() <= max(e.error, 1e-12 * np.abs(e.ours).max()):
        return f"the output does not depend on {e.input}: its gradient is 0"
    return None


def zero(e: Evidence) -> str | None:
    """No gradient at all."""
    return f"only zeros: the path to {e.input} is missing" if not e.ours.any() else None


def missing_upstream(e: Evidence) -> str | None:
    """The answer to 2·dy is that to dy."""
    if e.same(e.answer(twice), e.ours):
        return "the upstream dy is ignored: 2·dy gives the same gradient as dy; multiply by dy"
    return None


def doubled_upstream(e: Evidence) -> str | None:
    """The answer to 2·dy is four times that to dy."""
    if e.same(e.answer(twice), 4 * e.ours):
        return "the upstream dy enters twice: 2·dy gives four times the gradient of dy"
    return None


def float32(e: Evidence) -> str | None:
    """Off by the rounding of float32."""
    error = relative_error(e.ours, e.measured)[0]
    signs = np.sign(e.ours - e.measured)[e.off]
    both_ways = e.off.sum() >= 2 and signs.min() < signs.max() and not follows_sign(e)  # as rounding, not as a constant
    if 1e-10 < error < 1e-6 and (e.ours.dtype == np.float32 or both_ways):
        which = (
            "the gradient's dtype is float32" if e.ours.dtype == np.float32 else "a float32 array or constant inside"
        )
        return f"off by {error:.0e}, which is float32's rounding: {which}; allocate in x.dtype"
    return None


def sign(e: Evidence) -> str | None:
    """−1 times the derivative."""
    return "the sign is wrong: this is −1 times the derivative" if e.same(-e.ours, e.measured) else None


def constant_factor(e: Evidence) -> str | None:
    """c times the derivative. Where c is the length of axes, as N, C or N·C, the sentence says which."""
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
            lengths.setdefault(f"{symbol} = {n}", (n, f"{symbol} = {n}, {axes_text(axes)} of {name}"))
    if texts := " or ".join(text for n, text in lengths.values() if near(n)):
        yield f"the 1/n of a mean is missing ({texts})"
    if texts := " or ".join(text for n, text in lengths.values() if near(1 / n)):
        yield f"divided by n too often, a mean where the forward sums ({texts})"


def shapes(e: Evidence) -> dict[str, tuple[int, ...]]:
    """The shapes over which a forward can average."""
    return {e.input: e.x.shape} | ({} if e.y is None else {"y": e.y.shape})


def products(shape: tuple[int, ...]) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """(n, its symbol, its axes) for each axis of an array, and for the first set of axes with each other product."""
    symbols = {len(shape) - 1: "C"} | {0: "N"} if len(shape) > 1 else {}
    seen = set()
    for axes in subsets(len(shape)):
        n = int(np.prod([shape[a] for a in axes]))
        if n > 1 and (len(axes) == 1 or n not in seen):
            symbol = "·".join(symbols.get(a, "n" if len(shape) == 1 else f"n{a}") for a in axes)
            yield n, symbol, axes
        seen.add(n)


def shift(e: Evidence) -> str | None:
    """The right numbers, moved by one along one axis or two."""
    for axes in (a for a in subsets(e.ours.ndim) if len(a) <= 2 and all(e.ours.shape[k] > 2 for k in a)):
        for steps in product((1, -1), repeat=len(axes)):
            here, there = [slice(None)] * e.ours.ndim, [slice(None)] * e.ours.ndim
            for axis, step in zip(axes, steps, strict=True):
                ends = slice(1, None), slice(None, -1)
                here[axis], there[axis] = ends[::step]
            ours, measured = e.ours[tuple(here)], e.measured[tuple(there)]
            if e.same(ours, measured) and not e.same(ours, e.measured[tuple(here)]):
                return f"the right numbers, shifted by one along {axes_text(axes)} (the padding's offset?)"
    return None


def other_axis(e: Evidence) -> str | None:
    """A sum of dy, or of another input's gradient, over the wrong axis: in a square the shape is the same."""
    for a in (*([] if e.dy is None else [e.dy]), *e.measured_of.values()):
        sums = {axes: total for axes in subsets(a.ndim) if (total := a.sum(axes)).size == e.x.size}
        for wrong, right in permutations(sums, 2):
            if e.same(sums[wrong].reshape(e.x.shape), e.ours) and e.same(sums[right].reshape(e.x.shape), e.measured):
                return f"summed over {axes_text(wrong)} instead of {axes_text(right)}"
    return None


def missing_factor(e: Evidence) -> str | None:
    """ours · a = measured, or ours = measured · a, for an array a of the forward: another input, x, or y."""
    for name, a in multipliers(e):
        if e.same(e.ours * a, e.measured):
            return f"the factor {name} is missing"
        if e.same(e.ours, e.measured * a):
            return f"the factor {name} is too much"
    return None


def missing_slope(e: Evidence) -> str | None:
    """The slope of tanh or σ, which the output tells, is left out or half written."""
    if e.y is None or e.y.shape != e.x.shape:
        return None
    y = e.y
    slopes = {
        "1 − y², the slope of tanh, is missing": 1 - y * y,
        "y (1 − y), the slope of σ, is missing": y * (1 - y),
        "1 − y is missing: half of σ's slope y (1 − y)": 1 - y,
        "1 + y is missing: half of tanh's slope (1 − y)(1 + y)": 1 + y,
    }
    return next((f"the factor {words}" for words, slope in slopes.items() if e.same(e.ours * slope, e.measured)), None)


def upstream_transposed(e: Evidence) -> str | None:
    """In a product of two square arrays: dy stands where dyᵀ is meant."""
    if e.y is None or e.y.ndim != 2 or e.y.shape[0] != e.y.shape[1]:
        return None
    if e.same(e.answer(np.transpose), e.measured):
        return f"a transpose of the upstream is missing, or one too many: for {e.input} the answer to dy.T is right"
    return None


def factor_of_each_line(e: Evidence) -> str | None:
    """measured = c ⊙ ours with a number c of its own for each index of one axis, as 1/‖x‖ of each row, or 1/σ."""
    for axis in range(e.x.ndim):
        others = tuple(a for a in range(e.x.ndim) if a != axis)
        if e.x.shape[axis] < 2 or e.x.size // e.x.shape[axis] < 2:
            continue
        size = (e.ours * e.ours).sum(others, keepdims=True)
        if not size.all():
            continue
        c = (e.ours * e.measured).sum(others, keepdims=True) / size
        if e.same(e.ours * c, e.measured):
            first = ", ".join(f"{value:.4g}" for value in c.ravel()[:3])
            return (
                f"each index of axis {axis} lacks a factor of its own ({first}, …), as 1/‖{e.input}‖ of a row, 1/σ, or "
                "another ε"
            )
    return None


def flip(e: Evidence) -> str | None:
    """The right numbers, reversed along axes."""
    for axes in subsets(e.ours.ndim):
        if e.same(np.flip(e.ours, axes), e.measured):
            return f"the right numbers, flipped along {axes_text(axes)} (convolution or correlation?)"
    return None


def transpose_of_another(e: Evidence) -> str | None:
    """The derivative as it would be if another input, a square matrix, were transposed."""
    for name, w in e.others.items():
        if w.ndim >= 2 and w.shape[-1] == w.shape[-2] and explains(e, name, w.swapaxes(-1, -2)):
            return f"this is the derivative for {name} transposed: a transpose of {name} is missing, or one too many"
    return None


def flip_of_another(e: Evidence) -> str | None:
    """The derivative as it would be if another input, a kernel, were flipped."""
    for name, w in e.others.items():
        for axes in subsets(min(w.ndim, 4)):
            if all(w.shape[a] > 1 for a in axes) and explains(e, name, np.flip(w, axes)):
                along = f"flipped along {axes_text(axes)}"
                return f"this is the derivative for {name} {along}: the kernel's flip is missing"
    return None


def explains(e: Evidence, name: str, value: Array) -> bool:
    """Whether ours is the derivative at another value of the input `name`."""
    if np.array_equal(value, e.others[name]):
        return False
    measured = e.remeasure(name, value)
    return measured is not None and e.same(e.ours, measured)


def half_of_two(e: Evidence) -> str | None:
    """x enters y twice in the same way, as in xᵀx, and one of the two parts of its gradient is missing.

    The missing part is what the backward answers to dyᵀ.
    """
    if e.y is None or e.y.ndim != 2 or e.y.shape[0] != e.y.shape[1] or (other := e.answer(np.transpose)) is None:
        return None
    if other.shape == e.ours.shape and e.same(e.ours + other, e.measured):
        return f"{e.input} enters twice, and one of the two parts is missing or overwritten: add that of dy.T"
    return None


def missing_mask(e: Evidence) -> str | None:
    """Ours is not 0 where the derivative is 0, and right elsewhere."""
    blocked = np.abs(e.measured) <= e.rounding
    if (e.off & ~blocked).any():
        return None
    return f"a mask is missing: {e.off.sum()} of {e.off.size} entries should be 0, the others are right{where(e)}"


def reversed_mask(e: Evidence) -> str | None:
    """Ours is not 0 exactly where the derivative is 0."""
    if (e.ours == 0).any() and ((e.ours == 0) == (np.abs(e.measured) > e.rounding)).all():
        return "the mask is turned round: nonzero exactly where the derivative is 0"
    return None


def dropped_entries(e: Evidence) -> str | None:
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


def permutation(e: Evidence) -> str | None:
    """The right numbers in another order."""
    if e.ours.size > 1 and e.same(np.sort(e.ours, None), np.sort(e.measured, None)):
        return f"the right numbers, {e.off.sum()} of {e.off.size} of them at wrong places (an index, a reshape)"
    return None


def follows_sign(e: Evidence) -> bool:
    """Whether what is missing is one number times the sign of x."""
    missing = e.measured - e.ours
    signs = np.sign(e.x)
    size = float((missing * signs).sum() / max((signs * signs).sum(), 1))
    return e.x.size > 2 and bool(size) and bool((gaps(missing, size * signs) <= 1e-3 * abs(size)).all())


def missing_penalty(e: Evidence) -> str | None:
    """What is missing is one number times the sign of x: the gradient of a penalty λΣ|x|."""
    if not follows_sign(e):
        return None
    weight = ""
    if e.dy is not None and e.dy.size == 1 and e.dy.any():
        weight = f" with λ = {np.abs((e.measured - e.ours) / e.dy).max():.3g}"
    return f"a term is missing, or wrong: a multiple of the sign of {e.input}, as of a penalty λΣ|{e.input}|{weight}"


def missing_term(e: Evidence) -> str | None:
    """What is missing has a simple form along some axes: a constant, a multiple of x, of y, of another input."""
    missing = np.where(e.off, e.measured - e.ours, 0)
    tolerance = min(e.close * np.abs(e.measured).max() + e.rounding, 1e-3 * np.abs(missing).max())
    one = ("a constant", np.ones(e.x.shape))
    candidates = [(f"a multiple of {name}", a) for name, a in multipliers(e) if a.shape == e.x.shape]
    simple = [one, *candidates]
    for basis in chain(combinations(simple, 1), combinations(simple, 2)):
        for axes in reversed(list(subsets(e.x.ndim))):  # the strictest first: the same numbers for all entries
            if spans([a for _, a in basis], missing, axes, tolerance):
                words = " plus ".join(words for words, _ in basis)
                if len(axes) == e.x.ndim > 1:
                    return f"a term is missing, or wrong: {words}, the same for all entries"
                path = PATHS.get(words.replace(f"of {e.input}", "of x"), "")
                return f"a term is missing, or wrong: {words} along {axes_text(axes)}{path}"
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
    rest = 0.0
    for row in range(len(target)):
        b = np.stack([c[row] for c in columns], axis=1)
        rest = max(rest, np.abs(target[row] - b @ np.linalg.lstsq(b, target[row], rcond=None)[0]).max())
    return bool(rest <= tolerance)


def not_linear(e: Evidence) -> str | None:
    """The answer to 2·dy is not twice that to dy."""
    answer = e.answer(twice)
    if answer is not None and not e.same(answer, 2 * e.ours):
        return "not linear in the upstream: 2·dy does not give twice the gradient of dy"
    return None


# The first kind that fits is named, so the order goes from the special to the general. An example: in x + b, dy is the
# gradient of x. Where the backward gives it to b, a sum is missing, and this is asked before "the gradient of x".
KINDS_OF_SHAPES = (
    ("swapped", exchange),
    ("transpose", transpose),
    ("missing sum", missing_sum),
    ("sum too much", sum_too_much),
    ("missing broadcast", missing_spread),
    ("swapped", gradient_of_another),
    ("reshape", reshape),
)
# Here too. First come mistakes that make the other questions meaningless (NaN, zeros, dy ignored), then those of all
# entries, then those of some entries; a missing term and "not linear" come last, because nearly everything fits them.
KINDS_OF_VALUES = (
    ("not finite", not_finite),
    ("no dependence", no_dependence),
    ("zero", zero),
    ("upstream ignored", missing_upstream),
    ("upstream twice", doubled_upstream),
    ("float32", float32),
    ("sign", sign),
    ("factor", constant_factor),
    ("transpose", transpose),
    ("swapped", exchange),
    ("swapped", gradient_of_another),
    ("wrong axis", other_axis),
    ("flip", flip),
    ("shift", shift),
    ("missing factor", missing_factor),
    ("missing slope", missing_slope),
    ("transpose", upstream_transposed),
    ("half of a shared input", half_of_two),
    ("missing mask", missing_mask),
    ("mask turned round", reversed_mask),
    ("entries dropped", dropped_entries),
    ("branch", branch),
    ("permutation", permutation),
    ("transpose", transpose_of_another),
    ("flip", flip_of_another),
    ("factor of each line", factor_of_each_line),
    ("missing term", missing_penalty),
    ("missing term", missing_term),
    ("not linear", not_linear),
)
