"""AMFMN: its equations, its networks, and its objective in every reading."""

from functools import partial

import numpy as np

from ..amfmn.eq1_similarity import (
    TextComparison,
    similarity,
    similarity_backward,
    soft_similarity,
    soft_similarity_backward,
)
from ..amfmn.eq5_features import features, features_backward
from ..amfmn.eq10_sentence import sentence, sentence_backward
from ..amfmn.eq13_keywords import keywords_vector, keywords_vector_backward
from ..amfmn.eq14_visual_attention import visual_attention, visual_attention_backward
from ..amfmn.eq20_guided_attention import ATTENTIONS, attention_names, guided_attention, guided_attention_backward
from ..amfmn.eq26_fusion import fusion, fusion_backward
from ..amfmn.eq30_triplet import triplet, triplet_backward
from ..amfmn.label_objective import label_objective, label_objective_backward
from ..amfmn.networks import (
    Amfmn,
    image_network,
    image_network_backward,
    init_amfmn,
    text_network,
    text_network_backward,
)
from ..amfmn.objective import match_objective, match_objective_backward
from ..gradcheck import Pair
from ..nets.conv_maps import ConvMaps, conv_maps, conv_maps_backward, init_conv_maps
from ..nets.given_maps import GivenMaps
from ..params import add_prefix
from .declarations import declare, draw_arrays, draw_targets, jitter, network_pair


def _lengths(rng, n, t):
    """Lengths 0 … t, the first one t."""
    lengths = rng.integers(0, t + 1, n)
    lengths[:1] = t
    return lengths


def _draw_gru(rng, name, c, d):
    return draw_arrays(rng, **{f"{name}.w": (c, 3 * d), f"{name}.u": (d, 3 * d), f"{name}.b": (3 * d,)})


@declare(
    "conv_maps",
    "nets.conv_maps.conv_maps",
    sizes={"n": 4, "h": 6, "w": 4, "c": 2, "p": 3, "q": 2},
    variants={"": {}, "all": {"skipped": 0}, "inference": {"mode": "inference"}},
    network=True,
)
def _conv_maps(rng, n, h, w, c, p, q, skipped=1, mode="train"):
    pool = 2 if min(h, w) > 3 else 1
    arch = ConvMaps(channels=(p, q, p), pools=(1, 1, pool), skipped=skipped, fused=False)
    params, buffers = init_conv_maps(arch, c, rng)
    buffers = {name: x.astype(float) + rng.uniform(0.1, 0.5, x.shape) for name, x in buffers.items()}

    def backward(d, cache):
        grads, dx = conv_maps_backward(d, cache, input_gradient=True)
        return grads, [dx]

    forward = lambda p, x: conv_maps(p, x, arch=arch, mode=mode, buffers=buffers)  # noqa: E731
    return network_pair(forward, backward, jitter(rng, params), {"x": rng.normal(size=(n, h, w, c))})


@declare(
    "amfmn/features",
    "amfmn.eq5_features.features",
    sizes={"n": 3, "p": 2, "q": 3, "r": 2, "d": 4},
    variants={"nearest": {"kind": "nearest"}, "bilinear": {"kind": "bilinear"}},
)
def _features(rng, kind, n, p, q, r, d):
    shapes = {"v_1": (n, 4, 4, p), "v_2": (n, 2, 2, q), "v_3": (n, 1, 1, r), "w": (r, d), "b": (d,)}

    def forward(v_1, v_2, v_3, w, b):
        return features((v_1, v_2, v_3), w, b, low=2, side=2, kind=kind)

    def backward(d, cache):
        maps, dw, db = features_backward(d, cache)
        return *maps, dw, db

    return Pair(forward, backward, draw_arrays(rng, **shapes))


@declare(
    "amfmn/visual_attention",
    "amfmn.eq14_visual_attention.visual_attention",
    sizes={"n": 3, "c": 2, "p": 3, "q": 2, "d": 4},
    variants={
        "paper": {},
        "no-prelu": {"activation": "none"},
        "no-unit": {"unit": False},
        "convolved": {"residual": "convolved"},
        "released": {"activation": "none", "unit": False, "residual": "convolved"},
    },
    network=True,
)
def _visual_attention(rng, n, c, p, q, d, **reading):
    shapes = {"low.w": (3, 3, c, q), "low.b": (q,), "high.w": (1, 1, p, q), "high.b": (q,)}
    shapes |= {"value.w": (2 * q, 1), "value.b": (1,), "gate.w": (2 * q, 1), "gate.b": (1,)}
    shapes |= {"mask.w": (4, d), "mask.b": (d,)}
    if "activation" not in reading:
        shapes |= {"low.slope": (q,), "high.slope": (q,)}
    batch = {"low": (n, 4, 4, c), "high": (n, 2, 2, p), "v": (n, d)}
    forward = partial(visual_attention, **reading)
    return network_pair(forward, visual_attention_backward, draw_arrays(rng, **shapes), draw_arrays(rng, **batch))


@declare(
    "amfmn/sentence",
    "amfmn.eq10_sentence.sentence",
    sizes={"n": 3, "t": 12, "c": 2, "d": 3},
    variants={
        "mean": {"reading": "mean"},
        "last": {"reading": "last"},
        "before": {"reading": "mean", "reset": "before"},
    },
    network=True,
)
def _sentence(rng, n, t, c, d, **reading):
    params = _draw_gru(rng, "forward", c, d)
    if reading["reading"] == "mean":
        params |= _draw_gru(rng, "backward", c, d)
    else:
        params |= draw_arrays(rng, **{"fc.w": (d, d), "fc.b": (d,)})
        params["fc.b"] = params["fc.b"] + 0.5
    lengths = _lengths(rng, n, t)

    def backward(d, cache):
        grads, dx = sentence_backward(d, cache)
        return grads, [dx]

    forward = partial(sentence, lengths=lengths, **reading)
    return network_pair(forward, backward, params, draw_arrays(rng, x=(n, t, c)))


@declare(
    "amfmn/keywords",
    "amfmn.eq13_keywords.keywords_vector",
    sizes={"n": 3, "k": 4, "t": 2, "c": 2, "d": 3},
    network=True,
)
def _keywords(rng, n, k, t, c, d):
    params = _draw_gru(rng, "gru", c, d)
    params |= draw_arrays(rng, **{"mlp.1.w": (d, d), "mlp.1.b": (d,), "mlp.2.w": (d, d), "mlp.2.b": (d,)})
    lengths = _lengths(rng, n * k, t).reshape(n, k)

    def backward(d, cache):
        grads, dx = keywords_vector_backward(d, cache)
        return grads, [dx]

    forward = partial(keywords_vector, lengths=lengths)
    return network_pair(forward, backward, params, draw_arrays(rng, x=(n, k, t, c)))


def _attention_params(rng, name, kind, d):
    params = {}
    for part in attention_names(kind):
        params |= draw_arrays(rng, **{f"{name}{part}.w": (d, d)})
        if not (kind == "fusion" and part.endswith("_t")):
            params |= draw_arrays(rng, **{f"{name}{part}.b": (d,)})
    return params


@declare(
    "amfmn/guided_attention",
    "amfmn.eq20_guided_attention.guided_attention",
    sizes={"n": 4, "d": 3},
    variants={kind: {"kind": kind} for kind in ATTENTIONS} | {"all-pairs": {"kind": "fusion", "apart": True}},
    network=True,
)
def _guided_attention(rng, kind, n, d, apart=False):
    batch = draw_arrays(rng, v=(n, 1, d), t=(1, n, d)) if apart else draw_arrays(rng, v=(n, d), t=(n, d))
    forward = partial(guided_attention, kind=kind)
    return network_pair(forward, guided_attention_backward, _attention_params(rng, "", kind, d), batch)


@declare(
    "amfmn/fusion",
    "amfmn.eq26_fusion.fusion",
    sizes={"n": 4, "d": 3},
    variants={
        "gate": {},
        "unnormalised": {"normalised": False},
        "fixed": {"kind": "fixed"},
        "fixed/unnormalised": {"kind": "fixed", "normalised": False},
    },
    network=True,
)
def _fusion(rng, n, d, kind="gate", normalised=True):
    params = draw_arrays(rng, **{"w": (2 * d, d), "b": (d,)}) if kind == "gate" else {}
    forward = partial(fusion, kind=kind, normalised=normalised)
    return network_pair(forward, fusion_backward, params, draw_arrays(rng, s=(n, d), k=(n, d)))


@declare("amfmn/soft_similarity", "amfmn.eq1_similarity.soft_similarity", sizes={"n": 4, "m": 3, "d": 5})
def _soft_similarity(rng, n, m, d):
    inputs = draw_arrays(rng, v=(n, d), t=(m, d), w=(d, d), b=(d,))
    return Pair(soft_similarity, soft_similarity_backward, inputs)


COMPARISONS = {
    **{kind: {"texts": "s", "attention": kind} for kind in ATTENTIONS},
    "keywords": {"texts": "k", "attention": "soft"},
    **{f"both/{kind}": {"texts": "sk", "attention": kind} for kind in ATTENTIONS},
    "both/scalar/unnormalised": {"texts": "sk", "attention": "scalar", "normalised": False},
    "both/fixed": {"texts": "sk", "attention": "soft", "fusion": "fixed"},
}


@declare(
    "amfmn/similarity",
    "amfmn.eq1_similarity.similarity",
    sizes={"n": 3, "m": 4, "d": 2},
    variants=COMPARISONS,
    network=True,
)
def _similarity(rng, texts, n, m, d, **reading):
    comparison, params = TextComparison(**reading), {}
    for name in texts:
        params |= _attention_params(rng, f"attention_{name}.", comparison.attention, d)
    if texts == "sk" and comparison.fusion == "gate":
        params |= draw_arrays(rng, **{"fusion.w": (2 * d, d), "fusion.b": (d,)})
    batch = draw_arrays(rng, v=(n, d)) | draw_arrays(rng, **dict.fromkeys(texts, (m, d)))

    def forward(p, v, *t):
        given = dict(zip(texts, t, strict=True))
        return similarity(p, v, given.get("s"), given.get("k"), comparison=comparison)

    def backward(d, cache):
        grads, (dv, *dt) = similarity_backward(d, cache)
        return grads, [dv, *(x for x in dt if x is not None)]

    return _positional(forward, backward, params, batch)


def _positional(forward, backward, params, batch):
    """`network_pair` for a forward that takes its batch by position."""
    names = list(params)

    def call(*values):
        return forward(dict(zip(names, values, strict=False)), *values[len(names) :])

    def call_backward(d, cache):
        grads, dx = backward(d, cache)
        return [grads[name] for name in names] + list(dx)

    return Pair(call, call_backward, dict(params) | dict(batch))


def _draw_negative(rng, n):
    """All but the diagonal and one pair in five."""
    return (rng.random((n, n)) > 0.2) & ~np.eye(n, dtype=bool)


@declare(
    "amfmn/triplet",
    "amfmn.eq30_triplet.triplet",
    sizes={"n": 5},
    variants={"sum": {}, "mean": {"reduction": "mean"}, "hardest": {"hardest": True}},
)
def _triplet(rng, n, **reading):
    margin, negative = rng.uniform(0.1, 0.6, (n, n)), _draw_negative(rng, n)
    forward = partial(triplet, margin=margin, negative=negative, **reading)
    return Pair(forward, triplet_backward, draw_arrays(rng, scores=(n, n)))


READINGS = {  # what of the architecture, and of the loss, differs from the paper's
    "paper": {},
    "twelve-words": {"length": 12},
    "released": {"sentence": "last", "activation": "none", "unit": False, "residual": "convolved"},
    "no-mask": {"mask": False, "comparison": TextComparison(attention="none")},
    "given": {"trunk": GivenMaps(((4, 4, 2), (4, 4, 1), (2, 2, 3)), pooled=2, skipped=1)},
    "bilinear": {"upsampling": "bilinear"},
    "before": {"reset": "before"},
    "fusion": {"comparison": TextComparison(attention="fusion")},
    "vector": {"comparison": TextComparison(attention="vector")},
    "scalar": {"comparison": TextComparison(attention="scalar")},
    "keywords": {"text": "keywords"},
    "both": {"text": "both"},
    "both/unnormalised": {"text": "both", "comparison": TextComparison(attention="scalar", normalised=False)},
    "both/fixed": {"text": "both", "comparison": TextComparison(fusion="fixed")},
    "hardest": {"hardest": True},
    "mean": {"reduction": "mean"},
}


def _draw_amfmn(rng, w, d, e, v, **reading):
    """(architecture, its parameters, its buffers) for images of 4 × 4 pixels; maps of 4 × 4 and 2 × 2."""
    trunk = ConvMaps(channels=(2, w), pools=(1, 2), slope=0.2, fused=False)
    small = {"trunk": trunk, "low": 1, "side": 2, "d": d, "word_width": e, "map_channels": 1}
    arch = Amfmn(**small | {"word_dropout": 0.2, "image_dropout": 0.3} | reading)
    params, buffers = init_amfmn(arch, (4, 4, 1), v, rng)
    params = {name: p + 0.5 if name.endswith((".fc.b", "mlp.1.b")) else p for name, p in jitter(rng, params).items()}
    return arch, params, {name: x.astype(float) + rng.uniform(0.1, 0.5, x.shape) for name, x in buffers.items()}


def _draw_images(rng, arch, n):
    """n images, or rows of given maps."""
    given = isinstance(arch.trunk, GivenMaps)
    shape = (arch.trunk.pooled + sum(h * w * c for h, w, c in arch.trunk.sizes),) if given else (4, 4, 1)
    return rng.normal(size=(n, *shape))


def _draw_text(rng, arch, n, t, v):
    """(words, keywords) of n texts with up to t words of a vocabulary of v; the first sentence is t words long."""
    beyond = np.arange(t) >= _lengths(rng, n, t)[:, None]
    words = np.where(beyond, 0, rng.integers(1, v + 1, (n, t)))
    keywords = rng.integers(0, v + 1, (n, 2, 1))
    return (None if arch.text == "keywords" else words), (None if arch.text == "sentence" else keywords)


IMAGE_READINGS = {name: READINGS[name] for name in ("paper", "released", "no-mask", "given")}
TEXT_READINGS = {name: READINGS[name] for name in ("paper", "released", "keywords", "both")}


@declare(
    "amfmn/image_network",
    "amfmn.networks.image_network",
    sizes={"n": 4, "w": 2, "d": 3},
    variants=IMAGE_READINGS | {"inference": {"mode": "inference"}},
    network=True,
)
def _image_network(rng, n, w, d, mode="train", **reading):
    arch, params, buffers = _draw_amfmn(rng, w, d, 2, 5, **reading)
    x, mask = _draw_images(rng, arch, n), rng.random((n, d)) > 0.3
    params = {name: p for name, p in params.items() if name.startswith(("trunk", "image", "mvsa"))}
    forward = lambda p: image_network(p, x, arch=arch, mode=mode, buffers=buffers, dropout_mask=mask)  # noqa: E731
    return network_pair(forward, lambda d, cache: (image_network_backward(d, cache)[0], []), params, {})


@declare(
    "amfmn/text_network",
    "amfmn.networks.text_network",
    sizes={"n": 3, "t": 4, "c": 2, "d": 3, "v": 5},
    variants=TEXT_READINGS,
    network=True,
)
def _text_network(rng, n, t, c, d, v, **reading):
    arch, params, _ = _draw_amfmn(rng, 2, d, c, v, **reading)
    words, keywords = _draw_text(rng, arch, n, t, v)
    mask = rng.random((n, t, c)) > 0.2
    params = {name: p for name, p in params.items() if name.startswith(("words", "sentence", "keywords"))}
    forward = lambda p: text_network(p, words, keywords, arch=arch, dropout_mask=mask)  # noqa: E731
    return network_pair(forward, lambda d, cache: (text_network_backward(d, cache)[0], []), params, {})


@declare(
    "amfmn/objective",
    "amfmn.objective.match_objective",
    sizes={"n": 4, "t": 3, "w": 3, "c": 1, "d": 2, "v": 3},
    variants=READINGS,
    network=True,
)
def _match_objective(rng, n, t, w, c, d, v, hardest=False, reduction="sum", length=None, **reading):
    t = length or t
    arch, params, buffers = _draw_amfmn(rng, w, d, c, v, **reading)
    words, keywords = _draw_text(rng, arch, n, t, v)
    masks = {"image": rng.random((n, d)) > 0.3, "words": rng.random((n, t, c)) > 0.2}
    x, margin, negative = _draw_images(rng, arch, n), rng.uniform(0.3, 0.9, (n, n)), _draw_negative(rng, n)
    settings = {"hardest": hardest, "reduction": reduction}

    def forward(p):
        return match_objective(
            p, x, words, keywords, margin, negative, arch=arch, buffers=buffers, masks=masks, **settings
        )

    return network_pair(forward, lambda d, cache: (match_objective_backward(d, cache)[0], []), params, {})


@declare(
    "amfmn/label_objective",
    "amfmn.label_objective.label_objective",
    sizes={"n": 4, "w": 3, "k": 2},
    variants={"softmax": {"kind": "softmax"}, "sigmoid": {"kind": "sigmoid"}},
    network=True,
)
def _label_objective(rng, kind, n, w, k):
    arch = ConvMaps(channels=(2, w), pools=(1, 2), slope=0.2, fused=False)
    params, _ = init_conv_maps(arch, 1, rng)
    params = jitter(rng, add_prefix("trunk", params)) | draw_arrays(
        rng, **{"classifier.w": (w, k), "classifier.b": (k,)}
    )
    x, y = rng.normal(size=(n, 4, 4, 1)), draw_targets(rng, "multi-hot" if kind == "sigmoid" else "integer", n, k)
    forward = lambda p: label_objective(p, x, y, arch=arch, kind=kind)  # noqa: E731
    return network_pair(forward, lambda d, cache: (label_objective_backward(d, cache)[0], []), params, {})
