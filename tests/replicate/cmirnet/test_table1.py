"""Table 1: the width and λ5 that win, and what counts as winning."""

import pytest

from cmir_ref.config import load_config
from cmir_ref.replicate.cmirnet import table1
from cmir_ref.replicate.lab import Cell, space
from cmir_ref.replicate.tables import mean_score, words
from cmir_ref.replicate.worlds import SMALL


class Lab:
    """Made-up results: a space of width d has `ap[d]` in each direction, and validates best at λ5 = `best`."""

    scale = SMALL

    def __init__(self, ap, best=0.03, seeds=2):
        self.ap, self.best, self.seeds = ap, best, range(seeds)

    def config(self, world, seed, **settings):
        assert world == "tiles"
        return load_config(*self.scale.preset(world), seed=seed, **settings)

    def run(self, cells, name):
        assert all(cell.function is space for cell in cells)
        return [self.result(c.config.d_v, c.config.weights.regulariser, c.config.seed) for c in cells]

    def result(self, d, r, seed):
        value = self.ap[d] + 0.01 * seed
        metrics = {"map": value, "mean_precision_at_tens": value, "chance": 0.13}
        validation = 0.9 if r == self.best else 0.8
        return {
            "directions": dict.fromkeys(table1.DIRECTIONS, metrics),
            "validation": dict.fromkeys(table1.DIRECTIONS, validation),
        }


def test_rows_are_those_of_the_chosen_lambda():
    (table,) = table1.table1(Lab({16: 0.7, 32: 0.8, 64: 0.9})).tables.values()
    assert len(table.lines) == 12 and {row.texts["weight"] for row in table.lines} == {"0.03"}
    assert table.lines[0].about == ("16", words("a->b", "tiles")) and table.lines[0].printed == "95.52 / 97.10"
    last = table.lines[-1]
    assert last.scores["map"].values == (0.9, 0.91) and "--set weights.regulariser=0.03" in last.command


@pytest.mark.parametrize(
    ("ap", "outcome"),
    [({16: 0.7, 32: 0.8, 64: 0.9}, "reproduced"), ({16: 0.7, 32: 0.9, 64: 0.9}, "not reproduced")],
)
def test_the_best_width_has_to_lead(ap, outcome):
    best, unimodal = table1.table1(Lab(ap)).judgements
    assert best.outcome == outcome and unimodal.outcome == "reproduced"


def test_the_mean_over_directions_is_taken_seed_by_seed():
    rows = Lab({32: 0.6}, seeds=3).run([Cell(space, load_config("pan-mul", ("d_v=32",), seed=s)) for s in range(3)], "")
    assert mean_score(rows, table1.UNIMODAL).values == pytest.approx((0.6, 0.61, 0.62))
    assert mean_score([{"failed": "nan"}, *rows[1:]]).values == pytest.approx((None, 0.61, 0.62))
