"""Fig. 1: the nearest results of some queries, as pictures and sounds, across modalities and within them."""

from collections.abc import Mapping
from typing import Any

from ... import ranking, runs
from ...reports.experiment import Experiment, Line, Table
from ...reports.gallery import cards
from ...reports.scores import Score
from ..lab import Cell, Lab, Work, shared_space
from ..tables import DIRECTIONS, METRICS, train_command, words

WIDTH = 64
WORLDS = ("tiles", "places", "real")
QUERIES, SHOWN = 4, 8
COLUMNS = METRICS | {"p@10": "P@10", "queries": "queries"}


def fig1(lab: Lab) -> Experiment:
    """Fig. 1 at the lab's scale, for each of its worlds, with seed 0."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    configs = {w: lab.config(w, 0, d_v=WIDTH) for w in worlds}
    cells = [Cell(nearest_of_run, config, {"queries": QUERIES, "shown": SHOWN}) for config in configs.values()]
    results = dict(zip(worlds, lab.run(cells, "fig1"), strict=True))
    rows = {w: tuple(line_of_gallery(w, d, results[w], train_command(configs[w])) for d in DIRECTIONS) for w in worlds}
    return Experiment(
        "fig1",
        {w: Table(("direction",), COLUMNS, rows[w]) for w in worlds},
        facts={"queries": QUERIES, "shown": SHOWN, "width": WIDTH, "results": results},
        galleries={
            f"{w}: {words(d, w)}": results[w]["rows"][d] for w in worlds if "rows" in results[w] for d in DIRECTIONS
        },
    )


def nearest_of_run(work: Work, *, queries: int, shown: int) -> dict:
    """Of each direction: the cards of `queries` queries with their `shown` nearest results, and the metrics of the
    whole test part."""
    run = shared_space(work)
    examples = {d: ranking.examples(run, d, count=queries, k=shown) for d in DIRECTIONS}
    metrics = runs.evaluate(run, device=work.device)["directions"]
    return {
        "rows": cards(examples, run.dataset.modalities),
        "directions": {d: {name: metrics[d][name] for name in COLUMNS} for d in DIRECTIONS},
    }


def line_of_gallery(world: str, direction: str, result: Mapping[str, Any], command: str) -> Line:
    """One direction; without figures for a failed run."""
    values = dict(result["directions"][direction]) if "directions" in result else dict.fromkeys(COLUMNS)
    queries = {"queries": str(values.pop("queries") or "–")}
    return Line((words(direction, world),), {k: Score((v,)) for k, v in values.items()}, texts=queries, command=command)
