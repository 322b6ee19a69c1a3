"""A run that begins with another's weights: fewer classes, its own sketches."""

import shutil

import numpy as np
import pytest
import worlds
from drawn_worlds import config, data

from cmir_ref import params, runs
from cmir_ref.data.splits import keep_parts
from cmir_ref.errors import InputError
from cmir_ref.records import Splits


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "first"
    return runs.train(config(), data(), path)


def with_start(run, *changes):
    return config(f"start_from={run.path}", *changes)


def test_it_begins_where_the_other_ended(first):
    still = ("stage1.lr=1e-12", "stage2.lr=1e-12", "seed=1", "stage1.epochs=1", "stage2.epochs=1")
    run = runs.train(with_start(first, *still), data())
    for name, w in first.tensors.items():
        if "/params/" in name:
            np.testing.assert_allclose(run.tensors[name], w, atol=1e-6)
        if name.endswith(("/mean", "/std")) and name.startswith(("input", "features")):
            np.testing.assert_array_equal(run.tensors[name], w)
    plain = runs.train(
        config("stage1.lr=1e-12", "stage2.lr=1e-12", "seed=1", "stage1.epochs=1", "stage2.epochs=1"), data()
    )
    assert not np.allclose(plain.tensors["stage1.a/params/conv.1.w"], first.tensors["stage1.a/params/conv.1.w"])


def test_classifiers_of_other_classes_begin_anew_and_all_else_is_kept(first):
    few = data(n=24, classes=2)
    stages = runs.stages_of(with_start(first), few)
    start = runs.read_start(first.path, stages)
    for stage in stages:
        params, _ = runs.first_values(stage, with_start(first), few, start)
        drawn, _ = stage.init(with_start(first), few)
        for name, w in params.items():
            kept = np.array_equal(w, start[f"{stage.name}/params/{name}"])
            assert kept != name.startswith("classifier"), name
            assert w.shape == drawn[name].shape
    assert np.isfinite(runs.train(with_start(first), few).encoded["b"]["v"]).all()


def test_images_of_other_bands_begin_with_their_own_spread(first):
    few = data()
    photos = few.modalities["a"]
    grey = few._replace(modalities=few.modalities | {"a": photos._replace(x=photos.x[..., :1])})
    run = runs.train(with_start(first), grey)
    assert run.tensors["input.a/std"].size == 1 < first.tensors["input.a/std"].size
    np.testing.assert_array_equal(run.tensors["input.b/std"], first.tensors["input.b/std"])


def test_an_interrupted_fine_tuning_goes_on(first, tmp_path):
    import worlds

    whole = runs.train(with_start(first), data(), tmp_path / "whole")
    with pytest.raises(worlds.Stop):
        runs.train(with_start(first), data(), tmp_path / "cut", watch=worlds.Interrupt("stage1.b", 1))
    resumed = runs.train(with_start(first), data(), tmp_path / "cut", resume=True)
    assert all(np.array_equal(resumed.tensors[name], w) for name, w in whole.tensors.items())


def test_a_run_that_is_not_there_or_has_other_networks_is_refused(first, tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        runs.train(config(f"start_from={tmp_path}"), data())
    with pytest.raises(InputError, match="start_from: is empty; name a run folder"):
        runs.train(config("start_from="), data())
    with pytest.raises(InputError, match="none of its networks is trained here"):
        stages = [stage._replace(name=f"other.{k}") for k, stage in enumerate(runs.stages_of(config(), data()))]
        runs.read_start(first.path, stages)


def test_what_the_first_run_learned_from_is_not_tested(first):
    """Of other classes, with another seed and other shares: each photo and sketch that it knew stays in its part."""
    few = data(n=30, classes=3)
    run = runs.train(with_start(first, "seed=7", "test_share=0.5", "stage1.epochs=1", "stage2.epochs=1"), few)
    plain = runs.split_data(config("seed=7", "test_share=0.5"), few)
    for m in "ab":
        assert [rows[m].tolist() for rows in plain] != [rows[m].tolist() for rows in first.parts]
        for own, known in zip(run.parts, first.parts, strict=True):
            np.testing.assert_array_equal(own[m], known[m])


def renamed(modality):
    return tuple(f"mine/{name}" for name in modality.ids)


def test_what_the_first_run_learned_from_is_not_tested_under_another_name(first):
    old = data()
    new = old._replace(modalities={m: v._replace(ids=renamed(v)) for m, v in old.modalities.items()})
    kept = keep_parts(runs.split_data(config("seed=7"), new), new, first.parts, first.dataset)
    for part, known in zip(kept, first.parts, strict=True):
        np.testing.assert_array_equal(part["a"], known["a"])
    drawn = first.dataset.modalities["b"].digests  # some of these drawings are equal
    assert not np.isin(drawn[kept.test["b"]], drawn[first.parts.train["b"]]).any()


def test_new_samples_are_shared_out_among_those_that_are_known(first):
    old = data()
    b = old.modalities["b"]
    new = old._replace(modalities=old.modalities | {"b": b._replace(x=b.x ^ 1, ids=renamed(b))})
    run = runs.train(with_start(first, "seed=7", "stage1.epochs=1", "stage2.epochs=1"), new)
    for own, known, drawn in zip(run.parts, first.parts, runs.split_data(config("seed=7"), new), strict=True):
        np.testing.assert_array_equal(own["a"], known["a"])
        np.testing.assert_array_equal(own["b"], drawn["b"])


def test_traced_sketches_follow_their_photos_into_the_first_run_s_parts():
    parts = runs.split_data(config(), data(apart=True))
    other = runs.split_data(config("seed=3"), data(apart=True))
    kept = keep_parts(other, data(apart=True), parts, data(apart=True))
    assert any((one["a"] != two["a"]).any() for one, two in zip(parts, other, strict=True))
    for one, two in zip(kept, parts, strict=True):
        np.testing.assert_array_equal(one["a"], two["a"])
        np.testing.assert_array_equal(one["b"], two["b"])


def test_a_run_that_leaves_a_part_empty_is_refused():
    everything = {m: np.arange(len(modality.x)) for m, modality in data().modalities.items()}
    none = {m: np.empty(0, int) for m in "ab"}
    with pytest.raises(InputError, match="start_from: that run has all samples of photo in other parts; none is left"):
        keep_parts(runs.split_data(config(), data()), data(), Splits(everything, none, none), data())


def test_a_fine_tuning_does_not_go_on_with_another_start(first, tmp_path):
    """The run it began with was trained anew in the meantime: each stage would begin with another one's weights."""
    start = shutil.copytree(first.path, tmp_path / "start")
    begins = config(f"start_from={start}")
    with pytest.raises(worlds.Stop):
        runs.train(begins, data(), tmp_path / "run", watch=worlds.Interrupt("stage1.a", 1))
    shutil.rmtree(start)
    runs.train(config("stage2.lr=0.002"), data(), start)
    with pytest.raises(InputError, match="began with other weights of the run that start_from names; start anew"):
        runs.train(begins, data(), tmp_path / "run", resume=True)
    shutil.rmtree(start)
    with pytest.raises(InputError, match="start: no run folder to start from; where it was moved, give --start-from"):
        runs.train(begins, data(), tmp_path / "run", resume=True)
    shutil.copytree(first.path, start)
    tensors, metadata = params.load_tensors(tmp_path / "run" / "checkpoint.safetensors")
    metadata["data"] = metadata["data"].rpartition("-")[0]  # as earlier versions wrote it
    params.save_tensors(tmp_path / "run" / "checkpoint.safetensors", tensors, metadata)
    assert runs.train(begins, data(), tmp_path / "run", resume=True).path == tmp_path / "run"


def test_a_fine_tuning_goes_on_where_the_run_it_began_with_was_moved(first, tmp_path):
    """Its weights are known by what they are: at whatever place the later stages begin with the same."""
    start = shutil.copytree(first.path, tmp_path / "start")
    with pytest.raises(worlds.Stop):
        runs.train(config(f"start_from={start}"), data(), tmp_path / "run", watch=worlds.Interrupt("stage1.a", 1))
    start.rename(tmp_path / "moved")
    moved = config(f"start_from={tmp_path / 'moved'}")
    run = runs.train(moved, data(), tmp_path / "run", resume=True)
    np.testing.assert_array_equal(run.encoded["b"]["v"], runs.train(with_start(first), data()).encoded["b"]["v"])
    again = runs.load_run(tmp_path / "run")
    assert again.config.start_from == str(tmp_path / "moved")
    assert runs.load_finished(moved, data(), tmp_path / "run") is not None
    with pytest.raises(InputError, match="start_from differs from the settings given"):
        runs.train(config(), data(), tmp_path / "run", resume=True)
