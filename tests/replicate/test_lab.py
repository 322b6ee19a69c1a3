"""Cells are computed once, stage 1 is shared, and what was interrupted goes on."""

import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import worlds

from cmir_ref import load_data, runs
from cmir_ref.config import load_config
from cmir_ref.data import scenarios
from cmir_ref.data.large import write_large_land_cover
from cmir_ref.errors import InputError
from cmir_ref.replicate import lab as labs
from cmir_ref.replicate.cluster import connect
from cmir_ref.replicate.lab import Cell, Lab, Work, kept_stages, settings_seen, space
from cmir_ref.replicate.worlds import SCALE_BY_NAME, WORLD_SCENARIOS

calls = []


def counted(work: Work, add: int = 0) -> dict:
    """A cell function that says how often it was called."""
    calls.append(add)
    return {"rows": len(work.z["a"]), "width": work.z["a"].shape[1], "add": add}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replicate")


@pytest.fixture
def lab(folder, root):
    calls.clear()
    with Lab(folder, worlds.SCALE, seeds=2, root=root, jobs=1) as one:
        yield one


def test_a_cell_is_computed_once_and_stage_1_is_shared(lab, folder, monkeypatch):
    learned = []
    monkeypatch.setattr(labs, "learn", lambda *job, learn=labs.learn: (learned.append(job[1]), learn(*job))[1])
    cells = [Cell(counted, lab.config("places", 0, d_v=d), {"add": k}) for d in (8, 16) for k in (1, 2)]
    first = lab.run(cells)
    assert [r["add"] for r in first] == [1, 2, 1, 2] and first[0]["rows"] == 63 and first[0]["width"] == 128
    assert learned == ["stage1.a", "stage1.b"], "one pretrainer a modality for all four cells"
    assert lab.run(cells[::-1]) == first[::-1] and len(calls) == 4
    lab.run([Cell(counted, lab.config("places", 1, d_v=8))])
    assert learned == ["stage1.a", "stage1.b"] * 2, "another seed is another split"


def test_the_same_cell_twice_is_one(lab):
    cell = Cell(counted, lab.config("places", 0), {"add": 7})
    assert lab.run([cell, cell])[0] == lab.run([cell])[0] and calls == [7]


def test_a_cell_gives_what_train_gives(lab, root):
    config = lab.config("places", 0, d_v=8)
    found = lab.spaces([config])[0]
    run = runs.train(config, load_data(config, root))
    expected = runs.evaluate(run)
    assert found["directions"] == expected["directions"] and found["effective_rank"] == expected["effective_rank"]
    validation = runs.evaluate(run, "validation", queries="validation")["directions"]
    assert found["validation"] == {d: m["map"] for d, m in validation.items()}


def test_two_processes_give_the_same(lab, root, tmp_path):
    configs = [lab.config("places", 0, d_v=d) for d in (4, 8)]
    with Lab(tmp_path, worlds.SCALE, root=root, jobs=2) as other:
        there = other.spaces(configs)
    here = lab.spaces(configs)
    for one, two in zip(here, there, strict=True):
        assert one["directions"] == two["directions"] and one["validation"] == two["validation"]


@pytest.fixture
def start_cluster():
    """`start_cluster(workers, threads, processes)`: a Dask cluster on this machine and the address of its scheduler."""
    distributed = pytest.importorskip("distributed", reason="extra `cluster` is not installed")
    with ExitStack() as stack:

        def start(workers=2, threads=1, processes=True):
            about = {"n_workers": workers, "threads_per_worker": threads, "processes": processes}
            return stack.enter_context(distributed.LocalCluster(**about, dashboard_address=None)).scheduler_address

        yield start


def test_a_dask_cluster_gives_the_same_bit_for_bit(lab, root, tmp_path, start_cluster):
    """Two workers, processes of their own; the lab's folder is filled from what they return."""
    configs = [lab.config("places", seed, d_v=d) for seed in (0, 1) for d in (4, 8)]
    here = lab.spaces(configs)
    with ExitStack() as stack:
        executor, jobs = stack.enter_context(connect(start_cluster()))
        other = stack.enter_context(Lab(tmp_path, worlds.SCALE, root=root, jobs=jobs, executor=executor))
        there = other.spaces(configs)
    assert jobs == 2 and list(map(without_seconds, there)) == list(map(without_seconds, here))
    features = [{path.name: arrays(path) for path in (out / "features").glob("*.npz")} for out in (lab.out, tmp_path)]
    assert len(features[1]) == 4 and all(features[0][name] == content for name, content in features[1].items())


def without_seconds(result):
    return {name: value for name, value in result.items() if name != "seconds"}


def arrays(path):
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files if name != "seconds"}


def test_any_executor_works_and_leaves_no_checkpoint(lab, root, tmp_path):
    config = lab.config("places", 0, d_v=8)
    with ThreadPoolExecutor(1) as executor, Lab(tmp_path, worlds.SCALE, root=root, executor=executor) as other:
        (there,) = other.spaces([config])
    assert without_seconds(there) == without_seconds(lab.spaces([config])[0])
    assert [path.suffix for path in (tmp_path / "features").iterdir()] == [".npz"] * 2


@pytest.mark.parametrize(("workers", "threads", "says"), [(0, 1, "no workers"), (1, 2, "--nthreads 1")])
def test_a_cluster_that_cannot_work_is_refused(start_cluster, workers, threads, says):
    address = start_cluster(workers, threads, processes=False)
    with pytest.raises(InputError, match=says), connect(address):
        pass


def test_a_worker_that_is_killed_is_told_in_one_line(start_cluster):
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        address = start_cluster(workers=1)
    with pytest.raises(InputError, match="lost while it worked"), connect(address) as (executor, _):
        executor.submit(os._exit, 1).result()


def test_what_was_interrupted_goes_on(lab):
    def broken(work, at):
        if at == 2:
            raise KeyboardInterrupt
        return counted(work, at)

    broken.__module__, broken.__name__ = counted.__module__, "broken"
    cells = [Cell(broken, lab.config("places", 0), {"at": k}) for k in range(4)]
    with pytest.raises(KeyboardInterrupt):
        lab.run(cells)
    assert calls == [0, 1]
    whole = [Cell(c.function, c.config, c.options) for c in cells[:2]]
    lab.run(whole)
    assert calls == [0, 1], "what was done before the interruption is kept"


@pytest.mark.parametrize("name", ["stage1.a", "stage1.b"])
def test_stage_1_goes_on_from_its_checkpoint(lab, root, tmp_path, name):
    config = lab.config("places", 0)
    straight = labs.learn(config, name, None, str(root), "cpu")
    labs.learn(config, name, tmp_path / "stage", str(root), "cpu")  # killed after the last epoch, before it was kept
    halfway = labs.learn(config, name, tmp_path / "stage", str(root), "cpu")
    with np.load(io.BytesIO(straight)) as one, np.load(io.BytesIO(halfway)) as two:
        assert one["seconds"] != two["seconds"], "the second call trained nothing"
        assert {f"{kind}.{name[-1]}" for kind in ("z", "logits", "s")} <= set(one.files)
        assert all(np.array_equal(one[key], two[key]) for key in one.files if key != "seconds")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("epochs", [1, 2])  # its loss shows it in the second epoch, its embeddings after the first
def test_a_run_that_diverges_is_a_result(lab, epochs):
    config = lab.config("places", 0, stage2={"lr": 1e30, "epochs": epochs, "batch_size": 1000})
    found = lab.spaces([config])[0]
    assert found.keys() == {"failed"} and "no longer" in found["failed"] and "stage2.lr" in found["failed"]


def test_stages_are_kept_under_the_settings_that_they_see():
    base, other = load_config("image-speech"), load_config("image-speech_released", ("stages=separate",))
    stages = kept_stages(base)
    assert [stage.name for stage in stages] == ["stage1.a", "stage1.b"]
    differ = [name for name in type(base).model_fields if getattr(base, name) != getattr(other, name)]
    assert {"weights", "alpha_reading", "stage1", "d_v"} <= set(differ)
    for name in differ:
        changed = base.model_copy(update={name: getattr(other, name)})
        for stage in stages:
            assert (settings_seen(changed, stage) == settings_seen(base, stage)) == (name not in stage.sees), name
    assert "speech" in stages[1].sees - stages[0].sees and not {"weights", "alpha", "stage2"} & stages[1].sees


def test_worlds_and_scales():
    for scale in SCALE_BY_NAME.values():
        assert scale.worlds.keys() == WORLD_SCENARIOS.keys()
        for world in scale.worlds:
            for reading in ("", "paper", "released"):
                preset, changes = scale.preset(world, reading)
                assert load_config(preset, changes).scenario == WORLD_SCENARIOS[world]


def test_a_cell_reads_the_data_that_train_reads(monkeypatch):
    asked, nothing = [], worlds.pictures(1)._replace(modalities={})
    monkeypatch.setattr(scenarios, "load", lambda *about, **settings: asked.append((about, settings)) or nothing)
    every = ("scenes=9", "scenes_seed=3", "speech=bundled", "speech_voice=(.*)", "sample_axis=1", "band_axis=2")
    odd = load_config("image-speech", ("dataset=scenes", "image_size=128", *every))
    for config in (odd, *(load_config(*scale.preset(w)) for scale in SCALE_BY_NAME.values() for w in scale.worlds)):
        load_data(config, "data")
        load_data(labs._where_from(config), "data")
        assert asked[-1] == asked[-2]


def test_where_the_data_are_matters_to_real_worlds_alone(tmp_path):
    (tmp_path / "data").mkdir()
    here, there = (Lab(tmp_path, SCALE_BY_NAME["small"], root=folder) for folder in (tmp_path, tmp_path / "data"))
    for world in here.worlds:
        same = here._path(Cell(space, here.config(world, 0))) == there._path(Cell(space, there.config(world, 0)))
        assert same == (world in ("tiles", "few-tiles", "places"))


def test_real_worlds_need_a_folder_and_one_of_them_a_package(tmp_path, monkeypatch):
    small = SCALE_BY_NAME["small"]
    assert Lab(tmp_path, small).worlds == ["tiles", "few-tiles", "places"]
    assert Lab(tmp_path, small, root=tmp_path).worlds == [*small.worlds]
    monkeypatch.setattr(labs, "weights_are_installed", lambda: False)
    assert Lab(tmp_path, small).worlds == ["tiles", "few-tiles", "places"]
    assert Lab(tmp_path, small, root=tmp_path).worlds == [w for w in small.worlds if w != "imagenet"]


def test_a_data_folder_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="none"):
        Lab(tmp_path / "out", worlds.SCALE, root=tmp_path / "none")
    assert not (tmp_path / "out").exists()


def test_an_out_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Lab(tmp_path / "file", worlds.SCALE)


def test_cells_are_readable_files(lab):
    config = lab.config("places", 0, d_v=8)
    lab.run([Cell(space, config)])
    kept = json.loads(lab._path(Cell(space, config)).read_text(encoding="utf-8"))
    assert (
        kept.keys() == {"settings", "options", "result", "seconds", "origin"}
        and 'scenario = "image-speech"' in kept["settings"]
    )


def dsrsid_file(folder, recorded):
    """A file called DSRSID.mat of eight simulated pairs, or one that does not say that it is simulated."""
    write_large_land_cover(folder, 8, workers=1)
    if recorded:
        with open(folder / "DSRSID.mat", "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124))


@pytest.mark.parametrize("here", ["nothing", "simulated", "recorded", "no folder"])
def test_the_full_scale_is_simulated_where_dsrsid_is_absent(tmp_path, here):
    (tmp_path / "data").mkdir()
    if here in ("simulated", "recorded"):
        dsrsid_file(tmp_path / "data", here == "recorded")
    lab = Lab(tmp_path / "out", SCALE_BY_NAME["full"], root=None if here == "no folder" else tmp_path / "data")
    config, words = lab.config("tiles", 0), lab.scale.worlds["tiles"].words
    assert config.dataset == ("dsrsid" if here in ("simulated", "recorded") else "scenes")
    assert ("simulated" in words) == (here != "recorded") and words in lab.about()["world tiles"]
    assert config.test_share == 0.0625 and (config.dataset == "dsrsid" or config.scenes == 80_000)
    small = SCALE_BY_NAME["small"]
    assert Lab(tmp_path / "out", small, root=lab.root).scale == small


def test_the_simulated_file_of_a_folder_is_read_and_named(tmp_path):
    dsrsid_file(tmp_path, False)
    lab = Lab(tmp_path / "out", SCALE_BY_NAME["full"], root=tmp_path)
    data = load_data(lab.config("tiles", 0).model_copy(update={"sample_axis": 0}), lab.root)
    assert data.note == "simulated scenes" and len(data.modalities["a"].x) == 8


def test_stage_1_of_other_data_is_not_gone_on_with(root, tmp_path):
    """A photo was changed between two commands: the features would be those of the one before."""
    data = shutil.copytree(root, tmp_path / "data")

    def spaces():
        labs._data.cache_clear()
        labs._arrays.cache_clear()
        with Lab(tmp_path / "out", worlds.SCALE, seeds=1, root=data, jobs=1) as lab:
            return lab.spaces([lab.config("places", 0, d_v=8)])

    found = spaces()
    for path in (tmp_path / "out" / "cells").iterdir():
        path.unlink()
    assert spaces()[0]["directions"] == found[0]["directions"]
    for path in (tmp_path / "out" / "cells").iterdir():
        path.unlink()
    one, other, *_ = sorted((data / "Images" / "agricultural").iterdir())
    one.write_bytes(other.read_bytes())
    with pytest.raises(
        InputError, match=r"stage1\.a-.*made of other samples than the data has today; name another --out"
    ):
        spaces()
