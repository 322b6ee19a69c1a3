"""The whole objective of AMFMN as one function of all its parameters: networks, similarities, triplet loss."""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from .eq1_similarity import SimilarityCache, similarity, similarity_backward
from .eq30_triplet import TripletCache, triplet, triplet_backward
from .networks import (
    Amfmn,
    ImageCache,
    TextCache,
    TextVectors,
    image_network,
    image_network_backward,
    text_network,
    text_network_backward,
)


class MatchCache(NamedTuple):
    image: ImageCache
    text: TextCache
    similarity: SimilarityCache
    triplet: TripletCache
    scores: Array

    @property
    def statistics(self) -> dict[str, Array]:
        """The batch's mean and variance by buffer name, for the running averages."""
        trunk = self.image.trunk
        return {} if trunk is None else {f"trunk.{name}": value for name, value in trunk.statistics.items()}


def comparison_params(params: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters of the similarity alone."""
    return {name: p for name, p in params.items() if name.startswith(("attention_", "fusion."))}


def match_objective(
    params: Mapping[str, Array],
    x: Array,
    words: Array | None,
    keywords: Array | None,
    margin: Array,
    negative: Array,
    *,
    arch: Amfmn,
    mode: str = "train",
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
    hardest: bool = False,
    reduction: str = "sum",
) -> tuple[Array, MatchCache]:
    """L(S(v(x), s(words), k(keywords))): pair i is image i with text i; margin and negative (N, N) as in eq. 30.

    `masks` of dropout: "image" (N, D), "words" (N, T, E); one that is not there leaves its dropout out.
    """
    masks = masks or {}
    v, image = image_network(params, x, arch=arch, mode=mode, buffers=buffers, dropout_mask=masks.get("image"))
    (s, k), text = text_network(params, words, keywords, arch=arch, dropout_mask=masks.get("words"))
    scores, cache = similarity(comparison_params(params), v, s, k, comparison=arch.comparison)
    loss, last = triplet(scores, margin, negative, hardest=hardest, reduction=reduction)
    return loss, MatchCache(image, text, cache, last, scores)


def match_objective_backward(dloss: Array, cache: MatchCache) -> tuple[dict[str, Array], None]:
    """(grads, None), in the opposite order; every parameter belongs to one part alone."""
    grads, (dv, ds, dk) = similarity_backward(triplet_backward(dloss, cache.triplet), cache.similarity)
    grads = dict(grads)
    grads |= image_network_backward(dv, cache.image)[0]
    grads |= text_network_backward(TextVectors(ds, dk), cache.text)[0]
    return grads, None
