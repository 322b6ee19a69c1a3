"""Equations 1 to 4: how well every text fits every image, the cosine of the image and of what it makes of the text.

N images v (N, D), M texts: sentences s (M, D), keywords k (M, D), or both; scores S (N, M).

A score needs the pair, and yet nothing of the size N × M × D is ever held: the soft gate has a closed form of two
products, and all others are computed tile by tile.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.cosine import CosineCache, cosine, cosine_backward
from ..ops.linear import LinearCache, linear, linear_backward
from ..ops.sigmoid import LogisticCache, sigmoid, sigmoid_backward
from ..ops.sums import column_sum
from ..ops.unit_rows import UnitRowsCache, unit_rows, unit_rows_backward
from .eq20_guided_attention import guided_attention, guided_attention_backward
from .eq26_fusion import fusion, fusion_backward

TILE = (32, 256)  # images and texts at a time: with D = 128 a tile is a million numbers


class TextComparison(NamedTuple):
    """How a text is compared with an image."""

    attention: str = "soft"  # one of eq20_guided_attention.ATTENTIONS
    fusion: str = "gate"  # or "fixed"; where there are both a sentence and keywords
    normalised: bool = True  # before the fusion


class SoftCache(NamedTuple):
    unit: UnitRowsCache
    v: Array
    t: Array
    w: Array
    gate: LogisticCache
    zero: Array  # (N, M) whether Q is 0
    length: Array
    scores: Array


def soft_similarity(v: Array, t: Array, w: Array, b: Array) -> tuple[Array, SoftCache]:
    """S_ij = cos(v_i, g_i ⊙ t_j), g = σ(v W + b), in closed form:

    ⟨v_i, g_i ⊙ t_j⟩ = ⟨v_i ⊙ g_i, t_j⟩        ‖g_i ⊙ t_j‖² = ⟨g_i ⊙ g_i, t_j ⊙ t_j⟩ = Q_ij
    S = (v̂ ⊙ g) tᵀ / √Q,  v̂ = v/‖v‖;  0 where Q is 0, and NaN where it is
    """
    xp = get_xp(v, t)
    unit, unit_cache = unit_rows(v)
    gate, gate_cache = sigmoid(v @ w + b)
    q = (gate * gate) @ (t * t).T
    zero = q.real <= 0
    length = xp.sqrt(xp.where(zero, 1, q))
    scores = xp.where(zero, 0, ((unit * gate) @ t.T) / length)
    return scores, SoftCache(unit_cache, v, t, w, gate_cache, zero, length, scores)


def soft_similarity_backward(ds: Array, cache: SoftCache) -> tuple[Array, Array, Array, Array]:
    """(dv, dt, dw, db). With P = (v̂ ⊙ g) tᵀ, S = P Q^(−1/2):  dP = dS/√Q,  dQ = −½ dS ⊙ S/Q, and

    dt = dPᵀ (v̂ ⊙ g) + 2 t ⊙ (dQᵀ g²)    dv̂ = g ⊙ (dP t)    dg = v̂ ⊙ (dP t) + 2 g ⊙ (dQ t²)
    """
    xp = get_xp(ds)
    unit_cache, v, t, w, gate_cache, zero, length, scores = cache
    unit, gate = unit_cache.y, gate_cache.y
    dp = xp.where(zero, 0, ds) / length
    dq = -0.5 * dp * scores / length
    through = dp @ t
    dt = dp.T @ (unit * gate) + 2 * t * (dq.T @ (gate * gate))
    dz = sigmoid_backward(unit * through + 2 * gate * (dq @ (t * t)), gate_cache)
    dv = unit_rows_backward(gate * through, unit_cache) + dz @ w.T
    return dv, dt, v.T @ dz, column_sum(dz)


class SimilarityCache(NamedTuple):
    params: Mapping[str, Array]
    inputs: tuple[Array, Array | None, Array | None]
    comparison: TextComparison
    name: str  # of the attention's parameters, where there is one text
    closed: tuple  # the caches of a closed form, or nothing


def similarity(
    params: Mapping[str, Array], v: Array, s: Array | None, k: Array | None = None, *, comparison: TextComparison
) -> tuple[Array, SimilarityCache]:
    """S_ij = cos(v_i, text_ij): text_ij is the sentence or the keywords after the attention of image i, or both fused.

    Parameters `attention_s.…`, `attention_k.…` and `fusion.…`. Closed forms: none, soft, and the scalar gate, which a
    cosine does not see, so that S = cos(v, t W_t + b_t).
    """
    name, t = ("s", s) if k is None else ("k", k)
    inputs, attention = (v, s, k), _under(f"attention_{name}", params)
    if s is not None and k is not None:
        return _by_tiles(params, inputs, comparison), SimilarityCache(params, inputs, comparison, "", ())
    if comparison.attention == "none":
        scores, cache = cosine(v, t)
        return scores, SimilarityCache(params, inputs, comparison, name, (cache,))
    if comparison.attention == "soft":
        scores, cache = soft_similarity(v, t, attention["gate.w"], attention["gate.b"])
        return scores, SimilarityCache(params, inputs, comparison, name, (cache,))
    if comparison.attention == "scalar":
        f_t, cache = linear(t, attention["t.w"], attention["t.b"])
        scores, last = cosine(v, f_t)
        return scores, SimilarityCache(params, inputs, comparison, name, (cache, last))
    return _by_tiles(params, inputs, comparison), SimilarityCache(params, inputs, comparison, name, ())


def similarity_backward(
    ds: Array, cache: SimilarityCache
) -> tuple[dict[str, Array], tuple[Array, Array | None, Array | None]]:
    """(grads, (dv, ds, dk)); the gradient of a text that there is not is None. Tiles are computed again."""
    params, name, closed = cache.params, cache.name, cache.closed
    if not closed:
        return _backward_by_tiles(ds, cache)
    xp, prefix, grads = get_xp(ds), f"attention_{name}", {}
    match closed:
        case (SoftCache(),):
            dv, dt, grads[f"{prefix}.gate.w"], grads[f"{prefix}.gate.b"] = soft_similarity_backward(ds, *closed)
        case (CosineCache(),):
            dv, dt = cosine_backward(ds, *closed)
        case (LinearCache(), CosineCache()):
            dv, df = cosine_backward(ds, closed[1])
            dt, grads[f"{prefix}.t.w"], grads[f"{prefix}.t.b"] = linear_backward(df, closed[0])
            grads |= {f"{prefix}.v.{part}": xp.zeros_like(params[f"{prefix}.v.{part}"]) for part in "wb"}
    return grads, (dv, dt, None) if name == "s" else (dv, None, dt)


def _under(prefix: str, params: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters whose names begin with the prefix and a dot, without both."""
    return {name[len(prefix) + 1 :]: value for name, value in params.items() if name.startswith(f"{prefix}.")}


def _tiles(v: Array, t: Array) -> Iterator[tuple[slice, slice]]:
    for i in range(0, len(v), TILE[0]):
        for j in range(0, len(t), TILE[1]):
            yield slice(i, i + TILE[0]), slice(j, j + TILE[1])


def _tile(params: Mapping[str, Array], v: Array, s: Array | None, k: Array | None, comparison: TextComparison) -> tuple:
    """(scores (n, m), caches) of one tile: v (n, D), s and k (m, D)."""
    texts, caches = [], {}
    for name, t in (("s", s), ("k", k)):
        if t is not None:
            text, caches[name] = guided_attention(
                _under(f"attention_{name}", params), v[:, None, :], t[None, :, :], kind=comparison.attention
            )
            texts.append(text)
    text = texts[0]
    if len(texts) == 2:
        text, caches["fusion"] = fusion(
            _under("fusion", params), *texts, kind=comparison.fusion, normalised=comparison.normalised
        )
    a, caches["v"] = unit_rows(v)
    b, caches["text"] = unit_rows(text)
    return (a[:, None, :] * b).sum(axis=2), caches


def _by_tiles(params: Mapping[str, Array], inputs: tuple, comparison: TextComparison) -> Array:
    v, s, k = inputs
    t = k if s is None else s
    scores = get_xp(v).empty((len(v), len(t)), dtype=v.dtype)
    for rows, columns in _tiles(v, t):
        parts = (None if x is None else x[columns] for x in (s, k))
        scores[rows, columns] = _tile(params, v[rows], *parts, comparison)[0]
    return scores


def _backward_by_tiles(ds: Array, cache: SimilarityCache) -> tuple[dict, tuple]:
    params, (v, s, k), comparison, _, _ = cache
    xp = get_xp(ds, v)
    texts = {name: t for name, t in (("s", s), ("k", k)) if t is not None}
    dv, dtexts = xp.zeros_like(v), {name: xp.zeros_like(t) for name, t in texts.items()}
    grads = {name: xp.zeros_like(p) for name, p in params.items()}
    for rows, columns in _tiles(v, next(iter(texts.values()))):
        parts = (None if x is None else x[columns] for x in (s, k))
        _, caches = _tile(params, v[rows], *parts, comparison)
        d, unit_v = ds[rows, columns][:, :, None], caches["v"].y[:, None, :]
        dv[rows] += unit_rows_backward((d * caches["text"].y).sum(axis=1), caches["v"])
        dtext = (unit_rows_backward(d * unit_v, caches["text"]),)
        if "fusion" in caches:
            part, dtext = fusion_backward(dtext[0], caches["fusion"])
            for name, grad in part.items():
                grads[f"fusion.{name}"] += grad
        for (name, dt), dtext_ij in zip(dtexts.items(), dtext, strict=True):
            part, (dv_ij, dt_ij) = guided_attention_backward(dtext_ij, caches[name])
            for key, grad in part.items():
                grads[f"attention_{name}.{key}"] += grad
            dv[rows] += dv_ij[:, 0]
            dt[columns] += dt_ij[0]
    return grads, (dv, dtexts.get("s"), dtexts.get("k"))
