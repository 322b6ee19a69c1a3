"""AMFMN's tables II, IV, V and VI on a tiny world: their rows, what stands in them, and the verdicts."""

import re

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.amfmn import published
from cmir_ref.amfmn.bounds import own_pairs, recalls
from cmir_ref.amfmn.match import partners
from cmir_ref.replicate import OF_AMFMN
from cmir_ref.replicate import lab as labs
from cmir_ref.replicate.amfmn import cells
from cmir_ref.replicate.amfmn.components import MODELS
from cmir_ref.replicate.amfmn.gates import BOUNDS, GATES
from cmir_ref.replicate.lab import Lab
from cmir_ref.replicate.run import run_experiment
from cmir_ref.reports.replication import write_pages

DATA = (
    *("dataset=scenes", "split=random", "test_share=0.34", "validation_share=0.3"),
    *("d=6", "word_width=5", "min_count=1", "average_views=false"),
)
TINY = {"scenes": ("few scenes", DATA, {"match.epochs": 2, "match.batch_size": 8})}
TINY["ucm"] = TINY["scenes"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labs, "load_data", lambda config, root: worlds.captioned())
        patch.setattr(cells, "WORLDS_OF_CAPTIONS", {"small": TINY})
        with Lab(tmp_path_factory.mktemp("lab"), worlds.SCALE, seeds=2, jobs=1) as lab:
            yield {name: run_experiment(lab, name) for name in OF_AMFMN}


def lines(experiment, table):
    return {line.about: line for line in experiment.tables[table].lines}


def test_every_row_is_there(done):
    assert [about[0] for about in lines(done["gates"], "scenes")] == [*GATES.values(), *BOUNDS.values()]
    assert "ucm" not in done["gates"].tables, "real captions are left out without their folder"
    assert len(done["queries"].tables["queries"].lines) == 3
    assert [about[0] for about in lines(done["components"], "components")] == list(MODELS) == list(published.TABLE6)
    assert {about[0] for about in lines(done["margins"], "scenes")} == {"fixed", "dynamic"}


def test_a_row_is_what_a_run_has(done):
    data = worlds.captioned()
    config = cells.load_config("image-text", [*DATA, "match.epochs=2", "match.batch_size=8", "text=both"], seed=1)
    run = runs.train(config, data)
    result, line = runs.evaluate(run), lines(done["queries"], "queries")["sentence and keywords",]
    assert line.scores["mr"].values[1] == pytest.approx(result["mr"], abs=1e-9)
    assert line.scores["aware"].values[1] == pytest.approx(result["duplicate_aware"]["mr"], abs=1e-9)
    assert (
        line.printed == "30.58" and lines(done["components"], "components")["m9", MODELS["m9"][0]].scores == line.scores
    )


def test_the_validation_column_is_of_the_validation_part(done):
    data = worlds.captioned()
    config = cells.load_config("image-text", [*DATA, "match.epochs=2", "match.batch_size=8"], seed=0)
    run = runs.train(config, data)
    rows = run.parts.validation
    sides = [runs.items_of(run, m, "validation") for m in "ab"]
    d = runs.system_of(config).distances(run, *sides)(slice(None))
    owner = [list(rows["a"]).index(i) for i in partners(data.pairing, rows["b"])]
    expected = recalls(d, own_pairs(np.array(owner), len(rows["a"])))["mr"]
    found = lines(done["queries"], "queries")["sentence",].scores["validation"].values[0]
    assert found == pytest.approx(expected, abs=1e-9)


def test_leads_are_points_of_mean_recall(done):
    rows = lines(done["gates"], "scenes")
    ours, none, oracle = (rows[name,].scores["mr"].values for name in ("soft", "no attention", "class oracle"))
    judged = {j.claim: j.numbers for j in done["gates"].judgements}
    guided = 50 * sum(a - b for a, b in zip(ours, none, strict=True))
    level = 50 * sum(a - b for a, b in zip(ours, oracle, strict=True))
    (guides,) = (text for claim, text in judged.items() if "guides" in claim)
    (levels,) = (text for claim, text in judged.items() if "level" in claim)
    for number, text in ((guided, guides), (level, levels)):
        assert f"scenes, soft {number:+.1f}".replace("-", "−") in text


def test_what_was_printed(done):
    printed = lines(done["gates"], "printed")
    assert len(printed) == 36 and printed["UCM", "AMFMN-fusion"].texts["mR"] == "46.08"
    for data, methods in published.TABLE2.items():
        for method, figures in methods.items():
            slip = 0.15 if (data, method) == ("RSICD", "AMFMN-soft") else 0.01
            assert abs(sum(figures[:6]) / 6 - figures[6]) <= slip + 1e-9, (data, method)
    for k in range(3):
        assert all(abs(round(x[k] * 2.1) - x[k] * 2.1) < 0.02 for x in published.TABLE2["UCM"].values())
        assert all(abs(round(x[k + 3] * 10.5) - x[k + 3] * 10.5) < 0.11 for x in published.TABLE2["UCM"].values())
    assert published.TABLE4["both"] == published.TABLE6["m9"] and published.TABLE5["dynamic", 0.6, 5] == 29.72


def test_pages_are_written(done, tmp_path):
    write_pages(tmp_path, list(done.values()), {})
    page = (tmp_path / "gates.md").read_text()
    assert all(re.search(rf"\| {re.escape(words)} \|.*\d \| – \| – \|", page) for words in BOUNDS.values()), page
    assert all(words in (tmp_path / "replication.html").read_text() for words in BOUNDS.values())
    assert "gates,scenes,ceiling,mr mean," in (tmp_path / "replication.csv").read_text()
    for name, experiment in done.items():
        assert experiment.text.startswith("# Table ") and experiment.command.startswith(f"cmir-ref replicate {name} ")
        assert experiment.judgements and all(j.outcome for j in experiment.judgements)
