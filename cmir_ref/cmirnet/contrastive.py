"""A term of ours beside eq. 6: among the samples of a batch, each finds its own partner.

n pairs, d_v dimensions: v_a, v_b (n, d_v), row i of both belongs to pair i; S (n, n) are cosines over a temperature τ:

    S_ij = ⟨v_a,i , v_b,j⟩ / (τ ‖v_a,i‖ ‖v_b,j‖)
    L = ½ (1/n) Σ_i [log Σ_j e^{S_ij} − S_ii]  +  ½ (1/n) Σ_j [log Σ_i e^{S_ij} − S_jj]

No label enters, so that pairs alone are enough to learn from. Eq. 2 pulls partners together and is content with a space
that is one point; here every other sample of the batch is to be farther away than the partner. With P the softmax of
the rows of S and Q that of its columns, each of them one cross entropy whose right class is the diagonal,

    dS = ½ (1/n) [(P − I) + (Q − I)]

and dS/τ goes back through the cosines to both embeddings. Sources: van den Oord, Li & Vinyals, "Representation learning
with contrastive predictive coding", 2018 (InfoNCE); Radford et al., "Learning transferable visual models from natural
language supervision", ICML 2021 (both directions at once).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.cosine import CosineCache, cosine, cosine_backward
from ..ops.shapes import check_same_shape
from ..ops.softmax_cross_entropy import SoftmaxCache, softmax_cross_entropy, softmax_cross_entropy_backward


class Contrast(NamedTuple):
    """How much the term weighs, and the temperature."""

    weight: float = 0.0
    temperature: float = 0.1


NO_CONTRAST = Contrast()


class ContrastiveCache(NamedTuple):
    cosines: CosineCache
    rows: SoftmaxCache  # a's samples among those of b
    columns: SoftmaxCache  # b's among those of a
    temperature: float


def contrastive(
    v_a: Array, v_b: Array, *, temperature: float = 0.1, reduction: str = "mean"
) -> tuple[Array, ContrastiveCache]:
    """L above; the sum over the pairs instead of their mean where `reduction` is "sum".

    It is log n where all embeddings are the same, and 0 for one pair alone. An embedding that is 0 has the cosine 0 to
    all others. Raises `ValueError` where v_a and v_b differ in shape.
    """
    check_same_shape(v_a=v_a, v_b=v_b)
    s, cosines = cosine(v_a, v_b)
    s = s / temperature
    (l_a, rows), (l_b, columns) = _find_partners(s, reduction), _find_partners(s.T, reduction)
    return (l_a + l_b) / 2, ContrastiveCache(cosines, rows, columns, temperature)


def _find_partners(s: Array, reduction: str) -> tuple[Array, SoftmaxCache]:
    """The cross entropy of the rows of s (n, n) whose right class is the diagonal; 0 without any row."""
    if not s.shape[0]:
        return s.sum(), SoftmaxCache(s, s, 1.0)
    return softmax_cross_entropy(s, get_xp(s).arange(s.shape[0]), reduction=reduction)


def contrastive_backward(dl: Array, cache: ContrastiveCache) -> tuple[Array, Array]:
    """(dv_a, dv_b): the columns' gradient is turned round, as Sᵀ was what they were a softmax of."""
    ds = softmax_cross_entropy_backward(dl / 2, cache.rows) + softmax_cross_entropy_backward(dl / 2, cache.columns).T
    return cosine_backward(ds / cache.temperature, cache.cosines)
