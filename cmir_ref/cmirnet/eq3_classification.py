"""Equation 3: the embedding should tell the class.

    L₃ = CE(V_ab w_c, Y_ab)

n pairs, K classes. The logits come from the latent network's heads (`cmirnet/latent.py`):
    shared        u_a = V_a w_c, u_b = V_b w_c      V_ab stacks the rows, one head sees both (the paper's V_ab)
    separate      u_a = V_a w_ca, u_b = V_b w_cb    one head for each (released code)
    concatenated  u = [V_a, V_b] w_c                V_ab joins the columns, one row a pair
With u = V w_c + 1b_cᵀ:  dw_c = Vᵀ du, db_c = duᵀ 1, dV = du w_cᵀ; the shared head adds up both modalities' dw_c.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.labels import multi_hot
from .eq1_pretraining import CROSS_ENTROPY

CLASSIFIERS = ("shared", "separate", "concatenated")


class ClassificationCache(NamedTuple):
    a: tuple
    b: tuple | None
    share_a: float
    share_b: float
    kinds: tuple[str, str]


def classification(
    u_a: Array, u_b: Array | None, y_a: Array, y_b: Array, *, classifier: str = "shared", kinds=("softmax", "softmax")
) -> tuple[Array, ClassificationCache]:
    """L₃ from the logits u_a (n, K), u_b (m, K) and labels y_a, y_b, integer or multi-hot.

    `kinds` names each modality's cross entropy, "softmax" or "sigmoid" (multi-label).
        shared        the mean over all n + m rows of V_ab
        separate      mean over u_a's rows + mean over u_b's rows
        concatenated  u_a holds the pairs' logits, u_b is None; a pair has the labels of both its members
    A sigmoid cross entropy is a mean over rows and K labels, so its rows weigh 1/K of a softmax row.
    """
    if classifier not in CLASSIFIERS:
        raise ValueError(f"classifier is {classifier!r}; it is one of {', '.join(CLASSIFIERS)}")
    if classifier == "concatenated":
        loss, cache = CROSS_ENTROPY[kinds[0]][0](u_a, label_union(y_a, y_b, u_a.shape[1]))
        return loss, ClassificationCache(cache, None, 1.0, 0.0, kinds)
    rows = u_a.shape[0] + u_b.shape[0]
    shares = (u_a.shape[0] / max(rows, 1), u_b.shape[0] / max(rows, 1)) if classifier == "shared" else (1.0, 1.0)
    loss_a, cache_a = CROSS_ENTROPY[kinds[0]][0](u_a, y_a)
    loss_b, cache_b = CROSS_ENTROPY[kinds[1]][0](u_b, y_b)
    return shares[0] * loss_a + shares[1] * loss_b, ClassificationCache(cache_a, cache_b, *shares, kinds)


def classification_backward(dl: Array, cache: ClassificationCache) -> tuple[Array, Array | None]:
    """(du_a, du_b): (p − y) over the number of terms of its mean: rows, or rows · K for sigmoid.

    du_b is None for a concatenated head.
    """
    du_a = CROSS_ENTROPY[cache.kinds[0]][1](cache.share_a * dl, cache.a)
    if cache.b is None:
        return du_a, None
    return du_a, CROSS_ENTROPY[cache.kinds[1]][1](cache.share_b * dl, cache.b)


def label_union(y_a: Array, y_b: Array, classes: int) -> Array:
    """The labels that sample a or sample b of each pair has, as multi-hot rows (n, K).

    y_a, y_b: integer classes (n,) or multi-hot (n, K).
    """
    xp = get_xp(y_a, y_b)
    return xp.maximum(multi_hot(y_a, classes), multi_hot(y_b, classes))
