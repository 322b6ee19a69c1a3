"""The phase diagram: its cells, and the rules that read them."""

import numpy as np
import pytest
import worlds

from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.config import load_config
from cmir_ref.data import split_data
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.replicate.claims import judge_claims
from cmir_ref.replicate.cmirnet import phase as module
from cmir_ref.replicate.cmirnet.phase import (
    PAPER,
    Key,
    above_chance,
    boundary,
    collapsed_modalities,
    column_of,
    compare_theory,
    has_collapsed,
    killed_without_l5,
    mark_of_state,
    phase,
    positive_alpha,
    train_row,
)
from cmir_ref.replicate.lab import Work
from cmir_ref.replicate.run import text_facts
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.experiment import render_text

# ---- cells ----------------------------------------------------------------------------------------------------------


def made_of(outputs):
    """What stage 1 makes, from a pretrainer's outputs for each modality."""
    return {f"{name}.{m}": x for m, o in zip("ab", outputs, strict=True) for name, x in o._asdict().items()}


def work(*changes):
    """Features for both modalities that stand for those of stage 1."""
    data = worlds.features()
    config = worlds.config(*changes)
    outputs = tuple(
        PretrainerOutput(m.x, np.maximum(np.pad(m.x, ((0, 0), (0, 12 - m.x.shape[1]))), 0), m.x)
        for m in data.modalities.values()
    )
    return Work(config, data, split_data(config, data), made_of(outputs))


def test_a_row_holds_a_cell_for_each_lambda5_and_where_it_began():
    found = train_row(work("alpha=0", "stage2.lr=0.05", "stage2.epochs=60", "stage2.keep=last"), lambda5=(1e-3, 30.0))
    light, heavy = found["cells"]
    assert [c["lambda5"] for c in found["cells"]] == [1e-3, 30.0]
    assert above_chance(light) > 0.2 > above_chance(heavy) and mark_of_state(light) == ""
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
        "sides": {m: {"spread": 1.0, "point": m in lost, "rank": rank} for m in "ab"},
        "dead_units": dict.fromkeys("ab", dead),
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
    assert [mark_of_state(cell(1.0, lost=lost)) for lost in ("", "a", "b", "ab")] == ["", "½×", "½×", "×"]
    assert mark_of_state(cell(1.0, rank=1.05)) == "1-d" and mark_of_state(cell(1.0, lost="a", rank=1.0)) == "½×"
    assert mark_of_state({"lambda5": 1.0, "failed": "nan"}) == "failed" and not has_collapsed(
        {"lambda5": 1.0, "failed": "nan"}, "a"
    )


def rows_of(zero, above):
    """{row: cells} of ReLU encoders: `zero` at α = 0 and `above` above it."""
    keys = [Key("relu", d, r, a) for d in (1, 3) for r in ("norm", "elementwise", "released") for a in (0.0, 1.0, 2.0)]
    return {key: zero if key.alpha == 0 else above for key in keys}


LIVES, DIES = made_row(cell(0.1), cell(PAPER)), made_row(cell(0.1, 0.2, lost="ab"), cell(PAPER, 0.2, lost="ab"))
HALF = made_row(cell(0.1), cell(PAPER, 0.2, lost="ab"))


def decide(rows, l5=None):
    """The outcomes of the claims on these rows; `l5` is for the last one."""
    prevention, rescue = positive_alpha(rows)
    numbers = {"collapse": collapsed_modalities(rows), "prevention": prevention, "rescue": rescue}
    outcomes = [j.outcome for j in judge_claims("phase", **numbers, L5={} if l5 is None else killed_without_l5(l5))]
    return dict(zip((*numbers, "L5"), outcomes, strict=True))


def test_the_outcome_on_alpha_0_is_what_the_cells_say():
    assert decide(rows_of(DIES, LIVES))["collapse"] == "reproduced"
    assert decide(rows_of(LIVES, LIVES))["collapse"] == "not reproduced"
    assert decide(rows_of(HALF, LIVES))["collapse"] == "depends on λ5"
    one = decide(rows_of(HALF, LIVES) | {Key("relu", 1, "norm", 0.0): LIVES})["collapse"]
    assert one == "depends on λ5 and the depth and the reading of eq. 7"


def test_alpha_above_0_prevents_it_where_nothing_collapses_and_retrieves_where_it_is_above_chance():
    assert decide(rows_of(HALF, LIVES)) == decide(rows_of(HALF, LIVES)) | {
        "prevention": "reproduced",
        "rescue": "reproduced",
    }
    dead = decide(rows_of(HALF, DIES))
    assert (dead["prevention"], dead["rescue"]) == ("not reproduced", "not reproduced")
    at_chance = made_row(cell(0.1), cell(PAPER, 0.21))
    mixed = rows_of(HALF, LIVES) | {Key("relu", d, "elementwise", a): at_chance for d in (1, 3) for a in (1.0, 2.0)}
    assert decide(mixed)["prevention"] == "reproduced"
    assert decide(mixed)["rescue"] == "depends on the reading of eq. 7"
    assert decide(rows_of(LIVES, LIVES))["rescue"] == "not measured", "nothing has collapsed"


def test_units_that_only_l5_keeps_alive():
    def row(*shares):
        return made_row(*(cell(lambda5, dead=share) for lambda5, share in zip((0.1, 1.0), shares, strict=True)))

    without, default = row(0.9, 0.9), row(0.2, 0.8)
    assert list(killed_without_l5({0.0: without, 0.01: row(0.1, 0.1), 0.001: default}).values()) == pytest.approx(
        [0.7, 0.1]
    )
    assert decide(rows_of(HALF, LIVES), {0.0: without, 0.01: row(0.1, 0.1), 0.001: default})["L5"] == "depends on λ5"
    failed = made_row({"lambda5": 0.1, "failed": "nan"}, cell(1.0, dead=0.1))
    assert list(killed_without_l5({0.0: without, 0.01: failed})) == [("λ5 = 1",)]


def test_what_lives_is_set_beside_what_theory_allows():
    """σ = 1, one layer, released: alive at 0.1 is allowed, at 2 it is not."""
    rows = {Key("linear", 1, "released", 0.0): made_row(cell(0.1), cell(2.0))}
    assert compare_theory(rows) == {"above": (0, 2), "below": (0, 2), "allows": (2, 4)}


def test_a_threshold_is_drawn_between_the_columns():
    assert column_of(0.1) == 4 and 4 < column_of(0.2) < 5 and column_of(1e-9) == 0


# ---- the whole experiment -------------------------------------------------------------------------------------------


class Fake:
    """A lab whose world is `work`'s."""

    seeds, few, scale, worlds = range(1), range(1), SMALL, ["places"]

    def config(self, world, seed, **settings):
        return load_config("image-speech", worlds.overrides("stage2.epochs=1"), **settings)

    def run(self, cells, name):
        """One row for each depth: the experiment does not look at the numbers."""
        base, known = work(), {}
        for c in cells:
            key = c.config.encoder_depth, c.options["lambda5"]
            known[key] = known.get(key) or c.function(base._replace(config=c.config), **c.options)
        return [known[c.config.encoder_depth, c.options["lambda5"]] for c in cells]


def test_the_experiment_has_its_tables_figure_and_outcomes(monkeypatch):
    monkeypatch.setattr(module, "LAMBDA5", (0.01, PAPER))
    monkeypatch.setattr(module, "TWICE_AT", (PAPER,))
    monkeypatch.setattr(module, "SHORT", {"epochs": 2, "lr": 0.01, "keep": "last"})
    lab = Fake()
    experiment = phase(lab)
    paper, edges = (table.lines for table in experiment.tables.values())
    readings = {"norm = elementwise", "norm", "elementwise", "released"}
    assert len(paper) == 18 and {row.about[0] for row in paper} == readings
    assert len(edges) == 20 and all(row.texts.keys() == module.LIMITS.keys() for row in edges)
    assert "weights.regulariser=1.0" in paper[0].command and CmirnetSettings.model_fields["alpha"].default == 0
    assert [f.png[:4] for f in experiment.figures] == [b"\x89PNG"] and len(experiment.judgements) == 4
    text = " ".join(render_text("phase", text_facts(lab, experiment)).split())
    assert "Twice as many epochs, 3 cells (ReLU: norm, depth 3, α = 0; norm, depth 3, α = 1;" in text
