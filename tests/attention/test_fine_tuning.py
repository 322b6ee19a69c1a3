"""A run that begins with another's weights: fewer classes, its own sketches."""

import numpy as np
import pytest
from drawn_worlds import config, data

from cmir_ref import runs
from cmir_ref.errors import InputError


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
    with pytest.raises(InputError, match="none of its networks is trained here"):
        stages = [stage._replace(name=f"other.{k}") for k, stage in enumerate(runs.stages_of(config(), data()))]
        runs.read_start(first.path, stages)
