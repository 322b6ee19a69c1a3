"""Object scenes: a place as an aerial camera photographs it, as a person draws it, and in words."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from ...backend import generator
from ..ucmerced import CLASS_NAMES, LABEL_NAMES
from .places import PLACES
from .plot import Plot
from .textures import SIZE, fractal
from .words import captions, keywords


class ObjectScene(NamedTuple):
    """One place of the simulated world, in several senses."""

    rgb: np.ndarray  # (256, 256, 3) uint8, 0.3 m a pixel
    sketch: np.ndarray  # (256, 256) uint8, dark lines on white
    labels: np.ndarray  # (17,) uint8, multi-hot in the order of `ucmerced.LABEL_NAMES`
    captions: tuple[str, ...]  # five sentences
    keywords: tuple[str, ...]  # "attribute target"
    scene_class: str  # one of `ucmerced.CLASS_NAMES`


def object_scene(seed: int, item: int) -> ObjectScene:
    """Scene number `item` of the world `seed`; the 21 kinds of place take turns."""
    rng = generator(seed, "scenes/objects", item)
    scene_class = CLASS_NAMES[item % len(CLASS_NAMES)]
    plot = Plot(rng)
    PLACES[scene_class](plot)
    plot.flush()
    labels = np.array([name in plot.labels() for name in LABEL_NAMES], np.uint8)
    rgb, sketch = _photograph(plot), sketch_of(plot)
    return ObjectScene(rgb, sketch, labels, captions(rng, plot.things, scene_class), keywords(plot.things), scene_class)


def _photograph(p: Plot) -> np.ndarray:
    """Colour and light as an aerial camera records them: soft shadows, haze, cast of colour, blur, noise."""
    rng = p.rng
    ambient = np.array([0.36, 0.40, 0.46], np.float32) * np.float32(p.uniform(0.75, 1.15))
    lit = ndimage.uniform_filter(p.lit, 3)
    haze = np.float32(rng.beta(1.2, 4))
    veil = np.array([0.62, 0.66, 0.66], np.float32)
    gain = np.float32(p.uniform(0.82, 1.18)) * (1 + 0.025 * rng.standard_normal(3)).astype(np.float32)
    haze_map = haze * np.clip(0.55 + 0.05 * fractal(rng, 200, 2), 0.3, 0.8)
    image = np.empty((SIZE, SIZE, 3), np.float32)
    blur = rng.random() < 0.4
    for b in range(3):
        light = ambient[b] + (1 - ambient[b]) * lit
        band = p.colour[b] * light * gain[b]
        band += haze_map * (veil[b] - band)
        image[..., b] = ndimage.uniform_filter(band, 2) if blur else band
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * np.float32(p.uniform(0.6, 1.1))
    contrast, level = np.float32(p.uniform(0.9, 1.2)), np.float32(0.45)
    image = (image - level) * contrast + level
    image += rng.standard_normal(image.shape, np.float32) * np.float32(p.uniform(0.006, 0.024))
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def sketch_of(p: Plot) -> np.ndarray:
    """The scene's outlines (256, 256) uint8 as a hand draws them: wavering dark strokes on white."""
    rng = p.rng
    sheet = Image.new("L", (2 * SIZE, 2 * SIZE), 255)
    ink = np.zeros((SIZE, SIZE), bool)
    for mask in p.edges:
        inside = ndimage.uniform_filter(np.asarray(mask, np.float32), 5) > 0.5
        ink |= inside ^ ndimage.binary_erosion(inside, border_value=1)
    if ink.any():
        strokes = np.where(ink, np.uint8(60), np.uint8(255))
        sheet.paste(Image.fromarray(strokes).resize(sheet.size, Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(sheet)
    for thing in p.things:
        for points, closed in thing.outlines:
            drawn = _by_hand(rng, points, closed)
            if closed:
                draw.polygon(drawn, 255)
                drawn.append(drawn[0])
            draw.line(drawn, int(rng.integers(20, 70)), 3, joint="curve")
    return np.asarray(sheet.reduce(2))


def _by_hand(rng: np.random.Generator, points: np.ndarray, closed: bool) -> list[tuple[float, float]]:
    """An outline with the small errors of a hand, in half pixels."""
    points = np.asarray(points, float)
    ends = np.concatenate([points, points[:1]]) if closed else points
    pieces = []
    for a, b in pairwise(ends):
        n = 1 + int(np.hypot(*(b - a)) / 22)
        pieces.append(a + (b - a) * (np.arange(n) / n)[:, None])
    line = np.concatenate(pieces if closed else [*pieces, ends[-1:]])
    return [tuple(at) for at in (2 * (line + rng.normal(0, 0.45, line.shape))).tolist()]
