"""Equation 5: an embedding should carry what it takes to rebuild the features of the other modality.

    L₅ = ‖D_ab(V_a) − Z_b‖²_F + ‖D_ba(V_b) − Z_a‖²_F

n pairs: reconstructions and targets (n, D). The decoders D are in the latent network; with H_l = φ(S_l),
S_l = H_{l−1}W_l + 1b_lᵀ, H_0 = V_a, H_L = D_ab(V_a), the gradient of this loss runs back through them as
    δ_L = 2(H_L − Z_b) ⊙ φ'(S_L)    dW_l = H_{l−1}ᵀ δ_l    db_l = δ_lᵀ 1    δ_{l−1} = (δ_l W_lᵀ) ⊙ φ'(S_{l−1})
and reaches the embedding as dV_a = δ_1 W_1ᵀ.
"""

from typing import NamedTuple

from ..backend import Array
from ..ops.frobenius import FrobeniusCache, frobenius, frobenius_backward
from ..ops.shapes import check_same_shape


class ReconstructionCache(NamedTuple):
    a: FrobeniusCache
    b: FrobeniusCache
    cross: bool


def reconstruction(
    from_a: Array,
    from_b: Array,
    z_a: Array,
    z_b: Array,
    *,
    target: str = "cross",
    squared: bool = True,
    reduction: str = "sum",
) -> tuple[Array, ReconstructionCache]:
    """L₅ of what the decoders made, `from_a` = D_ab(V_a) and `from_b` = D_ba(V_b).

    `target`: "cross", each rebuilds the features of the other modality (the paper), or "own", those of the modality
    that it decodes (the released speech code). `squared` false takes the norms themselves (the released code). The sum
    is divided by n where `reduction` is "mean". Raises `ValueError` where a reconstruction and its target differ in
    shape.
    """
    if target not in ("cross", "own"):
        raise ValueError(f"decoder_target is {target!r}; it is one of cross, own")
    cross = target == "cross"
    goal_a, goal_b = (z_b, z_a) if cross else (z_a, z_b)
    check_same_shape(from_a=from_a, target=goal_a)
    check_same_shape(from_b=from_b, target=goal_b)
    l_a, cache_a = frobenius(from_a - goal_a, squared=squared, reduction=reduction)
    l_b, cache_b = frobenius(from_b - goal_b, squared=squared, reduction=reduction)
    return l_a + l_b, ReconstructionCache(cache_a, cache_b, cross)


def reconstruction_backward(dl: Array, cache: ReconstructionCache) -> tuple[Array, Array, Array, Array]:
    """(dfrom_a, dfrom_b, dz_a, dz_b).

    d‖H − Z‖² = 2⟨H − Z, dH − dZ⟩: the gradient of a target is minus that of its reconstruction. The setting
    `target_gradient` decides whether dz is used ("flow": Z may shrink to please the decoder) or dropped ("stop").
    """
    dfrom_a, dfrom_b = frobenius_backward(dl, cache.a), frobenius_backward(dl, cache.b)
    dz_a, dz_b = (-dfrom_b, -dfrom_a) if cache.cross else (-dfrom_a, -dfrom_b)
    return dfrom_a, dfrom_b, dz_a, dz_b
