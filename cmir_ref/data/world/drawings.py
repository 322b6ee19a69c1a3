"""Drawings of places, as people draw them without a photo: whole scenes, and single things on white paper.

`object_scene` draws all that a camera saw. A person who is asked for a runway draws two lines and a few bars; for a
tennis court one court; often small, and not in the middle. Nothing here changes a pixel of the scenes.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from ...backend import generator
from ...errors import InputError
from ..ucmerced import CLASS_NAMES
from .objects import sketch_of
from .places import PLACES
from .plot import Plot, Thing
from .textures import SIZE
from .things import court

SUBJECTS = {  # what a drawing of a class shows when it shows nothing else
    "airplane": ("airplane",),
    "buildings": ("buildings",),
    "harbor": ("ship", "dock"),
    "mobilehomepark": ("mobile-home",),
    "storagetanks": ("tanks",),
}
BARE, SMALL = 0.4, 0.5  # shares of drawings that show the subject alone, and that leave much paper white


class Drawing(NamedTuple):
    """A drawing without a photo."""

    sketch: np.ndarray  # (256, 256) uint8, dark lines on white
    scene_class: str


def drawing(seed: int, scene_class: str, number: int, bare: float = BARE, small: float = SMALL) -> Drawing:
    """Drawing `number` of a class of `ucmerced.CLASS_NAMES` in the world `seed`; raises `InputError` for another.

    A share `bare` shows the subject alone, a share `small` leaves much paper white; without both it is the scene.
    """
    if scene_class not in CLASS_NAMES:
        raise InputError(f"{scene_class}: no class of the simulated world; it has {', '.join(CLASS_NAMES)}")
    rng = generator(seed, "scenes/drawings", CLASS_NAMES.index(scene_class), number)
    plot = Plot(rng)
    alone = BARE_PLACES.get(scene_class) if plot.chance(bare) else None
    if alone is not None:
        alone(plot)
    else:
        PLACES[scene_class](plot)
        if scene_class in SUBJECTS and plot.chance(bare):
            show_subject_alone(plot, SUBJECTS[scene_class])
    sketch = sketch_of(plot)
    return Drawing(on_white_paper(sketch, rng) if plot.chance(small) else sketch, scene_class)


def bare_runway(p: Plot) -> None:
    """Two long lines, and some of the markings that a person remembers."""
    half, reach = p.uniform(14, 55), 1.5 * SIZE if p.chance(0.6) else p.uniform(70, 120)
    strokes = [[(-reach, s * half), (reach, s * half)] for s in (-1, 1)]
    if reach < SIZE:  # its ends are on the paper
        strokes += [[(s * reach, -half), (s * reach, half)] for s in (-1, 1)]
    length, gap = p.uniform(12, 40), p.uniform(10, 35)
    if p.chance(0.85):
        first = p.uniform(-reach, -reach + gap)
        strokes += [[(u, 0), (u + length, 0)] for u in np.arange(first, min(reach, SIZE) - length, length + gap)]
    ends = [s for s in (-1, 1) if p.chance(0.6)]
    start = min(reach, p.uniform(80, 120)) - p.uniform(4, 12)
    bar = p.uniform(12, 30)
    for s in ends:
        strokes += [
            [(s * start, v), (s * (start - bar), v)] for v in np.linspace(-0.8 * half, 0.8 * half, p.count(4, 8))
        ]
    put_strokes(p, "pavement", strokes)


def single_court(p: Plot) -> None:
    """One court, large or small, and nothing around it."""
    court(p, SIZE / 2 + p.uniform(-20, 20), SIZE / 2 + p.uniform(-20, 20), p.angle, "green")
    if p.chance(0.5):  # without the margin around the lines
        p.things[-1] = p.things[-1]._replace(outlines=p.things[-1].outlines[1:])
    if p.chance(0.5):
        p.things[-1] = grown(p.things[-1], p.uniform(1.1, 1.9))


BARE_PLACES = {"runway": bare_runway, "tenniscourt": single_court}


def put_strokes(p: Plot, label: str, strokes: list) -> None:
    """Open lines along and across the scene's direction as one thing."""
    outlines = tuple((p.place(np.asarray(stroke, float)), False) for stroke in strokes)
    p.things.append(Thing(label, "", outlines))


def grown(thing: Thing, factor: float) -> Thing:
    """A thing drawn larger, about the middle of the paper."""
    return thing._replace(
        outlines=tuple((SIZE / 2 + factor * (np.asarray(q) - SIZE / 2), c) for q, c in thing.outlines)
    )


def show_subject_alone(p: Plot, labels: tuple[str, ...]) -> None:
    """Leaves in the scene only some things of these labels, with no ground behind them."""
    things = [thing for thing in p.things if thing.label in labels and thing.outlines]
    if things:
        p.things, p.edges = things[: p.count(1, max(1, len(things)))], []


def on_white_paper(sketch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The drawing made smaller and put somewhere on a white sheet of the same size."""
    side = int(SIZE * rng.uniform(0.35, 0.9))
    image = Image.fromarray(sketch)
    if side < 0.7 * SIZE:
        image = image.filter(ImageFilter.MinFilter(3))  # so that lines do not fade away
    sheet = Image.new("L", (SIZE, SIZE), 255)
    sheet.paste(
        image.resize((side, side), Image.Resampling.BOX),
        tuple((rng.beta(0.6, 0.6, 2) * (SIZE - side)).astype(int).tolist()),
    )
    return np.asarray(sheet)
