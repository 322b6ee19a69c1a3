"""The three readings: alike in what they are asked, apart in how they train; what explains the difference."""

import pytest
import worlds

from cmir_ref.config import to_toml
from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.cmirnet.readings import (
    CHANGES,
    DEFAULT,
    PAPER,
    READINGS,
    STAGE1,
    STAGE2,
    STEPS,
    line_of,
    precision,
    reading_config,
    replace_settings,
    share_of_way,
    shares_of_way,
    steps_between,
)
from cmir_ref.replicate.lab import Lab, kept_stages, settings_seen
from cmir_ref.replicate.run import run_experiment
from cmir_ref.replicate.worlds import SMALL


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path / "out", SMALL, jobs=1) as one:
        yield one


@pytest.mark.parametrize("world", ["few-tiles", "places"])
def test_readings_share_their_split(lab, world):
    configs = [reading_config(lab, world, name, 3) for name in READINGS.values()]
    same = ("dataset", "scenes", "test_share", "validation_share", "seed", "speech")
    assert all(getattr(c, name) == getattr(configs[-1], name) for c in configs for name in same)
    assert {c.protocol for c in configs[:2]} == {"voices" if world == "places" else "paper"}
    assert [c.alpha_reading for c in configs[::2]] == ["elementwise", "norm"]
    assert configs[-1] == lab.config(world, 3), "the default's cells and features serve other experiments too"


def test_a_change_takes_its_settings_from_the_default_and_no_others(lab):
    paper, default = (reading_config(lab, "places", name, 0) for name in ("paper", ""))
    one = replace_settings(paper, default, ("weights.regulariser",))
    assert one.weights.regulariser == default.weights.regulariser != paper.weights.regulariser
    assert (
        one.model_copy(update={"weights": paper.weights}) == paper and one.weights.alignment == paper.weights.alignment
    )
    faster = replace_settings(paper, default, ("stage2.lr", "d_v"))
    assert (faster.stage2.lr, faster.d_v) == (default.stage2.lr, 64) and faster.stage2.epochs == paper.stage2.epochs


@pytest.mark.parametrize("world", ["few-tiles", "places"])
def test_between_the_readings_stages_are_exchanged(lab, world):
    paper, default = (reading_config(lab, world, name, 0) for name in ("paper", ""))
    steps = steps_between(paper, default)
    assert (PAPER, *steps, DEFAULT) == STEPS
    for stage in kept_stages(default):
        learned = {n: settings_seen(c, stage) for n, c in steps.items()}
        assert learned.pop(STAGE2) == settings_seen(paper, stage)
        assert set(map(to_toml, learned.values())) == {to_toml(settings_seen(default, stage))}, "no new stage 1"
    for names in CHANGES.values():
        assert replace_settings(steps[STAGE2], default, names) == steps[STAGE2], "stage 2 is the default's already"
        assert replace_settings(steps[STAGE1], paper, names) == steps[STAGE1], "… and the paper's"
    assert len({to_toml(c) for c in steps.values()}) == len(steps), "each change changes something"


def results(ap, chance=0.2):
    one = {"map": ap, "mean_precision_at_tens": ap, "chance": chance}
    return [{"directions": {"a->b": one, "b->a": one}}]


LOST = [{"failed": "nan", "stage1": [0.5, None]}]


def decide(paper, default=0.8):
    rows = {("places", PAPER): paper, ("places", "the released code"): results(0.2)}
    rows["places", DEFAULT] = results(default)
    return judge_claims("readings", text=share_of_way(rows, PAPER), code=share_of_way(rows, "the released code"))


@pytest.mark.parametrize(("paper", "outcome"), [(0.49, "not reproduced"), (0.51, "reproduced")])
def test_a_reading_works_from_half_the_way_to_the_default(paper, outcome):
    text, code = decide(results(paper))
    assert text.outcome == outcome and code.outcome == "not reproduced" and code.numbers == "places 0%"


def test_without_a_way_nothing_is_measured():
    assert decide(results(0.2), default=0.2)[0].outcome == "not measured"


def test_a_reading_that_diverged_does_not_work():
    assert decide(LOST)[0].outcome == "not reproduced" and precision(LOST) == 0
    row = line_of("places", "the paper's text", "a->b", LOST, "train")
    assert row.scores["map"].mean is None and row.texts["state"] == "diverged" and row.texts["rank"] == "–"
    assert [str(row.scores[f"labels {m}"]) for m in "ab"] == ["0.500", "–"]


def test_how_far_each_step_goes():
    ap = {PAPER: 0.2, STAGE2: 0.26, STAGE1: 0.4, **dict.fromkeys(CHANGES, 0.5), DEFAULT: 0.8}
    shares = shares_of_way(ap)
    assert list(shares) == [STAGE2, STAGE1, *CHANGES]
    assert (shares[STAGE2], shares[STAGE1], shares[f"{STAGE1}, and λ5"]) == pytest.approx((0.1, 1 / 3, 0.5))
    assert shares_of_way(ap | {DEFAULT: 0.1}) == {}


def test_readings_of_a_tiny_world(tmp_path, root):
    with Lab(tmp_path, worlds.SCALE, seeds=1, root=root, jobs=1) as lab:
        experiment = run_experiment(lab, "readings")
    apart, path = (table.lines for table in experiment.tables.values())
    assert [r.about[0] for r in apart[::4]] == list(READINGS) and len(path) == 2 * len(STEPS)
    chances = {r.about: r.scores["chance"].mean for r in apart}
    assert len({chances[n, "image → speech"] for n in READINGS}) == 1, "all are asked the same"
    for r in apart:
        own = r.scores["tens in its way"], r.scores["map in its way"]
        same = own == (r.scores["mean_precision_at_tens"], r.scores["map"])
        assert same or r.about[0] != DEFAULT, "the default's own way is the common one"
        assert not same or r.about != ("the released code", "image → image"), "all samples and another distance"
        assert "distance=released" not in r.command and "gallery=all" not in r.command
    default = next(r for r in apart if r.about == (DEFAULT, "image → speech"))
    assert path[0].scores == apart[0].scores and path[-2].scores["map"] == default.scores["map"]
    assert len(experiment.judgements) == 2 and experiment.figures[0].svg.startswith("<svg")
    assert "the default's stage 2: " in experiment.text or "nothing is to be explained" in experiment.text
