"""Work on one sample at a time, in as many threads as there are cores, with single-threaded BLAS inside each."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


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


def each_sample(work: Callable[[int], None], samples: int) -> None:
    """Calls work(0) … work(samples − 1). Each writes its own part of an output, so the order does not matter."""
    with _blas().limit(limits=1, user_api="blas"):
        for _ in _pool().map(work, range(samples)):
            pass
