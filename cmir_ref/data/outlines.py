"""Simulated sketches of real photos: Canny's edges, and the few strokes that a hand would take from them.

They are drawn after a photo, which no user's drawing is; every report says "simulated sketches of real photos".
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from ..backend import generator
from ..progress import track
from ..records import Modality
from .images import read_image
from .sketches import shrink

DRAWN_AT = 256  # pixels of a side at which photos are traced
EIGHT = np.ones((3, 3), bool)


def canny(grey: np.ndarray, sigma: float = 1.5, low: float = 0.4, high: float = 0.8) -> np.ndarray:
    """Edges (H, W) bool of a grey image (H, W), thin and connected.

    Gradient of the smoothed image; of a ridge only what is largest across it; what exceeds the `high` quantile of
    those, and what exceeds the `low` quantile and is joined to it. Source: Canny, IEEE TPAMI 8(6), 1986; quantiles
    instead of fixed thresholds, so that dull and sharp photos get the same share of edges.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.asarray(grey, float), sigma)
    dy, dx = ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)
    strength = np.hypot(dx, dy)
    length = np.where(strength > 0, strength, 1)
    y, x = np.indices(strength.shape)
    sides = [
        ndimage.map_coordinates(strength, [y + s * dy / length, x + s * dx / length], order=1, mode="nearest")
        for s in (-1, 1)
    ]
    ridge = (strength > 1e-9) & (strength >= sides[0]) & (strength > sides[1])
    if not ridge.any():
        return ridge
    weak, sure = np.quantile(strength[ridge], (low, high)) * (1 - 1e-6)  # equal edges are equal, rounding aside
    labels, _ = ndimage.label(ridge & (strength >= weak), EIGHT)
    return np.isin(labels, labels[ridge & (strength >= sure)])


def strokes(grey: np.ndarray, rng: np.random.Generator, budget: float = 5.0) -> np.ndarray:
    """A few wavering strokes (H, W) bool along the longest and strongest edges of a grey image (H, W).

    Connected edges are taken in the order of their summed strength, 15 % of them left out at random, until there are
    `budget` times as many pixels of ink as the image has rows; then all lines are moved by a smooth random field.
    """
    from scipy import ndimage

    edges = canny(grey, 2.5, 0.5, 0.85)
    labels, count = ndimage.label(edges, EIGHT)
    weight = ndimage.sum_labels(
        ndimage.gaussian_gradient_magnitude(np.asarray(grey, float), 2.5), labels, range(count + 1)
    )
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept, ink = [], 0
    for stroke in 1 + np.argsort(-weight[1:]):
        if rng.random() < 0.15:
            continue
        kept.append(stroke)
        ink += sizes[stroke]
        if ink > budget * len(edges):
            break
    moves = [ndimage.gaussian_filter(rng.standard_normal(edges.shape), 12) * 25 for _ in "yx"]
    at = [grid + move for grid, move in zip(np.indices(edges.shape), moves, strict=True)]
    return ndimage.map_coordinates(ndimage.binary_dilation(np.isin(labels, kept)).astype(float), at, order=1) > 0.5


def draw_canny(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`canny` with the call of `strokes`; nothing about it is random."""
    return canny(grey)


TRACERS: dict[str, Callable] = {"canny": draw_canny, "strokes": strokes}


def trace_photos(photos: Modality, how: str, size: int, seed: int, progress: bool = False) -> Modality:
    """A sketch (N, size, size, 1) uint8 of every photo, by `TRACERS[how]`, from the photos' own files."""
    trace = partial(_trace, TRACERS[how], size, seed)
    drawn = track(map(trace, range(len(photos.x)), photos.paths), len(photos.x), "tracing photos", progress)
    ids = tuple(f"{name} ({how})" for name in photos.ids)
    return photos._replace(name="sketch", kind="sketch", x=np.stack(list(drawn)), ids=ids, paths=None)


def _trace(tracer: Callable, size: int, seed: int, number: int, path: str) -> np.ndarray:
    grey = read_image(path, DRAWN_AT, bands=1)[..., 0]
    return shrink(tracer(grey, generator(seed, "outlines", number)).astype(np.float32), size)
