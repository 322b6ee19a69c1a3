"""The fused block of the released order is its plain twin: same values, statistics and gradients."""
# gradient: checks/ops.py "fused/conv_act_norm_pool/…", tests/gradcheck/test_battery.py

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import BLOCK, STACK, TILE, cut

from cmir_ref import parallel
from cmir_ref.ops import (
    batch_norm,
    batch_norm_backward,
    conv,
    conv_backward,
    leaky_relu,
    leaky_relu_backward,
    max_pool,
    max_pool_backward,
)
from cmir_ref.ops.fused import conv_act_norm_pool, conv_act_norm_pool_backward
from cmir_ref.ops.fused.conv_act_norm_pool import ConvActNormPoolCache

SIZES = {
    "seed": st.integers(0, 2**32), "n": st.integers(0, 23), "h": st.integers(1, 9), "wide": st.integers(1, 9),
    "c": st.sampled_from([1, 3, 8]), "d": st.integers(1, 3), "k": st.sampled_from([1, 3, 5]),
    "factor": st.integers(1, 4), "mode": st.sampled_from(["train", "inference", "frozen"]),
}  # fmt: skip


def plain(x, w, b, gamma, beta, mean, var, dy, factor, mode, slope=0.2):
    """[y, mean, var, dx, dw, db, dγ, dβ] of the composition."""
    u, conv_cache = conv(x, w, b)
    a, act_cache = leaky_relu(u, slope)
    z, norm_cache = batch_norm(a, gamma, beta, mean, var, mode=mode)
    y, pool_cache = max_pool(z, factor)
    da, dgamma, dbeta = batch_norm_backward(max_pool_backward(dy, pool_cache), norm_cache)
    grads = conv_backward(leaky_relu_backward(da, act_cache), conv_cache)
    return [y, norm_cache.mean, norm_cache.var, *grads, dgamma, dbeta]


def fused(x, w, b, gamma, beta, mean, var, dy, factor, mode, slope=0.2):
    y, cache = conv_act_norm_pool(x, w, b, gamma, beta, mean, var, factor=factor, slope=slope, mode=mode)
    return [y, cache.mean, cache.var, *conv_act_norm_pool_backward(dy, cache)], cache


def drawn(seed, n, h, wide, c, d, k, factor, dtype=np.float64, gammas=(-1.5, 0.7, 1), whole=False):
    """x, w, b, γ, β, μ, σ², dy; `whole`: x, w and b of whole numbers, so that ties are many."""
    rng = np.random.default_rng(seed)
    draw = (lambda *s: rng.integers(-1, 2, s)) if whole else (lambda *s: rng.normal(size=s))
    arrays = draw(n, h, wide, c), draw(k, k, c, d), draw(d), rng.choice(gammas, d)
    arrays += rng.normal(size=d), rng.normal(size=d), rng.uniform(0.5, 2, d)
    return [a.astype(dtype) for a in (*arrays, rng.normal(size=(n, h // factor, wide // factor, d)))]


def assert_alike(ours, theirs, tolerance):
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        scale = max(1, np.abs(other).max(initial=0))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-4)])
@given(**SIZES, gammas=st.sampled_from([(-1.5, 0.7, 1), (1, 0.3), (-1,), (0, 1)]))
def test_values_statistics_and_gradients(dtype, tolerance, factor, mode, **sizes):
    inputs = drawn(**sizes, factor=factor, dtype=dtype)
    ours, _ = fused(*inputs, factor, mode)
    assert_alike(ours, plain(*inputs, factor, mode), tolerance)


@given(**SIZES)
def test_ties_go_to_the_first_winner(factor, mode, **sizes):
    """γ and the statistics are powers of two and the slope a half, so that rounding makes no ties of its own."""
    x, w, b, _, beta, mean, _, dy = drawn(**sizes, factor=factor, whole=True)
    gamma = np.random.default_rng(sizes["seed"]).choice([-2.0, 0.5, 1], b.shape)
    inputs = x, w, b, gamma, np.round(beta), np.round(mean), np.full_like(gamma, 0.25 - 1e-3), dy
    assert_alike(fused(*inputs, factor, mode, 0.5)[0], plain(*inputs, factor, mode, 0.5), 1e-12)


@given(**SIZES, tile=TILE, block=BLOCK, stack=STACK)
def test_every_remainder_of_rows_samples_blocks_and_windows(factor, mode, tile, block, stack, **sizes):
    inputs = drawn(**sizes, factor=factor)
    with cut(tile, block, stack):
        ours, cache = fused(*inputs, factor, mode)
    assert_alike(ours, plain(*inputs, factor, mode), 1e-12)
    height, width = inputs[0].shape[1:3]
    whole = mode != "train" or not (height % factor or width % factor)
    assert isinstance(cache, ConvActNormPoolCache) == (whole and min(height, width) >= factor)


@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
@pytest.mark.parametrize(("height", "width"), [(8, 6), (9, 6), (8, 7), (9, 7), (2, 3), (3, 2)])
def test_windows_are_whole_in_height_and_width(height, width, mode):
    """Pixels that fill no window count in the statistics of a batch, and only the plain composition sees them."""
    inputs = drawn(0, 3, height, width, 2, 3, 3, 2)
    ours, cache = fused(*inputs, 2, mode)
    assert isinstance(cache, ConvActNormPoolCache) == (mode != "train" or (height % 2, width % 2) == (0, 0))
    assert_alike(ours, plain(*inputs, 2, mode), 1e-12)


@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
def test_the_fast_path_is_what_is_tested(mode):
    inputs = drawn(0, 2, 8, 4, 3, 4, 3, 2)
    assert isinstance(fused(*inputs, 2, mode)[1], ConvActNormPoolCache)


@pytest.mark.parametrize(
    ("mode", "slope", "settings"),
    [
        ("train", 0.2, {"h": 7}),  # a row that fills no window
        ("train", 0.2, {"wide": 5}),  # a column
        ("frozen", 0.0, {}),
        ("frozen", 0.2, {"gammas": (0.0,)}),
        ("train", 0.2, {"dtype": np.complex128}),
    ],
)
def test_what_takes_the_plain_composition(mode, slope, settings):
    inputs = drawn(**{"seed": 0, "n": 2, "h": 8, "wide": 4, "c": 3, "d": 4, "k": 3, "factor": 2} | settings)
    ours, cache = fused(*inputs, 2, mode, slope)
    assert not isinstance(cache, ConvActNormPoolCache)
    for one, other in zip(ours, plain(*inputs, 2, mode, slope), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", ["train", "frozen"])
@pytest.mark.parametrize("c", [1, 8])
def test_tiles_of_a_few_rows(monkeypatch, mode, c):
    monkeypatch.setattr("cmir_ref.ops.fused.tiles.TILE_BYTES", 20_000)
    inputs = drawn(0, 9, 24, 16, c, 3, 3, 2)
    assert_alike(fused(*inputs, 2, mode)[0], plain(*inputs, 2, mode), 1e-12)


@pytest.mark.parametrize("mode", ["train", "frozen"])
def test_the_number_of_threads_changes_no_bit(monkeypatch, mode):
    inputs = drawn(0, 19, 8, 8, 2, 4, 3, 2, np.float32)
    results = []
    for threads in (1, 2, 5):
        with ThreadPoolExecutor(threads) as pool:
            monkeypatch.setattr(parallel, "_pool", lambda pool=pool: pool)
            monkeypatch.setattr(parallel, "cores", lambda threads=threads: threads)
            results.append(fused(*inputs, 2, mode)[0])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("mode", ["train", "frozen"])
def test_the_gradient_of_an_image_can_be_left_out(mode):
    x, w, b, gamma, beta, mean, var, dy = drawn(0, 2, 6, 6, 1, 2, 3, 2)
    _, cache = conv_act_norm_pool(x, w, b, gamma, beta, mean, var, factor=2, mode=mode)
    whole, (dx, *rest) = (
        conv_act_norm_pool_backward(dy, cache),
        conv_act_norm_pool_backward(dy, cache, input_gradient=False),
    )
    assert dx is None
    for ours, theirs in zip(rest, whole[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_one_percent_and_training_unless_given():
    x, w, b, gamma, beta, *_ = drawn(0, 2, 4, 6, 3, 2, 3, 2)
    wanted = conv_act_norm_pool(x, w, b, gamma, beta, factor=2, slope=0.01, mode="train")
    np.testing.assert_array_equal(conv_act_norm_pool(x, w, b, gamma, beta, factor=2)[0], wanted[0])


def test_the_plain_composition_too_can_leave_out_the_gradient_of_an_image():
    x, w, b, gamma, beta, mean, var, dy = drawn(0, 2, 4, 6, 3, 2, 3, 2)
    _, cache = conv_act_norm_pool(x, w, b, 0 * gamma, beta, mean, var, factor=2, mode="inference")
    assert not isinstance(cache, ConvActNormPoolCache)
    assert conv_act_norm_pool_backward(dy, cache, input_gradient=False)[0] is None
