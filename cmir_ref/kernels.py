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
    "activate": Source("T x, T slope", "T a", "a = x > 0 ? x : slope * x;"),
    "normalise": Source(
        "T x, T mean, T factor, T beta, T slope",
        "T y",
        "y = ((x > 0 ? x : slope * x) - mean) * factor + beta;",
    ),
    "spread": Source(
        "T dy, T x, T mean, T factor, T along, T shift, T slope",
        "T dx",
        """
        T a = x > 0 ? x : slope * x;
        dx = (x > 0 ? factor : slope * factor) * (dy - shift - (a - mean) * along);
        """,
    ),
}


@cache
def compiled(name: str):
    """The kernel `name`; CuPy is imported, and the compiler asked, at its first call."""
    import cupy

    return cupy.ElementwiseKernel(*KERNELS[name], f"cmir_{name}")


def take(*arrays: Array) -> bool:
    """Whether the kernels compute with `arrays`: CuPy's, real, of one dtype."""
    on_a_gpu = get_xp(*arrays).__name__ == "cupy"
    return on_a_gpu and arrays[0].dtype.char in "fd" and len({array.dtype for array in arrays}) == 1


def adam_step(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """One step of Adam on CuPy arrays, in place; `decay` is an array or a number."""
    compiled("adam_step")(g, decay, lr, rate, epsilon, share_m, share_v, theta, m, v)


def adam_step_plain(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """The same by operators, on NumPy's arrays as on any."""
    theta -= lr * (decay * theta)
    m += share_m * (g - m)
    v += share_v * (g * g - v)
    theta -= rate * (m / (get_xp(v).sqrt(v) + epsilon))


def activate(x: Array, slope: float) -> Array:
    """a = leaky_relu(x)."""
    return compiled("activate")(x, slope)


def activate_plain(x: Array, slope: float) -> Array:
    """The same by operators."""
    return get_xp(x).where(x > 0, x, slope * x)


def normalise(x: Array, mean: Array, factor: Array, beta: Array, slope: float) -> Array:
    """y = (leaky_relu(x) − μ) factor + β, channel by channel (the last axis): what follows the statistics."""
    return compiled("normalise")(x, mean, factor, beta, slope)


def normalise_plain(x: Array, mean: Array, factor: Array, beta: Array, slope: float) -> Array:
    """The same by operators."""
    return (activate_plain(x, slope) - mean) * factor + beta


def spread(dy: Array, x: Array, mean: Array, factor: Array, along: Array, shift: Array, slope: float) -> Array:
    """dx = leaky_relu'(x) factor (dy − shift − (leaky_relu(x) − μ) along): what follows the sums of the backward."""
    return compiled("spread")(dy, x, mean, factor, along, shift, slope)


def spread_plain(dy: Array, x: Array, mean: Array, factor: Array, along: Array, shift: Array, slope: float) -> Array:
    """The same by operators."""
    through = dy - shift - (activate_plain(x, slope) - mean) * along
    return get_xp(x).where(x > 0, factor, slope * factor) * through
