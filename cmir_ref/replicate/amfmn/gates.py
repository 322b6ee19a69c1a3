"""Table II: images and sentences, by how the image guides the text; beside it what this gallery allows.

The paper printed four data sets. Ours are UCM-Captions, where a folder has them, and simulated scenes: what it printed
of the others stands in a table of its own.
"""

from ...amfmn.published import METHODS, TABLE2
from ...reports.experiment import Experiment, Line, Table
from ...reports.scores import Score
from ..claims import judge_claims
from ..lab import Lab, run_groups
from ..tables import lead
from .cells import COLUMNS, configs_of, matched, mr_lead, recall, recall_line, worlds_here

GATES = {
    "none": "no attention",
    "soft": "soft",
    "fusion": "fusion",
    "vector": "sim, the code's",
    "scalar": "sim, the text's",
}
AS_PRINTED = {"soft": "AMFMN-soft", "fusion": "AMFMN-fusion", "vector": "AMFMN-sim", "none": "VSE++"}
BOUNDS = {"chance": "chance", "class": "class oracle", "perfect": "perfect, own words", "ceiling": "ceiling"}
SIX = [f"{d} R@{k}" for d in ("image → text", "text → image") for k in (1, 5, 10)]


def gates(lab: Lab) -> Experiment:
    """Table II at the lab's scale."""
    words = worlds_here(lab)
    rows = run_groups(
        lab,
        matched,
        {(w, g): configs_of(lab, w, lab.seeds, attention=g) for w in words for g in GATES},
        "gates",
    )
    tables = {w: Table(("attention",), COLUMNS, tuple(gate_lines(rows, w))) for w in words}
    text = {name: name for name in (*SIX, "mR")}
    printed = [
        Line((data, method), {}, texts=dict(zip(text, (f"{x:.2f}" for x in TABLE2[data][method]), strict=True)))
        for data in TABLE2
        for method in METHODS
    ]
    guided = [g for g in GATES if g != "none"]
    return Experiment(
        "gates",
        tables | {"printed": Table(("data", "method"), text, tuple(printed))},
        (),
        judge_claims(
            "gates",
            oracle={
                (w, GATES[g]): lead(recall(rows[w, g]), bound(rows[w, g], "class"), 100) for w in words for g in guided
            },
            guided={(w, GATES[g]): mr_lead(rows[w, g], rows[w, "none"]) for w in words for g in guided},
        ),
        {"words": words},
    )


def bound(results: list[dict], name: str) -> Score:
    """What the gallery of each seed allows."""
    return Score(tuple(r["beside"][name]["mr"] if "beside" in r else None for r in results))


def gate_lines(rows: dict, world: str) -> list[Line]:
    """The attentions of a world, and below them the bounds of its gallery."""
    printed = TABLE2["UCM"] if world == "ucm" else {}
    lines = [
        recall_line((words,), rows[world, g], printed.get(AS_PRINTED.get(g, ""), (None,))[-1])
        for g, words in GATES.items()
    ]
    empty = dict.fromkeys(COLUMNS, Score(()))
    return lines + [Line((words,), empty | {"mr": bound(rows[world, "none"], name)}) for name, words in BOUNDS.items()]
