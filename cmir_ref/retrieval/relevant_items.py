"""Which items of a gallery are relevant to which queries of a run, and which a query must not find."""

from collections.abc import Callable
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..backend import Array, to_device
from ..ops.labels import multi_hot
from ..records import Dataset, Items, Run
from .metrics import check_labels, relevance_of_checked


def labels_of(dataset: Dataset, items: Items) -> np.ndarray:
    """The labels of items of one or several modalities: integers (N,), or multi-hot (N, C) where one has them so."""
    labels = [dataset.modalities[m].labels[rows] for m, rows in items.rows.items()]
    if len({y.ndim for y in labels}) > 1:
        labels = [multi_hot(y, len(dataset.label_names)) for y in labels]
    return np.concatenate(labels)


def shared_label(run: Run, query: Items, gallery: Items, xp: Any = np) -> Callable[[slice], Array]:
    """Relevant is what shares a label with the query; in a data set without labels, its partners."""
    if not run.dataset.label_names:
        return paired(run, query, gallery, xp)
    query_labels, gallery_labels = (to_device(labels_of(run.dataset, items), xp) for items in (query, gallery))
    check_labels(query_labels, gallery_labels)
    return lambda rows: relevance_of_checked(query_labels[rows], gallery_labels)


def paired(run: Run, query: Items, gallery: Items, xp: Any = np) -> Callable[[slice], Array]:
    """Relevant are the query's partners in the pairing of the data set, which the run keeps."""
    pairs = {("a", i, "b", j) for i, j in np.asarray(run.dataset.pairing).tolist()}
    pairs |= {(q, j, p, i) for p, i, q, j in pairs}
    partners: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for p, i, q, j in pairs:
        partners.setdefault((p, i), set()).add((q, j))
    column = {key: k for k, key in enumerate(gallery.samples())}
    queries = query.samples()

    def of(rows: slice) -> Array:
        relevant = np.zeros((len(queries[rows]), len(column)), bool)
        for row, key in enumerate(queries[rows]):
            for partner in partners.get(key, ()):
                if partner in column:
                    relevant[row, column[partner]] = True
        return to_device(relevant, xp)

    return of


def positions(query: Items, gallery: Items, apart: np.ndarray | None = None) -> np.ndarray:
    """Where all that a query must not find stands in the gallery (Q, E), −1 beyond it: itself and what shows the same.

    That is what was made of it, what it was made of, and what else was made of that: `apart` is that of `Dataset`.
    """
    asked, known = (scene_numbers(items, apart) for items in (query, gallery))
    order = np.argsort(known, kind="stable")
    first, behind = (np.searchsorted(known, asked, side, sorter=order) for side in ("left", "right"))
    place = first[:, None] + np.arange((behind - first).max(initial=0))
    return np.where(place < behind[:, None], order[np.minimum(place, len(order) - 1)], -1)


def scene_numbers(items: Items, apart: np.ndarray | None = None) -> np.ndarray:
    """A number (N,) of each item, which those share that show the very same: a sketch has that of its photo.

    `apart` (P, 2) are samples of a and what was made of them in b, as `Dataset` has them.
    """
    numbers = []
    for m, rows in items.rows.items():
        number = len(ascii_lowercase) * rows + ascii_lowercase.index(m)
        if m == "b" and apart is not None and len(apart):
            photo, made = np.asarray(apart)[np.argsort(np.asarray(apart)[:, 1])].T
            place = np.minimum(np.searchsorted(made, rows), len(made) - 1)
            number = np.where(made[place] == rows, len(ascii_lowercase) * photo[place], number)
        numbers.append(number)
    return np.concatenate(numbers)
