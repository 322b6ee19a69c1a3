"""The command line: what it prints, what it refuses, and with which exit status."""

import errno
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import worlds
from PIL import Image

from cmir_ref import cli, files
from cmir_ref.backend import GPUUnavailable, library
from cmir_ref.config import load_config, preset_names, read_preset, to_toml
from cmir_ref.data import write_features
from cmir_ref.data.ucmerced import LABEL_NAMES
from cmir_ref.reports.report import dotted_settings
from cmir_ref.reports.terminal import changed_settings

METRICS = {"map", "p@10", "p@50", "mean_precision_at_tens", "chance", "queries"}
OPTIONS = {  # of each command, all of them: an option that does nothing does not exist
    "demo": {"--out", "--set", "--seed", "--seeds", "--write", "--serve", "--device", "--json"},
    "train": {
        *("--data", "--out", "--set", "--resume", "--start-from", "--seed", "--seeds", "--write", "--device", "--json"),
    },
    "presets": {"--json"},
    "evaluate": {"--gallery", "--queries", "--from", "--html", "--device", "--json"},
    "retrieve": {"--to", "--from", "--keywords", "-k", "--html", "--device", "--json"},
    "serve": {"--host", "--port", "--no-browser", "--keep", "--index", "--device"},
    "locate": {"--keywords", "--slices", "-k", "--html", "--device", "--json"},
    "features": {
        *("--size", "--tile", "--weights", "--onnx", "--output", "--mean", "--std", "--device", "--json"),
    },
    "gradcheck": {"--module", "--steps", "--input", "--plot", "--seed", "--json"},
    "samples": {"--count", "--format", "--seed", "--json"},
    "bench": {"--against", "--repeats", "--device", "--json"},
    "replicate": {"--data", "--scale", "--seeds", "--out", "--jobs", "--cluster", "--write", "--device", "--json"},
    "lessons": {"--html"},
    "doctor": {"--data", "--device", "--json"},
}


class Result:
    """Exit status and what was written to the two streams."""

    def __init__(self, status, captured):
        self.status, self.out, self.err = status, captured.out, captured.err

    @property
    def json(self):
        assert self.status == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def call(monkeypatch, capsys):
    """`call("train", …)`: the command line in this process, through its `main`."""
    monkeypatch.delenv("CMIR_DATA", raising=False)

    def run(*words) -> Result:
        monkeypatch.setattr(sys, "argv", ["cmir-ref", *map(str, words)])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return Result(status, capsys.readouterr())

    return run


@pytest.fixture
def refused(call, tmp_path):
    """`refused(command, …, says=…)`: exit status 2, one line on standard error that says so, and nothing written."""

    def check(*words, says=()):
        before = sorted(tmp_path.rglob("*"))
        result = call(*words)
        lines = result.err.splitlines()
        assert result.status == 2 and result.out == "", result.err
        assert len(lines) == 1 and lines[0].startswith("error: "), result.err
        assert [part for part in says if str(part) not in lines[0]] == [], lines[0]
        assert sorted(tmp_path.rglob("*")) == before

    return check


def sets(*changes):
    return [word for change in changes for word in ("--set", change)]


TINY = sets(*worlds.overrides("stage1.epochs=1", "stage2.epochs=1", "d_z=16"))


@pytest.fixture
def data(tmp_path):
    """A folder of tiny UC Merced and speech features that a test may damage."""
    return worlds.write_released(tmp_path / "data")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(data folder, run folder, JSON) of `train image-speech`, by a process of its own."""
    root = worlds.write_released(tmp_path_factory.mktemp("data"))
    out = tmp_path_factory.mktemp("runs") / "run"
    command = [sys.executable, "-m", "cmir_ref", "train", "image-speech", "--data", root, "--out", out, "--json", *TINY]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stage1.a 1/1" in done.stderr and "stage2 1/1" in done.stderr and str(out / "report.html") in done.stderr
    return root, out, json.loads(done.stdout)


# ---- what the commands answer ---------------------------------------------------------------------------------------


def assert_evaluation(found, scenario):
    assert found.keys() >= {
        *("scenario", "d_v", "split", "protocol", "gallery", "directions"),
        *("state", "scale", "effective_rank", "seconds"),
    }
    assert found["scenario"] == scenario and found["state"] == "alive"
    assert list(found["directions"]) == ["a->b", "b->a", "a->a", "b->b", "a->ab", "b->ab"]
    for metrics in found["directions"].values():
        assert metrics.keys() >= METRICS
        values = [metrics[name] for name in METRICS - {"queries"}]
        assert all(0 <= value <= 1 for value in values) if metrics["queries"] else values == [None] * 5


def test_train_and_evaluate_answer_in_json(finished, call):
    _, out, trained = finished
    assert_evaluation(trained, "image-speech")
    assert call("evaluate", out, "--json").json == trained
    everything = call("evaluate", out, "--json", "--gallery", "all").json
    assert everything["gallery"] == "all" and everything["directions"] != trained["directions"]


def test_evaluate_prints_a_table(finished, call):
    _, out, trained = finished
    result = call("evaluate", out)
    assert result.status == 0
    lines = result.out.splitlines()
    assert "ucmerced and speech-features" in lines[0] and "protocol paper" in lines[0] and "gallery test" in lines[0]
    assert "chance" in lines[1]
    rows = {line.split()[0]: line.split() for line in lines[2:8]}
    assert rows["a->b"][1] == f"{trained['directions']['a->b']['map']:.3f}"
    assert rows["b->ab"][2] == f"{trained['directions']['b->ab']['chance']:.3f}"
    assert lines[8].startswith("Alive")


def test_retrieve_answers_in_json_and_as_a_table(finished, call):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    hits = call("retrieve", out, image, "--to", "b", "-k", 5, "--json").json
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert all(hit.keys() == {"rank", "modality", "id", "path", "labels", "distance"} for hit in hits)
    assert all(hit["modality"] == "b" and hit["labels"][0] in LABEL_NAMES for hit in hits)
    table = call("retrieve", out, image, "--to", "b", "-k", 5).out.splitlines()
    assert len(table) == 6 and all(hit["id"] in line for hit, line in zip(hits, table[1:], strict=True))
    sound = call("retrieve", out, f"{root / 'speech.mat'}:17", "--to", "a", "--json").json
    assert len(sound) == 8 and {hit["modality"] for hit in sound} == {"a"}
    both = call("retrieve", out, f"{root / 'speech.mat'}:17", "--from", "b", "--to", "all", "-k", 300, "--json").json
    assert {hit["modality"] for hit in both} == {"a", "b"} and len(both) == 8 + 254


def test_a_query_that_the_run_cannot_hold_is_refused(finished, refused):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    refused("retrieve", out, image, "--keywords", "red, blue", says=("keywords 'red, blue'", "no texts"))
    refused("retrieve", out, "--keywords", "red, blue", says=("keywords 'red, blue'", "no texts"))
    refused("retrieve", out, root / "Images", says=(root / "Images", "a folder; give a file"))


def test_retrieve_writes_a_gallery(finished, call, tmp_path):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    result = call("retrieve", out, image, "-k", 3)
    assert result.status == 0 and f"gallery: {out / 'retrieve.html'}" in result.err
    assert "forest" in (out / "retrieve.html").read_text() and "<img" in (out / "retrieve.html").read_text()
    page = tmp_path / "page.html"
    assert call("retrieve", out, image, "--html", page).status == 0
    assert page.read_text().startswith("<!doctype html>") and list(tmp_path.iterdir()) == [page]


def test_evaluate_writes_a_page_only_where_it_is_asked_to(finished, call, tmp_path):
    _, out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    page = tmp_path / "page.html"
    assert call("evaluate", out).err == ""
    result = call("evaluate", out, "--gallery", "all", "--html", page)
    assert result.status == 0 and result.err == f"gallery: {page}\n" and "gallery: all part" in page.read_text()
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_gallery_that_cannot_be_written_is_refused(finished, refused, tmp_path):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    for place in (tmp_path / "no folder" / "x.html", tmp_path):
        refused("retrieve", out, image, "--html", place, says=(place, "cannot be written"))
        refused("evaluate", out, "--html", place, says=(place, "cannot be written"))


def test_what_cannot_be_written_is_said_before_the_work(finished, refused, tmp_path, monkeypatch):
    from cmir_ref import places, runs, search
    from cmir_ref.data import image_features

    works = {"evaluate": runs, "retrieve": search, "locate": places, "choose_network": image_features}
    for work, module in works.items():
        monkeypatch.setattr(module, work, None)
    root, out, _ = finished
    image, page = next((root / "Images" / "forest").iterdir()), tmp_path / "file" / "x.html"
    page.parent.touch()
    for words in (("evaluate", out), ("retrieve", out, image), ("locate", out, image, image)):
        refused(*words, "--html", page, says=(page, "cannot be written"))
    refused("features", image.parent, page, says=(page, "cannot be written"))


def test_a_table_that_cannot_be_written_is_said_before_the_training(refused, data, tmp_path, monkeypatch):
    from cmir_ref import demo, runs

    for module, work in ((runs, "train"), (demo, "demo")):
        monkeypatch.setattr(module, work, None)
    page, words = tmp_path / "page.md", ("--out", tmp_path / "out", "--seeds", 2, "--write")
    train = ("train", "image-speech", "--data", data, *TINY, *words)
    for command, name in ((train, "image-speech"), (("demo", *words), "demo-pan-mul")):
        refused(*command, page, says=(page, "cannot be read (No such file"))
        refused(*command, tmp_path, says=(tmp_path, "cannot be read (Is a directory"))
        for text in ("no marks", f"<!-- /{name} -->\n<!-- {name} -->\n", 2 * f"<!-- {name} -->\n<!-- /{name} -->\n"):
            page.write_text(text)
            refused(*command, page, says=(page, f"not one part between <!-- {name} --> and <!-- /{name} -->"))
            assert page.read_text() == text
        page.unlink()
    page.write_text("<!-- image-speech -->\n<!-- /image-speech -->\n")

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "open", denied, raising=False)
    refused(*train, page, says=(page, "cannot be written (Permission denied)"))


def test_gradcheck_answers_in_json(call):
    found = call("gradcheck", "linear", "--json").json
    assert found["worst"].keys() >= {"complex-step", "central-difference"}
    assert found["worst"]["complex-step"] <= 1e-12 and found["worst"]["central-difference"] <= 1e-6
    assert found["checks"] and all(c.keys() == {"name", "input", "method", "error"} for c in found["checks"])
    worst = max(c["error"] for c in found["checks"] if c["method"] == "complex-step")
    assert worst == found["worst"]["complex-step"]
    *_, last, summary = call("gradcheck", "linear").out.splitlines()
    assert last.startswith("worst ") and summary.endswith("all within gates")


def test_gradcheck_shows_a_tidy_table(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = call("gradcheck", "eq", "linear").out.splitlines()
    assert max(map(len, lines)) <= 100
    found = {line.split()[0]: line.split() for line in lines[1:-2]}
    name, entries, *errors, verdict, seconds, covers = found["linear"]
    assert (name, entries, verdict, covers) == ("linear", "32", "ok", "linear") and float(seconds) >= 0
    assert len(errors) == 3 and all(float(error) < 1e-6 for error in errors)
    assert found["eq5/cross"][-2:] == found["eq5/own"][-2:] == ["eq.", "5"]
    assert found["eq1/soft_orthogonality/ones"][-2:] == ["eq.", "1"]
    assert lines[-1].startswith(f"{len(lines) - 3} declarations, ") and lines[-1].endswith("all within gates")
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, call("gradcheck", "eq", "linear").out.splitlines())) <= 80


def test_gradcheck_fails_for_a_wrong_gradient(call, monkeypatch):
    from cmir_ref import checks, ops

    def draw(rng):
        return checks.Pair(ops.relu, lambda dy, cache: 2 * ops.relu_backward(dy, cache), {"x": rng.normal(size=(4, 5))})

    wrong = checks.Check("double", "ops.relu.relu", draw, {})
    monkeypatch.setattr(checks, "CHECKS", [*checks.CHECKS, wrong])
    result = call("gradcheck", "linear", "double")
    assert result.status == 1 and "1 wrong" in result.out.splitlines()[-1]
    assert [line.split()[0] for line in result.out.splitlines() if "WRONG" in line] == ["double", "worst"]
    assert "wrong: double: x by complex-step" in result.err and "looks like: factor 2" in result.err
    assert call("gradcheck", "double", "--json").status == 1


def test_gradcheck_fails_for_a_gradient_of_the_wrong_shape(call, monkeypatch):
    from cmir_ref import checks, ops

    draw = lambda rng: checks.Pair(ops.relu, lambda dy, cache: dy.T, {"x": rng.normal(size=(4, 5))})  # noqa: E731
    monkeypatch.setattr(checks, "CHECKS", [checks.Check("turned", "ops.relu.relu", draw, {})])
    result = call("gradcheck")
    assert result.status == 1 and "shape (5, 4) for an input of shape (4, 5)" in result.err
    assert json.loads(call("gradcheck", "--json").out)["checks"][0]["error"] is None


MINE = """
def square(x, w):
    return x * x * w, (x, w)

def square_backward(dy, cache):
    x, w = cache
    return {dx}, dy * x * x
"""


@pytest.fixture
def mine(tmp_path):
    """`mine(dx)`: a file with the pair `square`, its dx as given."""

    def write(dx):
        (tmp_path / "mine.py").write_text(MINE.format(dx=dx))
        return "--module", f"{tmp_path / 'mine.py'}:square", "--input", "4x3", "--input", "4x3"

    return write


def test_gradcheck_of_ones_own_pair(call, mine):
    right = call("gradcheck", *mine("2 * x * w * dy"))
    assert right.status == 0 and right.out.splitlines()[-1] == "square_backward is the derivative of square"
    words = mine("x * w * dy")
    wrong = call("gradcheck", *words, "--seed", 3)
    assert wrong.status == 1 and wrong.err == ""
    assert "(0.5 times); 12 of 12 entries are off" in wrong.out and "looks like: factor 0.5" in wrong.out
    assert f"again: cmir-ref gradcheck {' '.join(words)} --seed 3" in wrong.out


def test_the_python_lines_of_a_report_can_be_run(call, mine):
    lines = call("gradcheck", *mine("x * w * dy"), "--seed", 3).out.splitlines()
    *statements, last = (line.removeprefix("in Python:").strip() for line in lines[-3:])
    names = {}
    exec("\n".join(statements), names)
    results = eval(last, names)
    assert [r.error for r in results if r.input == "input 0"] == pytest.approx([0.5, 0.5])


def test_gradcheck_of_ones_own_pair_answers_in_json(call, mine):
    right = call("gradcheck", *mine("2 * x * w * dy"), "--json").json
    keys = {"worst", "checks", "diagnosis", "wrong", "right", "zero", "kinks", "notes"}
    assert right.keys() == keys and all(right[key] == [] for key in ("diagnosis", "wrong", "zero", "notes"))
    assert right["right"] == ["x", "w"] and right["kinks"] == {}
    assert all(c.keys() == {"name", "input", "method", "error"} and c["name"] == "square" for c in right["checks"])
    result = call("gradcheck", *mine("-2 * x * w * dy"), "--json")
    (found,) = json.loads(result.out)["diagnosis"]
    assert result.status == 1
    assert [found[key] for key in ("input", "kind", "off", "entries")] == ["x", "sign", 12, 12]
    assert found["ratio"] == pytest.approx(-1) and found["ours"] == pytest.approx(-found["measured"])
    assert "−1 times" in found["sentence"] and len(found["entry"]) == 2
    assert found["where"] == "all" and found["indices"] == [[i, j] for i in range(4) for j in range(3)]
    answer = json.loads(result.out)
    assert answer["wrong"] == ["x"] and answer["right"] == ["w"]
    for dx in ("(x * w * dy).T", "x * float('nan')"):  # nothing in it is NaN, which JSON does not have
        result = call("gradcheck", *mine(dx), "--json")
        assert result.status == 1 and ": NaN" not in result.out and "Infinity" not in result.out


WHERE = {  # a factor on some entries of the gradient of x -> which they are, in words and as indices
    "np.array([1, 1, 3, 1])[:, None]": ("row 2", [[2, 0], [2, 1], [2, 2]]),
    "np.array([1, 3, 1])": ("column 1", [[i, 1] for i in range(4)]),
    "(1 + 2 * np.eye(4, 3))": ("the diagonal", [[i, i] for i in range(3)]),
    "np.where(np.arange(12).reshape(4, 3) % 5 == 1, 3, 1)": ("", [[0, 1], [2, 0], [3, 2]]),
    "np.where(np.arange(4)[:, None] * np.ones(3) + [0, 0, 9] < 2, 3, 1)": (
        "the block [0:2, 0:2]",
        [[0, 0], [0, 1], [1, 0], [1, 1]],
    ),
}


@pytest.mark.parametrize("factor", WHERE)
def test_the_json_of_gradcheck_says_which_entries_are_wrong(call, mine, factor):
    words = mine(f"2 * x * w * dy * {factor}")
    path = Path(words[1].rpartition(":")[0])
    path.write_text("import numpy as np\n" + path.read_text())
    (found,) = json.loads(call("gradcheck", *words, "--json").out)["diagnosis"]
    assert (found["where"], found["indices"]) == WHERE[factor] and len(found["indices"]) == found["off"]


KINKED = """
import numpy as np

def square(x, w):
    return np.maximum(x, 0) + 0 * w, x

def square_backward(dy, x):
    return dy * (x > 0), 0 * dy

def square_inputs(rng):
    return {"x": np.array([0.0, 1.0, 0.0, -1.0]), "w": np.ones(4)}
"""


def test_the_json_of_gradcheck_has_kinks_and_gradients_that_are_0(call, mine, tmp_path):
    mine("dy")
    (tmp_path / "mine.py").write_text(KINKED)
    found = call("gradcheck", "--module", f"{tmp_path / 'mine.py'}:square", "--json").json
    assert found["kinks"] == {"x": [[0], [2]]} and found["zero"] == ["w"] and len(found["notes"]) == 2
    assert found["right"] == ["x", "w"] and found["wrong"] == []


STEPPED = """
import numpy as np

def curve(x, nudge=None):
    at = nudge or {}
    a = x * x + at.get("a", 0)
    b = np.sin(a) + at.get("b", 0)
    return b * b, {"a": a, "b": b, "x": x}

def curve_backward(dy, c):
    db = 2 * dy * c["b"]
    da = db * COS
    return {"b": db, "a": da, "x": 2 * da * c["x"]}
"""


def test_gradcheck_names_the_first_wrong_step(call, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(STEPPED.replace("COS", 'np.cos(c["a"])'))
    words = "--input", "4x3", "--seed", 2
    right = call("gradcheck", "--steps", f"{path}:curve", *words)
    assert right.status == 0 and right.out.splitlines()[-1] == "all steps are right"
    path.write_text(STEPPED.replace("COS", 'np.sin(c["a"])'))
    wrong = call("gradcheck", "--steps", f"{path}:curve", *words)
    assert wrong.status == 1 and "first wrong from the output backwards: a" in wrong.out
    assert f"again: cmir-ref gradcheck --steps {path}:curve --input 4x3 --seed 2" in wrong.out
    assert call("gradcheck", "--module", f"{path}:curve", "--steps", "curve", *words).out == wrong.out
    found = json.loads(call("gradcheck", "--steps", f"{path}:curve", *words, "--json").out)
    assert found["steps"] == {"order": ["b", "a", "x"], "first_wrong": "a", "unchecked": []}


HIDDEN = """
def hidden(x):
    return 1e9 + 1e-9 * abs(x.real).sum(), x

def hidden_backward(dy, x):
    return -1e-9 * dy * (x > 0)
"""


def test_gradcheck_of_what_cannot_be_judged_is_neither_right_nor_wrong(call, tmp_path):
    (tmp_path / "hidden.py").write_text(HIDDEN)
    words = "--module", f"{tmp_path / 'hidden.py'}:hidden", "--input", "3"
    result = call("gradcheck", *words)
    assert result.status == 2 and result.err == ""
    assert "not judged" in result.out and "3 of 3 entries cannot be judged" in " ".join(result.out.split())
    assert "is the derivative" not in result.out and "again: cmir-ref gradcheck" in result.out
    result = call("gradcheck", *words, "--json")
    assert result.status == 2 and [f["kind"] for f in json.loads(result.out)["diagnosis"]] == ["not judged"]


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_gradcheck_draws_error_against_step(call, mine, tmp_path, suffix, begins):
    for words in (("eq7/norm",), mine("2 * x * w * dy")):
        path = tmp_path / f"steps.{suffix}"
        assert call("gradcheck", *words, "--plot", path).status == 0
        assert path.read_bytes().startswith(begins)
        path.unlink()


def test_no_plot_of_what_cannot_be_compared(call, mine, tmp_path):
    path = tmp_path / "steps.png"
    result = call("gradcheck", *mine("(x * w * dy)[0]"), "--plot", path)
    assert result.status == 1 and "no plot: " in result.err and "looks like" not in result.err and not path.exists()


def test_doctor_answers_in_json(call, data):
    found = call("doctor", "--data", data, "--json").json
    assert found.keys() == {"packages", "machine", "gpu", "data", "captions"}
    assert found["packages"]["numpy"] == np.__version__ and int(found["machine"]["cores"]) >= 1
    assert "speech.mat" in found["data"]["speech-features"] and "not found" in found["data"]["dsrsid"]
    assert "speech.mat" in call("doctor", "--data", data).out
    assert call("doctor", "--data", data / "nowhere").status == 0


def test_lessons_open_in_jupyter(call, monkeypatch):
    opened = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(subprocess, "call", lambda command: opened.append(command) or 0)
    assert call("lessons").status == 0
    assert opened[0][:3] == [sys.executable, "-m", "jupyterlab"]
    assert (Path(opened[0][3]) / "src" / "02_the_cache.py").exists()


def test_lessons_become_pages(call, tmp_path):
    said = call("lessons", "--html", tmp_path / "pages")
    assert said.status == 0 and str(tmp_path / "pages" / "index.html") in said.out.replace("\n", "")
    assert len(list((tmp_path / "pages").glob("*.html"))) > 10


def test_lessons_without_jupyter_or_a_checkout_are_refused(refused, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused("lessons", says=["pip install 'cmir-ref[lessons]'"])
    monkeypatch.setattr(cli.writing, "__file__", str(tmp_path / "site-packages" / "cmir_ref" / "cli" / "writing.py"))
    monkeypatch.chdir(tmp_path)
    refused("lessons", says=["checkout"])


def test_pan_and_mul_of_uc_merced(call, tmp_path):
    root = worlds.write_ucmerced(tmp_path / "data", ("beach", "forest"), 4)
    changes = worlds.overrides("stage1.epochs=1", "stage2.epochs=1", "image_size=256")
    found = call("train", "pan-mul", "--data", root, "--out", tmp_path / "run", "--json", *sets(*changes)).json
    assert_evaluation(found, "pan-mul")
    assert found["split"] == {"train": [4, 4], "validation": [2, 2], "test": [2, 2]}
    assert "simulated sensors on real imagery" in found["data"]


def test_a_folder_of_recordings(call, tmp_path):
    root = worlds.write_ucmerced(tmp_path / "data")
    speech = worlds.write_speech(tmp_path / "speech", voices=("ann", "bob", "cem"))
    changes = worlds.overrides("stage1.epochs=1", "stage2.epochs=1", f"speech={speech}", "protocol=auto")
    found = call("train", "image-speech", "--data", root, "--out", tmp_path / "run", "--json", *sets(*changes)).json
    assert_evaluation(found, "image-speech")
    assert found["protocol"] == "voices" and found["split"]["test"] == [8, 17]


def test_data_come_from_the_environment_and_runs_go_to_their_place(call, data, tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_DATA", str(data))
    monkeypatch.chdir(tmp_path)
    result = call("train", "image-speech", "--seed", 3, *TINY)
    assert result.status == 0 and "average precision" in result.out
    assert "seed = 3\n" in (tmp_path / "runs" / "image-speech" / "config.toml").read_text()


def test_a_settings_file_as_preset(call, data, tmp_path):
    (tmp_path / "mine.toml").write_text(to_toml(worlds.config("stage1.epochs=1", "stage2.epochs=1")))
    assert call("train", tmp_path / "mine.toml", "--data", data, "--out", tmp_path / "run", "--json").status == 0


def test_resume_finishes_an_interrupted_run(call, data, tmp_path, monkeypatch):
    command = ("train", "image-speech", "--data", data, "--out", tmp_path / "run", "--json", *TINY)
    from cmir_ref.cmirnet import system

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(system, "apply_pretrainer", interrupted)
        result = call(*command)
    assert result.status == 130 and "--resume" in result.err and (tmp_path / "run").exists()
    assert call(*command).status == 2
    assert_evaluation(call(*command, "--resume").json, "image-speech")


def test_a_diverging_run_is_status_1(call, data, tmp_path, recwarn):
    words = [*TINY, *sets("stage2.lr=1e30", "stage2.epochs=3", "weights.feature_norm=1")]
    result = call("train", "image-speech", "--data", data, "--out", tmp_path / "run", *words)
    assert result.status == 1 and not [w for w in recwarn if w.category is RuntimeWarning]
    assert result.err.splitlines()[-1].startswith("error: stage2, epoch ") and "Traceback" not in result.err


# ---- presets and settings -------------------------------------------------------------------------------------------


def test_presets_are_listed_in_a_line_each(call, monkeypatch):
    lines = call("presets").out.splitlines()
    assert [line.split()[0] for line in lines] == preset_names() and max(map(len, lines)) <= 80
    assert all(line.endswith(".") and "  " in line for line in lines)
    assert "pan-mul                PAN–MUL retrieval: what works best here." in lines
    assert list(call("presets", "--json").json) == preset_names()


def test_settings_of_a_file_of_one_s_own(call, tmp_path, refused):
    mine = tmp_path / "mine.toml"
    mine.write_text('# Mine.\nscenario = "pan-mul"\nimage_size = 256\n')
    out = call("presets", mine).out
    assert out.startswith(mine.read_text()) and tomllib.loads(out) == {"scenario": "pan-mul", "image_size": 256}
    assert call("presets", mine, "--json").json["image_size"] == 256
    refused("presets", tmp_path / "nowhere.toml", says=["nowhere.toml", "not a readable settings file"])


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_with_all_its_settings(call, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    out = call("presets", name).out
    text = read_preset(name)[0]
    assert out.startswith(text), "its own text with its comments comes first"
    rest = out[len(text) :].splitlines()
    assert rest[1].startswith("# ---- at their default") and all(line.startswith("# ") for line in rest[1:])
    assert max(map(len, rest)) <= 80 and not any(line.endswith(" ") for line in rest)
    config = load_config(name)
    given, default = dotted_settings(tomllib.loads(out)), dotted_settings(config.model_dump())
    assert given == dotted_settings(tomllib.loads(text)), "as a whole it is the same preset"
    listed = {line.split()[1]: line for line in rest[2:] if not line.startswith("#  ")}
    assert listed.keys() | given.keys() == default.keys() and not listed.keys() & given.keys()
    for setting, line in listed.items():
        value = default[setting]
        shown = "is not set" if value is None else f"= {json.dumps(value)}"
        assert " ".join(line.split()).startswith(f"# {setting} {shown} ("), line


def test_comments_and_choices_come_from_the_source(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    lines = call("presets", "pan-mul").out.splitlines()
    assert '# batch_norm = "train"                (train, frozen) frozen: code' in lines
    assert "# seed = 0                            (integer ≥ 0) of every random draw of the run" in lines
    settings = call("presets", "pan-mul", "--json").json
    assert settings["weights"]["alignment"] == 0.02 and settings["batch_norm"] == "train"


def test_settings_are_readable_on_a_narrow_terminal(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = call("presets", "pan-mul").out
    of_defaults = out[out.index("# ---- at their default") :].splitlines()[1:]
    assert all(len(line) <= 40 for line in of_defaults if " " in line.lstrip("# ")), "none is longer"
    assert len(of_defaults) < 400, "a line has room for some words"


def test_train_tells_what_an_override_changes(call, data, tmp_path):
    words = sets(
        "weights.alignment=0.25", "alpha=0", "speech_voice=(.*)", "stage1={epochs=1,augment=false}", "seed=0", "d_z = 8"
    )
    result = call("train", "image-speech", "--data", data, "--out", tmp_path / "run", *sets("stage2.epochs=1"), *words)
    assert result.status == 0
    lines = [line for line in result.err.splitlines() if "(preset: " in line]
    preset = load_config("image-speech")
    assert lines[:4] == [
        f"stage2.epochs = 1 (preset: {preset.stage2.epochs})",
        f"weights.alignment = 0.25 (preset: {preset.weights.alignment})",
        f"alpha = 0.0 (preset: {preset.alpha})",
        'speech_voice = "(.*)" (preset: not set)',
    ]
    assert f"stage1.epochs = 1 (preset: {preset.stage1.epochs})" in lines and "seed = 0 (preset: 0)" in lines
    assert lines[-1] == "d_z = 8 (preset: 128)" and result.err.index(lines[0]) < result.err.index("stage1.a 1/1")


def test_changes_of_a_file_that_is_no_preset_by_itself(tmp_path):
    (tmp_path / "part.toml").write_text("alpha = 0.5")
    overrides = ["scenario=image-speech", "alpha=2", "alpha=1"]
    config = load_config(tmp_path / "part.toml", overrides)
    assert changed_settings(tmp_path / "part.toml", overrides, config, worlds.features()) == [
        'scenario = "image-speech" (preset: not set)',
        "alpha = 1.0 (preset: not set)",
    ]


def test_what_changes_nothing_is_said():
    """The command says it where it says what was changed: it is no error, for presets say such things themselves."""
    overrides = ["stage1.sound_passes=4", 'sensors=["x", "y"]', "d_z=9", "orthogonality.scaled=true"]
    lines = changed_settings("pan-mul", overrides, load_config("pan-mul", overrides), worlds.pictures(4))
    assert [line.partition("; changes nothing here: it is of ")[2] for line in lines] == [
        "recordings",
        "dataset pairs",
        "",
        "",
    ]
    assert lines[0] == "stage1.sound_passes = 4 (preset: 1); changes nothing here: it is of recordings"


def test_of_a_table_what_changed_is_told_and_that_none_of_it_acts():
    overrides = ["pretrain=false", "labels={epochs=7}"]
    config = load_config("image-text", overrides)
    lines = changed_settings("image-text", overrides, config, worlds.captioned(18))
    preset = load_config("image-text").labels.epochs
    assert len(lines) == 2 and lines[0].startswith("pretrain = false (preset: ")
    why = "changes nothing here: it is of stage labels, which pretrain adds"
    assert lines[1] == f"labels.epochs = 7 (preset: {preset}); {why}"


# ---- help -----------------------------------------------------------------------------------------------------------


def test_every_command_stands_in_the_help_with_a_whole_sentence(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in ((), ("--help",)):
        result = call(*words)
        listed = re.findall(r"^  (\w+)  +(\S.*)$", result.out.partition("Commands:")[2], re.MULTILINE)
        assert result.status == 0 and [name for name, _ in listed] == list(OPTIONS)
        assert all(sentence.endswith(".") and not sentence.endswith("..") for _, sentence in listed)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command(call, command):
    result = call(command, "--help")
    options = set(re.findall(r"^  (--?[a-z-]+)", result.out, re.MULTILINE))
    assert result.status == 0 and options == OPTIONS[command] | {"--help"}


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        ("train", preset_names()),
        ("presets", preset_names()),
        ("evaluate", ("test", "train", "all")),
        ("retrieve", ("a|b|all", "a|b")),
        ("samples", ("land-cover", "objects", "speech")),
        ("bench", ("conv", "retrieval", "epoch", "torch", "sklearn", "cpu", "cuda")),
        ("replicate", ("table1", "fig4", "readings", "senses", "phase", "all", "small", "full")),
    ],
)
def test_help_lists_the_choices(call, command, choices):
    text = "".join(call(command, "--help").out.split())  # a name may stand on two lines
    assert [choice for choice in choices if choice not in text] == []


def test_help_loads_nothing_that_computes():
    heavy = {"librosa", "h5py", "matplotlib", "cupy", "scipy", "PIL", "jinja2", "tifffile", "safetensors"}
    heavy |= {f"cmir_ref.{part}" for part in ("data", "ops", "nets", "training", "cmirnet", "runs", "retrieval")}
    code = (
        "import sys; sys.argv = ['cmir-ref', '--help']; from cmir_ref import cli\n"
        "try: cli.main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "train" in done.stdout
    assert heavy & set(done.stderr.split()) == set()


# ---- bad usage ------------------------------------------------------------------------------------------------------


def test_unknown_names_and_values(refused, data, tmp_path):
    train, rest = ("train", "image-speech"), ("--data", data, "--out", tmp_path / "run")
    refused("train", "image-speach", *rest, says=["image-speach", "image-speech"])
    refused("train", "nowhere.toml", *rest, says=["nowhere.toml"])
    refused(*train, *rest, "--set", "weights.l6=1", says=["weights.l6", "no such setting"])
    refused(*train, *rest, "--set", "aplha=1", says=["aplha", "did you mean alpha"])
    refused(*train, *rest, "--set", "alpha=much", says=["alpha", "much"])
    refused(*train, *rest, "--set", "alpha=-1", says=["alpha", "-1"])
    refused(*train, *rest, "--set", "classifier=own", says=["classifier", "own", "shared"])
    refused(*train, *rest, "--set", "alpha", says=["--set alpha", "key=value"])
    refused(*train, *rest, "--set", "alpha.x=1", says=["alpha"])
    refused(*train, *rest, "--set", "dataset=imagenet", says=["imagenet", "ucmerced"])
    refused("train", "pan-mul", *rest, "--set", "image_size=64", says=["image_size", "256"])
    refused("gradcheck", "no-such-check", says=["no-such-check", "linear"])


def test_bad_usage_of_gradcheck(refused, tmp_path, mine):
    module = mine("dy")
    refused("gradcheck", *module, "linear", says=["--module", "linear", "one or the other"])
    refused("gradcheck", "--input", "4x3", says=["--input belongs to --module or --steps"])
    refused("gradcheck", "--steps", "curve", says=["--steps curve", "path.py:name"])
    refused("gradcheck", "--steps", module[1], *module[2:], says=["square takes no nudge", "nudge=None"])
    refused("gradcheck", "--steps", module[1], "linear", says=["--steps", "stands alone"])
    refused("gradcheck", "--steps", module[1], "--plot", tmp_path / "a.png", says=["--steps", "stands alone"])
    refused("gradcheck", *module, "--steps", module[1], says=["--steps", "stands alone"])
    refused("gradcheck", *module[:2], "--input", "4by3", says=["4by3", "4x3"])
    refused("gradcheck", *module[:2], says=["no inputs", "square_inputs(rng)", "--input"])
    refused("gradcheck", *module[:4], says=["nothing for w, a parameter of square"])
    refused("gradcheck", *module[:2], "--input", "4x3", "--input", "3x4", says=["square raises ValueError", "line 3"])
    refused("gradcheck", "--module", tmp_path / "nowhere.py:f", says=["nowhere.py: no such file"])
    refused("gradcheck", "--module", f"{module[1]}s", says=["no function squares", "square, square_backward"])
    refused("gradcheck", "linear", "--plot", tmp_path / "steps.gif", says=["steps.gif", ".png or .svg"])
    refused("gradcheck", "linear", "--plot", tmp_path / "nowhere" / "steps.png", says=["no folder", "nowhere"])
    refused("gradcheck", "e", "--plot", tmp_path / "steps.png", says=["at most 7"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("trian",), ["trian", "train"]),
        (("train",), ["PRESET"]),
        (("train", "image-speech", "--epochs", 3), ["No such option", "--epochs"]),
        (("train", "image-speech", "--device", "tpu"), ["--device", "'tpu' is not one of", "'cpu', 'cuda'"]),
        (("train", "image-speech", "--seed", -1), ["--seed", "0"]),
        (("train", "image-speech", "--seeds", 10**20), ["--seeds", "1000"]),
        (("presets", "pan"), ["preset pan: unknown", "pan-mul"]),
        (("evaluate", "run", "--gallery", "some"), ["--gallery", "'some' is not one of 'test', 'train', 'all'"]),
        (("evaluate", "run", "--seed", 0), ["No such option", "--seed"]),
        (("retrieve", "run", "x.tif", "--to", "c"), ["--to", "'c' is not one of 'a', 'b', 'all'"]),
        (("retrieve", "run", "x.tif", "--from", "ab"), ["--from", "'ab' is not one of 'a', 'b'"]),
        (("retrieve", "run", "x.tif", "-k", 0), ["-k", "1"]),
        (("gradcheck", "--device", "cuda"), ["No such option", "--device"]),
        (("samples", "clouds", "out"), ["clouds: no such kind of samples", "land-cover, objects, speech"]),
        (("samples", "land-cover", "out", "--count", 10**20), ["at most 1000000000"]),
        (("features", "in", "out", "--size", 10**20), ["--size", "1000000000"]),
        (("features", "in", "out", "--tile", 10**20), ["--tile", "1000000000"]),
        (("replicate", "--jobs", 10**20), ["--jobs", "1000"]),
        (("bench", "speed"), ["bench speed", "one of conv, latent"]),
        (("bench", "--against", "jax"), ["--against", "'torch', 'faiss', 'sklearn'"]),
        (("replicate", "table9"), ["replicate table9: unknown", "one of headline, table1"]),
        (("replicate", "--scale", "huge"), ["--scale", "'small', 'full'"]),
        (("doctor", "--device", "tpu"), ["--device", "'cpu', 'cuda'"]),
    ],
)
def test_words_that_are_not_known(refused, words, says):
    refused(*words, says=says)


def test_a_full_disk_is_one_line(call, monkeypatch, finished):
    from cmir_ref import runs

    def full(*args, **settings):
        raise OSError(errno.ENOSPC, "No space left on device", "metrics.jsonl")

    monkeypatch.setattr(runs, "evaluate", full)
    result = call("evaluate", finished[1])
    assert (result.status, result.err) == (2, "error: metrics.jsonl: No space left on device\n")


def test_no_memory_is_one_line(call, monkeypatch, finished):
    from cmir_ref import runs

    monkeypatch.setattr(runs, "evaluate", lambda *args, **settings: bytearray(1 << 62))
    result = call("evaluate", finished[1])
    assert result.status == 1 and result.err.startswith("error: not enough memory") and result.err.count("\n") == 1


def test_an_interruption_is_status_130(call, monkeypatch, finished):
    from cmir_ref import runs

    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "evaluate", interrupted)
    assert call("evaluate", finished[1]).status == 130


def test_cuda_without_a_gpu(refused, data, tmp_path):
    try:
        library("cuda")
    except GPUUnavailable:
        pass
    else:
        pytest.skip("there is a GPU")
    refused(
        "train", "image-speech", "--data", data, "--out", tmp_path / "run", "--device", "cuda", says=["device cuda"]
    )
    refused("evaluate", tmp_path / "run", "--device", "cuda", says=["device cuda"])


def test_an_out_that_exists(refused, data, tmp_path):
    for out in (data, data / "speech.mat"):
        refused("train", "image-speech", "--data", data, "--out", out, says=[out, "exists already", "--resume"])


def test_resume_needs_a_run_with_the_same_settings(refused, finished, data, tmp_path):
    words = ("train", "image-speech", "--data", data, "--resume", *TINY)
    refused(*words, "--out", tmp_path / "nowhere", says=["nowhere"])
    refused(*words, "--out", finished[1], "--seed", 7, says=["seed differs"])


def test_bad_run_folders(refused, finished, tmp_path):
    for command in (("evaluate", tmp_path), ("retrieve", tmp_path, "x.tif"), ("evaluate", tmp_path / "nowhere")):
        refused(*command, says=[command[1], "run folder"])
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in finished[1].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "checkpoint.safetensors").write_bytes(b"short")
    refused("evaluate", copy, says=["checkpoint.safetensors"])
    (copy / "embeddings.npz").unlink()
    refused("evaluate", copy, says=["embeddings.npz", "--resume"])


def test_bad_queries(refused, finished, tmp_path):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    (tmp_path / "text.tif").write_text("not an image")
    (tmp_path / "half.tif").write_bytes(image.read_bytes()[:4000])
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    refused("retrieve", out, tmp_path / "none.tif", says=["none.tif", "no such file"])
    refused("retrieve", out, tmp_path / "text.tif", says=["text.tif", "not an image"])
    refused("retrieve", out, tmp_path / "half.tif", says=["half.tif"])
    refused("retrieve", out, tmp_path / "black.png", says=["black.png", "entirely black"])
    refused("retrieve", out, tmp_path / "a.wav", says=["a.wav", "sound"])
    refused("retrieve", out, f"{root / 'speech.mat'}:255", says=["rows 0 to 254"])
    refused("retrieve", out, root / "speech.mat", says=["speech.mat:17"])
    refused("evaluate", out, "--from", "a", says=["--from says how --queries are read; give both"])
    (tmp_path / "new" / "trees").mkdir(parents=True)
    (tmp_path / "new" / "trees" / "x.tif").write_bytes(image.read_bytes())
    refused(
        "evaluate", out, "--queries", tmp_path / "new", "--from", "b", says=["x.tif", "a query for speech is a row"]
    )


# ---- bad data -------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused_data(refused, data, tmp_path):
    """`refused_data(*says)`: training on `data` as it is now is refused."""

    def check(*says, preset="image-speech", changes=()):
        refused("train", preset, "--data", data, "--out", tmp_path / "run", *TINY, *sets(*changes), says=says)

    return check


def test_missing_files(refused_data, refused, data, tmp_path):
    (data / "splab.mat").unlink()
    refused_data("splab.mat", data)
    (data / "LandUse_multilabels.mat").unlink()
    refused_data("LandUse_multilabels.mat")
    refused("train", "image-speech", "--out", tmp_path / "run", *TINY, says=["--data", "CMIR_DATA"])
    refused("train", "image-speech", "--data", tmp_path / "none", "--out", tmp_path / "run", says=["none"])


@pytest.mark.parametrize("name", ["speech.mat", "LandUse_multilabels.mat", "Images/beach/beach00.tif"])
@pytest.mark.parametrize("damage", ["truncated", "wrong format"])
def test_damaged_files(refused_data, data, name, damage):
    content = (data / name).read_bytes()
    (data / name).write_bytes(content[: len(content) // 2] if damage == "truncated" else b"some text" * 50)
    refused_data(name.rsplit("/", 1)[-1])


def test_wrong_fields_and_shapes(refused_data, data):
    scipy.io.savemat(data / "speech.mat", {"other": np.ones((255, 128))})
    refused_data("speech.mat", "features", "other")
    scipy.io.savemat(data / "speech.mat", {"features": np.ones((254, 128))})
    refused_data("254 × 128", "255 × 17")


def test_counts_that_differ_in_a_paired_set(refused_data, data):
    write_features(data, pan=np.ones((24, 4)), mul=np.ones((23, 4)), labels=np.arange(24) % 8)
    refused_data("mul_features.mat", "23", "24", preset="pan-mul", changes=("dataset=features", "image_size=256"))


def test_labels_out_of_range(refused_data, data):
    write_features(data, pan=np.ones((24, 4)), mul=np.ones((24, 4)), labels=np.arange(24) % 8 + 1)
    refused_data("labels.mat", "9", "1 to 8", preset="pan-mul", changes=("dataset=features", "image_size=256"))
    table = scipy.io.loadmat(data / "LandUse_multilabels.mat")["labels"]
    scipy.io.savemat(data / "LandUse_multilabels.mat", {"labels": 2 * table})
    refused_data("LandUse_multilabels.mat", "0 or 1")


def test_classes_without_samples(refused_data, data):
    write_features(data, pan=np.ones((21, 4)), mul=np.ones((21, 4)), labels=np.arange(21) % 7)
    refused_data("no samples", preset="pan-mul", changes=("dataset=features", "image_size=256"))
    hot = np.repeat(np.eye(17)[:1], 255, axis=0)
    scipy.io.savemat(data / "splab.mat", {"splab": hot})
    refused_data("has no samples")


def test_tiles_of_another_size(refused_data, data):
    import h5py

    with h5py.File(data / "DSRSID.mat", "w") as file:
        file["PAN_IMAGES"] = np.ones((24, 32, 40), np.uint16)
        file["MUL_IMAGES"] = np.ones((24, 8, 10, 4), np.uint16)
        file["LAND_COVER_TYPES"] = np.arange(24) % 8 + 1
    refused_data("32 × 40", "64 or 128 or 256", preset="pan-mul", changes=("dataset=dsrsid", "image_size=256"))


def test_classes_too_small_to_split(refused_data, data):
    for path in sorted((data / "Images" / "beach").iterdir())[2:]:
        path.unlink()
    refused_data("beach", "too few")


def test_not_a_number_in_features(refused_data, data):
    x = np.ones((255, 128))
    x[42, 3] = np.nan
    scipy.io.savemat(data / "speech.mat", {"features": x})
    refused_data("speech.mat:42", "NaN")


def test_an_image_that_is_all_black(refused_data, data):
    Image.new("RGB", (64, 64)).save(data / "Images" / "beach" / "beach00.tif")
    refused_data("beach00.tif", "entirely black")


@pytest.mark.parametrize(
    "samples, says",
    [(0, "empty"), (np.zeros(8000), "silent"), (np.sin(np.arange(1200)), "at least 0.1 s"), (None, "not a sound file")],
    ids=["empty", "silent", "short", "text"],
)
def test_sounds_that_hold_nothing(refused_data, data, tmp_path, samples, says):
    import soundfile

    speech = worlds.write_speech(tmp_path / "speech")
    path = speech / "trees" / "bob.wav"
    if samples is None:
        path.write_text("la la la")
    else:
        soundfile.write(path, np.zeros(0) if isinstance(samples, int) else 0.5 * samples, 16000)
    refused_data("bob.wav", says, changes=(f"speech={speech}",))


def test_too_few_voices(refused_data, data, tmp_path):
    speech = worlds.write_speech(tmp_path / "speech", voices=("ann", "bob"))
    refused_data("voices", "recordings or paper", changes=(f"speech={speech}", "protocol=voices"))


def test_one_line_whoever_calls_it(data, tmp_path):
    """The same as above in a real process: no traceback, one line, status 2."""
    (data / "speech.mat").write_text("text")
    command = [sys.executable, "-m", "cmir_ref", "train", "image-speech", "--data", data, "--out", tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "40"})
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith("error: ") and "speech.mat" in done.stderr
    assert not (tmp_path / "run").exists()
