import math

import numpy as np
import pytest

from cmir_ref.gradcheck import relative_error
from cmir_ref.nets.efficientnet_lite import (
    EfficientNetLite,
    LiteOutput,
    LiteStage,
    efficientnet_lite,
    efficientnet_lite_backward,
    fold_lite,
    has_shortcut,
    init_efficientnet_lite,
    is_statistic,
    lite_blocks,
    lite_features,
    lite_maps,
    lite_shapes,
    scale_lite,
    trained_layers,
)
from cmir_ref.ops import depthwise_conv, strided_conv
from cmir_ref.ops.padding import same_padding

TINY = EfficientNetLite(
    stem=3, head=6, stages=(LiteStage(1, 3, 1, 2, 1), LiteStage(2, 3, 2, 3, 2), LiteStage(3, 5, 2, 4, 1))
)


def drawn(arch=TINY, n=3, side=(11, 14), dtype=np.float64, seed=0):
    """(params, buffers, x) with every number away from 0 and 1; some activations are above 6."""
    rng = np.random.default_rng(seed)
    params, buffers = init_efficientnet_lite(arch, rng)
    params = {k: (v + rng.normal(0, 0.3, v.shape)).astype(dtype) for k, v in params.items()}
    params |= {k: 3 * v for k, v in params.items() if k.endswith(".gamma")}
    buffers = {k: (v + rng.uniform(0.1, 0.5, v.shape)).astype(dtype) for k, v in buffers.items()}
    return params, buffers, rng.normal(size=(n, *side, 3)).astype(dtype)


def layer(params, buffers, x, name, stride, mode, active=True):
    w = params[f"{name}.w"]
    padding = same_padding(*x.shape[1:3], len(w), stride)
    y, _ = (depthwise_conv if w.ndim == 3 else strided_conv)(x, w, stride=stride, padding=padding)
    mean, var = (buffers[f"{name}.mean"], buffers[f"{name}.var"]) if mode == "inference" else (0, 1)
    if mode == "train":
        mean, var = y.mean(axis=(0, 1, 2)), y.var(axis=(0, 1, 2))
    y = params[f"{name}.gamma"] * (y - mean) / np.sqrt(var + 1e-3) + params[f"{name}.beta"]
    return np.clip(y, 0, 6) if active else y


@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
def test_layer_by_layer(mode):
    params, buffers, x = drawn()
    step = lambda h, name, stride=1, active=True: layer(params, buffers, h, name, stride, mode, active)  # noqa: E731
    b0 = step(step(step(x, "stem", 2), "block.0.depthwise"), "block.0.project", active=False)
    b1 = step(step(step(b0, "block.1.expand"), "block.1.depthwise", 2), "block.1.project", active=False)
    b2 = step(step(step(b1, "block.2.expand"), "block.2.depthwise"), "block.2.project", active=False) + b1
    b3 = step(step(step(b2, "block.3.expand"), "block.3.depthwise", 2), "block.3.project", active=False)
    expected = LiteOutput(b0, b2, b3, None, None, step(b3, "head").mean(axis=(1, 2)))
    out, cache = efficientnet_lite(params, x, arch=TINY, mode=mode, buffers=buffers)
    for ours, theirs in zip(out, expected, strict=True):
        if theirs is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11)
    assert cache.statistics.keys() == (buffers.keys() if mode == "train" else set())
    if mode == "train":
        u, _ = strided_conv(x, params["stem.w"], stride=2, padding=same_padding(*x.shape[1:3], 3, 2))
        np.testing.assert_allclose(cache.statistics["stem.mean"], u.mean(axis=(0, 1, 2)), rtol=1e-10)
        np.testing.assert_allclose(cache.statistics["stem.var"], u.var(axis=(0, 1, 2)), rtol=1e-10)


def test_lite0_as_it_was_published():
    """Maps of eq. 6-9's sizes, and the 4 652 008 weights of Lite0 without its classifier's 1 281 000."""
    blocks = lite_blocks(EfficientNetLite())
    assert [b.stride for b in blocks] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert {b.map: (i, b.out) for i, b in enumerate(blocks) if b.map} == {
        "map_2": (0, 16), "map_4": (2, 24), "map_8": (4, 40), "map_16": (10, 112), "map_32": (15, 320),
    }  # fmt: skip
    weights = sum(math.prod(s) for name, s in lite_shapes(EfficientNetLite()).items() if not is_statistic(name))
    assert weights == 4_652_008 - 1_281_000


def test_widths_and_depths_of_the_family():
    """Lite1 is (1.0, 1.1), Lite2 (1.1, 1.2); multiples of 8, and never less than nine tenths of what was asked for."""
    assert scale_lite() == EfficientNetLite()
    assert [s.repeats for s in scale_lite(1.0, 1.1).stages] == [1, 3, 3, 4, 4, 5, 1]
    assert [s.channels for s in scale_lite(1.1, 1.2).stages] == [16, 24, 48, 88, 120, 208, 352]
    assert [s.channels for s in scale_lite(0.05, 1.0, divisor=1).stages] == [1, 2, 2, 4, 6, 10, 16]
    narrow = lite_blocks(scale_lite(0.3))  # eight channels go in and come out, but from twice the side
    assert narrow[1].channels == narrow[1].out and not has_shortcut(narrow[1]) and has_shortcut(narrow[2])


def test_a_kernel_begins_by_how_many_numbers_it_adds_up():
    params, _ = init_efficientnet_lite(EfficientNetLite(), np.random.default_rng(0))
    for name, added in (("stem", 27), ("block.15.expand", 192), ("block.15.depthwise", 9), ("head", 320)):
        assert params[f"{name}.w"].std() == pytest.approx(math.sqrt(2 / added), rel=0.1), name


@pytest.mark.parametrize("side", [(11, 14), (8, 8), (1, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_folding_the_normalisation_changes_nothing_but_rounding(dtype, tolerance, side):
    params, buffers, x = drawn(dtype=dtype, side=side)
    out, _ = efficientnet_lite(params, x, arch=TINY, buffers=buffers)
    folded = lite_features(fold_lite(TINY, params | buffers), x)
    for ours, theirs in zip(folded, out, strict=True):
        if theirs is not None:
            assert ours.dtype == dtype
            assert relative_error(ours, theirs)[0] <= tolerance


def test_a_query_alone_is_what_it_is_in_a_batch():
    params, buffers, x = drawn(n=9)
    network = fold_lite(TINY, params | buffers)
    whole = lite_features(network, x).pooled
    alone = np.concatenate([lite_features(network, x[i : i + 1], maps=False).pooled for i in range(9)])
    np.testing.assert_allclose(alone, whole, rtol=1e-13)
    assert lite_features(network, x, maps=False).map_2 is None
    assert lite_features(network, x[:0]).pooled.shape == (0, 6)


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_the_last_blocks_alone_go_on_from_the_map_before_them(first):
    params, buffers, x = drawn()
    whole, cache = efficientnet_lite(params, x, arch=TINY, buffers=buffers)
    _, h = lite_maps(fold_lite(TINY, params | buffers), x, until=first)
    layers = trained_layers(TINY, first)
    own = {name: p for name, p in params.items() if name.rpartition(".")[0] in layers}
    part, part_cache = efficientnet_lite(own, h, arch=TINY, buffers=buffers, first=first)
    np.testing.assert_allclose(part.pooled, whole.pooled, rtol=1e-12)
    dy = np.random.default_rng(1).normal(size=whole.pooled.shape)
    d = LiteOutput(*[None] * 5, dy)
    grads, _ = efficientnet_lite_backward(d, cache)
    last, dx = efficientnet_lite_backward(d, part_cache)
    assert last.keys() == own.keys() and dx is None
    for name, grad in last.items():
        assert relative_error(grad, grads[name], floor=1e-8)[0] <= 1e-11


def test_names_of_what_is_trained():
    assert trained_layers(TINY, 0)[:2] == ("stem", "block.0.depthwise")
    assert trained_layers(TINY, 3) == ("block.3.expand", "block.3.depthwise", "block.3.project", "head")
    assert trained_layers(TINY, 4) == ("head",)
    ten = EfficientNetLite(stages=(LiteStage(1, 3, 1, 4, 12),))
    assert trained_layers(ten, 2)[0] == "block.2.depthwise"  # not block.1's, although block.10 begins like it
    assert "block.10.project" in trained_layers(ten, 2) and "block.1.project" not in trained_layers(ten, 2)


def test_gradients_in_float32_are_float32():
    params, buffers, x = drawn(dtype=np.float32)
    out, cache = efficientnet_lite(params, x, arch=TINY, buffers=buffers, input_gradient=True)
    d = LiteOutput(*(None if part is None else np.ones_like(part) for part in out))
    grads, dx = efficientnet_lite_backward(d, cache)
    assert {g.dtype for g in (*grads.values(), dx)} == {np.dtype("float32")}


def test_the_inference_network_runs_on_another_library_of_arrays():
    """The stand-in for CuPy takes no twin of NumPy's: its plain composition gives the same features."""
    from strict.standin import xp

    params, buffers, x = drawn()
    ours = lite_features(fold_lite(TINY, params | buffers), x)
    there = {name: xp.asarray(array) for name, array in (params | buffers).items()}
    found = lite_features(fold_lite(TINY, there), xp.asarray(x))
    for one, other in zip(found, ours, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert relative_error(one.get(), other)[0] <= 1e-12
