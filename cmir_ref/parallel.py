"""Work shared out: blocks of samples over the threads of this process, and jobs over worker processes."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.reduction import ForkingPickler
from threading import Event, Thread, current_thread, main_thread
from typing import Any

from .progress import hush_numpy, tell

STOPS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
MOST_SAMPLES = 8  # in a block: few hand-offs between threads, and still enough blocks to share out
LEAST_BLOCKS = 4  # where there are as many samples
ENDED = Event()  # what no longer anybody waits for ends


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


@cache
def _blas():
    import scipy.linalg  # noqa: F401 - its BLAS is not NumPy's, and only one that is loaded is found
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
    aside = current_thread() is not main_thread()

    def take_turns():
        try:
            for i in numbers:
                if aside and ENDED.is_set():
                    raise KeyboardInterrupt
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


def end_threads() -> None:
    """What threads beside the main one share out ends with the part it is at: Python waits for them before it ends."""
    ENDED.set()


def map_blocks(work: Callable, samples: int, size: int | None = None) -> list:
    """[work(block) for block in sample_blocks(samples, size)], in threads."""
    return map_threads(work, sample_blocks(samples, size))


@contextmanager
def signals_held() -> Iterator[None]:
    """What interrupts this process waits until the body has ended: for libraries that an exception inside breaks."""
    before, came = {}, []
    if current_thread() is main_thread():  # no other hears signals
        before = {number: signal.getsignal(number) for number in STOPS}
        before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            before[number](number, None)


# ---- processes ------------------------------------------------------------------------------------------------------


def begin_worker() -> None:
    """The first call in a worker process: from then on it ends without a word when interrupted, and with its parent.

    What its parent ignores (`nohup`, a job in the background) it ignores, too, but for the termination by its parent.
    """
    hush_numpy()
    for number in STOPS:
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


class WorkerProcess(SpawnProcess):
    """A new Python that does not run the caller's script again, as `spawn` would: what it is given is the package's.

    So a script needs no `if __name__ == "__main__"`, and may come from standard input. Until `begin_worker` it hears
    no interruption, for it would answer with a traceback.
    """

    def start(self) -> None:
        """Starts the process."""
        main = sys.modules["__main__"]
        kept = {name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__}
        main.__spec__ = None
        masks = hasattr(signal, "pthread_sigmask")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS) if masks else ()
        try:
            super().start()
        finally:
            main.__dict__.update(kept)
            if masks:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerContext(SpawnContext):
    """The context of `multiprocessing` whose processes are `WorkerProcess`es; it knows those it started."""

    def __init__(self):
        self.processes: list[WorkerProcess] = []

    def Process(self, *args, **settings) -> WorkerProcess:
        """A process that has not begun."""
        self.processes.append(WorkerProcess(*args, **settings))
        return self.processes[-1]


class InThisProcess(Executor):
    """An executor that does each job at once, where it was asked to."""

    def submit(self, function: Callable, /, *args: Any, **settings: Any) -> Future:
        """The result of `function`, or its error, as a `Future`."""
        future: Future = Future()
        try:
            future.set_result(function(*args, **settings))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def worker_processes(
    count: int, begin: Callable = begin_worker, shared: Callable = lambda context: ()
) -> Iterator[Executor]:
    """An executor of `count` processes, each of which begins with `begin(*shared(context))`.

    Where processes cannot be started (no shared memory, a limit on their number, a process that may have no children)
    the work is done in this one, and a line on standard error says so. What is not begun when the body ends is left
    out; where it ends with an error, workers are stopped in the middle.
    """
    context, pool = WorkerContext(), None
    try:
        try:
            pool = ProcessPoolExecutor(count, context, begin, shared(context))
            for _ in range(count):  # each starts one
                pool.submit(os.getpid)
        except (OSError, ImportError, NotImplementedError, AssertionError, RuntimeError) as error:
            tell(f"all work is done by one process: no other can be started ({' '.join(str(error).split())})")
            if pool is not None:
                pool.shutdown(wait=False)
            pool = InThisProcess()
        yield pool
    except BaseException:
        with signals_held():  # a second interruption must not spare some of them
            stop_workers(context, pool)
        raise
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def stop_workers(context: WorkerContext, pool: Executor | None) -> None:
    """Ends the workers of a pool in the middle of their work, or of their start, when they hear no termination yet."""
    for process in context.processes:
        if process.is_alive():
            process.kill()
    results = getattr(pool, "_result_queue", None)
    if results is not None:  # without this the pool waits for ever for the rest of a result that was being sent
        results._writer.close()


def can_be_sent(*values: Any) -> bool:
    """Whether values can go to a worker process: not what the caller's script or notebook itself defines."""
    try:
        return b"__main__" not in bytes(ForkingPickler.dumps(values))
    except Exception:  # a lambda, an open file, …: each type has an error of its own
        return False
