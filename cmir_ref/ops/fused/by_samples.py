"""Blocks of samples over threads, for what treats each sample by itself."""

from collections.abc import Callable, Mapping

import numpy as np

from ...backend import Array
from ...parallel import map_threads, sample_blocks


def by_samples(work: Callable[..., object], *x: Array | list | None, size: int | None = None) -> list:
    """[work(x[block])] of all blocks of the samples x (N, …), in order; for other arrays than NumPy's [work(x)].

    Several arrays of N samples are cut alike, an array of one sample is that of every block, a list has one item for
    each block (what another call returned), and None stays None. How samples are cut depends on N and `size` alone, as
    in `sample_blocks`, never on the number of threads.
    """
    samples = max((len(given) for given in x if isinstance(given, np.ndarray)), default=0)
    blocks = sample_blocks(samples, size) if samples else [slice(None)]

    def part(given, i):
        if given is None or (len(given) == 1 and not isinstance(given, list)):
            return given
        return given[i if isinstance(given, list) else blocks[i]]

    return map_threads(lambda i: work(*(part(given, i) for given in x)), range(len(blocks)))


def add_parts(parts: list[Mapping[str, Array]]) -> dict[str, Array]:
    """The gradients of all blocks together, each the sum of its parts in their order."""
    return {name: sum((part[name] for part in parts[1:]), start=first) for name, first in parts[0].items()}
