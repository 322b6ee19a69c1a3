"""CuPy kernels for what is done to each element by itself.

A kernel is one launch and one pass over memory where an expression is one of each for every operator. What a kernel has
to compute stands in its function's docstring, and `tests/test_kernels.py` compares it with that expression.
"""

from functools import cache
from typing import NamedTuple

from .backend import Array, get_xp


class KernelText(NamedTuple):
    """An element-wise kernel as CuPy takes it: C++ for one element, T is the dtype of the arrays."""

    inputs: str
    outputs: str
    body: str


KERNELS = {
    "adam_step": KernelText(
        "T g, T decay, T lr, T rate, T epsilon, T share_m, T share_v",
        "T theta, T m, T v",
        """
        theta -= lr * (decay * theta);
        m += share_m * (g - m);
        v += share_v * (g * g - v);
        theta -= rate * (m / (sqrt(v) + epsilon));
        """,
    ),
    "leaky_relu": KernelText("T x, T slope", "T a", "a = x > 0 ? x : slope * x;"),
    "act_norm": KernelText(
        "T x, T mean, T factor, T beta, T slope",
        "T y",
        "y = ((x > 0 ? x : slope * x) - mean) * factor + beta;",
    ),
    "act_norm_backward": KernelText(
        "T dy, T x, T mean, T factor, T along, T shift, T slope",
        "T dx",
        """
        T a = x > 0 ? x : slope * x;
        dx = (x > 0 ? factor : slope * factor) * (dy - shift - (a - mean) * along);
        """,
    ),
}


@cache
def compile_kernel(name: str):
    """The kernel `name`; CuPy is imported, and the compiler asked, at its first call."""
    import cupy

    return cupy.ElementwiseKernel(*KERNELS[name], f"cmir_{name}")


def supported(*arrays: Array) -> bool:
    """Whether the kernels compute with `arrays`: they are CuPy's, real, and of one dtype."""
    on_a_gpu = get_xp(*arrays).__name__ == "cupy"
    return on_a_gpu and arrays[0].dtype.char in "fd" and len({array.dtype for array in arrays}) == 1


def adam_step_kernel(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """`training.adam.adam_step`, in place; `decay` is an array or a number."""
    compile_kernel("adam_step")(g, decay, lr, rate, epsilon, share_m, share_v, theta, m, v)


def leaky_relu_kernel(x: Array, slope: float) -> Array:
    """a = leaky_relu(x)."""
    return compile_kernel("leaky_relu")(x, slope)


def act_norm_kernel(x: Array, mean: Array, factor: Array, beta: Array, slope: float) -> Array:
    """y = (leaky_relu(x) − μ) factor + β, channel by channel (the last axis): what follows the statistics."""
    return compile_kernel("act_norm")(x, mean, factor, beta, slope)


def act_norm_backward_kernel(
    dy: Array, x: Array, mean: Array, factor: Array, along: Array, shift: Array, slope: float
) -> Array:
    """dx = leaky_relu'(x) factor (dy − shift − (leaky_relu(x) − μ) along): what follows the sums of the backward."""
    return compile_kernel("act_norm_backward")(dy, x, mean, factor, along, shift, slope)
