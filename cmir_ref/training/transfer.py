"""Arrays that stand on the host and on a device, and samples that a device holds or is sent batch by batch.

On a GPU samples are kept as the data set stores them (DSRSID's bytes are a quarter of the floats that a network reads).
What is random is drawn on the host, and sent once for all batches of an epoch: a step sends nothing.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, free_memory, get_xp, pinned, to_device

SHARE = 0.5  # of the free memory of a device that one modality may fill: the rest is for a step's intermediate arrays
BLOCK_BYTES = 2**26  # of it sent at a time


class Sent(NamedTuple):
    """The same numbers on the host and on a device, or what the device needs of them."""

    host: np.ndarray
    there: Array


def send_parts(parts: Iterable[np.ndarray], xp) -> Iterator[Sent]:
    """Each part on the host and as an array of `xp`: a device gets all of them in one transfer."""
    if xp is np:
        yield from (Sent(part, part) for part in parts)
        return
    parts, start = list(parts), 0
    there = to_device(np.concatenate(parts), xp) if parts else None
    for part in parts:
        yield Sent(part, there[start : start + len(part)])
        start += len(part)


class OnDevice:
    """The samples x (N, …) of a host array, or of any other set that an index array reads, as arrays of `xp`.

    Whole, where they fill no more than `share` of the device's free memory: then a batch is an indexing there, and all
    that is sent is its index. Else each batch is read into pinned memory, from where it is copied while the host goes
    on.
    """

    def __init__(self, x: Any, xp, share: float = SHARE):
        self.xp, self.shape, self._host, self._whole = xp, x.shape, x, None
        sample = math.prod(x.shape[1:]) * np.dtype(x.dtype).itemsize
        if len(x) * sample <= share * free_memory(xp):
            self._whole = xp.empty(x.shape, dtype=x.dtype)
            step = max(1, BLOCK_BYTES // max(sample, 1))
            for start in range(0, len(x), step):
                self._whole[start : start + step] = self._sent(np.arange(start, min(start + step, len(x))))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | Sent) -> Array:
        index = index if isinstance(index, Sent) else Sent(index, None)
        if self._whole is None:
            return self._sent(index.host)
        return self._whole[to_device(index.host, self.xp) if index.there is None else index.there]

    def _sent(self, index: np.ndarray) -> Array:
        rows = pinned((len(index), *self.shape[1:]), self._host.dtype, self.xp)
        rows[...] = self._host[index]
        return to_device(rows, self.xp)


class Turned:
    """What a frozen network makes of n samples, of which it has also seen turned copies: an array (n, …).

    `rows` (V · n, …) are those of the samples as they are, then of all under the second symmetry, and so on.
    """

    def __init__(self, rows: Any, n: int):
        self.rows, self.shape = rows, (n, *rows.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | Sent) -> Array:
        return self.rows[index.host if isinstance(index, Sent) and not isinstance(self.rows, OnDevice) else index]

    @property
    def views(self) -> int:
        """V, how many symmetries there are."""
        return len(self.rows) // max(len(self), 1)

    def turn(self, index: np.ndarray | Sent, view: Sent) -> Sent:
        """The rows of these samples, each under the symmetry of its number in `view`."""
        host, there = index if isinstance(index, Sent) else (index, to_device(index, get_xp(view.there)))
        return Sent(view.host * len(self) + host, view.there * len(self) + there)


def on_device(x: Any, xp) -> Any:
    """`x` itself for NumPy and where it is there already, else `OnDevice`."""
    if isinstance(x, Turned):
        return Turned(on_device(x.rows, xp), len(x))
    return x if xp is np or isinstance(x, OnDevice) else OnDevice(x, xp)
