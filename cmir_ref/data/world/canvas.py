"""A canvas of numbered surfaces: shapes are drawn at twice the resolution and reduced, so edges are smooth."""

import numpy as np
from PIL import Image, ImageDraw

from .textures import SIZE, grain, wave

_FINE = 2 * SIZE


class Canvas:
    """Shapes on a transparent sheet, each of a surface, and the shadows that they cast.

    Coordinates are scene pixels, x to the right and y down; a surface has a colour (bands), a grain (relative noise)
    and rows: (cycles a pixel along x, along y, relative amplitude).
    """

    def __init__(self, bands: int):
        self.bands = bands
        self._index = Image.new("I", (_FINE, _FINE))
        self._light = Image.new("L", (_FINE, _FINE), 255)
        self._draw, self._shade = ImageDraw.Draw(self._index), ImageDraw.Draw(self._light)
        self._colours, self._grains, self._rows = [np.zeros(bands)], [0.0], [(0.0, 0.0, 0.0)]

    def surface(self, colour, grain: float = 0.06, rows: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> int:
        """The number of a new surface."""
        self._colours.append(colour)
        self._grains.append(grain)
        self._rows.append(rows)
        return len(self._grains) - 1

    def polygon(self, points, surface: int, *, raised: bool = False) -> None:
        """Fill a polygon (n, 2). A raised one stands above the shadows that were cast before."""
        flat = (2 * np.asarray(points, float)).ravel().tolist()
        self._draw.polygon(flat, surface)
        if raised:
            self._shade.polygon(flat, 255)

    def line(self, points, width: float, surface: int) -> None:
        """A line (n, 2) of a width in pixels, its joints rounded."""
        flat = [tuple(p) for p in (2 * np.asarray(points, float)).tolist()]
        self._draw.line(flat, surface, max(1, round(2 * width)), joint="curve")

    def disc(self, x: float, y: float, radius: float, surface: int, *, raised: bool = False) -> None:
        """A filled circle."""
        where = (2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius))
        self._draw.ellipse(where, surface)
        if raised:
            self._shade.ellipse(where, 255)

    def shadow(self, points, dx: float, dy: float) -> None:
        """The shadow of an upright prism on `points` (n, 2), whose top is cast to (dx, dy) from its foot."""
        foot = [(2 * x, 2 * y) for x, y in np.asarray(points, float).tolist()]
        top = [(x + 2 * dx, y + 2 * dy) for x, y in foot]
        if len(foot) == 4:
            self._shade.polygon(_hull(foot, top, dx, dy), 0)
            return
        self._shade.polygon(foot, 0)
        self._shade.polygon(top, 0)
        for k in range(len(foot)):
            self._shade.polygon([foot[k - 1], foot[k], top[k], top[k - 1]], 0)

    def disc_shadow(self, x: float, y: float, radius: float, dx: float, dy: float) -> None:
        """The shadow of a round crown: a disc cast to (dx, dy)."""
        x, y = x + dx, y + dy
        self._shade.ellipse((2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius)), 0)

    def light(self) -> np.ndarray:
        """The sunlit part of every pixel (256, 256) float32, 0 to 1."""
        return np.asarray(self._light.reduce(2), np.float32) * np.float32(1 / 255)

    def render(self, rng: np.random.Generator, roughness: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
        """What was drawn: colour (bands, 256, 256), 0 where nothing is, and the part of each pixel that is covered."""
        index = np.asarray(self._index).astype(np.intp)
        texture = grain(rng, roughness, _FINE) * np.take(np.array(self._grains, np.float32), index)
        texture += 1
        rows = np.array(self._rows, np.float32)
        if rows[:, 2].any():
            across = np.arange(_FINE, dtype=np.float32) * np.float32(0.5)
            phase = np.take(rows[:, 0], index) * across + np.take(rows[:, 1], index) * across[:, None]
            texture += wave(phase) * np.take(rows[:, 2], index)
        table = np.array(self._colours, np.float32).T
        colour = np.stack([_reduce(np.take(band, index) * texture) for band in table])
        return colour, _reduce((index > 0).astype(np.float32))


def _hull(foot: list, top: list, dx: float, dy: float) -> list:
    """The outline of a convex polygon and its copy moved by (dx, dy): sides that face that way belong to the copy."""
    n = len(foot)
    area = sum(foot[k - 1][0] * foot[k][1] - foot[k][0] * foot[k - 1][1] for k in range(n))
    ahead = [
        ((foot[k][1] - foot[k - 1][1]) * dx - (foot[k][0] - foot[k - 1][0]) * dy) * area > 0 for k in range(n)
    ]  # does the side from k - 1 to k face the way of the shadow?
    outline = []
    for k in range(n):
        before, after = ahead[k], ahead[(k + 1) % n]
        outline += [top[k]] if before and after else [foot[k]] if not (before or after) else []
        if before != after:
            outline += [top[k], foot[k]] if before else [foot[k], top[k]]
    return outline


def _reduce(x: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels."""
    rows = x[::2] + x[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)
