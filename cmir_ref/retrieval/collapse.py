"""Is the common space alive, or has it shrunk to a point?"""

from string import ascii_lowercase

from ..backend import Array, get_xp
from ..errors import InputError
from .distances import embeddings, power_above

STATES = ("alive", "half collapsed", "collapsed", "diverged")  # the last: training ended without finite embeddings


def collapse(*v: Array) -> dict:
    """State and spread of the embeddings `v` (N_m, D) of two or more modalities.

    A set of embeddings is one point where max‖v − v̄‖ ≤ 1e-6 · max(1, ‖v̄‖), v̄ its mean.

    `state`            "collapsed" where all together, or each modality for itself, are one point; "half collapsed"
                       where some modality is; else "alive"
    `one_point`        letters of the modalities that are one point
    `scale`            mean ‖v − v̄‖ over all; `scale_a`, `scale_b`, …: of one modality, about its own mean
    `effective_rank`   participation ratio (Σλ)² / Σλ² of the covariance's eigenvalues, between 1 and D; 0 for a set
                       that is one point, of which only rounding is left

    Raises `InputError` for embeddings that are not finite or not (N, D) with one D.
    """
    xp = get_xp(*v)
    v = {m: embeddings(v_m, f"v_{m}") for m, v_m in zip(ascii_lowercase, v, strict=False)}
    widths = {v_m.shape[1] for v_m in v.values()}
    if len(widths) > 1:
        sizes = " and ".join(f"v_{m} {v_m.shape[1]}" for m, v_m in v.items())
        raise InputError(f"{sizes} dimensions: they must agree")
    everything = xp.concatenate(list(v.values()))
    points = [m for m, v_m in v.items() if is_one_point(v_m)]
    together = is_one_point(everything)
    return {
        "state": "collapsed" if together or len(points) == len(v) else "half collapsed" if points else "alive",
        "one_point": points,
        "scale": float(_radii(everything).mean()),
        **{f"scale_{m}": float(_radii(v_m).mean()) for m, v_m in v.items()},
        "effective_rank": 0.0 if together else _participation(everything - everything.mean(axis=0)),
    }


def is_one_point(v: Array) -> bool:
    """max‖v − v̄‖ ≤ 1e-6 · max(1, ‖v̄‖) for embeddings v (N, D)."""
    return float(_radii(v).max()) <= 1e-6 * max(1.0, float(_lengths(v.mean(axis=0)[None])[0]))


def _radii(v: Array) -> Array:
    """‖v − v̄‖ of each row (N,)."""
    return _lengths(v - v.mean(axis=0))


def _lengths(v: Array) -> Array:
    """‖v‖ of each row (N,); no square overflows."""
    xp = get_xp(v)
    scale = power_above(float(xp.abs(v).max()))
    return xp.sqrt(((v / scale) ** 2).sum(axis=1)) * scale


def _participation(d: Array) -> float:
    """(Σλ)² / Σλ² of dᵀd: the trace squared over the squared Frobenius norm, no eigenvalue needed."""
    xp = get_xp(d)
    d = d / xp.abs(d).max()
    covariance = d.T @ d
    return float(xp.trace(covariance) ** 2 / (covariance * covariance).sum())
