"""What kind of mistake is it? A table of pure functions that are asked in order, from a wrong gradient to a sentence.

Each function knows one kind of mistake. It takes the `Evidence` about one input, undoes the mistake, and compares with
the measured gradient. Where the two are equal to rounding it answers with a sentence, else with None. Nothing is
guessed.
"""

import numpy as np

from .arrangement import (
    exchange,
    flip,
    flip_of_another,
    gradient_of_another,
    half_of_product,
    half_of_two,
    missing_spread,
    missing_sum,
    other_axis,
    permutation,
    product_transposed,
    reshape,
    rotated,
    shift,
    sum_too_much,
    transpose,
    transpose_of_another,
    turned_round,
    upstream_transposed,
)
from .evidence import Evidence, where
from .factors import (
    factor_of_each_line,
    factor_of_each_output,
    factor_on_the_way,
    ignored_output,
    other_factor,
    parts_left_out,
)
from .masks import branch, diagonal_alone, dropped_entries, missing_mask, other_mask, reversed_mask, wrong_count
from .paths import beside_product, direct_path, missing_term, summed_over_another, sums_over_another_axis
from .recurrence import over_steps
from .whole import (
    constant_factor,
    doubled_upstream,
    float32,
    missing_penalty,
    missing_upstream,
    no_dependence,
    not_finite,
    not_linear,
    sign,
    straight_through,
    straight_through_a_part,
    zero,
)


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
    hints = "".join(hint(e) for hint in (where, _handed_back, _entry_by_entry, _jumping))
    return None, f"no known kind: {e.off.sum()} of {e.off.size} entries are off{hints}"


def _handed_back(e: Evidence) -> str:
    """Where one end of an axis of steps alone is right: what all others get reaches them by way of it."""
    for axis in range(e.off.ndim * (e.off.ndim > 1)):
        others = tuple(a for a in range(e.off.ndim) if a != axis)
        some, whole = e.off.any(others), e.off.all(others)
        for end, one, side in ((-1, "last", "before"), (0, "first", "after")):
            if len(some) > 2 and whole.sum() == len(some) - 1 and not some[end]:
                hand = f"look at what each step hands to the one {side} it"
                return f"; the {one} of axis {axis} alone is right: if these are steps, {hand}"
    return ""


def _jumping(e: Evidence) -> str:
    """What may be passed straight through a step, beside what is smooth."""
    words = (
        f"; {e.result} jumps as {e.input} moves: what is passed straight through a step, as rounding, counts as wrong"
    )
    return words if e.jumps() else ""


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
        ("straight through", straight_through),
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
        ("straight through", straight_through_a_part),
        ("swapped", gradient_of_another),
        ("flip", flip),
        ("shift", shift),
        ("missing factor", factor_on_the_way),
        ("transpose", upstream_transposed),
        ("transpose", product_transposed),
        ("half of a shared input", half_of_two),
        ("half of a shared input", half_of_product),
        ("transpose", transpose_of_another),
        ("flip", flip_of_another),
        ("transpose", turned_round),
    ),
    (
        ("not linear", not_linear),
        ("rotation", rotated),
        ("permutation", permutation),
        ("another mask", other_mask),
        ("other factor", other_factor),
        ("recurrence", over_steps),
        ("factor of each line", factor_of_each_line),
        ("missing term", missing_penalty),
        ("parts left out", parts_left_out),
        ("factor of each output", factor_of_each_output),
        ("missing path", direct_path),
        ("wrong count", wrong_count),
        ("missing term", missing_term),
        ("wrong axis", sums_over_another_axis),
        ("other multiple", beside_product),
        ("diagonal", diagonal_alone),
    ),
)
