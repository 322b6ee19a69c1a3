"""Blocks of samples over threads, for what treats each sample by itself."""

from collections.abc import Callable

import numpy as np

from ...backend import Array
from ...parallel import map_blocks


def by_samples(work: Callable[..., object], *x: Array) -> list:
    """[work(x[block])] of all blocks of the samples x (N, …), in order; for other arrays than NumPy's [work(x)].

    Several arrays of the same N are cut alike. How depends on N alone, never on the number of threads.
    """
    if not isinstance(x[0], np.ndarray) or not len(x[0]):
        return [work(*x)]
    return map_blocks(lambda block: work(*(array[block] for array in x)), len(x[0]))
