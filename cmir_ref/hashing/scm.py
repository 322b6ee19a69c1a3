"""SCM: codes whose products approach the similarity of the labels, from linear projections.

N pairs, features x (N, D_a), y (N, D_b), both centred, C labels, c bits. With label rows ℓ_i and L̃_i = ℓ_i/‖ℓ_i‖₂

    min over W_a, W_b   ‖sgn(x W_a) sgn(y W_b)ᵀ − c S‖²_F,        S = 2 L̃L̃ᵀ − 11ᵀ in [−1, 1]

(a sample without labels is unlike all, itself included). S is N × N and never formed: xᵀSy = 2 (xᵀL̃)(yᵀL̃)ᵀ −
(xᵀ1)(yᵀ1)ᵀ, whose second term is 0 for centred features. No gradient, no iteration over the data.
Source: Zhang & Li, "Large-scale supervised multimodal hashing with semantic correlation maximization", AAAI 2014. Which
of the two variants stands in Table 2, and on which features, is not stated there.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .cca import RIDGE, WhiteFeatures, check_width, largest_directions, whiten
from .codes import Projection, check_feature_pairs, label_rows, signs


class Scm(NamedTuple):
    """A fitted SCM: `codes(z, scm.a)` and `codes(z, scm.b)` are its codes."""

    a: Projection  # Wᵀ C W = I for each column, C the covariance (with its ridge)
    b: Projection
    values: Array  # λ of each direction, in the order of the bits
    supervised: int  # how many bits follow the labels; the rest are plain CCA (sequential variant)


def scm_orthogonal(z_a: Array, z_b: Array, labels: Array, bits: int, *, ridge: float = RIDGE) -> Scm:
    """All bits at once: the sign is dropped, and projections are decorrelated instead.

        max tr(W_aᵀ C_ab W_b)   subject to   W_aᵀ xᵀx W_a = N I,  W_bᵀ yᵀy W_b = N I,       C_ab = xᵀSy

    is CCA weighted by the labels: C_ab C_bb⁻¹ C_abᵀ w = λ² C_aa w, solved as `cca` is, by whitening and singular
    values. C_ab has rank ≤ C, and ≤ C − 1 for one label a sample (the centred xᵀL̃ then add up to 0): the bits beyond
    carry no information about the labels, whatever their number. `values` shows it: λ ≈ 0.

    z_a (N, D_a), z_b (N, D_b), labels (N,) or (N, C), 1 ≤ bits ≤ min(D_a, D_b). Raises `InputError` as `cca` does, and
    for labels of another shape.
    """
    a, b, l_a, l_b = _whiten_pairs(z_a, z_b, labels, bits, ridge)
    u, values, v = largest_directions(2 * l_a @ l_b.T / len(z_a), bits)
    return Scm(a.projection(u), b.projection(v), values, bits)


def scm_sequential(z_a: Array, z_b: Array, labels: Array, bits: int, *, ridge: float = RIDGE) -> Scm:
    """One bit after another, each for what the bits before it leave over (the better variant in its paper).

        R₁ = c S,   R_t = c S − Σ_{k<t} h_k g_kᵀ,        h_k = sgn(x w_a,k), g_k = sgn(y w_b,k)

    Bit t is the leading pair of the problem above with R_t for S. xᵀR_t y changes by −(xᵀh)(yᵀg)ᵀ a bit: O(N), no
    residual is formed. Where the leading value grows, the last bit took away more than there was: the bits that remain
    are then the leading directions of plain CCA, as in a copy of the authors' code; `supervised` counts those before.
    Shapes and errors as `scm_orthogonal`.
    """
    a, b, l_a, l_b = _whiten_pairs(z_a, z_b, labels, bits, ridge)
    xp, n = get_xp(z_a), len(z_a)
    m = 2 * bits * l_a @ l_b.T / n
    directions = []
    while len(directions) < bits:
        u, value, v = largest_directions(m, 1)
        if directions and value[0] > directions[-1][1][0]:
            break
        directions.append((u, value, v))
        m = m - (a.p.T @ signs(a.p @ u)) @ (b.p.T @ signs(b.p @ v)).T / n
    supervised = len(directions)
    if supervised < bits:
        directions.append(largest_directions(a.p.T @ b.p / n, bits - supervised))
    u, values, v = (xp.concatenate(parts, axis=-1) for parts in zip(*directions, strict=True))
    return Scm(a.projection(u), b.projection(v), values, supervised)


def _whiten_pairs(
    z_a: Array, z_b: Array, labels: Array, bits: int, ridge: float
) -> tuple[WhiteFeatures, WhiteFeatures, Array, Array]:
    """Both modalities whitened, with p_aᵀL̃ and p_bᵀL̃."""
    z_a, z_b = check_feature_pairs(z_a, z_b)
    check_width(bits, z_a, z_b)
    rows = label_rows(labels, len(z_a))
    xp = get_xp(rows)
    lengths = xp.sqrt((rows * rows).sum(axis=1, keepdims=True))
    rows = rows / xp.where(lengths > 0, lengths, 1)
    a, b = whiten(z_a, "z_a", ridge), whiten(z_b, "z_b", ridge)
    return a, b, a.p.T @ rows, b.p.T @ rows
