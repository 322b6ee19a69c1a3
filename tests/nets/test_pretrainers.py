import numpy as np
import pytest

from cmir_ref.nets.conv_pretrainer import conv_pretrainer
from cmir_ref.nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from cmir_ref.nets.head import head, head_backward
from cmir_ref.nets.mlp import mlp
from cmir_ref.nets.pretraining import choose_pretrainer


def affine(params, name, x):
    return x @ params[f"{name}.w"] + params[f"{name}.b"]


def drawn(arch, shape=(7,)):
    rng = np.random.default_rng(0)
    params, buffers = init_feature_pretrainer(arch, shape, 5, 3, rng)
    assert buffers == {}
    params = {k: v.astype(float) + rng.normal(0, 0.3, v.shape) for k, v in params.items()}
    return params, rng.normal(size=(4, *shape)), {"z": rng.random((4, 5)) > 0.5}


@pytest.mark.parametrize("hidden", [(), (6,), (6, 8)])
def test_dense_pretrainer(hidden):
    arch = FeaturePretrainer(hidden=hidden, dropout=0.2)
    params, x, masks = drawn(arch)
    h = x
    for i in range(len(hidden)):
        h = np.maximum(affine(params, f"hidden.{i + 1}", h), 0)
    s = affine(params, "fc", h)
    z = np.maximum(s, 0)
    for mode, kept in (("inference", z), ("train", z * masks["z"] / 0.8)):
        out, cache = feature_pretrainer(params, x, arch=arch, mode=mode, masks=masks)
        for ours, theirs in zip(out, (affine(params, "classifier", kept), z, s), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)
        grads, dx = feature_pretrainer_backward(out, cache)
        assert {k: g.shape for k, g in grads.items()} == {k: w.shape for k, w in params.items()}
        assert dx.shape == x.shape


def test_all_three_outputs_of_a_head_pass_their_gradient_on():
    params = drawn(FeaturePretrainer())[0]
    h, mask = np.random.default_rng(1).normal(size=(4, 7)), np.ones((4, 5), bool)
    out, cache = head(params, h, mask, 0.5)
    zeros = [np.zeros_like(part) for part in out]
    parts = [head_backward(type(out)(*zeros[:i], out[i], *zeros[i + 1 :]), cache) for i in range(3)]
    whole = head_backward(out, cache)
    np.testing.assert_allclose(sum(dh for _, dh in parts), whole[1], rtol=1e-12)
    assert [bool(np.any(grads["classifier.w"])) for grads, _ in parts] == [True, False, False]
    assert all(np.any(dh) for _, dh in parts)


@pytest.mark.parametrize(("activation", "rectified"), [("relu", (1, 1)), ("hidden", (1, 0)), ("linear", (0, 0))])
def test_where_a_stack_is_rectified(activation, rectified):
    rng = np.random.default_rng(0)
    params = {f"m.{i}.{p}": rng.normal(size=(3, 3) if p == "w" else 3) for i in (1, 2) for p in "wb"}
    x = rng.normal(size=(6, 3))
    y = x
    for layer, on in enumerate(rectified, start=1):
        y = affine(params, f"m.{layer}", y)
        y = np.maximum(y, 0) if on else y
    np.testing.assert_allclose(mlp(params, "m", x, depth=2, activation=activation)[0], y, rtol=1e-13)


def test_which_pretrainer_a_modality_gets():
    dense = choose_pretrainer((128,), hidden=(512,), dropout=0.1)
    assert dense.forward is feature_pretrainer and dense.arch == FeaturePretrainer((512,), 0.1)
    settings = {"block_order": "conv-act-norm-pool", "batch_norm": "frozen", "dropout": 0.3, "fused": False}
    image = choose_pretrainer((96, 64, 1), **settings)
    assert image.forward is conv_pretrainer
    assert (image.arch.pools, image.arch.block_order) == ((2, 2, 4), "conv-act-norm-pool")
    assert (image.arch.batch_norm, image.arch.fused, image.arch.dropout) == ("frozen", False, 0.3)
