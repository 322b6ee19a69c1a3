"""Where arrays live.

Every function of `ops/`, `losses/` and `models/` asks its own arrays which library they belong to, so the same source
runs on NumPy and on CuPy. Randomness is always drawn on the host: both devices see the same numbers.
"""

import zlib
from typing import Any

import numpy as np

Array = Any  # a numpy.ndarray or a cupy.ndarray


class GPUUnavailable(RuntimeError):
    """A GPU was asked for and there is none: the message says which piece is missing."""


def get_xp(*arrays: Array):
    """The array library that `arrays` belong to (`None` is skipped).

    NumPy arrays and scalars answer `numpy`. A mix of host and device arrays raises `TypeError` that names both.
    """
    found = None
    for array in arrays:
        if array is None:
            continue
        xp = np if isinstance(array, np.ndarray | np.generic) else _library_of(array)
        if found is None:
            found = xp
        elif xp is not found:
            raise TypeError(
                f"arrays of {found.__name__} and {xp.__name__} in one call: move one with to_device or to_host"
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
    """The array library of `device` ("cpu" or "cuda"); raises `GPUUnavailable` where there is no working GPU."""
    if device == "cpu":
        return np
    try:
        import cupy
    except ImportError as error:
        raise GPUUnavailable(
            "device cuda: CuPy is not installed; pip install 'cmir-ref[cuda13x]' or 'cmir-ref[cuda12x]'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise GPUUnavailable(f"device cuda: no usable NVIDIA driver ({error})") from error
    if count < 1:
        raise GPUUnavailable("device cuda: the driver reports no device; is CUDA_VISIBLE_DEVICES empty?")
    try:
        ones = cupy.ones((2, 2), dtype="float32")
        float((ones @ ones).sum())
    except Exception as error:
        raise GPUUnavailable(f"device cuda: a device is there but the CUDA libraries do not load ({error})") from error
    return cupy


def to_device(array: Array, xp) -> Array:
    """`array` as an array of library `xp` (no copy where it is one already)."""
    return xp.asarray(array)


def to_host(array: Array) -> np.ndarray:
    """`array` as a NumPy array."""
    return array.get() if hasattr(array, "get") and not isinstance(array, np.ndarray) else np.asarray(array)


def rng(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A generator that depends on (seed, purpose, counters) alone: a resumed run draws what it would have drawn."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *counters])
