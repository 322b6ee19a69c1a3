"""The comparators of Table 2 under one signature: each is fitted to pairs and gives readers.

A reader turns features of one modality (of some comparators: the logits of stage 1) into what is compared: codes, or
vectors. Every direction has two, of the queries and of the gallery.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..backend import Array
from ..retrieval.translation import through_pairs
from .baselines import class_probabilities
from .cca import RIDGE, cca
from .codes import codes, project_features
from .dcmh import hash_codes
from .fit import HashingSettings, fit_dcmh, fit_sidhcnn
from .scm import scm_orthogonal, scm_sequential

RIDGES = (RIDGE, 1e-3, 1e-1, 10.0, 1e3)  # the largest make CCA a partial least squares
NEIGHBOURS = (1, 5, 20, 100)
RECONSTRUCTION = "SIDHCNN (reconstruction)"  # never without what it is
# How long: at 16 bits on 3008 pairs (PAN → MUL, one seed) 3, 8, 16 and 30 epochs of DCMH had an average precision of
# 0.732, 0.969, 0.977 and 0.976, and 10, 30 and 60 of SIDHCNN 0.966, 0.974 and 0.976.
NETWORKS = {
    "DCMH": (fit_dcmh, HashingSettings(epochs=12)),
    RECONSTRUCTION: (fit_sidhcnn, HashingSettings(epochs=30)),
}
SILENT = 1e-9  # of the largest λ: a direction of SCM that says nothing about the labels

Reader = Callable[[Array], Array]


class Readers(NamedTuple):
    """What a fit gives: readers by direction, (of queries, of gallery items), and facts about the fit for a report."""

    of: dict[str, tuple[Reader, Reader]]
    facts: dict[str, Any]


class Comparator(NamedTuple):
    """`fit(z_a, z_b, labels, size, value, seed)` on pairs gives `Readers`; `size` is the number of bits or dimensions.

    `value` is one of `values` of what is called `choice`, to be chosen on the validation part.
    """

    fit: Callable[..., Readers]
    choice: str = ""
    values: tuple[float | None, ...] = (None,)
    reads: str = "z"  # or "logits"
    standardised: bool = False  # whether features are to be standardised by the training part


def both_ways(a: Reader, b: Reader, **facts: Any) -> Readers:
    """The readers of both directions, where a modality is read alike as query and as gallery."""
    return Readers({"a->b": (a, b), "b->a": (b, a)}, facts)


def fit_scm(solve: Callable, z_a: Array, z_b: Array, labels: Array, bits: int, ridge: float, seed: int) -> Readers:
    """SCM in one of its variants; `of_labels` counts the bits that follow the labels."""
    fit = solve(z_a, z_b, labels, bits, ridge=ridge)
    of_labels = int((fit.values > SILENT * fit.values[0])[: fit.supervised].sum())
    return both_ways(*(partial(codes, projection=p) for p in fit[:2]), of_labels=of_labels)


def fit_network(name: str, z_a: Array, z_b: Array, labels: Array, bits: int, value: None, seed: int) -> Readers:
    """A pair of hashing networks; `losses` are those of its epochs. Raises `FloatingPointError` where it diverges."""
    fit, settings = NETWORKS[name]
    networks = fit(z_a, z_b, labels, settings._replace(bits=bits, seed=seed))
    return both_ways(partial(hash_codes, networks.a), partial(hash_codes, networks.b), losses=networks.losses)


def fit_cca(z_a: Array, z_b: Array, labels: Array, dimensions: int, ridge: float, seed: int) -> Readers:
    """CCA, as floats."""
    return both_ways(*(partial(project_features, projection=p) for p in cca(z_a, z_b, dimensions, ridge=ridge)[:2]))


def fit_neighbours(z_a: Array, z_b: Array, labels: Array, size: int, k: int, seed: int) -> Readers:
    """Nearest neighbours: a query becomes the mean counterpart of the k training pairs that it resembles."""
    forth = partial(through_pairs, train_own=z_a, train_other=z_b, k=k)
    back = partial(through_pairs, train_own=z_b, train_other=z_a, k=k)
    return Readers({"a->b": (forth, unchanged), "b->a": (back, unchanged)}, {})


def fit_probabilities(u_a: Array, u_b: Array, labels: Array, size: int, value: None, seed: int) -> Readers:
    """The class probabilities of both stage-1 classifiers."""
    return both_ways(class_probabilities, class_probabilities)


def fit_predicted_class(u_a: Array, u_b: Array, labels: Array, size: int, value: None, seed: int) -> Readers:
    """The most probable class alone, in ⌈log₂ K⌉ bits: items of one class are all tied."""
    return both_ways(most_probable, most_probable, bits=math.ceil(math.log2(u_a.shape[1])))


def most_probable(u: Array) -> Array:
    """Logits (N, K) to a one where they are highest, zeros elsewhere."""
    return (u == u.max(axis=1, keepdims=True)).astype("float32")


def unchanged(x: Array) -> Array:
    """The reader of what is compared as it comes."""
    return x


COMPARATORS = {
    "SCM, orthogonal": Comparator(partial(fit_scm, scm_orthogonal), "ridge", RIDGES),
    "SCM, sequential": Comparator(partial(fit_scm, scm_sequential), "ridge", RIDGES),
    **{name: Comparator(partial(fit_network, name), standardised=True) for name in NETWORKS},
    "CCA, floats": Comparator(fit_cca, "ridge", RIDGES),
    "neighbours in Z": Comparator(fit_neighbours, "k", NEIGHBOURS),
    "class probabilities": Comparator(fit_probabilities, reads="logits"),
    "predicted class": Comparator(fit_predicted_class, reads="logits"),
}
