"""Kinds of mistakes of a function over steps: what is carried back from step to step, or what a step gives to itself.

y and x have an axis of steps each, and y at a step t depends on x at the steps s ≤ t alone, as of a recurrence or of a
sum that runs along (or s ≥ t, where it runs the other way). ∂y/∂x is taken apart: t = s, and t ≠ s.
"""

from collections.abc import Iterator
from itertools import islice, permutations

import numpy as np

from .evidence import Array, Evidence, Jacobians
from .factors import entries_off, factor_on_the_way, other_factor
from .forms import forms
from .whole import scalars

FEWEST_STEPS = 4
MOST_CARRIED = 60  # factors of a step, of which pairs are tried
PROOF = 8  # so many entries of what a step gives to itself are a proof


def over_steps(e: Evidence) -> tuple[str, str] | None:
    """What is wrong with a recurrence, or with what a step gives to itself."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape:
        return None
    for of_y in range(j.outputs):
        for of_x in range(j.outputs, j.right.ndim):
            if j.right.shape[of_y] == j.right.shape[of_x] >= FEWEST_STEPS:
                for step in (1, -1):
                    if answer := _over_axes(e, j, of_y, of_x, step):
                        return answer
    return None


def _over_axes(e: Evidence, j: Jacobians, of_y: int, of_x: int, step: int) -> tuple[str, str] | None:
    """The same for steps along an axis of y and one of x, that run forward (1) or backward (−1).

    A mistake that is one of single steps is none of the recurrence.
    """
    ours, right = (np.moveaxis(a, (of_y, of_x), (0, 1))[::step, ::step] for a in (j.ours, j.right))
    inside = tuple(range(2, right.ndim))
    here, there = ((np.abs(a) > j.rounding).any(inside) for a in (ours, right))
    off = entries_off(j._replace(ours=ours, right=right)).any(inside)
    itself, next_ones = np.arange(len(right)), (np.arange(1, len(right)), np.arange(len(right) - 1))
    later = np.tri(len(right), k=-1, dtype=bool)  # y at a later step than x
    if there[later.T].any() or not there[itself, itself].any() or not there[next_ones].all():
        return None
    axis = f"axis {of_x - j.outputs} of {e.input}"
    if off[itself, itself].any():
        everywhere = off[itself, itself].sum() >= len(right) - 1 and not here[later.T].any()
        return _in_a_step(e, j, of_y, of_x, axis) if everywhere else None
    if here[later.T].any():
        words = f"along {axis}, what comes back goes to later steps and not to earlier ones: it runs the wrong way"
        return None if here[later].any() else ("recurrence", words)
    if not here[later].any():
        words = f"nothing comes back from later steps along {axis}: what is carried from step to step is left out"
        return "recurrence", words
    far = (np.arange(2, len(right)), np.arange(len(right) - 2))
    if not off[next_ones].all() and (off[next_ones].any() or not off[far].all()):
        return None
    words = _carried_factor(e, j, of_y, of_x, step, (ours[later], right[later], later))
    right_so_far = f"along {axis}, what a step gives to itself is right, and what goes to earlier steps is not"
    return "recurrence", f"{right_so_far}: {words or 'look at what is carried back from step to step'}"


def _in_a_step(e: Evidence, j: Jacobians, of_y: int, of_x: int, axis: str) -> tuple[str, str] | None:
    """A factor that is left out, or another's place, in what each step gives to itself."""
    parts = (np.moveaxis(np.diagonal(a, axis1=of_y, axis2=of_x), -1, of_y) for a in (j.ours, j.right))
    step = j._replace(ours=next(parts), right=next(parts))
    if (step.right != 0).sum() < PROOF:
        return None
    inside = e._replace(each_output=lambda: step)
    answer = factor_on_the_way(inside)
    if answer is None or answer[0] not in ("missing factor", "missing slope"):  # few entries prove no mask
        answer = (words := other_factor(inside)) and ("other factor", words)
    return answer and (answer[0], f"in what a step along {axis} gives to itself: {answer[1]}")


def _carried_factor(
    e: Evidence, j: Jacobians, of_y: int, of_x: int, step: int, parts: tuple[Array, Array, Array]
) -> str | None:
    """A factor that is missing at each step of what is carried, or too much, or in the place of another."""
    ours, right, later = parts
    carried = list(islice(_products(e, j, of_y, of_x, step, later), MOST_CARRIED))
    for words, product in carried:
        if j.same(ours * product, right):
            return f"the factor {words} of each step is missing"
        if j.same(ours, right * product):
            return f"the factor {words} of each step is too much"
    for (words, product), (other, instead) in permutations(carried, 2):
        if words != other and j.same(ours * product, right * instead):
            return f"the factor {other} of each step stands where {words} belongs"
    return None


def _products(e: Evidence, j: Jacobians, of_y: int, of_x: int, step: int, later: Array) -> Iterator[tuple[str, Array]]:
    """The products of a form over the steps from each earlier one to each later one."""
    n = len(later)
    for name, c in scalars(e):
        gap = np.subtract.outer(np.arange(n), np.arange(n))[later].reshape(-1, *[1] * (j.right.ndim - 2))
        yield from ((words, value**gap) for words, value in ((name, c), (f"1 − {name}", 1 - c)))
    for form in forms(e):
        for axes in j.places(form.value):
            if of_x in axes and of_y not in axes:
                value = np.moveaxis(j.spread(form.value, axes), (of_y, of_x), (0, 1))[0, ::step]
                for first in (1, 0):  # the steps s + 1 … t, or s … t − 1
                    products = [value[s + first : t + first].prod(axis=0) for t, s in np.argwhere(later)]
                    yield form.words, np.stack(products)
