"""A convolution tile by tile: all that a tile needs stays in the cache of the processor.

A tile is a few rows of pooling windows of one sample or, where samples are small, all rows of a stack of them.
H × W pixels, C channels in, D out, k × k kernel, f × f windows, P = windows in a tile.
"""

from collections.abc import Iterator

import numpy as np

TILE_BYTES = 3 << 20  # of columns and planes: near a second-level cache; smaller tiles make many short calls
STACK_SAMPLES = 4  # at most: the blocks that threads share out are not much longer
THIN_CHANNELS = 8  # with fewer channels, a run of memory along one line of the kernel is short


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
        self.line, self.lines = self.width + self.k - 1, self.h + self.k - 1  # a padded line, and how many of them
        row = factor * factor * self.across * (self.kernel.shape[0] + self.d) * w.itemsize
        self.height = min(max(TILE_BYTES // max(row, 1), 1), self.down)  # rows of windows in a tile
        self.samples = min(max(TILE_BYTES // max(row * self.down, 1), 1), STACK_SAMPLES)  # in a stack
        self.rows = [slice(r, min(r + self.height, self.down)) for r in range(0, self.down, self.height)]
        self.padded = self.empty()
        self.padded.fill(0)
        pixels = self.samples * factor * self.height * self.line
        self.store = np.empty(pixels * self.kernel.shape[0], dtype=w.dtype)  # for arrays with a column for each tap

    def empty(self) -> np.ndarray:
        """An empty array for a stack inside its borders, and for the pixels that the last taps read behind its end."""
        pixels = self.samples * self.lines * self.line + self.k - 1
        return np.empty((pixels, self.c), dtype=self.w.dtype)

    def stacks(self, block: slice) -> Iterator[slice]:
        """The samples of a block, a stack at a time."""
        return (slice(i, min(i + self.samples, block.stop)) for i in range(block.start, block.stop, self.samples))

    def inner(self, padded: np.ndarray) -> np.ndarray:
        """A view of the loaded stack inside its borders."""
        border = self.k // 2
        stack = padded[: self.count * self.lines * self.line].reshape(self.count, self.lines, self.line, self.c)
        return stack[:, border : border + self.h, border : border + self.width]

    def view(self, padded: np.ndarray, rows: slice, shape: tuple, strides: tuple, tap: int = 0) -> np.ndarray:
        """A view of `padded` that begins at the first pixel of the tile, moved by a tap of the kernel."""
        start = rows.start * self.f * self.line + tap // self.k * self.line + tap % self.k
        return np.ndarray(shape, padded.dtype, padded, start * padded.strides[0], strides)

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
            view = self.view(self.padded, rows, (k, k, c, *shape), (line, pixel, item, *strides))
        else:  # long runs along a line of the kernel
            view = self.view(self.padded, rows, (*shape, k, k * c), (*strides, line, item))
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
        """Makes the arrays that `spread` needs."""
        f, line = self.f, self.line
        self.full = np.zeros((self.samples * f * self.height * line, self.d), dtype=self.w.dtype)
        self.offset = np.array([(p * line + q) * self.d for p in range(f) for q in range(f)] + [0])
        windows = np.arange(self.samples * self.height)[:, None] * (f * line) + np.arange(self.across) * f
        self.corner = windows[..., None] * self.d + np.arange(self.d)  # where in `full` each window begins
        self.index = np.empty((2, *self.corner.shape), dtype=np.intp)

    def spread(self, dy: np.ndarray, winner: np.ndarray, rest: np.ndarray | None = None) -> np.ndarray:
        """The gradient of the tile before pooling, (pixels, D): dy at the winners, plus `rest`, laid out as `planes`.

        Its lines are as long as those of the padded samples, so that a tap of the kernel is a shift along flat pixels.
        """
        f, line, (s, r) = self.f, self.line, dy.shape[:2]
        full = self.full[: s * f * r * line]
        index, entry = self.index[:, : s * r]
        np.copyto(index, winner.reshape(index.shape))
        np.take(self.offset, index, out=entry, mode="clip")  # the default mode would copy `out` first
        entry += self.corner[: s * r]  # where in `full` each winner is
        dy = dy.reshape(entry.shape)
        if rest is None:
            full.fill(0)
            full.reshape(-1)[entry] = dy
        else:  # the border stays zero
            windows = full.reshape(s, r, f, line, self.d)[:, :, :, : self.across * f]
            windows = windows.reshape(s, r, f, self.across, f, self.d)
            windows[...] = rest.reshape(f, f, s, r, self.across, self.d).transpose(2, 3, 0, 4, 1, 5)
            full.reshape(-1)[entry] += dy
        return full

    def add_dw(self, dw: np.ndarray, rows: slice, full: np.ndarray) -> None:
        """dw[i, j] += Σ over pixels of x[pixel + (i, j)] dy[pixel]."""
        sample, _, pixel = self.steps()
        columns = self.columns(rows, (self.count, len(full) // self.count), (sample, pixel))
        dw += np.dot(columns.T, full).reshape(dw.shape)  # matmul holds the interpreter lock where dw is small

    def add_dx(self, dpadded: np.ndarray, rows: slice, full: np.ndarray) -> None:
        """dpadded[pixel + (i, j)] += dy[pixel] w[i, j]ᵀ: within one tap no pixel is written twice."""
        k, c, shape = self.k, self.c, (self.count, len(full) // self.count, self.c)
        sample, _, pixel = self.steps()
        product = self.store[: len(full) * k * k * c].reshape(len(full), k * k * c)
        np.matmul(full, self.kernel.T, out=product)
        product = product.reshape(*shape[:2], k * k, c)
        for tap in range(k * k):
            pixels = self.view(dpadded, rows, shape, (sample, pixel, self.padded.itemsize), tap)
            pixels += product[:, :, tap]
