"""A plot of ground at 0.3 m a pixel in the making: zones, things that stand on them, and a record of both."""

from math import cos, pi, sin
from typing import NamedTuple

import numpy as np

from .canvas import Canvas
from .textures import SIZE, coordinates, fractal, grain, streaks, turn

COLOURS = {
    "asphalt": {"grey": (0.47, 0.46, 0.46), "dark": (0.30, 0.30, 0.33), "brown": (0.56, 0.52, 0.47)},
    "concrete": {"white": (0.76, 0.75, 0.71), "grey": (0.62, 0.62, 0.60), "pale": (0.71, 0.67, 0.59)},
    "grass": {"green": (0.33, 0.43, 0.25), "dark green": (0.24, 0.36, 0.23), "dry": (0.55, 0.53, 0.37)},
    "soil": {"brown": (0.56, 0.46, 0.35), "red": (0.62, 0.43, 0.32), "pale": (0.70, 0.62, 0.50)},
    "sand": {"white": (0.84, 0.79, 0.70), "yellow": (0.78, 0.69, 0.54), "pale": (0.72, 0.66, 0.57)},
    "tree": {"green": (0.22, 0.33, 0.17), "dark green": (0.14, 0.22, 0.14), "olive": (0.31, 0.33, 0.20)},
    "water": {"green": (0.20, 0.32, 0.27), "blue": (0.16, 0.28, 0.36), "brown": (0.42, 0.39, 0.31),
        "dark": (0.09, 0.14, 0.16)},
    "sea": {"blue": (0.22, 0.36, 0.46), "green": (0.32, 0.52, 0.48), "grey": (0.38, 0.43, 0.47)},
    "roof": {"white": (0.86, 0.85, 0.82), "grey": (0.56, 0.56, 0.57), "brown": (0.46, 0.37, 0.30),
        "red": (0.62, 0.36, 0.26), "dark": (0.29, 0.28, 0.29), "beige": (0.76, 0.68, 0.54)},
    "car": {"white": (0.93, 0.93, 0.91), "silver": (0.70, 0.71, 0.73), "black": (0.13, 0.13, 0.14),
        "grey": (0.42, 0.43, 0.45), "red": (0.66, 0.15, 0.13), "blue": (0.20, 0.28, 0.50),
        "beige": (0.72, 0.65, 0.50)},
    "crop": {"green": (0.27, 0.43, 0.29), "yellow": (0.76, 0.72, 0.48), "brown": (0.52, 0.46, 0.42),
        "dark green": (0.18, 0.34, 0.27)},
}  # fmt: skip


class Thing(NamedTuple):
    """One thing of a label: its colour's name and its outlines (n, 2) in pixels; closed ones hide what is behind."""

    label: str
    colour: str
    outlines: tuple[tuple[np.ndarray, bool], ...]


def seen(points: np.ndarray) -> bool:
    """Whether a fair part of an outline's inside lies within the scene."""
    middle = np.mean(points, axis=0)
    inner = np.vstack([middle, middle + 0.5 * (np.asarray(points) - middle)])
    return bool(((inner >= 0) & (inner < SIZE)).all(axis=1).any())


class Plot:
    """One scene in the making: colour (3, 256, 256) in 0 … 1, sunlight (256, 256), things, edges of zones."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.angle = float(rng.uniform(0, 2 * pi))  # of whatever is laid out straight
        if rng.random() < 0.4:
            self.angle = float(rng.integers(4)) * pi / 2 + float(rng.normal(0, 0.03))
        azimuth = float(rng.uniform(0, 2 * pi))
        self.sun = (cos(azimuth), sin(azimuth))  # the way shadows fall
        self.cast = float(rng.uniform(0.3, 1.3))  # length of a shadow, in heights
        self.colour = np.empty((3, SIZE, SIZE), np.float32)
        self.lit = np.ones((SIZE, SIZE), np.float32)
        self.canvas = Canvas(3)
        self.things: list[Thing] = []
        self.edges: list[np.ndarray] = []
        self.u, self.v = coordinates(self.angle)
        self.grass_kind = self.name("grass")  # one season for the whole scene

    def uniform(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A random whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    def pick(self, *choices):
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def name(self, kind: str) -> str:
        """The name of a random colour of a kind of surface."""
        return self.pick(*COLOURS[kind])

    def tone(self, kind: str, name: str, spread: float = 0.07) -> np.ndarray:
        """One sample of a named colour (3,)."""
        vary = 1 + spread * self.rng.standard_normal() + 0.25 * spread * self.rng.standard_normal(3)
        return (np.array(COLOURS[kind][name]) * np.clip(vary, 0.6, 1.4)).astype(np.float32)

    def place(self, points) -> np.ndarray:
        """Points (n, 2) along and across the scene's direction, from its centre, as x, y in pixels."""
        return turn(points, self.angle, (SIZE / 2, SIZE / 2))

    def texture(self, kind: str) -> np.ndarray:
        """What a kind of surface looks like from near: a factor (256, 256)."""
        rng = self.rng
        if kind in ("asphalt", "concrete"):
            worn = streaks(rng, self.angle, 1.0, 6.0)
            return 1 + 0.045 * fractal(rng, 90, 4) + 0.03 * worn + 0.03 * grain(rng, 0.7)
        if kind in ("water", "sea"):
            wind = self.uniform(0, pi)
            return 1 + 0.05 * fractal(rng, 120, 3) + 0.025 * streaks(rng, wind, 1.0, 2.0) + 0.015 * grain(rng)
        if kind == "grass":
            return 1 + 0.09 * fractal(rng, 60, 5, 0.6) + 0.06 * grain(rng, 0.7)
        return 1 + 0.07 * fractal(rng, 80, 5, 0.6) + 0.05 * grain(rng, 0.7)

    def ground(self, kind: str, label: str | None = None, name: str | None = None) -> None:
        """Cover the plot with a kind of surface."""
        name = name or (self.grass_kind if kind == "grass" else self.name(kind))
        self.colour[:] = self.tone(kind, name)[:, None, None] * self.texture(kind)
        self.mark(label, name)

    def zone(self, mask: np.ndarray, kind: str, label: str | None = None, name: str | None = None, edge=True) -> None:
        """Cover the part `mask` (256, 256) with a kind of surface; the sketch shows its edge."""
        name = name or (self.grass_kind if kind == "grass" else self.name(kind))
        self.colour += mask * (self.tone(kind, name)[:, None, None] * self.texture(kind) - self.colour)
        if edge:
            self.edges.append(mask)
        if mask.mean(dtype=np.float64) > 0.004:
            self.mark(label, name)

    def mark(self, label: str | None, colour: str, *outlines: tuple[np.ndarray, bool]) -> None:
        """Record a thing that lies within the scene; what has no outlines once only."""
        if label and (any(seen(points) for points, _ in outlines) if outlines else label not in self.labels()):
            self.things.append(Thing(label, colour, outlines))

    def labels(self) -> set[str]:
        """The labels there are so far."""
        return {thing.label for thing in self.things}

    def flush(self) -> None:
        """Lay what was drawn on the canvas over the ground, with its shadows, and begin a new canvas."""
        colour, cover = self.canvas.render(self.rng, 1.0)
        self.colour *= 1 - cover
        self.colour += colour
        self.lit *= self.canvas.light()
        self.canvas = Canvas(3)

    def surface(self, kind: str, name: str, factor: float = 1.0, grain: float = 0.05) -> int:
        """A surface of the canvas in a named colour."""
        return self.canvas.surface(self.tone(kind, name) * np.float32(factor), grain)

    def free(self, x: float, y: float, radius: float, taken: list) -> bool:
        """Whether a disc touches none of the `taken` (x, y, radius); if so it is added."""
        if any((x - a) ** 2 + (y - b) ** 2 < (radius + r) ** 2 for a, b, r in taken):
            return False
        taken.append((x, y, radius))
        return True
