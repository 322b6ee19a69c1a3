"""Table 4: a space of one point, the rules of its verdicts, and the whole experiment on a tiny world."""

import numpy as np
import pytest
import worlds

from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.cmirnet.table4 import (
    ALPHAS,
    SETTINGS,
    at_one_point,
    best_epoch,
    collapsed_shares,
    differences,
    line_of_ties,
    settings_of_row,
    state_of,
    state_texts,
    tied_scores,
)
from cmir_ref.replicate.lab import Lab
from cmir_ref.replicate.run import run_experiment

ALIVE = {"state": "alive", "scale": 1.5, "effective_rank": 7.0, "weight_norms": {"a": 4.0, "b": 5.0}}
DEAD = {"state": "collapsed", "scale": 1e-9, "effective_rank": 0.0, "weight_norms": {"a": 1e-4, "b": 2e-4}}
FAILED = {"failed": "the loss is nan"}


def rows(ap):
    """Results of one seed: ap(setting, α)."""
    directions = lambda v: {d: {"map": v, "chance": 0.2} for d in ("a->b", "b->a")}  # noqa: E731
    return {("places", n, a): [ALIVE | {"directions": directions(ap(n, a))}] for n in SETTINGS for a in ALPHAS}


def decide(**numbers):
    """The outcomes of the claims whose numbers are given."""
    claims = {"collapse": {}, "one_is_best": {}, "two_is_worse": {}, "zeros": {}}
    outcomes = dict(zip(claims, (j.outcome for j in judge_claims("table4", **claims | numbers)), strict=True))
    return [outcomes[name] for name in numbers]


def test_at_one_point_the_order_of_the_gallery_decides():
    gallery = np.repeat([0, 1], [100, 100])
    last, first = at_one_point(np.array([1]), gallery, 10), at_one_point(np.array([0]), gallery, 10)
    assert (last["by_index"], last["zero"]) == (0, 1) and (first["by_index"], first["zero"]) == (1, 0)
    assert last["expected"] == first["expected"] == pytest.approx(0.5)
    assert last["map"] == first["map"] == pytest.approx(0.5, abs=0.02), "chance, whatever the order"


def test_a_state_counts_runs_and_averages_those_that_ended():
    assert tuple(state_texts([ALIVE, ALIVE]).values()) == ("alive", "1.5", "7.0", "4")
    assert state_texts([DEAD, ALIVE, FAILED])["state"] == "collapsed 1, alive 1, diverged 1"
    assert state_texts([DEAD, ALIVE, FAILED])["rank"] == "3.5"
    assert tuple(state_texts([FAILED]).values()) == ("diverged", "–", "–", "–") and state_of(FAILED) == "diverged"


def runs(collapsed):
    """{(world, setting, α): results}; collapsed(setting) at α = 0."""
    return {("places", n, a): [DEAD if a == 0 and collapsed(n) else ALIVE] for n in SETTINGS for a in ALPHAS}


@pytest.mark.parametrize(
    ("collapsed", "outcome"),
    [
        (lambda n: True, "reproduced"),
        (lambda n: False, "not reproduced"),
        (lambda n: n != "default", "depends on λ5"),
        (lambda n: n.startswith("released"), "depends on the reading of eq. 7"),
        (lambda n: n.startswith("norm"), "depends on λ5 and the reading of eq. 7"),
    ],
)
def test_collapse_at_0_says_on_what_it_depends(collapsed, outcome):
    assert decide(collapse=collapsed_shares(runs(collapsed))) == [outcome]


def test_one_collapsed_seed_of_two_is_no_collapse():
    both = {key: [*r, ALIVE] for key, r in runs(lambda n: True).items()}
    assert set(collapsed_shares(both).values()) == {0.5}
    assert decide(collapse=collapsed_shares(both)) == ["not reproduced"]


def test_the_best_epoch_is_told_beside_the_last():
    found = best_epoch([{"scores": [0.2, 0.6, 0.3]}, {"scores": [0.4, 0.2, 0.1]}, FAILED])
    assert found == pytest.approx((0.5, 1.5, 3, 0.2)) and best_epoch([FAILED]) is None


def test_alphas_are_compared_in_every_reading():
    def outcomes(ap):
        return decide(one_is_best=differences(rows(ap), 1, 0), two_is_worse=differences(rows(ap), 1, 2))

    assert outcomes(lambda n, a: {0: 0.2, 1: 0.6, 2: 0.4}[a]) == ["reproduced", "reproduced"]
    assert outcomes(lambda n, a: 0.6) == ["not reproduced", "not reproduced"]
    upside_down = outcomes(lambda n, a: 0.6 if n == "default" else 0.2 * (a + 1))
    assert upside_down == ["depends on λ5", "not reproduced"]


def test_zeros_are_a_matter_of_ties():
    def result(by_index):
        one = {"by_index": by_index, "expected": 0.2, "zero": float(by_index == 0), "map": 0.21}
        return {"test": {"a->b": one, "b->a": one}, "script": {"a->b": one, "b->a": one}}

    there = line_of_ties("places", [result(0.0)], "all of the test part", "a->b")
    assert there.printed == "0.00 / 0.00" and {k: s.mean for k, s in there.scores.items()} == {
        "by_index": 0.0,
        "expected": 0.2,
        "map": 0.21,
        "zero": 1.0,
    }
    assert decide(zeros=tied_scores({"places": [result(0.0)]})) == ["depends on how ties are broken"]
    assert decide(zeros=tied_scores({"places": [result(0.1)]})) == ["not reproduced"]


def test_the_elementwise_reading_at_0_is_the_norm_reading(tmp_path):
    with Lab(tmp_path, worlds.SCALE, jobs=1) as lab:
        same = [settings_of_row(lab, "places", n, 0, 0) for n in ("element-wise, λ5 = 1", "norm, λ5 = 1")]
        apart = [settings_of_row(lab, "places", n, 1, 0) for n in ("element-wise, λ5 = 1", "norm, λ5 = 1")]
        default = settings_of_row(lab, "places", "default", 2, 0)
    assert same[0] == same[1] and apart[0] != apart[1] and apart[0].weights.regulariser == 1
    assert (default.alpha, default.alpha_reading, default.weights.regulariser) == (2, "norm", 0.001)
    assert default.stage2.keep == "last", "the best epoch would hide a collapse"


def test_table_4_of_a_tiny_world(tmp_path, root):
    with Lab(tmp_path, worlds.SCALE, seeds=1, root=root, jobs=1) as lab:
        experiment = run_experiment(lab, "table4")
        assert len(list((lab.out / "cells").glob("table4.last_epoch-*"))) == 11, "12 rows, two of which are one run"
    retrieval, ties = (table.lines for table in experiment.tables.values())
    assert len(retrieval) == 2 * len(SETTINGS) * len(ALPHAS) and len(ties) == 4
    assert [row.printed for row in retrieval[:3]] == ["0.00 / 0.00", "0.00 / 0.00", "62.11 / 64.81"]
    assert {row.texts["state"] for row in retrieval} <= {"alive", "collapsed", "half collapsed"}
    assert "- default: 0." in experiment.text and "in epoch 1 of 1" in experiment.text
    assert [j.section for j in experiment.judgements] == ["4.3"] * 4 and experiment.figures[0].svg.startswith("<svg")
