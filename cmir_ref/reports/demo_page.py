"""The page of the demo: both scenarios on one page, with the figures of two side experiments."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import plots
from .gallery import Example, cards
from .pages import direction_names, environment
from .report import loss_weights, stage_lines

MANY_LABELS = 6  # so many labels of a multi-label scenario are drawn at most


class ScenarioPart(NamedTuple):
    """What the page shows of one scenario."""

    run: Any
    result: dict[str, Any]  # what `evaluate(run)` returned
    galleries: Mapping[str, Sequence[Example]]  # by the direction in words
    spaces: Mapping[str, tuple]  # by title: test samples of both modalities (N, 2) each, shares of variance (2,)


class OrthogonalityFigure(NamedTuple):
    """Gram matrices ZᵀZ/N (d, d) of two small networks, and how large the entries beside their diagonals are."""

    grams: Mapping[str, np.ndarray]
    off_diagonal: Mapping[str, float]


class CollapseFigure(NamedTuple):
    """The norm of V over the epochs of some runs, and the average precision at their ends with its chance level."""

    norms: Mapping[str, Sequence[float]]
    map: Mapping[str, float]
    chance: float


def demo_page(
    parts: Mapping[str, ScenarioPart], orthogonality: OrthogonalityFigure, collapse: CollapseFigure, seconds: float
) -> str:
    """The page as text: one self-contained file. `parts` are the scenarios "pan-mul" and "image-speech"."""
    template = environment().get_template("demo.html")
    return template.render(
        title="CMIR-NET: one search across sensors and senses",
        scenarios=[scenario_section(part) for part in parts.values()],
        parts={name: part.result for name, part in parts.items()},
        test_voices=len(voices_of_test(parts["image-speech"].run)),
        gram=plots.gram(orthogonality.grams),
        off_diagonal=orthogonality.off_diagonal,
        norms=plots.norms(collapse.norms),
        collapse=collapse,
        seconds=seconds,
    )


def scenario_section(part: ScenarioPart) -> dict[str, Any]:
    """What the template asks about one scenario."""
    run, e = part.run, part.run.embeddings
    a, b = (m.name for m in e.modalities)
    titles = {"stage1.a": f"stage 1, {a}", "stage1.b": f"stage 1, {b}", "stage2": "stage 2"}
    labels = [m.labels[rows] for m, rows in zip(e.modalities, e.parts["test"], strict=True)]
    colours = choose_colours(labels)
    names = [e.label_names[c] for c in colours.classes]
    return {
        "scenario": run.config.scenario,
        "result": part.result,
        "names": {"a": a, "b": b},
        "directions": direction_names(run),
        "galleries": cards(part.galleries, e.modalities),
        "curves": {titles[s]: plots.losses(lines, loss_weights(run)) for s, lines in stage_lines(run).items()},
        "spaces": plots.spaces(part.spaces, colours.of, names, (a, b)),
        "labels": names,
        "all_labels": len(names) == len(e.label_names),
    }


def voices_of_test(run: Any) -> np.ndarray:
    """The voices of the test recordings of an image-speech run."""
    e = run.embeddings
    return np.unique(np.asarray(e.modalities[1].groups)[e.parts["test"][1]])


class Colours(NamedTuple):
    """Classes that get a colour, and for each sample of both modalities the number of its class among them, or −1."""

    classes: list[int]
    of: list[np.ndarray]


def choose_colours(labels: Sequence[np.ndarray]) -> Colours:
    """All classes of integer labels. Of multi-hot labels at most `MANY_LABELS`, rare ones first, that seldom occur in
    the same sample; a sample that carries none of them, or several, gets no colour."""
    first = labels[0]
    if first.ndim == 1:
        return Colours(np.unique(np.concatenate(labels)).tolist(), [np.asarray(y) for y in labels])
    count = first.sum(axis=0)
    classes: list[int] = []
    for c in sorted(np.flatnonzero(count >= 3), key=lambda c: count[c]):
        alone = ~first[first[:, c] > 0][:, classes].any(axis=1)
        if len(classes) < MANY_LABELS and alone.mean() > 0.6:
            classes.append(int(c))
    hot = [y if y.ndim == 2 else y[:, None] == np.arange(first.shape[1]) for y in labels]
    of = [np.where(y[:, classes].sum(axis=1) == 1, y[:, classes].argmax(axis=1), -1) for y in hot]
    return Colours(classes, of)
