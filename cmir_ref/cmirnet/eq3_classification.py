"""Equation 3: an embedding should tell the class.

    L₃ = CE(V_ab w_c, Y_ab)

n pairs, K classes. The logits come from the classifier of the latent network (`cmirnet/latent.py`), which is
    shared        u_a = V_a w_c, u_b = V_b w_c      V_ab stacks the rows, one classifier reads both (the paper's V_ab)
    separate      u_a = V_a w_ca, u_b = V_b w_cb    one classifier for each modality (the released code)
    concatenated  u = [V_a, V_b] w_c                V_ab joins the columns, one row a pair
With u = V w_c + 1b_cᵀ:  dw_c = Vᵀ du, db_c = duᵀ 1, dV = du w_cᵀ. The dw_c of a shared classifier is the sum of those
of both modalities.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.cross_entropy import cross_entropy, cross_entropy_backward
from ..ops.labels import multi_hot
from ..ops.shapes import check_same_shape

CLASSIFIERS = ("shared", "separate", "concatenated")


class ClassificationCache(NamedTuple):
    a: tuple
    b: tuple | None
    share_a: float
    share_b: float


def classification(
    u_a: Array, u_b: Array | None, y_a: Array, y_b: Array, *, classifier: str = "shared", kinds=("softmax", "softmax")
) -> tuple[Array, ClassificationCache]:
    """L₃ from the logits u_a (n, K), u_b (m, K) and labels y_a, y_b, integer or multi-hot.

    `kinds` names the cross entropy of each modality, "softmax" or "sigmoid" (multi-label).
        shared        the mean over all n + m rows of V_ab
        separate      mean over u_a's rows + mean over u_b's rows
        concatenated  u_a holds the logits of the pairs, u_b is None; a pair has the labels of both its members
    A sigmoid cross entropy is a mean over rows and K labels, so its rows weigh 1/K of a softmax row.
    """
    if classifier not in CLASSIFIERS:
        raise ValueError(f"classifier is {classifier!r}; it is one of {', '.join(CLASSIFIERS)}")
    if classifier == "concatenated":
        loss, cache = cross_entropy(u_a, label_union(y_a, y_b, u_a.shape[1]), kind=kinds[0])
        return loss, ClassificationCache(cache, None, 1.0, 0.0)
    share_a, share_b = 1.0, 1.0
    if classifier == "shared":
        rows = max(u_a.shape[0] + u_b.shape[0], 1)
        share_a, share_b = u_a.shape[0] / rows, u_b.shape[0] / rows
    loss_a, cache_a = cross_entropy(u_a, y_a, kind=kinds[0])
    loss_b, cache_b = cross_entropy(u_b, y_b, kind=kinds[1])
    return share_a * loss_a + share_b * loss_b, ClassificationCache(cache_a, cache_b, share_a, share_b)


def classification_backward(dl: Array, cache: ClassificationCache) -> tuple[Array, Array | None]:
    """(du_a, du_b): (p − y) over the number of terms of its mean: rows, or rows · K for sigmoid.

    du_b is None for a concatenated classifier.
    """
    du_a = cross_entropy_backward(cache.share_a * dl, cache.a)
    if cache.b is None:
        return du_a, None
    return du_a, cross_entropy_backward(cache.share_b * dl, cache.b)


def label_union(y_a: Array, y_b: Array, classes: int) -> Array:
    """The labels that sample a or sample b of each pair has, as multi-hot rows (n, K).

    y_a, y_b: integer classes (n,) or multi-hot (n, K).
    """
    xp = get_xp(y_a, y_b)
    hot_a, hot_b = multi_hot(y_a, classes), multi_hot(y_b, classes)
    check_same_shape(y_a=hot_a, y_b=hot_b)
    return xp.maximum(hot_a, hot_b)
