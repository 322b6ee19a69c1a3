"""Table 1: PAN and MUL tiles, all four directions, in spaces of 16, 32 and 64 dimensions.

As in the paper, λ5, the weight of the regulariser, is chosen on the validation part by uni-modal retrieval: PAN finds
PAN, and MUL finds MUL.
"""

from ...cmirnet.published import TABLE1
from ...config import SharedSettings
from ...reports.experiment import Experiment, Table
from ...reports.replication_plots import curves
from ...reports.scores import Score
from ..claims import judge_claims
from ..lab import Lab, run_groups, space
from ..tables import DIRECTIONS, METRICS, best, lead, mean_score, table_row, train_command, validation_score, words

WIDTHS = (16, 32, 64)
LAMBDA5 = (0.001, 0.03, 1.0)  # over the paper's range
UNIMODAL = ("a->a", "b->b")
Configs = dict[tuple, list[SharedSettings]]  # {(d_v, λ5): settings of each seed}
BEST = 64  # the width that the paper recommends


def table1(lab: Lab) -> Experiment:
    """Table 1 at the lab's scale."""
    configs, results = spaces_of_table1(lab)
    curve = {d: validation_curve(results, d) for d in WIDTHS}
    weight = {d: best(curve[d]) for d in WIDTHS}
    rows = {d: results[d, weight[d]] for d in WIDTHS}
    commands = {d: train_command(configs[d, weight[d]][0]) for d in WIDTHS}
    columns = METRICS | {"weight": "λ5"}
    lines = (
        table_row((str(d), words(m, "tiles")), rows[d], m, TABLE1[d][m], weight=f"{weight[d]:g}", command=commands[d])
        for d in WIDTHS
        for m in DIRECTIONS
    )
    overall = {d: mean_score(rows[d], DIRECTIONS) for d in WIDTHS}
    axes = {"x": "λ5, weight of the regulariser", "y": "average precision, validation"}
    return Experiment(
        "table1",
        {"widths": Table(("d_v", "direction"), columns, tuple(lines))},
        (curves("table1-lambda5", {"": {f"d_v = {d}": curve[d] for d in WIDTHS}}, **axes),),
        judge_claims(
            "table1",
            width={(f"over d_v = {d}",): lead(overall[BEST], overall[d]) for d in WIDTHS if d != BEST},
            unimodal={(): lead(mean_score(rows[BEST], UNIMODAL), mean_score(rows[BEST])).mean},
        ),
    )


def spaces_of_table1(lab: Lab, widths: tuple[int, ...] = WIDTHS) -> tuple[Configs, dict[tuple, list[dict]]]:
    """(settings, {the same: results}) of all spaces that λ5 is chosen from."""
    keys = [(d, r) for d in widths for r in LAMBDA5]
    configs = {(d, r): [lab.config("tiles", s, d_v=d, weights={"regulariser": r}) for s in lab.seeds] for d, r in keys}
    return configs, run_groups(lab, space, configs, "table1")


def validation_curve(results: dict[tuple, list[dict]], d: int) -> dict[float, Score]:
    """What λ5 is chosen by at width d: uni-modal retrieval on the validation part, {λ5: score}."""
    return {r: validation_score(results[d, r], UNIMODAL) for r in LAMBDA5}
