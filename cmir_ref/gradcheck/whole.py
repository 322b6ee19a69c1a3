"""Kinds of mistakes of a gradient as a whole: no numbers, zeros, float32, a sign, a constant factor, dy left out.

Each function answers as `diagnose` says.
"""

from collections.abc import Iterator

import numpy as np

from .compare import gaps, relative_error
from .evidence import Array, Evidence, axes_text, subsets, twice
from .forms import is_mask

NOTHING = 1e-12  # relative to the largest entry: below it, a derivative is 0
JUMPS = (
    "{} jumps as {} moves, as of rounding, a sign or an argmax, and is flat between: its derivative is 0, and what is "
    "passed straight through is an estimate that nothing measured can confirm; to check all else, leave the step out"
)
FLOAT32 = float(np.finfo(np.float32).eps) / 2  # the rounding of one number


def not_finite(e: Evidence) -> str | None:
    """NaN or infinity where the derivative is finite."""
    bad = ~np.isfinite(e.ours)
    if bad.any() and np.isfinite(e.measured).all():
        return f"{bad.sum()} of {bad.size} entries are NaN or infinite: 0/0, log 0, or an overflow in the backward"
    return None


def straight_through(e: Evidence) -> str | None:
    """A gradient where the outputs jump, as of rounding, and are flat between."""
    flat = np.abs(e.measured).max() <= max(e.error, NOTHING * np.abs(e.ours).max())
    return JUMPS.format(e.result, e.input) if flat and e.jumps() else None


def straight_through_a_part(e: Evidence) -> str | None:
    """The same of some outputs, and what comes back from the others is right."""
    j = e.jacobians()
    if not j.outputs or j.ours.shape != j.right.shape:
        return None
    ours, right = (a.reshape(-1, e.x.size) for a in (j.ours, j.right))
    some, rest = (np.abs(a).max(axis=1) > j.rounding for a in (ours, right))
    if not (some & ~rest).any() or not j.same(ours[rest], right[rest]) or not e.jumps(some & ~rest):
        return None
    return f"{JUMPS.format('part of ' + e.result, e.input)}; the rest is right"


def no_dependence(e: Evidence) -> str | None:
    """A gradient for something that the output does not depend on."""
    if np.abs(e.measured).max() <= max(e.error, NOTHING * np.abs(e.ours).max()):
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
