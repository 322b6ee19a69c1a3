"""Maps that a frozen network made of each image once: a sample is one row of numbers, its maps and its pooled features.

N samples; maps (N, h, w, C) of any sizes, P pooled features.
"""

from typing import NamedTuple

from ..backend import Array


class GivenMaps(NamedTuple):
    """How a row is laid out: the maps of these sizes (h, w, C), the finest first, then `pooled` features."""

    sizes: tuple[tuple[int, int, int], ...]
    pooled: int
    skipped: int = 0  # so many of the first maps are not read

    def shapes(self, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """(h, w, C) of each map that is read, whatever the `shape` of the images was."""
        return list(self.sizes[self.skipped :])


def given_maps(rows: Array, arch: GivenMaps) -> tuple[tuple[Array, ...], Array]:
    """(maps, pooled features (N, P)) of rows (N, D); views, through which no gradient goes: the network is frozen.

    Raises `ValueError` where a row is not as long as its parts together.
    """
    counts = [h * w * c for h, w, c in arch.sizes]
    if rows.shape[1] != sum(counts) + arch.pooled:
        raise ValueError(f"rows of {rows.shape[1]} numbers; the maps and features are {sum(counts)} + {arch.pooled}")
    maps, start = [], 0
    for size, count in zip(arch.sizes, counts, strict=True):
        maps.append(rows[:, start : start + count].reshape(len(rows), *size))
        start += count
    return tuple(maps[arch.skipped :]), rows[:, start:]
