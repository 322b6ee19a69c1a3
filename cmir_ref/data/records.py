"""What a data set is: modalities with labels, and which of their samples belong together."""

from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError


class Modality(NamedTuple):
    """One sensor's or sense's samples.

    `x` answers `len`, `.shape`, `.dtype` and `x[int array] -> ndarray`: images (N, H, W, C) in their stored dtype,
    features (N, D) float32, sounds log-mel patches (N, 96, 64, 1) float32. `labels` are integers (N,) or multi-hot
    uint8 (N, C). A path is a real file, or `file.mat:17` for row 17, counted from 0. `groups` (N,) names the voice or
    the scene class that each sample belongs to.
    """

    name: str
    kind: str  # "image", "features" or "sound"
    x: Any
    labels: np.ndarray
    ids: tuple[str, ...]
    paths: tuple[str, ...] | None
    groups: np.ndarray


class Dataset(NamedTuple):
    """Modalities that share label names. `pairing` (P, 2) holds sample numbers of the first two, or is None."""

    modalities: tuple[Modality, ...]
    label_names: tuple[str, ...]
    pairing: np.ndarray | None
    note: str = ""


def as_multi_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Integer labels (N,) or multi-hot labels (N, classes) as multi-hot uint8 (N, classes).

    Raises `InputError` for a label outside 0 … classes - 1, or an entry other than 0 and 1.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2:
        if labels.shape[1] != classes or not np.isin(labels, (0, 1)).all():
            raise InputError(f"multi-hot labels must be 0 or 1 in {classes} columns, got shape {labels.shape}")
        return labels.astype(np.uint8)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise InputError(f"label {labels[wrong[0]]} of sample {wrong[0]} is out of range: 0 to {classes - 1}")
    return (labels[:, None] == np.arange(classes)).astype(np.uint8)


def check(dataset: Dataset) -> Dataset:
    """`dataset` itself, or `InputError` with the first thing that is wrong in it.

    Looked at: lengths, labels, NaN and inf of arrays in memory, the pairing, and that every class has samples: each in
    at least one modality, and in an unpaired set each class of the first modality in all others, or no pair could be
    drawn. Images that are entirely black are refused where they are read.
    """
    hot = [_check_modality(m, dataset.label_names) for m in dataset.modalities]
    if dataset.pairing is not None:
        _check_pairing(dataset, hot)
    present = np.array([h.any(axis=0) for h in hot])
    for c, name in enumerate(dataset.label_names):
        if not present[:, c].any():
            raise InputError(f"class {name!r} has no samples: add some, or leave the class out")
        if dataset.pairing is None and present[0, c] and not present[:, c].all():
            without = dataset.modalities[int(np.argmin(present[:, c]))].name
            raise InputError(
                f"class {name!r} has no samples in {without}, but {dataset.modalities[0].name} samples carry it: "
                f"add some to {without}"
            )
    return dataset


def _check_modality(m: Modality, label_names: tuple[str, ...]) -> np.ndarray:
    """The modality's labels, multi-hot, once its lengths, labels and numbers are found in order."""
    n = len(m.x)
    if n == 0:
        raise InputError(f"{m.name}: no samples")
    for what, items in (("labels", m.labels), ("ids", m.ids), ("paths", m.paths), ("groups", m.groups)):
        if items is not None and len(items) != n:
            raise InputError(f"{m.name}: {n} samples but {len(items)} {what}: one for each sample is needed")
    if type(m.x) is np.ndarray and m.x.dtype.kind == "f":  # a memory map is not read through just to check it
        bad = ~np.isfinite(m.x.reshape(n, -1)).all(axis=1)
        if bad.any():
            first = int(np.argmax(bad))
            where = m.paths[first] if m.paths else f"{m.name}, sample {first}"
            raise InputError(f"{where}: NaN or infinity in row {first} ({bad.sum()} such rows); numbers must be finite")
    try:
        return as_multi_hot(m.labels, len(label_names))
    except InputError as error:
        raise InputError(f"{m.name}: {error}") from None


def _check_pairing(dataset: Dataset, hot: list[np.ndarray]) -> None:
    """Raise `InputError` unless the pairing joins samples that exist, share a label, and come in equal numbers."""
    a, b = dataset.modalities[:2]
    if len(a.x) != len(b.x):
        raise InputError(f"{a.name} has {len(a.x)} samples and {b.name} {len(b.x)}: a paired set needs equal counts")
    i, j = np.asarray(dataset.pairing).T
    if min(i.min(), j.min()) < 0 or i.max() >= len(a.x) or j.max() >= len(b.x):
        raise InputError(f"the pairing of {a.name} and {b.name} names a sample that does not exist")
    apart = ~(hot[0][i] & hot[1][j]).any(axis=1) & (hot[0][i].any(axis=1) | hot[1][j].any(axis=1))
    if apart.any():
        k = int(np.argmax(apart))
        raise InputError(f"{a.ids[i[k]]} ({a.name}) and {b.ids[j[k]]} ({b.name}) are paired but share no label")
