"""Table 4: α, to which eq. 7 draws the encoders' weights, under the three readings of that equation.

Each reading runs at λ5 = 1, the paper's weight for images and speech; the default reading also at its own, small λ5.
What is measured is the last epoch: to keep the one that validates best would hide a collapse on the way.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean

import numpy as np

from ... import runs
from ...cmirnet.published import TABLE4
from ...config import SharedSettings
from ...reports.experiment import Experiment, Line, Table
from ...reports.replication_plots import bars
from ...reports.scores import Score
from ...retrieval import average_precision, mean_precision_at_tens, relevance
from ..claims import Numbers, judge_claims
from ..lab import Lab, Work, run_groups, shared_space
from ..tables import CROSS, METRICS, mean_score, printed_text, table_row, train_command, words

WORLDS = ("places", "released")
ALPHAS = (0, 1, 2)
SETTINGS = {  # reading of eq. 7 and λ5: (alpha_reading, λ5 or None for the default's)
    "element-wise, λ5 = 1": ("elementwise", 1.0),
    "norm, λ5 = 1": ("norm", 1.0),
    "released, λ5 = 1": ("released", 1.0),
    "default": (None, None),
}
STATE = {"state": "state", "spread": "spread", "rank": "effective rank", "norm": "smallest ‖w‖"}
QUERIES = {"all of the test part": "test", "as in the released scripts": "script"}
TIES = {
    "by_index": "mean precision, ties by index",
    "expected": "ties at their expected value",
    "map": "average precision",
    "zero": "share of queries at exactly 0",
}

Rows = Mapping[tuple[str, str, int], Sequence[dict]]  # {(world, setting, α): results over the seeds}


def table4(lab: Lab) -> Experiment:
    """Table 4 at the lab's scale."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    keys = list(product(worlds, SETTINGS, ALPHAS))
    configs = {key: [settings_of_row(lab, *key, s) for s in lab.few] for key in keys}
    rows = run_groups(lab, last_epoch, configs, "table4")
    one_point = run_groups(lab, score_one_point, {w: configs[w, "default", 1] for w in worlds}, "table4")

    def row(w, n, a, m):
        about, command, results = (n, str(a), words(m, w)), train_command(configs[w, n, a][0]), rows[w, n, a]
        return table_row(about, results, m, TABLE4[a][m], command=command, **state_texts(results))

    tables = {}
    for w in worlds:
        lines = (row(w, *key) for key in product(SETTINGS, ALPHAS, CROSS))
        ties = (line_of_ties(w, one_point[w], *key) for key in product(QUERIES, CROSS))
        tables[w] = Table(("reading", "α", "direction"), METRICS | STATE, tuple(lines))
        tables[f"{w}, one point"] = Table(("queries", "direction"), TIES, tuple(ties))
    return Experiment(
        "table4",
        tables,
        tuple(bars_of_world(w, rows) for w in worlds),
        judge_claims(
            "table4",
            collapse=collapsed_shares(rows),
            one_is_best=differences(rows, 1, 0),
            two_is_worse=differences(rows, 1, 2),
            zeros=tied_scores(one_point),
        ),
        {"used": worlds, "best_epochs": {w: {n: best_epoch(rows[w, n, 0]) for n in SETTINGS} for w in worlds}},
    )


def settings_of_row(lab: Lab, world: str, setting: str, alpha: int, seed: int) -> SharedSettings:
    """The settings of a row; at α = 0 the element-wise reading is the norm reading."""
    reading, r = SETTINGS[setting]
    if (reading, alpha) == ("elementwise", 0):
        reading = "norm"
    changes = {"d_v": 64, "alpha": float(alpha), "regularized_layers": "all", "stage2": {"keep": "last"}}
    changes |= {} if reading is None else {"alpha_reading": reading}
    changes |= {} if r is None else {"weights": {"regulariser": r}}
    return lab.config(world, seed, **changes)


def last_epoch(work: Work) -> dict:
    """`space` without its validation part, and the validation score of every epoch instead."""
    run = shared_space(work)
    scores = [line["validation"]["score"] for line in run.history if line["stage"] == "stage2"]
    return runs.evaluate(run, device=work.device) | {"scores": scores}


def best_epoch(results: Sequence[dict]) -> tuple[float, float, int, float] | None:
    """(best validation score, its epoch, number of epochs, score of the last) of a row, mean over its seeds."""
    scores = [r["scores"] for r in results if "scores" in r]
    if not scores:
        return None
    epoch = fmean(s.index(max(s)) + 1 for s in scores)
    return fmean(max(s) for s in scores), epoch, len(scores[0]), fmean(s[-1] for s in scores)


def state_texts(results: Sequence[dict]) -> dict[str, str]:
    """Texts for `STATE`: what became of the space in how many runs, and means over the runs that did not diverge."""
    counts = Counter(map(state_of, results))
    names = next(iter(counts)) if len(counts) == 1 else ", ".join(f"{name} {n}" for name, n in counts.items())
    living = [r for r in results if "failed" not in r]
    if not living:
        return dict.fromkeys(STATE, "–") | {"state": names}
    return {
        "state": names,
        "spread": f"{fmean(r['scale'] for r in living):.2g}",
        "rank": f"{fmean(r['effective_rank'] for r in living):.1f}",
        "norm": f"{fmean(min(r['weight_norms'].values()) for r in living):.2g}",
    }


def state_of(result: dict) -> str:
    """ "alive", "collapsed", "half collapsed", or "diverged"."""
    return "diverged" if "failed" in result else result["state"]


# ---- a space that is one point --------------------------------------------------------------------------------------


def score_one_point(work: Work) -> dict:
    """What a space scores that has shrunk to one point: {of `QUERIES`: {direction: metrics}}."""
    labels = [modality.labels for modality in work.data.modalities.values()]
    test = [y[rows] for y, rows in zip(labels, work.parts.test.values(), strict=True)]
    first = relevance(labels[1], np.array([0]))[:, 0]  # recordings of the first label
    queries = labels[0][:30], labels[1][first]
    return {
        "test": {"a->b": at_one_point(test[0], test[1], 5), "b->a": at_one_point(test[1], test[0], 5)},
        "script": {"a->b": at_one_point(queries[0], labels[1], 10), "b->a": at_one_point(queries[1], labels[0], 10)},
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


def line_of_ties(world: str, results: Sequence[dict], name: str, direction: str) -> Line:
    """A row of the table of ties."""
    scores = {key: Score(tuple(r[QUERIES[name]][direction][key] for r in results)) for key in TIES}
    return Line((name, words(direction, world)), scores, printed_text(TABLE4[0][direction]))


# ---- numbers of the claims ------------------------------------------------------------------------------------------


def case_of(world: str, setting: str) -> tuple[str, str, str]:
    """(world, λ5, reading of eq. 7) of a row."""
    reading, r = SETTINGS[setting]
    return world, "the default's λ5" if r is None else f"λ5 = {r:g}", reading or "norm"


def collapsed_shares(rows: Rows) -> Numbers:
    """The share of the runs at α = 0 in which both modalities collapsed."""
    zero = {case_of(w, n): results for (w, n, a), results in rows.items() if a == 0}
    return {case: fmean(state_of(r) == "collapsed" for r in results) for case, results in zero.items()}


def differences(rows: Rows, first: int, second: int) -> Numbers:
    """Average precision at one α less that at another, mean of both directions; failed runs are left out, and count 0
    where all of them failed.
    """
    ap = {key: mean_score(results).mean or 0.0 for key, results in rows.items()}
    return {case_of(w, n): ap[w, n, first] - ap[w, n, second] for w, n in dict.fromkeys((w, n) for w, n, _ in rows)}


def tied_scores(one_point: Mapping[str, Sequence[dict]]) -> Numbers:
    """The paper's metric of a space of one point, by how ties are broken."""
    ties = {"by_index": "ties by index", "expected": "ties at their expected value"}
    return {
        (ties[key], world, name, words(m, world)): fmean(r[QUERIES[name]][m][key] for r in results)
        for world, results in one_point.items()
        for key in ties
        for name in QUERIES
        for m in CROSS
    }


def bars_of_world(world: str, rows: Rows):
    """Bars for each reading over α."""
    series = {f"α = {a}": {n: mean_score(rows[world, n, a]) for n in SETTINGS} for a in ALPHAS}
    chances = [mean_score(rows[world, n, a], metric="chance") for n in SETTINGS for a in ALPHAS]
    chance = next((c for c in chances if c.mean is not None), Score(()))
    series["chance"] = dict.fromkeys(SETTINGS, Score((chance.mean,)))
    return bars(f"table4-{world}", series, y="average precision", marks="chance")
