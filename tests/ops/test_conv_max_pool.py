"""The fused pair is its plain twin: same values, winners and gradients."""
# gradient: checks/ops.py "fused/conv_max_pool/…", tests/gradcheck/test_battery.py

import os
import subprocess
import sys
from ast import literal_eval
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from threading import Barrier, Event, current_thread, main_thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import BLOCK, STACK, TILE, cut

from cmir_ref import parallel
from cmir_ref.ops import conv, conv_backward, max_pool, max_pool_backward
from cmir_ref.ops.fused import conv_max_pool, conv_max_pool_backward, tiles
from cmir_ref.ops.fused.add_products import add_products
from cmir_ref.ops.fused.conv_max_pool import ConvMaxPoolCache


def twins(x, w, b, factor, dy):
    """[y, dx, dw, db] of the plain composition and of the fused pair."""
    y, conv_cache = conv(x, w, b)
    y, pool_cache = max_pool(y, factor)
    fused, cache = conv_max_pool(x, w, b, factor)
    plain = [y, *conv_backward(max_pool_backward(dy, pool_cache), conv_cache)]
    return plain, [fused, *conv_max_pool_backward(dy, cache)], (pool_cache, cache)


def drawn(seed, n, h, wide, c, d, k, factor, dtype, ties=False):
    rng = np.random.default_rng(seed)
    shapes = (n, h, wide, c), (k, k, c, d), (d,), (n, h // factor, wide // factor, d)
    draw = (lambda s: rng.integers(-1, 2, s)) if ties else (lambda s: rng.normal(size=s))
    return [draw(s).astype(dtype) for s in shapes]


SIZES = {
    "seed": st.integers(0, 2**32), "n": st.integers(0, 23), "h": st.integers(1, 9), "wide": st.integers(1, 9),
    "c": st.sampled_from([1, 2, 3, 9]), "d": st.integers(1, 3), "k": st.sampled_from([1, 3, 5]),
    "factor": st.integers(1, 4),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(**SIZES, tile=TILE, block=BLOCK, stack=STACK)
def test_every_remainder_of_rows_samples_blocks_and_windows(dtype, factor, tile, block, stack, **sizes):
    x, w, b, dy = drawn(**sizes, factor=factor, dtype=dtype, ties=True)
    with cut(tile, block, stack):
        plain, fused, (pool, cache) = twins(x, w, b, factor, dy)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)  # whole numbers: sums are exact
    assert isinstance(cache, ConvMaxPoolCache) == (min(x.shape[1:3]) >= factor)
    if isinstance(cache, ConvMaxPoolCache):
        np.testing.assert_array_equal(cache.winner.reshape(pool.winner.shape), pool.winner)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f4", "<f8"])
def test_numbers_in_either_order_of_bytes(dtype):
    """As files of other machines have them; the processor's products know one."""
    x, w, b, dy = drawn(3, 5, 8, 6, 3, 4, 3, 2, dtype)
    plain, fused, _ = twins(x, w, b, 2, dy)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(
    seed=st.integers(0, 2**32), p=st.integers(0, 9), c=st.integers(1, 4), d=st.integers(1, 5),
    starts=st.lists(st.integers(0, 5), max_size=4),
)  # fmt: skip
def test_products_are_added_where_they_start(dtype, seed, p, c, d, starts):
    """Whole numbers, so that sums are exact; some rows are met twice, and what none of them meets stays."""
    rng = np.random.default_rng(seed)
    a, b, out = (rng.integers(-9, 10, s).astype(dtype) for s in ((p, d), (len(starts), c, d), (p + 6, c)))
    expected = out.copy()
    for part, start in zip(b, starts, strict=True):
        expected[start : start + p] += a @ part.T
    add_products(a, b, out, starts)
    np.testing.assert_array_equal(out, expected)


@given(**SIZES, tile=TILE, block=BLOCK, stack=STACK)
def test_winners_that_nobody_read_are_found_when_they_are_asked_for(factor, tile, block, stack, **sizes):
    x, w, b, dy = drawn(**sizes, factor=factor, dtype=np.float64, ties=True)
    with cut(tile, block, stack):
        (y, cache), (same, without) = (conv_max_pool(x, w, b, factor, winners=kept) for kept in (True, False))
        grads, again = (conv_max_pool_backward(dy, kept) for kept in (cache, without))
    if isinstance(cache, ConvMaxPoolCache):
        assert cache.winner is not None and without.winner is None
    for ours, theirs in zip((same, *again), (y, *grads), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_inference_keeps_no_winners_and_training_does():
    from cmir_ref.nets.conv_block import BLOCK_ORDERS, conv_block

    x, w, b, _ = drawn(0, 3, 8, 8, 3, 4, 3, 2, np.float64)
    one, zero = np.ones(4), np.zeros(4)
    for order, mode in product(BLOCK_ORDERS, ("train", "inference", "frozen")):
        _, cache = conv_block(x, w, b, one, zero, zero, one, pool=2, order=order, mode=mode)
        first = cache.steps[0]
        winner = getattr(first, "conv", first).winner
        assert (winner is None) == (mode == "inference")


@pytest.mark.parametrize("c", [1, 9])  # thin channels and thick ones
@pytest.mark.parametrize("samples", range(1, 10))
@pytest.mark.parametrize("rows", range(1, 8))
def test_each_number_of_rows_and_samples_once(rows, samples, c):
    """Tiles of three rows of windows, or stacks of up to three samples."""
    x, w, b, dy = drawn(0, samples, 2 * rows + 1, 5, c, 2, 3, 2, np.float64, ties=True)
    row = 4 * 2 * (9 * c + 2) * 8  # bytes
    with cut(3 * row, 4, 3):
        assert tiles.Tiles(x.shape[1:], w, 2).height == min(3, rows)
        plain, fused, _ = twins(x, w, b, 2, dy)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(**SIZES)
def test_values_and_gradients(dtype, factor, **sizes):
    x, w, b, dy = drawn(**sizes, factor=factor, dtype=dtype)
    plain, fused, _ = twins(x, w, b, factor, dy)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    for ours, theirs in zip(fused, plain, strict=True):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(**SIZES, constant=st.booleans())
def test_ties_go_to_the_first_winner(dtype, factor, constant, **sizes):
    x, w, b, dy = drawn(**sizes, factor=factor, dtype=dtype, ties=True)  # whole numbers: sums are exact, ties many
    plain, fused, (pool, cache) = twins(np.ones_like(x) if constant else x, w, b, factor, dy)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if isinstance(cache, ConvMaxPoolCache):
        np.testing.assert_array_equal(cache.winner.reshape(pool.winner.shape), pool.winner)


def test_the_fast_path_is_what_is_tested():
    x, w, b, _ = drawn(0, 2, 6, 6, 1, 2, 3, 2, np.float32)
    assert isinstance(conv_max_pool(x, w, b, 2)[1], ConvMaxPoolCache)


@pytest.mark.parametrize("dtype", [np.float16, np.complex128, np.int64, np.longdouble])
def test_other_numbers_take_the_plain_composition(dtype):
    x, w, b, dy = drawn(0, 2, 6, 5, 2, 2, 3, 2, dtype, ties=True)
    plain, fused, (_, cache) = twins(x, w, b, 2, dy)
    assert not isinstance(cache, ConvMaxPoolCache)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("size", "factor"), [(16, 16), (3, 4)])
def test_large_factors_and_small_images_take_the_plain_composition(size, factor):
    x, w, b, dy = drawn(0, 1, size, 16, 1, 2, 3, factor, np.float64)
    plain, fused, (_, cache) = twins(x, w, b, factor, dy)
    assert not isinstance(cache, ConvMaxPoolCache)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_largest_factor_of_the_fast_path():
    x, w, b, dy = drawn(0, 1, 30, 15, 1, 2, 3, 15, np.float64)
    plain, fused, (_, cache) = twins(x, w, b, 15, dy)
    assert isinstance(cache, ConvMaxPoolCache)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_changes_no_bit(monkeypatch, dtype):
    x, w, b, dy = drawn(0, 19, 8, 8, 2, 4, 3, 2, dtype)
    results = []
    for threads in (1, 2, 5):
        with ThreadPoolExecutor(threads) as pool:
            monkeypatch.setattr(parallel, "_pool", lambda pool=pool: pool)
            monkeypatch.setattr(parallel, "cores", lambda threads=threads: threads)
            y, cache = conv_max_pool(x, w, b, 2)
            results.append([y, *conv_max_pool_backward(dy, cache)])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_results_come_in_the_order_of_the_parts(monkeypatch):
    """The first part ends last: it waits for all the others."""
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    rest, left = Event(), [1, 2, 3, 4]

    def work(part):
        if part == 0:
            assert rest.wait(10)
        else:
            left.remove(part)
            if not left:
                rest.set()
        return part

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(parallel, "_pool", lambda: pool)
        assert parallel.map_threads(work, [0, 1, 2, 3, 4]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_gradient_of_an_image_can_be_left_out(dtype):
    x, w, b, dy = drawn(0, 2, 6, 6, 1, 2, 3, 2, dtype)
    _, cache = conv_max_pool(x, w, b, 2)
    whole, (dx, *rest) = conv_max_pool_backward(dy, cache), conv_max_pool_backward(dy, cache, input_gradient=False)
    assert dx is None
    for ours, theirs in zip(rest, whole[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_one_block_is_not_swallowed(monkeypatch, threads):
    monkeypatch.setattr(parallel, "cores", lambda: threads)
    second = parallel.sample_blocks(12)[1].start
    with pytest.raises(ZeroDivisionError):
        parallel.map_blocks(lambda block: 1 // (block.start - second), 12)


def test_nothing_is_begun_after_an_error(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    both, done = Barrier(2), []

    def work(part):
        if not done:
            both.wait(10)  # each thread has a part
        if current_thread() is not main_thread():
            raise KeyboardInterrupt
        pool.submit(int).result()  # after the pool's only thread has left its parts
        done.append(part)

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        monkeypatch.setattr(parallel, "_pool", lambda: pool)
        parallel.map_threads(work, list(range(20)))
    assert len(done) == 1


def test_after_the_end_only_the_main_thread_goes_on(monkeypatch):
    """A notebook whose page was interrupted can train; what the page's threads compute has no reader any more."""
    monkeypatch.setattr(parallel, "ENDED", Event())
    parallel.end_threads()
    done = None
    with suppress(KeyboardInterrupt):  # which would end pytest
        done = parallel.map_threads(abs, [-1, -2])
    assert done == [1, 2]
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.submit(parallel.map_threads, abs, [-1, -2]).result()


def test_an_error_in_another_thread_is_not_swallowed(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    other = Event()

    def work(part):
        if current_thread() is main_thread():
            assert other.wait(10)
        else:
            other.set()
            raise ZeroDivisionError

    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        monkeypatch.setattr(parallel, "_pool", lambda: pool)
        parallel.map_threads(work, [0, 1])


def test_every_blas_runs_in_the_thread_that_asks():
    """SciPy's is another one than NumPy's, and is found only where it is loaded."""
    script = "from cmir_ref.parallel import map_threads; from threadpoolctl import threadpool_info as told; "
    script += "print(map_threads(lambda _: [(i['user_api'], i['num_threads']) for i in told()], [0]))"
    look = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", script], env=look, check=True, capture_output=True, text=True)
    blas = [threads for api, threads in literal_eval(done.stdout)[0] if api == "blas"]
    assert len(blas) >= 1 and set(blas) == {1}
