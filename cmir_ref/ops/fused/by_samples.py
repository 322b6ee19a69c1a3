"""Blocks of samples over threads, for what treats each sample by itself."""

from collections.abc import Callable

import numpy as np

from ...backend import Array
from ...parallel import map_blocks


def by_samples(work: Callable[[Array], object], x: Array) -> list:
    """[work(x[block])] of all blocks of the samples x (N, …), in order; for other arrays than NumPy's [work(x)].

    How the samples are cut depends on their number alone, never on that of the threads.
    """
    if not isinstance(x, np.ndarray) or not len(x):
        return [work(x)]
    return map_blocks(lambda block: work(x[block]), len(x))
