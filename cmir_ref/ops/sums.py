"""Sums over a long axis, in two stages, and the factor that makes a sum a mean."""

import math

from ..backend import Array

PARTIAL_SUMS = 256  # enough of them to occupy a GPU, few enough to cost nothing on a CPU


def column_sum(x: Array) -> Array:
    """Σ over all axes but the last: (…, C) -> (C,).

    In two stages: float32 stays accurate over millions of rows, and a GPU is not left with one block of threads.
    """
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # not −1: there may be no column
    if rows.shape[0] < 2 * PARTIAL_SUMS:
        return rows.sum(axis=0)
    whole = rows.shape[0] // PARTIAL_SUMS * PARTIAL_SUMS
    parts = rows[:whole].reshape(PARTIAL_SUMS, -1, rows.shape[1]).sum(axis=1)
    return parts.sum(axis=0) + rows[whole:].sum(axis=0)


def column_mean(x: Array) -> Array:
    """Mean over all axes but the last: (…, C) -> (C,)."""
    return column_sum(x) / max(x.size // x.shape[-1], 1)


def reduction_factor(reduction: str, n: int) -> float:
    """What a sum of n terms is multiplied by: 1 for "sum", 1/n for "mean"."""
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction is {reduction!r}; it is one of sum, mean")
    return 1 / max(n, 1) if reduction == "mean" else 1.0
