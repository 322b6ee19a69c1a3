"""A depthwise convolution as sums of shifted lines of memory, for stride 1 and an output as large as the input.

Samples of a stack lie in one flat buffer of pixels: h lines of w pixels, each line followed by `gap` pixels of zeros,
each sample by `gap` lines of zeros. A tap of the kernel is then one shift along the buffer, the zeros of a line serve
the next line as well, and every operation runs over long contiguous memory. What is computed for the zeros between the
lines is thrown away.
"""

from collections.abc import Iterator

import numpy as np

from ..padding import Padding

WIDE = 2048  # numbers in a row of the wide view: NumPy's inner loop should not be a few dozen channels long
CHUNK = 1 << 15  # numbers of the output at a time: it, a product and the input stay in the second-level cache


class Lines:
    """The workspace of one thread for stacks of at most `samples` samples (H, W, C) and kernels w (k, k, C)."""

    def __init__(self, samples: int, shape: tuple[int, ...], w: np.ndarray, padding: Padding):
        (self.h, self.w, self.c), k, (top, _, left, _) = shape, w.shape[0], padding
        self.gap_lines, self.gap = max(padding[:2]), max(padding[2:])
        self.line = self.w + self.gap
        self.wide = max(WIDE // self.c, 1)  # pixels in a row of the wide view
        self.lead = top * self.line + left
        self.pixels = samples * (self.h + self.gap_lines) * self.line
        self.offsets = [(i - top) * self.line + j - left for i in range(k) for j in range(k)]
        self.kernel = np.tile(w.reshape(k * k, self.c), self.wide)
        behind = max(self.offsets[-1], 0) + self.wide
        self.padded = np.zeros((self.lead + self.pixels + behind, self.c), dtype=w.dtype)
        self.out = np.empty((self.pixels + self.wide, self.c), dtype=w.dtype)
        self.rows = max(CHUNK // (self.wide * self.c), 1)
        self.work = np.empty((self.rows, self.wide * self.c), dtype=w.dtype)

    def inner(self, buffer: np.ndarray, samples: int, lead: int) -> np.ndarray:
        """A view (n, H, W, C) of the samples without the zeros between them; their first pixel is number `lead`."""
        size = samples * (self.h + self.gap_lines) * self.line
        whole = buffer[lead : lead + size].reshape(samples, self.h + self.gap_lines, self.line, self.c)
        return whole[:, : self.h, : self.w]

    def load(self, samples: int) -> np.ndarray:
        """The view to write the samples of a stack into."""
        return self.inner(self.padded, samples, self.lead)

    def chunks(self, samples: int) -> Iterator[tuple[int, int]]:
        """(first number, rows) of the wide view, chunk by chunk, over a stack of samples."""
        size = self.wide * self.c
        last = -(-(samples * (self.h + self.gap_lines) * self.line) // self.wide)
        return ((first * size, min(self.rows, last - first)) for first in range(0, last, self.rows))

    def shifted(self, first: int, rows: int, offset: int) -> np.ndarray:
        """The wide view of the pixels that a tap with this offset meets."""
        start, size = (self.lead + offset) * self.c + first, self.wide * self.c
        return self.padded.reshape(-1)[start : start + rows * size].reshape(rows, size)

    def convolve(self, samples: int) -> np.ndarray:
        """A view (n, H, W, C) of the convolution of the stack that was loaded; the next call overwrites it."""
        out = self.out.reshape(-1)
        for first, rows in self.chunks(samples):
            y, product = out[first : first + self.work[:rows].size].reshape(rows, -1), self.work[:rows]
            for t, offset in enumerate(self.offsets):
                pixels = self.shifted(first, rows, offset)
                if t == 0:
                    np.multiply(pixels, self.kernel[t], out=y)
                else:
                    np.multiply(pixels, self.kernel[t], out=product)
                    y += product
        return self.inner(self.out, samples, 0)

    def correlate(self, other: "Lines") -> np.ndarray:
        """Σ over pixels of `other` times the pixels here that each tap meets, of one sample: (k·k, C), float64."""
        total = np.zeros((len(self.offsets), self.wide * self.c))
        for first, rows in self.chunks(1):
            dy, product = other.shifted(first, rows, 0), self.work[:rows]
            for t, offset in enumerate(self.offsets):
                np.multiply(self.shifted(first, rows, offset), dy, out=product)
                total[t] += product.sum(axis=0)
        return total.reshape(len(self.offsets), self.wide, self.c).sum(axis=1)
