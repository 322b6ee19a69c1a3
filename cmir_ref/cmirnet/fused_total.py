"""Equation 6 for a GPU, in few launches: all its terms but L₃ are functions of Frobenius norms, and one sum takes them.

`eq6_total` is the text to read; `fused_total` has its signature, its values and its gradients.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.fused.norm_terms import NormTerm, NormTermsCache, norm_terms, norm_terms_backward
from ..ops.sums import reduction_factor
from .eq3_classification import ClassificationCache, classification, classification_backward
from .eq6_total import FROBENIUS, LatentOutput, Readings, TotalGradient, Weights


class FusedTotalCache(NamedTuple):
    out: LatentOutput
    z: tuple[Array, Array]
    norms: NormTermsCache | None
    names: list[str]  # what each of the norms is a term of: "alignment", "from_a", or the name of a matrix
    classification: ClassificationCache | None
    weights: Weights
    readings: Readings
    parts: dict[str, Array]


KINDS = {"elementwise": "square", "norm": "gap-square", "released": "gap-size"}  # of the readings of eq. 7


def fused_total(
    out: LatentOutput,
    z: tuple[Array, Array],
    y: tuple[Array, Array],
    regularised: dict[str, Array],
    decayed: dict[str, Array],
    weights: Weights,
    readings: Readings,
) -> tuple[Array, FusedTotalCache]:
    """`total(out, z, y, regularised, decayed, weights, readings)`; `cache.parts` has the same names."""
    r = readings
    if r.frobenius not in FROBENIUS:
        raise ValueError(f"frobenius is {r.frobenius!r}; it is one of {', '.join(FROBENIUS)}")
    scale = reduction_factor(r.reduction, out.v_a.shape[0])
    distance = {"kind": "square" if r.frobenius == "squared" else "root", "scale": scale}
    targets = (z[1], z[0]) if r.decoder_target == "cross" else z
    terms = {}
    if weights.alignment:
        terms["alignment"] = NormTerm("alignment", out.v_a, out.v_b, weight=weights.alignment, **distance)
    if weights.feature_norm:
        for name in ("v_a", "v_b"):
            terms[name] = NormTerm("feature_norm", getattr(out, name), scale=scale, weight=weights.feature_norm)
    if weights.reconstruction:
        for name, target in zip(("from_a", "from_b"), targets, strict=True):
            made = getattr(out, name)
            terms[name] = NormTerm("reconstruction", made, target, weight=weights.reconstruction, **distance)
    if weights.regulariser:
        kind = KINDS[r.alpha_reading]
        shift = r.alpha if kind == "square" else 0.0
        for name, w in regularised.items():
            terms[name] = NormTerm("regulariser", w, shift, kind, alpha=r.alpha, weight=weights.regulariser)
    if r.head_decay:
        terms |= {name: NormTerm("head_decay", w, weight=r.head_decay) for name, w in decayed.items()}
    loss, norms = norm_terms(list(terms.values())) if terms else (0.0, None)
    parts = dict(norms.values) if norms else {}
    l3_cache = None
    if weights.classification:
        parts["classification"], l3_cache = classification(
            out.u_a, out.u_b, *y, classifier=r.classifier, kinds=r.label_losses
        )
        loss = loss + weights.classification * parts["classification"]
    return loss, FusedTotalCache(out, z, norms, list(terms), l3_cache, weights, readings, parts)


def fused_total_backward(dl: Array, cache: FusedTotalCache) -> TotalGradient:
    """The gradients of `total_backward`: each norm gives one, and those of the same array are added."""
    xp, readings, names = get_xp(cache.out.v_a), cache.readings, cache.names
    dx = dict(zip(names, norm_terms_backward(dl, cache.norms) if names else [], strict=True))
    d = {name: dx.pop(name, None) for name in ("v_a", "v_b", "from_a", "from_b")}
    if "alignment" in dx:
        dv = dx.pop("alignment")
        d["v_a"] = dv if d["v_a"] is None else d["v_a"] + dv
        d["v_b"] = -dv if d["v_b"] is None else d["v_b"] - dv
    d["u_a"] = d["u_b"] = None
    if cache.classification:
        d["u_a"], d["u_b"] = classification_backward(cache.weights.classification * dl, cache.classification)
    for name, like in cache.out._asdict().items():
        if d[name] is None and like is not None:
            d[name] = xp.zeros_like(like)
    z_a, z_b = None, None
    if readings.target_gradient == "flow" and cache.weights.reconstruction:
        from_b, from_a = (
            (d["from_b"], d["from_a"]) if readings.decoder_target == "cross" else (d["from_a"], d["from_b"])
        )
        z_a, z_b = -from_b, -from_a
    z = tuple(xp.zeros_like(like) if dz is None else dz for dz, like in zip((z_a, z_b), cache.z, strict=True))
    return TotalGradient(LatentOutput(**d), z, dx)
