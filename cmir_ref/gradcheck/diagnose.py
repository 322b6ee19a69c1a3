"""What kind of mistake is it? A table of pure functions that are asked in order, from a wrong gradient to a sentence.

Each function knows one kind of mistake. It takes the `Evidence` about one input, undoes the mistake, and compares with
the measured gradient. Where the two are equal to rounding it answers with a sentence, else with None. Nothing is
guessed.
"""

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np

from .check import gaps, relative_error
from .evidence import Array, Evidence, axes_text, region, subsets, twice, where
from .factors import (
    factor_of_each_line,
    factor_of_each_output,
    factor_on_the_way,
    ignored_output,
    is_mask,
    other_factor,
    parts_left_out,
)
from .paths import direct_path, missing_term, summed_over_another, sums_over_another_axis

FLOAT32 = float(np.finfo(np.float32).eps) / 2  # the rounding of one number


def diagnose(e: Evidence) -> tuple[str | None, str]:
    """(the kind of mistake or None, a sentence); where two kinds explain the same numbers, both are said."""
    decisive, together, last = VALUES if e.ours.shape == e.measured.shape else SHAPES
    for kinds, all_that_fit in ((decisive, False), (together, True), (last, False)):
        answers: dict[str, str] = {}
        for kind, look in kinds:
            if answer := look(e):
                name, sentence = answer if isinstance(answer, tuple) else (kind, answer)
                answers.setdefault(name, sentence)
                if not all_that_fit:
                    break
        if answers:
            return " or ".join(answers), "either " * (len(answers) > 1) + "; or ".join(answers.values())
    if e.ours.shape != e.measured.shape:
        return None, f"no known kind: a gradient of shape {e.ours.shape} for an input of shape {e.x.shape}"
    return None, f"no known kind: {e.off.sum()} of {e.off.size} entries are off{where(e)}{_entry_by_entry(e)}"


def _entry_by_entry(e: Evidence) -> str:
    """Where each output depends on one entry of x alone: the slope at one, which a reader can compute by hand."""
    j = e.jacobians()
    if j.outputs != e.x.ndim or j.right.shape != j.ours.shape or j.right.shape[: j.outputs] != e.x.shape:
        return ""
    squares = [a.reshape(e.x.size, e.x.size) for a in (j.ours, j.right)]
    if e.x.size < 2 or any(np.abs(a - np.diag(np.diag(a))).max() > j.rounding for a in squares):
        return ""
    ours, right = (np.diag(a) for a in squares)
    k = int(np.abs(ours - right).argmax())
    digits = next((n for n in range(4, 17) if f"{right[k]:.{n}g}" != f"{ours[k]:.{n}g}"), 17)
    slopes = f"the slope at {e.x.flat[k]:.4g} is {right[k]:.{digits}g}, and the gradient has {ours[k]:.{digits}g}"
    return f"; each entry of {e.result} depends on one of {e.input}: {slopes} times dy"


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
    if e.ours.shape == e.measured.shape and not most_are_off(e):
        return None
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


def most_are_off(e: Evidence) -> bool:
    """Whether at least half of the entries that are not 0 are off; where most are right, a pattern is a coincidence."""
    some = (np.abs(e.measured) > e.rounding) | (np.abs(e.ours) > e.rounding)
    return 2 * e.off.sum() >= some.sum()


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
    error, gap = relative_error(e.ours, e.measured)[0], e.ours - e.measured
    signs = np.sign(gap)[e.off]
    both_ways = e.off.sum() >= 2 and signs.min() < signs.max() and not _is_a_formula(e, gap, error)
    if 1e-10 < error < 1e-6 and (e.ours.dtype == np.float32 or both_ways):
        which = (
            "the gradient's dtype is float32" if e.ours.dtype == np.float32 else "a float32 array or constant inside"
        )
        return f"off by {error:.0e}, which is float32's rounding: {which}; allocate in x.dtype"
    return None


def _is_a_formula(e: Evidence, gap: Array, error: float) -> bool:
    """Whether a small gap is no rounding: a multiple of something, or larger than what a rounded array makes of dy."""
    for part, rounding in ((e.measured, 4 * FLOAT32), (e.x, 0), (np.sign(e.x), 0), (np.ones(e.x.shape), 0)):
        c = float((gap * part).sum() / ((part * part).sum() or 1.0))
        if abs(c) > rounding and (gaps(gap, c * part) <= 1e-3 * np.abs(gap).max()).all():
            return True
    answer = e.answer(lambda dy: 3 * dy)
    grows = answer is not None and (gaps(answer - 3 * e.measured, 3 * gap) <= 1e-3 * np.abs(gap).max()).all()
    return bool(grows and error > 4 * FLOAT32)


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
    for name, value in scalars(e):
        if near(abs(value)):
            yield f"the factor {name} is too much"
        if near(1 / abs(value)):
            yield f"the factor {name} is missing"
    for name, a in e.kept.items():
        ones = int(a.sum()) if is_mask(a) and not name.startswith("one-hot ") else 0
        if 0 < ones < a.size and near(a.size / ones):
            yield f"divided by the number of ones in {name} ({ones}) where all its {a.size} entries count"
        if 0 < ones < a.size and near(ones / a.size):
            yield f"divided by all {a.size} entries of {name} where only its {ones} ones count"
    lengths: dict[str, tuple[int, str, bool]] = {}  # "N = 4" of y says no more than "N = 4" of x
    for name, shape in shapes(e).items():
        for n, symbol, axes in products(shape):
            inner = axes == (len(shape) - 1,) != (0,)  # over which a product of two arrays sums
            lengths.setdefault(f"{symbol} = {n}", (n, f"{symbol} = {n}, {axes_text(axes)} of {name}", inner))
    roots = [(n**0.5, text) for n, text, inner in lengths.values() if (n != 4 or inner) and "·" not in text]
    if texts := " or ".join(text for n, text in roots if near(n)):
        yield f"the 1/√n of a scaled product is missing ({texts})"
    if texts := " or ".join(text for n, text in roots if near(1 / n)):
        yield f"divided by √n once too often ({texts})"
    if texts := " or ".join(text for n, text, _ in lengths.values() if near(n)):
        yield f"the 1/n of a mean is missing ({texts})"
    if texts := " or ".join(text for n, text, _ in lengths.values() if near(1 / n)):
        yield f"divided by n too often, a mean where the forward sums ({texts})"
    elsewhere = {n: f"{n}, {axes_text((k,))} of {name}" for name, a in e.others.items() for k, n in enumerate(a.shape)}
    if not any(near(n) or near(1 / n) for n, *_ in lengths.values()):
        yield from (f"the 1/n of a mean is missing (n = {text})" for n, text in elsewhere.items() if n > 2 and near(n))
        yield from (f"divided by n too often (n = {text})" for n, text in elsewhere.items() if n > 2 and near(1 / n))


def scalars(e: Evidence) -> Iterator[tuple[str, float]]:
    """The numbers of the forward that can be a factor, and what they are the logarithm of."""
    for name, a in e.arrays.items():
        if a.size == 1 and name != e.result and a.item() and abs(a.item()) < 100:
            yield name, a.item()
            yield f"exp({name})", float(np.exp(a.item()))


def shapes(e: Evidence) -> dict[str, tuple[int, ...]]:
    """The shapes over which a forward can average."""
    return {e.input: e.x.shape} | ({} if e.y is None else {e.result: e.y.shape})


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
    if not most_are_off(e):
        return None
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


def upstream_transposed(e: Evidence) -> str | None:
    """In a product of two square arrays: dy stands where dyᵀ is meant."""
    if e.y is None or e.y.ndim != 2 or e.y.shape[0] != e.y.shape[1]:
        return None
    if e.same(e.answer(np.transpose), e.measured):
        return f"a transpose of the upstream is missing, or one too many: for {e.input} the answer to dy.T is right"
    return None


def flip(e: Evidence) -> str | None:
    """The right numbers, reversed along axes."""
    if not most_are_off(e):
        return None
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
                return f"this is the derivative for {name} {along}: a flip of {name} is missing, or one too many"
    return None


def explains(e: Evidence, name: str, value: Array) -> bool:
    """Whether ours is the derivative at another value of the input `name`."""
    if np.array_equal(value, e.others[name]):
        return False
    measured = e.remeasure(name, value)
    return measured is not None and e.same(e.ours, measured)


def turned_round(e: Evidence) -> str | None:
    """∂y/∂x with outputs and inputs exchanged, as of a cumulative sum that is not run backwards, or of A for Aᵀ."""
    j = e.jacobians()
    if j.outputs != e.x.ndim or j.right.shape != j.ours.shape or j.right.shape[: j.outputs] != e.x.shape:
        return None
    turned = np.moveaxis(j.right, range(j.outputs), range(-j.outputs, 0))
    if not j.same(j.ours, turned):
        return None
    return (
        "the forward's step itself stands where its transpose belongs: A for Aᵀ, or a roll or a cumulative sum that "
        "runs the same way in the backward"
    )


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
    if not most_are_off(e):
        return None
    some = np.unique(np.round(np.abs(e.measured[e.off]) / max(np.abs(e.measured).max(), 1e-300), 6))
    if some[some > 0].size > 2 and e.same(np.sort(e.ours, None), np.sort(e.measured, None)):
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
    if e.x.min() > 0 or e.x.max() < 0:
        return "a term is missing, or wrong: a constant, the same for all entries"
    weight = ""
    if e.dy is not None and e.dy.size == 1 and e.dy.any():
        weight = f" with λ = {np.abs((e.measured - e.ours) / e.dy).max():.3g}"
    return f"a term is missing, or wrong: a multiple of the sign of {e.input}, as of a penalty λΣ|{e.input}|{weight}"


def not_linear(e: Evidence) -> str | None:
    """The answer to 2·dy is not twice that to dy."""
    answer = e.answer(twice)
    if answer is not None and not e.same(answer, 2 * e.ours):
        return "not linear in the upstream: 2·dy does not give twice the gradient of dy; is a term without dy in it?"
    return None


def other_mask(e: Evidence) -> str | None:
    """Entries that are 0 and should not be, others that should be 0, and the rest is right."""
    here, there = e.ours != 0, np.abs(e.measured) > e.rounding
    missing, more = e.off & ~here, e.off & ~there
    if (e.off & here & there).any() or not missing.any() or not more.any() or (here & there).sum() < 2:
        return None
    return (
        f"another mask: {missing.sum()} entries are 0 and should not be, {more.sum()} should be 0 and are not, "
        "the others are right"
    )


def wrong_count(e: Evidence) -> str | None:
    """All entries are sums of terms of one size, as those of a hinge, and some have too many or too few of them."""
    numbers = np.concatenate([a.ravel() for a in (e.ours, e.measured)])
    sizes = np.abs(numbers[np.abs(numbers) > e.rounding])
    if sizes.size < 6 or e.off.sum() < 2:
        return None
    term = sizes.min()
    counts = numbers / term
    if np.abs(counts - np.round(counts)).max() > 1e-6 or np.abs(counts).max() > 1000 or np.ptp(sizes) <= e.rounding:
        return None
    ours, measured = np.split(np.round(counts), 2)
    few, many = (np.abs(measured) > np.abs(ours)).sum(), (np.abs(measured) < np.abs(ours)).sum()
    return (
        f"every entry is a whole number of terms of size {term:.4g}; {few} entries have too few, {many} too many: "
        f"a mask of terms, or a sum over the wrong ones{where(e)}"
    )


def diagonal_alone(e: Evidence) -> str | None:
    """Nothing is wrong but the diagonal."""
    if not region(e.off, e.x, e.input).endswith("the diagonal") or (e.off & ~np.eye(*e.off.shape, dtype=bool)).any():
        return None
    return (
        f"only entries on the diagonal are off, {e.off.sum()} of {min(e.off.shape)}: what an entry [i, i] gets from "
        "its own row or column is missing, or wrong"
    )


# Of each three, the first are decisive: they go from the special to the general, and the first that fits is named. Then
# come those of which several can be true of the same numbers, so all that fit are said. The last are named, the first
# that fits, where nothing else explains the numbers. An example of the order: in x + b, dy is the gradient of x. Where
# the backward gives it to b, a sum is missing, and this is asked before "the gradient of x".
SHAPES = (
    (
        ("swapped", exchange),
        ("transpose", transpose),
        ("missing sum", missing_sum),
        ("sum too much", sum_too_much),
        ("missing broadcast", missing_spread),
        ("wrong axis", summed_over_another),
    ),
    (("swapped", gradient_of_another), ("reshape", reshape)),
    (),
)
# Mistakes that make the other questions meaningless (NaN, zeros, dy ignored) come first, and at the end what nearly
# everything fits: a missing term.
VALUES = (
    (
        ("not finite", not_finite),
        ("no dependence", no_dependence),
        ("zero", zero),
        ("parts left out", ignored_output),
        ("upstream ignored", missing_upstream),
        ("upstream twice", doubled_upstream),
        ("float32", float32),
        ("sign", sign),
        ("factor", constant_factor),
        ("transpose", transpose),
        ("swapped", exchange),
        ("wrong axis", other_axis),
        ("wrong axis", summed_over_another),
    ),
    (
        ("missing mask", missing_mask),
        ("mask turned round", reversed_mask),
        ("entries dropped", dropped_entries),
        ("branch", branch),
        ("swapped", gradient_of_another),
        ("flip", flip),
        ("shift", shift),
        ("missing factor", factor_on_the_way),
        ("transpose", upstream_transposed),
        ("half of a shared input", half_of_two),
        ("transpose", transpose_of_another),
        ("flip", flip_of_another),
        ("transpose", turned_round),
    ),
    (
        ("not linear", not_linear),
        ("permutation", permutation),
        ("another mask", other_mask),
        ("other factor", other_factor),
        ("factor of each line", factor_of_each_line),
        ("missing term", missing_penalty),
        ("parts left out", parts_left_out),
        ("factor of each output", factor_of_each_output),
        ("missing path", direct_path),
        ("wrong count", wrong_count),
        ("missing term", missing_term),
        ("wrong axis", sums_over_another_axis),
        ("diagonal", diagonal_alone),
    ),
)
