"""CuPy kernels of what is done element by element, each with its plain NumPy twin beside it.

A kernel is one launch and one pass over memory where the plain text is one of each for every operator. The pairs have
one signature; a twin is what defines its kernel, and what tests compare with both the kernel and the textbook.
"""

from functools import cache
from typing import NamedTuple

from .backend import Array, get_xp


class Source(NamedTuple):
    """An element-wise kernel as CuPy takes it: C++ for one element, T the arrays' dtype."""

    inputs: str
    outputs: str
    body: str


KERNELS = {
    "adam_step": Source(
        "T g, T decay, T lr, T rate, T epsilon, T share_m, T share_v",
        "T theta, T m, T v",
        """
        theta -= lr * (decay * theta);
        m += share_m * (g - m);
        v += share_v * (g * g - v);
        theta -= rate * (m / (sqrt(v) + epsilon));
        """,
    ),
}


@cache
def compiled(name: str):
    """The kernel `name`; CuPy is imported, and the compiler asked, at its first call."""
    import cupy

    return cupy.ElementwiseKernel(*KERNELS[name], f"cmir_{name}")


def adam_step(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """One step of Adam on CuPy arrays, in place; `decay` is an array or a number."""
    compiled("adam_step")(g, decay, lr, rate, epsilon, share_m, share_v, theta, m, v)


def adam_step_plain(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """The same by operators, on NumPy's arrays as on any."""
    theta -= lr * (decay * theta)
    m += share_m * (g - m)
    v += share_v * (g * g - v)
    theta -= rate * (m / (get_xp(v).sqrt(v) + epsilon))
