"""Table 1: PAN and MUL tiles, all four directions, in spaces of 16, 32 and 64 dimensions.

As in the paper, λ5, the weight of the regulariser, is chosen on the validation part by uni-modal retrieval: PAN finds
PAN, and MUL finds MUL.
"""

from collections.abc import Sequence
from statistics import fmean as mean

from ...cmirnet import published
from ...config import Config
from ...reports.replication import Line, Score, Section, Table, Verdict
from ...reports.replication_plots import curves
from ..lab import Lab
from ..tables import ahead, farthest, less, line, validated, words

WIDTHS = (16, 32, 64)
LAMBDA5 = (0.001, 0.03, 1.0)  # over the paper's range
DIRECTIONS = ("a->b", "b->a", "a->a", "b->b")
UNIMODAL = ("a->a", "b->b")
BEST = 64  # the width that the paper recommends
CLOSE = 0.02  # of average precision: as good


def table1(lab: Lab) -> Section:
    """Table 1 at the lab's scale."""
    configs, found = spaces(lab)
    curve = {d: validation(lab, found, d) for d in WIDTHS}
    chosen = {d: best(curve[d]) for d in WIDTHS}
    lines = tuple(
        line(
            (str(d), words(direction, "tiles")),
            [found[d, chosen[d], s] for s in lab.seeds],
            direction,
            paper=published.TABLE1[d][direction],
            config=configs[d, chosen[d], 0],
            more=(f"{chosen[d]:g}",),
        )
        for d in WIDTHS
        for direction in DIRECTIONS
    )
    ap = {d: over(lines, d, DIRECTIONS) for d in WIDTHS}
    leads = {d: less(ap[BEST], ap[d]) for d in WIDTHS if d != BEST}
    uni, cross = (over(lines, BEST, pair) for pair in (UNIMODAL, ("a->b", "b->a")))
    return Section(
        "table1",
        "Table 1: panchromatic and multi-spectral tiles",
        f"Eight land covers, {lab.scale.worlds['tiles'].words}; the paper: DSRSID, 80 000 pairs of GF-1.",
        tables=(Table("Retrieval by the width of the shared space", ("d_v", "direction"), lines, ("λ5",)),),
        figures=(
            curves(
                "table1-lambda5",
                "λ5 is chosen where uni-modal retrieval (PAN → PAN, MUL → MUL) on the validation part is best.",
                {f"d_v = {d}": curve[d] for d in WIDTHS},
                x="λ5, weight of the regulariser",
                y="average precision, validation",
            ),
        ),
        remarks=(
            farthest(lines),
            "Mean over the four directions, average precision: "
            + ", ".join(f"{score} at d_v = {d}" for d, score in ap.items())
            + " (one printed maximum is at 16 dimensions, the others at 32 and 64).",
        ),
        verdicts=(
            Verdict(
                "4.1",
                f"d_v = {BEST} is the best width",
                "reproduced" if all(map(ahead, leads.values())) else "not reproduced",
                "lead in average precision, mean of the four directions: "
                + ", ".join(f"{lead.mean:+.4f} over d_v = {d}" for d, lead in leads.items())
                + "; it counts above its standard error over seeds. In the paper's own table it is so for PAN → MUL "
                "alone",
            ),
            Verdict(
                "4.1",
                "uni-modal retrieval in the shared space is as good as cross-modal retrieval",
                "reproduced" if abs(uni.mean - cross.mean) < CLOSE else "not reproduced",
                f"at d_v = {BEST}: uni-modal {uni}, cross-modal {cross}; as good is within {CLOSE}",
            ),
        ),
    )


def over(lines: Sequence[Line], width: int, directions: Sequence[str]) -> Score:
    """Average precision at a width, the mean over some directions, seed by seed."""
    names = [words(m, "tiles") for m in directions]
    rows = [row.ap.values for row in lines if row.about[0] == str(width) and row.about[1] in names]
    return Score(tuple(None if None in values else mean(values) for values in zip(*rows, strict=True)))


def spaces(lab: Lab, widths: tuple[int, ...] = WIDTHS) -> tuple[dict[tuple, Config], dict[tuple, dict]]:
    """({(d_v, λ5, seed): settings}, {the same: results}) of all spaces that λ5 is chosen from."""
    configs = {
        (d, r, seed): lab.config("tiles", seed, d_v=d, weights={"regulariser": r})
        for d in widths
        for r in LAMBDA5
        for seed in lab.seeds
    }
    return configs, dict(zip(configs, lab.spaces(list(configs.values()), "table1"), strict=True))


def validation(lab: Lab, found: dict[tuple, dict], d: int) -> dict[float, Score]:
    """What λ5 is chosen by at width d: uni-modal retrieval on the validation part, {λ5: score}."""
    return {r: validated([found[d, r, s] for s in lab.seeds], UNIMODAL) for r in LAMBDA5}


def best(curve: dict[float, Score]) -> float:
    """Where a curve is highest; of equals the first."""
    return max(curve, key=lambda x: curve[x].mean)
