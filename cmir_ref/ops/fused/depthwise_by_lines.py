"""`depthwise_conv` with stride 1 and an output as large as the input, along long lines of memory (see `lines`).

N samples, H × W pixels, C channels, k × k kernel: x (N, H, W, C), w (k, k, C), y (N, H, W, C).
"""

from typing import NamedTuple

import numpy as np

from ...backend import Array
from ...parallel import map_blocks
from ..depthwise_conv import depthwise_conv, depthwise_conv_backward
from ..padding import Padding
from .lines import Lines


class DepthwiseLinesCache(NamedTuple):
    x: np.ndarray
    w: np.ndarray
    padding: Padding


def can_run_along_lines(x: Array, w: Array, stride: int, padding: Padding) -> bool:
    """Whether the fast path takes this: NumPy's float32 or float64 of one dtype, and y as large as x."""
    numbers = isinstance(x, np.ndarray) and x.dtype == w.dtype and x.dtype.char in "fd"
    return numbers and stride == 1 and padding[0] + padding[1] == padding[2] + padding[3] == w.shape[0] - 1


def depthwise_by_lines(x: Array, w: Array, *, stride: int = 1, padding: Padding = (0, 0, 0, 0)) -> tuple[Array, tuple]:
    """y = depthwise_conv(x, w, stride=stride, padding=padding); where `can_run_along_lines` says no, just that.

    Threads share out the samples. x is kept without its padding.
    """
    if not can_run_along_lines(x, w, stride, padding):
        return depthwise_conv(x, w, stride=stride, padding=padding)
    return _convolve(x, w, padding), DepthwiseLinesCache(x, w, padding)


def depthwise_by_lines_backward(dy: Array, cache: tuple, *, input_gradient: bool = True) -> tuple[Array | None, Array]:
    """(dx, dw); dx is None without `input_gradient`.

    dx is itself a depthwise convolution: of dy, by the kernel turned by half a turn, the padding's sides exchanged.
    dw[i, j] is the sum of dy times the x that this entry met, over the same lines; blocks are added in their order.
    """
    if not isinstance(cache, DepthwiseLinesCache):
        return depthwise_conv_backward(dy, cache, input_gradient=input_gradient)
    x, w, padding = cache
    top, bottom, left, right = padding
    turned = (bottom, top, right, left)
    dx = _convolve(dy, np.ascontiguousarray(w[::-1, ::-1]), turned) if input_gradient else None

    def work(block):
        lines = Lines(1, x.shape[1:], w, padding)
        dlines = Lines(1, x.shape[1:], w, padding)
        total = np.zeros((w.shape[0] ** 2, w.shape[2]))
        for i in range(block.start, block.stop):
            lines.load(1)[...] = x[i]
            dlines.load(1)[...] = dy[i]
            total += lines.correlate(dlines)
        return total

    dw = np.zeros((w.shape[0] ** 2, w.shape[2]))
    for part in map_blocks(work, len(x)):
        dw += part
    return dx, dw.reshape(w.shape).astype(w.dtype)


def _convolve(x: np.ndarray, w: np.ndarray, padding: Padding) -> np.ndarray:
    y = np.empty(x.shape, dtype=w.dtype)

    def work(block):
        lines = Lines(1, x.shape[1:], w, padding)
        for i in range(block.start, block.stop):
            lines.load(1)[...] = x[i]
            y[i] = lines.convolve(1)[0]

    map_blocks(work, len(x))
    return y
