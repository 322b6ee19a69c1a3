"""Has the common space shrunk to a point?"""

from ..backend import Array, get_xp
from ..errors import InputError
from .distances import embeddings


def collapse(v_a: Array, v_b: Array) -> dict:
    """Spread of the embeddings `v_a` (N_a, D) and `v_b` (N_b, D), taken together about their common mean v̄.

    `collapsed`        max‖v − v̄‖ ≤ 1e-6 · max(1, ‖v̄‖)
    `scale`            mean ‖v − v̄‖; `scale_a`, `scale_b`: of one modality, about its own mean
    `effective_rank`   participation ratio (Σλ)² / Σλ² of the covariance's eigenvalues, between 1 and D; 0 for a
                       collapsed set, of which only rounding is left

    Raises `InputError` for embeddings that are not finite or not (N, D) with one D.
    """
    xp = get_xp(v_a, v_b)
    v_a, v_b = embeddings(v_a, "v_a"), embeddings(v_b, "v_b")
    if v_a.shape[1] != v_b.shape[1]:
        raise InputError(f"v_a has {v_a.shape[1]} dimensions and v_b {v_b.shape[1]}: they must agree")
    v = xp.concatenate([v_a, v_b])
    mean = v.mean(axis=0)
    radius = _radii(v)
    collapsed = float(radius.max()) <= 1e-6 * max(1.0, float(xp.sqrt((mean * mean).sum())))
    return {
        "collapsed": collapsed,
        "scale": float(radius.mean()),
        "scale_a": float(_radii(v_a).mean()),
        "scale_b": float(_radii(v_b).mean()),
        "effective_rank": 0.0 if collapsed else _participation(v - mean),
    }


def _radii(v: Array) -> Array:
    """‖v − v̄‖ of each row (N,)."""
    xp = get_xp(v)
    d = v - v.mean(axis=0)
    return xp.sqrt((d * d).sum(axis=1))


def _participation(d: Array) -> float:
    """(Σλ)² / Σλ² of dᵀd: the trace squared over the squared Frobenius norm, no eigenvalue needed."""
    xp = get_xp(d)
    d = d / xp.abs(d).max()
    covariance = d.T @ d
    return float(xp.trace(covariance) ** 2 / (covariance * covariance).sum())
