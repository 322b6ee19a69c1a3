"""Table IV: a sentence, keywords, and both, on simulated scenes whose keywords are true."""

from ...amfmn.published import TABLE4
from ...reports.experiment import Experiment, Table
from ..claims import judge_claims
from ..lab import Lab, run_groups
from .cells import COLUMNS, configs_of, matched, mr_lead, recall_line, worlds_here

QUERIES = {"sentence": "sentence", "keywords": "keywords", "both": "sentence and keywords"}


def queries(lab: Lab) -> Experiment:
    """Table IV at the lab's scale."""
    rows = run_groups(lab, matched, {q: configs_of(lab, "scenes", lab.seeds, text=q) for q in QUERIES}, "queries")
    lines = tuple(recall_line((QUERIES[q],), results, TABLE4[q]) for q, results in rows.items())
    return Experiment(
        "queries",
        {"queries": Table(("query",), COLUMNS, lines)},
        (),
        judge_claims(
            "queries",
            both={(): mr_lead(rows["both"], rows["sentence"])},
            sentence={(): mr_lead(rows["sentence"], rows["keywords"])},
        ),
        {"words": worlds_here(lab)["scenes"]},
    )
