"""A convolution tile by tile: all that a tile needs stays in the cache of the processor.

A tile is a few rows of pooling windows of one sample or, where samples are small, all rows of a stack of them.
H × W pixels, C channels in, D out, k × k kernel, f × f windows, P = windows in a tile.

Samples lie in the workspace line behind line with a gap of zeros as wide as the border between them: what is right of
one line is left of the next. A tap of the kernel is then a shift along flat pixels.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from .add_products import add_products

TILE_BYTES = 3 << 20  # of columns and planes: near a second-level cache; smaller tiles make many short calls
STACK_SAMPLES = 4  # at most: the blocks that threads share out are not much longer
THIN_CHANNELS = 8  # with fewer channels, a run of memory along one line of the kernel is short


@lru_cache(maxsize=64)
def corners(windows: tuple[int, int, int], steps: tuple[int, int, int], d: int) -> np.ndarray:
    """Where the first pixel of each window is among flat pixels of d numbers, for each number: (s·r, q, d).

    Windows are s samples × r rows × q in a row, `steps` the pixels between them. Each block of each step asks for it.
    """
    s, r, q, number = np.ix_(*map(np.arange, (*windows, d)))
    found = (s * steps[0] + r * steps[1] + q * steps[2]) * d + number
    found.flags.writeable = False
    return found.reshape(-1, *found.shape[2:])


class Tiles:
    """The workspace of one thread for a convolution (k, k, C, D) of samples (H, W, C) that are pooled by f.

    It is made once for a block of samples, and each of them overwrites it: fresh memory costs more than the arithmetic.
    A stack is the few samples that are loaded together.
    """

    def __init__(self, shape: tuple[int, ...], w: np.ndarray, factor: int):
        self.h, self.width, self.c = shape
        self.k, self.d, self.f, self.w = w.shape[0], w.shape[-1], factor, w
        self.down, self.across = self.h // factor, self.width // factor  # windows of a sample
        self.kernel = w.reshape(-1, self.d)
        border = self.k // 2
        self.line, self.lines = self.width + border, self.h + border  # a line and its gap, a sample and its gap
        self.lead = border * (self.line + 1)  # pixels before the first one
        row = factor * factor * self.across * (self.kernel.shape[0] + self.d) * w.itemsize
        self.height = min(max(TILE_BYTES // max(row, 1), 1), self.down)  # rows of windows in a tile
        self.samples = min(max(TILE_BYTES // max(row * self.down, 1), 1), STACK_SAMPLES)  # in a stack
        self.rows = [slice(r, min(r + self.height, self.down)) for r in range(0, self.down, self.height)]
        self.padded = self.empty()
        self.padded.fill(0)
        self.pixels = self.lines * self.line if self.samples > 1 else factor * self.height * self.line  # of a sample
        pixels = self.samples * max(self.pixels, factor * factor * self.height * self.across)
        self.store = np.empty(pixels * self.kernel.shape[0], dtype=w.dtype)  # for arrays with a column for each tap

    def empty(self) -> np.ndarray:
        """An empty array for a stack, and for what taps read before its first and behind its last pixel."""
        return np.empty((self.samples * self.lines * self.line + 2 * self.lead, self.c), dtype=self.w.dtype)

    def stacks(self, block: slice) -> Iterator[slice]:
        """The samples of a block, a stack at a time."""
        return (slice(i, min(i + self.samples, block.stop)) for i in range(block.start, block.stop, self.samples))

    def inner(self, padded: np.ndarray) -> np.ndarray:
        """A view (n, H, W, C) of the loaded stack without its gaps."""
        stack = padded[self.lead : self.lead + self.count * self.lines * self.line]
        return stack.reshape(self.count, self.lines, self.line, self.c)[:, : self.h, : self.width]

    def first(self, rows: slice) -> int:
        """The pixel that the kernel's first tap meets at the first pixel of the tile."""
        return rows.start * self.f * self.line

    def steps(self) -> tuple[int, int, int]:
        """How many bytes lie between two samples, two lines and two pixels of the stack that follow each other."""
        pixel = self.padded.strides[0]
        return self.lines * self.line * pixel, self.line * pixel, pixel

    def load(self, x: np.ndarray) -> None:
        """Copies a stack of samples into the workspace."""
        self.count = len(x)
        self.inner(self.padded)[...] = x

    def columns(self, rows: slice, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
        """The neighbourhood of every pixel in the tile as a row (pixels, k·k·C), ordered by `shape` and `strides`."""
        k, c = self.k, self.c
        (_, line, pixel), item = self.steps(), self.padded.itemsize
        if c < THIN_CHANNELS:  # long runs along the pixels: one column of the matrix after the other
            shape, strides = (k, k, c, *shape), (line, pixel, item, *strides)
        else:  # long runs along a line of the kernel
            shape, strides = (*shape, k, k * c), (*strides, line, item)
        view = np.ndarray(shape, self.padded.dtype, self.padded, self.first(rows) * pixel, strides)
        columns = self.store[: view.size]
        np.copyto(columns.reshape(view.shape), view)
        return columns.reshape(k * k * c, -1).T if c < THIN_CHANNELS else columns.reshape(-1, k * k * c)

    def start_forward(self) -> None:
        """Makes the arrays that `planes` and `pool` need."""
        pixels = self.samples * self.f * self.f * self.height * self.across
        self.products = np.empty(pixels * self.d, dtype=self.w.dtype)
        self.equal = np.empty(pixels * self.d, dtype=bool)
        self.numbers = np.arange(self.f * self.f, 0, -1, dtype=np.uint8)[:, None]  # the first plane has the highest

    def planes(self, rows: slice) -> np.ndarray:
        """The convolution without bias, one plane for each position in the window: (f·f, P·D)."""
        f, r = self.f, rows.stop - rows.start
        sample, line, pixel = self.steps()
        columns = self.columns(rows, (f, f, self.count, r, self.across), (line, pixel, sample, f * line, f * pixel))
        products = self.products[: columns.shape[0] * self.d].reshape(-1, self.d)
        return np.matmul(columns, self.kernel, out=products).reshape(f * f, -1)

    def pool(self, planes: np.ndarray, y: np.ndarray, winner: np.ndarray | None) -> None:
        """Writes the maximum over the planes to `y` and the first plane that has it to `winner`, where one is given; a
        NaN is a maximum."""
        np.maximum.reduce(planes, axis=0, out=y.reshape(-1))
        if winner is None:
            return
        equal = np.equal(planes, y.reshape(-1), out=self.equal[: planes.size].reshape(planes.shape)).view(np.uint8)
        equal *= self.numbers
        highest = np.maximum.reduce(equal, axis=0)
        if not highest.all():  # a NaN equals nothing
            lost = np.flatnonzero(highest == 0)
            highest[lost] = (np.isnan(planes[:, lost]) * self.numbers).max(axis=0)
        np.subtract(self.f * self.f, highest, out=winner.reshape(-1), dtype=np.uint8)

    def start_backward(self) -> None:
        """Makes the arrays that `spread` and `add_dx` need."""
        f, line, d = self.f, self.line, self.d
        self.full = np.zeros((self.samples * self.pixels, d), dtype=self.w.dtype)
        self.offset = np.array([(p * line + q) * d for p in range(f) for q in range(f)] + [0])
        windows, steps = (self.samples, self.height, self.across), (self.pixels, f * line, f)
        self.corner = corners(windows, steps, d)
        self.index = np.empty((2, *self.corner.shape), dtype=np.intp)
        self.taps = np.ascontiguousarray(self.w).reshape(-1, self.c, d)
        self.shifts = [i * line + j for i in range(self.k) for j in range(self.k)]  # of the pixels that each tap meets

    def spread(self, dy: np.ndarray, winner: np.ndarray, rest: np.ndarray | None = None) -> np.ndarray:
        """The gradient of the tile before pooling, (pixels, D): dy at the winners, plus `rest`, laid out as `planes`.

        Its pixels lie as those of the workspace do, and its gaps are zeros.
        """
        f, line, (s, r) = self.f, self.line, dy.shape[:2]
        pixels = self.pixels if self.samples > 1 else f * r * line
        full = self.full[: s * pixels]
        index, entry = self.index[:, : s * r]
        np.copyto(index, winner.reshape(index.shape))
        np.take(self.offset, index, out=entry, mode="clip")  # the default mode would copy `out` first
        entry += self.corner[: s * r]  # where in `full` each winner is
        dy = dy.reshape(entry.shape)
        if rest is None:
            full.fill(0)
            full.reshape(-1)[entry] = dy
        else:  # the gaps stay zero
            windows = full.reshape(s, pixels, self.d)[:, : f * r * line].reshape(s, r, f, line, self.d)
            windows = windows[:, :, :, : self.across * f].reshape(s, r, f, self.across, f, self.d)
            windows[...] = rest.reshape(f, f, s, r, self.across, self.d).transpose(2, 3, 0, 4, 1, 5)
            full.reshape(-1)[entry] += dy
        return full

    def add_dw(self, dw: np.ndarray, rows: slice, full: np.ndarray) -> None:
        """dw[i, j] += Σ over pixels of x[pixel + (i, j)] dy[pixel]."""
        columns = self.columns(rows, full.shape[:1], self.padded.strides[:1])
        dw += np.dot(columns.T, full).reshape(dw.shape)  # matmul holds the interpreter lock where dw is small

    def add_dx(self, dpadded: np.ndarray, rows: slice, full: np.ndarray) -> None:
        """dpadded[pixel + (i, j)] += dy[pixel] w[i, j]ᵀ."""
        add_products(full, self.taps, dpadded, (self.first(rows) + shift for shift in self.shifts))
