"""A convolution tile by tile: a few rows of pooling windows of one sample, all of which stays in the cache.

H × W pixels, C channels in, D out, k × k kernel, f × f windows, P = windows in a tile.
"""

import numpy as np

TILE = 5 << 19  # bytes of columns and planes: 2.5 MiB, near a second-level cache; smaller ones make many short calls
THIN = 8  # with fewer channels a product for each tap of the kernel is too thin for BLAS


class Tiles:
    """One thread's workspace for a convolution (k, k, C, D) of samples (H, W, C) that are pooled by f.

    Made once for a block of samples and overwritten by each: fresh memory costs more than the arithmetic.
    """

    def __init__(self, shape: tuple[int, ...], w: np.ndarray, factor: int):
        self.h, self.width, self.c = shape
        self.k, self.d, self.f, self.w = w.shape[0], w.shape[-1], factor, w
        self.high, self.wide = self.h // factor, self.width // factor
        self.kernel = w.reshape(-1, self.d)
        self.padded = np.zeros((self.h + self.k - 1, self.width + self.k - 1, self.c), dtype=w.dtype)
        row = factor * factor * self.wide * (self.kernel.shape[0] + self.d) * w.itemsize
        self.height = min(max(TILE // max(row, 1), 1), self.high)  # rows of windows in a tile
        self.rows = [slice(r, min(r + self.height, self.high)) for r in range(0, self.high, self.height)]
        pixels = factor * self.height * self.padded.shape[1]
        self.store = np.empty(pixels * self.kernel.shape[0], dtype=w.dtype)  # for all that has a column for each tap

    def inner(self, padded: np.ndarray) -> np.ndarray:
        """A view of the sample inside its border of zeros."""
        border = self.k // 2
        return padded[border : border + self.h, border : border + self.width]

    def columns(self, rows: slice, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
        """What the kernel sees from the places of the tile, laid out by `shape` and `strides`: (places, k·k·C)."""
        k, c, padded = self.k, self.c, self.padded
        line, pixel, item = padded.strides
        if c < THIN:  # long runs along the places: a column of the matrix after the other
            whole = (k, k, c, *shape), (line, pixel, item, *strides)
        else:  # long runs along a line of the kernel
            whole = (*shape, k, k * c), (*strides, line, item)
        view = np.ndarray(whole[0], padded.dtype, padded, rows.start * self.f * line, whole[1])
        columns = self.store[: view.size]
        np.copyto(columns.reshape(view.shape), view)
        return columns.reshape(k * k * c, -1).T if c < THIN else columns.reshape(-1, k * k * c)

    def start_forward(self) -> None:
        places = self.f * self.f * self.height * self.wide
        self.products = np.empty(places * self.d, dtype=self.w.dtype)
        self.equal = np.empty(places * self.d, dtype=bool)
        self.numbers = np.arange(self.f * self.f, 0, -1, dtype=np.uint8)[:, None]  # the first plane has the highest

    def planes(self, rows: slice) -> np.ndarray:
        """conv without bias, sorted by place in the window: (f·f, P·D)."""
        f, r = self.f, rows.stop - rows.start
        line, pixel, _ = self.padded.strides
        columns = self.columns(rows, (f, f, r, self.wide), (line, pixel, f * line, f * pixel))
        products = self.products[: columns.shape[0] * self.d].reshape(-1, self.d)
        return np.matmul(columns, self.kernel, out=products).reshape(f * f, -1)

    def pool(self, planes: np.ndarray, y: np.ndarray, winner: np.ndarray) -> None:
        """Writes the maximum over the planes to `y` and the first plane that has it to `winner`."""
        np.maximum.reduce(planes, axis=0, out=y.reshape(-1))
        equal = np.equal(planes, y.reshape(-1), out=self.equal[: planes.size].reshape(planes.shape)).view(np.uint8)
        equal *= self.numbers
        np.subtract(self.f * self.f, np.maximum.reduce(equal, axis=0), out=winner.reshape(-1), dtype=np.uint8)
        # a NaN equals nothing: its winner is f², which `spread` takes for 0

    def start_backward(self) -> None:
        f, line = self.f, self.padded.shape[1]
        self.full = np.zeros((f * self.height * line, self.d), dtype=self.w.dtype)
        self.offset = np.array([(p * line + q) * self.d for p in range(f) for q in range(f)] + [0])
        windows = np.arange(self.height)[:, None] * (f * line) + np.arange(self.wide) * f
        self.place = windows[..., None] * self.d + np.arange(self.d)
        self.index = np.empty((2, *self.place.shape), dtype=np.intp)

    def spread(self, dy: np.ndarray, winner: np.ndarray, rest: np.ndarray | None = None) -> np.ndarray:
        """The tile's gradient before pooling: dy at the winners, and what `rest` (as `planes`) has for every pixel.

        (pixels, D), in lines as long as those of the padded sample: a tap of the kernel is a shift of flat pixels.
        """
        f, r, line = self.f, len(dy), self.padded.shape[1]
        full = self.full[: f * r * line]
        index, place = self.index[:, :r]
        np.copyto(index, winner)
        np.take(self.offset, index, out=place, mode="clip")  # the default mode would copy `out` first
        place += self.place[:r]
        if rest is None:
            full.fill(0)
            full.reshape(-1)[place] = dy
        else:  # the border stays zero
            windows = full.reshape(r, f, line, self.d)[:, :, : self.wide * f].reshape(r, f, self.wide, f, self.d)
            windows[...] = rest.reshape(f, f, r, self.wide, self.d).transpose(2, 0, 3, 1, 4)
            full.reshape(-1)[place] += dy
        return full

    def add_dw(self, dw: np.ndarray, rows: slice, full: np.ndarray) -> None:
        """dw[i, j] += Σ over pixels of x[pixel + (i, j)] dy[pixel]."""
        full = full[: len(full) - self.k + 1]  # past the last line's end there is nothing
        columns = self.columns(rows, full.shape[:1], self.padded.strides[1:2])
        dw += np.dot(columns.T, full).reshape(dw.shape)  # matmul keeps the interpreter's lock where dw is small

    def add_dx(self, dpadded: np.ndarray, rows: slice, full: np.ndarray) -> None:
        """dpadded[pixel + (i, j)] += dy[pixel] w[i, j]ᵀ: within one tap no pixel is written twice."""
        full = full[: len(full) - self.k + 1]
        k, c, line = self.k, self.c, self.padded.shape[1]
        product = self.store[: len(full) * k * k * c].reshape(len(full), k * k * c)
        np.matmul(full, self.kernel.T, out=product)
        flat = dpadded.reshape(-1, c)[rows.start * self.f * line :]
        for tap in range(k * k):
            start = tap // k * line + tap % k
            flat[start : start + len(full)] += product[:, tap * c : tap * c + c]
