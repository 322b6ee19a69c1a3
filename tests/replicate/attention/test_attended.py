"""The talk's table: its rows, its verdicts, and the whole experiment on a tiny world."""

import numpy as np
import pytest
import worlds
from drawn_worlds import data, overrides

from cmir_ref import runs
from cmir_ref.replicate import lab as labs
from cmir_ref.replicate.attention import attended as module
from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.lab import Lab, Work
from cmir_ref.replicate.run import run_experiment
from cmir_ref.reports.scores import Score


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labs, "load_data", lambda config, root: data())
        tiny = {
            "drawn-places": ("few drawings", tuple(overrides("dataset=scenes"))),
            "drawn": ("more", ("dataset=ucmerced",)),
        }
        patch.setattr(module, "WORLDS_HERE", {"small": tiny})
        with Lab(tmp_path_factory.mktemp("lab"), worlds.SCALE, seeds=2, jobs=1) as lab:
            yield run_experiment(lab, "attended")


def test_every_form_sketch_distance_and_direction_has_a_row(done):
    rows = [line.about for line in done.tables["drawn-places"].lines]
    assert len(rows) == len(set(rows)) == (2 + 3 * 4) * 2 * 2, "real photos are left out without their folder"
    assert {row[1] for row in rows if row[0] == "R2"} == {"mean", "pair", "random", "matched (label leak)"}
    assert {row[1] for row in rows if row[0] in ("CMIR-NET", "self-gate")} == {"–"}


def test_what_stands_in_a_row(done):
    lines = {line.about: line for line in done.tables["drawn-places"].lines}
    none = lines["CMIR-NET", "–", "cosine", "sketch → photo"]
    pair = lines["R1", "pair", "cosine", "sketch → photo"]
    assert none.printed == "73.2 / 75.6" and pair.printed == "75.3 / 78.4"
    assert set(none.scores["lead"].values) == {0}
    expected = [100 * (a - b) for a, b in zip(pair.scores["map"].values, none.scores["map"].values, strict=True)]
    assert pair.scores["lead"].values == pytest.approx(expected)
    assert len(none.scores["map"].values) == 2 and 0 < none.scores["chance"].mean < none.scores["map"].mean + 0.5


def test_a_cell_is_what_a_run_has(done):
    config = module.config_of(type("L", (), {"asked": {}})(), "w", 0, tuple(overrides("dataset=scenes")), "channel")
    made = {}
    run = runs.train(config, data(), made=made)
    cell = module.search_every_way(Work(config, data(), runs.split_data(config, data()), made))
    assert cell["ways"]["mean/cosine"]["b->a"] == runs.evaluate(run)["directions"]["b->a"]
    line = next(x for x in done.tables["drawn-places"].lines if x.about == ("R1", "mean", "cosine", "sketch → photo"))
    assert line.scores["map"].values[0] == cell["ways"]["mean/cosine"]["b->a"]["map"]
    shares = cell["shares"]
    assert sum(shares.values()) == pytest.approx(1)


def test_posteriors_of_perfect_classifiers_find_everything():
    config, world = module.config_of(type("L", (), {"asked": {}})(), "w", 0, tuple(overrides()), "none"), data()
    made = {f"logits.{m}": 30 * np.eye(3)[modality.labels] for m, modality in world.modalities.items()}
    found = module.posteriors(Work(config, world, runs.split_data(config, world), made))
    assert found["a->b"]["map"] == found["b->a"]["map"] == 1


def test_posteriors_find_no_photo_by_what_was_traced_from_it():
    """Classifiers that know each photo but not its class: what they find is the own one, which is left out."""
    config, world = (
        module.config_of(type("L", (), {"asked": {}})(), "w", 0, tuple(overrides()), "none"),
        data(60, apart=True),
    )
    parts = runs.split_data(config, world)
    made = {f"logits.{m}": np.arange(60.0)[:, None] ** [0.5, 1, 1.5] / 60 for m in "ab"}
    found = module.posteriors(Work(config, world, parts, made))
    alone = module.posteriors(Work(config, world._replace(apart=None), parts, made))
    assert all(found[d]["map"] < alone[d]["map"] - 0.05 for d in found)


def test_p_at_50_by_class(done):
    lines = done.tables["drawn-places-classes"].lines
    assert [line.about for line in lines] == [("class0",), ("class1",), ("class2",)]
    assert all(0 < line.scores["photo → sketch"].mean <= 1 for line in lines)


def test_verdicts_are_by_rule(done):
    assert [j.section for j in done.judgements] == ["talk", "talk"]
    assert {j.outcome for j in done.judgements} <= {"reproduced", "not reproduced"} | {
        j.outcome for j in done.judgements if j.outcome.startswith("depends on")
    }
    key = ("w", "R1", "cosine", "sketch → photo")
    for values, outcome in (
        ((2.0, 2.2), "reproduced"),
        ((-1.0, -1.2), "not reproduced"),
        ((3.0, -2.9), "not reproduced"),
    ):
        gain, _ = judge_claims("attended", gain={key: Score(values)}, mean={key: Score(values)})
        assert gain.outcome == outcome


def test_the_text_calls_the_leak_by_its_name(done):
    assert "label leak" in done.text and "few drawings" in done.text and "posteriors" in done.text
