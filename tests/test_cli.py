"""The command line: what it prints, what it refuses, and with which exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import worlds
from PIL import Image

from cmir_ref import cli
from cmir_ref.backend import GPUUnavailable, library
from cmir_ref.cmirnet import system
from cmir_ref.data import write_features
from cmir_ref.data.ucmerced import LABEL_NAMES

METRICS = {"map", "p@10", "p@50", "mean_precision_at_tens", "chance", "queries"}
COMMANDS = ("demo", "train", "evaluate", "retrieve", "gradcheck", "doctor")


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


def test_retrieve_and_evaluate_write_galleries(finished, call, tmp_path):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    result = call("retrieve", out, image, "-k", 3)
    assert result.status == 0 and f"gallery: {out / 'retrieve.html'}" in result.err
    assert "forest" in (out / "retrieve.html").read_text() and "<img" in (out / "retrieve.html").read_text()
    own = tmp_path / "own.html"
    assert call("retrieve", out, image, "--html", own).status == 0
    assert own.read_text().startswith("<!doctype html>") and list(tmp_path.iterdir()) == [own]
    (out / "gallery.html").unlink()
    assert f"gallery: {out / 'gallery.html'}" in call("evaluate", out, "--gallery", "all").err
    assert "gallery: all part" in (out / "gallery.html").read_text()


def test_a_gallery_that_cannot_be_written_is_refused(finished, refused, tmp_path):
    root, out, _ = finished
    image = next((root / "Images" / "forest").iterdir())
    for place in (tmp_path / "no folder" / "x.html", tmp_path):
        refused("retrieve", out, image, "--html", place, says=(place, "cannot be written"))


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
    assert right.keys() == {"worst", "checks", "diagnosis"} and right["diagnosis"] == []
    assert all(c.keys() == {"name", "input", "method", "error"} and c["name"] == "square" for c in right["checks"])
    result = call("gradcheck", *mine("-2 * x * w * dy"), "--json")
    (found,) = json.loads(result.out)["diagnosis"]
    assert result.status == 1
    assert [found[key] for key in ("input", "kind", "off", "entries")] == ["x", "sign", 12, 12]
    assert found["ratio"] == pytest.approx(-1) and found["ours"] == pytest.approx(-found["measured"])
    assert "−1 times" in found["sentence"] and len(found["entry"]) == 2
    for dx in ("(x * w * dy).T", "x * float('nan')"):  # nothing in it is NaN, which JSON does not have
        result = call("gradcheck", *mine(dx), "--json")
        assert result.status == 1 and ": NaN" not in result.out and "Infinity" not in result.out


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
    assert found.keys() == {"packages", "machine", "gpu", "data"}
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


def test_lessons_without_jupyter_or_a_checkout_are_refused(refused, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused("lessons", says=["pip install 'cmir-ref[lessons]'"])
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "site-packages" / "cmir_ref" / "cli.py"))
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
    from cmir_ref.config import to_toml

    (tmp_path / "mine.toml").write_text(to_toml(worlds.config("stage1.epochs=1", "stage2.epochs=1")))
    assert call("train", tmp_path / "mine.toml", "--data", data, "--out", tmp_path / "run", "--json").status == 0


def test_resume_finishes_an_interrupted_run(call, data, tmp_path, monkeypatch):
    command = ("train", "image-speech", "--data", data, "--out", tmp_path / "run", "--json", *TINY)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(system, "apply_pretrainer", interrupted)
        result = call(*command)
    assert result.status == 130 and "--resume" in result.err and (tmp_path / "run").exists()
    assert call(*command).status == 2
    assert_evaluation(call(*command, "--resume").json, "image-speech")


def test_a_diverging_run_is_status_1(call, data, tmp_path):
    words = [*TINY, *sets("stage2.lr=1e30", "stage2.epochs=3", "weights.feature_norm=1")]
    with np.errstate(all="ignore"):
        result = call("train", "image-speech", "--data", data, "--out", tmp_path / "run", *words)
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith("error: stage2, epoch ") and "Traceback" not in result.err


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help(call, command):
    result = call(*command, "--help")
    assert result.status == 0 and "--help" in result.out
    assert all(name in result.out for name in (("--json", "--device", "--seed") if command else COMMANDS))


def test_help_needs_no_heavy_import():
    heavy = "{'librosa', 'h5py', 'matplotlib', 'cupy', 'scipy', 'PIL', 'jinja2'}"
    code = f"import sys, cmir_ref.cli; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, "-m", "cmir_ref", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "train" in done.stdout


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
    refused("gradcheck", "--input", "4x3", says=["--input belongs to --module"])
    refused("gradcheck", *module[:2], "--input", "4by3", says=["4by3", "4x3"])
    refused("gradcheck", *module[:2], says=["no inputs", "square_inputs(rng)", "--input"])
    refused("gradcheck", *module[:4], says=["square raises TypeError"])
    refused("gradcheck", *module[:2], "--input", "4x3", "--input", "3x4", says=["square raises ValueError", "line 3"])
    refused("gradcheck", "--module", tmp_path / "nowhere.py:f", says=["nowhere.py: no such file"])
    refused("gradcheck", "--module", f"{module[1]}s", says=["no function squares", "square, square_backward"])
    refused("gradcheck", "linear", "--plot", tmp_path / "steps.gif", says=["steps.gif", ".png or .svg"])
    refused("gradcheck", "linear", "--plot", tmp_path / "nowhere" / "steps.png", says=["no folder", "nowhere"])
    refused("gradcheck", "e", "--plot", tmp_path / "steps.png", says=["at most 7"])


def test_devices(refused, data, tmp_path):
    for words in (("train", "image-speech", "--data", data, "--out", tmp_path / "run"), ("doctor",), ("gradcheck",)):
        refused(*words, "--device", "tpu", says=["--device tpu", "cpu, cuda"])


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
    refused("evaluate", finished[1], "--gallery", "some", says=["--gallery some", "test, train, all"])
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
    refused("retrieve", out, image, "--to", "c", says=["--to c", "a, b, all"])
    refused("retrieve", out, image, "--from", "ab", says=["--from ab", "a, b"])


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
