"""`cmir-ref replicate`: what it refuses, what it keeps, and how it goes on after an interruption."""

import csv
import json
import socket
import sys
import time
from importlib import import_module, reload
from types import ModuleType

import pytest
import worlds

from cmir_ref import cli, replicate
from cmir_ref.replicate import EXPERIMENTS, FOLDERS, SCALES, run, tables
from cmir_ref.replicate import lab as labs
from cmir_ref.replicate.lab import Cell
from cmir_ref.replicate.worlds import SCALE_BY_NAME, Scale, World
from cmir_ref.reports.experiment import ClaimJudgement, Experiment, Line, Table
from cmir_ref.reports.scores import Score

TINY = Scale("tiny", {"places": World("Made up.", tuple(worlds.overrides("stages=end-to-end")))}, "For tests.")
computed = []


def cell(work, place):
    """A cell function that says it was called."""
    computed.append(place)
    return {"figure": place / 10}


def experiment(name, cells):
    """An experiment of as many cells, one row each."""

    def of(lab):
        config = lab.config("places", 0)
        results = lab.run([Cell(cell, config, {"place": k}) for k in cells], name)
        command = tables.train_command(config)
        lines = tuple(
            Line((str(k),), {"p": Score((r["figure"],)), "map": Score((0.5,))}, "50.00", command=command)
            for k, r in zip(cells, results, strict=True)
        )
        judgement = ClaimJudgement("4.1", "it is so", "reproduced", "number: above 0", "0.5", "0.5")
        return Experiment(name, {"rows": Table(("place",), {"p": "P", "map": "AP"}, lines)}, (), (judgement,))

    return of


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Two experiments of four and two cells, which share one, on features in memory."""
    computed.clear()
    for name, cells in (("one", range(4)), ("two", range(3, 5))):
        module = ModuleType(name)
        setattr(module, name, experiment(name, cells))
        monkeypatch.setitem(sys.modules, f"cmir_ref.replicate.cmirnet.{name}", module)
    monkeypatch.setattr(run, "EXPERIMENTS", ("one", "two"))
    monkeypatch.setattr(run, "SCALE_BY_NAME", {"small": TINY})
    monkeypatch.setattr(run, "render_text", lambda name, facts: f"# Part {name}\n\n{facts['worlds']['places']}")
    monkeypatch.setattr(replicate, "EXPERIMENTS", ("one", "two"))
    monkeypatch.setattr(labs, "load_data", lambda config, root: worlds.features())
    monkeypatch.delenv("CMIR_DATA", raising=False)
    labs._data.cache_clear()
    reload(cli)  # its types list the experiments
    yield
    labs._data.cache_clear()
    monkeypatch.undo()
    reload(cli)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """`call("one", …)`: (exit status, standard output, standard error) of the command, in one process."""

    def replicate(*words, out=tmp_path / "out", jobs=("--jobs", "1")):
        monkeypatch.setattr(sys, "argv", ["cmir-ref", "replicate", *words, "--out", str(out), *jobs])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return replicate


def page(tmp_path, name="replication.html"):
    return (tmp_path / "out" / name).read_text(encoding="utf-8")


def parts(tmp_path):
    return {row["experiment"] for row in csv.DictReader(page(tmp_path, "replication.csv").splitlines())}


def test_every_experiment_and_scale_is_there(monkeypatch):
    monkeypatch.undo()
    assert all(
        callable(getattr(import_module(f"cmir_ref.replicate.{FOLDERS.get(name, 'cmirnet')}.{name}"), name))
        for name in EXPERIMENTS
    )
    assert run.EXPERIMENTS == EXPERIMENTS and tuple(SCALE_BY_NAME) == SCALES


@pytest.mark.parametrize(
    "words, says",
    [
        (("three",), ("replicate three: unknown", "one, two, all")),
        (("one", "--scale", "huge"), ("--scale", "huge", "small")),
        (("one", "--device", "tpu"), ("--device", "tpu")),
        (("one", "--data", "no/such/folder"), ("no/such/folder",)),
        (("one", "--cluster", "tcp://127.0.0.1:9"), ("--jobs", "--cluster")),
    ],
)
def test_what_is_refused_before_anything_is_written(call, tmp_path, words, says):
    status, out, err = call(*words)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1 and all(text in err for text in says)
    assert not (tmp_path / "out").exists()


def test_an_out_that_cannot_be_written(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = call("one", out=tmp_path / "file" / "out")
    assert status == 2 and str(tmp_path / "file" / "out") in err and len(err.splitlines()) == 1 and computed == []


def test_a_cluster_that_does_not_answer_is_refused_within_ten_seconds(call, tmp_path):
    pytest.importorskip("distributed", reason="extra `cluster` is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and says nothing
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        status, out, err = call("one", "--cluster", address, jobs=())
    assert (status, out) == (2, "") and len(err.splitlines()) == 1 and address in err
    assert time.monotonic() - started < 10 and not (tmp_path / "out").exists()


def test_a_page_that_cannot_be_written(call, tmp_path):
    (tmp_path / "out" / "replication.html").mkdir(parents=True)
    status, _, err = call("one")
    assert status == 2 and "replication.html" in err.splitlines()[-1] and "cannot be written" in err


def test_tables_on_the_terminal(call, tmp_path):
    status, out, err = call("one")
    lines = [line.split() for line in out.splitlines()]
    assert status == 0 and ["3", "50.00", "0.300", "−20.00", "0.500"] in lines
    assert "Part one: rows" in out and "reproduced" in out and str(tmp_path / "out" / "replication.html") in err


def test_json(call):
    status, out, _ = call("one", "two", "--json", "--seeds", "2")
    one, two = json.loads(out)
    assert status == 0 and (one["name"], two["name"]) == ("one", "two")
    row = one["tables"]["rows"]["lines"][3]
    assert row["about"] == ["3"] and row["scores"]["p"] == {"mean": 0.3, "sd": None, "values": [0.3]}
    assert row["printed"] == "50.00" and row["command"].startswith("cmir-ref train image-speech")
    assert one["claims"][0]["outcome"] == "reproduced" and 'scenario = "image-speech"' in one["settings"]["places"]
    assert one["command"] == "cmir-ref replicate one --scale tiny --seeds 2"


def test_the_command_names_the_data_as_they_were_given(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my {data}").mkdir()
    assert json.loads(call("one", "--json", "--data", "my {data}")[1])[0]["command"].endswith(" --data 'my {data}'")


def test_all_is_all_and_shared_cells_are_computed_once(call, tmp_path):
    assert call("all")[0] == 0
    assert computed == [0, 1, 2, 3, 4] and parts(tmp_path) == {"one", "two"}


def test_what_was_not_run_is_named_and_what_was_stays(call, tmp_path):
    call("one")
    assert parts(tmp_path) == {"one"}
    assert "two: not run: cmir-ref replicate two --scale tiny --seeds 1" in page(tmp_path)
    call("two")
    assert computed == [0, 1, 2, 3, 4] and parts(tmp_path) == {"one", "two"} and "not run" not in page(tmp_path)


def test_what_another_part_leaves_complete_is_shown(call, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["cmir_ref.replicate.cmirnet.two"], "two", experiment("two", range(2, 4)))
    call("one")
    assert parts(tmp_path) == {"one", "two"} and computed == [0, 1, 2, 3]


def test_an_interrupted_run_goes_on(call, tmp_path, monkeypatch):
    def interrupted(work, place, whole=cell):
        if len(computed) == 2:
            raise KeyboardInterrupt
        return whole(work, place)

    interrupted.__module__, interrupted.__name__ = cell.__module__, cell.__name__  # the same cells
    with monkeypatch.context() as patch:
        patch.setitem(experiment.__globals__, "cell", interrupted)
        status, _, err = call("one")
    assert status == 130 and "same command" in err and "Traceback" not in err and computed == [0, 1]
    assert call("one")[0] == 0 and computed == [0, 1, 2, 3]
    assert call("one")[0] == 0 and computed == [0, 1, 2, 3]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", "\x00"])
def test_a_damaged_result_is_named_and_computed_again_once_removed(call, tmp_path, content):
    call("one")
    damaged = next(p for p in (tmp_path / "out" / "cells").iterdir() if '"place": 2' in p.read_text())
    damaged.write_text(content)
    status, _, err = call("one")
    assert status == 2 and str(damaged) in err and "remove it" in err and len(err.splitlines()) == 1
    status, _, err = call("two")  # another part is not held up, and the page says what is wrong
    assert status == 0 and damaged.name in page(tmp_path) and parts(tmp_path) == {"two"}
    damaged.unlink()
    assert call("one")[0] == 0 and computed == [0, 1, 2, 3, 4, 2]


def test_settings_say_what_was_varied():
    configs = [worlds.config(f"d_v={d}", f"seed={seed}") for d in (6, 8) for seed in (0, 1)]
    text = run.settings_text(configs)
    assert text.startswith("# seed: 0, 1\n# d_v: 6, 8\n") and "d_v = 6" in text and text.count("#") == 2
