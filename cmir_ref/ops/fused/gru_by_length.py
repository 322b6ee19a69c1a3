"""`gru` with one product for the input projections of all steps, and no work beyond the end of a sequence.

Shapes as in `gru`. Sequences are sorted by length, the longest first, so that those that have a step t stand together.
"""

from typing import NamedTuple

import numpy as np

from ...backend import Array
from ..sigmoid import sigmoid
from ..sums import column_sum
from .gru_on_device import gru_on_device, gru_on_device_backward


class GruByLengthCache(NamedTuple):
    x: Array  # (T, N, C) sorted
    w: Array
    u: Array
    order: Array  # the sequence that stands in each row
    steps: list[tuple[int, int]]  # (t, how many sequences have a step t), as computed
    before: Array  # (T, N, D) the state that each step began with
    gates: Array  # (T, N, 3D) r, z, n
    product: Array  # (T, N, D) as in `gru_cell`
    reset: str


def gru_by_length(
    x: Array, w: Array, u: Array, b: Array, *, lengths: Array, reverse: bool = False, reset: str = "after"
) -> tuple[Array, tuple]:
    """The states of `gru`; arrays of another library go to `gru_on_device`. Kept: 5 D numbers a step."""
    if not isinstance(x, np.ndarray) or reset not in ("after", "before"):
        return gru_on_device(x, w, u, b, lengths=lengths, reverse=reverse, reset=reset)
    (n, t_all, c), d = x.shape, u.shape[0]
    order = np.argsort(-lengths.astype("int64"), kind="stable")
    counts = (np.arange(t_all)[:, None] < lengths[None, :]).sum(axis=1).tolist()
    steps = [(t, counts[t]) for t in (reversed(range(t_all)) if reverse else range(t_all))]
    x = np.ascontiguousarray(x[order].transpose(1, 0, 2))
    gates = (x.reshape(t_all * n, c) @ w + b).reshape(t_all, n, 3 * d)
    before, product = (np.zeros((t_all, n, d), dtype=x.dtype) for _ in range(2))
    states, h = np.empty((t_all, n, d), dtype=x.dtype), np.zeros((n, d), dtype=x.dtype)
    u_n = u[:, 2 * d :]
    for t, m in steps:
        a, now = gates[t, :m], h[:m]
        before[t, :m] = now
        if reset == "after":
            inner = now @ u
            rz, _ = sigmoid(a[:, : 2 * d] + inner[:, : 2 * d])
            product[t, :m] = inner[:, 2 * d :]
            candidate = np.tanh(a[:, 2 * d :] + rz[:, :d] * product[t, :m])
        else:
            rz, _ = sigmoid(a[:, : 2 * d] + now @ u[:, : 2 * d])
            product[t, :m] = rz[:, :d] * now
            candidate = np.tanh(a[:, 2 * d :] + product[t, :m] @ u_n)
        a[:, : 2 * d], a[:, 2 * d :] = rz, candidate
        h[:m] = candidate + rz[:, d:] * (now - candidate)
        states[t] = h
    out = np.empty((n, t_all, d), dtype=x.dtype)
    out[order] = states.transpose(1, 0, 2)
    return out, GruByLengthCache(x, w, u, order, steps, before, gates, product, reset)


def gru_by_length_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array, Array]:
    """(dx, dw, du, db) as `gru_backward`: the steps only carry dh; all products with x, W and h U wait for the end."""
    if not isinstance(cache, GruByLengthCache):
        return gru_on_device_backward(dy, cache)
    x, w, u, order, steps, before, gates, product, reset = cache
    (t_all, n, c), d = x.shape, u.shape[0]
    dy = np.ascontiguousarray(dy[order].transpose(1, 0, 2))
    da = np.zeros((t_all, n, 3 * d), dtype=dy.dtype)
    through_u = np.zeros_like(da) if reset == "after" else da  # what U's columns are multiplied by
    dh = np.zeros((n, d), dtype=dy.dtype)
    for t, m in reversed(steps):
        dh += dy[t]
        g, h, r, z, candidate = dh[:m], before[t, :m], *(gates[t, :m, k * d : (k + 1) * d] for k in range(3))
        dn = g * (1 - z) * (1 - candidate * candidate)
        da[t, :m, d : 2 * d] = g * (h - candidate) * z * (1 - z)
        da[t, :m, 2 * d :] = dn
        if reset == "after":
            da[t, :m, :d] = dn * product[t, :m] * r * (1 - r)
            through_u[t, :m, : 2 * d], through_u[t, :m, 2 * d :] = da[t, :m, : 2 * d], dn * r
            dh[:m] = g * z + through_u[t, :m] @ u.T
        else:
            dm = dn @ u[:, 2 * d :].T
            da[t, :m, :d] = dm * h * r * (1 - r)
            dh[:m] = g * z + dm * r + da[t, :m, : 2 * d] @ u[:, : 2 * d].T
    rows, past = da.reshape(t_all * n, 3 * d), before.reshape(t_all * n, d)
    if reset == "after":
        du = past.T @ through_u.reshape(t_all * n, 3 * d)
    else:
        du_n = product.reshape(t_all * n, d).T @ rows[:, 2 * d :]
        du = np.concatenate([past.T @ rows[:, : 2 * d], du_n], axis=1)
    dx = np.empty((n, t_all, c), dtype=dy.dtype)
    dx[order] = (rows @ w.T).reshape(t_all, n, c).transpose(1, 0, 2)
    return dx, x.reshape(t_all * n, c).T @ rows, du, column_sum(rows)
