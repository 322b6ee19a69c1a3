"""The two networks of AMFMN: what an image alone determines, v, and what a text alone determines, s and k.

N images x (N, H, W, C); M texts: words integer (M, T) and keywords integer (M, K, T'), 0 is padding; D numbers each.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..nets.conv_maps import ConvMaps, ConvMapsCache, conv_maps, conv_maps_backward, init_conv_maps
from ..nets.given_maps import GivenMaps, given_maps
from ..ops.dropout import DropoutCache, dropout, dropout_backward
from ..ops.embedding import EmbeddingCache, embedding, embedding_backward
from ..ops.fused import add_parts, by_samples
from ..params import add_prefix, below, constant, dense, he
from .eq1_similarity import TextComparison
from .eq5_features import Features, FeaturesCache, features, features_backward
from .eq10_sentence import SentenceCache, sentence, sentence_backward
from .eq13_keywords import KeywordsCache, keywords_vector, keywords_vector_backward
from .eq14_visual_attention import VisualAttentionCache, visual_attention, visual_attention_backward
from .eq20_guided_attention import attention_names


class Amfmn(NamedTuple):
    """The architecture and its readings."""

    trunk: ConvMaps | GivenMaps  # given: x are rows of a frozen network's maps (N, D)
    low: int = 2  # how many maps are low; the others are high
    side: int = 8  # of the high map, in pixels
    upsampling: str = "nearest"
    mask: bool = True  # MVSA; without it an image is its vector alone
    activation: str = "prelu"
    unit: bool = True
    residual: str = "raw"
    sentence: str = "mean"
    reset: str = "after"
    text: str = "sentence"  # or "keywords", "both"
    comparison: TextComparison = TextComparison()
    d: int = 64
    word_width: int = 48
    map_channels: int = 3  # of each convolved map
    word_dropout: float = 0.0
    image_dropout: float = 0.0


class MapsCache(NamedTuple):
    features: FeaturesCache
    shapes: tuple[Array, Array]  # low and high
    attention: VisualAttentionCache | None
    dropout: DropoutCache | None


class ImageCache(NamedTuple):
    trunk: ConvMapsCache | None
    blocks: list[MapsCache]  # of the samples, in their order


class TextCache(NamedTuple):
    words: tuple[EmbeddingCache, DropoutCache | None, SentenceCache] | None
    phrases: tuple[EmbeddingCache, DropoutCache | None, KeywordsCache] | None


def init_amfmn(arch: Amfmn, shape: tuple[int, int, int], words: int, rng) -> tuple[dict, dict]:
    """(params, buffers) for images of `shape` and a vocabulary of `words` words beside the padding."""
    d, e, c = arch.d, arch.word_width, arch.map_channels
    frozen, maps = isinstance(arch.trunk, GivenMaps), arch.trunk.shapes(shape)
    trunk, buffers = ({}, {}) if frozen else init_conv_maps(arch.trunk, shape[2], rng)
    params = add_prefix("trunk", trunk) | dense({"image": (arch.trunk.pooled if frozen else maps[-1][2], d)}, rng)
    if arch.mask:
        low, high = (sum(m[2] for m in part) for part in (maps[: arch.low], maps[arch.low :]))
        mask = dense({"mask": (arch.side**2, d), "value": (2 * c, 1), "gate": (2 * c, 1)}, rng)
        mask |= {"low.w": he(rng, (3, 3, low, c), 9 * low), "high.w": he(rng, (1, 1, high, c), high)}
        mask |= {f"{name}.b": constant(0, c) for name in ("low", "high")}
        if arch.activation == "prelu":
            mask |= {f"{name}.slope": constant(0.25, c) for name in ("low", "high")}
        params |= add_prefix("mvsa", mask)
    table = rng.standard_normal((words + 1, e)).astype("float32")
    table[0] = 0
    params["words.table"] = table
    if arch.text != "keywords":
        params |= add_prefix("sentence.forward", init_gru(e, d, rng))
        if arch.sentence == "mean":
            params |= add_prefix("sentence.backward", init_gru(e, d, rng))
        else:
            params |= add_prefix("sentence", dense({"fc": (d, d)}, rng))
    if arch.text != "sentence":
        params |= add_prefix("keywords.gru", init_gru(e, d, rng))
        params |= add_prefix("keywords", dense({"mlp.1": (d, d), "mlp.2": (d, d)}, rng))
    for text in texts_of(arch):
        params |= init_attention(f"attention_{text}", arch.comparison.attention, d, rng)
    if arch.text == "both" and arch.comparison.fusion == "gate":
        params |= {"fusion.w": he(rng, (2 * d, d), 4 * d), "fusion.b": constant(0, d)}
    return params, add_prefix("trunk", buffers)


def texts_of(arch: Amfmn) -> str:
    """The letters of the vectors of a text: "s" of a sentence, "k" of keywords, "sk" of both."""
    return {"sentence": "s", "keywords": "k", "both": "sk"}[arch.text]


def init_gru(c: int, d: int, rng) -> dict:
    """Weights of a recurrent unit, uniform in ±1/√D, and biases 0."""
    w, u = (rng.uniform(-1, 1, (rows, 3 * d)).astype("float32") * d**-0.5 for rows in (c, d))
    return {"w": w, "u": u, "b": constant(0, 3 * d)}


def init_attention(name: str, kind: str, d: int, rng) -> dict:
    """The matrices and biases of an attention, half as large as `he` would: it begins with gates near ½."""
    params = {}
    for part in attention_names(kind):
        params[f"{name}.{part}.w"] = he(rng, (d, d), 4 * d)
        if not (kind == "fusion" and part.endswith("_t")):
            params[f"{name}.{part}.b"] = constant(0, d)
    return params


def image_network(
    params: Mapping[str, Array],
    x: Array,
    *,
    arch: Amfmn,
    mode: str,
    buffers: Mapping[str, Array] | None = None,
    dropout_mask: Array | None = None,
) -> tuple[Array, ImageCache]:
    """x -> maps -> low, high and v (eq. 5 to 9) -> dropout of v -> F = v ⊙ mask (eq. 14 to 19), (N, D)."""
    if isinstance(arch.trunk, GivenMaps):
        (maps, pooled), trunk = given_maps(x, arch.trunk), None
    else:
        running = None if buffers is None else below("trunk", buffers)
        maps, trunk = conv_maps(below("trunk", params), x, arch=arch.trunk, mode=mode, buffers=running)
        pooled = None

    def work(*given):
        *maps, pooled, mask = given
        return _read_maps(params, maps, arch=arch, pooled=pooled, dropout_mask=mask)

    parts = by_samples(work, *maps, pooled, dropout_mask)
    return get_xp(x).concatenate([v for v, _ in parts]), ImageCache(trunk, [cache for _, cache in parts])


def _read_maps(
    params: Mapping[str, Array],
    maps: tuple[Array, ...],
    *,
    arch: Amfmn,
    pooled: Array | None = None,
    dropout_mask: Array | None = None,
) -> tuple[Array, MapsCache]:
    """F (N, D) of these images from their maps; none of them sees another."""
    settings = {"low": arch.low, "side": arch.side, "kind": arch.upsampling, "pooled": pooled}
    (low, high, v), cache = features(maps, params["image.w"], params["image.b"], **settings)
    attention = dropped = None
    if dropout_mask is not None:
        v, dropped = dropout(v, dropout_mask, arch.image_dropout)
    if arch.mask:
        readings = {"activation": arch.activation, "unit": arch.unit, "residual": arch.residual}
        v, attention = visual_attention(below("mvsa", params), low, high, v, **readings)
    return v, MapsCache(cache, (low, high), attention, dropped)


def _read_maps_backward(dv: Array, cache: MapsCache) -> tuple[dict[str, Array], tuple[Array, ...]]:
    """(grads, dmaps), from the mask back to the maps."""
    xp, grads = get_xp(dv), {}
    if cache.attention is None:
        dlow, dhigh = (xp.zeros_like(m) for m in cache.shapes)
    else:
        part, (dlow, dhigh, dv) = visual_attention_backward(dv, cache.attention)
        grads |= add_prefix("mvsa", part)
    if cache.dropout is not None:
        dv = dropout_backward(dv, cache.dropout)
    dmaps, grads["image.w"], grads["image.b"] = features_backward(Features(dlow, dhigh, dv), cache.features)
    return grads, dmaps


def image_network_backward(dv: Array, cache: ImageCache) -> tuple[dict[str, Array], None]:
    """(grads, None), from the mask back to the trunk; the gradient of an image is not asked for."""
    parts = by_samples(_read_maps_backward, dv, cache.blocks)
    grads = add_parts([part for part, _ in parts])
    if cache.trunk is not None:
        dmaps = tuple(get_xp(dv).concatenate(m) for m in zip(*(m for _, m in parts), strict=True))
        grads |= add_prefix("trunk", conv_maps_backward(dmaps, cache.trunk)[0])
    return grads, None


class TextVectors(NamedTuple):
    """What a text alone determines; None for what it has not."""

    s: Array | None  # (M, D) of the sentence
    k: Array | None  # (M, D) of the keywords


def text_network(
    params: Mapping[str, Array],
    words: Array | None,
    keywords: Array | None = None,
    *,
    arch: Amfmn,
    dropout_mask: Array | None = None,
) -> tuple[TextVectors, TextCache]:
    """Word vectors of one table, then s of the words (eq. 10 to 12) and k of the keywords (eq. 13).

    `dropout_mask` (M, T, E) is for the words of sentences, and `arch.word_dropout` its rate.
    """
    table, s, k, of_words, of_phrases = params["words.table"], None, None, None, None
    if arch.text != "keywords":
        x, read = embedding(table, words)
        x, dropped = (x, None) if dropout_mask is None else dropout(x, dropout_mask, arch.word_dropout)
        lengths = (words > 0).sum(axis=1)
        s, cache = sentence(below("sentence", params), x, lengths=lengths, reading=arch.sentence, reset=arch.reset)
        of_words = read, dropped, cache
    if arch.text != "sentence":
        x, read = embedding(table, keywords)
        lengths = (keywords > 0).sum(axis=2)
        k, cache = keywords_vector(below("keywords", params), x, lengths=lengths, reset=arch.reset)
        of_phrases = read, None, cache
    return TextVectors(s, k), TextCache(of_words, of_phrases)


def text_network_backward(d: TextVectors, cache: TextCache) -> tuple[dict[str, Array], None]:
    """(grads, None): the table of word vectors is read by both branches, so their gradients add up."""
    grads, dtable = {}, 0
    if cache.words is not None:
        read, dropped, sentences = cache.words
        part, dx = sentence_backward(d.s, sentences)
        dx = dx if dropped is None else dropout_backward(dx, dropped)
        grads, dtable = add_prefix("sentence", part), embedding_backward(dx, read)
    if cache.phrases is not None:
        read, _, phrases = cache.phrases
        part, dx = keywords_vector_backward(d.k, phrases)
        grads, dtable = grads | add_prefix("keywords", part), dtable + embedding_backward(dx, read)
    return grads | {"words.table": dtable}, None
