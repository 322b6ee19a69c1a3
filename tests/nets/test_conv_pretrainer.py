import math

import numpy as np
import pytest

from cmir_ref.cmirnet.pretraining_objective import pretraining_objective, pretraining_objective_backward
from cmir_ref.nets.conv_pretrainer import (
    ConvPretrainer,
    conv_pretrainer,
    conv_pretrainer_backward,
    init_conv_pretrainer,
    pools_for,
)
from cmir_ref.nets.pretraining import choose_pretrainer
from cmir_ref.ops import conv, max_pool
from cmir_ref.params import Params, flatten
from cmir_ref.training.adam import adam

ORDERS = ("conv-pool-act-norm", "conv-act-norm-pool")
SMALL = ConvPretrainer(pools=(2, 2, 1), channels=(2, 3, 4))


def drawn(arch=SMALL, shape=(9, 6, 2), n=5, dtype=np.float64):
    """(params, buffers, x, masks) with every parameter away from 0 and 1."""
    rng = np.random.default_rng(0)
    params, buffers = init_conv_pretrainer(arch, shape, 6, 3, rng)
    params = {k: (v + rng.normal(0, 0.3, v.shape)).astype(dtype) for k, v in params.items()}
    buffers = {k: (v + rng.uniform(0, 0.5, v.shape)).astype(dtype) for k, v in buffers.items()}
    return params, buffers, rng.normal(size=(n, *shape)).astype(dtype), {"z": rng.random((n, 6)) > 0.5}


def infer(params, buffers, x, arch=SMALL, **settings):
    return conv_pretrainer(params, x, arch=arch, mode="inference", buffers=buffers, **settings)[0]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm", ["train", "frozen"])
@pytest.mark.parametrize("order", ORDERS)
def test_three_blocks_step_by_step(order, norm, fused):
    arch = SMALL._replace(block_order=order, batch_norm=norm, slope=0.2, fused=fused)
    params, buffers, x, _ = drawn()
    h = x
    for i, pool in enumerate(arch.pools, start=1):
        for step in order.split("-"):
            if step == "conv":
                h = conv(h, params[f"conv.{i}.w"], params[f"conv.{i}.b"])[0]
            elif step == "pool":
                h = max_pool(h, pool)[0]
            elif step == "act":
                h = np.where(h > 0, h, 0.2 * h)
            elif norm == "frozen":
                h = params[f"norm.{i}.gamma"] * h / math.sqrt(1.001) + params[f"norm.{i}.beta"]
            else:
                h = (h - buffers[f"norm.{i}.mean"]) / np.sqrt(buffers[f"norm.{i}.var"] + 1e-3)
                h = params[f"norm.{i}.gamma"] * h + params[f"norm.{i}.beta"]
    s = h.reshape(len(x), -1) @ params["fc.w"] + params["fc.b"]
    z = np.maximum(s, 0)
    out = infer(params, buffers, x, arch)
    expected = (z @ params["classifier.w"] + params["classifier.b"], z, s)
    for ours, theirs in zip(out, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "rest"),
    [
        ((256, 256, 1), 2048),  # PAN
        ((64, 64, 4), 2048),  # MUL
        ((64, 64, 3), 2048),
        ((128, 128, 3), 2048),
        ((256, 256, 3), 2048),
        ((96, 64, 1), 3072),  # log-mel: 6 × 4 × 128
    ],
)
def test_the_shapes_of_the_paper(shape, rest):
    rng = np.random.default_rng(0)
    arch = ConvPretrainer(pools_for(*shape[:2]))
    params, buffers = init_conv_pretrainer(arch, shape, 128, 17, rng)
    assert params["fc.w"].shape == (rest, 128)
    x = rng.normal(size=(2, *shape)).astype(np.float32)
    out = infer(params, buffers, x, arch)
    assert [(part.shape, part.dtype) for part in out] == [((2, d), np.float32) for d in (17, 128, 128)]
    assert all(np.isfinite(part).all() for part in out)


def test_the_largest_pool_comes_last():
    assert [pools_for(side, side) for side in (64, 128, 256)] == [(2, 2, 4), (2, 4, 4), (4, 4, 4)]


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"100 × 120.*64 or 128 or 256"):
        pools_for(100, 120)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_one_sample_alone_has_the_embedding_it_has_in_a_batch(dtype, tolerance, fused):
    """Up to rounding, not bit for bit: BLAS takes products of another size in another order."""
    arch = ConvPretrainer(fused=fused)
    params, buffers, x, _ = drawn(arch, (64, 64, 4), n=4, dtype=dtype)
    whole = infer(params, buffers, x, arch)
    for i in range(4):
        for alone, together in zip(infer(params, buffers, x[i : i + 1], arch), whole, strict=True):
            np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=tolerance * np.abs(together).max())


def test_training_differs_from_inference_in_norm_and_in_dropout():
    params, buffers, x, masks = drawn()
    train = lambda masks: conv_pretrainer(params, x, arch=SMALL, mode="train", buffers=buffers, masks=masks)  # noqa: E731
    out, cache = train(masks)
    calm = infer(params, buffers, x)
    assert not np.allclose(out.z, calm.z)  # its own statistics
    np.testing.assert_array_equal(infer(params, buffers, x, masks=masks).logits, calm.logits)  # no dropout
    other, _ = train({"z": ~masks["z"]})
    np.testing.assert_array_equal(other.z, out.z)  # Z is what it was before dropout
    kept = out.z * masks["z"] / 0.5
    np.testing.assert_allclose(out.logits, kept @ params["classifier.w"] + params["classifier.b"], rtol=1e-12)
    assert cache.statistics.keys() == buffers.keys()
    running = infer(params, cache.statistics, x)
    np.testing.assert_allclose(running.z, out.z, rtol=1e-10, atol=1e-12)  # inference with this batch's statistics


def test_frozen_norm_reads_no_statistics_and_returns_none():
    arch = SMALL._replace(batch_norm="frozen")
    params, _buffers, x, masks = drawn()
    out, cache = conv_pretrainer(params, x, arch=arch, mode="train", masks=masks)
    assert cache.statistics == {}
    np.testing.assert_array_equal(infer(params, None, x, arch).z, out.z)


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("order", ORDERS)
def test_gradients_have_the_names_shapes_and_dtype_of_the_parameters(order, mode):
    arch = SMALL._replace(block_order=order)
    params, buffers, x, masks = drawn(dtype=np.float32)
    out, cache = conv_pretrainer(params, x, arch=arch, mode=mode, buffers=buffers, masks=masks)
    grads, dx = conv_pretrainer_backward(out, cache)
    assert dx is None  # nobody asked for the gradient of an image
    assert {k: (g.shape, g.dtype) for k, g in grads.items()} == {k: (w.shape, w.dtype) for k, w in params.items()}
    _, cache = conv_pretrainer(params, x, arch=arch, mode=mode, buffers=buffers, masks=masks, input_gradient=True)
    again, dx = conv_pretrainer_backward(out, cache)
    assert dx.shape == x.shape and dx.dtype == np.float32
    for name in params:
        np.testing.assert_array_equal(again[name], grads[name])


def test_fused_and_plain_train_alike():
    params, buffers, x, masks = drawn()
    results = []
    for fused in (True, False):
        arch = SMALL._replace(fused=fused)
        out, cache = conv_pretrainer(params, x, arch=arch, mode="train", buffers=buffers, masks=masks)
        assert [block.fused for block in cache.blocks] == [fused] * 3
        results.append((out, conv_pretrainer_backward(out, cache)[0]))
    (out, grads), (plain_out, plain_grads) = results
    np.testing.assert_allclose(out.logits, plain_out.logits, rtol=1e-11)
    for name in params:
        np.testing.assert_allclose(grads[name], plain_grads[name], rtol=1e-9, atol=1e-11)


def test_initial_values():
    params, buffers = init_conv_pretrainer(ConvPretrainer(), (64, 64, 4), 128, 8, np.random.default_rng(0))
    assert {v.dtype for v in (params | buffers).values()} == {np.dtype("float32")}
    assert params["conv.3.w"].std() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.05)
    assert params["fc.w"].std() == pytest.approx(math.sqrt(2 / 2048), rel=0.05)
    assert all(np.all(v == k.endswith(("gamma", "var"))) for k, v in (params | buffers).items() if v.ndim == 1)
    xavier, _ = init_conv_pretrainer(
        ConvPretrainer(), (64, 64, 4), 128, 8, np.random.default_rng(0), bias_init="xavier"
    )
    assert 0 < np.abs(xavier["fc.b"]).max() <= math.sqrt(6 / 129)
    assert np.all(xavier["norm.1.beta"] == 0) and np.all(xavier["norm.1.gamma"] == 1)


@pytest.mark.parametrize("norm", ["train", "frozen"])
@pytest.mark.parametrize("order", ORDERS)
def test_twenty_steps_of_training_in_float32_go_the_same_way(order, norm):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 64, 64, 1)).astype(np.float32), np.arange(4) % 3
    histories = []
    for fused in (True, False):
        network = choose_pretrainer(x.shape[1:], block_order=order, batch_norm=norm, fused=fused)
        params, buffers = network.init(network.arch, x.shape[1:], 16, 3, np.random.default_rng(0))
        params = Params(params)
        m, v, losses = np.zeros_like(params.flat), np.zeros_like(params.flat), []
        for step in range(1, 21):
            masks = {"z": np.random.default_rng(step).random((4, 16)) > 0.5}
            loss, cache = pretraining_objective(
                params, x, y, network=network, buffers=buffers, masks=masks, scaled=True, weight=0.01
            )
            adam(params.flat, flatten(pretraining_objective_backward(1.0, cache)[0], params), m, v, step, 1e-4)
            losses.append(loss)
        histories.append(losses)
    np.testing.assert_allclose(*histories, rtol=1e-5)
    assert histories[0][-1] < 0.9 * histories[0][0]
