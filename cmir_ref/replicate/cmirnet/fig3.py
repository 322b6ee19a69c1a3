"""Fig. 3: precision at 50 of each class of tiles, from PAN to MUL and back.

The spaces are Table 1's at d_v = 64, with the λ5 that Table 1 chooses: nothing is trained for this figure.
"""

from collections.abc import Mapping, Sequence

from ...cmirnet.published import FIG3
from ...reports.experiment import Experiment, Line, Table
from ...reports.replication_plots import bars
from ...reports.scores import Score
from ..claims import Numbers, judge_claims
from ..lab import Lab
from ..tables import CROSS, best, most_possible, train_command, words
from .table1 import spaces_of_table1, validation_curve

WIDTH = 64
AXIS = 0.97  # where the paper's axis starts
COLUMNS = {
    "p@50": "P@50",
    "map": "average precision",
    "chance": "chance of P@50",
    "most": "at most",
    "queries": "queries",
}


def fig3(lab: Lab) -> Experiment:
    """Fig. 3 at the lab's scale."""
    configs, results = spaces_of_table1(lab, (WIDTH,))
    weight = best(validation_curve(results, WIDTH))
    seeds, command = results[WIDTH, weight], train_command(configs[WIDTH, weight][0])
    lines = {(d, name): row_of_class(seeds, name, d, command) for d in CROSS for name in FIG3}
    series = {}
    for d in CROSS:
        rows = {name: lines[d, name] for name in FIG3}
        label = words(d, "tiles")
        series[f"{label}, printed"] = {name: Score((float(row.printed) / 100,)) for name, row in rows.items()}
        series[f"{label}, ours"] = {name: row.scores["p@50"] for name, row in rows.items()}
    printed = [label for label in series if label.endswith("printed")]
    series["chance"] = {name: lines["a->b", name].scores["chance"] for name in FIG3}
    return Experiment(
        "fig3",
        {"classes": Table(("direction", "class"), COLUMNS, tuple(lines.values()))},
        (bars("fig3-classes", series, y="precision at 50", outlines=printed, marks="chance"),),
        judge_claims("fig3", classes=reachable(list(lines.values()))),
        {"width": WIDTH, "weight": weight, "axis": 100 * AXIS},
    )


def row_of_class(results: Sequence[dict], name: str, direction: str, command: str = "") -> Line:
    """One class in one direction. Chance of P@50 is the class's share of the gallery."""
    rows = [of_class(r, direction, name) for r in results]
    sizes = [gallery_sizes(r, name, direction) for r in results]
    queries = [r["queries"] for r in rows]
    values = {
        "p@50": [r["p@50"] for r in rows],
        "map": [r["map"] for r in rows],
        "chance": [n / items if n else None for n, items in sizes],
        "most": [most_possible([n], items, (50,)) if n else None for n, items in sizes],
    }
    return Line(
        (words(direction, "tiles"), name),
        {key: Score(tuple(column)) for key, column in values.items()},
        f"{FIG3[name][direction]:.1f}",
        {"queries": "–".join(dict.fromkeys((str(min(queries)), str(max(queries)))))},
        command,
    )


def gallery_sizes(result: Mapping, name: str, direction: str) -> tuple[int, int]:
    """(items of the class, all items) that a run's queries search: what are queries of the way back."""
    back = {"a->b": "b->a", "b->a": "a->b"}[direction]
    return of_class(result, back, name)["queries"], sum(c["queries"] for c in per_class(result, back).values())


def per_class(result: Mapping, direction: str) -> dict[str, dict]:
    """The classes of a result, none for a failed run."""
    return result["directions"][direction]["per_class"] if "directions" in result else {}


def of_class(result: Mapping, direction: str, name: str) -> dict:
    """The figures of a class, without values where there is none."""
    return per_class(result, direction).get(name, {"p@50": None, "map": None, "queries": 0})


def reachable(lines: Sequence[Line]) -> Numbers:
    """Precision at 50 of each class, None where the class is too small for what the paper's axis starts at."""
    most = {line.about: min(line.scores["most"].there, default=0.0) for line in lines}
    return {line.about: line.scores["p@50"].mean if most[line.about] > AXIS else None for line in lines}
