"""The workers of a running Dask cluster as an executor, so that a replication spreads over machines."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from importlib.metadata import version

from ..errors import InputError

PATIENCE = 5.0  # seconds that a scheduler has to answer


@contextmanager
def connect(address: str) -> Iterator[tuple[Executor, int]]:
    """(executor, number of workers) of the Dask cluster whose scheduler listens at `address`, "tcp://host:8786".

    Each worker has one thread, for BLAS counts its threads by process, and this version of the package. Raises
    `InputError` where that is not so, where there is no answer, and where Dask is not installed here.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise InputError("--cluster: Dask is not installed here; pip install 'cmir-ref[cluster]'") from error
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what goes wrong is said in one line, below
    try:
        asyncio.run(knock(address))
        with Client(address, timeout=PATIENCE, set_as_default=False) as client:
            threads = client.nthreads()
            check_workers(client, address, threads)
            yield client.get_executor(pure=False), len(threads)
    except (CancelledError, CommClosedError, KilledWorker) as error:
        raise InputError(
            f"--cluster {address}: lost while it worked ({error}); the same command goes on with what is done"
        ) from error
    finally:
        logger.setLevel(level)


async def knock(address: str) -> None:
    """Raises `InputError` where no scheduler answers: a `Client` that never was connected takes long to go away."""
    from distributed.comm import connect as connect_to

    try:
        comm = await asyncio.wait_for(connect_to(address, timeout=PATIENCE), PATIENCE + 1)
        await comm.close()
    except Exception as error:  # whatever else may listen there
        raise InputError(
            f"--cluster {address}: no Dask scheduler answers there; give the address that `dask scheduler` printed"
        ) from error


def check_workers(client, address: str, threads: dict[str, int]) -> None:
    """Raises `InputError` for a cluster that cannot do the work. `threads` are those of each worker."""
    if not threads:
        raise InputError(f"--cluster {address}: the scheduler has no workers; start some with `dask worker {address}`")
    crowded = [worker for worker, count in threads.items() if count > 1]
    if crowded:
        raise InputError(f"--cluster {address}: {crowded[0]} has several threads; start workers with --nthreads 1")
    ours = version("cmir-ref")
    try:
        theirs = set(client.run(version, "cmir-ref").values())
    except ImportError:
        theirs = {"none"}
    if theirs != {ours}:
        others = ", ".join(sorted(theirs - {ours}))
        raise InputError(f"--cluster {address}: workers have cmir-ref {others}; install {ours} there, as here")
