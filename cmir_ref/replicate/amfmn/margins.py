"""Table V: margins of the triplet loss, fixed and dynamic, of several heights."""

from ...amfmn.published import TABLE5
from ...reports.experiment import Experiment, Table
from ..claims import judge_claims
from ..lab import Lab, run_groups
from ..tables import best
from .cells import COLUMNS, configs_of, matched, mr_lead, recall, recall_line, worlds_here

CODE = ("fixed", 0.2, 0)  # what the released code runs


def margins(lab: Lab) -> Experiment:
    """Table V at the lab's scale; the small one has β = 5 alone."""
    words = worlds_here(lab) if lab.scale.name == "full" else {"scenes": worlds_here(lab)["scenes"]}
    forms = [CODE, *(form for form in TABLE5 if lab.scale.name == "full" or form[2] in (0, 5))]
    configs = {
        (w, *form): configs_of(
            lab, w, lab.seeds, **{"margin.kind": form[0], "margin.gamma": form[1], "margin.beta": form[2]}
        )
        for w in words
        for form in forms
    }
    rows = run_groups(lab, matched, configs, "margins")
    gains = {}
    for w in words:
        for height in sorted({gamma for kind, gamma, _ in forms if kind == "dynamic"}):
            curve = {b: recall(rows[w, k, g, b], "validation") for k, g, b in forms if (k, g) == ("dynamic", height)}
            gains[w, f"γ = {height}"] = mr_lead(rows[w, "dynamic", height, best(curve)], rows[w, "fixed", height, 0])
    tables = {
        w: Table(
            ("margin", "γ", "β"),
            COLUMNS,
            tuple(
                recall_line((k, str(g), str(b or "–")), rows[w, k, g, b], TABLE5.get((k, g, b))) for k, g, b in forms
            ),
        )
        for w in words
    }
    return Experiment("margins", tables, (), judge_claims("margins", dynamic=gains), {"words": words})
