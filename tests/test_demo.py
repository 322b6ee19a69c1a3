"""The demo: all scenarios on a page of their own, and what it refuses."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import worlds
from reports.test_report import Page

from cmir_ref import cli, demo, runs
from cmir_ref.config import load_config
from cmir_ref.data import cached_scenes, load_data, protocol_of
from cmir_ref.errors import InputError
from cmir_ref.reports.demo_page import choose_colours

SHORT = ("stage1.epochs=1", "stage1.batch_size=16", "stage1.average_views=false", "stage2.epochs=1")
SETTINGS = {"pan-mul": ("scenes=24", *SHORT)} | dict.fromkeys(("image-speech", "photo-sketch"), ("scenes=84", *SHORT))
SETTINGS["image-text"] = ("scenes=84", "match.epochs=1")


@pytest.fixture(scope="module", autouse=True)
def scenes(tmp_path_factory):
    """All demos here read the same scenes, which are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMIR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def shown(scenes, tmp_path_factory):
    """(folder, result) of a tiny demo."""
    out = tmp_path_factory.mktemp("runs") / "demo"
    return out, demo.demo(out, settings=SETTINGS, side_epochs=2)


def test_result_and_folders(shown):
    out, result = shown
    assert result.keys() == {*demo.DEMO_SCENARIOS, "seconds"} and result["seconds"] > 0
    json.dumps(result, allow_nan=False)
    assert sorted(p.name for p in out.iterdir()) == sorted([*demo.DEMO_SCENARIOS, "report.html"])
    for scenario in demo.DEMO_SCENARIOS:
        run = runs.load_run(out / scenario)
        assert runs.evaluate(run)["directions"] == result[scenario]["directions"]
        assert (out / scenario / "report.html").is_file()
    assert result["image-speech"]["protocol"] == "voices"


def test_everything_is_on_the_page(shown):
    out, result = shown
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text and "@import" not in text and not re.search(r"url\((?!#)", text)
    own = {f"{scenario}/report.html" for scenario in demo.DEMO_SCENARIOS}
    assert {link for link in page.links if not link.startswith(("data:", "#"))} == own
    for scenario in demo.DEMO_SCENARIOS:
        for m in result[scenario]["directions"].values():
            found = [m[name] for name in ("map", "chance", "p@10")]
            assert all(("–" if value is None else f"{value:.3f}") in page.text for value in found)
    for m in result["image-text"]["directions"].values():
        assert f"{m['r@10']:.3f}" in page.text
    two = {"image → caption", "caption → image"}
    two |= {"pan → mul", "mul → pan or mul", "image → speech", "speech → image or speech"}
    for name in two | {"sketch → photo", "photo → sketch"}:
        assert page.text.count(name) >= 2, f"{name}: in the table and with a gallery"
    assert page.tags.count("details") == 18
    assert page.tags.count("svg") == 3 * (3 + 1) + 1 + 2  # images and sentences: one stage, no space of their own
    assert page.tags.count("audio") > 20 and page.tags.count("img") > 200
    assert text.count("<li>") == 5
    assert "24 places" in page.text and "84 simulated aerial images" in " ".join(page.text.split())
    for words in ("collapse", "orthogonality", "without labels, α = 0", "principal component 1"):
        assert words in text  # letters of figures are outlines, but for a comment


def test_the_numbers_are_those_of_an_ordinary_run(shown):
    _, result = shown
    config = load_config("demo-pan-mul", SETTINGS["pan-mul"], seed=0)
    alone = runs.evaluate(runs.train(config, load_data(config), None))
    assert alone["directions"] == result["pan-mul"]["directions"]


# ---- the folder -----------------------------------------------------------------------------------------------------

REFUSED = "exists already; remove it, or give another --out"


def test_an_existing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=REFUSED):
        demo.demo(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_an_existing_folder(tmp_path):
    command = [sys.executable, "-m", "cmir_ref", "demo", "--out", tmp_path, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [f"error: {tmp_path}: {REFUSED}"]


@pytest.fixture
def stop(monkeypatch):
    """`stop(error)`: from now on the first training of a demo writes a file and ends with `error`."""
    monkeypatch.setattr(demo, "load_data", lambda *args, **settings: None)
    monkeypatch.setattr(demo, "worker_processes", lambda count: nullcontext(SimpleNamespace(submit=lambda *work: None)))

    def at_the_first_training(error):
        def train(config, data, out, **settings):
            out.mkdir(parents=True)
            (out / "config.toml").write_text(str(error))
            raise error

        monkeypatch.setattr(runs, "train", train)

    return at_the_first_training


def start(out, error):
    """What a demo tells when it is started and ends with `error`."""
    lines = []
    with pytest.raises(type(error)):
        demo.demo(out, tell=lines.append)
    return lines


def test_a_part_that_cannot_go_on_is_replaced_by_the_next_start(stop, tmp_path):
    out, left = tmp_path / "demo", f"{tmp_path / 'demo'}: left by a demo that was interrupted; it goes on"
    for k, error in enumerate((KeyboardInterrupt("first"), MemoryError("second"), KeyboardInterrupt("third"))):
        stop(error)
        assert start(out, error) == [left] * (k > 0)
        assert demo.is_unfinished_demo(out) and (out / "pan-mul" / "config.toml").read_text() == str(error)
    stop(InputError("bad data"))
    assert start(out, InputError()) == [left] and not out.exists(), "bad input leaves nothing half-written"


def test_the_command_says_so(stop, tmp_path, monkeypatch, capsys):
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["cmir-ref", "demo", "--out", str(tmp_path / "demo"), *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, list(filter(None, capsys.readouterr().err.splitlines()))

    stop(KeyboardInterrupt())
    interrupted = f"interrupted; the same command goes on with what is done ({tmp_path / 'demo'})"
    assert command() == (130, [interrupted])
    assert command("--set", "pan-mul.scenes=none")[0] == 2 and demo.is_unfinished_demo(tmp_path / "demo")
    status, lines = command()
    assert (status, len(lines)) == (130, 2) and lines[0].endswith("it goes on") and lines[1] == interrupted


def test_the_command_ends_with_the_line_that_serves_what_it_trained(tmp_path, monkeypatch, capsys):
    folders = [tmp_path / "my demo" / scenario for scenario in demo.DEMO_SCENARIOS]
    served = []
    monkeypatch.setattr(demo, "demo", lambda *args, **given: {"seconds": 1.0})
    monkeypatch.setattr(cli.training, "serve_page", lambda paths, **given: served.append((paths, given)))

    def command(*words):
        status = cli.run_command(["demo", "--out", str(tmp_path / "my demo"), "--json", *words])
        return status, capsys.readouterr().err.splitlines()

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    status, lines = command()
    assert status == 0 and served == []
    words = shlex.split(lines[-1].removeprefix("search it in a page: "))
    assert words == ["cmir-ref", "serve", *map(str, folders)]
    assert command("--serve")[0] == 0 and served == [(folders, {"device": "cpu"})]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, lines = command("--serve")
    assert status == 2 and lines[-1].endswith("pip install 'cmir-ref[app]'"), "before anything is trained"


def test_what_is_trained_stays_whatever_ends_a_demo(stop, tmp_path, monkeypatch):
    stop(None)

    def train(config, data, out, **settings):
        out.mkdir(parents=True)
        (out / "checkpoint.safetensors").write_bytes(b"an epoch")
        raise InputError(f"{out}: cannot be written (No space left on device)")

    monkeypatch.setattr(runs, "train", train)
    start(tmp_path / "demo", InputError())
    assert demo.is_unfinished_demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "pan-mul" / "checkpoint.safetensors").read_bytes() == b"an epoch"


@pytest.mark.parametrize("name", ["report.html", "mine.txt", ".hidden", "pan-mul.old"])
def test_a_folder_that_holds_anything_else_is_never_replaced(stop, tmp_path, name):
    stop(KeyboardInterrupt())
    start(tmp_path / "demo", KeyboardInterrupt())
    (tmp_path / "demo" / name).write_text("mine")
    with pytest.raises(InputError, match=REFUSED):
        demo.demo(tmp_path / "demo")
    assert (tmp_path / "demo" / name).read_text() == "mine" and (tmp_path / "demo" / "pan-mul").is_dir()


def watch_epochs(trained, stop=None):
    """What makes a watch that writes down the stage of each epoch that ends, and stops behind the `stop`th."""

    def on_epoch(epoch):
        trained.append(epoch.stage)
        if len(trained) == stop:
            raise worlds.Stop

    return lambda: nullcontext(SimpleNamespace(on_step=lambda *_: lambda *_: None, on_epoch=on_epoch))


@pytest.fixture
def one_process(monkeypatch):
    """All scenarios are trained in this process, where a watch can stop them."""
    monkeypatch.setattr(demo, "IN_ANOTHER_PROCESS", ())


def test_a_demo_that_was_interrupted_ends_where_a_whole_one_does(shown, tmp_path, one_process):
    """What is trained is not trained again."""
    first, then, lines, settings = [], [], [], {"settings": SETTINGS, "side_epochs": 2}
    with pytest.raises(worlds.Stop):
        demo.demo(tmp_path / "demo", watch=watch_epochs(first, 5), **settings)
    assert first == ["stage1.a", "stage1.b", "stage2", "stage1.a", "stage1.b"]
    assert demo.is_unfinished_demo(tmp_path / "demo") and demo.read_demo(tmp_path / "demo", settings=SETTINGS) is None
    again = demo.demo(tmp_path / "demo", watch=watch_epochs(then), tell=lines.append, **settings)
    assert lines == [f"{tmp_path / 'demo'}: left by a demo that was interrupted; it goes on"]
    assert then[:4] == ["stage2", "stage1.a", "stage1.b", "stage2"] and "match" in then
    assert not demo.is_unfinished_demo(tmp_path / "demo")
    for scenario in demo.DEMO_SCENARIOS:
        assert again[scenario]["directions"] == shown[1][scenario]["directions"]


def test_a_part_of_other_settings_begins_anew(tmp_path, one_process):
    first, then = [], []
    other = SETTINGS | {"pan-mul": (*SETTINGS["pan-mul"], "d_v=7")}
    with pytest.raises(worlds.Stop):
        demo.demo(tmp_path / "demo", settings=SETTINGS, watch=watch_epochs(first, 4))
    with pytest.raises(worlds.Stop):
        demo.demo(tmp_path / "demo", settings=other, watch=watch_epochs(then, 4))
    assert then == ["stage1.a", "stage1.b", "stage2", "stage1.b"], "the image's network of the second run was done"


def test_bad_input_of_the_other_process_is_one_line_and_what_is_trained_stays(tmp_path, monkeypatch):
    wrong = SETTINGS | {"image-speech": (*SETTINGS["image-speech"], f"speech={tmp_path / 'none'}")}
    with pytest.raises(InputError, match="none") as raised:
        demo.demo(tmp_path / "demo", settings=wrong, side_epochs=2)
    assert "\n" not in str(raised.value) and demo.is_unfinished_demo(tmp_path / "demo")
    before = (tmp_path / "demo" / "pan-mul" / "metrics.jsonl").read_text()

    def full(path, text):
        raise InputError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(demo, "write_whole", full)
    with pytest.raises(InputError, match="No space left"):
        demo.demo(tmp_path / "demo", settings=SETTINGS, side_epochs=2)
    assert all((tmp_path / "demo" / scenario / "report.html").is_file() for scenario in demo.DEMO_SCENARIOS)
    assert (tmp_path / "demo" / "pan-mul" / "metrics.jsonl").read_text() == before


def test_a_finished_demo_is_read_from_its_folder(shown, tmp_path):
    out, result = shown
    found = demo.read_demo(out, settings=SETTINGS)
    assert found.keys() == result.keys() and found["seconds"] > 0
    assert all(found[s] == result[s] for s in demo.DEMO_SCENARIOS)
    assert demo.read_demo(tmp_path) is None and demo.read_demo(tmp_path / "nothing") is None
    for changed in ({"seed": 1, "settings": SETTINGS}, {"settings": SETTINGS | {"image-text": ("scenes=84",)}}):
        with pytest.raises(InputError, match=r": a demo of other settings; remove .*demo, or give another --out"):
            demo.read_demo(out, **changed)


def test_seeds_that_are_finished_are_taken_and_the_others_go_on(shown, tmp_path, monkeypatch, capsys):
    """An interruption between two seeds, and one within the second."""
    out, result = shown
    words = ["demo", "--out", str(tmp_path / "out"), "--seeds", "2", "--json"]
    words += [word for s, changes in SETTINGS.items() for change in changes for word in ("--set", f"{s}.{change}")]
    asked, whole = [], demo.demo

    def train(folder, *, seed, watch, **given):
        asked.append(seed)
        assert not asked[1:] or seed == 1
        trained = []
        return whole(
            folder, seed=seed, side_epochs=2, watch=watch_epochs(trained, 2 if len(asked) == 1 else None), **given
        )

    monkeypatch.setattr(demo, "demo", train)
    shutil.copytree(out, tmp_path / "out" / "seed-0")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "seed-0").rglob("*")}
    with pytest.raises(worlds.Stop):
        cli.run_command(words)
    assert asked == [1] and demo.is_unfinished_demo(tmp_path / "out" / "seed-1")
    capsys.readouterr()
    assert cli.run_command(words) == 0
    shown_figures = json.loads(capsys.readouterr().out)
    assert asked == [1, 1] and not demo.is_unfinished_demo(tmp_path / "out" / "seed-1")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "seed-0").rglob("*")} == before
    for scenario in demo.DEMO_SCENARIOS:
        figures = shown_figures[f"demo-{scenario}"]
        assert figures["seeds"] == [0, 1]
        for d, m in figures["directions"].items():
            assert m["map"]["values"][0] == result[scenario]["directions"][d]["map"]
    assert cli.run_command(words) == 0 and asked == [1, 1], "both are taken"
    assert json.loads(capsys.readouterr().out) == shown_figures
    assert cli.run_command([*words, "--set", "pan-mul.d_v=7"]) == 2 and "seed-0" in capsys.readouterr().err


def test_a_folder_without_the_marker_is_never_replaced(tmp_path):
    for name in ("pan-mul", "image-speech"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=REFUSED):
        demo.demo(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image-speech", "pan-mul"]


def test_half_a_page_is_no_obstacle(stop, tmp_path):
    stop(KeyboardInterrupt())
    start(tmp_path / "demo", KeyboardInterrupt())
    (tmp_path / "demo" / ".report.html.123-0a1b2c3d.tmp").write_text("half")
    assert len(start(tmp_path / "demo", KeyboardInterrupt())) == 1


def test_a_demo_at_work_is_not_replaced_until_it_is_killed(stop, tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from cmir_ref.demo import demo_folder\n"
        "with demo_folder(Path(sys.argv[1]), print): print('at work', flush=True); time.sleep(600)"
    )
    at_work = subprocess.Popen([sys.executable, "-c", code, tmp_path / "demo"], stdout=subprocess.PIPE, text=True)
    try:
        assert at_work.stdout.readline() == "at work\n"
        with pytest.raises(InputError, match=rf"in use by another process \(pid {at_work.pid}\)"):
            demo.demo(tmp_path / "demo")
    finally:
        at_work.kill()
        at_work.wait()
    stop(KeyboardInterrupt())
    assert len(start(tmp_path / "demo", KeyboardInterrupt())) == 1


def test_a_place_that_cannot_be_written_is_one_line(stop, tmp_path):
    stop(KeyboardInterrupt())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"demo: cannot be written \(.*\); give another --out"):
        demo.demo(tmp_path / "file" / "demo")


def test_presets_say_what_the_demo_needs():
    for scenario in demo.DEMO_SCENARIOS:
        config = load_config(f"demo-{scenario}")
        assert (config.scenario, config.dataset) == (scenario, "scenes")
    config = load_config("demo-image-speech")
    assert config.speech == "bundled" and protocol_of(config) == "voices"


# ---- the experiments ------------------------------------------------------------------------------------------------


def test_orthogonality_empties_what_is_beside_the_diagonal():
    random = np.random.default_rng(0)
    labels = np.arange(96) % 4
    x = (np.eye(4)[labels] @ random.standard_normal((4, 20)) + 0.3 * random.standard_normal((96, 20))).astype("f4")
    config = load_config("demo-pan-mul")
    figure = demo.orthogonality_experiment(config, x, labels, 40)
    without, given = figure.off_diagonal.values()
    assert given < 0.5 * without and [gram.shape for gram in figure.grams.values()] == [(32, 32)] * 2
    assert demo.mean_off_diagonal(np.eye(3)) == 0 and demo.mean_off_diagonal(np.ones((3, 3))) == pytest.approx(1)


def test_shrunk_images_are_means_over_squares():
    x = np.arange(2 * 16 * 16 * 3, dtype=np.uint16).reshape(2, 16, 16, 3)
    small = demo.shrink_images(x, np.array([1]), 8).reshape(8, 8, 3)
    assert small[0, 0, 2] == x[1, :2, :2, 2].mean() and small[7, 3, 0] == x[1, 14:, 6:8, 0].mean()


def test_projection_is_on_the_axes_of_most_variance():
    random = np.random.default_rng(0)
    x = random.standard_normal((50, 6)) * (1, 9, 1, 3, 1, 1)
    (a, b), share = demo.principal_components([x[:20], x[20:]])
    assert a.shape == (20, 2) and b.shape == (30, 2) and 0.6 < share[0] < 1 and share[1] < share[0]
    both = np.concatenate([a, b])
    assert abs(np.corrcoef(both[:, 0], x[:, 1])[0, 1]) > 0.99
    assert np.isfinite(demo.principal_components([np.ones((3, 4)), np.ones((2, 4))])[1]).all()


def test_multi_label_samples_get_a_colour_only_where_it_is_unambiguous():
    images = np.zeros((9, 5), np.uint8)
    images[:4, 0] = images[4:8, 1] = images[2:6, 4] = 1
    colours = choose_colours([images, np.array([0, 1, 2, 4])])
    assert set(colours.classes) == {0, 1}, "2 and 3 never occur, 4 stands with both"
    back = dict(enumerate(colours.classes))
    assert [back.get(c) for c in colours.of[0].tolist()] == [0, 0, 0, 0, 1, 1, 1, 1, None]
    assert [back.get(c) for c in colours.of[1].tolist()] == [0, 1, None, None]


def test_without_labels_the_space_shrinks_at_alpha_0_alone(shown, monkeypatch, tmp_path):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path))
    out, _ = shown
    run = runs.load_run(out / "pan-mul")
    random = np.random.default_rng(0)
    z = {m: np.abs(random.standard_normal((24, 128))).astype("f4") for m in "ab"}
    figure = demo.collapse_experiment(run, z, 800)
    dead, alive, full = figure.norms.values()
    assert len(dead) == 801 and dead[-1] < 1e-2 * dead[0]
    assert alive[-1] > 20 * dead[-1] and full[-1] > 20 * dead[-1]
    assert all(0 <= value <= 1 for value in (figure.chance, *figure.map.values()))


def test_scenes_are_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path))
    config = load_config("demo-pan-mul", ["scenes=8"])
    load_data(config)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    load_data(config.model_copy(update={"seed": 9}))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    assert cached_scenes("land-cover", 8).parent == tmp_path
