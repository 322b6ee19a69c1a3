"""The page of the demo: all scenarios on one page, with the figures of two side experiments."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ops.labels import multi_hot
from ..records import Run
from . import plots
from .gallery import cards
from .pages import direction_names, environment
from .report import stage_lines, state_sentence

MANY_LABELS = 6  # so many labels of a multi-label scenario are drawn at most


class ScenarioPart(NamedTuple):
    """What the page shows of one scenario."""

    run: Run
    result: dict[str, Any]  # what `evaluate(run)` returned
    galleries: Mapping[str, Sequence[Any]]  # what some queries find, by direction
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
    """The page as text: one self-contained file. `parts` are the scenarios of the demo, by name."""
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
    run, modalities = part.run, part.run.dataset.modalities
    a, b = (modality.name for modality in modalities.values())
    titles = {"stage1.a": f"stage 1, {a}", "stage1.b": f"stage 1, {b}", "stage2": "stage 2", "match": "both together"}
    colours = choose_colours([modalities[m].labels[rows] for m, rows in run.parts.test.items()])
    names, directions = [run.dataset.label_names[c] for c in colours.classes], direction_names(run)
    return {
        "scenario": run.config.scenario,
        "result": part.result,
        "state": state_sentence(part.result, {m: modality.name for m, modality in modalities.items()}),
        "names": {"a": a, "b": b},
        "directions": directions,
        "galleries": cards({directions[d]: rows for d, rows in part.galleries.items()}, modalities),
        "curves": {titles[s]: plots.losses(lines, run.config.loss_weights) for s, lines in stage_lines(run).items()},
        "spaces": plots.spaces(part.spaces, colours.of, names, (a, b)) if part.spaces else "",
        "labels": names,
        "all_labels": len(names) == len(run.dataset.label_names),
    }


def voices_of_test(run: Run) -> np.ndarray:
    """The voices of the test recordings of an image-speech run."""
    return np.unique(np.asarray(run.dataset.modalities["b"].groups)[run.parts.test["b"]])


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
    hot = [multi_hot(y, first.shape[1]) for y in labels]
    of = [np.where(y[:, classes].sum(axis=1) == 1, y[:, classes].argmax(axis=1), -1) for y in hot]
    return Colours(classes, of)
