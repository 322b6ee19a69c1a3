"""The phase diagram: its cells, and the rules that read them."""

import numpy as np
import worlds

from cmir_ref import runs
from cmir_ref.config import Config, load_config
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.replicate.cmirnet import phase as module
from cmir_ref.replicate.cmirnet.phase import (
    PAPER,
    above_chance,
    boundary,
    collapse_verdict,
    gone,
    held_remark,
    mark,
    phase,
    place,
    prevents_verdict,
    row,
)
from cmir_ref.replicate.lab import Work
from cmir_ref.replicate.worlds import SMALL

# ---- cells ----------------------------------------------------------------------------------------------------------


def work(*changes):
    """Features for both modalities that stand for those of stage 1."""
    data = worlds.features()
    config = worlds.config(*changes)
    outputs = tuple(
        PretrainerOutput(m.x, np.maximum(np.pad(m.x, ((0, 0), (0, 12 - m.x.shape[1]))), 0), m.x)
        for m in data.modalities
    )
    return Work(config, data, runs.parts_of(config, data), outputs)


def test_a_row_holds_a_cell_for_each_lambda5_and_where_it_began():
    found = row(work("alpha=0", "stage2.lr=0.05", "stage2.epochs=60", "stage2.keep=last"), lambda5=(1e-3, 30.0))
    light, heavy = found["cells"]
    assert [c["lambda5"] for c in found["cells"]] == [1e-3, 30.0]
    assert above_chance(light) > 0.2 > above_chance(heavy) and mark(light) == ""
    for m in "ab":
        start, ends = found["start"][m], [c["end"][m] for c in (light, heavy)]
        assert (
            len(start["norms"]) == 2 and min(start["norms"]) > 1 and max(ends[1]["norms"]) < 0.1 < min(ends[0]["norms"])
        )
        assert start["pull"][0] <= start["pull"][1] and start["pull"] != ends[0]["pull"]
        assert heavy["sides"][m]["spread"] < 0.01 * light["sides"][m]["spread"]


def cell(lambda5, ap=0.8, *, lost="", rank=5.0, norms=(2.0,), dead=0.0):
    """A made-up cell; `lost` names the modalities whose V is one point."""
    return {
        "lambda5": lambda5,
        "directions": {d: {"map": ap, "mean_precision_at_tens": ap, "chance": 0.2} for d in ("a->b", "b->a")},
        "sides": {m: {"spread": 1.0, "point": m in lost, "rank": rank, "dead": dead} for m in "ab"},
        "end": {m: {"pull": (1.0, 1.0), "norms": list(norms)} for m in "ab"},
    }


def made_row(*cells):
    return {"cells": list(cells), "start": {m: {"pull": (1.0, 1.0), "norms": [2.0]} for m in "ab"}}


def test_a_boundary_is_where_everything_behind_it_has_collapsed():
    assert boundary(made_row(cell(0.1), cell(1.0, lost="a"), cell(10.0, lost="ab")), "a") == 1.0
    assert boundary(made_row(cell(0.1, lost="a"), cell(1.0), cell(10.0, lost="ab")), "a") == 10.0
    assert boundary(made_row(cell(0.1), cell(1.0), cell(10.0)), "a") is None
    assert boundary(made_row(cell(0.1, norms=(2.0, 1e-4)), cell(1.0, lost="a")), "a") == 0.1, "a matrix of 0"


def test_marks_tell_collapse_from_half_of_it_and_from_one_dimension():
    assert [mark(cell(1.0, lost=lost)) for lost in ("", "a", "b", "ab")] == ["", "½×", "½×", "×"]
    assert mark(cell(1.0, rank=1.05)) == "1-d" and mark(cell(1.0, lost="a", rank=1.0)) == "½×"
    assert mark({"lambda5": 1.0, "failed": "nan"}) == "failed" and not gone({"lambda5": 1.0, "failed": "nan"}, "a")


def rows_of(zero, above):
    """{key: row} of ReLU encoders: `zero` and `above` the row at α = 0 and above it."""
    return {
        ("relu", d, r, a): zero if a == 0 else above
        for d in (1, 3)
        for r in ("norm", "elementwise", "released")
        for a in (0.0, 1.0, 2.0)
    }


LIVES, DIES = made_row(cell(0.1), cell(PAPER)), made_row(cell(0.1, 0.2, lost="ab"), cell(PAPER, 0.2, lost="ab"))
HALF = made_row(cell(0.1), cell(PAPER, 0.2, lost="ab"))


def test_the_verdict_on_alpha_0_is_what_the_cells_say():
    assert collapse_verdict(rows_of(DIES, LIVES)).verdict == "reproduced"
    assert collapse_verdict(rows_of(LIVES, LIVES)).verdict == "not reproduced"
    found = collapse_verdict(rows_of(HALF, LIVES))
    assert found.verdict == "depends on λ5, depth and reading" and "collapses from λ5 = 1" in found.because


def test_alpha_above_0_prevents_it_where_nothing_collapses_and_retrieval_is_above_chance():
    assert prevents_verdict(rows_of(HALF, LIVES)).verdict == "reproduced"
    assert prevents_verdict(rows_of(HALF, DIES)).verdict == "not reproduced"
    at_chance = made_row(cell(0.1), cell(PAPER, 0.21))
    mixed = rows_of(HALF, LIVES) | {("relu", d, "elementwise", a): at_chance for d in (1, 3) for a in (1.0, 2.0)}
    assert prevents_verdict(mixed).verdict == "depends on the reading"


def test_what_lives_is_set_beside_what_theory_allows():
    """σ = 1, one layer, released: alive at 0.1 is allowed, at 2 it is not."""
    rows = {("linear", 1, "released", 0.0): made_row(cell(0.1), cell(2.0))}
    assert "2 of the 4 that live" in held_remark(rows)


def test_a_threshold_is_drawn_between_the_columns():
    assert place(0.1) == 4 and 4 < place(0.2) < 5 and place(1e-9) == 0


# ---- the whole section ----------------------------------------------------------------------------------------------


class Fake:
    """A lab whose world is `work`'s."""

    seeds, scale, worlds = range(1), SMALL, ["places"]

    def config(self, world, seed, **settings):
        return load_config("image-speech", worlds.overrides("stage2.epochs=1"), **settings)

    def run(self, cells, name):
        """One row for each depth: the section does not look at the numbers."""
        base, known = work(), {}
        for c in cells:
            key = c.config.encoder_depth, c.options["lambda5"]
            known[key] = known.get(key) or c.function(base._replace(config=c.config), **c.options)
        return [known[c.config.encoder_depth, c.options["lambda5"]] for c in cells]


def test_the_section_has_its_tables_figures_and_verdicts(monkeypatch):
    monkeypatch.setattr(module, "LAMBDA5", (0.01, PAPER))
    monkeypatch.setattr(module, "TWICE_AT", (PAPER,))
    monkeypatch.setattr(module, "SHORT", {"epochs": 2, "lr": 0.01, "keep": "last"})
    section = phase(Fake())
    paper, edges = section.tables
    assert len(paper.lines) == 18 and {row.about[0] for row in paper.lines} == {
        "norm = elementwise",
        "norm",
        "elementwise",
        "released",
    }
    assert len(edges.lines) == 20 and all(len(row.more) == len(edges.more) for row in edges.lines)
    assert "weights.regulariser=1.0" in paper.lines[0].command and Config.model_fields["alpha"].default == 0
    assert [f.png[:4] for f in section.figures] == [b"\x89PNG"] * 2 and len(section.verdicts) == 3
