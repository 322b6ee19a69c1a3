import numpy as np
import pytest

from cmir_ref.amfmn.eq5_features import Features, features, features_backward
from cmir_ref.nets.conv_maps import ConvMaps, conv_maps, init_conv_maps
from cmir_ref.nets.given_maps import GivenMaps, given_maps
from cmir_ref.ops import batch_norm, conv, leaky_relu, max_pool, upsample

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_low_and_high_maps_and_the_mean_of_the_last(kind):
    maps = [RNG.normal(size=(2, side, side, c)) for side, c in ((8, 2), (4, 3), (2, 1), (1, 4))]
    w, b = RNG.normal(size=(4, 5)), RNG.normal(size=5)
    (low, high, v), _ = features(maps, w, b, low=2, side=4, kind=kind)
    assert low.shape == (2, 8, 8, 5) and high.shape == (2, 4, 4, 5)
    np.testing.assert_allclose(low[..., :2], maps[0], rtol=1e-12)
    np.testing.assert_allclose(low[..., 2:], upsample(maps[1], 2, kind)[0], rtol=1e-12)
    np.testing.assert_allclose(high[..., :1], upsample(maps[2], 2, kind)[0], rtol=1e-12)
    np.testing.assert_allclose(high[..., 1:], np.broadcast_to(maps[3], (2, 4, 4, 4)), rtol=1e-12)
    np.testing.assert_allclose(v, maps[3][:, 0, 0] @ w + b, rtol=1e-12)


@pytest.mark.parametrize("skipped", [0, 1])
def test_rows_of_a_frozen_network_are_taken_apart_as_they_were_put_together(skipped):
    sizes = ((4, 4, 2), (4, 2, 3), (2, 2, 5))
    maps, pooled = [RNG.normal(size=(3, *size)) for size in sizes], RNG.normal(size=(3, 7))
    rows = np.concatenate([*(m.reshape(3, -1) for m in maps), pooled], axis=1)
    found, features_ = given_maps(rows, GivenMaps(sizes, 7, skipped))
    assert len(found) == 3 - skipped and GivenMaps(sizes, 7, skipped).shapes((9, 9, 3)) == [*sizes[skipped:]]
    for one, two in zip(found, maps[skipped:], strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(features_, pooled)
    with pytest.raises(ValueError, match="rows of 82 numbers; the maps and features are 76 \\+ 7"):
        given_maps(rows[:, :-1], GivenMaps(sizes, 7))


def test_pooled_features_take_the_place_of_the_last_map_s_mean():
    maps = [RNG.normal(size=(2, side, side, c)) for side, c in ((4, 2), (2, 3))]
    pooled, w, b = RNG.normal(size=(2, 6)), RNG.normal(size=(6, 4)), RNG.normal(size=4)
    (_, _, v), cache = features(maps, w, b, low=1, side=2, pooled=pooled)
    np.testing.assert_allclose(v, pooled @ w + b, rtol=1e-12)
    d = Features(RNG.normal(size=(2, 4, 4, 2)), RNG.normal(size=(2, 2, 2, 3)), RNG.normal(size=(2, 4)))
    dmaps, dw, _ = features_backward(d, cache)
    np.testing.assert_allclose(dmaps[-1], d.high, rtol=1e-12)  # nothing of v goes back to it
    np.testing.assert_allclose(dw, pooled.T @ d.v, rtol=1e-12)


@pytest.mark.parametrize("skipped", [0, 1])
def test_every_block_behind_the_first_ones_gives_a_map(skipped):
    arch = ConvMaps(channels=(2, 3, 2), pools=(2, 1, 2), skipped=skipped, fused=False)
    params, _ = init_conv_maps(arch, 1, RNG)
    params = {name: p.astype(float) + 0.1 for name, p in params.items()}
    h, expected = RNG.normal(size=(3, 8, 8, 1)), []
    maps, cache = conv_maps(params, h, arch=arch, mode="train")
    for i, pool in enumerate(arch.pools, start=1):
        h = max_pool(conv(h, params[f"conv.{i}.w"], params[f"conv.{i}.b"])[0], pool)[0]
        h, norm = batch_norm(leaky_relu(h, 0.01)[0], params[f"norm.{i}.gamma"], params[f"norm.{i}.beta"])
        np.testing.assert_allclose(cache.statistics[f"norm.{i}.mean"], norm.mean, rtol=1e-12)
        expected.append(h)
    assert [m.shape[1:] for m in maps] == arch.shapes((8, 8, 1)) and not any(block.fused for block in cache.blocks)
    for one, two in zip(maps, expected[skipped:], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10)
