"""The fused pair is its plain twin: same values and gradients, for every remainder of lines, chunks and stacks."""
# gradient: checks/ops.py "fused/depthwise_by_lines/…", tests/gradcheck/test_battery.py

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref import parallel
from cmir_ref.ops import depthwise_conv, depthwise_conv_backward
from cmir_ref.ops.fused import depthwise_by_lines, depthwise_by_lines_backward, lines
from cmir_ref.ops.fused.depthwise_by_lines import DepthwiseLinesCache


def drawn(seed, n, h, w, c, k, dtype):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype(dtype) for s in ((n, h, w, c), (k, k, c), (n, h, w, c))]


def twins(x, w, dy, padding):
    """[y, dx, dw] of the plain pair and of the fused one."""
    y, cache = depthwise_conv(x, w, padding=padding)
    fused, lines_cache = depthwise_by_lines(x, w, padding=padding)
    assert isinstance(lines_cache, DepthwiseLinesCache)
    plain, fast = depthwise_conv_backward(dy, cache), depthwise_by_lines_backward(dy, lines_cache)
    return [y, *plain], [fused, *fast]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(
    seed=st.integers(0, 2**32), n=st.integers(0, 11), h=st.integers(1, 7), w=st.integers(1, 6), c=st.integers(1, 5),
    k=st.sampled_from([1, 2, 3, 5]), data=st.data(),
)  # fmt: skip
def test_values_and_gradients(dtype, seed, n, h, w, c, k, data):
    top, left = data.draw(st.integers(0, k - 1)), data.draw(st.integers(0, k - 1))
    x, kernel, dy = drawn(seed, n, h, w, c, k, dtype)
    plain, fused = twins(x, kernel, dy, (top, k - 1 - top, left, k - 1 - left))
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    for ours, theirs in zip(fused, plain, strict=True):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize(("wide", "chunk"), [(1, 1), (7, 1), (7, 40), (64, 100), (2048, 1 << 15), (1 << 20, 1)])
def test_the_size_of_a_chunk_changes_nothing(monkeypatch, wide, chunk):
    """Few numbers at a time or all at once: what is left over at the end of a buffer is computed as well."""
    monkeypatch.setattr(lines, "WIDE", wide)
    monkeypatch.setattr(lines, "CHUNK", chunk)
    x, w, dy = drawn(0, 3, 7, 6, 5, 3, np.float64)
    for ours, theirs in zip(*twins(x, w, dy, (1, 1, 1, 1)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [(2, 2, 2, 2), (0, 4, 4, 0), (4, 0, 0, 4), (1, 3, 2, 2)])
def test_stacks_do_not_see_each_other(padding):
    """Samples of a stack share their zeros: a sample that follows a larger stack must not see what was there."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(5, 5, 3))
    workspace = lines.Lines(4, (3, 4, 3), w, padding)
    for n in (4, 1, 3):
        x = rng.normal(size=(n, 3, 4, 3))
        workspace.load(n)[...] = x
        expected, _ = depthwise_conv(x, w, padding=padding)
        np.testing.assert_allclose(workspace.convolve(n), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit(monkeypatch, dtype):
    x, w, dy = drawn(0, 19, 6, 6, 4, 3, dtype)
    results = []
    for threads in (1, 2, 5):
        with ThreadPoolExecutor(threads) as pool:
            monkeypatch.setattr(parallel, "_pool", lambda pool=pool: pool)
            monkeypatch.setattr(parallel, "cores", lambda threads=threads: threads)
            y, cache = depthwise_by_lines(x, w, padding=(1, 1, 1, 1))
            results.append([y, *depthwise_by_lines_backward(dy, cache)])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("dtype", "stride", "padding"),
    [(np.float64, 2, (1, 1, 1, 1)), (np.float64, 1, (0, 0, 0, 0)), (np.complex128, 1, (1, 1, 1, 1)),
     (np.float16, 1, (1, 1, 1, 1))],
)  # fmt: skip
def test_what_it_cannot_do_takes_the_plain_operation(dtype, stride, padding):
    x, w, _ = drawn(0, 2, 5, 6, 3, 3, dtype)
    y, cache = depthwise_conv(x, w, stride=stride, padding=padding)
    fused, fused_cache = depthwise_by_lines(x, w, stride=stride, padding=padding)
    assert not isinstance(fused_cache, DepthwiseLinesCache)
    dy = np.ones_like(y)
    pairs = [(fused, y), *zip(depthwise_by_lines_backward(dy, fused_cache), depthwise_conv_backward(dy, cache))]  # noqa: B905
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)


def test_the_gradient_of_the_input_can_be_left_out():
    x, w, dy = drawn(0, 3, 5, 4, 2, 3, np.float64)
    _, cache = depthwise_by_lines(x, w, padding=(1, 1, 1, 1))
    (dx, dw), (nothing, same) = (
        depthwise_by_lines_backward(dy, cache),
        depthwise_by_lines_backward(dy, cache, input_gradient=False),
    )
    assert dx is not None and nothing is None
    np.testing.assert_array_equal(dw, same)
