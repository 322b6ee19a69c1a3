"""A gated recurrent unit over padded sequences, in either direction.

N sequences of T steps, C inputs, D states: x (N, T, C), lengths integer (N,), states (N, T, D); w, u, b of `gru_cell`.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .gru_cell import GruCellCache, gru_cell, gru_cell_backward


class GruCache(NamedTuple):
    steps: list[tuple[int, Array, GruCellCache]]  # (t, which sequences have a step t, the cell's cache), as computed
    shape: tuple[int, ...]


def gru(
    x: Array, w: Array, u: Array, b: Array, *, lengths: Array, reverse: bool = False, reset: str = "after"
) -> tuple[Array, GruCache]:
    """h_t = cell(x_t, h_{t−1}), h = 0 before the first step; with `reverse` from the last step to the first.

    Where a sequence has no step t (t ≥ its length) its state passes through unchanged: behind the end of a sequence
    stands its last state, and in reverse the zeros with which it will begin.
    """
    xp, steps = get_xp(x, w), []
    n, t_all, _ = x.shape
    h = xp.zeros((n, u.shape[0]), dtype=x.dtype)
    states = xp.empty((n, t_all, u.shape[0]), dtype=x.dtype)
    for t in reversed(range(t_all)) if reverse else range(t_all):
        valid = (t < lengths)[:, None]
        new, cache = gru_cell(x[:, t], h, w, u, b, reset=reset)
        h = xp.where(valid, new, h)
        states[:, t] = h
        steps.append((t, valid, cache))
    return states, GruCache(steps, x.shape)


def gru_backward(dy: Array, cache: GruCache) -> tuple[Array, Array, Array, Array]:
    """(dx, dw, du, db): from the last step that was computed to the first.

    The state at t is read by whoever uses the states, dy_t, and by the next step, dh: d = dy_t + dh. Where there is a
    step, d goes through the cell, which gives the dh of the step before; where there is none, d is that dh. The weights
    are used at every step, so their gradients add up.
    """
    xp = get_xp(dy)
    dx = xp.zeros(cache.shape, dtype=dy.dtype)
    dh, grads = 0, [0, 0, 0]
    for t, valid, cell in reversed(cache.steps):
        d = dy[:, t] + dh
        dx[:, t], dh, *parts = gru_cell_backward(xp.where(valid, d, 0), cell)
        dh = dh + xp.where(valid, 0, d)
        grads = [total + part for total, part in zip(grads, parts, strict=True)]
    return dx, *grads
