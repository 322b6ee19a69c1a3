"""Table 4: α, to which eq. 7 draws the encoders' weights, under the three readings of that equation.

Each reading runs at λ5 = 1, the paper's weight for images and speech; the default reading also at its own, small λ5.
What is measured is the last epoch: to keep the one that validates best would hide a collapse on the way.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean as mean

import numpy as np

from ... import runs
from ...cmirnet import published
from ...config import Config
from ...reports.replication import Line, Score, Section, Table, Verdict
from ...reports.replication_plots import bars
from ...retrieval import average_precision, mean_precision_at_tens, relevance
from ..lab import Cell, Lab, Work, shared_space
from ..tables import farthest, line, printed, words
from .table3 import CROSS, outcome

WORLDS = ("places", "released")
ALPHAS = (0, 1, 2)
SETTINGS = {  # reading of eq. 7 and λ5: (alpha_reading, λ5 or None for the default's)
    "element-wise, λ5 = 1": ("elementwise", 1.0),
    "norm, λ5 = 1": ("norm", 1.0),
    "released, λ5 = 1": ("released", 1.0),
    "default": (None, None),
}
CLEARLY = 0.02  # of average precision: less is no difference
STATE = ("state", "spread", "effective rank", "smallest ‖w‖")
DRAWN = {"all of the test part": "test", "drawn as by the released scripts": "script"}


def table4(lab: Lab) -> Section:
    """Table 4 at the lab's scale."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    rows = [(w, n, a) for w in worlds for n in SETTINGS for a in ALPHAS]
    configs = {(*row, s): alpha(lab, *row, s) for row in rows for s in lab.few}
    cells = [Cell(ended, config) for config in configs.values()]
    found = dict(zip(configs, lab.run(cells, "table4"), strict=True))
    results = {row: [found[*row, s] for s in lab.few] for row in rows}
    shrunk = {w: [Cell(point, configs[w, "default", 1, s]) for s in lab.few] for w in worlds}
    points = {w: lab.run(those, "table4") for w, those in shrunk.items()}
    lines = {
        w: tuple(
            line(
                (n, str(a), words(m, w)),
                results[w, n, a],
                m,
                paper=published.TABLE4[a][m],
                config=configs[w, n, a, 0],
                more=state(results[w, n, a]),
            )
            for n in SETTINGS
            for a in ALPHAS
            for m in CROSS
        )
        for w in worlds
    }
    ties = {w: tuple(tied(w, points[w], name, m) for name in DRAWN for m in CROSS) for w in worlds}
    said = {w: lab.scale.worlds[w].words for w in worlds}
    return Section(
        "table4",
        "Table 4: what α does",
        "Eq. 7 read in three ways: ‖w − α‖² element by element, (‖w‖ − α)², and |‖w‖ − α| as the code has it; all "
        "three encoder layers are regularised, d_v = 64, other settings the default's. The paper: d_v = 128, λ5 = 1. "
        "At α = 0 the first two readings are the same, one run serves both. The last epoch is measured, not the best. "
        f"Seeds: the first {len(lab.few)}.",
        tables=(
            *(Table(f"{w}: {said[w]}", ("reading", "α", "direction"), lines[w], STATE) for w in worlds),
            *(
                Table(
                    f"{w}: all embeddings at one point",
                    ("queries", "direction"),
                    ties[w],
                    ("ties at their expected value", "queries at exactly 0"),
                    "Every distance is the same. The first metric then ranks in the order of the gallery, "
                    "as MATLAB's stable sort does; average precision takes the expectation over all orders, which is "
                    "chance. The scripts ask with recordings of the first label and with the first 30 images, search "
                    "all samples, and use precisions at 10 … 100; their book-keeping errors are left out.",
                    ("mean precision, ties by index", "average precision", "chance"),
                )
                for w in worlds
            ),
        ),
        figures=tuple(drawing(w, lines[w]) for w in worlds),
        remarks=tuple(f"{w}. {remark}" for w in worlds for remark in remarks(w, lines, ties, results)),
        verdicts=(collapse_verdict(results), best_verdict(lines), worse_verdict(lines), zero_verdict(ties)),
    )


def alpha(lab: Lab, world: str, setting: str, value: int, seed: int) -> Config:
    """The settings of a row; at α = 0 the element-wise reading is the norm reading."""
    reading, r = SETTINGS[setting]
    if (reading, value) == ("elementwise", 0):
        reading = "norm"
    changed = {} if reading is None else {"alpha_reading": reading}
    weights = {} if r is None else {"weights": {"regulariser": r}}
    kept = {"stage2": {"keep": "last"}}
    return lab.config(world, seed, d_v=64, alpha=float(value), regularized_layers="all", **kept, **changed, **weights)


def ended(work: Work) -> dict:
    """`space` without its validation part, and the validation score of every epoch instead."""
    try:
        run = shared_space(work)
    except FloatingPointError as error:
        return {"failed": str(error)}
    scores = [line["validation"]["score"] for line in run.history if line["stage"] == "stage2"]
    return runs.evaluate(run, device=work.device) | {"scores": scores}


def remarks(world: str, lines: Mapping, ties: Mapping, found: Mapping) -> tuple[str, ...]:
    """On one world."""
    return (
        farthest(lines[world]),
        best_epoch({n: found[world, n, 0] for n in SETTINGS}),
        tie_remark(ties[world]),
    )


def best_epoch(found: Mapping[str, Sequence[dict]]) -> str:
    """What α = 0 would have had at its best epoch."""
    texts = []
    for name, results in found.items():
        scores = [r["scores"] for r in results if "scores" in r]
        if scores:
            best, last = mean(max(s) for s in scores), mean(s[-1] for s in scores)
            epoch = mean(s.index(max(s)) + 1 for s in scores)
            texts.append(f"{name} {best:.3f} in epoch {epoch:.0f} of {len(scores[0])}, {last:.3f} in the last")
    return "α = 0, average precision on the validation part: " + "; ".join(texts) + "."


def state(results: Sequence[dict]) -> tuple[str, str, str, str]:
    """Texts for `STATE`: what became of the space in how many runs, and means over the runs that ended."""
    counts = Counter(kind(r) for r in results)
    names = next(iter(counts)) if len(counts) == 1 else ", ".join(f"{name} {n}" for name, n in counts.items())
    ended = [r for r in results if "failed" not in r]
    if not ended:
        return names, "–", "–", "–"
    return (
        names,
        f"{mean(r['scale'] for r in ended):.2g}",
        f"{mean(r['effective_rank'] for r in ended):.1f}",
        f"{mean(min(r['weight_norms'].values()) for r in ended):.2g}",
    )


def kind(result: dict) -> str:
    """ "alive", "collapsed", "half collapsed", or "diverged"."""
    return "diverged" if "failed" in result else result["verdict"].partition(":")[0]


# ---- a space that is one point --------------------------------------------------------------------------------------


def point(work: Work) -> dict:
    """What a space scores that has shrunk to one point: {of `DRAWN`: {direction: metrics}}."""
    labels = [m.labels for m in work.data.modalities[:2]]
    test = [y[rows] for y, rows in zip(labels, work.parts.test[:2], strict=True)]
    first = relevance(labels[1], np.array([0]))[:, 0]  # recordings of the first label
    asked = labels[0][:30], labels[1][first]
    return {
        "test": {"a->b": at_one_point(test[0], test[1], 5), "b->a": at_one_point(test[1], test[0], 5)},
        "script": {"a->b": at_one_point(asked[0], labels[1], 10), "b->a": at_one_point(asked[1], labels[0], 10)},
    }


def at_one_point(query: np.ndarray, gallery: np.ndarray, cutoffs: int) -> dict[str, float]:
    """Metrics of labels (Q, …) and (G, …) where every distance is 0."""
    relevant = relevance(query, gallery)
    relevant = relevant[relevant.any(axis=1)]
    d = np.zeros(relevant.shape, np.int32)
    by_index = mean_precision_at_tens(d, relevant, cutoffs)
    return {
        "by_index": float(by_index.mean()),
        "expected": float(mean_precision_at_tens(d, relevant, cutoffs, ties="expected").mean()),
        "zero": float((by_index == 0).mean()),
        "map": float(average_precision(d, relevant).mean()),
    }


def tied(world: str, results: Sequence[dict], name: str, direction: str) -> Line:
    """A row of the second table."""
    values = {k: Score(tuple(r[DRAWN[name]][direction][k] for r in results)) for k in ("by_index", "expected", "map")}
    zero = mean(r[DRAWN[name]][direction]["zero"] for r in results)
    return Line(
        (name, words(direction, world)),
        printed(published.TABLE4[0][direction]),
        values["by_index"],
        values["map"],
        values["map"],
        (str(values["expected"]), f"{zero:.0%}"),
    )


def tie_remark(rows: Sequence[Line]) -> str:
    """What a collapsed space would print, and what it is worth."""
    said = "; ".join(f"{r.about[0]}, {r.about[1]}: {r.tens} by index, {r.more[0]} expected" for r in rows)
    zeros = [r for r in rows if r.tens.mean == 0]
    return f"A space of one point in the paper's metric: {said}. Exactly 0 in {len(zeros)} of {len(rows)} cases."


# ---- verdicts -------------------------------------------------------------------------------------------------------


def precision(lines: Sequence[Line], setting: str, value: int) -> float:
    """Average precision, mean of both directions; 0 where all runs failed."""
    return mean(row.ap.mean or 0.0 for row in lines if row.about[:2] == (setting, str(value)))


def collapse_verdict(found: Mapping[tuple[str, str, int], Sequence[dict]]) -> Verdict:
    """Of α = 0: collapsed in all seeds."""
    held = {(w, n): all(kind(r) == "collapsed" for r in results) for (w, n, a), results in found.items() if a == 0}
    spread = {key: state(found[*key, 0]) for key in held}
    return Verdict(
        "4.3",
        "α = 0 maps everything to one point",
        by_setting(held),
        "; ".join(f"{w}, {n}: {spread[w, n][0]}, spread {spread[w, n][1]}" for w, n in held),
    )


def best_verdict(lines: Mapping[str, Sequence[Line]]) -> Verdict:
    """α = 1 against α = 0."""
    return compared(lines, "α = 1 retrieves better than α = 0", (1, 0))


def worse_verdict(lines: Mapping[str, Sequence[Line]]) -> Verdict:
    """α = 1 against α = 2."""
    return compared(lines, "α = 2 retrieves worse than α = 1", (1, 2))


def compared(lines: Mapping[str, Sequence[Line]], claim: str, pair: tuple[int, int]) -> Verdict:
    """Whether the first α of a pair is better than the second by more than `CLEARLY`."""
    ap = {(w, n): tuple(precision(rows, n, a) for a in pair) for w, rows in lines.items() for n in SETTINGS}
    return Verdict(
        "4.3",
        claim,
        by_setting({key: a > b + CLEARLY for key, (a, b) in ap.items()}),
        f"average precision, mean of both directions, at α = {pair[0]} and {pair[1]}: "
        + "; ".join(f"{w}, {n}: {a:.3f} and {b:.3f}" for (w, n), (a, b) in ap.items())
        + f" (better is more than {CLEARLY})",
    )


def by_setting(held: Mapping[tuple[str, str], bool]) -> str:
    """`outcome` of (world, setting), the setting taken apart into λ5 and the reading."""
    parts = {(w, SETTINGS[n][1], SETTINGS[n][0] or "norm"): value for (w, n), value in held.items()}
    return outcome(parts, ("the world", "λ5", "the reading of eq. 7"))


def zero_verdict(ties: Mapping[str, Sequence[Line]]) -> Verdict:
    """The printed zeros."""
    rows = [(w, r) for w, lines in ties.items() for r in lines]
    zeros = [(w, r) for w, r in rows if r.tens.mean == 0]
    return Verdict(
        "4.3",
        "at α = 0 mAP and P@10 are exactly 0",
        "depends on how ties are broken, and on the order of the gallery" if zeros else "not reproduced",
        f"of a space of one point, ties by index: {len(zeros)} of {len(rows)} cases are exactly 0"
        + "".join(f"; {w}, {r.about[0]}, {r.about[1]}: expected over all orders {r.more[0]}" for w, r in zeros),
    )


def drawing(world: str, lines: Sequence[Line]):
    """Bars for each reading over α."""
    series = {
        f"α = {a}": {n: pooled([r for r in lines if r.about[:2] == (n, str(a))]) for n in SETTINGS} for a in ALPHAS
    }
    series["chance"] = dict.fromkeys(SETTINGS, Score((mean(r.chance.mean for r in lines if r.chance.mean),)))
    return bars(
        f"table4-{world}",
        f"{world}: average precision, mean of both directions, over seeds.",
        series,
        y="average precision",
        marks="chance",
    )


def pooled(rows: Sequence[Line]) -> Score:
    """The mean of some rows' average precision, seed by seed; None where one failed."""
    seeds = zip(*(r.ap.values for r in rows), strict=True)
    return Score(tuple(None if None in values else mean(values) for values in seeds))
