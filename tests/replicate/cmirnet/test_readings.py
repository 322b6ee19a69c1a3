"""The three readings: alike in what they are asked, apart in how they train; what explains the difference."""

import pytest
import worlds

from cmir_ref.config import load_config, to_toml
from cmir_ref.replicate.cmirnet.readings import (
    CHANGES,
    DEFAULT,
    PAPER,
    READINGS,
    STAGE1,
    STAGE2,
    STEPS,
    ap,
    between,
    matters,
    own_way,
    reading,
    readings,
    row,
    towards,
    works,
)
from cmir_ref.replicate.lab import Lab, stage1_config
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.replication import Line, Score


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path / "out", SMALL, jobs=1) as one:
        yield one


@pytest.mark.parametrize("world", ["few-tiles", "places"])
def test_readings_share_their_split(lab, world):
    configs = [reading(lab, world, name, 3) for name in READINGS.values()]
    same = ("dataset", "scenes", "test_share", "validation_share", "seed", "speech")
    assert all(getattr(c, name) == getattr(configs[-1], name) for c in configs for name in same)
    assert {c.protocol for c in configs[:2]} == {"voices" if world == "places" else "paper"}
    assert [c.alpha_reading for c in configs[::2]] == ["elementwise", "norm"]
    assert configs[-1] == lab.config(world, 3), "the default's cells and features serve other experiments too"


def test_a_change_takes_its_settings_from_the_default_and_no_others(lab):
    paper, default = (reading(lab, "places", name, 0) for name in ("paper", ""))
    one = towards(paper, default, ("weights.regulariser",))
    assert one.weights.regulariser == default.weights.regulariser != paper.weights.regulariser
    assert (
        one.model_copy(update={"weights": paper.weights}) == paper and one.weights.alignment == paper.weights.alignment
    )
    faster = towards(paper, default, ("stage2.lr", "d_v"))
    assert (faster.stage2.lr, faster.d_v) == (default.stage2.lr, 64) and faster.stage2.epochs == paper.stage2.epochs


@pytest.mark.parametrize("world", ["few-tiles", "places"])
def test_between_the_readings_stages_are_exchanged(lab, world):
    paper, default = (reading(lab, world, name, 0) for name in ("paper", ""))
    steps = between(paper, default)
    assert (PAPER, *steps, DEFAULT) == STEPS
    for place in (0, 1):
        learned = {n: stage1_config(c, place) for n, c in steps.items()}
        assert learned.pop(STAGE2) == stage1_config(paper, place)
        assert set(map(to_toml, learned.values())) == {to_toml(stage1_config(default, place))}, "no new stage 1"
    for names in CHANGES.values():
        assert towards(steps[STAGE2], default, names) == steps[STAGE2], "stage 2 is the default's already"
        assert towards(steps[STAGE1], paper, names) == steps[STAGE1], "… and the paper's"
    assert len({to_toml(c) for c in steps.values()}) == len(steps), "each change changes something"


def lines(ap, chance=0.2, what="alive"):
    more = ("–", "–", what, "–")
    return [Line(("", m), "–", Score((ap,)), Score((ap,)), Score((chance,)), more) for m in ("there", "back")]


@pytest.mark.parametrize(("paper", "verdict"), [(0.49, "not reproduced"), (0.51, "reproduced")])
def test_a_reading_works_from_half_the_way_to_the_default(paper, verdict):
    all_lines = {("places", PAPER): lines(paper), ("places", DEFAULT): lines(0.8)}
    assert works(PAPER, {"places": all_lines["places", PAPER]}, all_lines).verdict == verdict


def test_a_reading_that_diverged_does_not_work():
    lost = [
        Line(("", m), "–", Score((None,)), Score((None,)), Score((None,)), ("–", "–", "diverged", "–")) for m in "ab"
    ]
    all_lines = {("places", PAPER): lost, ("places", DEFAULT): lines(0.8)}
    said = works(PAPER, {"places": lost}, all_lines)
    assert said.verdict == "not reproduced" and "diverged" in said.because and ap(lost) == 0
    shown = row("places", PAPER, "a->b", [{"failed": "nan", "stage1": [0.5, None]}], load_config("image-speech"))
    assert str(shown.ap) == "–" and shown.more[2:] == ("diverged", "–", "0.500 and –")
    assert "diverged in every run" in own_way("places", [{"failed": "nan"}])


def test_the_stage_and_the_setting_that_matter_are_named():
    found = {PAPER: 0.2, STAGE2: 0.26, STAGE1: 0.4, **dict.fromkeys(CHANGES, 0.45), DEFAULT: 0.8}
    said = matters("places", found)
    assert "stage 1 alone goes 33% of the way; the default's stage 2 alone goes 10%" in said
    assert "no single setting explains the rest" in said
    said = matters("places", found | {f"{STAGE1}, and λ5": 0.7})
    assert "λ5 matters most" in said and "λ5 75%" in said
    assert "Nothing is left" in matters("places", found | {STAGE1: 0.795})
    assert "nothing is to be explained" in matters("places", found | {DEFAULT: 0.1})


def test_readings_of_a_tiny_world(tmp_path, root):
    with Lab(tmp_path, worlds.SCALE, seeds=1, root=root, jobs=1) as lab:
        section = readings(lab)
    apart, path = section.tables
    assert [r.about[0] for r in apart.lines[::4]] == list(READINGS) and len(path.lines) == 2 * len(STEPS)
    chances = {r.about: r.chance.mean for r in apart.lines}
    assert len({chances[n, "image → speech"] for n in READINGS}) == 1, "all are asked the same"
    default = {r.about[1]: r for r in apart.lines if r.about[0] == DEFAULT}
    for r in default.values():
        assert r.more[:2] == (str(r.tens), str(r.ap)), "the default's own way is the common one"
    assert not any("distance=released" in r.command or "gallery=all" in r.command for r in apart.lines)
    released = next(r for r in apart.lines if r.about == ("the released code", "image → image"))
    assert released.more[1] != str(released.ap), "all samples and another distance"
    assert path.lines[0].ap == apart.lines[0].ap and path.lines[-2].ap == default["image → speech"].ap
    assert len(section.verdicts) == 2 and section.figures[0].svg.startswith("<svg")
