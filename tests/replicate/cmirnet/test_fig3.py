"""Fig. 3: rows by class, chance and bound of precision at 50, and the rule that decides."""

import pytest

from cmir_ref.cmirnet import published
from cmir_ref.config import load_config
from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.cmirnet import fig3, table1
from cmir_ref.replicate.run import text_facts
from cmir_ref.replicate.tables import train_command
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.experiment import render_text

CLASSES = tuple(published.FIG3)


def direction(p50, size):
    return {"per_class": {name: {"map": 0.5, "p@10": 1.0, "p@50": p50, "queries": size} for name in CLASSES}}


def result(forth=0.99, back=0.98, a=100, b=100, validation=0.5):
    """A run with `a` items a class in PAN's test part and `b` in MUL's."""
    directions = {"a->b": direction(forth, a), "b->a": direction(back, b)}
    return {"directions": directions, "validation": {"a->a": validation, "b->b": validation}}


def decide(*results):
    lines = [fig3.row_of_class(results, name, d) for d in fig3.CROSS for name in CLASSES]
    (judgement,) = judge_claims("fig3", classes=fig3.reachable(lines))
    return judgement


def test_a_row_has_the_printed_and_the_measured_figures():
    line = fig3.row_of_class([result(0.5), result(0.7)], "cloud", "a->b", "train")
    assert line.about == ("PAN → MUL", "cloud") and line.printed == "99.8" and line.command == "train"
    assert line.scores["p@50"].mean == pytest.approx(0.6) and line.scores["p@50"].sd == pytest.approx(0.1414, abs=1e-4)
    assert fig3.row_of_class([result(0.5, back=0.3)], "cloud", "b->a").scores["p@50"].mean == 0.3
    assert fig3.row_of_class([result()], "cloud", "b->a").printed == "99.9"


def test_chance_is_the_share_of_the_class_in_the_gallery():
    assert fig3.row_of_class([result()], "river", "a->b").scores["chance"].mean == 1 / 8
    uneven = result()
    uneven["directions"]["b->a"]["per_class"]["river"]["queries"] = 300  # of 1000 in MUL's test part
    assert fig3.row_of_class([uneven], "river", "a->b").scores["chance"].mean == 0.3
    assert fig3.row_of_class([uneven], "river", "b->a").scores["chance"].mean == 1 / 8


@pytest.mark.parametrize("size, most", [(100, 1.0), (50, 1.0), (40, 0.8), (3, 0.125)])  # 8 · 3 = 24 items in all
def test_a_small_class_bounds_precision_at_50(size, most):
    def of(results, direction):
        return fig3.row_of_class(results, "river", direction).scores["most"].values

    assert of([result(b=size)], "a->b") == (most,)
    assert of([result(b=size)], "b->a") == (1.0,), "there the gallery is PAN"
    assert of([result(), result(b=size)], "a->b") == (1.0, most)


def test_a_failed_run_and_an_absent_class_leave_no_figure():
    line = fig3.row_of_class([result(0.5), {"failed": "nan"}], "river", "a->b")
    assert line.scores["p@50"].values == (0.5, None) and line.scores["chance"].values == (1 / 8, None)
    without = result()
    del without["directions"]["a->b"]["per_class"]["river"]
    assert fig3.row_of_class([without], "river", "a->b").scores["p@50"].mean is None


@pytest.mark.parametrize(
    "results, expected",
    [
        ([result(0.99, 0.98)], "reproduced"),
        ([result(0.99, 0.96)], "not reproduced"),
        ([result(0.99, 0.97)], "not reproduced"),
        ([result(0.99, 0.96), result(0.99, 0.99)], "reproduced"),  # their mean
        ([result(0.8, 0.8, 40, 40)], "not measured"),
        ([result(0.99, 0.98), result(0.99, 0.98, 40, 40)], "not measured"),  # too small in one seed
        ([{"failed": "nan"}], "not measured"),
    ],
)
def test_the_outcome(results, expected):
    assert decide(*results).outcome == expected


class Kept:
    """A lab with a made-up result for every setting, the better validated the nearer λ5 is to `best`."""

    scale, seeds, few = SMALL, range(2), range(2)

    def __init__(self, best):
        self.best, self.asked = best, []

    def config(self, world, seed, reading="", **settings):
        return load_config(*self.scale.preset(world, reading), seed=seed, **settings)

    def run(self, cells, name):
        self.asked += [cell.config for cell in cells]
        weights = [cell.config.weights.regulariser for cell in cells]
        return [result(w, 0.9, validation=1 if w == self.best else 0.2) for w in weights]


@pytest.mark.parametrize("best", table1.LAMBDA5)
def test_the_spaces_are_those_that_table_1_chooses(best):
    lab, first = Kept(best), Kept(best)
    experiment = fig3.fig3(lab)
    table1.spaces_of_table1(first)
    assert all(config in first.asked for config in lab.asked) and {c.d_v for c in lab.asked} == {64}
    forth = [line for line in experiment.tables["classes"].lines if line.about[0] == "PAN → MUL"]
    assert len(forth) == 8 and all(line.scores["p@50"].mean == pytest.approx(best) for line in forth)
    expected = train_command(lab.config("tiles", 0, weights={"regulariser": best}))
    assert forth[0].command == expected and f"λ5 = {best:g}" in render_text("fig3", text_facts(lab, experiment))
    assert experiment.figures[0].svg.startswith("<svg") and experiment.figures[0].png.startswith(b"\x89PNG")
