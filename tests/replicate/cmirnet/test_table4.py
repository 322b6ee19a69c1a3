"""Table 4: a space of one point, the rules of its verdicts, and the whole experiment on a tiny world."""

import numpy as np
import pytest
import worlds

from cmir_ref.replicate.cmirnet.table4 import (
    ALPHAS,
    SETTINGS,
    alpha,
    at_one_point,
    best_epoch,
    best_verdict,
    collapse_verdict,
    kind,
    pooled,
    state,
    table4,
    tied,
    worse_verdict,
    zero_verdict,
)
from cmir_ref.replicate.lab import Lab
from cmir_ref.reports.replication import Line, Score

ALIVE = {"verdict": "alive: …", "scale": 1.5, "effective_rank": 7.0, "weight_norms": {"a": 4.0, "b": 5.0}}
DEAD = {"verdict": "collapsed: …", "scale": 1e-9, "effective_rank": 0.0, "weight_norms": {"a": 1e-4, "b": 2e-4}}
FAILED = {"failed": "the loss is nan"}


def rows(ap):
    """Rows of one direction: ap(setting, α)."""
    score = lambda v: Score((v,))  # noqa: E731
    return [
        Line((n, str(a), "image → speech"), "–", score(ap(n, a)), score(ap(n, a)), score(0.2))
        for n in SETTINGS
        for a in ALPHAS
    ]


def test_at_one_point_the_order_of_the_gallery_decides():
    gallery = np.repeat([0, 1], [100, 100])
    last, first = at_one_point(np.array([1]), gallery, 10), at_one_point(np.array([0]), gallery, 10)
    assert (last["by_index"], last["zero"]) == (0, 1) and (first["by_index"], first["zero"]) == (1, 0)
    assert last["expected"] == first["expected"] == pytest.approx(0.5)
    assert last["map"] == first["map"] == pytest.approx(0.5, abs=0.02), "chance, whatever the order"


def test_a_state_counts_runs_and_averages_those_that_ended():
    assert state([ALIVE, ALIVE]) == ("alive", "1.5", "7.0", "4")
    assert state([DEAD, ALIVE, FAILED])[0] == "collapsed 1, alive 1, diverged 1"
    assert state([DEAD, ALIVE, FAILED])[2] == "3.5"
    assert state([FAILED]) == ("diverged", "–", "–", "–") and kind(FAILED) == "diverged"


def runs(collapsed):
    """{(world, setting, α): results}; collapsed(setting) at α = 0."""
    return {("places", n, a): [DEAD if a == 0 and collapsed(n) else ALIVE] for n in SETTINGS for a in ALPHAS}


@pytest.mark.parametrize(
    ("collapsed", "verdict"),
    [
        (lambda n: True, "reproduced"),
        (lambda n: False, "not reproduced"),
        (lambda n: n != "default", "depends on λ5"),
        (lambda n: n.startswith("released"), "depends on the reading of eq. 7"),
        (lambda n: n.startswith("norm"), "depends on λ5 and the reading of eq. 7"),
    ],
)
def test_collapse_at_0_says_on_what_it_depends(collapsed, verdict):
    assert collapse_verdict(runs(collapsed)).verdict == verdict


def test_one_collapsed_seed_of_two_is_no_collapse():
    both = {key: [*r, ALIVE] for key, r in runs(lambda n: True).items()}
    assert collapse_verdict(both).verdict == "not reproduced"


def test_the_best_epoch_is_told_beside_the_last():
    found = {"norm, λ5 = 1": [{"scores": [0.2, 0.6, 0.3]}, {"scores": [0.4, 0.2, 0.1]}, FAILED]}
    assert "norm, λ5 = 1 0.500 in epoch 2 of 3, 0.200 in the last" in best_epoch(found)


def test_alphas_are_compared_in_every_reading():
    as_printed = {"places": rows(lambda n, a: {0: 0.2, 1: 0.6, 2: 0.4}[a])}
    level = {"places": rows(lambda n, a: 0.6)}
    upside_down = {"places": rows(lambda n, a: 0.6 if n == "default" else 0.2 * (a + 1))}
    assert (best_verdict(as_printed).verdict, worse_verdict(as_printed).verdict) == ("reproduced", "reproduced")
    assert (best_verdict(level).verdict, worse_verdict(level).verdict) == ("not reproduced", "not reproduced")
    assert (
        best_verdict(upside_down).verdict == "depends on λ5" and worse_verdict(upside_down).verdict == "not reproduced"
    )


def test_zeros_are_a_matter_of_ties():
    def result(by_index):
        one = {"by_index": by_index, "expected": 0.2, "zero": float(by_index == 0), "map": 0.21}
        return {"test": {"a->b": one}, "script": {"a->b": one}}

    there = tied("places", [result(0.0)], "all of the test part", "a->b")
    assert there.printed == "0.00 / 0.00" and there.more == ("0.200", "100%")
    assert zero_verdict({"places": [there]}).verdict.startswith("depends on how ties are broken")
    absent = tied("places", [result(0.1)], "all of the test part", "a->b")
    assert zero_verdict({"places": [absent]}).verdict == "not reproduced"


def test_rows_are_pooled_seed_by_seed():
    made = [
        Line(("n", "0", m), "–", Score((0,)), Score(v), Score((0,))) for m, v in (("x", (0.2, None)), ("y", (0.4, 1)))
    ]
    assert pooled(made).values == (pytest.approx(0.3), None)


def test_the_elementwise_reading_at_0_is_the_norm_reading(tmp_path):
    with Lab(tmp_path, worlds.SCALE, jobs=1) as lab:
        same = [alpha(lab, "places", n, 0, 0) for n in ("element-wise, λ5 = 1", "norm, λ5 = 1")]
        apart = [alpha(lab, "places", n, 1, 0) for n in ("element-wise, λ5 = 1", "norm, λ5 = 1")]
        default = alpha(lab, "places", "default", 2, 0)
    assert same[0] == same[1] and apart[0] != apart[1] and apart[0].weights.regulariser == 1
    assert (default.alpha, default.alpha_reading, default.weights.regulariser) == (2, "norm", 0.001)
    assert default.stage2.keep == "last", "the best epoch would hide a collapse"


def test_table_4_of_a_tiny_world(tmp_path, root):
    with Lab(tmp_path, worlds.SCALE, seeds=1, root=root, jobs=1) as lab:
        section = table4(lab)
        assert len(list((lab.out / "cells").glob("table4.ended-*"))) == 11, "12 rows, two of which are one run"
    retrieval, ties = section.tables
    assert len(retrieval.lines) == 2 * len(SETTINGS) * len(ALPHAS) and len(ties.lines) == 4
    assert [row.printed for row in retrieval.lines[:3]] == ["0.00 / 0.00", "0.00 / 0.00", "62.11 / 64.81"]
    assert {row.more[0] for row in retrieval.lines} <= {"alive", "collapsed", "half collapsed"}
    assert all(row.ap == row.chance for row in ties.lines)
    assert [v.where for v in section.verdicts] == ["4.3"] * 4 and section.figures[0].svg.startswith("<svg")
