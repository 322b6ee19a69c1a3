"""Pairs to train on: given with the data, or drawn so that both sides share a label."""

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..records import Dataset
from .validation import as_multi_hot


def draw_pairs(
    labels_a: np.ndarray,
    labels_b: np.ndarray,
    index_a: np.ndarray,
    index_b: np.ndarray,
    rng: np.random.Generator,
    apart: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> np.ndarray:
    """For each sample of a and each of its labels, a random sample of b with that label: (P, 2) sample numbers.

    Labels are those of the whole modalities, integers (N,) or multi-hot (N, C); `index_a` and `index_b` say which
    samples may be used. Rows follow `index_a`, and within a sample its labels. With multi-hot a, P is the number of
    ones (7004 for all of UC Merced). Rows of `apart` (P, 2) are never drawn: another sample of the class takes their
    place. Raises `InputError`, with the label's name where there are `names`, for a label of a that no sample of b
    has, or only one that it must not be paired with.
    """
    index_a, index_b = np.asarray(index_a), np.asarray(index_b)
    classes = max(np.shape(ls)[1] if np.ndim(ls) == 2 else int(np.max(ls)) + 1 for ls in (labels_a, labels_b))
    rows, labels = np.nonzero(as_multi_hot(labels_a, classes)[index_a])
    hot_b = as_multi_hot(labels_b, classes)[index_b]
    pairs, own = np.stack([index_a[rows], np.empty(len(rows), int)], axis=1), rows_as_set(apart)
    for label in np.unique(labels):
        wanting, candidates = labels == label, index_b[hot_b[:, label] > 0]
        if not candidates.size:
            name = repr(names[label]) if len(names) else label
            remedy = "add some, leave it out, or choose another split"
            raise InputError(f"label {name} of a: no sample of b has it to be paired with; {remedy}")
        pairs[wanting, 1] = rng.choice(candidates, wanting.sum())
        draw_others(pairs, np.flatnonzero(wanting), candidates, rng, own)
    return pairs


def rows_as_set(apart: np.ndarray | None) -> set[tuple[int, int]]:
    """The rows of `apart` (P, 2), to be looked up; none without it."""
    return set() if apart is None else {(int(i), int(j)) for i, j in apart}


def draw_others(
    pairs: np.ndarray, rows: np.ndarray, candidates: np.ndarray, rng: np.random.Generator, own: set[tuple[int, int]]
) -> None:
    """Draws again, in place, where one of these `rows` of `pairs` is among `own`, until none is.

    Raises `InputError` where all candidates stand there with it.
    """
    for row in rows:
        i = int(pairs[row, 0])
        if (i, int(pairs[row, 1])) in own and all((i, int(j)) in own for j in candidates):
            raise InputError("a sample has no partner of its class but the one that was made of it: add some")
        while (i, int(pairs[row, 1])) in own:
            pairs[row, 1] = rng.choice(candidates)


def given_pairs(pairing: np.ndarray, index_a: np.ndarray, index_b: np.ndarray) -> np.ndarray:
    """The rows of `pairing` (P, 2) whose two samples are both in the part (`index_a`, `index_b`)."""
    pairing = np.asarray(pairing)
    return pairing[np.isin(pairing[:, 0], index_a) & np.isin(pairing[:, 1], index_b)]


def pairs_of(dataset: Dataset, part: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The pairs (P, 2) of a and b in one part of a split: the given ones, or drawn anew with `rng`."""
    if dataset.pairing is not None:
        return given_pairs(dataset.pairing, part["a"], part["b"])
    a, b = dataset.modalities["a"], dataset.modalities["b"]
    return draw_pairs(a.labels, b.labels, part["a"], part["b"], rng, dataset.apart, dataset.label_names)
