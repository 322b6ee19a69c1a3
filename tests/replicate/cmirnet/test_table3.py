"""Table 3: the grid, the rules of its verdicts, and the whole experiment on a tiny world."""

import pytest
import worlds

from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.cmirnet import table3 as module
from cmir_ref.replicate.cmirnet.table3 import LAMBDA1, LAMBDA5, points_below_tiles
from cmir_ref.replicate.lab import Lab
from cmir_ref.replicate.run import run_experiment
from cmir_ref.replicate.tables import best, most_possible
from cmir_ref.replicate.worlds import Scale, World


def decide(**numbers):
    """The outcome of the claim whose numbers are given."""
    claims = {"width": {}, "grid": {}, "harder": {}}
    outcomes = dict(zip(claims, (j.outcome for j in judge_claims("table3", **claims | numbers)), strict=True))
    return outcomes[next(iter(numbers))]


def test_a_perfect_ranking_has_what_the_relevant_items_allow():
    assert most_possible([50], 100) == 1
    assert most_possible([10, 0], 100) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    assert most_possible([10], 20) == pytest.approx((1 + 4 * 1 / 2) / 5), "cutoffs end with the gallery"
    assert most_possible([40], 100, (50,)) == 0.8


@pytest.mark.parametrize(
    ("leads", "outcome"),
    [
        ({("places", "32"): 0.12, ("places", "64"): 0.02}, "reproduced"),
        ({("places", "32"): 0.105, ("places", "64"): 0.005}, "not reproduced"),
        ({("places", "32"): -0.08, ("places", "64"): 0.02}, "not reproduced"),
        (
            {("places", "32"): 0.2, ("places", "64"): 0.1, ("real", "32"): 0, ("real", "64"): -0.1},
            "depends on the world",
        ),
    ],
)
def test_128_is_best_only_clearly_above_both_others(leads, outcome):
    assert decide(width=leads) == outcome


def test_the_papers_pair_holds_where_nothing_clearly_better_is_in_the_grid():
    assert decide(grid={("places",): 0.0}) == decide(grid={("places",): -0.01}) == "reproduced"
    assert decide(grid={("places",): -0.3}) == "not reproduced"


def spaces(ap, tens):
    metrics = {"map": ap, "mean_precision_at_tens": tens}
    return [{"directions": {"a->b": metrics, "b->a": metrics}}]


def test_far_below_the_tiles_may_depend_on_the_metric():
    tiles = spaces(0.95, 0.95)
    assert decide(harder=points_below_tiles({"places": spaces(0.5, 0.4)}, tiles)) == "reproduced"
    assert decide(harder=points_below_tiles({"places": spaces(0.85, 0.4)}, tiles)) == "depends on the metric"
    assert decide(harder=points_below_tiles({"places": spaces(0.9, 0.9)}, tiles)) == "not reproduced"
    failed = points_below_tiles({"places": [{"failed": "nan"}]}, tiles)
    assert set(failed.values()) == {95.0} and decide(harder={}) == "not measured"


def test_tiles_are_never_trained_for_table_3(tmp_path):
    tiles = World("few", ("dataset=scenes", "scenes=16"), worlds.SHORT)
    with Lab(tmp_path, Scale("t", {"tiles": tiles}, ""), jobs=1) as lab:
        assert module.results_of_tiles(lab) is None and lab.compute
        assert not any(lab.out.rglob("*.npz"))


def test_table_3_of_a_tiny_world(tmp_path, root):
    with Lab(tmp_path, worlds.SCALE, seeds=2, root=root, jobs=1) as lab:
        experiment = run_experiment(lab, "table3")
        grid = module.search_grid(lab, "places")
    l1, r = best(grid)
    assert list(grid) == [(x, y) for x in LAMBDA1 for y in LAMBDA5]
    assert f"## places: Few places; λ1 = {l1:g}, λ5 = {r:g}\n" in experiment.text
    (table,) = experiment.tables.values()
    ways = ["image → speech", "speech → image", "image → image", "speech → speech"]
    assert [row.about for row in table.lines[:4]] == [("32", way) for way in ways]
    assert [row.printed for row in table.lines[8:]] == ["62.11 / 64.81", "54.21 / 56.00", "–", "–"]
    for row in table.lines:
        tens, most = row.scores["mean_precision_at_tens"], row.scores["most"]
        assert len(tens.values) == len(most.values) == 2
        assert all(x <= y + 1e-12 for x, y in zip(tens.values, most.values, strict=True)), "a perfect ranking has more"
        ten_tens, most_ten = row.scores["mean_precision_at_ten_tens"], row.scores["most_ten"]
        assert all(x <= y + 1e-12 for x, y in zip(ten_tens.values, most_ten.values, strict=True))
        assert all(x < y for x, y in zip(most_ten.values, most.values, strict=True)), "few items are relevant"
    assert {"mean_precision_at_ten_tens", "most_ten"} <= table.columns.keys(), "as the released scripts for speech"
    assert experiment.figures[0].svg.startswith("<svg") and experiment.figures[0].png.startswith(b"\x89PNG")
    assert [j.section for j in experiment.judgements] == ["4.2"] * 3
    assert experiment.judgements[2].outcome == "not measured", "there are no tiles"
