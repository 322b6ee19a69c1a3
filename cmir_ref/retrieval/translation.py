"""Nearest neighbours in Z: a query is carried into the other modality by the training pairs that it resembles.

Z_a and Z_b of separately trained pretrainers share no axis, so that distances between them mean nothing; pairs do.
"""

from ..backend import Array
from ..errors import InputError
from .distances import embeddings
from .neighbours import nearest


def through_pairs(query: Array, train_own: Array, train_other: Array, k: int = 10) -> Array:
    """For each query (Q, D) the mean of the other modality's features over its k nearest training pairs: (Q, D').

    `train_own` (N, D) and `train_other` (N, D') are the training pairs' features in the query's modality and in the
    gallery's; the result is compared with the gallery's Z. k beyond N is cut to it. Raises `InputError` for k < 1, sets
    that are not paired, and as `nearest` does.
    """
    if len(train_own) != len(train_other):
        raise InputError(f"{len(train_own)} and {len(train_other)} training features: row i of both is pair i")
    train_other = embeddings(train_other, "train_other")
    index, _ = nearest(query, train_own, k)
    return train_other[index].mean(axis=1)
