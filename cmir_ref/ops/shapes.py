"""Shapes that must agree, and numbers with a fraction: arrays that broadcast by accident, or that are whole numbers and
round and overflow without a word, give a number, but not the one that was meant.
"""

from ..backend import Array


def check_same_shape(**arrays: Array) -> None:
    """Raises `ValueError`, which names both, where two of these arrays differ in shape."""
    (first, one), *rest = arrays.items()
    for name, other in rest:
        if other.shape != one.shape:
            raise ValueError(f"{first} {one.shape} and {name} {other.shape}: expected the same shape")


def check_vectors(size: int, **vectors: Array | None) -> None:
    """Raises `ValueError`, which names it, where one of these arrays is not (size,); None is left out."""
    for name, vector in vectors.items():
        if vector is not None and vector.shape != (size,):
            raise ValueError(f"{name} {vector.shape}: expected ({size},), a number for each channel")


def check_fractions(**arrays: Array) -> None:
    """Raises `ValueError`, which names it, where one of these arrays is not of floating-point or complex numbers."""
    for name, array in arrays.items():
        if array.dtype.kind not in "fc":
            raise ValueError(f"{name} of {array.dtype}: expected floating-point numbers; give {name}.astype('float64')")
