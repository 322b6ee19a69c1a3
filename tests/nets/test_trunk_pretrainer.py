from functools import partial

import numpy as np
import pytest

from cmir_ref.nets.efficientnet_lite import (
    EfficientNetLite,
    LiteStage,
    efficientnet_lite,
    fold_lite,
    init_efficientnet_lite,
    lite_shapes,
    output_before,
    trained_layers,
)
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.nets.trunk_pretrainer import (
    TrunkPretrainer,
    init_trunk_pretrainer,
    trunk_pretrainer,
    trunk_pretrainer_backward,
)

TINY = EfficientNetLite(stem=3, head=6, stages=(LiteStage(1, 3, 1, 2, 1), LiteStage(2, 3, 2, 3, 2)))


def drawn(first=0, norm="inference", dtype=np.float64, n=4):
    """(arch, params, buffers, x, masks, the trunk's arrays)."""
    rng = np.random.default_rng(0)
    arch = TrunkPretrainer(TINY, first, norm)
    params, buffers = init_efficientnet_lite(TINY, rng)
    weights = {k: (v + rng.uniform(0.1, 0.4, v.shape)).astype(dtype) for k, v in (params | buffers).items()}
    params, buffers = init_trunk_pretrainer(arch, (9, 8, 3), 5, 4, rng, weights=weights)
    params = {k: (v + rng.normal(0, 0.1, v.shape) * ("trunk" not in k)).astype(dtype) for k, v in params.items()}
    x = rng.normal(size=(n, 9, 8, 3)).astype(dtype)
    x = output_before(fold_lite(TINY, weights), x, first) if first else x
    return arch, params, buffers, x, {"z": rng.random((n, 5)) > 0.5}, weights


@pytest.mark.parametrize("norm", ["inference", "train"])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_the_head_of_the_trunks_features(first, norm):
    arch, params, buffers, x, masks, weights = drawn(first, norm)
    (logits, z, s), cache = trunk_pretrainer(params, x, arch=arch, mode="train", buffers=buffers, masks=masks)
    pooled = efficientnet_lite(weights, x, arch=TINY, mode=norm, buffers=weights, first=first)[0].pooled
    np.testing.assert_allclose(s, pooled @ params["fc.w"] + params["fc.b"], rtol=1e-10)
    np.testing.assert_array_equal(z, np.maximum(s, 0))
    kept = np.where(masks["z"], z / (1 - arch.dropout), 0)
    np.testing.assert_allclose(logits, kept @ params["classifier.w"] + params["classifier.b"], rtol=1e-12)
    assert bool(cache.statistics) == (norm == "train") and cache.statistics.keys() <= buffers.keys()


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_every_array_is_a_parameter_or_a_buffer_and_grads_have_the_parameters_names(first):
    arch, params, buffers, x, masks, weights = drawn(first)
    layers = trained_layers(TINY, first)
    names = {f"trunk.{name}" for name in lite_shapes(TINY) if name.rpartition(".")[0] in layers}
    assert names == {n for n in (*params, *buffers) if n.startswith("trunk.")} and not params.keys() & buffers.keys()
    assert all(np.array_equal(buffers[n], weights[n.removeprefix("trunk.")]) for n in buffers)
    out, cache = trunk_pretrainer(params, x, arch=arch, mode="train", buffers=buffers, masks=masks)
    grads, dx = trunk_pretrainer_backward(PretrainerOutput(*map(np.ones_like, out)), cache)
    assert grads.keys() == params.keys() and dx is None
    assert all(grads[name].shape == value.shape for name, value in params.items())


@pytest.mark.parametrize("first", [1, 2, 3])
def test_the_layers_that_are_left_out_and_those_that_are_trained_are_the_whole_network(first):
    """What the first block is given, and the blocks behind it, make the features of the images themselves."""
    arch, params, buffers, _, _, weights = drawn(first)
    images = np.random.default_rng(1).normal(size=(4, 9, 8, 3))
    x = output_before(fold_lite(TINY, weights), images, first)
    whole = efficientnet_lite(weights, images, arch=TINY, mode="inference", buffers=weights)[0].pooled
    out, _ = trunk_pretrainer(params, x, arch=arch, mode="inference", buffers=buffers)
    np.testing.assert_allclose(out.s, whole @ params["fc.w"] + params["fc.b"], rtol=1e-9)


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 1e-3)])
def test_inference_is_training_without_dropout(first, dtype, tolerance):
    arch, params, buffers, x, _, _ = drawn(first, dtype=dtype)
    arch = arch._replace(dropout=0.0)
    keep = {"z": np.ones((len(x), 5), bool)}
    train, _ = trunk_pretrainer(params, x, arch=arch, mode="train", buffers=buffers, masks=keep)
    out, _ = trunk_pretrainer(params, x, arch=arch, mode="inference", buffers=buffers)
    for ours, theirs in zip(out, train, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_without_weights_it_begins_at_random():
    start = partial(init_trunk_pretrainer, TrunkPretrainer(TINY), (9, 8, 3), 5, 4)
    params, buffers = start(np.random.default_rng(0))
    assert params["trunk.stem.w"].std() > 0 and (buffers["trunk.stem.var"] == 1).all()
    drawn, _ = start(np.random.default_rng(0), "xavier")
    assert all(not params[f"{name}.b"].any() and drawn[f"{name}.b"].all() for name in ("fc", "classifier"))
