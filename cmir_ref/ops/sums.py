"""Sums over a long axis, in two stages."""

from ..backend import Array

PARTS = 256  # enough partial sums to occupy a GPU, few enough to cost nothing on a CPU


def column_sum(x: Array) -> Array:
    """Σ over all axes but the last: (…, C) -> (C,).

    In two stages: float32 stays accurate over millions of rows, and a GPU is not left with one block of threads.
    """
    rows = x.reshape(-1, x.shape[-1])
    if rows.shape[0] < 2 * PARTS:
        return rows.sum(axis=0)
    whole = rows.shape[0] // PARTS * PARTS
    return rows[:whole].reshape(PARTS, -1, rows.shape[1]).sum(axis=1).sum(axis=0) + rows[whole:].sum(axis=0)


def column_mean(x: Array) -> Array:
    """Mean over all axes but the last: (…, C) -> (C,)."""
    return column_sum(x) / max(x.size // x.shape[-1], 1)
