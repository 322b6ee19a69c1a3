"""CUDA graphs on the stand-in: what is launched while a stream captures is kept, and done again at each launch.

As on a GPU nothing is computed by a capture: what was written is taken back, and what was made holds rubbish until the
first launch. As there a graph does the same to the same memory, with the numbers of Python as they were. Refused is
what CuPy refuses, and what it lets pass and a replay would get wrong: an upload, a wait, memory that others may get.
"""

import threading
import weakref
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

PRODUCTS = {"matmul", "dot", "einsum", "tensordot", "inner", "vdot"}  # cuBLAS's


class Forbidden(RuntimeError):
    """What a stream does not capture."""


class Capture(threading.local):
    """What the stream of this thread has captured; None as long as it does not capture."""

    nodes: list[Callable[[], None]] | None = None
    before: list[tuple[np.ndarray, np.ndarray]]  # memory that was written to, and what stood there
    made: list[np.ndarray]
    pool: weakref.ref | None = None

    def refuse(self, what: str) -> None:
        """An error where a stream captures."""
        if self.nodes is not None:
            raise Forbidden(f"{what} during stream capture")

    def check(self, name: str, args: tuple = ()) -> None:
        """Refuses what CuPy does not capture: cuBLAS's products, and addresses of arrays sent to the device."""
        if name in PRODUCTS and self.nodes is not None:
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        if name in ("concatenate", "stack", "vstack", "hstack") and len(args[0]) > 8:
            self.refuse(f"{name} of {len(args[0])} arrays, whose addresses are sent,")

    def writes(self, *arrays) -> None:
        """Call it before these are written to."""
        if self.nodes is not None:
            self.before += [(owner, owner.copy()) for owner in map(owner_of, filter(is_array, arrays))]

    def keep(self, again: Callable, *made: np.ndarray) -> None:
        """`again()` gives what `made` holds; without `made` it writes by itself."""
        if self.nodes is None:
            return

        def node():
            found = again()
            for place, part in zip(made, found if isinstance(found, tuple | list) else (found,), strict=False):
                place[...] = part

        self.nodes.append(node)
        self.made += made

    def begin(self) -> None:
        if self.pool is None:
            raise Forbidden("capture without a memory pool of its own: others would get the graph's memory")
        self.refuse("a second capture")
        self.nodes, self.before, self.made = [], [], []

    def end(self) -> list[Callable[[], None]]:
        nodes, self.nodes = self.nodes, None
        for owner, copy in reversed(self.before):
            owner[...] = copy
        stood = {id(owner) for owner, _ in self.before}
        for array in self.made:
            if id(owner_of(array)) not in stood:
                array[...] = rubbish(array.dtype)
        return nodes


capture = Capture()


def is_array(value) -> bool:
    return isinstance(value, np.ndarray)


def rubbish(dtype: np.dtype):
    """A value that shows in every result."""
    return np.nan if dtype.kind in "fc" else np.iinfo(dtype).max if dtype.kind in "iu" else True


def owner_of(array: np.ndarray) -> np.ndarray:
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class MemoryPool:
    def malloc(self, size: int):
        raise NotImplementedError("the stand-in allocates by NumPy")


@contextmanager
def using_allocator(allocator):
    before, capture.pool = capture.pool, weakref.ref(allocator.__self__)
    try:
        yield
    finally:
        capture.pool = before


class Stream:
    def __init__(self, *, non_blocking: bool = False):
        self.non_blocking, self.current = non_blocking, False

    def __enter__(self):
        self.current = True
        return self

    def __exit__(self, *_):
        self.current = False

    def begin_capture(self) -> None:
        if not (self.non_blocking and self.current):
            raise Forbidden("capture on a stream that is not the current one, or waits for the others")
        capture.begin()

    def end_capture(self) -> "Graph":
        return Graph(capture.end(), capture.pool)


class Graph:
    """What a stream captured."""

    launches = 0  # of all graphs

    def __init__(self, nodes, pool):
        self.nodes, self.pool = nodes, pool

    def launch(self) -> None:
        from strict.standin import traffic

        if self.pool() is None:
            raise Forbidden("launch of a graph whose memory was freed")
        capture.refuse("launch of a graph")
        traffic.launch("graph")
        Graph.launches += 1
        for node in self.nodes:
            node()


cuda = SimpleNamespace(MemoryPool=MemoryPool, Stream=Stream, using_allocator=using_allocator)
