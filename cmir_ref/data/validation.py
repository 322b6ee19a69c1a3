"""What must be true of a data set before anything is trained on it."""

import numpy as np

from ..errors import InputError
from ..ops.labels import check_targets, multi_hot
from ..records import Dataset, Modality


def as_multi_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Integer labels (N,) or multi-hot labels (N, classes) as multi-hot uint8 (N, classes).

    Raises `InputError`, which names the first row that is wrong, for another shape, for a label outside
    0 … classes - 1, one that is no whole number, and an entry other than 0 and 1.
    """
    labels = np.asarray(labels)
    try:
        check_targets(labels, classes)
    except ValueError as error:
        raise InputError(str(error)) from None
    if labels.ndim == 2 and (wrong := np.argwhere((labels != 0) & (labels != 1))).size:  # before they are made bytes
        row, column = wrong[0]
        raise InputError(f"labels: row {row} has {labels[row, column]:g}; expected rows of 0 and 1")
    return multi_hot(labels, classes)


def check(dataset: Dataset) -> Dataset:
    """`dataset` itself, or `InputError` with the first thing that is wrong in it.

    Looked at: lengths, labels, NaN and inf of arrays in memory, the pairing, and that every class has samples: each in
    at least one modality, and in an unpaired set each class of the first modality in all others, or no pair could be
    drawn. Images that are entirely black are refused where they are read.
    """
    hot = {letter: _check_modality(m, dataset.label_names) for letter, m in dataset.modalities.items()}
    if dataset.pairing is not None:
        _check_pairing(dataset, hot)
    present = {letter: h.any(axis=0) for letter, h in hot.items()}
    for letter, m in dataset.modalities.items():
        if dataset.label_names and not present[letter].any():
            raise InputError(
                f"{m.name}: none of its {len(m.x)} samples carries a label; see that its label file is the right one"
            )
    for c, name in enumerate(dataset.label_names):
        having = [letter for letter in present if present[letter][c]]
        if not having:
            raise InputError(f"class {name!r} has no samples: add some, or leave the class out")
        lacking = [dataset.modalities[letter].name for letter in present if letter not in having]
        if dataset.pairing is None and "a" in having and lacking:
            raise InputError(
                f"class {name!r} has no samples in {lacking[0]}, but {dataset.modalities['a'].name} samples carry it: "
                f"add some to {lacking[0]}"
            )
    return dataset


def _check_modality(m: Modality, label_names: tuple[str, ...]) -> np.ndarray:
    """The modality's labels, multi-hot, once its lengths, labels and numbers are found in order."""
    n = len(m.x)
    if n == 0:
        raise InputError(f"{m.name}: no samples")
    if 0 in m.x.shape[1:]:
        where = m.paths[0] if m.paths else m.name
        raise InputError(f"{where}: samples of {' × '.join(map(str, m.x.shape[1:]))} numbers; they hold nothing")
    for what, items in (("labels", m.labels), ("ids", m.ids), ("paths", m.paths), ("groups", m.groups)):
        if items is not None and len(items) != n:
            raise InputError(f"{m.name}: {n} samples but {len(items)} {what}: one for each sample is needed")
    if type(m.x) is np.ndarray and m.x.dtype.kind == "f":  # a memory map is not read through just to check it
        bad = ~np.isfinite(m.x.reshape(n, -1)).all(axis=1)
        if bad.any():
            first = int(np.argmax(bad))
            where = m.paths[first] if m.paths else f"{m.name}, sample {first}"
            row = f"row {first} ({bad.sum()} such rows)"
            raise InputError(f"{where}: NaN or infinity in {row}; numbers must be finite, and below 3e38")
    try:
        return as_multi_hot(m.labels, len(label_names))
    except InputError as error:
        raise InputError(f"{m.name}: {error}") from None


def _check_pairing(dataset: Dataset, hot: dict[str, np.ndarray]) -> None:
    """Raises `InputError` unless the pairing joins samples that exist and share a label, and leaves none out."""
    a, b = dataset.modalities["a"], dataset.modalities["b"]
    i, j = np.asarray(dataset.pairing).T
    if min(i.min(), j.min()) < 0 or i.max() >= len(a.x) or j.max() >= len(b.x):
        raise InputError(f"the pairing of {a.name} and {b.name} names a sample that does not exist")
    for m, rows in ((a, i), (b, j)):
        alone = np.setdiff1d(np.arange(len(m.x)), rows)
        if alone.size:
            raise InputError(f"{m.ids[alone[0]]} ({m.name}) has no partner; in a paired set every sample needs one")
    hot_a, hot_b = hot["a"][i], hot["b"][j]
    apart = ~(hot_a & hot_b).any(axis=1) & (hot_a.any(axis=1) | hot_b.any(axis=1))
    if apart.any():
        k = int(np.argmax(apart))
        raise InputError(f"{a.ids[i[k]]} ({a.name}) and {b.ids[j[k]]} ({b.name}) are paired but share no label")
