"""Work on blocks of samples, in as many threads as there are cores, with single-threaded BLAS inside each."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

SAMPLES = 8  # in a block at most: few hand-offs between threads, and still enough blocks to share out
BLOCKS = 4  # at least, where there are as many samples


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


@cache
def _blas():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def single_threaded_blas():
    """A context in which each product runs in the thread that asks for it.

    The products of a step are small or already shared out; waking BLAS' own threads for them costs more than it gives.
    """
    return _blas().limit(limits=1, user_api="blas")


def blocks(samples: int, size: int | None = None) -> list[slice]:
    """Samples 0 … samples − 1 in blocks of `size`; by default of what their number suggests, not that of the cores."""
    size = size or max(min(samples // BLOCKS, SAMPLES), 1)
    return [slice(i, min(i + size, samples)) for i in range(0, samples, size)]


def each(work: Callable, parts: list) -> list:
    """[work(part) for part in parts], in this thread and as many others as there are more cores.

    Results come in the order of the parts: sums over them do not depend on the number of threads.
    """
    results, numbers = [None] * len(parts), iter(range(len(parts)))  # that threads share: next() is one step for them

    def some():
        try:
            for i in numbers:
                results[i] = work(parts[i])
        except BaseException:
            for _ in numbers:  # nobody begins another part
                pass
            raise

    with single_threaded_blas():
        helpers = [_pool().submit(some) for _ in range(min(cores(), len(parts)) - 1)]
        try:
            some()
        finally:
            wait(helper for helper in helpers if not helper.cancel())
        for helper in helpers:
            helper.cancelled() or helper.result()
    return results


def each_block(work: Callable, samples: int, size: int | None = None) -> list:
    """[work(block) for block in blocks(samples, size)], in threads."""
    return each(work, blocks(samples, size))
