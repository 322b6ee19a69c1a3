"""Word vectors by number. Number 0 is padding: it reads as zeros and never learns.

table (V, D), numbers integer (…,), y (…, D).
"""

from typing import NamedTuple

from ..backend import Array, get_xp


class EmbeddingCache(NamedTuple):
    numbers: Array
    shape: tuple[int, ...]


def embedding(table: Array, numbers: Array) -> tuple[Array, EmbeddingCache]:
    """y[…] = table[numbers[…]], and 0 where the number is 0, whatever row 0 of the table says.

    Raises `ValueError` for a number below 0, which would be read from the end; on a device nothing is looked at.
    """
    if get_xp(table, numbers).__name__ == "numpy" and numbers.size and numbers.min() < 0:
        raise ValueError(f"numbers: {numbers.min()} is none of a table of {len(table)} rows")
    return table[numbers] * (numbers > 0)[..., None], EmbeddingCache(numbers, table.shape)


def embedding_backward(dy: Array, cache: EmbeddingCache) -> Array:
    """dtable: every row gets the sum of the gradients of the places where it was read; row 0 gets 0."""
    xp = get_xp(dy, cache.numbers)
    dtable = xp.zeros(cache.shape, dtype=dy.dtype)
    xp.add.at(dtable, cache.numbers.ravel(), dy.reshape(-1, cache.shape[1]))
    dtable[:1] = 0
    return dtable
