"""Convolution and max-pooling in one: `max_pool(conv(x, w, b), factor)` without the full-size feature map.

N samples, H × W pixels, C channels in, D out, k × k kernel, f × f pools, P = (H//f)(W//f) windows.
A sample's columns are sorted by their place in the window, so that pooling is an element-wise maximum of f² planes
(P, D) that are still in cache, and only the winners' places are kept for the way back.
"""

from typing import NamedTuple

import numpy as np

from ...backend import Array
from ..conv import conv, conv_backward
from ..max_pool import max_pool, max_pool_backward
from .parallel import each_sample


class ConvMaxPoolCache(NamedTuple):
    padded: np.ndarray
    w: np.ndarray
    winner: np.ndarray
    factor: int
    shape: tuple[int, ...]


def conv_max_pool(x: Array, w: Array, b: Array, factor: int) -> tuple[Array, tuple]:
    """y = max_pool(conv(x, w, b), factor): (N, H, W, C) -> (N, H//f, W//f, D).

    The plain composition itself for arrays other than NumPy's float32 and float64, and for factors beyond 15.
    """
    fits = isinstance(x, np.ndarray) and x.dtype == w.dtype == b.dtype and x.dtype.char in "fd" and factor < 16
    if not fits or min(x.shape[1:3]) < factor:
        y, conv_cache = conv(x, w, b)
        y, pool_cache = max_pool(y, factor)
        return y, (conv_cache, pool_cache)
    n, h, width, c = x.shape
    k, d = w.shape[0], w.shape[-1]
    high, wide = h // factor, width // factor
    padded = np.zeros((n, h + k - 1, width + k - 1, c), dtype=x.dtype)
    padded[:, k // 2 : k // 2 + h, k // 2 : k // 2 + width] = x
    y = np.empty((n, high * wide, d), dtype=x.dtype)
    winner = np.zeros((n, high * wide, d), dtype=np.uint8)
    kernel = w.reshape(-1, d)

    def work(i):
        planes = (_columns(padded[i], k, factor, high, wide) @ kernel).reshape(factor * factor, high * wide, d)
        best, code = y[i], winner[i]
        best[...] = planes[0]
        for tap in range(1, factor * factor):
            better = (planes[tap] > best).view(np.uint8)
            np.maximum(best, planes[tap], out=best)
            better *= np.uint8(tap)  # the last tap that was better has the highest number
            np.maximum(code, better, out=code)
        best += b

    each_sample(work, n)
    return y.reshape(n, high, wide, d), ConvMaxPoolCache(padded, w, winner, factor, x.shape)


def conv_max_pool_backward(
    dy: Array, cache: tuple, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db): dy goes to the winners, then through the convolution; a sample's columns are made anew.

    Each sample's part of dw is kept apart and summed in order, so the number of threads changes nothing.
    """
    if not isinstance(cache, ConvMaxPoolCache):
        return conv_backward(max_pool_backward(dy, cache[1]), cache[0], input_gradient=input_gradient)
    padded, w, winner, factor, (n, h, width, c) = cache
    k, d = w.shape[0], w.shape[-1]
    high, wide = h // factor, width // factor
    kernel = np.ascontiguousarray(w.reshape(-1, d).T)
    rows = np.ascontiguousarray(dy).reshape(n, high * wide * d)
    partial = np.empty((n, k * k * c, d), dtype=dy.dtype)
    dpadded = np.zeros(padded.shape if input_gradient else (0,), dtype=dy.dtype)
    place = np.arange(high * wide * d)

    def work(i):
        spread = np.zeros(factor * factor * place.size, dtype=dy.dtype)
        spread[winner[i].ravel() * np.intp(place.size) + place] = rows[i]
        spread = spread.reshape(-1, d)
        np.matmul(_columns(padded[i], k, factor, high, wide).T, spread, out=partial[i])
        if input_gradient:
            _add_columns(dpadded[i], spread @ kernel, k, factor, high, wide)

    each_sample(work, n)
    dx = dpadded[:, k // 2 : k // 2 + h, k // 2 : k // 2 + width] if input_gradient else None
    return dx, partial.sum(axis=0).reshape(w.shape), rows.reshape(-1, d).sum(axis=0)


def _taps(padded: np.ndarray, k: int, f: int, high: int, wide: int) -> np.ndarray:
    """One sample's neighbourhoods as a view (f, f, k, H//f, W//f, k·C): place in the window, kernel row, window."""
    row, pixel, item = padded.strides
    shape = (f, f, k, high, wide, k * padded.shape[2])
    return np.lib.stride_tricks.as_strided(padded, shape, (row, pixel, row, f * row, f * pixel, item))


def _columns(padded: np.ndarray, k: int, f: int, high: int, wide: int) -> np.ndarray:
    """The rows of `im2col`, sorted by place in the window: (f·f·P, k·k·C)."""
    columns = np.empty((f, f, high, wide, k, k * padded.shape[2]), dtype=padded.dtype)
    np.copyto(columns, _taps(padded, k, f, high, wide).transpose(0, 1, 3, 4, 2, 5))
    return columns.reshape(f * f * high * wide, -1)


def _add_columns(dpadded: np.ndarray, dcolumns: np.ndarray, k: int, f: int, high: int, wide: int) -> None:
    """The transpose of `_columns`, added into one sample's own `dpadded`.

    One shifted addition for each place in the window and tap: within one, no pixel is written twice.
    """
    c = dpadded.shape[2]
    dcolumns = dcolumns.reshape(f, f, high, wide, k, k, c)
    for p in range(f):
        for q in range(f):
            for i in range(k):
                for j in range(k):
                    rows, columns = slice(p + i, p + i + f * high, f), slice(q + j, q + j + f * wide, f)
                    dpadded[rows, columns] += dcolumns[p, q, :, :, i, j]
