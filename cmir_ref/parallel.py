"""Work shared out: blocks of samples over the threads of this process, and what a worker process does first."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from multiprocessing import parent_process
from threading import Thread

MOST_SAMPLES = 8  # in a block: few hand-offs between threads, and still enough blocks to share out
LEAST_BLOCKS = 4  # where there are as many samples


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

    The products of a step are small or already shared out; waking the threads of BLAS for them costs more than it
    gives.
    """
    return _blas().limit(limits=1, user_api="blas")


def sample_blocks(samples: int, size: int | None = None) -> list[slice]:
    """Samples 0 … samples − 1 in blocks of `size`.

    The size that is used by default depends on the number of samples alone, not on that of the cores.
    """
    size = size or max(min(samples // LEAST_BLOCKS, MOST_SAMPLES), 1)
    return [slice(i, min(i + size, samples)) for i in range(0, samples, size)]


def map_threads(work: Callable, parts: list) -> list:
    """[work(part) for part in parts], in this thread and as many others as there are more cores.

    Results come in the order of the parts: sums over them do not depend on the number of threads. After an error no
    other part is begun, and the error is raised here.
    """
    results, numbers = [None] * len(parts), iter(range(len(parts)))  # that threads share: next() is one step for them

    def take_turns():
        try:
            for i in numbers:
                results[i] = work(parts[i])
        except BaseException:
            for _ in numbers:  # nobody begins another part
                pass
            raise

    with single_threaded_blas():
        helpers = [_pool().submit(take_turns) for _ in range(min(cores(), len(parts)) - 1)]
        try:
            take_turns()
        finally:
            wait(helper for helper in helpers if not helper.cancel())
        for helper in helpers:
            if not helper.cancelled():
                helper.result()  # raises what went wrong there
    return results


def map_blocks(work: Callable, samples: int, size: int | None = None) -> list:
    """[work(block) for block in sample_blocks(samples, size)], in threads."""
    return map_threads(work, sample_blocks(samples, size))


def begin_worker() -> None:
    """The first call in a worker process: from then on it ends without a word when interrupted, and with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
