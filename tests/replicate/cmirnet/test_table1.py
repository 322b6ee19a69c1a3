"""Table 1: the width and λ5 that win, and what counts as winning."""

import pytest

from cmir_ref.config import load_config
from cmir_ref.replicate.cmirnet import table1
from cmir_ref.replicate.tables import words
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.replication import Score


class Lab:
    """Made-up results: a space of width d has `ap[d]` in each direction, and validates best at λ5 = `best`."""

    scale = SMALL

    def __init__(self, ap, best=0.03, seeds=2):
        self.ap, self.best, self.seeds = ap, best, range(seeds)

    def config(self, world, seed, **settings):
        assert world == "tiles"
        return load_config(*self.scale.preset(world), seed=seed, **settings)

    def spaces(self, configs, name):
        return [self.found(c.d_v, c.weights.regulariser, c.seed) for c in configs]

    def found(self, d, r, seed):
        value = self.ap[d] + 0.01 * seed
        metrics = {"map": value, "mean_precision_at_tens": value, "chance": 0.13}
        validation = 0.9 if r == self.best else 0.8
        return {
            "directions": dict.fromkeys(table1.DIRECTIONS, metrics),
            "validation": dict.fromkeys(table1.DIRECTIONS, validation),
        }


def test_rows_are_those_of_the_chosen_lambda():
    section = table1.table1(Lab({16: 0.7, 32: 0.8, 64: 0.9}))
    lines = section.tables[0].lines
    assert len(lines) == 12 and {row.more for row in lines} == {("0.03",)}
    assert lines[0].about == ("16", words("a->b", "tiles")) and lines[0].printed == "95.52 / 97.10"
    assert lines[-1].ap.values == (0.9, 0.91) and "--set weights.regulariser=0.03" in lines[-1].command


@pytest.mark.parametrize(
    ("ap", "verdict"),
    [({16: 0.7, 32: 0.8, 64: 0.9}, "reproduced"), ({16: 0.7, 32: 0.9, 64: 0.9}, "not reproduced")],
)
def test_the_best_width_has_to_lead(ap, verdict):
    best, unimodal = table1.table1(Lab(ap)).verdicts
    assert best.verdict == verdict and unimodal.verdict == "reproduced"


def test_the_mean_over_directions_is_taken_seed_by_seed():
    lines = table1.table1(Lab({16: 0.5, 32: 0.6, 64: 0.7}, seeds=3)).tables[0].lines
    assert table1.over(lines, 32, table1.UNIMODAL).values == pytest.approx((0.6, 0.61, 0.62))
    broken = tuple(row._replace(ap=Score((None, 0.5, 0.5))) for row in lines)
    assert table1.over(broken, 32, table1.UNIMODAL).values == (None, 0.5, 0.5)
