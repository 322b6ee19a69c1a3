"""What many places share: strips of road and their paint, paths, traffic, trees, and how many labels fit."""

import numpy as np

from .plot import Plot
from .textures import SIZE, fractal, ramp
from .things import car, tree

MOST = 8  # labels in a scene
REACH = 190.0  # beyond the corners from the centre, pixels


def extra(p: Plot, label: str, chance: float) -> bool:
    """Whether an extra of this label is added: by chance, and as long as a scene does not get too many labels."""
    return p.chance(chance) and (label in p.labels() or len(p.labels()) < MOST)


def strip(coordinate: np.ndarray, middle: float, wide: float) -> np.ndarray:
    """The mask of a straight strip."""
    return ramp(np.float32(wide / 2) - np.abs(coordinate - np.float32(middle)), -0.5, 0.5)


def dashes(p: Plot, v: float, surface: int, *, dash=10.0, gap=20.0, wide=1.0, across=False, reach=REACH) -> None:
    """A dashed line along u at `v` (or across it)."""
    start = -reach + p.uniform(0, dash)
    for u in np.arange(start, reach, dash + gap).tolist():
        ends = np.array([[u, v], [u + dash, v]])
        p.canvas.line(p.place(ends[:, ::-1] if across else ends), wide, surface)


def line_up(p: Plot, v: float, surface: int, wide: float = 1.0, across: bool = False) -> None:
    """A full line along u at `v` (or across it)."""
    ends = np.array([[-REACH, v], [REACH, v]])
    p.canvas.line(p.place(ends[:, ::-1] if across else ends), wide, surface)


def paint(p: Plot, name: str = "white") -> int:
    """Road paint."""
    tone = {"white": (0.88, 0.88, 0.86), "yellow": (0.83, 0.70, 0.28)}[name]
    return p.canvas.surface(np.array(tone) * p.uniform(0.8, 1.05), 0.06)


def scatter_trees(
    p: Plot, number: int, small: float, large: float, taken: list, mask: np.ndarray | None = None
) -> None:
    """Trees where nothing else is, within `mask`."""
    name = p.name("tree")
    for _ in range(number):
        x, y, r = p.uniform(0, SIZE), p.uniform(0, SIZE), p.uniform(small, large)
        if mask is not None and mask[int(y), int(x)] < 0.5:
            continue
        if p.free(x, y, r * 0.75, taken):
            tree(p, x, y, r, name)


def bare_patches(p: Plot, mask: np.ndarray | float = 1.0, above: float = 0.8) -> None:
    """Patches of bare soil."""
    field = fractal(p.rng, p.uniform(50, 110), 4, 0.55)
    p.zone(ramp(field, above, above + 0.3) * mask, "soil", "bare-soil", edge=False)


def path_along(p: Plot, v: float, wide: float, kind: str, taken: list) -> None:
    """A paved path along u, drawn on the canvas."""
    name = p.name(kind)
    edge = p.place([[-REACH, v - wide / 2], [REACH, v - wide / 2], [REACH, v + wide / 2], [-REACH, v + wide / 2]])
    p.canvas.polygon(edge, p.surface(kind, name))
    p.mark("pavement", name, (edge, True))
    taken += [(*at, wide / 2) for at in p.place([[u, v] for u in range(-190, 190, 12)]).tolist()]


def traffic(p: Plot, v: float, angle: float, spacing: float, across: bool = False) -> None:
    """Cars in a lane along u at `v`."""
    u = -REACH + p.uniform(0, spacing)
    while u < REACH:
        at = np.array([[u, v + p.uniform(-1, 1)]])
        x, y = p.place(at[:, ::-1] if across else at)[0].tolist()
        car(p, x, y, angle, truck=p.chance(0.08))
        u += max(24, p.rng.exponential(spacing)) + 8
