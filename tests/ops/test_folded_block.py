"""A folded block is its three convolutions, for every stack and remainder; samples may be cut as one likes."""
# gradient: checks/nets.py "efficientnet_lite/…", tests/gradcheck/test_battery.py

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref import parallel
from cmir_ref.ops import depthwise_conv, relu6
from cmir_ref.ops.fused import FoldedBlock, add_parts, by_samples, folded_block, pointwise_relu6, write_relu6
from cmir_ref.ops.padding import same_padding

folded_block_module = __import__("sys").modules["cmir_ref.ops.fused.folded_block"]


def drawn(seed, h, w, c, wide, e, k, stride, expand, dtype):
    rng = np.random.default_rng(seed)
    pair = lambda *shape: (  # noqa: E731
        rng.normal(size=shape).astype(dtype),
        rng.normal(size=shape[-1]).astype(dtype),
    )
    d = wide if expand else c
    return FoldedBlock(
        pair(c, d) if expand else None, pair(k, k, d), pair(d, e), stride, same_padding(h, w, k, stride),
        residual=stride == 1 and c == e,
    )  # fmt: skip


def step_by_step(x, block):
    h = x
    if block.expand:
        h = relu6(h @ block.expand[0] + block.expand[1])[0]
    h = depthwise_conv(h, block.depthwise[0], stride=block.stride, padding=block.padding)[0]
    h = relu6(h + block.depthwise[1])[0]
    h = h @ block.project[0] + block.project[1]
    return h + x if block.residual else h


SIZES = {
    "seed": st.integers(0, 2**32), "n": st.integers(0, 5), "h": st.integers(1, 7), "w": st.integers(1, 6),
    "c": st.integers(1, 4), "wide": st.integers(1, 5), "e": st.integers(1, 4), "k": st.sampled_from([1, 3, 5]),
    "stride": st.integers(1, 2), "expand": st.booleans(), "bytes_": st.sampled_from([1, 600, 1 << 20]),
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
@given(**SIZES)
def test_three_convolutions_step_by_step(dtype, tolerance, bytes_, n, **sizes):
    block = drawn(dtype=dtype, **sizes)
    x = np.random.default_rng(1).normal(size=(n, sizes["h"], sizes["w"], sizes["c"])).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded_block_module, "STACK_BYTES", bytes_)
        y = folded_block(x, block)
    expected = step_by_step(x, block)
    assert y.dtype == dtype and y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=20 * tolerance)


def test_neither_image_nor_kernels_are_written_to():
    block = drawn(0, 5, 4, 3, 4, 3, 3, 1, True, np.float64)
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 3))
    arrays = [x, *block.expand, *block.depthwise, *block.project]
    for array in arrays:
        array.flags.writeable = False
    folded_block(x, block)


def test_other_numbers_take_the_plain_composition():
    block = drawn(0, 5, 4, 3, 4, 3, 3, 1, True, np.longdouble)
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 3)).astype(np.longdouble)
    np.testing.assert_allclose(folded_block(x, block), step_by_step(x, block), rtol=1e-14)


def test_pointwise_and_its_second_half():
    rng = np.random.default_rng(0)
    x, w, b = 4 * rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(5, 6)), rng.normal(size=6)
    expected = np.clip(x @ w + b, 0, 6)
    np.testing.assert_allclose(pointwise_relu6(x, w, b), expected, rtol=1e-12, atol=1e-12)
    u = x @ w
    assert write_relu6(u, b) is u
    np.testing.assert_allclose(u, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 7, 33])
def test_samples_are_cut_by_their_number_alone(monkeypatch, n):
    x, seen = np.arange(n * 2.0).reshape(n, 2), []
    for threads in (1, 3):
        with ThreadPoolExecutor(threads) as pool:
            monkeypatch.setattr(parallel, "_pool", lambda pool=pool: pool)
            monkeypatch.setattr(parallel, "cores", lambda threads=threads: threads)
            seen.append([part.tolist() for part in by_samples(lambda part: part.copy(), x)])
    assert seen[0] == seen[1]
    np.testing.assert_array_equal(np.concatenate([np.array(p).reshape(-1, 2) for p in seen[0]]), x)


def test_what_one_call_returned_goes_block_by_block_through_the_next():
    """A list has an item a block, None stays None, and gradients of all blocks add up."""
    x = np.arange(66.0).reshape(33, 2)
    first = by_samples(lambda part, none: (part.sum(), none), x, None)
    parts = by_samples(lambda part, kept: {"w": part.sum() - kept[0], "n": len(part)}, x, first)
    assert {none for _, none in first} == {None} and len(parts) > 1 and not any(part["w"] for part in parts)
    assert add_parts(parts) == {"w": 0, "n": 33}
