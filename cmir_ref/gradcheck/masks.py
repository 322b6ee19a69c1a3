"""Kinds of mistakes at some entries alone, all others right: a mask, a branch, a sum over the wrong terms.

Each function answers as `diagnose` says.
"""

import numpy as np

from .evidence import Evidence, region, where


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
