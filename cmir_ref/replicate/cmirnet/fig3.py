"""Fig. 3: precision at 50 of each class of tiles, from PAN to MUL and back.

The spaces are Table 1's at d_v = 64, with the λ5 that Table 1 chooses: nothing is trained for this figure.
"""

from collections.abc import Sequence

from ...cmirnet import published
from ...reports.replication import Line, Score, Section, Table, Verdict
from ...reports.replication_plots import bars
from ..lab import Lab
from ..tables import train_command, words
from .table1 import best, spaces, validation

WIDTH = 64
DIRECTIONS = ("a->b", "b->a")
AXIS = 0.97  # where the paper's axis starts


def fig3(lab: Lab) -> Section:
    """Fig. 3 at the lab's scale."""
    configs, found = spaces(lab, (WIDTH,))
    chosen = best(validation(lab, found, WIDTH))
    results = [found[WIDTH, chosen, s] for s in lab.seeds]
    command = train_command(configs[WIDTH, chosen, 0])
    lines = tuple(row(results, name, d, command) for d in DIRECTIONS for name in published.FIG3)
    reach = {(words(d, "tiles"), name): bound(results, name, d) for d in DIRECTIONS for name in published.FIG3}
    series = {}
    for d in DIRECTIONS:
        own = [line for line in lines if line.about[0] == words(d, "tiles")]
        series[f"{words(d, 'tiles')}, printed"] = {r.about[1]: Score((float(r.printed) / 100,)) for r in own}
        series[f"{words(d, 'tiles')}, ours"] = {r.about[1]: r.tens for r in own}
    chance = {r.about[1]: r.chance for r in lines if r.about[0] == words(DIRECTIONS[0], "tiles")}
    return Section(
        "fig3",
        "Fig. 3: precision at 50 by class",
        f"Eight land covers, {lab.scale.worlds['tiles'].words}, d_v = {WIDTH}, λ5 = {chosen:g} as Table 1 chooses it; "
        "the paper: DSRSID, 80 000 pairs of GF-1.",
        tables=(
            Table(
                "Queries of each class",
                ("direction", "class"),
                lines,
                ("at most", "queries"),
                "At most: precision at 50 cannot exceed the number of relevant items over 50 (or over the whole "
                "gallery, where that is smaller). Chance: the share of the gallery that has the class. Average "
                "precision is over the queries of the class.",
                ("P@50", "average precision", "chance of P@50"),
            ),
        ),
        figures=(
            bars(
                "fig3-classes",
                f"From 0 to 1; the paper's axis starts at {100 * AXIS:.0f} %. Dotted: chance, PAN → MUL.",
                series | {"chance": chance},
                y="precision at 50",
                outlines=[label for label in series if label.endswith("printed")],
                marks="chance",
            ),
        ),
        remarks=remarks(lines, reach),
        verdicts=(verdict(lines, reach),),
    )


def row(results: Sequence[dict], name: str, direction: str, command: str = "") -> Line:
    """One class in one direction: P@50 in the place of the paper's metric, the chance of P@50 in that of chance."""
    own = [of_class(r, direction, name) for r in results]
    shares = [n / total if n else None for n, total in gallery(results, name, direction)]
    return Line(
        (words(direction, "tiles"), name),
        f"{published.FIG3[name][direction]:.1f}",
        Score(tuple(c["p@50"] for c in own)),
        Score(tuple(c["map"] for c in own)),
        Score(tuple(shares)),
        (f"{bound(results, name, direction):.3f}", extent([c["queries"] for c in own])),
        command,
    )


def gallery(results: Sequence[dict], name: str, direction: str) -> list[tuple[int, int]]:
    """(items of the class, all items) that each run's queries search: what are queries of the way back."""
    back = "->".join(reversed(direction.split("->")))
    return [
        (of_class(r, back, name)["queries"], sum(c["queries"] for c in per_class(r, back).values())) for r in results
    ]


def bound(results: Sequence[dict], name: str, direction: str) -> float:
    """The highest precision at 50 that the class can have, in the seed where it is smallest."""
    return min((min(1.0, n / min(50, total)) for n, total in gallery(results, name, direction) if n), default=0.0)


def per_class(result: dict, direction: str) -> dict[str, dict]:
    """The classes of a result, none for a failed run."""
    return result["directions"][direction]["per_class"] if "directions" in result else {}


def of_class(result: dict, direction: str, name: str) -> dict:
    """The figures of a class, where there is none without values."""
    return per_class(result, direction).get(name, {"p@50": None, "map": None, "queries": 0})


def extent(values: Sequence[int]) -> str:
    """The smallest and the largest of what the seeds have: "12" or "12–14"."""
    return "–".join(dict.fromkeys(str(f(values)) for f in (min, max)))


def remarks(lines: Sequence[Line], reach: dict[tuple, float]) -> tuple[str, ...]:
    """How even the classes are, here and in print, and whether their size bounds what can be reached."""
    measured = [r for r in lines if r.tens.mean is not None]
    if not measured:
        return ("No run came to an end.",)
    worst, top = (f(measured, key=lambda r: r.tens.mean) for f in (min, max))
    printed = [float(r.printed) for r in lines]
    bounded = [reach[r.about] for r in measured if reach[r.about] < 1]
    return (
        f"Ours range from {worst.tens.mean:.3f} ({', '.join(worst.about)}) to {top.tens.mean:.3f} "
        f"({', '.join(top.about)}); the printed figures from {min(printed):.1f} % to {max(printed):.1f} %.",
        f"{len(bounded)} of {len(measured)} rows are of a class too small to reach 1; the smallest can reach "
        f"{min(bounded):.3f}."
        if bounded
        else "Every class is large enough for a precision at 50 of 1.",
    )


def verdict(lines: Sequence[Line], reach: dict[tuple, float]) -> Verdict:
    """Reproduced where each class, in either direction, is above what the paper's axis starts at."""
    claim = f"Fig. 3: every class is above {100 * AXIS:.0f} % in both directions (where its axis starts)"
    values = {r.about: r.tens.mean for r in lines if r.tens.mean is not None and reach[r.about] > AXIS}
    if len(values) < len(lines):
        lost = len(lines) - len(values)
        because = f"of {len(lines)} rows {lost} are of too small a class, or of runs that failed"
        return Verdict("4.1", claim, "not tested: not every class can reach it", because)
    worst = min(values, key=values.get)
    below = sum(v <= AXIS for v in values.values())
    because = f"{len(values) - below} of {len(values)} are; lowest {values[worst]:.3f} ({', '.join(worst)})"
    return Verdict("4.1", claim, "not reproduced" if below else "reproduced", because)
