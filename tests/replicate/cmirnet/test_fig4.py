"""The ablation: its cells on made-up features, and the rules of its verdicts on made-up rows."""

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.config import load_config
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.replicate.cmirnet.fig4 import (
    TERMS,
    agreed,
    alignment_remark,
    alignment_verdict,
    bars,
    classifier_verdict,
    cost,
    decoder_verdict,
    end_to_end,
    fig4,
    in_z,
    joined,
    joint_verdict,
    mixed_remark,
    smallest_remark,
    stage_lines,
    without,
    z_verdict,
)
from cmir_ref.replicate.lab import Work, space
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.replication import Line, Score


def work(*changes) -> Work:
    """Features of 60 samples and 24 recordings; Z is the features themselves, cut to 8."""
    data, config = worlds.features(), worlds.config(*changes)
    outputs = tuple(PretrainerOutput(m.x, m.x[:, :8], m.x) for m in data.modalities)
    return Work(config, data, runs.parts_of(config, data), outputs)


def test_neighbours_through_the_pairs_find_what_direct_distances_cannot():
    found = in_z(work())
    direct, pairs = (np.mean([m["map"] for m in found[k]["directions"].values()]) for k in ("direct", "pairs"))
    assert pairs > direct + 0.2 and list(found["pairs"]["directions"]) == ["a->b", "b->a"]


def test_end_to_end_shows_a_sample_as_often_as_stage_1_at_its_rate():
    config = worlds.config("stage1.epochs=20", "stage1.lr=0.02", "stage1.batch_size=4", "stage2.epochs=99")
    one, three = joined(config, 1.0), joined(config, 3.3)
    assert (one.stage2.epochs, three.stage2.epochs) == (20, 6)
    assert one.stages == "end-to-end" and (one.stage2.lr, one.stage2.batch_size) == (0.02, 4)
    assert one.stage2.weight_decay == config.stage1.weight_decay and one.stage1 == config.stage1
    assert joined(config, 1e3).stage2.epochs == 1


def test_the_end_to_end_cell_learns_and_says_for_how_long():
    found = end_to_end(work("stage1.epochs=30", "stage1.lr=0.02"))
    scores = found["directions"]["a->b"]
    assert found["epochs_joint"] == 30 and scores["map"] > scores["chance"] + 0.1
    assert 1 <= found["epochs"]["stage2"] <= 30


def test_a_left_out_term_has_weight_0_and_nothing_leaves_all():
    assert (
        without("nothing") == {}
        and without("L5") == {"weights": {"reconstruction": 0.0}}
        and without("R") == {"weights": {"regulariser": 0.0}}
    )


def made(tens, about=("tiles", "PAN → MUL", "x"), printed="–", chance=0.125):
    one = Score((tens,))
    return Line(about, printed, one, one, Score((chance,)), (f"{tens or 0:.3f}", "0%"))


def rows(**figures):
    """Both worlds alike: everything at 0.90 unless a term says otherwise."""
    return {
        (w, t, d): made(figures.get(t, 0.9), (w, d, t), "99.05" if t == "nothing" else "–")
        for w in ("tiles", "places")
        for t in TERMS
        for d in ("a->b", "b->a")
    }


WORLDS = ["tiles", "places"]


def test_costs_are_points_and_a_failed_run_costs_everything():
    assert cost(made(0.9), made(0.86)) == pytest.approx(4) and cost(made(0.9), made(None)) == pytest.approx(90)


@pytest.mark.parametrize(
    ("held", "verdict"),
    [((1, 1), "reproduced"), ((0, 0), "not reproduced"), ((1, 0), "depends on the world or the metric")],
)
def test_a_claim_holds_everywhere_nowhere_or_depends(held, verdict):
    assert agreed(dict(zip(WORLDS, map(bool, held), strict=True))) == verdict


def test_verdicts_follow_the_points():
    assert classifier_verdict(rows(L3=0.855), WORLDS).verdict == "reproduced"
    assert classifier_verdict(rows(L3=0.8), WORLDS).verdict == "not reproduced"
    far = {k: r._replace(ap=Score((0.5,))) if k[1] == "L3" else r for k, r in rows(L3=0.855).items()}
    assert classifier_verdict(far, WORLDS).verdict == "depends on the world or the metric"
    assert alignment_verdict(rows(L2=0.87), WORLDS).verdict == "reproduced"
    assert alignment_verdict(rows(L2=0.06), WORLDS).verdict == "not reproduced"
    assert decoder_verdict(rows(), {"tiles": [0.9], "places": [0.8]}, WORLDS).verdict == "reproduced"
    assert decoder_verdict(rows(), {"tiles": [0.9], "places": [0.1]}, WORLDS).verdict == "depends on the world"
    assert z_verdict({("tiles", "a->b"): made(0.13)}).verdict == "reproduced"
    assert z_verdict({("tiles", "a->b"): made(0.2)}).verdict == "not reproduced"
    assert joint_verdict({("places", "a->b"): (made(0.9), made(0.86))}).verdict == "reproduced"
    assert joint_verdict({("places", "a->b"): (made(0.9), made(0.95))}).verdict == "not reproduced"


def test_remarks_say_which_of_text_and_bar_the_numbers_support():
    spaces = {(w, "a->b"): (made(0.13),) for w in WORLDS}
    assert alignment_remark(rows(L2=0.89), spaces, WORLDS).count("support the text") == 2
    assert alignment_remark(rows(L2=0.1), spaces, WORLDS).count("support the bar") == 2
    assert alignment_remark(rows(L2=0.5), spaces, WORLDS).count("support neither") == 2
    text = mixed_remark(rows(L3=0.85), WORLDS)
    assert (
        "64.81, which Table 3 has as P@10" in text
        and "are 4.1 there" in text
        and "1.4 if" in text
        and "+5.0 points" in text
    )
    assert "Most is lost without L3, least without L2" in smallest_remark(rows(L3=0.5), "tiles")


def test_a_failed_end_to_end_run_has_a_row_all_the_same():
    _, one = stage_lines("places", "a->b", [], [{"failed": "nan", "epochs_joint": 6}], worlds.config())
    assert one.tens.mean is None and one.more == ("6 of pairs", "–", "–") and "stages=end-to-end" in one.command


def test_the_bars_are_drawn():
    found = rows(L3=0.8)
    assert bars("x", {w: {t: found[w, t, "a->b"] for t in TERMS} for w in WORLDS}).png[:4] == b"\x89PNG"


class Fake:
    """A lab whose worlds are all `work`'s."""

    seeds, few, scale, worlds = range(3), range(2), SMALL, ["tiles", "few-tiles", "places", "real"]

    def config(self, world, seed, **settings):
        return load_config("image-speech", worlds.overrides("stage1.epochs=1", "stage2.epochs=1"), **settings)

    def run(self, cells, name):
        base = work()
        return [c.function(base._replace(config=c.config)) for c in cells]

    def spaces(self, configs, name):
        base, known = work(), {}
        for c in configs:
            known[c.model_dump_json()] = known.get(c.model_dump_json()) or space(base._replace(config=c))
        return [known[c.model_dump_json()] for c in configs]


def test_the_section_has_its_tables_bars_and_verdicts():
    section = fig4(Fake())
    terms, spaces, stages = section.tables
    assert len(terms.lines) == 3 * 2 * len(TERMS) and {r.about[2] for r in terms.lines} == set(TERMS)
    assert {len(r.ap.values) for r in terms.lines} == {2}, "the first two seeds"
    assert len(spaces.lines) == 18 and spaces.lines[0].printed == "< 15" and len(stages.lines) == 8
    assert len(section.figures) == 1 and len(section.verdicts) == 5 and "Seeds: the first 2." in section.lead
    assert terms.lines[0].printed == "99.05" and "weights.alignment=0.0" in terms.lines[1].command
