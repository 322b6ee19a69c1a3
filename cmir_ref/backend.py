"""Where arrays live.

Every function of `ops/`, `nets/`, `cmirnet/` and `hashing/` asks its own arrays which library they belong to, so the
same source runs on NumPy and on CuPy. Randomness is always drawn on the host: both devices see the same numbers.
"""

import textwrap
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .errors import InputError

Array = Any  # a numpy.ndarray or a cupy.ndarray


class GPUUnavailable(RuntimeError):
    """A GPU was asked for and there is none: the message says which piece is missing."""


def get_xp(*arrays: Array):
    """The array library that `arrays` belong to (`None` is skipped).

    NumPy arrays and scalars answer `numpy`. A mix of host and device arrays raises `TypeError` that names both.
    """
    found, first = None, None
    for array in arrays:
        if array is None:
            continue
        xp = np if isinstance(array, np.ndarray | np.generic) else _library_of(array)
        if found is None:
            found, first = xp, array
        elif xp is not found:
            one, other = (f"{getattr(a, 'dtype', '?')} {getattr(a, 'shape', '?')}" for a in (first, array))
            raise TypeError(
                f"arrays of {found.__name__} and {xp.__name__} in one call ({one} and {other}): "
                "move one with to_device or to_host"
            )
    return np if found is None else found


def _library_of(array: Array):
    """The library of a non-NumPy array: its own namespace if it names one, CuPy for CuPy arrays."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    if type(array).__module__.split(".")[0] == "cupy":
        import cupy

        return cupy
    raise TypeError(f"expected an array, got {type(array).__name__}")


def library(device: str):
    """The array library of `device` ("cpu" or "cuda").

    For "cuda" three things are tried: the import, the number of devices, a tiny kernel. Raises `GPUUnavailable` that
    says which of them fails, and why; there is no falling back to the CPU. Another name is an `InputError`.
    """
    if device == "cpu":
        return np
    if device != "cuda":
        raise InputError(f"device {device!r}: it is cpu or cuda")
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise GPUUnavailable(f"device cuda: CuPy does not import: {_cause(error)}") from error
        raise GPUUnavailable(
            "device cuda: CuPy is not installed: pip install 'cmir-ref[cuda13x]' "
            "(or 'cmir-ref[cuda12x]' where the driver is of CUDA 12)"
        ) from error
    except ImportError as error:
        raise GPUUnavailable(f"device cuda: CuPy does not import: {_cause(error)}") from error
    _try_out(cupy)
    return cupy


NO_DRIVER, NO_DEVICE = 35, 100  # cudaErrorInsufficientDriver, which is also what CUDA says of none; cudaErrorNoDevice


@cache  # of what worked
def _try_out(cupy) -> None:
    """Raises `GPUUnavailable` where this CuPy finds no device or cannot compute on it."""
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if count > 0:
            x = cupy.arange(4, dtype="float32").reshape(2, 2)
            float((x @ x + 1).sum())  # loads the compiler, the products and the reductions
            return
        cause, status, error = "0 devices", NO_DEVICE, None
    except Exception as caught:
        cause, status, error = _cause(caught), getattr(caught, "status", None), caught
    if status is None:  # no answer of CUDA's: what should give it is not there
        what = (
            "toolkit libraries missing: CuPy and a driver are there, but the CUDA libraries do not load: "
            "pip install 'cupy-cuda13x[ctk]' or 'cupy-cuda12x[ctk]', whichever CuPy it is"
        )
    elif status == NO_DRIVER:
        what = "no driver: this machine has no NVIDIA driver, or one too old for this CuPy"
    elif status == NO_DEVICE:
        what = "no device: the driver answers but shows no GPU; is CUDA_VISIBLE_DEVICES empty?"
    else:
        what = "the GPU does not compute"
    raise GPUUnavailable(f"device cuda: {what} ({cause})") from error


def _cause(error: Exception) -> str:
    """What an error says, in one short line; CuPy's own may have twenty."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" …")


def describe_gpu(xp) -> dict[str, str]:
    """Name, memory, driver and CUDA of the GPU that a working CuPy computes on."""
    runtime = xp.cuda.runtime
    properties, memory = runtime.getDeviceProperties(0), runtime.memGetInfo()
    versions = (f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.driverGetVersion(), runtime.runtimeGetVersion()))
    return {
        "cuda": f"{properties['name'].decode()}, compute capability {properties['major']}.{properties['minor']}",
        "memory": f"{memory[1] / 2**30:.1f} GiB, {memory[0] / 2**30:.1f} GiB free",
        "CUDA": "driver {}, libraries {}".format(*versions),
    }


def free_memory(xp) -> float:
    """Bytes that an array of `xp` may still take on its device; no bound for a library other than CuPy."""
    if xp.__name__ != "cupy":
        return float("inf")
    return xp.cuda.runtime.memGetInfo()[0] + xp.get_default_memory_pool().free_bytes()


class Graph(NamedTuple):
    """Work that a device does again at each `launch()`, on the same arrays as when it was captured."""

    launch: Callable[[], None]
    results: Any  # what the work gave: arrays that each launch fills anew
    pool: Any  # where all arrays of the work lie: freed, they would be given to others and still be written to


def capture(work: Callable[[], Any], xp) -> Graph:
    """`work()` as a CUDA graph: nothing is computed yet, and Python's numbers stay what they are now.

    The stream waits for no other, so that a thread may go on launching; the graph runs on the stream that is current at
    its launch. Raises what CuPy raises for work that cannot be captured: products of cuBLAS, transfers, waits.
    """
    pool, stream = xp.cuda.MemoryPool(), xp.cuda.Stream(non_blocking=True)
    with xp.cuda.using_allocator(pool.malloc), stream:
        stream.begin_capture()
        try:
            results = work()
        except BaseException:
            with suppress(Exception):  # what is wrong is known
                stream.end_capture()
            raise
        return Graph(stream.end_capture().launch, results, pool)


def pinned(shape: tuple[int, ...], dtype, xp) -> np.ndarray:
    """An empty host array that `to_device` copies while the host goes on, and holds until the copy is over."""
    if xp.__name__ != "cupy":
        return np.empty(shape, dtype)
    from cupyx import empty_pinned

    return empty_pinned(shape, dtype)


def to_device(array: Array, xp) -> Array:
    """`array` as an array of library `xp` (no copy where it is one already).

    CuPy copies from pinned memory (its own, or the array's where that is `pinned`), and the host does not wait.
    """
    return to_host(array) if xp is np else xp.asarray(array)


def to_host(array: Array) -> np.ndarray:
    """`array` as a NumPy array."""
    return array.get() if hasattr(array, "get") and not isinstance(array, np.ndarray) else np.asarray(array)


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A generator that depends on (seed, purpose, counters) alone: a resumed run draws what it would have drawn."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *counters])
