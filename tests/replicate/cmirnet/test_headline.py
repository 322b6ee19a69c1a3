"""The headline: default readings, cells shared with the tables, day and machine of what is shown, and its file."""

import json
import sys
from datetime import date

import pytest
import worlds

from cmir_ref import cli
from cmir_ref.replicate import run
from cmir_ref.replicate.cmirnet import headline
from cmir_ref.replicate.lab import Cell, Lab, space
from cmir_ref.replicate.run import run_experiment
from cmir_ref.replicate.worlds import WORLD_SCENARIOS, Scale

TINY = Scale("tiny", {"released": worlds.SCALE.worlds["places"]}, "For tests.")
assert WORLD_SCENARIOS["released"] == WORLD_SCENARIOS["places"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, root):
    with Lab(tmp_path_factory.mktemp("headline"), TINY, seeds=2, root=root, jobs=1) as one:
        yield one


def test_rows_have_mean_worst_and_chance_over_the_seeds(lab):
    experiment = run_experiment(lab, "headline")
    there, back = experiment.tables["worlds"].lines
    results = lab.spaces([lab.config("released", s) for s in (0, 1)])
    values = [r["directions"]["a->b"]["map"] for r in results]
    assert there.about == ("Few places", "image → speech") and back.about == ("Few places", "speech → image")
    assert there.scores["map"].values == tuple(values) and there.scores["worst"].values == (min(values),)
    assert there.scores["chance"].mean and there.texts["seeds"] == "2" and there.printed == "41.60 / 63.15"
    assert there.command.startswith("cmir-ref train image-speech") and "over 2 seeds" in experiment.text


def test_the_cells_are_those_of_the_tables(lab):
    """… where these choose the default's weights: nothing is computed twice."""
    config = lab.config("released", 0)
    same = lab.config("released", 0, d_v=64, weights={"alignment": 0.02, "regulariser": 0.001})
    assert lab._path(Cell(space, config)) == lab._path(Cell(space, same))


def test_the_day_and_the_machine_are_those_of_the_cells(lab):
    run_experiment(lab, "headline")
    path = lab._path(Cell(space, lab.config("released", 0)))
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["origin"]["date"] == date.today().isoformat() and kept["origin"]["machine"] and kept["origin"]["blas"]
    elsewhere = {"date": "2020-02-02", "machine": "an abacus", "blas": "fingers 10"}
    path.write_text(json.dumps(kept | {"origin": elsewhere}), encoding="utf-8")
    text = run_experiment(lab, "headline").text
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert f"Computed 2020-02-02, {date.today().isoformat()} on " in text and "an abacus" in text
    assert "fingers 10" in text and kept["origin"]["blas"] in text


def test_a_failed_seed_is_told(lab, monkeypatch):
    failed = {"failed": "nan"}
    monkeypatch.setattr(headline, "run_groups", lambda lab, function, groups, name: dict.fromkeys(groups, [failed] * 2))
    there, _ = headline.headline(lab).tables["worlds"].lines
    assert there.scores["worst"].mean is None and there.texts["seeds"] == "0" and str(there.scores["map"]) == "–"


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, root):
    """`call("headline", "--write", …)`: exit status and standard error of the command."""
    monkeypatch.setattr(run, "SCALE_BY_NAME", {"small": TINY})
    monkeypatch.setattr(run, "EXPERIMENTS", ("headline", "table3"))  # the others need other worlds

    def replicate(*words):
        words = ["cmir-ref", "replicate", *words, "--out", str(tmp_path / "out"), "--data", str(root), "--jobs", "1"]
        monkeypatch.setattr(sys, "argv", words)
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, capsys.readouterr().err

    return replicate


def test_the_command_writes_it_into_a_file(call, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# A\n\n<!-- results -->\n<!-- /results -->\n\nB\n", encoding="utf-8")
    assert call("headline", "--write", str(readme))[0] == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# A\n\n<!-- results -->\n\n| data | direction | printed, % |") and text.endswith("\n\nB\n")
    assert text.count("| Few places |") == 2 and "Computed " in text and "cmir-ref train" not in text


def test_where_it_cannot_be_written_nothing_is_computed(call, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# no marks\n", encoding="utf-8")
    for words, says in (
        (("headline", "--write", str(readme)), "<!-- results -->"),
        (("headline", "--write", str(tmp_path / "none.md")), "none.md"),
        (("table3", "--write", str(readme)), "headline"),
    ):
        status, err = call(*words)
        assert status == 2 and len(err.splitlines()) == 1 and says in err
    assert not list((tmp_path / "out").rglob("*.json")) and readme.read_text(encoding="utf-8") == "# no marks\n"
