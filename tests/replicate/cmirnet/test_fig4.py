"""The ablation: its cells on made-up features, and the rules of its verdicts on made-up rows."""

import numpy as np
import pytest
import worlds

from cmir_ref.config import load_config
from cmir_ref.data import split_data
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.cmirnet.fig4 import (
    TERMS,
    config_end_to_end,
    fig4,
    points_lost,
    search_z,
    train_end_to_end,
    without,
)
from cmir_ref.replicate.lab import Work
from cmir_ref.replicate.run import text_facts
from cmir_ref.replicate.tables import METRIC_WORDS
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.experiment import render_text


def made_of(outputs):
    """What stage 1 makes, from a pretrainer's outputs for each modality."""
    return {f"{name}.{m}": x for m, o in zip("ab", outputs, strict=True) for name, x in o._asdict().items()}


def work(*changes) -> Work:
    """Features of 60 samples and 24 recordings; Z is the features themselves, cut to 8."""
    data, config = worlds.features(), worlds.config(*changes)
    outputs = tuple(PretrainerOutput(m.x, m.x[:, :8], m.x) for m in data.modalities.values())
    return Work(config, data, split_data(config, data), made_of(outputs))


def test_neighbours_through_the_pairs_find_what_direct_distances_cannot():
    found = search_z(work())
    direct, pairs = (np.mean([m["map"] for m in found[k]["directions"].values()]) for k in ("direct", "pairs"))
    assert pairs > direct + 0.2 and list(found["pairs"]["directions"]) == ["a->b", "b->a"]


def test_end_to_end_shows_a_sample_as_often_as_stage_1_at_its_rate():
    config = worlds.config("stage1.epochs=20", "stage1.lr=0.02", "stage1.batch_size=4", "stage2.epochs=99")
    one, three = config_end_to_end(config, 1.0), config_end_to_end(config, 3.3)
    assert (one.stage2.epochs, three.stage2.epochs) == (20, 6)
    assert one.stages == "end-to-end" and (one.stage2.lr, one.stage2.batch_size) == (0.02, 4)
    assert one.stage2.weight_decay == config.stage1.weight_decay and one.stage1 == config.stage1
    assert config_end_to_end(config, 1e3).stage2.epochs == 1


def test_the_end_to_end_cell_learns_and_says_for_how_long():
    found = train_end_to_end(work("stage1.epochs=30", "stage1.lr=0.02"))
    scores = found["directions"]["a->b"]
    assert found["epochs_joint"] == 30 and scores["map"] > scores["chance"] + 0.1
    assert 1 <= found["epochs"]["stage2"] <= 30


def test_a_left_out_term_has_weight_0_and_nothing_leaves_all():
    assert (
        without("nothing") == {}
        and without("L5") == {"weights": {"reconstruction": 0.0}}
        and without("R") == {"weights": {"regulariser": 0.0}}
    )


def result(tens, ap):
    return {"directions": {"a->b": {"mean_precision_at_tens": tens, "map": ap}}}


def test_points_lost_are_of_the_means_and_a_failed_run_counts_0():
    whole = [result(0.9, 0.8), result(0.7, 0.8)]
    lost = points_lost(whole, [result(0.76, 0.75), {"failed": "nan"}], "a->b")
    assert list(lost) == list(METRIC_WORDS.values()) and list(lost.values()) == pytest.approx([4, 5])
    assert list(points_lost(whole, [{"failed": "nan"}], "a->b").values()) == pytest.approx([80, 80])


def decide(**numbers):
    """The outcomes of the claims on Fig. 4, where all numbers but these are those of nothing lost."""
    cases = {name: {("tiles", "the metric"): 0.0, ("places", "the metric"): 0.0} for name in ("L3", "L2")}
    cases |= {"L5": {("tiles",): 0.0}, "z": {("tiles", "there"): 1.0}, "joint": {("tiles", "there", "metric"): 0.0}}
    return dict(zip(cases, (j.outcome for j in judge_claims("fig4", **cases | numbers)), strict=True))


def test_outcomes_follow_the_points():
    both = [("tiles", "m"), ("places", "m")]
    assert decide(L3=dict.fromkeys(both, 4.5))["L3"] == "reproduced"
    assert decide(L3=dict.fromkeys(both, 10.0))["L3"] == "not reproduced"
    assert decide(L3=dict(zip(both, (4.5, 10.0), strict=True)))["L3"] == "depends on the world"
    assert decide(L2=dict.fromkeys(both, 3.0))["L2"] == "reproduced"
    assert decide(L2=dict.fromkeys(both, 84.0))["L2"] == "not reproduced"
    assert decide(L5={("tiles",): 0.9, ("places",): 0.8})["L5"] == "reproduced"
    assert decide(L5={("tiles",): 0.9, ("places",): 0.1})["L5"] == "depends on the world"
    assert decide(L5={("tiles",): None})["L5"] == "not measured", "all runs failed"
    assert decide(z={("tiles", "there"): 0.13})["z"] == "reproduced"
    assert decide(z={("tiles", "there"): 0.2})["z"] == "not reproduced"
    assert decide(joint={("places", "there", "m"): 4.0})["joint"] == "reproduced"
    assert decide(joint={("places", "there", "m"): -5.0})["joint"] == "not reproduced"


class Fake:
    """A lab whose worlds are all `work`'s."""

    seeds, few, scale, worlds = range(3), range(2), SMALL, ["tiles", "few-tiles", "places", "real"]

    def config(self, world, seed, **settings):
        return load_config("image-speech", worlds.overrides("d_z=8", "stage1.epochs=1", "stage2.epochs=1"), **settings)

    def run(self, cells, name):
        base, known = work(), {}
        for c in cells:
            key = c.function, c.config.model_dump_json()
            known[key] = known.get(key) or self.compute(c, base)
        return [known[c.function, c.config.model_dump_json()] for c in cells]

    def compute(self, cell, base):
        return cell.function(base._replace(config=cell.config))


def test_the_experiment_has_its_tables_bars_and_outcomes():
    lab = Fake()
    experiment = fig4(lab)
    terms, spaces, stages = (table.lines for table in experiment.tables.values())
    assert len(terms) == 3 * 2 * len(TERMS) and {r.about[2] for r in terms} == set(TERMS)
    assert {len(r.scores["map"].values) for r in terms} == {2}, "the first two seeds"
    assert len(spaces) == 18 and spaces[0].printed == "< 15" and len(stages) == 8
    assert [f.name for f in experiment.figures] == ["fig4-tiles", "fig4-places", "fig4-real"]
    assert len(experiment.judgements) == 5 and all(f.png[:4] == b"\x89PNG" for f in experiment.figures)
    assert terms[0].printed == "99.05" and "weights.alignment=0.0" in terms[1].command
    text = " ".join(render_text("fig4", text_facts(lab, experiment)).split())
    assert "Seeds: the first 2." in text and "is 64.81, which Table 3 has as P@10 (its mAP is 62.11)" in text
    assert "are 4.1 there if both bars are P@10, and 1.4 if" in text


def test_a_failed_end_to_end_run_has_a_row_all_the_same():
    class Failing(Fake):
        def compute(self, cell, base):
            failed = {"failed": "nan", "epochs_joint": 6}
            return failed if cell.function is train_end_to_end else super().compute(cell, base)

    row = next(r for r in fig4(Failing()).tables["stages"].lines if r.about[2] == "end to end")
    assert row.scores["map"].mean is None and row.texts == {"samples": "6 of pairs", "z": "–"}
    assert "stages=end-to-end" in row.command
