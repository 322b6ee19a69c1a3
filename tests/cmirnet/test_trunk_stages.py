"""Stage 1 on images that went, or go, through a network that ImageNet trained."""

import numpy as np
import pytest
import worlds
from safetensors.numpy import save_file

from cmir_ref import runs
from cmir_ref.cmirnet import system
from cmir_ref.config import load_config
from cmir_ref.data.weights import load_trunk_weights, torch_names
from cmir_ref.errors import InputError
from cmir_ref.nets.efficientnet_lite import LITE0, lite_blocks
from cmir_ref.reports.report import render

SHORT = ("trunk=lite0", "trunk_size=32", "stage1.epochs=2", "stage2.epochs=2", "stage1.batch_size=8")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMIR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data():
    return worlds.pictures(18)


@pytest.fixture(scope="module")
def trained(data):
    """A run of each `trunk_training`."""
    return {how: runs.train(worlds.config(*SHORT, f"trunk_training={how}"), data) for how in ("frozen", "last", "all")}


@pytest.mark.parametrize("how", ["frozen", "last", "all"])
def test_a_query_alone_is_what_the_run_stored(trained, data, how):
    run, x = trained[how], data.modalities["a"].x
    alone = np.concatenate([system.encode(run, "a", x[i : i + 1])["v"] for i in range(4)])
    np.testing.assert_allclose(alone, run.encoded["a"]["v"][:4], rtol=2e-3, atol=2e-4)


def test_what_is_trained_moves_and_nothing_else(trained):
    start = load_trunk_weights().arrays
    frozen, last, every = (trained[how].tensors for how in ("frozen", "last", "all"))
    assert not any("trunk." in name for name in frozen)
    moved = {
        how: {n for n, x in start.items() if not np.array_equal(tensors.get(f"stage1.a/params/trunk.{n}", x), x)}
        for how, tensors in (("last", last), ("all", every))
    }
    block = lite_blocks(LITE0)[-1].name
    assert {name.rpartition(".")[0] for name in moved["last"]} == {
        f"{block}.expand", f"{block}.depthwise", f"{block}.project", "head"
    }  # fmt: skip
    assert "stem.w" in moved["all"] and len(moved["all"]) > 0.9 * 3 * len(start) / 5
    for tensors in (last, every):  # the running averages that normalise stay ImageNet's
        np.testing.assert_array_equal(tensors["stage1.a/buffers/trunk.head.mean"], start["head.mean"])


@pytest.mark.parametrize("how", ["frozen", "last", "all"])
def test_report_and_tables_say_which_trunk_it_is(trained, how):
    run = trained[how]
    result = runs.evaluate(run)
    words = {"frozen": "frozen", "last": "its last blocks trained on", "all": "all of it trained on"}[how]
    named = f"EfficientNet-Lite0 with ImageNet weights, {words}, at 32 × 32"
    assert named in result["data"] and named in result["features"]["a"] and "Lite0" not in result["features"]["b"]
    page = render(run, result)
    assert f"with {named} in place of the paper&#39;s VGG-16" in page or f"with {named} in place of the paper's" in page


def test_interrupted_and_resumed_it_ends_as_the_uninterrupted_run(data, tmp_path):
    config = worlds.config(*SHORT, "trunk_training=last")
    whole = runs.train(config, data, tmp_path / "whole")
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", watch=worlds.Interrupt("stage1.a", 1))
    again = runs.train(config, data, tmp_path / "run", resume=True)
    for name, tensor in whole.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor, name)


def file_of_weights(path, change):
    """A safetensors file with PyTorch's names; `change` multiplies the head's β."""
    tensors = {}
    for name, theirs in torch_names().items():
        array = load_trunk_weights().arrays[name]
        axes = (3, 2, 0, 1) if array.ndim == 4 else (2, 0, 1)
        tensors[theirs] = np.ascontiguousarray(array.transpose(axes) if array.ndim > 1 else array)
        if array.ndim == 3:
            tensors[theirs] = tensors[theirs][:, None]
    tensors["_bn1.bias"] = tensors["_bn1.bias"] * np.float32(change)
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("how", ["frozen", "last"])
def test_weights_of_a_file_are_used_and_others_are_refused_later(data, trained, tmp_path, how):
    same = file_of_weights(tmp_path / "same.safetensors", 1)
    config = worlds.config(*SHORT, f"trunk_training={how}", f"trunk_weights={same}")
    run = runs.train(config, data)
    np.testing.assert_array_equal(run.encoded["a"]["v"], trained[how].encoded["a"]["v"])
    other = file_of_weights(tmp_path / "other.safetensors", 3)
    changed = runs.train(worlds.config(*SHORT, f"trunk_training={how}", f"trunk_weights={other}"), data)
    assert not np.array_equal(changed.encoded["a"]["v"], run.encoded["a"]["v"])
    load_trunk_weights.cache_clear()
    other.rename(same)
    with pytest.raises(InputError, match=r"same.safetensors: not the weights that .* trained with"):
        system.encode(run, "a", data.modalities["a"].x[:1])
    load_trunk_weights.cache_clear()


def test_a_run_goes_on_where_its_weights_were_moved(data, trained, tmp_path):
    """They are known by what they are; a finished run says where to name their new place."""
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    asked = lambda path: worlds.config(*SHORT, "trunk_training=frozen", f"trunk_weights={path}")  # noqa: E731
    file_of_weights(here, 1)
    with pytest.raises(worlds.Stop):
        runs.train(asked(here), data, tmp_path / "run", watch=worlds.Interrupt("stage2", 1))
    here.rename(there)
    other = file_of_weights(tmp_path / "other.safetensors", 3)
    before = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(InputError, match=r"other.safetensors: not the weights that .*run was trained with"):
        runs.train(asked(other), data, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.toml").read_text() == before
    runs.train(asked(there), data, tmp_path / "run", resume=True)
    run = runs.load_run(tmp_path / "run")
    np.testing.assert_array_equal(run.encoded["b"]["v"], trained["frozen"].encoded["b"]["v"])
    assert run.config.trunk_weights == str(there)
    there.rename(here)
    with pytest.raises(InputError, match=r"there.safetensors: no such file; .*trunk_weights in .*run/config.toml"):
        system.encode(run, "a", data.modalities["a"].x[:1])
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("there.safetensors", "here.safetensors"))
    system.encode(runs.load_run(tmp_path / "run"), "a", data.modalities["a"].x[:1])


def test_what_cannot_be_had_is_said_by_the_settings(refused_settings):
    refused_settings("trunk=vgg16", says="trunk")
    refused_settings("trunk_size=100", says="trunk_size")
    refused_settings("trunk=lite0", "trunk_training=last", "stages=joint", says="stages = separate")
    refused_settings("trunk=lite0", "trunk_training=all", "stages=end-to-end", says="stages = separate")


@pytest.fixture
def refused_settings():
    def check(*changes, says):
        with pytest.raises(InputError, match=says):
            worlds.config(*changes)

    return check


@pytest.mark.parametrize("stages", ["joint", "end-to-end"])
def test_a_frozen_trunk_goes_with_every_way_to_train(data, stages):
    run = runs.train(worlds.config(*SHORT, f"stages={stages}"), data)
    alone = system.encode(run, "a", data.modalities["a"].x[:1])["v"]
    np.testing.assert_allclose(alone, run.encoded["a"]["v"][:1], rtol=2e-3, atol=2e-4)


def test_what_a_frozen_trunk_makes_are_features_of_which_some_can_be_dropped(data):
    images, config = data.modalities["a"], worlds.config("stages=end-to-end", "stage2.feature_dropout=0.2")
    both = data._replace(modalities={"a": images, "b": images})
    system.check_stages(config.model_copy(update={"trunk": "lite0", "trunk_size": 32}), both, None, None)
    with pytest.raises(InputError, match="feature_dropout is of features, and end-to-end is given none here"):
        system.check_stages(config, both, None, None)


def test_pan_and_mul_go_through_it_grey_and_coloured(tmp_path):
    """PAN (N, 64, 64, 1) is repeated, of MUL (N, 16, 16, 4) red, green and blue are seen."""
    base = worlds.pictures(18)
    images = base.modalities["a"]
    mul = np.concatenate([images.x[:, ::4, ::4, ::-1], images.x[:, ::4, ::4, :1]], axis=-1)
    a = images._replace(name="pan", x=images.x[..., :1])
    b = images._replace(name="mul", x=mul)
    data = base._replace(modalities={"a": a, "b": b}, pairing=np.stack([np.arange(18)] * 2, axis=1))
    config = load_config("pan-mul", [c for c in worlds.overrides(*SHORT) if not c.startswith(("image_size", "speech"))])
    run = runs.train(config.model_copy(update={"scenario": "pan-mul"}), data)
    assert {m: v["v"].shape for m, v in run.encoded.items()} == {"a": (18, 6), "b": (18, 6)}
    assert "pan: EfficientNet-Lite0" in system.facts(run)["features"]["a"]
