"""Every `python -m cmir_ref.…`: wrong words, bad input and an interruption end in one line, as in `cmir-ref`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cmir_ref
from cmir_ref import streams
from cmir_ref.errors import InputError

ROOT, TESTS = Path(cmir_ref.__file__).parent, Path(__file__).parent
WORDS = {  # how many words each takes; None: those of `cmir-ref`
    "cmir_ref": None,
    "cmir_ref.bench.gpu": None,
    "cmir_ref.bench.peers": 2,
    "cmir_ref.bench.scaling": 1,
    "cmir_ref.data.flite": 1,
    "cmir_ref.data.samples": 1,
    "cmir_ref.data.voices": 1,
    "cmir_ref.equations": 0,
    "cmir_ref.settings_text": 0,
}
MADE = [name for name, words in WORDS.items() if words is not None]
WRITING = [name for name, words in WORDS.items() if words == 1]


def call(module, *words, **more):
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, **more)


def assert_one_line(done, *parts):
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert all(part in done.stderr for part in parts), done.stderr


def test_every_module_that_can_be_run_is_listed():
    """A new one is tried as well, once it stands in `WORDS`."""
    there = [p for p in sorted(ROOT.rglob("*.py")) if '__name__ == "__main__"' in p.read_text(encoding="utf-8")]
    names = [".".join(("cmir_ref", *p.relative_to(ROOT).with_suffix("").parts)) for p in there]
    names = [name.removesuffix(".__main__") for name in names if name != "cmir_ref.parallel"]  # which only names it
    assert sorted(names) == sorted(WORDS)


@pytest.mark.parametrize("module, words", [(m, n) for m in MADE for n in (0, 1, 2, 3) if n != WORDS[m]])
def test_another_number_of_words_is_refused_in_one_line(module, words, tmp_path):
    done = call(
        module, *["one", "two", "three"][:words], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT.parent)}
    )
    assert_one_line(done, f"usage: python -m {module}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", WORDS)
def test_an_unknown_option_is_refused_and_help_is_not(module, tmp_path):
    settings = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT.parent)}}
    assert_one_line(call(module, *["--overwrite"] * max(1, WORDS[module] or 0), **settings))
    done = call(module, "--help", **settings)
    assert (done.returncode, done.stderr) == (0, "") and "usage" in done.stdout.lower()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", WRITING)
@pytest.mark.parametrize("where", ["below a file", "exists"])
def test_a_place_that_cannot_be_written_is_refused_in_one_line(module, where, tmp_path):
    (tmp_path / "taken").write_text("")
    (tmp_path / "folder.png").mkdir()
    out = (
        tmp_path / ("taken" if where == "below a file" else "") / ("x.png" if where == "below a file" else "folder.png")
    )
    assert_one_line(call(module, str(out)), out.name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.png", "taken"]


@pytest.mark.parametrize("name", ["plot", "plot.txt", "plot.png.gz"])
def test_a_plot_of_no_kind_is_refused_before_it_is_measured(name, tmp_path):
    assert_one_line(call("cmir_ref.bench.scaling", str(tmp_path / name)), name, ".png")


@pytest.mark.parametrize(
    "words",
    [("nothing", "{}"), ("no.module:f", "{}"), ("json:nothing", "{}"), ("json:loads", "x"), ("json:loads", "3")],
)
def test_a_side_that_is_none_is_refused_in_one_line(words):
    assert_one_line(call("cmir_ref.bench.peers", *words), words[0])


@pytest.mark.parametrize("script", ["alpha.py", "app/load.py", "golden/make.py", "lessons/cmir_net_scenes.py"])
def test_a_script_of_the_tests_tells_its_words_and_does_nothing(script, tmp_path):
    """What writes golden values or draws a picture does so for nobody who asks what it takes."""
    pytest.importorskip("torch") if script == "golden/make.py" else None
    settings = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": f"{ROOT.parent}:{TESTS}"}}
    done = subprocess.run([sys.executable, TESTS / script, "--help"], capture_output=True, text=True, **settings)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("usage: ")
    assert not list(tmp_path.iterdir())


def test_every_script_reads_its_words_before_it_begins():
    texts = {p: p.read_text(encoding="utf-8") for p in sorted(TESTS.rglob("*.py"))}
    scripts = [p.name for p, text in texts.items() if '\nif __name__ == "__main__":' in text and "argparse" not in text]
    assert scripts == ["planting.py"]  # which `Checks` starts


# ---- what all of them end by


def ended(monkeypatch, words, work, usage="python -m cmir_ref.x OUT"):
    monkeypatch.setattr(sys, "argv", ["x", *words])
    with pytest.raises(SystemExit) as end:
        streams.run_module(usage, work)
    return end.value.code


def test_what_went_well_ends_with_0(monkeypatch, capsys):
    assert ended(monkeypatch, ["here"], print) == 0
    assert capsys.readouterr() == ("here\n", "")


@pytest.mark.parametrize(
    "error, line",
    [
        (InputError("here: of\ntwo lines"), "error: here: of two lines\n"),
        (PermissionError(13, "Permission denied", "here"), "error: here: Permission denied\n"),
        (OSError(28, "No space left on device"), "error: [Errno 28] No space left on device\n"),
    ],
)
def test_what_goes_wrong_is_one_line(error, line, monkeypatch, capsys):
    def fail(_):
        raise error

    assert ended(monkeypatch, ["here"], fail) == 2
    assert capsys.readouterr() == ("", line)


def test_an_interruption_is_130(monkeypatch, capsys):
    assert ended(monkeypatch, ["here"], lambda _: signal.raise_signal(signal.SIGINT)) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_fault_of_the_package_is_not_hidden(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "here"])
    with pytest.raises(ZeroDivisionError):
        streams.run_module("python -m cmir_ref.x OUT", lambda _: 1 / 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("module", ["cmir_ref.equations", "cmir_ref.settings_text"])
def test_a_full_disk_behind_what_is_printed_is_one_line(module):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", module], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "standard output: cannot be written" in done.stderr
