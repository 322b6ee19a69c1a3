"""Equation 30: the triplet loss in both directions, each pair against the other texts and the other images.

N pairs: scores S (N, N), S_ii of the pairs; margins α (N, N), α_ij of image i and text j; `negative` (N, N) boolean.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.sums import reduction_factor


class TripletCache(NamedTuple):
    texts: Array  # (N, N) 1 where text j violates the margin of image i
    images: Array  # (N, N) 1 where image i violates the margin of text j
    scale: float
    dtype: object  # of the scores


def triplet(
    scores: Array, margin: Array, negative: Array, *, hardest: bool = False, reduction: str = "sum"
) -> tuple[Array, TripletCache]:
    """L = Σ_ij [α_ij − S_ii + S_ij]₊ + Σ_ij [α_ij − S_jj + S_ij]₊ over the (i, j) of `negative`, or their mean over N.

    The same α_ij in both sums: the negative pair is image i with text j in either. `negative` is false on the diagonal,
    and where text j is another caption of image i, if those are not to count. With `hardest` only the largest term of
    each image and of each text counts (VSE++). At its kink a term is 0; a NaN stays one.
    """
    xp = get_xp(scores, margin)
    own = xp.diagonal(scores)
    by_image, by_text = margin - own[:, None] + scores, margin - own[None, :] + scores
    texts, images = (negative & ~(term.real <= 0) for term in (by_image, by_text))
    if hardest and len(own):
        texts = texts & _first_largest(xp.where(texts, by_image.real, -1), 1)
        images = images & _first_largest(xp.where(images, by_text.real, -1), 0)
    scale = reduction_factor(reduction, len(own))
    loss = xp.where(texts, by_image, 0).sum() + xp.where(images, by_text, 0).sum()
    return loss * scale, TripletCache(texts, images, scale, scores.real.dtype)


def _first_largest(terms: Array, axis: int) -> Array:
    """Where the largest term of each line along `axis` stands, the first of several."""
    xp = get_xp(terms)
    place = xp.expand_dims(terms.argmax(axis=axis), axis)
    lines = xp.arange(terms.shape[axis])
    return place == (lines[None, :] if axis == 1 else lines[:, None])


def triplet_backward(dloss: Array, cache: TripletCache) -> Array:
    """dS: a term that is not 0 gives 1 to its S_ij and −1 to the S_ii or S_jj of its pair.

    With K¹ and K² the indicators of both sums: dS = K¹ + K² − diag(Σ_j K¹_ij) − diag(Σ_i K²_ij).
    """
    xp = get_xp(cache.texts)
    texts, images = cache.texts.astype(cache.dtype), cache.images.astype(cache.dtype)
    own = xp.eye(len(texts), dtype=cache.dtype) * (texts.sum(axis=1) + images.sum(axis=0))[:, None]
    return (texts + images - own) * (dloss * cache.scale)
