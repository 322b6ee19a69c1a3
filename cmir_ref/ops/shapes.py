"""Shapes that must agree: arrays that broadcast by accident give a number, but not the one that was meant."""

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
