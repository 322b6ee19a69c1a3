"""Nested results and functions moved to another library, and compared."""

import warnings
from contextlib import contextmanager
from functools import partial
from types import CellType, FunctionType

import numpy as np
from strict.standin import no_traffic

from cmir_ref.backend import to_host


def moved(x, move):
    """`x` with `move` applied to every array: in containers, a partial's arguments, what a function closes over.

    NumPy's scalars count as arrays; a function comes back as a new one.
    """
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return move(x)
    if isinstance(x, partial):
        return partial(moved(x.func, move), *moved(x.args, move), **moved(x.keywords, move))
    if isinstance(x, dict):
        return {name: moved(part, move) for name, part in x.items()}
    if isinstance(x, tuple | list):
        parts = [moved(part, move) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, FunctionType) and x.__closure__:
        cells = tuple(CellType(moved(cell.cell_contents, move)) for cell in x.__closure__)
        found = FunctionType(x.__code__, x.__globals__, x.__name__, x.__defaults__, cells)
        found.__kwdefaults__ = x.__kwdefaults__
        return found
    return x


def arrays(*nested) -> list:
    """All arrays of nested results, wherever they are; None is left out."""
    found = []
    moved(nested, found.append)
    return found


def bits(*nested) -> list:
    """What must be equal where arithmetic is the same."""
    return [(part.dtype, part.shape, np.ascontiguousarray(part).tobytes()) for part in map(to_host, arrays(*nested))]


@contextmanager
def silence(xp):
    """Within it, waits are errors, and on the stand-in uploads too."""
    if xp.__name__ == "strict":
        with no_traffic():
            yield
    else:
        import cupyx

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it cannot see everything, and says so
            with cupyx.allow_synchronize(False):
                yield


BOUND = {"float64": 1e-12, "float32": 2e-5}  # of a GPU's results, which adds in other orders


def assert_same(xp, found, expected) -> None:
    """The same bits from the stand-in, which computes as NumPy does; from a GPU numbers that differ by `BOUND` of the
    largest at most (what cancels leaves rounding errors of what it was)."""
    if xp.__name__ == "strict":
        assert bits(found) == bits(expected)
        return
    size = max((np.abs(part[np.isfinite(part)]).max(initial=0) for part in arrays(expected)), default=0)
    for one, two in zip(map(to_host, arrays(found)), arrays(expected), strict=True):
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        np.testing.assert_allclose(one, two, rtol=0, atol=BOUND.get(str(two.dtype), 0) * size)
