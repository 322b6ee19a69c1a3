"""Fig. 3: rows by class, chance and bound of precision at 50, and the rule that decides."""

import pytest

from cmir_ref.cmirnet import published
from cmir_ref.config import load_config
from cmir_ref.replicate.cmirnet import fig3, table1
from cmir_ref.replicate.tables import train_command
from cmir_ref.replicate.worlds import SMALL

CLASSES = tuple(published.FIG3)


def direction(p50, size):
    return {"per_class": {name: {"map": 0.5, "p@10": 1.0, "p@50": p50, "queries": size} for name in CLASSES}}


def result(forth=0.99, back=0.98, a=100, b=100, validation=0.5):
    """A run with `a` items a class in PAN's test part and `b` in MUL's."""
    directions = {"a->b": direction(forth, a), "b->a": direction(back, b)}
    return {"directions": directions, "validation": {"a->a": validation, "b->b": validation}}


def rows(*results):
    lines = [fig3.row(results, name, d) for d in fig3.DIRECTIONS for name in CLASSES]
    reach = {fig3.row(results, n, d).about: fig3.bound(results, n, d) for d in fig3.DIRECTIONS for n in CLASSES}
    return lines, reach


def test_a_row_has_the_printed_and_the_measured_figures():
    line = fig3.row([result(0.5), result(0.7)], "cloud", "a->b", "train")
    assert line.about == ("PAN → MUL", "cloud") and line.printed == "99.8" and line.command == "train"
    assert line.tens.mean == pytest.approx(0.6) and line.tens.sd == pytest.approx(0.1414, abs=1e-4)
    assert fig3.row([result(0.5, back=0.3)], "cloud", "b->a").tens.mean == 0.3
    assert fig3.row([result()], "cloud", "b->a").printed == "99.9"


def test_chance_is_the_share_of_the_class_in_the_gallery():
    assert fig3.row([result()], "river", "a->b").chance.mean == 1 / 8
    uneven = result()
    uneven["directions"]["b->a"]["per_class"]["river"]["queries"] = 300  # of 1000 in MUL's test part
    assert fig3.row([uneven], "river", "a->b").chance.mean == 0.3
    assert fig3.row([uneven], "river", "b->a").chance.mean == 1 / 8


@pytest.mark.parametrize("size, most", [(100, 1.0), (50, 1.0), (40, 0.8), (3, 0.125)])  # 8 · 3 = 24 items in all
def test_a_small_class_bounds_precision_at_50(size, most):
    assert fig3.bound([result(b=size)], "river", "a->b") == most
    assert fig3.bound([result(b=size)], "river", "b->a") == 1.0, "there the gallery is PAN"
    assert fig3.bound([result(), result(b=size)], "river", "a->b") == most, "the seed where it is smallest"


def test_a_failed_run_and_an_absent_class_leave_no_figure():
    line = fig3.row([result(0.5), {"failed": "nan"}], "river", "a->b")
    assert line.tens.values == (0.5, None) and line.chance.values == (1 / 8, None)
    without = result()
    del without["directions"]["a->b"]["per_class"]["river"]
    assert fig3.row([without], "river", "a->b").tens.mean is None


@pytest.mark.parametrize(
    "results, expected",
    [
        ([result(0.99, 0.98)], "reproduced"),
        ([result(0.99, 0.96)], "not reproduced"),
        ([result(0.99, 0.97)], "not reproduced"),
        ([result(0.99, 0.96), result(0.99, 0.99)], "reproduced"),  # their mean
        ([result(0.8, 0.8, 40, 40)], "not tested"),
        ([{"failed": "nan"}], "not tested"),
    ],
)
def test_the_verdict(results, expected):
    assert fig3.verdict(*rows(*results)).verdict.split(":")[0] == expected


def test_remarks():
    said = fig3.remarks(*rows(result(0.9, 0.4)))
    assert "from 0.400 (MUL → PAN, aquafarm) to 0.900 (PAN → MUL, aquafarm)" in said[0]
    assert "99.4 % to 100.0 %" in said[0] and said[1].startswith("Every class is large enough")
    assert fig3.remarks(*rows(result(b=40)))[1].startswith("8 of 16 rows")
    assert fig3.remarks(*rows({"failed": "nan"})) == ("No run came to an end.",)


class Kept:
    """A lab with a made-up result for every setting, the better validated the nearer λ5 is to `best`."""

    scale, seeds = SMALL, range(2)

    def __init__(self, best):
        self.best, self.asked = best, []

    def config(self, world, seed, reading="", **settings):
        return load_config(*self.scale.preset(world, reading), seed=seed, **settings)

    def spaces(self, configs, name):
        self.asked += configs
        return [
            result(c.weights.regulariser, 0.9, validation=1 if c.weights.regulariser == self.best else 0.2)
            for c in configs
        ]


@pytest.mark.parametrize("best", table1.LAMBDA5)
def test_the_spaces_are_those_that_table_1_chooses(best):
    lab, first = Kept(best), Kept(best)
    section = fig3.fig3(lab)
    table1.spaces(first)
    assert all(config in first.asked for config in lab.asked) and {c.d_v for c in lab.asked} == {64}
    forth = [line for line in section.tables[0].lines if line.about[0] == "PAN → MUL"]
    assert len(forth) == 8 and all(line.tens.mean == best for line in forth)
    assert f"λ5 = {best:g}" in section.lead and forth[0].command == train_command(
        lab.config("tiles", 0, weights={"regulariser": best})
    )
    assert section.figures[0].svg.startswith("<svg") and section.figures[0].png.startswith(b"\x89PNG")
