"""Work on blocks of samples, in as many threads as there are cores, with single-threaded BLAS inside each."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

SAMPLES = 4  # in a block: few hand-offs between threads, and still enough blocks to share out


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


def blocks(samples: int, size: int = SAMPLES) -> list[slice]:
    """Samples 0 … samples − 1 in blocks of at most `size`."""
    return [slice(i, min(i + size, samples)) for i in range(0, samples, size)]


def each(work: Callable, parts: list) -> list:
    """[work(part) for part in parts], in threads.

    Results come in the order of the parts: sums over them do not depend on the number of threads.
    """
    with single_threaded_blas():
        if cores() == 1:  # handing over to another thread would only cost time
            return [work(part) for part in parts]
        return list(_pool().map(work, parts))


def each_block(work: Callable, samples: int, size: int = SAMPLES) -> list:
    """[work(block) for block in blocks(samples, size)], in threads."""
    return each(work, blocks(samples, size))
