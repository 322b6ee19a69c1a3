"""What a user's shell or machine does: streams, signals, locks, disks, names, styles. The matrix beside has more."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import command_line_matrix as matrix
import numpy as np
import pytest
import soundfile
import worlds
from PIL import Image

import cmir_ref
from cmir_ref import cli, load_config, load_data, load_run, run_files, runs, train
from cmir_ref.data import load_folder, load_speech, sound_library
from cmir_ref.data.locate import data_root
from cmir_ref.data.mat import split_row
from cmir_ref.errors import InputError
from cmir_ref.files import whole_file, whole_folder, write_whole
from cmir_ref.locks import LOCK, Held, locked
from cmir_ref.search import guess_modality
from cmir_ref.streams import spell_out

ROOT = Path(cmir_ref.__file__).parents[1]
ENV = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
POSIX = pytest.mark.skipif(os.name != "posix", reason="limits, permissions and signals of POSIX")


def python(code, *words, **settings):
    """The end of a Python that runs `code`."""
    settings = {"capture_output": True, "text": True, "env": ENV} | settings
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], **settings)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Data, a finished run and a pair of functions, as the matrix uses them."""
    folder = tmp_path_factory.mktemp("matrix") / "place"
    folder.mkdir()
    matrix.prepare(folder)
    return folder


# ---- streams --------------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("name", ["presets", "gradcheck", "evaluate --json"])
@pytest.mark.parametrize("happens", [matrix.closed_output, matrix.no_streams])
def test_without_anybody_who_reads_the_status_stays_right(place, name, happens):
    with matrix.workplace(place) as cwd:
        end = happens(matrix.commands(place)[name].words, cwd)
    assert (end.status, end.faults) == (0, [])


def test_every_command_has_a_row_in_the_matrix(tmp_path):
    shown = {command.words[0] for command in matrix.commands(tmp_path).values()}
    assert shown == {command.name for command in cli.app.registered_commands}


@POSIX
@pytest.mark.skipif(find_spec("uvicorn") is None or find_spec("starlette") is None, reason="the extra `app`")
@pytest.mark.parametrize("name", ["serve", "serve --keep"])
@pytest.mark.parametrize("happens, status", [
    (matrix.closed_output, 130), (matrix.no_streams, 130), (matrix.second_process, 2), (matrix.read_only, None),
], ids=["closed", "no streams", "second", "read-only"])  # fmt: skip
def test_a_page_under_what_shells_do(place, name, happens, status):
    """It ends as an interruption does; a second one at its port is refused, and nothing half-written is left."""
    with matrix.workplace(place) as cwd:
        end = happens(matrix.commands(place)[name].words, cwd)
    expected = (2 if "--keep" in name else 130) if status is None else status
    assert (end.status, end.faults) == (expected, [])
    if expected == 2:
        assert end.last.startswith("error: ") and (
            "kept" in end.last if status is None else "cannot be listened at" in end.last
        )


@POSIX
def test_a_wrong_gradient_stays_wrong_without_a_reader(place, tmp_path):
    (tmp_path / "wrong.py").write_text(matrix.PAIR.replace("2 * x", "3 * x"))
    words = ("gradcheck", "--module", f"{tmp_path / 'wrong.py'}:f", "--input", "4")
    assert [matrix.closed_output(words, tmp_path).status, matrix.no_streams(words, tmp_path).status] == [1, 1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("name", ["presets NAME", "doctor --json", "evaluate --json"])
def test_output_on_a_full_disk_is_one_line(place, name):
    with matrix.workplace(place) as cwd:
        end = matrix.full_output(matrix.commands(place)[name].words, cwd)
    assert end.status == 2 and end.faults == []
    assert end.last == "error: standard output: cannot be written (No space left on device)"


def test_what_an_encoding_lacks_is_spelled_out():
    error = UnicodeEncodeError("ascii", "α → Σ…\udce9ж", 0, 9, "lacks")
    assert spell_out(error) == ("alpha -> Sigma...\\xe9\\u0436", 9)
    with pytest.raises(UnicodeDecodeError):
        spell_out(UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "no"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "shift_jis"])
def test_output_in_another_encoding(place, encoding):
    words = [sys.executable, "-m", "cmir_ref", "evaluate", str(place / "run")]
    done = subprocess.run(words, capture_output=True, env=ENV | {"PYTHONIOENCODING": encoding})
    assert done.returncode == 0 and "P@10...50" in done.stdout.decode(encoding).replace("…", "...")


def test_colour_that_is_forced_into_a_log_draws_no_bar(place, tmp_path):
    env = ENV | {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "CLICOLOR_FORCE": "1"}
    words = [sys.executable, "-m", "cmir_ref", *matrix.commands(place)["train"].words]
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr
    assert sum(line.startswith("stage2 ") for line in done.stderr.splitlines()) >= 2, "a line an epoch, as in any log"


# ---- interruptions --------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("number, what", [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_an_interrupted_training_says_how_to_go_on_and_does(place, tmp_path, number, what):
    words = [w.replace("stage2.epochs=2", "stage2.epochs=50") for w in matrix.commands(place)["train"].words]
    process = matrix.start(tuple(words), tmp_path)
    while not (tmp_path / "new" / "checkpoint.safetensors").exists():
        time.sleep(0.01)
    os.kill(process.pid, number)
    end = matrix.finish(process, tmp_path)
    assert (end.status, end.faults) == (128 + number, [])
    assert end.last == f"{what}; go on with the same command and --resume (new)"
    again = matrix.finish(matrix.start((*words, "--resume"), tmp_path), tmp_path)
    assert again.status == 0 and (tmp_path / "new" / "report.html").is_file()


@POSIX
def test_interrupted_workers_say_nothing(place, tmp_path):
    words = ("samples", "land-cover", "scenes", "--count", "400")
    process = matrix.start(words, tmp_path)
    while not list(tmp_path.glob(".scenes-*/*")):
        time.sleep(0.01)
    time.sleep(0.3)  # while they begin
    os.killpg(process.pid, signal.SIGINT)
    end = matrix.finish(process, tmp_path)
    assert (end.status, end.lines, end.left) == (130, ("interrupted",), ())


@POSIX
def test_workers_that_have_hardly_begun_say_nothing_to_two_interruptions():
    """Nobody waits for them to begin, and none of them looks for what its parent has already removed."""
    done = python(TWICE, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_ignored_stays_so_in_workers(place, tmp_path, number):
    """`nohup cmir-ref … &`, and the terminal is closed."""
    words = ("samples", "land-cover", "scenes", "--count", "24")
    process = matrix.start(words, tmp_path, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    while not list(tmp_path.glob(".scenes-*/*")) and process.poll() is None:
        time.sleep(0.01)
    for _ in range(20):
        if process.poll() is None:
            os.killpg(process.pid, number)
        time.sleep(0.1)
    end = matrix.finish(process, tmp_path)
    assert (end.status, end.lines, end.left) == (0, (), ()) and (tmp_path / "scenes" / "DSRSID.mat").is_file()


@POSIX
def test_a_worker_that_is_ended_in_the_middle_of_its_answer_holds_nobody_up():
    done = python(MIDDLE, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


@POSIX
def test_a_worker_says_nothing_of_overflows():
    done = python(OVERFLOW, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[[inf]]\n", "")


OVERFLOW = """
import numpy as np
from cmir_ref.ops.linear import linear
from cmir_ref.parallel import worker_processes
x = np.full((1, 1), 1e300)
with worker_processes(1) as pool:
    print(pool.submit(linear, x, x, x[0]).result()[0])
"""


MIDDLE = """
import time
from cmir_ref.parallel import worker_processes
try:
    with worker_processes(1) as pool:
        pool.submit(bytes, 2**28)  # more than a pipe holds
        time.sleep(3)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print("ended", flush=True)
"""


TWICE = """
import os, signal, time
from threading import Timer
from cmir_ref.parallel import worker_processes
try:
    with worker_processes(2):
        Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        Timer(0.10, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(600)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ended", flush=True)
"""


# ---- locks ----------------------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from cmir_ref.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def hold(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True, env=ENV)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_names_its_process_and_dies_with_it(tmp_path):
    process = hold(tmp_path)
    try:
        with pytest.raises(Held, match=rf"in use by another process \(pid {process.pid}\)"), locked(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()
    with locked(tmp_path) as sure:
        assert sure and (tmp_path / LOCK).read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children that inherit open files are of POSIX")
def test_a_child_that_ends_a_moment_after_its_killed_parent_is_waited_for(tmp_path):
    """A process that is killed while it starts another one leaves that one with a copy of its lock."""
    begun = HOLD.replace("import sys, time", "import os, sys, time").replace(
        'print("held", flush=True)',
        'pid = os.fork(); pid and print("held", flush=True); pid or (time.sleep(0.2), os._exit(0))',
    )
    process = subprocess.Popen([sys.executable, "-c", begun, tmp_path], stdout=subprocess.PIPE, text=True, env=ENV)
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    with locked(tmp_path) as sure:
        assert sure
    process.stdout.close()


def test_a_lock_that_waits_says_so_once(tmp_path):
    process, told = hold(tmp_path), []

    def tell(line):
        told.append(line)
        process.kill()

    with locked(tmp_path, wait=tell):
        assert len(told) == 1 and f"pid {process.pid}" in told[0]
    process.wait()


def test_a_disk_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path) as sure, locked(tmp_path) as second:
        assert not sure and not second


def test_a_run_folder_has_one_writer(tmp_path):
    data, config = worlds.features(), worlds.config()
    train(config, data, tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    with locked(tmp_path / "run"), pytest.raises(Held):
        train(config, data, tmp_path / "run", resume=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    with pytest.raises(worlds.Stop):
        train(config, data, tmp_path / "other", watch=worlds.Interrupt("stage1.b", 1))
    train(config, data, tmp_path / "other", resume=True)  # an error lets go of the folder, in a notebook as well
    assert not (tmp_path / "other" / LOCK).exists()


@POSIX
@pytest.mark.parametrize("name", ["train", "replicate"])
def test_a_second_process_is_refused(place, name):
    with matrix.workplace(place) as cwd:
        end = matrix.second_process(matrix.commands(place)[name].words, cwd)
    assert end.status == 2 and end.faults == [] and len(end.lines) == 1
    assert "in use by another process (pid " in end.last


# ---- disks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_disk_that_refuses_is_named_and_the_run_goes_on_later(tmp_path, monkeypatch, number, fails):
    """Whichever epoch meets it: bit for bit what an uninterrupted run gives."""
    data, config = worlds.features(), worlds.config()
    train(config, data, tmp_path / "whole")
    real, calls = os.fsync, []

    def refuse(file):
        calls.append(file)
        if len(calls) == 4:
            raise OSError(number, os.strerror(number))
        real(file)

    with monkeypatch.context() as patch:
        if fails == "fsync":
            patch.setattr(os, "fsync", refuse)
        else:
            patch.setattr("cmir_ref.training.folder.append_line", full_log(number, calls))
        with pytest.raises(InputError) as caught:
            train(config, data, tmp_path / "run")
    assert str(caught.value).endswith(f"cannot be written ({os.strerror(number)})")
    assert str(tmp_path / "run") in str(caught.value)
    assert not [p.name for p in (tmp_path / "run").iterdir() if p.name.startswith(".")]
    train(config, data, tmp_path / "run", resume=True)
    ours, theirs = (runs.load_run(tmp_path / one) for one in ("run", "whole"))
    assert ours.tensors.keys() == theirs.tensors.keys()
    assert all((ours.tensors[k] == theirs.tensors[k]).all() for k in ours.tensors)
    assert [line["parts"] for line in ours.history] == [line["parts"] for line in theirs.history]


def full_log(number, calls):
    """`append_line` on a disk that takes half of the third line."""
    from cmir_ref.files import append_line, cannot_be_written

    def append(path, line):
        calls.append(line)
        if len(calls) == 3:
            with open(path, "a") as file:
                file.write(line[:20])
            raise cannot_be_written(path, OSError(number, os.strerror(number)))
        append_line(path, line)

    return append


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from cmir_ref.data import write_samples
from cmir_ref.errors import InputError
try:
    write_samples(sys.argv[2], sys.argv[3], count=9 if sys.argv[2] != "speech" else None)
except InputError as error:
    print(error)
"""


@POSIX
@pytest.mark.parametrize(
    "kind, size", [("land-cover", 600), ("land-cover", 200_000), ("objects", 900), ("speech", 900)]
)
def test_samples_on_a_full_disk(tmp_path, kind, size):
    """HDF5 and libtiff have words, and crashes, of their own."""
    done = python(LIMITED, size, kind, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'out'}: cannot be written (File too large)\n"
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.parametrize("name", ["evaluate --html", "retrieve --html", "gradcheck --plot", "replicate"])
@pytest.mark.parametrize("happens", [matrix.full_disk, matrix.read_only])
def test_pages_on_a_disk_that_refuses(place, name, happens):
    with matrix.workplace(place) as cwd:
        end = happens(matrix.commands(place)[name].words, cwd)
        assert end.faults == [] and not (cwd / "page.html").exists()
    assert end.status == 2 and "cannot be written (" in end.last


@POSIX
def test_a_benchmark_on_a_full_disk(place):
    pytest.importorskip("torch")
    with matrix.workplace(place) as cwd:
        end = matrix.full_disk(matrix.commands(place)["bench --json"].words, cwd)
    assert (end.status, end.faults, len(end.lines)) == (2, [], 1) and "cannot be written (File too large)" in end.last


def test_a_text_without_a_name_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", ".", tmp_path):
        with pytest.raises(InputError, match="cannot be written"):
            write_whole(name, "x")
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.parametrize("kind", ["image", "recording", "checkpoint", "embeddings", "table"])
def test_a_file_that_may_not_be_read(tmp_path, monkeypatch, kind):
    from cmir_ref import files
    from cmir_ref.data import log_mel_patch, read_image
    from cmir_ref.data.mat import read_mat
    from cmir_ref.params import load_tensors

    read = {"image": read_image, "recording": log_mel_patch, "checkpoint": load_tensors, "table": read_mat}
    (tmp_path / "x").write_bytes(b"x")

    def denied(path, *args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "open", denied, raising=False)
    with pytest.raises(InputError, match=r"x: cannot be read \(Permission denied\)"):
        read.get(kind, run_files.read_embeddings)(tmp_path / "x")


@pytest.mark.parametrize(
    "kind", ["image", "tile", "drawing", "recording", "captions", "checkpoint", "embeddings", "table"]
)
def test_a_pointer_in_place_of_a_file(tmp_path, kind):
    """As a clone has of each large file, where Git LFS is not installed."""
    from cmir_ref.data import log_mel_patch, read_image
    from cmir_ref.data.captions import read_caption_file
    from cmir_ref.data.mat import read_mat
    from cmir_ref.data.sketches import read_sketch
    from cmir_ref.params import load_tensors

    def read_tile(path):
        pytest.importorskip("rasterio")
        from cmir_ref.data.tiles import open_raster

        with open_raster(path):
            pass

    read = {"image": read_image, "tile": read_tile, "drawing": lambda path: read_sketch(path, 64), "table": read_mat}
    read |= {"recording": log_mel_patch, "captions": read_caption_file, "checkpoint": load_tensors}
    path, digest = tmp_path / "x.svg", "0123456789abcdef" * 4
    path.write_bytes(f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 12345\n".encode())
    with pytest.raises(
        InputError, match=r"x\.svg: a pointer of Git LFS in place of the file; fetch it by `git lfs pull`"
    ):
        read.get(kind, run_files.read_embeddings)(path)


# ---- names ----------------------------------------------------------------------------------------------------------


def write_class_folders(root, names, suffix=".png"):
    for k, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for j in range(5):
            pixels = np.random.default_rng([k, j]).integers(1, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{j}{suffix}")


def write_voices_of(root, names):
    t = np.arange(8000) / 16000
    for k, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for j in range(5):
            tone = 0.4 * np.sin(2000 * (1 + j + 7 * k) * t) * np.hanning(8000)
            with open(root / name / f"v{j}.wav", "wb") as file:  # soundfile itself refuses names that are not UTF-8
                soundfile.write(file, tone, 16000, format="WAV")


SHORT = {"dataset": "folder", "stage1": {"epochs": 1}, "stage2": {"epochs": 1}}


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere have UTF-8 names only")
@pytest.mark.parametrize("byte", [b"\xe9", b"\xff\xfe"])
def test_names_that_are_not_utf8(tmp_path, byte):
    odd = os.fsdecode(byte)
    write_class_folders(tmp_path / f"imgs{odd}", [f"a{odd}", "b", "c"])
    (tmp_path / f"imgs{odd}" / "b" / "0.png").rename(tmp_path / f"imgs{odd}" / "b" / f"x{odd}.png")
    write_voices_of(tmp_path / f"v{odd}", [f"a{odd}", "b", "c"])
    config = load_config("image-speech", speech=str(tmp_path / f"v{odd}"), **SHORT)
    out = tmp_path / f"run{odd}"
    run = train(config, load_data(config, tmp_path / f"imgs{odd}"), out)
    again = load_run(out)
    assert again.config == run.config and again.dataset.label_names == (f"a{odd}", "b", "c")
    train(config, load_data(config, tmp_path / f"imgs{odd}"), out, resume=True)
    assert "".join(f"\\x{b:02x}" for b in byte) in (out / "report.html").read_text(encoding="utf-8")
    query = tmp_path / f"imgs{odd}" / "b" / f"x{odd}.png"
    words = [sys.executable, "-m", "cmir_ref", "retrieve", out, query, "--to", "b", "--json"]
    done = subprocess.run(words, capture_output=True, env=ENV)
    assert done.returncode == 0 and len(json.loads(done.stdout)) > 0


def test_accents_composed_or_not_are_one_label(tmp_path):
    write_class_folders(tmp_path / "imgs", ["for\u00eat", "n\u00e9ve", "plain"])
    write_voices_of(tmp_path / "voices", ["fore\u0302t", "ne\u0301ve", "plain"])
    _, names = load_folder(tmp_path / "imgs")
    speech = load_speech(tmp_path / "voices", names)
    assert sorted(speech.labels.tolist()) == sorted([0] * 5 + [1] * 5 + [2] * 5)


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "n" * 251 + ".png"])
def test_names_as_long_as_they_can_be(tmp_path, name):
    assert write_whole(tmp_path / name, "x").read_text() == "x"
    with whole_folder(tmp_path / "in" / name) as folder:
        (folder / "x").touch()
    assert (tmp_path / "in" / name / "x").exists() and [p.name for p in tmp_path.iterdir()].count(name) == 1


def test_colons_that_are_no_rows(tmp_path):
    assert split_row("12:30.wav") == ("12:30.wav", None)
    assert split_row(r"C:\x.mat:17") == (r"C:\x.mat", 17)
    assert split_row(r"D:\data\X.MAT:3") == (r"D:\data\X.MAT", 3)
    assert split_row("2024-05-01T12:30:05.mat") == ("2024-05-01T12:30:05.mat", None)
    assert split_row("12:30.mat:4") == ("12:30.mat", 4)


@pytest.mark.parametrize(
    "query, letter",
    [("12:30:05.wav", "b"), (r"C:\sounds\river.OGG", "b"), ("take.aiff", "b"), ("x.mp3", "b"), (r"C:\a.TIF", "a")],
)
def test_the_kind_of_a_query_is_that_of_its_ending(tmp_path, query, letter):
    images = worlds.pictures().modalities["a"]
    sounds = images._replace(kind="sound", name="speech")
    run = runs.Run(None, None, {}, {}, worlds.pictures()._replace(modalities={"a": images, "b": sounds}), None, [], 0.0)
    assert guess_modality(run, query) == letter


def test_an_empty_text_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_DATA", "")
    assert [data_root(), data_root(""), data_root(None), data_root(".")] == [None, None, None, "."]
    monkeypatch.setenv("CMIR_DATA", str(tmp_path))
    assert [data_root(), data_root(""), data_root("x")] == [str(tmp_path), str(tmp_path), "x"]
    write_class_folders(tmp_path / "here", ["a", "b", "c"])
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("CMIR_DATA", "")
    for given in (None, ""):
        with pytest.raises(InputError, match="no data folder"):
            load_data(load_config("pan-mul", **SHORT), given)
    words = [sys.executable, "-m", "cmir_ref", "train", "pan-mul", "--set", "dataset=folder", "--data", ""]
    done = subprocess.run(words, capture_output=True, text=True, env=ENV | {"CMIR_DATA": ""})
    assert done.returncode == 2 and "no data folder" in done.stderr and not Path("runs").exists()
    assert load_data(load_config("pan-mul", **SHORT), ".").label_names == ("a", "b", "c")


# ---- figures, the compiler's cache, scripts -------------------------------------------------------------------------


def test_figures_have_a_style_and_a_canvas_of_their_own(monkeypatch):
    import matplotlib
    import matplotlib.pyplot as plt

    from cmir_ref.reports import plots

    plain = plots.norms({"x": [1.0, 2.0]})
    backend, figures = matplotlib.get_backend(), plt.get_fignums()
    changes = {
        "axes.facecolor": "black",
        "lines.linewidth": 9,
        "font.size": 31,
        "svg.fonttype": "none",
        "axes.grid": True,
    }
    with matplotlib.rc_context(changes | {"svg.hashsalt": "x", "text.color": "red"}):
        before = dict(matplotlib.rcParams)
        ours = plots.norms({"x": [1.0, 2.0]})
        assert dict(matplotlib.rcParams) == before
    assert without_ids(ours) == without_ids(plain) and (matplotlib.get_backend(), plt.get_fignums()) == (
        backend,
        figures,
    )


def without_ids(svg):
    """An SVG without the names that matplotlib draws by chance."""
    return re.sub(r'(id="|#)[mp]?[0-9a-f]{10,}', r"\1", svg)


def test_the_package_leaves_pyplot_alone():
    users = {p.name for p in (ROOT / "cmir_ref").rglob("*.py") if "pyplot as" in p.read_text(encoding="utf-8")}
    assert users <= {"lesson.py"}, "the lessons draw with pyplot, nothing else does"


def test_the_compilers_cache_goes_where_it_can(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    assert sound_library.writable_folder() == str(tmp_path / "cache" / "numba")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "file"))
    temporary = Path(sound_library.writable_folder())
    assert temporary.is_dir() and temporary.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(sound_library.tempfile, "mkdtemp", lambda **_: (_ for _ in ()).throw(FileNotFoundError()))
    with pytest.raises(InputError, match="NUMBA_CACHE_DIR"):
        sound_library.writable_folder()


def test_librosa_is_asked_again_with_a_cache(monkeypatch):
    asked, given = [], []

    def touch(librosa):
        asked.append(librosa)
        if len(asked) == 1:
            raise RuntimeError("cannot cache function '__o_fold': no locator available for file 'x'")

    monkeypatch.setattr(sound_library, "touch_parts", touch)
    monkeypatch.setattr(sound_library, "set_compiler_cache", given.append)
    assert sound_library.load_librosa().__name__ == "librosa"
    assert len(asked) == 2 and len(given) == 1 and Path(given[0]).is_dir()


SCRIPT = """
import sys
print("begins", flush=True)
from cmir_ref.data.world import generate, object_scene
print(len({scene.scene_class for scene in generate(object_scene, [(0, k) for k in range(17)], workers=2)}))
"""


@pytest.mark.parametrize("how", ["a file", "standard input", "exec"])
def test_a_script_needs_no_main_guard(tmp_path, how):
    (tmp_path / "script.py").write_text(SCRIPT)
    words = {"a file": ["script.py"], "standard input": ["-"], "exec": ["-c", SCRIPT]}[how]
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENV,
        input=SCRIPT if how[0] == "s" else "",
    )
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines()[0] == "begins" and done.stdout.count("begins") == 1


BROKEN = """
import multiprocessing.synchronize as synchronize
def broken(*args, **settings): raise OSError(38, "Function not implemented")
synchronize.SemLock.__init__ = broken
"""
OWN = """
from cmir_ref.data.world import generate
def double(k): return 2 * k
print(list(generate(double, range(3), workers=2)), list(generate(lambda k: -k, range(3), workers=2)))
"""


def test_where_processes_cannot_be_started_one_does_the_work():
    done, usual = python(BROKEN + SCRIPT), python(SCRIPT)
    assert done.returncode == 0 and done.stdout == usual.stdout and usual.stderr == ""
    assert (
        done.stderr
        == "all work is done by one process: no other can be started ([Errno 38] Function not implemented)\n"
    )


def test_a_function_of_the_script_itself_stays_in_its_process():
    done = python(OWN)
    assert (done.returncode, done.stdout) == (0, "[0, 2, 4] [0, -1, -2]\n")
    assert done.stderr.count("all work is done by one process") == 2


def test_half_a_file_is_removed_whatever_ends_the_work(tmp_path):
    for error in (KeyboardInterrupt, SystemExit, MemoryError):
        with pytest.raises(error), whole_file(tmp_path / "x") as file:
            file.write(b"half")
            raise error
    assert list(tmp_path.iterdir()) == []
