"""Table 3: the grid, the rules of its verdicts, and the whole experiment on a tiny world."""

import numpy as np
import pytest
import worlds

from cmir_ref.replicate.cmirnet import table3 as module
from cmir_ref.replicate.cmirnet.table3 import (
    LAMBDA1,
    LAMBDA5,
    PAPERS,
    best_tens,
    grid_verdict,
    harder_verdict,
    outcome,
    table3,
    width_verdict,
)
from cmir_ref.replicate.lab import Lab
from cmir_ref.replicate.worlds import Scale, World
from cmir_ref.reports.replication import Line, Score

GRID = {(l1, r): 0.5 for l1 in LAMBDA1 for r in LAMBDA5}


def lines(ap, tens):
    """Rows at d_v = 64, both cross-modal directions."""
    return [Line(("64", m), "–", Score((tens,)), Score((ap,)), Score((0.2,))) for m in ("image → speech", "back")]


def test_a_perfect_ranking_has_what_the_relevant_items_allow():
    assert best_tens(np.array([50]), 100) == 1
    assert best_tens(np.array([10, 0]), 100) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    assert best_tens(np.array([10]), 20) == pytest.approx((1 + 4 * 1 / 2) / 5), "cutoffs end with the gallery"


@pytest.mark.parametrize(
    ("widths", "verdict"),
    [
        ({"places": {32: 0.5, 64: 0.6, 128: 0.62}}, "reproduced"),
        ({"places": {32: 0.5, 64: 0.6, 128: 0.605}}, "not reproduced"),
        ({"places": {32: 0.7, 64: 0.6, 128: 0.62}}, "not reproduced"),
        ({"places": {32: 0.5, 64: 0.6, 128: 0.7}, "real": {32: 0.5, 64: 0.6, 128: 0.5}}, "depends on the world"),
    ],
)
def test_128_is_best_only_clearly_above_both_others(widths, verdict):
    assert width_verdict(widths).verdict == verdict


def test_the_papers_pair_holds_where_nothing_clearly_better_is_in_the_grid():
    better = GRID | {(0.02, 0.001): 0.8}
    assert grid_verdict({"places": GRID}, {"places": PAPERS}).verdict == "reproduced"
    said = grid_verdict({"places": better}, {"places": (0.02, 0.001)})
    assert said.verdict == "not reproduced" and "0.800; the paper's pair 0.500" in said.because


def test_far_below_the_tiles_may_depend_on_the_metric():
    metrics = {"map": 0.95, "mean_precision_at_tens": 0.95}
    tiles = [{"directions": {"a->b": metrics, "b->a": metrics}}]
    assert harder_verdict({"places": lines(0.5, 0.4)}, tiles).verdict == "reproduced"
    assert harder_verdict({"places": lines(0.85, 0.4)}, tiles).verdict == "depends on the metric"
    assert harder_verdict({"places": lines(0.9, 0.9)}, tiles).verdict == "not reproduced"
    assert harder_verdict({"places": lines(0.5, 0.4)}, None).verdict.startswith("not tested")


def test_an_outcome_names_the_fewest_parts_that_tell():
    names = ("the world", "λ5")
    assert outcome({("a", 1): True, ("b", 1): True}, names) == "reproduced"
    assert outcome({("a", 1): False, ("b", 1): False}, names) == "not reproduced"
    assert outcome({("a", 1): True, ("a", 0): False, ("b", 1): True, ("b", 0): False}, names) == "depends on λ5"
    held = {("a", 1): True, ("a", 0): False, ("b", 1): False, ("b", 0): False}
    assert outcome(held, names) == "depends on the world and λ5"


def test_tiles_are_never_trained_for_table_3(tmp_path):
    tiles = World("few", ("dataset=scenes", "scenes=16"), worlds.SHORT)
    with Lab(tmp_path, Scale("t", {"tiles": tiles}, ""), jobs=1) as lab:
        assert module.tiles(lab) is None and lab.compute
        assert not any(lab.out.rglob("*.npz"))


def test_table_3_of_a_tiny_world(tmp_path, root):
    with Lab(tmp_path, worlds.SCALE, seeds=2, root=root, jobs=1) as lab:
        section = table3(lab)
        grid = module.searched(lab, "places")
    best = max(grid, key=grid.get)
    (table,) = section.tables
    assert f"λ1 = {best[0]:g}, λ5 = {best[1]:g}" in table.title
    assert [row.about for row in table.lines[:4]] == [
        ("32", "image → speech"),
        ("32", "speech → image"),
        ("32", "image → image"),
        ("32", "speech → speech"),
    ]
    assert [row.printed for row in table.lines[8:]] == ["62.11 / 64.81", "54.21 / 56.00", "–", "–"]
    assert all(len(row.ap.values) == 2 for row in table.lines)
    for row in table.lines:
        most = float(row.more[1].split()[0])
        assert row.tens.mean <= most + 5e-4, "nothing is above a perfect ranking"
    assert section.figures[0].svg.startswith("<svg") and section.figures[0].png.startswith(b"\x89PNG")
    assert [v.where for v in section.verdicts] == ["4.2"] * 3
