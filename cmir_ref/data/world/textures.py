"""Fields of noise, waves and cells, float32 and zero-mean unless they say otherwise.

Nothing here calls a transcendental function, a BLAS product or a Fourier transform on an array, so results do not
depend on threads and hardly on the processor: sums, products, square roots, and Pillow's and SciPy's plain loops.
"""

from functools import cache
from math import cos, sin

import numpy as np
from PIL import Image
from scipy import ndimage

from ...backend import generator

SIZE = 256  # pixels a side of every scene
_TILE = 512


@cache
def tile(sigma: float) -> np.ndarray:
    """A fixed periodic sheet of Gaussian noise (512, 512), blurred by `sigma` pixels, unit variance."""
    sheet = generator(0, "scenes/tile", round(10 * sigma)).standard_normal((_TILE, _TILE), np.float32)
    if sigma:
        sheet = ndimage.gaussian_filter(sheet, sigma, mode="wrap", truncate=3)
        sheet /= np.float32(sheet.std(dtype=np.float64))
    sheet.setflags(write=False)
    return sheet


def grain(rng: np.random.Generator, sigma: float = 0.0, size: int = SIZE) -> np.ndarray:
    """Unit-variance noise (size, size) of correlation length `sigma` pixels: a shifted, flipped piece of a sheet."""
    down, across, kind = rng.integers(0, (_TILE, _TILE, 8)).tolist()
    rows, columns = np.arange(down, down + size) % _TILE, np.arange(across, across + size) % _TILE
    piece = tile(sigma)[rows[:, None], columns] if size < _TILE else np.roll(tile(sigma), (down, across), (0, 1))
    piece = piece.T if kind & 4 else piece
    return piece[:: -1 if kind & 1 else 1, :: -1 if kind & 2 else 1]


def streaks(rng: np.random.Generator, angle: float, sigma: float, stretch: float, size: int = SIZE) -> np.ndarray:
    """Noise drawn out `stretch` times along `angle` (radians, from x to y): waves, furrows, mown strips."""
    scale = 256 / size
    a, b = cos(angle) * scale / stretch, sin(angle) * scale / stretch
    c, d = -sin(angle) * scale, cos(angle) * scale
    room = _TILE / 2 - 190
    x0, y0 = (_TILE / 2 + rng.uniform(-room, room, 2)).tolist()
    middle = size / 2
    coefficients = (a, b, x0 - (a + b) * middle, c, d, y0 - (c + d) * middle)
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
    sheet = Image.fromarray(np.ascontiguousarray(tile(sigma)[flip]))
    return np.asarray(sheet.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))


def fractal(rng: np.random.Generator, coarsest: float, octaves: int, persistence: float = 0.5, size: int = SIZE):
    """Fractal noise (size, size), unit variance or nearly: `octaves` of them, from `coarsest` pixels down by halves."""
    total, power = np.zeros((size, size), np.float32), 0.0
    for k in range(octaves):
        cell, amplitude = coarsest / 2**k, persistence**k
        n = int(size / cell) + 4
        grid = Image.fromarray(rng.standard_normal((n, n), np.float32))
        x, y = (1 + rng.random(2)).tolist()
        box = (x, y, x + size / cell, y + size / cell)
        total += np.float32(amplitude) * np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC, box))
        power += amplitude * amplitude
    return total / np.float32(0.75 * power**0.5)


def curve(rng: np.random.Generator, n: int, spacing: float, octaves: int = 2) -> np.ndarray:
    """A smooth random line of n values (n,), unit variance or nearly, that changes over `spacing` samples."""
    line = np.zeros(n)
    for k in range(octaves):
        knots = rng.standard_normal(int(n * 2**k / spacing) + 4)
        t = np.arange(n) * 2**k / spacing + rng.random()
        i, f = t.astype(int), t - np.floor(t)
        f = f * f * (3 - 2 * f)
        line += (knots[i] * (1 - f) + knots[i + 1] * f) * 0.5**k
    return line


def wave(t: np.ndarray) -> np.ndarray:
    """A smooth wave of period 1 and range -1 … 1, made of two parabolas."""
    s = 2 * (t - np.floor(t)) - 1
    return 4 * s * (1 - np.abs(s))


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def coordinates(angle: float, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates along and across a direction, from the centre: u, v (size, size), in pixels."""
    xy = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    c, s = np.float32(cos(angle)), np.float32(sin(angle))
    return c * xy + s * xy[:, None], c * xy[:, None] - s * xy


def cells(rng: np.random.Generator, spacing: float, size: int = SIZE, jitter: float = 0.9):
    """The nearest of randomly placed points, one to every spacing × spacing square: dx, dy to it, its number.

    dx, dy (size, size) in units of `spacing`; numbers (size, size) int count from 0 below the returned `count`.
    """
    n = int(np.ceil(size / spacing)) + 3
    at = rng.random((2, n, n), np.float32)
    at -= np.float32(0.5)
    at *= np.float32(jitter)
    t = (np.arange(size, dtype=np.float32) + rng.random(dtype=np.float32)) * np.float32(1 / spacing)
    i = t.astype(np.intp) + 1
    local = t - np.floor(t) - np.float32(0.5)
    best = np.full((size, size), np.inf, np.float32)
    dx, dy, number = np.empty_like(best), np.empty_like(best), np.empty((size, size), np.intp)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            where = (i + down)[:, None] * n + (i + across)
            x = local - np.float32(across) - at[0].ravel()[where]
            y = (local - np.float32(down))[:, None] - at[1].ravel()[where]
            d = x * x + y * y
            nearer = d < best
            np.copyto(best, d, where=nearer)
            np.copyto(dx, x, where=nearer)
            np.copyto(dy, y, where=nearer)
            np.copyto(number, where, where=nearer)
    return dx, dy, number, n * n


def box(centre, along: float, across: float, angle: float) -> np.ndarray:
    """The corners (4, 2) of a rectangle `along` × `across` pixels turned by `angle` about its `centre`."""
    x, y = centre
    c, s = cos(angle) / 2, sin(angle) / 2
    ax, ay, bx, by = along * c, along * s, -across * s, across * c
    return np.array(
        [[x - ax - bx, y - ay - by], [x + ax - bx, y + ay - by], [x + ax + bx, y + ay + by], [x - ax + bx, y - ay + by]]
    )


def turn(points, angle: float, at=(0.0, 0.0)) -> np.ndarray:
    """Points (n, 2) turned by `angle` about the origin, from x towards y, then moved to `at`."""
    c, s = cos(angle), sin(angle)
    if isinstance(points, list) and len(points) < 12:  # a loop is faster
        return np.array([[c * x - s * y + at[0], s * x + c * y + at[1]] for x, y in points])
    x, y = np.asarray(points, float).T
    return np.stack([c * x - s * y + at[0], s * x + c * y + at[1]], axis=1)


def cuts(rng: np.random.Generator, start: float, stop: float, step: float, spread: float = 0.4) -> list[float]:
    """Increasing positions from `start` to past `stop`, about `step` apart."""
    at = [start - step * rng.random()]
    while at[-1] < stop:
        at.append(at[-1] + step * (1 + spread * (2 * rng.random() - 1)))
    return at
