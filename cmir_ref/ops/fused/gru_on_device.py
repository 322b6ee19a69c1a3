"""`gru` in four launches a step by the kernels of a GPU; for other arrays it is the plain operation.

Shapes as in `gru`. Time comes first, so that a step's arrays stand together.
"""

from typing import NamedTuple

from ... import kernels
from ...backend import Array, get_xp
from ..gru import GruCache, gru, gru_backward


class GruKernelCache(NamedTuple):
    """The cache where the kernels of a GPU computed."""

    x: Array  # (T, N, C)
    w: Array
    u: Array
    lengths: Array
    states: Array  # (T + 1, N, D): of step t at t + 1, or at t in reverse; 0 at the end where it began
    gates: Array  # (T, N, 3D) r, z, n
    product: Array  # (T, N, D)
    reverse: bool


def gru_on_device(
    x: Array, w: Array, u: Array, b: Array, *, lengths: Array, reverse: bool = False, reset: str = "after"
) -> tuple[Array, GruKernelCache | GruCache]:
    """The states of `gru`: x W + b of all steps in one product, then h U and one launch a step.

    `reset` "before" needs h U in two parts, and is left to `gru`.
    """
    if reset != "after" or not kernels.supported(x, w, u, b):
        return gru(x, w, u, b, lengths=lengths, reverse=reverse, reset=reset)
    xp, (n, t_all, c), d = get_xp(x), x.shape, u.shape[0]
    x = xp.ascontiguousarray(x.transpose(1, 0, 2))
    a = (x.reshape(t_all * n, c) @ w + b).reshape(t_all, n, 3 * d)
    states, gates = xp.zeros((t_all + 1, n, d), dtype=x.dtype), xp.empty_like(a)
    product = xp.empty((t_all, n, d), dtype=x.dtype)
    for t in reversed(range(t_all)) if reverse else range(t_all):
        before, after = (t + 1, t) if reverse else (t, t + 1)
        h = states[before]
        kernels.gru_step_kernel(a[t], h @ u, h, lengths, t, states[after], product[t], gates[t])
    y = (states[:-1] if reverse else states[1:]).transpose(1, 0, 2)
    return y, GruKernelCache(x, w, u, lengths, states, gates, product, reverse)


def gru_on_device_backward(dy: Array, cache: GruKernelCache | GruCache) -> tuple[Array, Array, Array, Array]:
    """(dx, dw, du, db) as `gru_backward`: the steps carry dh alone; all products but its own wait for the end."""
    if isinstance(cache, GruCache):
        return gru_backward(dy, cache)
    x, w, u, lengths, states, gates, product, reverse = cache
    xp, (t_all, n, c), d = get_xp(dy), x.shape, u.shape[0]
    dy = xp.ascontiguousarray(dy.transpose(1, 0, 2))
    da, dc = xp.empty_like(gates), xp.empty_like(gates)
    carried = through = xp.zeros((n, d), dtype=dy.dtype)
    past = states[1:] if reverse else states[:-1]
    for t in range(t_all) if reverse else reversed(range(t_all)):
        d_all = dy[t], carried, through
        carried = kernels.gru_step_backward_kernel(gates[t], lengths, d_all, past[t], product[t], t, da[t], dc[t])
        through = dc[t] @ u.T
    rows = da.reshape(t_all * n, 3 * d)
    du = past.reshape(t_all * n, d).T @ dc.reshape(t_all * n, 3 * d)
    dx = (rows @ w.T).reshape(t_all, n, c).transpose(1, 0, 2)
    return dx, x.reshape(t_all * n, c).T @ rows, du, kernels.column_sum_kernel(rows)
