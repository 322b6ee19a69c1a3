"""AMFMN's functions a second time, from the equations, in PyTorch: the part of `oracle_torch` that is its own.

Every pair of an image and a text is computed by itself, (N, M, D) numbers and all.
"""

import oracle_torch as o
import torch
import torch.nn.functional as F

from cmir_ref.amfmn.eq1_similarity import TextComparison
from cmir_ref.nets.given_maps import GivenMaps


def maps_of(p, x, arch, mode, buffers):
    maps = []
    for i, factor in enumerate(arch.pools, start=1):
        weights = p[f"conv.{i}.w"], p[f"conv.{i}.b"], p[f"norm.{i}.gamma"], p[f"norm.{i}.beta"]
        running = buffers.get(f"norm.{i}.mean"), buffers.get(f"norm.{i}.var")
        x = o.conv_block(x, *weights, *running, factor, "conv-pool-act-norm", mode, arch.slope)
        maps.append(x)
    return tuple(maps[arch.skipped :])


def features(maps, w, b, low, side, kind, pooled=None):
    sides = [maps[0].shape[1]] * low + [side] * (len(maps) - low)
    larger = [o.upsample(m, s // m.shape[1], kind) for m, s in zip(maps, sides, strict=True)]
    v = o.linear(maps[-1].mean((1, 2)) if pooled is None else pooled, w, b)
    return torch.cat(larger[:low], 3), torch.cat(larger[low:], 3), v


def visual_attention(p, low, high, v, activation="prelu", unit=True, residual="raw"):
    stride = low.shape[1] // high.shape[1]
    rest = max((high.shape[1] - 1) * stride + 3 - low.shape[1], 0)
    before, after = rest // 2, rest - rest // 2
    padded = F.pad(low.permute(0, 3, 1, 2), (before, after, before, after))
    fine = F.conv2d(padded, p["low.w"].permute(3, 2, 0, 1).contiguous(), p["low.b"], stride=stride)
    coarse = F.conv2d(high.permute(0, 3, 1, 2), p["high.w"].permute(3, 2, 0, 1).contiguous(), p["high.b"])
    if activation == "prelu":
        fine, coarse = F.prelu(fine, p["low.slope"]), F.prelu(coarse, p["high.slope"])
    mean = coarse.mean(1, keepdim=True) if residual == "convolved" else high.permute(0, 3, 1, 2).mean(1, keepdim=True)
    mixed = (torch.cat([fine, coarse], 1) + mean).permute(0, 2, 3, 1)
    mixed = o.unit_rows(mixed) if unit else mixed
    value, gate = o.layer(p, "value", mixed), torch.sigmoid(o.layer(p, "gate", mixed))
    return v * torch.sigmoid(o.layer(p, "mask", (value * gate).flatten(1)))


def weights(p, name):
    return {part: p[f"{name}.{part}"] for part in "wub"}


def sentence(p, x, lengths, reading="mean", reset="after"):
    states = o.gru(x, lengths, **weights(p, "forward"), reset=reset, reverse=False)
    if reading == "last":
        return F.relu(o.layer(p, "fc", states[:, -1]))
    others = o.gru(x, lengths, **weights(p, "backward"), reset=reset, reverse=True)
    return o.time_mean((states + others) / 2, lengths)


def keywords(p, x, lengths, reset="after"):
    vectors = []
    for phrases, counts in zip(x, lengths, strict=True):
        ends = o.gru(phrases, counts, **weights(p, "gru"), reset=reset, reverse=False)[:, -1]
        given = ends[counts > 0]
        vectors.append(given.sum(0) / max(len(given), 1))
    mean = torch.stack(vectors) if vectors else x.new_zeros(0, len(p["gru.u"]))
    return o.layer(p, "mlp.2", F.relu(o.layer(p, "mlp.1", mean)))


def attention(p, v, t, kind):
    if kind == "none":
        return t + 0 * v
    if kind == "soft":
        return torch.sigmoid(o.layer(p, "gate", v)) * t
    if kind == "fusion":
        f = torch.cat(torch.broadcast_tensors(v, t), -1)
        value, gate = (
            F.linear(f, torch.cat([p[f"{n}_v.w"], p[f"{n}_t.w"]]).T, p[f"{n}_v.b"]) for n in ("value", "gate")
        )
        return value * torch.sigmoid(gate)
    f_v, f_t = o.layer(p, "v", v), o.layer(p, "t", t)
    if kind == "vector":
        return torch.sigmoid(f_v * f_t) * f_t
    return torch.sigmoid((o.unit_rows(f_v) * o.unit_rows(f_t)).sum(-1, keepdim=True)) * f_t


def fusion(p, s, k, kind="gate", normalised=True):
    a, c = o.unit_rows(s), o.unit_rows(k)
    gate = 0.5 if kind == "fixed" else torch.sigmoid(o.linear(torch.cat([a, c], -1), p["w"], p["b"]))
    return gate * (a if normalised else s) + (1 - gate) * (c if normalised else k)


def similarity(p, v, s, k, comparison):
    c = comparison
    texts = [
        attention(o.under(f"attention_{name}", p), v[:, None], t[None], c.attention)
        for name, t in (("s", s), ("k", k))
        if t is not None
    ]
    text = texts[0] if len(texts) == 1 else fusion(o.under("fusion", p), *texts, c.fusion, c.normalised)
    return (o.unit_rows(v)[:, None] * o.unit_rows(text)).sum(-1)


def triplet(scores, margin, negative, hardest=False, reduction="sum"):
    own = scores.diagonal()
    by_image, by_text = (F.relu(margin - each + scores) * negative for each in (own[:, None], own[None, :]))
    if hardest and len(own):
        by_image, by_text = by_image.amax(1), by_text.amax(0)
    total = by_image.sum() + by_text.sum()
    return total / max(len(own), 1) if reduction == "mean" else total


def image_network(p, x, arch, mode, buffers, mask):
    if isinstance(arch.trunk, GivenMaps):
        *parts, pooled = x.split([*(h * w * c for h, w, c in arch.trunk.sizes), arch.trunk.pooled], 1)
        maps = [part.unflatten(1, size) for part, size in zip(parts, arch.trunk.sizes, strict=True)]
        maps = maps[arch.trunk.skipped :]
    else:
        maps, pooled = maps_of(o.under("trunk", p), x, arch.trunk, mode, o.under("trunk", buffers)), None
    low, high, v = features(maps, p["image.w"], p["image.b"], arch.low, arch.side, arch.upsampling, pooled)
    v = o.dropout(v, mask, arch.image_dropout)
    if not arch.mask:
        return v
    return visual_attention(o.under("mvsa", p), low, high, v, arch.activation, arch.unit, arch.residual)


def text_network(p, words, phrases, arch, mask):
    table, s, k = torch.cat([torch.zeros_like(p["words.table"][:1]), p["words.table"][1:]]), None, None
    if arch.text != "keywords":
        x = o.dropout(F.embedding(words, table), mask, arch.word_dropout)
        s = sentence(o.under("sentence", p), x, (words > 0).sum(1), arch.sentence, arch.reset)
    if arch.text != "sentence":
        k = keywords(o.under("keywords", p), F.embedding(phrases, table), (phrases > 0).sum(2), arch.reset)
    return s, k


def or_none(value):
    return None if value is None else o.tensor(value)


def _objective(s, x):
    v = image_network(x, o.tensor(s.x), s.arch, "train", o.each(s.buffers), o.tensor(s.masks["image"]))
    texts = text_network(x, or_none(s.words), or_none(s.keywords), s.arch, o.tensor(s.masks["words"]))
    scores = similarity(x, v, *texts, s.arch.comparison)
    return triplet(scores, o.tensor(s.margin), o.tensor(s.negative), **s.settings)


TWINS = {
    "nets.conv_maps.conv_maps": lambda s, x: maps_of(x, x["x"], s.arch, s.mode, o.each(s.buffers)),
    "amfmn.eq5_features.features": lambda s, x: features((x["v_1"], x["v_2"], x["v_3"]), x["w"], x["b"], 2, 2, s.kind),
    "amfmn.eq14_visual_attention.visual_attention": lambda s, x: visual_attention(
        x, x["low"], x["high"], x["v"], s.activation, s.unit, s.residual
    ),
    "amfmn.eq10_sentence.sentence": lambda s, x: sentence(x, x["x"], o.tensor(s.lengths), s.reading, s.reset),
    "amfmn.eq13_keywords.keywords_vector": lambda s, x: keywords(x, x["x"], o.tensor(s.lengths)),
    "amfmn.eq20_guided_attention.guided_attention": lambda s, x: attention(x, x["v"], x["t"], s.kind),
    "amfmn.eq26_fusion.fusion": lambda s, x: fusion(x, x["s"], x["k"], s.kind, s.normalised),
    "amfmn.eq1_similarity.soft_similarity": lambda s, x: similarity(
        {"attention_s.gate.w": x["w"], "attention_s.gate.b": x["b"]}, x["v"], x["t"], None, TextComparison()
    ),
    "amfmn.eq1_similarity.similarity": lambda s, x: similarity(x, x["v"], x.get("s"), x.get("k"), s.comparison),
    "amfmn.eq30_triplet.triplet": lambda s, x: triplet(
        x["scores"], o.tensor(s.margin), o.tensor(s.negative), s.hardest, s.reduction
    ),
    "amfmn.networks.image_network": lambda s, x: image_network(
        x, o.tensor(s.x), s.arch, s.mode, o.each(s.buffers), o.tensor(s.mask)
    ),
    "amfmn.networks.text_network": lambda s, x: text_network(
        x, or_none(s.words), or_none(s.keywords), s.arch, o.tensor(s.mask)
    ),
    "amfmn.objective.match_objective": _objective,
    "amfmn.label_objective.label_objective": lambda s, x: o.row_losses(
        o.layer(x, "classifier", maps_of(o.under("trunk", x), o.tensor(s.x), s.arch, "train", {})[-1].mean((1, 2))),
        o.tensor(s.y),
        s.kind,
    ).mean(),
}
