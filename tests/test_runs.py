"""A run: its files, its resumption after any interruption, and what is read back from it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import drawn_worlds
import numpy as np
import pytest
import worlds
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from cmir_ref import backend, params, run_files, runs, search
from cmir_ref.config import load_config
from cmir_ref.contract import DIRECTIONS
from cmir_ref.data import load_data
from cmir_ref.errors import InputError
from cmir_ref.records import PARTS, Splits

FILES = ["checkpoint.safetensors", "config.toml", "embeddings.npz", "metrics.jsonl", "report.html"]


def lines_of(path: Path) -> list[dict]:
    """metrics.jsonl without the times, the one thing in it that may differ between two equal runs."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def assert_same_run(one: Path, other: Path) -> None:
    """All tensors and embeddings are equal bit for bit, and so is the log apart from times."""
    tensors, expected = load_file(one / "checkpoint.safetensors"), load_file(other / "checkpoint.safetensors")
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        assert tensors[name].dtype == array.dtype and tensors[name].tobytes() == array.tobytes(), name
    with np.load(one / "embeddings.npz") as a, np.load(other / "embeddings.npz") as b:
        assert a.files == b.files
        for name in b.files:
            assert a[name].tobytes() == b[name].tobytes(), name
    assert lines_of(one) == lines_of(other)


@pytest.fixture
def no_report(monkeypatch):
    """Leaves report.html out, which takes longer than a tiny run itself."""
    monkeypatch.setattr(runs, "write_report", lambda run, result, examples: None)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Data folder, run folder and run of tiny released data: images and speech features."""
    root = worlds.write_released(tmp_path_factory.mktemp("data"))
    out = tmp_path_factory.mktemp("runs") / "run"
    config = worlds.config("stage1.epochs=2", "stage2.epochs=2", "d_z=16")
    return root, out, runs.train(config, load_data(config, root), out)


# ---- files and reading them back ------------------------------------------------------------------------------------


def test_a_run_writes_these_files_and_no_others(released):
    _, out, run = released
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert load_config(out / "config.toml") == run.config
    text = (out / "config.toml").read_text()
    assert all(name in text for name in ("seed = 0", "# cmir-ref ", "# numpy ", "# Python "))


def test_metrics_have_a_line_an_epoch(released):
    lines = [json.loads(line) for line in (released[1] / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["epoch"]) for line in lines] == [
        (stage, epoch) for stage in ("stage1.a", "stage1.b", "stage2") for epoch in (1, 2)
    ]
    for line in lines:
        parts = (
            {"loss", "ce", "orthogonality"}
            if line["stage"] != "stage2"
            else {"loss", "alignment", "classification", "feature_norm", "reconstruction", "regulariser"}
        )
        assert line["parts"].keys() == parts
        assert line["seconds"] > 0 and line["lr"] > 0 and "score" in line["validation"]
    weights = released[2].config.weights.model_dump()
    parts = lines[-1]["parts"]
    assert parts["loss"] == pytest.approx(
        sum(weights[name] * part for name, part in parts.items() if name != "loss"), rel=1e-4
    )


def test_a_run_read_back_evaluates_the_same(released):
    _, out, run = released
    loaded = runs.load_run(out)
    assert json.dumps(runs.evaluate(loaded)) == json.dumps(runs.evaluate(run))
    assert loaded.history == run.history and run.seconds > 0
    assert runs.evaluate(loaded, "all") != runs.evaluate(loaded)


def test_an_evaluation_says_what_was_evaluated(released):
    found = runs.evaluate(released[2])
    assert tuple(found["directions"]) == DIRECTIONS
    assert (found["scenario"], found["protocol"], found["gallery"], found["d_v"]) == (
        "image-speech",
        "paper",
        "test",
        6,
    )
    assert found["split"] == {"train": [8, 255], "validation": [4, 255], "test": [8, 255]}
    assert found["directions"]["a->b"]["queries"] == 8 and found["directions"]["b->a"]["without_relevant"] > 0


def test_a_query_never_finds_itself():
    run = runs.train(worlds.config(), worlds.features(n=20))
    v = {"a": np.arange(20.0)[:, None] ** 2, "b": run.encoded["b"]["v"][:, :1]}
    labels = np.repeat(np.arange(10), 2)  # every second item belongs to the one before
    a = run.dataset.modalities["a"]._replace(labels=labels)
    twins = run._replace(
        encoded={m: {"v": v_m} for m, v_m in v.items()},
        dataset=run.dataset._replace(modalities=run.dataset.modalities | {"a": a}, label_names=tuple("abcdefghij")),
        parts=Splits(*({"a": np.arange(20), "b": np.arange(24)} for _ in PARTS)),
    )
    found = runs.evaluate(twins)["directions"]["a->a"]
    assert found["queries"] == 20 and found["p@50"] == pytest.approx(1 / 19)  # one relevant item each, itself left out


@pytest.mark.parametrize(
    "changes",
    [(), ("stage1.average_views=true",), ("stages=joint",), ("stages=end-to-end",)],
    ids=lambda changes: "".join(changes) or "separate",
)
def test_a_query_alone_is_embedded_as_in_its_batch(released, changes):
    root, _, run = released
    if changes:
        config = worlds.config("stage1.epochs=1", "stage2.epochs=2", "normalise_features=standardise", *changes)
        run = runs.train(config, load_data(config, root))
    images = run.dataset.modalities["a"]
    row = run.parts.test["a"][3]
    for modality, query, stored in (
        ("a", images.paths[row], run.encoded["a"]["v"][row]),
        ("b", f"{root / 'speech.mat'}:17", run.encoded["b"]["v"][17]),
    ):
        encoded, name = search.encode_query(run, query, modality)
        np.testing.assert_allclose(encoded["v"][0], stored, rtol=1e-4, atol=1e-5 * np.abs(run.encoded["a"]["v"]).max())
        assert search.guess_modality(run, query) == modality
        assert name == ("speech.mat:17" if modality == "b" else images.ids[row])


def test_retrieval_is_the_nearest_of_the_gallery(released):
    root, out, _ = released
    run = runs.load_run(out)
    images = run.dataset.modalities["a"]
    row = run.parts.test["a"][3]
    hits = search.retrieve(run, images.paths[row], "b", 7)
    distances = np.linalg.norm(run.encoded["b"]["v"] - run.encoded["a"]["v"][row], axis=1)
    assert [hit.rank for hit in hits] == list(range(1, 8)) and {hit.modality for hit in hits} == {"b"}
    np.testing.assert_allclose([hit.distance for hit in hits], np.sort(distances)[:7], rtol=1e-3, atol=1e-3)
    place = run.dataset.modalities["b"].ids.index(hits[0].id)
    assert distances[place] == pytest.approx(hits[0].distance, abs=1e-3)
    assert hits[0].labels == (hits[0].id[:-2],) and hits[0].path == f"{(root / 'speech.mat').resolve()}:{place}"


def test_a_pair_made_of_one_file_finds_its_counterpart(released):
    _, out, _ = released
    run = runs.load_run(out)
    images, row = run.dataset.modalities["a"], run.parts.test["a"][0]
    twins = run._replace(
        encoded=dict.fromkeys("ab", run.encoded["a"]),
        dataset=run.dataset._replace(modalities=dict.fromkeys("ab", images)),
        parts=Splits(*(dict.fromkeys("ab", rows["a"]) for rows in run.parts)),
    )
    hits = search.retrieve(twins, images.paths[row], "all", 1)
    assert [(hit.modality, hit.id) for hit in hits] == [("b", images.ids[row])]


def test_retrieval_leaves_the_query_itself_out(released, monkeypatch):
    root, out, _ = released
    run = runs.load_run(out)
    images = run.dataset.modalities["a"]
    test = run.parts.test["a"]
    query = Path(images.paths[test[0]])
    hits = search.retrieve(run, query, "a", 100)
    assert len(hits) == len(test) - 1 and images.ids[test[0]] not in {hit.id for hit in hits}
    monkeypatch.chdir(query.parent)
    assert search.retrieve(run, query.name, "a", 100) == hits
    everything = search.retrieve(run, query, "all", 1000)
    assert len(everything) == len(test) - 1 + 255 and {hit.modality for hit in everything} == {"a", "b"}
    assert [hit.distance for hit in everything] == sorted(hit.distance for hit in everything)
    assert len(search.retrieve(run, query, "a", 1000, gallery="all")) == 19
    speech = search.retrieve(run, f"{root / 'speech.mat'}:17", "b", 1000)
    assert len(speech) == 254 and run.dataset.modalities["b"].ids[17] not in {hit.id for hit in speech}


def test_paths_hold_wherever_the_run_is_read(tmp_path, monkeypatch, no_report):
    """`--data .` must not leave paths behind that hold in one folder only."""
    worlds.write_released(tmp_path / "data")
    monkeypatch.chdir(tmp_path / "data")
    config = worlds.config("stage1.epochs=1", "stage2.epochs=1")
    runs.train(config, load_data(config, "."), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    run = runs.load_run("run")
    paths = run.dataset.modalities["a"].paths
    assert all(Path(path).is_file() for path in paths)
    test = run.parts.test["a"]
    assert len(search.retrieve(run, paths[test[0]], "a", 100)) == len(test) - 1


def test_a_query_of_an_unknown_kind(released):
    with pytest.raises(InputError, match=r"a\.wav: looks like sound, but this run holds image \(a\) and features"):
        search.retrieve(released[2], "a.wav")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: runs.evaluate(run, "x"), "x: no part of a run; it is one of train, validation, test, all"),
        (lambda run: runs.evaluate(run, queries="y"), "y: no part of a run"),
        (lambda run: search.retrieve(run, run.dataset.modalities["a"].paths[0], "c"), r"c: no modality .* has a \("),
        (lambda run: search.retrieve(run, "a.tif", modality="c"), "c: no modality of this run"),
        (lambda run: search.retrieve(run, "a.tif", modality="ab"), "ab: no modality of this run"),
    ],
)
def test_a_part_or_a_letter_that_a_run_does_not_have(released, ask, words):
    with pytest.raises(InputError, match=words):
        ask(released[2])


def test_a_colon_in_a_file_name_is_no_row(released):
    with pytest.raises(InputError, match="looks like sound"):  # and not like an image, of which this run has some
        search.guess_modality(released[2], "rec 12:30.wav")


def test_images_and_recordings(tmp_path):
    """Two convolution pretrainers, the default protocol of recordings, and a sound as a query."""
    root = worlds.write_ucmerced(tmp_path)
    speech = worlds.write_speech(tmp_path / "speech")
    config = worlds.config("stage1.epochs=1", "stage2.epochs=1", f"speech={speech}", "protocol=auto")
    run = runs.train(config, load_data(config, root))
    assert runs.evaluate(run)["protocol"] == "voices"
    query = run.parts.test["b"][0]
    path = run.dataset.modalities["b"].paths[query]
    encoded, _ = search.encode_query(run, path, search.guess_modality(run, path))
    np.testing.assert_allclose(encoded["v"][0], run.encoded["b"]["v"][query], rtol=1e-3, atol=1e-4)
    assert len(search.retrieve(run, path, "b", 100)) == 16


# ---- interruption and resumption ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """`whole(*changes)`: the folder of an uninterrupted run, and its data and settings."""
    made = {}

    def of(*changes, data=worlds.features):
        if changes not in made:
            config, world = worlds.config(*changes), data()
            out = tmp_path_factory.mktemp("whole") / "run"
            runs.train(config, world, out)
            made[changes] = out, world, config
        return made[changes]

    return of


@pytest.mark.parametrize("stage", ["stage1.a", "stage1.b", "stage2"])
@pytest.mark.parametrize("epoch, within", [(0, True), (1, False), (1, True), (2, False), (2, True), (3, False)])
def test_resumed_after_any_epoch(whole, tmp_path, no_report, stage, epoch, within):
    out, data, config = whole()
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt(stage, epoch, within=within))
    assert not (tmp_path / "run" / "embeddings.npz").exists()
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


SEEN_AND_MIXED = (
    *("stage1.augment=true", "stage1.light=0.2", "stage1.crops=0.6", "stage1.cut_out=0.3", "stage1.mix_up=0.4"),
    *("stage1.label_smoothing=0.1", "stage1.epochs=2", "stage1.batch_size=4", "stage2.epochs=1"),
)


@pytest.mark.parametrize("within", [True, False])
def test_images_seen_anew_and_mixed_and_resumed(whole, tmp_path, no_report, within):
    out, data, config = whole(*SEEN_AND_MIXED, data=lambda: worlds.pictures(18))
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage1.a", 1, within=within))
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


def test_a_run_that_was_written_before_there_were_these_settings(whole, tmp_path, no_report):
    """Its config.toml lacks them: each is at what changes nothing."""
    out, data, config = whole()
    shutil.copytree(out, tmp_path / "run")
    path, names = tmp_path / "run" / "config.toml", ("light", "crops", "cut_out", "mix_up", "label_smoothing")
    lines = path.read_text().splitlines(keepends=True)
    left = [line for line in lines if line.split(" =")[0] not in names]
    assert len(left) == len(lines) - len(names)
    path.write_text("".join(left))
    assert runs.load_run(tmp_path / "run").config == config
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


@pytest.mark.parametrize("changes", [("stages=joint",), ("stages=end-to-end", "stage1.augment=true")])
@pytest.mark.parametrize("epoch", [1, 2])
def test_trained_at_once_and_resumed(whole, tmp_path, no_report, changes, epoch):
    short = ("stage1.epochs=1", "latent_dropout=both", "update=alternating", *changes)
    out, data, config = whole(*short, data=lambda: worlds.pictures(18))
    stages = {line["stage"] for line in lines_of(out)}
    assert stages == ({"stage1.a", "stage2"} if "joint" in changes[0] else {"stage2"})
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage2", epoch))
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


def test_joint_and_end_to_end_train_the_pretrainers_along(whole):
    for changes, fronts in ((("stages=joint",), "ab"), (("stages=end-to-end",), "ab")):
        run = runs.train(worlds.config("stage2.epochs=1", *changes), worlds.features())
        before = runs.train(worlds.config("stage2.epochs=1", "stage2.lr=1e-12", *changes), worlds.features())
        for m in fronts:
            name = f"stage2/params/front_{m}.fc.w"
            assert not np.allclose(run.tensors[name], before.tensors[name], atol=1e-4)


def test_a_run_in_memory_is_the_run_on_disk(whole):
    out, data, config = whole()
    run = runs.train(config, data)
    assert run.path is None
    stored = load_file(out / "checkpoint.safetensors")
    assert run.tensors.keys() == stored.keys()
    assert all(np.array_equal(run.tensors[name], stored[name]) for name in stored)


def test_a_finished_run_resumed_is_the_same(whole, tmp_path, no_report):
    out, data, config = whole()
    runs.train(config, data, tmp_path / "run")
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


def test_killed_between_log_and_checkpoint(whole, tmp_path, no_report, monkeypatch):
    """metrics.jsonl is one line ahead of the checkpoint: it is cut."""
    out, data, config = whole()
    real, saved = params.save_tensors, []

    def save(*args):
        saved.append(1)
        if len(saved) == 6:  # within stage 1.b
            raise worlds.Stop
        real(*args)

    monkeypatch.setattr(params, "save_tensors", save)
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run")
    _, metadata = params.load_tensors(tmp_path / "run" / "checkpoint.safetensors")
    assert len(lines_of(tmp_path / "run")) == int(metadata["lines"]) + 1
    monkeypatch.setattr(params, "save_tensors", real)
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


def test_killed_before_the_first_checkpoint(whole, tmp_path, no_report):
    out, data, config = whole()
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage1.a", 0, within=True))
    (tmp_path / "run" / "metrics.jsonl").write_text('{"stage": "stage1.a", "epoch": 1, "par')
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)


def test_killed_before_the_settings_were_written(whole, tmp_path, no_report):
    out, data, config = whole()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.toml.123-0a1b2c3d.tmp").write_text("scena")
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [f for f in FILES if f != "report.html"]


def test_half_written_files_do_no_harm(whole, tmp_path, no_report):
    out, data, config = whole()
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage1.b", 2))
    for name in ("checkpoint.safetensors", "embeddings.npz", "metrics.jsonl"):
        (tmp_path / "run" / f".{name}.123-0a1b2c3d.tmp").write_bytes(b"\x00half")
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"stage": "stage1.b", "epo')
    runs.train(config, data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", out)
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_a_checkpoint_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    params.save_tensors(path, {"w": np.ones(3)}, {"n": "1"})
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(InputError, match=r"checkpoint\.safetensors: cannot be written \(disk full\)"):
        params.save_tensors(path, {"w": np.zeros(3)}, {"n": "2"})
    tensors, metadata = params.load_tensors(path)
    assert tensors["w"].tolist() == [1, 1, 1] and metadata == {"n": "1"}


def test_other_settings_are_refused(whole, tmp_path):
    out, data, config = whole()
    with pytest.raises(InputError, match=r"config\.toml: seed differs from the settings given"):
        runs.train(worlds.config("seed=1"), data, out, resume=True)
    with pytest.raises(InputError, match=r"config\.toml: stage2\.lr differs from the settings given"):
        runs.train(worlds.config("stage2.lr=0.1"), data, out, resume=True)
    with pytest.raises(InputError, match="exists already"):
        runs.train(config, data, out)
    with pytest.raises(InputError, match="nothing"):
        runs.train(config, data, tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("here", "there", "other"),
    [
        ("speech=/here/words", "speech=/there/my words", "speech=bundled"),
        ("sketches=mine", "sketches=/there/mine", "sketches=canny"),
        ('sensors=["/here/pan", "mul"]', 'sensors=["/there/pan", "/there/mul"]', 'sensors=["sar", "mul"]'),
    ],
)
def test_a_run_goes_on_where_its_samples_were_moved(whole, tmp_path, no_report, here, there, other):
    """They are known by what they are; the settings say where they are now."""
    out, data, _ = whole()
    name = here.partition("=")[0]
    for epoch, within in ((1, False), (0, True)):
        path = tmp_path / f"run{epoch}"
        with pytest.raises(worlds.Stop):
            runs.train(worlds.config(here), data, path, watch=worlds.Interrupt("stage1.a", epoch, within=within))
        with pytest.raises(InputError, match=f"{name} differs from the settings given"):
            runs.train(worlds.config(other), data, path, resume=True)
        if epoch:
            with pytest.raises(InputError, match="began with other samples"):
                runs.train(worlds.config(there), worlds.features(n=24), path, resume=True)
        runs.train(worlds.config(there), data, path, resume=True)
        run = runs.load_run(path)
        np.testing.assert_array_equal(run.encoded["b"]["v"], runs.load_run(out).encoded["b"]["v"])
        assert getattr(run.config, name) == getattr(worlds.config(there), name)


def test_resuming_nothing_is_said(tmp_path):
    """A folder that is not there, one that is no run, a file, and no folder at all: each in its own words."""
    data, config = worlds.features(), worlds.config()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"1")
    (tmp_path / "file").write_bytes(b"1")
    for out, says in (
        (tmp_path / "gone", "gone: no such run folder: nothing to resume; leave out --resume to begin"),
        (tmp_path / "photos", "photos: not a run folder, it has no config.toml: nothing to resume"),
        (tmp_path / "file", "file: not a run folder"),
        (None, "nothing to resume: name the run folder"),
    ):
        with pytest.raises(InputError, match=says):
            runs.train(config, data, out, resume=True)
    assert [path.name for path in sorted((tmp_path / "photos").iterdir())] == ["a.jpg"]


class Files:
    """Samples that are read when they are asked for, as those of an HDF5 file."""

    def __init__(self, x):
        self.x, self.shape, self.dtype, self.ndim = x, x.shape, x.dtype, x.ndim

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return self.x[rows]


@pytest.mark.parametrize("letter", ["a", "b"])
@pytest.mark.parametrize("kind", [np.asarray, Files])
def test_other_pixels_under_the_same_names_are_said(tmp_path, letter, kind):
    """One number of one sample is enough; a sample of the other modality too. Earlier runs had no such digest."""
    config, data = worlds.config(), worlds.features(n=20)
    data = data._replace(modalities={m: v._replace(x=kind(np.array(v.x))) for m, v in data.modalities.items()})
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage1.b", 1))
    modality = data.modalities[letter]
    x = np.array(modality.x[np.arange(len(modality.x))])
    x[7, 0] += 1
    changed = data._replace(modalities=data.modalities | {letter: modality._replace(x=kind(x))})
    with pytest.raises(InputError, match="other pixels or numbers under the same names; resume"):
        runs.train(config, changed, tmp_path / "run", resume=True)
    tensors, metadata = params.load_tensors(tmp_path / "run" / "checkpoint.safetensors")
    metadata["data"] = metadata["data"].partition("-")[0]
    params.save_tensors(tmp_path / "run" / "checkpoint.safetensors", tensors, metadata)
    assert runs.train(config, data, tmp_path / "run", resume=True).path == tmp_path / "run"


def test_a_run_keeps_how_deep_images_were_shown(whole, tmp_path):
    out, *_ = whole()
    run = runs.load_run(out)
    assert all(modality.span is None for modality in run.dataset.modalities.values())
    modalities = run.dataset.modalities | {"a": run.dataset.modalities["a"]._replace(span=(0.0, 4095.0))}
    run = run._replace(dataset=run.dataset._replace(modalities=modalities))
    run_files.write_embeddings(tmp_path / "embeddings.npz", run)
    encoded, dataset, *_ = run_files.read_embeddings(tmp_path / "embeddings.npz")
    assert dataset.modalities["a"].span == (0, 4095) and dataset.modalities["b"].span is None
    assert "span" not in encoded["a"]


@pytest.mark.parametrize("stage", ["stage1.a", "stage2"])
def test_a_killed_process_resumes_bit_for_bit(released, killed_whole, tmp_path, stage):
    """kill -9 of a real process; the command line resumes it and ends where an uninterrupted one ended."""
    root, whole, command = released[0], *killed_whole
    for attempt in range(5):  # should the machine let it finish before the kill, again
        out = tmp_path / f"run{attempt}"
        process = subprocess.Popen([*command, "--data", root, "--out", out], stderr=subprocess.DEVNULL)
        wait_until(lambda out=out: sum(f'"stage": "{stage}"' in line for line in text_of(out)) >= 2, process)
        os.kill(process.pid, signal.SIGKILL)
        if process.wait() == -signal.SIGKILL and f'"stage": "{stage}"' in text_of(out)[-1]:
            break
    else:
        pytest.fail(f"never killed within {stage}")
    done = len(text_of(out))
    assert done < len(text_of(whole)) and not (out / "embeddings.npz").exists()
    refused = subprocess.run([*command, "--data", root, "--out", out], capture_output=True, text=True)
    assert (refused.returncode, "exists already" in refused.stderr) == (2, True)
    subprocess.run([*command, "--data", root, "--out", out, "--resume"], check=True, capture_output=True)
    assert_same_run(out, whole)
    assert sorted(p.name for p in out.iterdir()) == FILES


@pytest.fixture(scope="module")
def killed_whole(released, tmp_path_factory):
    """(folder of a run by the command line that nobody killed, the command)."""
    out = tmp_path_factory.mktemp("command") / "whole"
    changes = worlds.overrides("stage1.epochs=12", "stage2.epochs=12", "d_z=64", "stage1.batch_size=8")
    command = [sys.executable, "-m", "cmir_ref", "train", "image-speech", "--json"]
    command += [part for change in changes for part in ("--set", change)]
    subprocess.run([*command, "--data", released[0], "--out", out], check=True, capture_output=True)
    return out, command


def text_of(out: Path) -> list[str]:
    path = out / "metrics.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def wait_until(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


OLD_NAMES = {
    "alignment": "l2",
    "classification": "l3",
    "feature_norm": "l4",
    "reconstruction": "l5",
    "regulariser": "r",
}


def test_a_run_that_an_earlier_version_wrote_is_read(copy):
    """Weights had numbers for names, and the tensors of stage 2 began with "latent."."""
    run = runs.load_run(copy)
    head, weights, tail = re.split(r"(?<=\[weights\]\n)([^\[]*)", (copy / "config.toml").read_text())
    weights = re.sub("contrastive = .*\n", "", weights)  # a term that came later
    for name, old in OLD_NAMES.items():
        weights = weights.replace(f"{name} = ", f"{old} = ")
    (copy / "config.toml").write_text(head + weights + tail)
    assert {line.split(" = ")[0] for line in weights.split("\n") if line} == set(OLD_NAMES.values())
    with safe_open(copy / "checkpoint.safetensors", "np") as file:
        metadata = file.metadata()
    tensors = load_file(copy / "checkpoint.safetensors")
    tensors = {re.sub("^(stage2/(params|buffers)/)", r"\1latent.", name): array for name, array in tensors.items()}
    assert any("/latent.encoder_a" in name for name in tensors)
    save_file(tensors, copy / "checkpoint.safetensors", metadata)
    old = runs.load_run(copy)
    assert old.config == run.config and old.tensors.keys() == run.tensors.keys()
    assert runs.evaluate(old) == runs.evaluate(run)


def test_weights_that_are_no_table_are_refused(copy):
    text = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text("weights = 3\n" + re.sub(r"\[weights\]\n[^\[]*", "", text))
    with pytest.raises(InputError, match=r"config\.toml: weights: "):
        runs.load_run(copy)


# ---- missing and damaged files --------------------------------------------------------------------------------------


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of a finished run that a test may damage."""
    out = tmp_path / "copy"
    out.mkdir()
    for path in whole()[0].iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


@pytest.mark.parametrize("name", ["config.toml", "checkpoint.safetensors", "embeddings.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_damaged_files_are_named(copy, name, damage):
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        half = content[: len(content) // 2] + (b" = [" if name == "config.toml" else b"")
        path.write_bytes({"empty": b"", "truncated": half, "garbage": b"\xff\xfe\x00 not this"}[damage])
    with pytest.raises(InputError) as caught:
        runs.load_run(copy)
    assert "\n" not in str(caught.value) and (name in str(caught.value) or name == "config.toml")


def test_a_checkpoint_of_something_else_is_refused(copy, whole):
    save_file({"w": np.ones(3)}, copy / "checkpoint.safetensors")
    for use in (lambda: runs.load_run(copy), lambda: runs.train(*whole()[:0:-1], copy, resume=True)):
        with pytest.raises(InputError, match=r"checkpoint\.safetensors"):
            use()


def test_a_run_without_its_checkpoint_is_not_trained_anew_in_silence(copy, whole, tmp_path, no_report):
    out, data, config = whole()
    (copy / "checkpoint.safetensors").unlink()
    for lost in ((), ("embeddings.npz",)):
        for name in lost:
            (copy / name).unlink()
        before = {path.name: path.read_bytes() for path in copy.iterdir() if path.name != "config.toml"}
        with pytest.raises(InputError, match=r"checkpoint\.safetensors: missing, though more than one epoch"):
            runs.train(config, data, copy, resume=True)
        assert all((copy / name).read_bytes() == content for name, content in before.items())
    first = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)[0]
    (copy / "metrics.jsonl").write_text(first)  # killed between this line and the checkpoint of the first epoch
    runs.train(config, data, copy, resume=True)
    assert_same_run(copy, out)


def test_an_unfinished_run_is_not_evaluated(whole, tmp_path):
    _, data, config = whole()
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage2", 1))
    with pytest.raises(InputError, match=r"not finished, resume it with train --resume"):
        runs.load_run(tmp_path / "run")


def test_a_lost_log_does_no_harm(copy):
    (copy / "metrics.jsonl").unlink()
    assert runs.load_run(copy).history == []


def test_lines_that_are_lost_of_a_log_are_said(whole, copy, capsys):
    _, data, config = whole()
    lines = (copy / "metrics.jsonl").read_text().splitlines()
    (copy / "metrics.jsonl").write_text("\n".join([*lines[:2], "5", "null", "[1]", "{}", *lines[2:-3]]) + "\n")
    again = runs.train(config, data, copy, resume=True)
    assert f"{copy}/metrics.jsonl: 3 epochs of this run are lost" in capsys.readouterr().err
    assert again.history == [json.loads(line) for line in lines[:-3]]


def test_the_log_of_another_run_is_not_taken(whole, copy, tmp_path, no_report):
    """As many epochs, of another seed: its curves would be shown as those of this run."""
    _, data, config = whole()
    other = runs.train(config.model_copy(update={"seed": 9}), data, tmp_path / "other").path
    (copy / "metrics.jsonl").write_bytes((other / "metrics.jsonl").read_bytes())
    for use in (lambda: runs.load_run(copy), lambda: runs.train(config, data, copy, resume=True)):
        with pytest.raises(InputError, match=r"metrics\.jsonl: not the epochs of this run; put back its own file"):
            use()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metrics.jsonl", "a folder; give a file"),
        ("checkpoint.safetensors", r"not a readable safetensors file \(it is a folder\)"),
    ],
)
def test_a_folder_in_place_of_a_file_is_named(copy, name, said):
    (copy / name).unlink()
    (copy / name).mkdir()
    with pytest.raises(InputError, match=rf"{name}: {said}"):
        runs.load_run(copy)


@pytest.mark.parametrize(("name", "value"), [("seconds", "x"), ("lines", "1.5"), ("state", "{"), ("settings", "d_v")])
def test_a_checkpoint_with_other_words_about_it_is_refused(whole, copy, name, value):
    tensors, metadata = params.load_tensors(copy / "checkpoint.safetensors")
    params.save_tensors(copy / "checkpoint.safetensors", tensors, metadata | {name: value})
    for use in (lambda: runs.load_run(copy), lambda: runs.train(*whole()[:0:-1], copy, resume=True)):
        with pytest.raises(InputError, match=r"checkpoint\.safetensors: not a checkpoint that"):
            use()


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "embeddings.npz"])
def test_files_of_two_runs_are_not_read_as_one(copy, tmp_path, no_report, monkeypatch, name):
    read = runs.read_embeddings
    monkeypatch.setattr(runs, "read_embeddings", lambda path: (*read(path)[:3], ""))  # as earlier versions wrote them
    other = runs.train(worlds.config(), worlds.features(n=28), tmp_path / "other").path
    assert runs.load_run(other).path == other
    (copy / name).write_bytes((other / name).read_bytes())
    with pytest.raises(InputError, match=r"embeddings\.npz and checkpoint\.safetensors are of different runs"):
        runs.load_run(copy)


def test_files_of_two_runs_of_the_same_data_are_not_read_as_one(whole, copy, tmp_path, no_report):
    """Other settings, the same samples and split: the figures would be those of the other run."""
    _, data, config = whole()
    other = runs.train(worlds.config("stage2.lr=0.02"), data, tmp_path / "other").path
    before = (copy / "embeddings.npz").read_bytes()
    (copy / "embeddings.npz").write_bytes((other / "embeddings.npz").read_bytes())
    with pytest.raises(InputError, match=r"embeddings\.npz and checkpoint\.safetensors are of different runs"):
        runs.load_run(copy)
    (copy / "embeddings.npz").write_bytes(before)
    (copy / "checkpoint.safetensors").write_bytes((other / "checkpoint.safetensors").read_bytes())
    began = r"checkpoint\.safetensors: began with another stage2\.lr than config\.toml has"
    with pytest.raises(InputError, match=began):
        runs.train(config, data, copy, resume=True)


@pytest.mark.parametrize(
    ("setting", "other", "named"),
    [("d_v", "12", "d_v"), ("normalise_inputs", '"none"', "normalise_inputs"), ("lr", "0.5", "stage1.lr")],
)
def test_settings_that_were_changed_after_the_training_are_refused(copy, setting, other, named):
    text = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(re.sub(f"^{setting} = .*$", f"{setting} = {other}", text, flags=re.MULTILINE))
    with pytest.raises(InputError, match=rf"config\.toml: {named} is not what the run was trained with; put that back"):
        runs.load_run(copy)


def test_a_damaged_file_of_results_is_written_again(whole, copy, no_report):
    _, data, config = whole()
    before = (copy / "embeddings.npz").read_bytes()
    (copy / "report.html").write_text("")
    assert runs.load_finished(config, data, copy).path == copy
    (copy / "embeddings.npz").write_bytes(before[:99])
    assert runs.load_finished(config, data, copy) is None
    runs.train(config, data, copy, resume=True)
    assert runs.evaluate(runs.load_run(copy)) == runs.evaluate(runs.load_run(whole()[0]))


def test_a_folder_of_several_seeds_is_no_run_and_says_what_is(whole, tmp_path):
    _, data, config = whole()
    (tmp_path / "seed-3").mkdir()
    (tmp_path / "seed-3" / "config.toml").write_text("")
    for use in (lambda: runs.load_run(tmp_path), lambda: runs.train(config, data, tmp_path, resume=True)):
        with pytest.raises(InputError, match=r"no config\.toml.*seed-3 in it is one; .*with --seeds"):
            use()
    with pytest.raises(InputError, match="gone: no such folder; name a run folder"):
        runs.load_run(tmp_path / "gone")


def test_settings_that_an_editor_marked_as_utf_8_are_read(copy):
    config, text = runs.load_run(copy).config, (copy / "config.toml").read_bytes()
    (copy / "config.toml").write_bytes(b"\xef\xbb\xbf" + text)
    assert runs.load_run(copy).config == config


def test_resuming_with_other_data_is_refused(tmp_path):
    class Stop(Exception):
        pass

    class Watch:
        def on_step(self, *_):
            return None

        def on_epoch(self, epoch):
            raise Stop

    config = worlds.config()
    with pytest.raises(Stop):
        runs.train(config, worlds.features(n=20), tmp_path / "run", watch=Watch())
    with pytest.raises(InputError, match="other samples"):
        runs.train(config, worlds.features(n=24), tmp_path / "run", resume=True)
    assert runs.train(config, worlds.features(n=20), tmp_path / "run", resume=True).path == tmp_path / "run"


def test_images_that_one_network_does_not_take_are_refused_before_another_learns(tmp_path):
    """Not behind the whole of stage1.a, whose images it takes."""
    data = worlds.pictures()
    a, x = data.modalities["a"], np.ones((len(data.modalities["b"].x), 16, 24, 4), np.uint8)
    b = data.modalities["b"]._replace(kind="image", x=x, paths=tuple(f"DSRSID.mat:{k}" for k in range(len(x))))
    with pytest.raises(InputError, match=r"DSRSID\.mat:0: images of 16 × 24: the smaller side must be 64"):
        runs.train(
            worlds.config(),
            data._replace(modalities={"a": a, "b": b}),
            tmp_path / "run",
            watch=worlds.Interrupt("stage1.a", 1),
        )
    assert not (tmp_path / "run").exists()


# ---- what is random -------------------------------------------------------------------------------------------------

DRAWING = ("seed=3", "stage1.epochs=2", "stage2.epochs=2", "stage1.augment=true", "stage2.feature_dropout=0.2")
OF_WORDS = ("seed=3", "d=6", "word_width=5", "labels.epochs=2", "match.epochs=2", "pretrain=true", "match.augment=true")
ALL_DRAWN = {  # settings and data of which much is drawn
    "separate": (worlds.config(*DRAWING), worlds.pictures),
    "two of a kind": (worlds.config(*DRAWING), lambda: of_a_kind(worlds.pictures())),
    "end to end": (worlds.config(*DRAWING[:-1], "stages=end-to-end"), lambda: of_a_kind(worlds.pictures())),
    "photo and sketch": (drawn_worlds.config(*DRAWING), drawn_worlds.data),
    "image and text": (load_config("image-text", OF_WORDS), worlds.captioned),
}


def of_a_kind(data):
    """The data with a's images for both modalities."""
    return data._replace(modalities=dict.fromkeys("ab", data.modalities["a"]), pairing=None)


@pytest.mark.parametrize("case", ALL_DRAWN)
def test_nothing_is_drawn_from_the_random_numbers_of_something_else(case, monkeypatch):
    """Each epoch has its own of everything, each network its own to begin with, all of the run's seed."""
    (config, data), asked, right = ALL_DRAWN[case], [], backend.generator

    def generator(seed, *purpose):
        asked.append((seed, *purpose))
        return right(seed, *purpose)

    data = data()
    for name, module in list(sys.modules.items()):
        if name.startswith("cmir_ref.") and vars(module).get("generator") is right:
            monkeypatch.setattr(module, "generator", generator)
    runs.train(config, data)
    epochs, twice = defaultdict(list), ("split", "pairs")  # these two are asked for wherever they are needed
    for (seed, purpose, *epoch), times in Counter(asked).items():
        assert seed == 3 and (times == (1 if epoch else 2) or purpose in twice), (seed, purpose, *epoch)
        epochs[purpose] += epoch
    begun = {purpose for purpose in epochs if purpose.endswith("/init")}  # once before, to see whether data fit
    assert {*map(len, map(epochs.get, begun))} == {0} and len(epochs) > 8
    assert all(sorted(epochs[purpose]) == [0, 1] for purpose in epochs.keys() - begun - {"split"})
