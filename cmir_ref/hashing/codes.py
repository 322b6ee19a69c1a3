"""Binary codes of −1 and +1, and the linear maps behind some of them.

N pairs, D features, c bits. Codes are kept as numbers: ‖p − q‖² = Σ_k (p_k − q_k)² = 4 · (bits in which p and q
differ), so Euclidean retrieval ranks by Hamming distance, and equal Hamming distances tie.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError
from ..ops.labels import multi_hot


class Projection(NamedTuple):
    """One modality's linear map x ↦ (x − mean) w."""

    mean: Array  # (D,) of the training features
    w: Array  # (D, c)


def project_features(z: Array, projection: Projection) -> Array:
    """(z − 1 meanᵀ) w: features (N, D) to real values (N, c), in float64.

    Raises `InputError` for features that are not finite, or not (N, D) with the D of the projection.
    """
    mean, w = projection
    z = check_features(z, "z")
    if z.shape[1] != len(mean):
        raise InputError(f"z has {z.shape[1]} columns, but the projection was fitted to {len(mean)}")
    return (z - mean) @ w


def codes(z: Array, projection: Projection) -> Array:
    """sgn((z − 1 meanᵀ) w): features (N, D) to codes ±1 (N, c). Raises `InputError` as `project_features` does."""
    return signs(project_features(z, projection))


def signs(x: Array) -> Array:
    """−1 where x < 0, else +1, in x's dtype: a code has no third value, so 0 counts as positive."""
    xp = get_xp(x)
    one = xp.ones_like(x)
    return xp.where(x < 0, -one, one)


def centred_signs(v: Array, mean: Array) -> Array:
    """Embeddings v (N, D) as codes of D bits: the signs of v − mean, `mean` (D,) that of the training embeddings.

    An embedding behind a ReLU has no negative entry, so that the signs of v would tell nothing; about the mean each bit
    divides the training samples. Raises `InputError` for embeddings that are not finite or do not fit the mean.
    """
    get_xp(v, mean)
    v = check_features(v, "v")
    if mean.shape != (v.shape[1],):
        raise InputError(f"mean: expected shape ({v.shape[1]},) for embeddings {v.shape}, got {mean.shape}")
    return signs(v - mean)


def storage_bits(v: Array) -> int:
    """How many bits store one row of v (N, D): D where every entry is −1 or +1, else 32 D (a float each).

    Raises `InputError` as `check_features` does.
    """
    v = check_features(v, "v")
    binary = bool((v * v == 1).all())
    return v.shape[1] * (1 if binary else 32)


def check_features(z: Array, name: str) -> Array:
    """`z` as float64 (N, D); raises an `InputError` with its `name` where it is not (N, D), not real or not finite."""
    xp = get_xp(z)
    if z.ndim != 2 or 0 in z.shape or z.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected real features (N, D), neither of them 0, got {z.dtype} {z.shape}")
    z = z.astype("float64")
    if not bool(xp.isfinite(z).all()):
        raise InputError(f"{name}: not all features are finite")
    return z


def check_feature_pairs(z_a: Array, z_b: Array) -> tuple[Array, Array]:
    """Both as float64; raises `InputError` as `check_features` does, and where they differ in their number of rows."""
    z_a, z_b = check_features(z_a, "z_a"), check_features(z_b, "z_b")
    if len(z_a) != len(z_b):
        raise InputError(f"z_a has {len(z_a)} rows and z_b {len(z_b)}: row i of both is pair i")
    return z_a, z_b


def label_rows(labels: Array, rows: int) -> Array:
    """The pairs' labels as float64 indicator rows (N, C), from integer classes (N,) or multi-hot (N, C).

    Raises `InputError` for another shape or number of rows, and for values that are neither classes nor 0 and 1.
    """
    get_xp(labels)
    if labels.ndim not in (1, 2) or len(labels) != rows or 0 in labels.shape:
        raise InputError(f"labels: expected ({rows},) classes or ({rows}, C) zeros and ones, got {labels.shape}")
    if labels.ndim == 2:
        if (right := ((labels == 0) | (labels == 1)).all(axis=1)).size and not bool(right.all()):
            raise InputError(f"labels: row {int(right.argmin())} is not of zeros and ones only")
        return multi_hot(labels, labels.shape[1], "float64")
    if labels.dtype.kind not in "iu" or bool((labels < 0).any()):
        least = "" if labels.dtype.kind not in "iu" else f", got {int(labels.min())} in row {int(labels.argmin())}"
        raise InputError(f"labels of {labels.dtype}: expected whole numbers from 0{least}")
    return multi_hot(labels, int(labels.max()) + 1, "float64")
