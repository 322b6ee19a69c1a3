"""Canonical correlation analysis: the directions of two feature spaces that are most correlated over pairs.

N pairs, features x (N, D_a), y (N, D_b), both centred; no labels.

    max tr(W_aᵀ C_ab W_b)   subject to   W_aᵀ C_aa W_a = I,  W_bᵀ C_bb W_b = I,        C_ab = xᵀy/N, …

With whitening maps K (Kᵀ C K = I) and W = K U the constraints say that U is orthonormal, and the maximum is a singular
value decomposition, K_aᵀ C_ab K_b = U_a Σ U_bᵀ: W_a = K_a U_a, W_b = K_b U_b, and Σ are the canonical correlations.
Source: Hotelling, "Relations between two sets of variates", Biometrika 28, 1936.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError
from ..retrieval.distances import power_above
from .codes import Projection, check_feature_pairs

RIDGE = 1e-6  # of the mean variance, on the diagonal: features may be dead or linearly dependent


class WhiteFeatures(NamedTuple):
    """The features of one modality, centred and decorrelated."""

    p: Array  # (N, D): pᵀp = N I (a little less, because of the ridge)
    mean: Array  # (D,)
    k: Array  # (D, D): p = (z − mean) k

    def projection(self, u: Array) -> Projection:
        """The map z ↦ p u for directions u (D, c) among the whitened features."""
        return Projection(self.mean, self.k @ u)


def whiten(z: Array, name: str, ridge: float = RIDGE) -> WhiteFeatures:
    """K = Q Λ^{−1/2} from C + ridge · (tr C / D) I = Q Λ Qᵀ, C the covariance of z (N, D).

    Raises `InputError` for features without any variance, for dependent ones where the ridge does not help, and for a
    ridge that is not a number from 0.
    """
    if not 0 <= ridge < float("inf"):
        raise InputError(f"ridge: expected a number from 0, got {ridge}")
    xp = get_xp(z)
    n, d = z.shape
    mean = z.mean(axis=0)
    x = z - mean
    largest = float(xp.abs(x).max())
    if largest <= 1e-14 * float(xp.abs(z).max()):  # the rounding of a mean
        raise InputError(f"{name}: all rows are equal, there is nothing to project")
    scale = power_above(largest)  # no square overflows, and none vanishes
    x = x / scale
    covariance = x.T @ x / n
    level = float(xp.trace(covariance)) / d
    eigenvalues, q = xp.linalg.eigh(covariance + ridge * level * xp.eye(d))
    if float(eigenvalues[0]) <= 1e-12 * level:
        raise InputError(f"{name}: features are linearly dependent; a ridge of {RIDGE} would be right, not {ridge}")
    k = q / xp.sqrt(eigenvalues)
    return WhiteFeatures(x @ k, mean, k / scale)


class Cca(NamedTuple):
    """A fitted CCA: the projections of both modalities."""

    a: Projection
    b: Projection
    correlations: Array  # (c,), falling


def cca(z_a: Array, z_b: Array, dimensions: int, *, ridge: float = RIDGE) -> Cca:
    """The `dimensions` most correlated directions of features z_a (N, D_a) and z_b (N, D_b) of N pairs.

    `project_features(z, cca.a)` gives real embeddings (32 bits a dimension), `codes(z, cca.a)` their signs. `ridge` is
    the share of the mean variance that is added to each variance; 0 gives the textbook's CCA. Raises `InputError` for
    features that are not finite, not paired, constant or (without a ridge) dependent, and for more dimensions than
    there are features.
    """
    z_a, z_b = check_feature_pairs(z_a, z_b)
    check_width(dimensions, z_a, z_b)
    a, b = whiten(z_a, "z_a", ridge), whiten(z_b, "z_b", ridge)
    u, values, v = largest_directions(a.p.T @ b.p / len(z_a), dimensions)
    return Cca(a.projection(u), b.projection(v), values)


def largest_directions(m: Array, count: int) -> tuple[Array, Array, Array]:
    """(U, σ, V) of the `count` largest singular values of m (D_a, D_b): columns of U and V, σ falling."""
    u, values, vt = get_xp(m).linalg.svd(m, full_matrices=False)
    return u[:, :count], values[:count], vt[:count].T


def check_width(width: int, z_a: Array, z_b: Array) -> None:
    """Raises `InputError` unless 1 ≤ width ≤ the columns of both."""
    most = min(z_a.shape[1], z_b.shape[1])
    if not 1 <= width <= most:
        raise InputError(f"{width} directions: expected 1 to {most}, as many as the narrower features have columns")
