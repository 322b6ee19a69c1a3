"""Equation 2: a pair should land on one point.

    L₂ = ‖V_a − V_b‖²_F

n pairs, d_v dimensions: v_a, v_b (n, d_v), row i of both belongs to pair i.
"""

from ..backend import Array
from ..ops.frobenius import FrobeniusCache, frobenius, frobenius_backward


def alignment(v_a: Array, v_b: Array, *, norm: str = "squared", reduction: str = "sum") -> tuple[Array, FrobeniusCache]:
    """L₂ = ‖V_a − V_b‖²_F, or ‖V_a − V_b‖_F for `norm` "unsquared" (released code); over n for `reduction` "mean"."""
    return frobenius(v_a - v_b, norm=norm, reduction=reduction)


def alignment_backward(dl: Array, cache: FrobeniusCache) -> tuple[Array, Array]:
    """(dv_a, dv_b) = (2(V_a − V_b), −2(V_a − V_b)) dl; unsquared (V_a − V_b)/‖V_a − V_b‖_F, and 0 at equality,
    where the released code divides 0 by 0.
    """
    dv_a = frobenius_backward(dl, cache)
    return dv_a, -dv_a
