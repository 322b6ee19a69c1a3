"""Kinds of mistakes that arrange the right numbers wrongly: transposed, swapped, summed over a wrong axis, shifted.

Each function answers as `diagnose` says.
"""

from itertools import permutations, product

import numpy as np

from .evidence import Array, Evidence, axes_text, subsets

FEWEST = 3  # columns, at which the products of two arrays are a proof
ALIKE = 1e-7  # relative to the largest number of a product


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
        if total.size == e.x.size < e.ours.size and e.same(total.reshape(e.x.shape), e.measured):
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


def most_are_off(e: Evidence) -> bool:
    """Whether at least half of the entries that are not 0 are off; where most are right, a pattern is a coincidence."""
    some = (np.abs(e.measured) > e.rounding) | (np.abs(e.ours) > e.rounding)
    return 2 * e.off.sum() >= some.sum()


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


def product_transposed(e: Evidence) -> str | None:
    """A product d @ a of an array of the forward and a square matrix d: it stands where dᵀ @ a belongs."""
    for name, a in e.arrays.items():
        if name != e.input and _are_transposed(e, a, e.ours, e.measured):
            return (
                f"a product d @ {name} with a square matrix d stands where d.T @ {name} belongs: a transpose is "
                "missing, or one too many"
            )
    return None


def half_of_product(e: Evidence) -> str | None:
    """x xᵀ stands in the forward, d comes back to it, and d @ x stands where (d + dᵀ) @ x belongs, or twice."""
    for part, words in ((e.ours, "is missing"), (e.ours / 2, "is missing, and that of rows counts twice")):
        if _are_transposed(e, e.x, part, e.measured - part):
            return f"{e.input} enters twice, as rows and as columns, and the part of one of them {words}: d.T beside d"
    return None


def _are_transposed(e: Evidence, a: Array, one: Array, other: Array) -> bool:
    """Whether one = d a and other = dᵀ a for a square matrix d that is not known.

    Then aᵀ one = aᵀ d a is the transpose of aᵀ other. Where a has fewer rows than columns, both lie in their span.
    """
    if a.ndim != 2 or a.shape != e.x.shape or min(a.shape) < 2 or a.shape[1] < FEWEST or not a.any():
        return False
    span = np.linalg.pinv(a) @ a
    inside = all(np.abs(g - g @ span).max() <= ALIKE * np.abs(g).max() for g in (one, other))
    left, right = a.T @ one, (a.T @ other).T
    return bool(inside and np.abs(left - right).max() <= ALIKE * np.abs(left).max())


def rotated(e: Evidence) -> str | None:
    """Pairs of entries along an axis are turned, each by an angle of its own, as by a rotary embedding."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape:
        return None
    outputs, inside = tuple(range(j.outputs)), range(j.outputs, j.right.ndim)
    for axis in (axis for axis in inside if j.right.shape[axis] % 2 == 0):
        both = [np.moveaxis(a, axis, -1) for a in (j.ours, j.right)]
        half = j.right.shape[axis] // 2
        for words, one, other in (
            ("k and k + n/2", np.s_[:half], np.s_[half:]),
            ("2k and 2k + 1", np.s_[::2], np.s_[1::2]),
        ):
            ours, right = (a[..., one] + 1j * a[..., other] for a in both)
            size, turn = (np.abs(right) ** 2).sum(outputs), (np.conj(right) * ours).sum(outputs)
            turn = np.divide(turn, size, out=np.ones(turn.shape, complex), where=size > 0)
            unit = np.abs(np.abs(turn) - 1).max() <= ALIKE
            fits = unit and np.abs(ours - turn * right).max() <= ALIKE * np.abs(right).max()
            if fits and (np.abs(turn.imag) > ALIKE).sum() >= FEWEST:
                along = axes_text((axis - j.outputs,))
                return (
                    f"the right numbers, but each pair of entries {words} along {along} is turned by an angle: a "
                    "rotation is missing or one too many, or runs the wrong way (on the way back, sin changes its sign)"
                )
    return None


def half_of_two(e: Evidence) -> str | None:
    """x enters y twice in the same way, as in xᵀx, and one of the two parts of its gradient is missing.

    The missing part is what the backward answers to dyᵀ.
    """
    if e.y is None or e.y.ndim != 2 or e.y.shape[0] != e.y.shape[1] or (other := e.answer(np.transpose)) is None:
        return None
    if other.shape == e.ours.shape and e.same(e.ours + other, e.measured):
        return f"{e.input} enters twice, and one of the two parts is missing or overwritten: add that of dy.T"
    return None


def permutation(e: Evidence) -> str | None:
    """The right numbers in another order."""
    if not most_are_off(e):
        return None
    some = np.unique(np.round(np.abs(e.measured[e.off]) / max(np.abs(e.measured).max(), 1e-300), 6))
    if some[some > 0].size > 2 and e.same(np.sort(e.ours, None), np.sort(e.measured, None)):
        return f"the right numbers, {e.off.sum()} of {e.off.size} of them at wrong places (an index, a reshape)"
    return None
