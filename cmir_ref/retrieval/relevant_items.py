"""Which items of a gallery are relevant to which queries of a run."""

from collections.abc import Callable
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
