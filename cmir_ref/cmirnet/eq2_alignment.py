"""Equation 2: a pair should land on one point.

    L₂ = ‖V_a − V_b‖²_F

n pairs, d_v dimensions: v_a, v_b (n, d_v), row i of both belongs to pair i.
"""

from ..backend import Array
from ..ops.frobenius import FrobeniusCache, frobenius, frobenius_backward
from ..ops.shapes import check_same_shape


def alignment(v_a: Array, v_b: Array, *, squared: bool = True, reduction: str = "sum") -> tuple[Array, FrobeniusCache]:
    """L₂ = ‖V_a − V_b‖²_F; ‖V_a − V_b‖_F where not `squared` (the released code); divided by n for the "mean".

    Raises `ValueError` where v_a and v_b differ in shape.
    """
    check_same_shape(v_a=v_a, v_b=v_b)
    return frobenius(v_a - v_b, squared=squared, reduction=reduction)


def alignment_backward(dl: Array, cache: FrobeniusCache) -> tuple[Array, Array]:
    """(dv_a, dv_b) = (2(V_a − V_b), −2(V_a − V_b)) dl.

    Not squared, dv_a = (V_a − V_b)/‖V_a − V_b‖_F dl, and 0 where V_a = V_b; there the released code divides 0 by 0.
    """
    dv_a = frobenius_backward(dl, cache)
    return dv_a, -dv_a
