"""An inverted residual block for inference: batch normalisation is folded into its three convolutions.

x (N, H, W, C) -> 1 × 1 to D channels, ReLU6 -> depthwise k × k, ReLU6 -> 1 × 1 to E channels (+ x): (N, P, Q, E).
Samples go through the block a few at a time, so that the D channels, six times as many as C, stay in the cache of the
processor and are never stored for a whole batch. There is no backward: what is trained takes the plain operations.
"""

from typing import NamedTuple

import numpy as np

from ...backend import Array
from ..depthwise_conv import depthwise_conv
from ..padding import Padding, output_size, pad, tap
from .depthwise_by_lines import can_run_along_lines
from .lines import Lines

STACK_BYTES = 1 << 20  # of D channels that go through a block together: half of a second-level cache


class FoldedBlock(NamedTuple):
    """The three convolutions with their normalisation; `expand` is None where D = C and the first one is left out."""

    expand: tuple[Array, Array] | None  # w (C, D), b (D,)
    depthwise: tuple[Array, Array]  # w (k, k, D), b (D,)
    project: tuple[Array, Array]  # w (D, E), b (E,)
    stride: int
    padding: Padding
    residual: bool  # whether x is added


def write_relu6(u: Array, b: Array) -> Array:
    """relu6(u + b), written into u, which is returned."""
    u += b
    return u.clip(0, 6, out=u)


def pointwise_relu6(x: Array, w: Array, b: Array) -> Array:
    """relu6(x w + b): a 1 × 1 convolution is one product of matrices, (N, H, W, C) -> (N, H, W, D)."""
    return write_relu6(x.reshape(-1, x.shape[-1]) @ w, b).reshape(*x.shape[:-1], w.shape[-1])


def folded_block(x: Array, block: FoldedBlock) -> Array:
    """y of the module's first line. For other arrays than NumPy's float32 and float64 this is the plain composition."""
    w, b = block.depthwise
    wp, bp = block.project
    size = output_size(x.shape, w.shape[0], block.stride, block.padding)
    if not (isinstance(x, np.ndarray) and x.dtype == w.dtype and x.dtype.char in "fd"):
        wide = x if block.expand is None else pointwise_relu6(x, *block.expand)
        wide, _ = depthwise_conv(wide, w, stride=block.stride, padding=block.padding)
        y = (write_relu6(wide, b).reshape(-1, wp.shape[0]) @ wp + bp).reshape(len(x), *size, wp.shape[1])
        return y + x if block.residual else y
    sample = x.shape[1] * x.shape[2] * w.shape[2] * x.itemsize
    count = min(max(STACK_BYTES // max(sample, 1), 1), max(len(x), 1))
    y = np.empty((len(x), *size, wp.shape[1]), dtype=x.dtype)
    convolve = _workspace(count, x.shape[1:3], block, size)
    for start in range(0, len(x), count):
        stack = x[start : start + count]
        out = y[start : start + count].reshape(-1, wp.shape[1])
        np.matmul(convolve(stack).reshape(-1, wp.shape[0]), wp, out=out)
        out += bp
        if block.residual:
            out += stack.reshape(out.shape)
    return y


def _workspace(count: int, image: tuple[int, int], block: FoldedBlock, size: tuple[int, int]):
    """A function of a stack of at most `count` samples: the D channels behind the depthwise convolution's ReLU6.

    It holds the arrays that every stack overwrites.
    """
    w, b = block.depthwise
    k, d = w.shape[0], w.shape[2]
    dense = np.empty((count, *size, d), dtype=w.dtype)
    wide = None if block.expand is None else np.empty((count * image[0] * image[1], d), dtype=w.dtype)

    def write_expanded(stack, out):
        """The D channels of a stack, written into the view `out` (n, H, W, D)."""
        if block.expand is None:
            out[...] = stack
            return
        we, be = block.expand
        product = wide[: len(stack) * image[0] * image[1]]
        np.matmul(stack.reshape(-1, stack.shape[-1]), we, out=product)
        np.add(product.reshape(out.shape), be, out=out)
        out.clip(0, 6, out=out)

    if can_run_along_lines(w, w, block.stride, block.padding):
        lines = Lines(count, (*image, d), w, block.padding)

        def convolve(stack):
            write_expanded(stack, lines.load(len(stack)))
            y = dense[: len(stack)]
            np.copyto(y, lines.convolve(len(stack)))
            return write_relu6(y, b)

        return convolve

    padded = pad(np.zeros((count, *image, d), dtype=w.dtype), block.padding)
    top, _, left, _ = block.padding
    product = np.empty_like(dense)

    def convolve_with_stride(stack):
        n = len(stack)
        write_expanded(stack, padded[:n, top : top + image[0], left : left + image[1]])
        y = dense[:n]
        y[...] = b
        for i in range(k):
            for j in range(k):
                np.multiply(tap(padded[:n], i, j, block.stride, size), w[i, j], out=product[:n])
                y += product[:n]
        return y.clip(0, 6, out=y)

    return convolve_with_stride
