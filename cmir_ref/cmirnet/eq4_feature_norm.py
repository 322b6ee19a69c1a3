"""Equation 4: embeddings stay small.

    L₄ = ‖V_a‖²_F + ‖V_b‖²_F

n pairs, d_v dimensions: v_a, v_b (n, d_v).
"""

from ..backend import Array
from ..ops.frobenius import FrobeniusCache, frobenius, frobenius_backward


def feature_norm(
    v_a: Array, v_b: Array, *, reduction: str = "sum"
) -> tuple[Array, tuple[FrobeniusCache, FrobeniusCache]]:
    """L₄ = ‖V_a‖²_F + ‖V_b‖²_F, divided by n where `reduction` is "mean"."""
    l_a, cache_a = frobenius(v_a, reduction=reduction)
    l_b, cache_b = frobenius(v_b, reduction=reduction)
    return l_a + l_b, (cache_a, cache_b)


def feature_norm_backward(dl: Array, cache: tuple[FrobeniusCache, FrobeniusCache]) -> tuple[Array, Array]:
    """(dv_a, dv_b) = (2V_a, 2V_b) dl."""
    return frobenius_backward(dl, cache[0]), frobenius_backward(dl, cache[1])
