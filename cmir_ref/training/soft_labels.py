"""Mix-up and label smoothing: samples and labels that are less sure than those of a data set.

N samples, K classes. Both make rows y (N, K) that are means of labels. Either cross entropy L(u, y) of logits u is
linear in y:

    L(u, λ y + (1 − λ) y') = λ L(u, y) + (1 − λ) L(u, y')

No weight of a network enters y, so no gradient goes through it: ∂L/∂u stays p Σ_k y_k − y, or σ(u) − y, by the same
operations with soft rows. Sources: Zhang et al. 2018 for mix-up, Szegedy et al. 2016 for smoothing.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from ..backend import Array, get_xp
from ..config import SoftLabels
from ..ops.labels import multi_hot
from ..ops.softmax_cross_entropy import target_distribution
from .transfer import Sent, send_parts


def soft_labels(labels: Array, classes: int, kind: str, soft: SoftLabels) -> Array:
    """Labels as the cross entropy `kind` is told them: as they are, or rows (N, K) that are smoothed and can be mixed.

    "softmax": (1 − ε) y + ε Σ_k y_k / K, of distributions y: several labels share a sample evenly, before it is mixed.
    A sample without label stays without, and its partner gets the whole of a mixed row. "sigmoid": (1 − ε) y + ε / 2,
    for each of the K questions has two answers. ε is `soft.label_smoothing`. Smoothed labels that are mixed are mixed
    labels that are smoothed.
    """
    if not (soft.mix_up or soft.label_smoothing):
        return labels
    if kind == "softmax":
        y = target_distribution(labels, get_xp(labels).empty((len(labels), classes), dtype="float32"))
        even = y.sum(axis=1, keepdims=True) / classes
    else:
        y, even = multi_hot(labels, classes, "float32"), 0.5
    return (1 - soft.label_smoothing) * y + soft.label_smoothing * even


def draw_mixes(sizes: Iterable[int], strength: float, rng: np.random.Generator, xp) -> Iterator[Sent | None]:
    """For batches of these sizes n the number of each sample's partner in its batch, and its own share λ: (n, 2).

    Partners are a permutation, λ is of Beta(m, m) with m the `strength`; where it is 0 nothing is mixed: None.
    """
    if not strength:
        return iter([None] * len(list(sizes)))
    drawn = (np.stack([rng.permutation(n), rng.beta(strength, strength, n)], axis=1) for n in sizes)
    return send_parts((each.astype("float32") for each in drawn), xp)


def mix_rows(x: Array, mix: Sent | None) -> Array:
    """λ x + (1 − λ) x' for x (n, …) and its partners x' in the batch, of samples and of rows of labels alike."""
    if mix is None:
        return x
    partner = x[mix.there[:, 0].astype("int64")]
    share = mix.there[:, 1].astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return partner + share * (x - partner)
