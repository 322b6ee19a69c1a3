"""Memory that is never good by chance, and work that is cut into parts of any size."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
from hypothesis import strategies as st

from cmir_ref import parallel
from cmir_ref.ops.fused import tiles

TILE = st.sampled_from([1, 700, 5_000, 30_000, tiles.TILE_BYTES])  # bytes: a row, a few rows, all rows of some samples
BLOCK, STACK = st.sampled_from([1, 2, 3, 8]), st.sampled_from([1, 3, 4])  # samples
EMPTY, EMPTY_LIKE = np.empty, np.empty_like


@contextmanager
def fresh_memory_is_nan() -> Iterator[None]:
    """`np.empty` and `np.empty_like` give NaN, the largest whole number, or True: what is never written shows."""

    def spoil(array):
        if array.dtype.kind in "fc":
            array.fill(np.nan)
        elif array.dtype.kind in "iu":
            array.fill(np.iinfo(array.dtype).max)
        elif array.dtype.kind == "b":
            array.fill(True)
        return array

    with mock.patch.multiple(
        np,
        empty=lambda *args, **settings: spoil(EMPTY(*args, **settings)),
        empty_like=lambda *args, **settings: spoil(EMPTY_LIKE(*args, **settings)),
    ):
        yield


@contextmanager
def cut(tile: int, block: int, stack: int) -> Iterator[None]:
    """Fused pairs work in tiles, blocks and stacks of these sizes, in fresh memory that is NaN."""
    with (
        mock.patch.multiple(tiles, TILE_BYTES=tile, STACK_SAMPLES=stack),
        mock.patch.multiple(parallel, MOST_SAMPLES=block, LEAST_BLOCKS=1),
        fresh_memory_is_nan(),
    ):
        yield
