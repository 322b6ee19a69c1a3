"""A piece of land in the making, 512 m a side at 2 m a pixel, and what stands on several kinds of it."""

from math import cos, pi, sin, sqrt

import numpy as np

from .canvas import Canvas
from .materials import ROOFS, mixture, spectrum, vegetation
from .textures import SIZE, box, curve, turn

HALF = SIZE / 2
REACH = 190.0  # half a scene's diagonal and a margin, pixels


class Ground:
    """One scene in the making: reflectance (4, 256, 256), sunlight (256, 256), and the conditions it grows under."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.vigour = float(np.clip(rng.normal(0.55, 0.35), 0, 1))  # of plants: 0 winter or drought, 1 early summer
        self.soil = mixture(rng, ("soil", "wet soil", "red soil", "sand"), 0.2)
        self.elevation = float(rng.uniform(0.45, 0.95))  # sine of the sun's elevation: 27° to 72°
        self.cast = sqrt(1 / self.elevation**2 - 1)  # length of a shadow, in heights
        azimuth = float(rng.uniform(0, 2 * pi))
        self.sun = (cos(azimuth), sin(azimuth))  # the way shadows fall
        self.angle = float(rng.uniform(0, pi))  # of whatever is laid out in a grid
        self.colour = np.empty((4, SIZE, SIZE), np.float32)
        self.lit = np.ones((SIZE, SIZE), np.float32)
        self.canvas = Canvas(4)

    def uniform(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def pick(self, *choices):
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def fill(self, colour: np.ndarray, texture: np.ndarray | None = None) -> None:
        """Cover everything with one reflectance (4,), times a texture (256, 256)."""
        self.colour[:] = colour[:, None, None]
        if texture is not None:
            self.colour *= texture

    def blend(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Cover the part `mask` (256, 256) of every pixel with reflectance (4,) or (4, 256, 256)."""
        colour = colour[:, None, None] if colour.ndim == 1 else colour
        self.colour += mask * (colour - self.colour)

    def flush(self) -> None:
        """Lay what was drawn on the canvas over the ground, with its shadows, and begin a new canvas."""
        colour, cover = self.canvas.render(self.rng)
        self.colour *= 1 - cover
        self.colour += colour
        self.lit *= self.canvas.light()
        self.canvas = Canvas(4)

    def place(self, points) -> np.ndarray:
        """Points (n, 2) along and across the grid's direction, from the centre, as x, y in pixels."""
        return turn(points, self.angle, (HALF, HALF))

    def grass(self) -> np.ndarray:
        """Reflectance (4,) of a meadow in this season."""
        return vegetation(self.rng, "grass", "dry grass", self.vigour)

    def leaf(self) -> np.ndarray:
        """Reflectance (4,) of a tree in this season."""
        if self.rng.random() < 0.25:
            return spectrum(self.rng, "conifer", 0.25)
        return vegetation(self.rng, "broadleaf", self.pick("autumn leaf", "bare branch"), self.vigour, 0.2)


def road(g: Ground, width: float, colour: np.ndarray, bend: float = 25) -> None:
    """A winding road across the scene, on the canvas."""
    n = 40
    u = np.linspace(-REACH, REACH, n)
    v = bend * curve(g.rng, n, 14) + g.uniform(-70, 70)
    g.canvas.line(turn(np.stack([u, v], 1), g.uniform(0, pi), (HALF, HALF)), width, g.canvas.surface(colour))


def trees(g: Ground, points: np.ndarray, small: float, large: float) -> None:
    """Single trees with their shadows at points (n, 2), on the canvas."""
    canvas = g.canvas
    leaves = [g.leaf() for _ in range(3)]
    tones = [(canvas.surface(x * np.float32(0.8), 0.15), canvas.surface(x * np.float32(1.25), 0.15)) for x in leaves]
    for x, y in points.tolist():
        r = g.uniform(small, large)
        dark, bright = tones[int(g.rng.integers(3))]
        canvas.disc_shadow(x, y, r, g.sun[0] * r * g.cast * 1.3, g.sun[1] * r * g.cast * 1.3)
        canvas.disc(x, y, r, dark, raised=True)
        canvas.disc(x - 0.3 * r * g.sun[0], y - 0.3 * r * g.sun[1], 0.6 * r, bright)


def tree_row(g: Ground, start: np.ndarray, stop: np.ndarray) -> None:
    """A line of trees between two points of the grid, on the canvas."""
    t = np.arange(0, 1, 0.018)
    points = g.place(start + (stop - start) * t[:, None]) + g.rng.normal(0, 0.7, (len(t), 2))
    trees(g, points[((points > -4) & (points < SIZE + 4)).all(axis=1)], 1.5, 3.2)


def roof(g: Ground, at, along: float, across: float, height: float, turned: float = 0.0, roof=None) -> None:
    """A house with a pitched roof, `at` in the grid's coordinates; sizes in pixels."""
    canvas, angle = g.canvas, g.angle + turned
    if roof is None:
        roof = spectrum(g.rng, ROOFS[int(g.rng.integers(5))], 0.25)
    centre = g.place([at])[0]
    foot = box(centre, along, across, angle)
    canvas.shadow(foot, g.sun[0] * height * g.cast * 0.5, g.sun[1] * height * g.cast * 0.5)
    normal = -sin(angle) * g.sun[0] + cos(angle) * g.sun[1]  # of the slope towards the grid's +v
    tilt = 0.45 * normal * min(g.cast, 1.5)
    canvas.polygon(foot, canvas.surface(roof * np.float32(1 - tilt)), raised=True)
    ridge = (foot[0] + foot[3]) / 2, (foot[1] + foot[2]) / 2
    canvas.polygon([foot[0], foot[1], ridge[1], ridge[0]], canvas.surface(roof * np.float32(1 + tilt)))
