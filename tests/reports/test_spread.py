"""Figures over several seeds: what is made of them, what is printed, and what is put into a Markdown file."""

import json
import statistics
import sys
from pathlib import Path

import pytest
import worlds

from cmir_ref import cli, load_config, load_data, runs
from cmir_ref.errors import InputError
from cmir_ref.reports.scores import Score, number
from cmir_ref.reports.spread import check_marks, insert_spread, sources, spread, spread_table
from cmir_ref.reports.terminal import show_spread


def result(ap, recall=None, p=0.5):
    made = {"scenario": "pan-mul", "data": "drawn", "protocol": "pairs", "gallery": "test"}
    figures = {"map": ap, "p@10": p, "chance": 0.1, "queries": 7, "per_class": {"river": {"map": 0.1}}}
    return made | {"directions": {"a->b": figures}} | ({} if recall is None else {"mr": recall})


def test_mean_deviation_and_worst_of_each_figure():
    values = [0.5, 0.75, 0.7]
    found = spread({n: result(v, recall=v / 2) for n, v in zip((3, 4, 5), values, strict=True)})
    ap = found["directions"]["a->b"]["map"]
    assert found["seeds"] == [3, 4, 5] and ap["values"] == values
    assert ap["mean"] == pytest.approx(statistics.mean(values)) and ap["worst"] == 0.5
    assert ap["sd"] == pytest.approx(statistics.stdev(values))
    assert found["mr"]["worst"] == 0.25 and "per_class" not in found["directions"]["a->b"]
    json.dumps(found, allow_nan=False)


def test_a_figure_says_of_how_many_seeds_it_is():
    some = Score((0.5, None, 0.75))
    assert (str(some), number(some, "+.1f")) == ("0.625 ± 0.177 (2 of 3 seeds)", "+0.6 (2 of 3 seeds)")
    assert str(Score((None, 0.5))) == "0.500 (1 of 2 seeds)", "one has no deviation"
    none = Score((None, None))
    assert str(none) == number(none, ".3f") == number(None, ".3f") == "–" and number(-0.25, ".2f") == "−0.25"


def test_the_worst_rank_is_the_largest():
    results = {n: result(0.5) for n in (0, 1)}
    for n, rank in ((0, 3.0), (1, 8.0)):
        more = {"median_rank": rank, "chance_median_rank": rank, "without_relevant": int(rank)}
        results[n]["directions"]["a->b"] |= more
    figures = spread(results)["directions"]["a->b"]
    assert all(figures[name]["worst"] == 8 for name in more)


def test_a_seed_that_lacks_a_recall_takes_it_from_no_other():
    """A run in which no query had its partner has none."""
    for seeds in ((None, 0.5), (0.5, None)):
        found = spread({n: result(0.5, recall=r) for n, r in enumerate(seeds)})["mr"]
        assert found["values"] == list(seeds) and found["mean"] == found["worst"] == 0.5
    assert "mr" not in spread({n: result(0.5) for n in (0, 1)})


def test_what_single_runs_warn_of_is_said_of_their_seeds(tmp_path, capsys):
    """A label leak makes a table worthless, and a space that is no longer alive explains a worst figure."""
    results = {n: result(0.5) | {"state": "alive", "warnings": ["label leak"]} for n in (3, 4, 5)}
    assert "warnings" not in spread({n: result(0.5) | {"state": "alive"} for n in (3, 4, 5)})
    results[4] |= {"state": "collapsed"}
    for n in (3, 5):
        results[n]["warnings"] = ["label leak", "copies"]
    said = ["label leak", "seeds 3, 5: copies", "seed 4: the space is collapsed"]
    assert spread(results)["warnings"] == said
    file = tmp_path / "a.md"
    file.write_text("<!-- one -->\n<!-- /one -->\n", encoding="utf-8")
    show_spread({"one": results}, "cmir-ref train one", file)
    for text in (capsys.readouterr().out, file.read_text(encoding="utf-8")):
        lines = [line for line in text.splitlines() if line.startswith("warning: ")]
        assert lines == [f"warning: {line}" for line in said] and text.index(lines[0]) > text.index("0.500 ± 0.000")


def test_one_seed_has_no_deviation_and_a_figure_that_is_not_there_stays_away():
    found = spread({0: result(0.5, p=None)})
    assert found["directions"]["a->b"]["map"]["sd"] is None
    head, ((direction, ap, p, chance, worst),) = spread_table(found)
    assert len(head) == 5 and (direction, ap, p, chance, worst) == ("a->b", "0.500", "–", "0.100", "0.500")
    assert "seed 0, without spread;" in sources(found, "cmir-ref train x")


def test_mean_recall_is_of_all_directions_and_stands_in_the_first_row():
    results = {n: result(v, recall=v) for n, v in enumerate((0.5, 0.75))}
    for one in results.values():
        one["directions"]["b->a"] = one["directions"]["a->b"]
    head, (first, second) = spread_table(spread(results))
    assert head[-2:] == ("mean recall", "worst mean recall") and len(first) == len(second) == len(head)
    assert first[-2:] == ("0.625 ± 0.177", "0.500") and second[-2:] == ("", "") and first[1:-2] == second[1:-2]


def test_the_table_goes_between_its_own_marks_and_nothing_else_changes(tmp_path):
    file = tmp_path / "a.md"
    file.write_text("A\n\n<!-- one -->\nold\n<!-- /one -->\n\n<!-- two -->\nkept\n<!-- /two -->\n", encoding="utf-8")
    insert_spread(file, "one", spread({0: result(0.5, 0.3), 1: result(0.75, 0.4)}), "cmir-ref train one --seeds 2")
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n\n<!-- /one -->\n\n<!-- two -->\nkept\n<!-- /two -->\n") and "old" not in text
    assert "| a->b | 0.625 ± 0.177 | 0.500 ± 0.000 | 0.100 ± 0.000 | 0.500 | 0.350 ± 0.071 | 0.300 |" in text
    assert "`cmir-ref train one --seeds 2`; mean ± standard deviation of seeds 0 – 1; " in text
    check_marks(file, ["one", "two"])
    with pytest.raises(InputError, match="<!-- three -->"):
        check_marks(file, ["one", "three"])


def test_lines_end_as_they_did(tmp_path):
    file, found = tmp_path / "a.md", spread({0: result(0.5, 0.3)})
    for ends in ("\r\n", "\n"):
        file.write_bytes(ends.join(["A", "<!-- one -->", "old", "<!-- /one -->", ""]).encode())
        insert_spread(file, "one", found, "cmir-ref train one")
        content = file.read_bytes()
        assert content.count(b"\r") == (content.count(b"\n") if ends == "\r\n" else 0)


# ---- the command ----------------------------------------------------------------------------------------------------

TINY = [w for change in worlds.overrides("stage1.epochs=1", "stage2.epochs=1", "d_z=16") for w in ("--set", change)]


@pytest.fixture
def call(monkeypatch, capsys):
    monkeypatch.delenv("CMIR_DATA", raising=False)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["cmir-ref", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return run


def test_every_seed_is_the_run_that_it_is_alone_and_resume_goes_on(call, tmp_path):
    root, out = worlds.write_released(tmp_path / "data"), tmp_path / "out"
    words = ["train", "image-speech", *TINY, "--data", root, "--out", out, "--seed", 4, "--json"]
    status, text, err = call(*words, "--seeds", 2)
    assert status == 0 and sorted(p.name for p in out.iterdir()) == ["seed-4", "seed-5"], err
    found = json.loads(text)
    for k, seed in enumerate(found["seeds"]):
        config = load_config("image-speech", TINY[1::2], seed=seed)
        alone = runs.evaluate(runs.train(config, load_data(config, root)))
        assert {d: m["map"] for d, m in alone["directions"].items()} == {
            d: m["map"]["values"][k] for d, m in found["directions"].items()
        }
    assert call(*words, "--seeds", 3)[0] == 2  # exists already
    status, text, err = call(*words, "--seeds", 3, "--resume")
    assert status == 0 and json.loads(text)["seeds"] == [4, 5, 6], err
    assert {d: m["map"]["values"][:2] for d, m in json.loads(text)["directions"].items()} == {
        d: m["map"]["values"] for d, m in found["directions"].items()
    }


def test_an_interruption_between_seeds_costs_none_that_is_finished(call, tmp_path, monkeypatch):
    """Finished seeds are read as they are; what was begun goes on; other settings and data are refused."""
    root, out = worlds.write_released(tmp_path / "data"), tmp_path / "out"
    words = ["train", "image-speech", *TINY, "--data", root, "--out", out, "--seeds", 3, "--json"]
    train, trained = runs.train, []

    def counted(config, data, folder, **given):
        trained.append(config.seed)
        if len(trained) == 2:
            given["watch"] = worlds.Interrupt("stage1.a", 1)
        return train(config, data, folder, **given)

    monkeypatch.setattr(runs, "train", counted)
    with pytest.raises(worlds.Stop):
        cli.run_command([*map(str, words)])
    assert trained == [0, 1] and sorted(p.name for p in out.iterdir()) == ["seed-0", "seed-1"]
    before = {p: p.read_bytes() for p in (out / "seed-0").iterdir() if p.name != "lock"}
    times = {p: p.stat().st_mtime_ns for p in before if p.name in ("embeddings.npz", "report.html", "config.toml")}
    status, text, err = call(*words, "--resume")
    assert status == 0 and trained == [0, 1, 1, 2] and json.loads(text)["seeds"] == [0, 1, 2], err
    assert {p: p.read_bytes() for p in before} == before and {p: p.stat().st_mtime_ns for p in times} == times
    for seed in range(3):
        config = load_config("image-speech", TINY[1::2], seed=seed)
        alone = runs.evaluate(train(config, load_data(config, root)))
        assert [m["map"]["values"][seed] for m in json.loads(text)["directions"].values()] == [
            m["map"] for m in alone["directions"].values()
        ]
    (out / "seed-1" / "report.html").unlink()
    assert call(*words, "--resume")[0] == 0 and trained == [0, 1, 1, 2, 1], "a run without its report is not finished"
    status, text, err = call(*words, "--resume", "--set", "d_v=5")
    assert (status, text) == (2, "") and "d_v differs" in err and len(trained) == 5
    worlds.write_speech_features(root, per_label=14)
    status, text, err = call(*words, "--resume")
    assert (status, text) == (2, "") and "resume with the data of the run" in err and len(trained) == 5


def test_seeds_that_are_finished_know_where_their_samples_were_moved(call, tmp_path):
    """As one run does that goes on: its pages would show no pictures."""
    root, out, there = worlds.write_released(tmp_path / "data"), tmp_path / "out", tmp_path / "elsewhere"
    words = ["train", "image-speech", *TINY, "--out", out, "--seeds", 2, "--json", "--data"]
    status, before, err = call(*words, root)
    assert status == 0, err
    epochs = [(out / f"seed-{n}" / "metrics.jsonl").read_bytes() for n in range(2)]
    root.rename(there)
    status, after, err = call(*words, there, "--resume")
    assert status == 0 and json.loads(after)["directions"] == json.loads(before)["directions"], err
    for n in range(2):
        paths = runs.load_run(out / f"seed-{n}").dataset.modalities["a"].paths
        assert all(Path(p).is_file() for p in paths) and "the file is gone" not in (
            out / f"seed-{n}" / "report.html"
        ).read_text(encoding="utf-8")
        assert (out / f"seed-{n}" / "metrics.jsonl").read_bytes() == epochs[n], "nothing was trained again"


def test_a_file_without_marks_is_refused_before_anything_is_trained(call, tmp_path):
    file, out = tmp_path / "a.md", tmp_path / "out"
    file.write_text("no marks\n", encoding="utf-8")
    for words in (["train", "image-speech", *TINY], ["demo"]):
        status, text, err = call(*words, "--out", out, "--seeds", 2, "--write", file)
        assert (status, text, len(err.splitlines())) == (2, "", 1) and "<!-- " in err and str(file) in err
    assert not out.exists() and file.read_text(encoding="utf-8") == "no marks\n"


def test_a_file_that_cannot_be_written_costs_no_figure(tmp_path, capsys):
    with pytest.raises(InputError, match="cannot be read"):
        show_spread({"one": {0: result(0.5), 1: result(0.75)}}, "cmir-ref train one", tmp_path / "none" / "a.md")
    assert "0.625 ± 0.177" in capsys.readouterr().out


def test_the_command_prints_a_table_and_writes_it(call, tmp_path):
    root, file = worlds.write_released(tmp_path / "data"), tmp_path / "a.md"
    file.write_text("<!-- image-speech -->\n<!-- /image-speech -->\n", encoding="utf-8")
    words = ["train", "image-speech", *TINY, "--data", root, "--out", tmp_path / "out", "--seeds", 2, "--write", file]
    status, text, err = call(*words)
    assert status == 0 and "worst average precision" in text and "seeds 0 – 1" in text, err
    assert "| a->b | " in file.read_text(encoding="utf-8")
