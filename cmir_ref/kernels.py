"""CuPy kernels: what takes NumPy's spelling a launch for every operator, in one or two; their texts are `kernel_texts`.

`tests/test_kernels.py` compares them with NumPy, compiled as C++ where there is no GPU; tests/cuda.h says how.
"""

from functools import cache

from .backend import Array, get_xp
from .kernel_texts import (
    KERNELS,
    PARTS,
    SUMMED_ROWS,
    TILE,
    BlockText,
    KernelText,
    block_source,
    block_text,
    concatenate_text,
    energies_text,
    indexed_text,
    norm_terms_text,
)


@cache
def compile_kernel(name: str, text: KernelText | None = None):
    """The kernel `name`; CuPy is imported, and the compiler asked, at its first call."""
    import cupy

    return cupy.ElementwiseKernel(*(text or KERNELS[name]), f"cmir_{name}")


@cache
def compile_block_kernel(name: str, dtype: str, text: BlockText | None = None):
    """The kernel `name` for arrays of `dtype`, called with (grid, block, arguments)."""
    import cupy

    return cupy.RawKernel(block_source(name, text or block_text(name), dtype), f"cmir_{name}", options=("-std=c++17",))


def supported(*arrays: Array) -> bool:
    """Whether the kernels compute with `arrays`: they are CuPy's, real, and of one dtype."""
    xp = get_xp(*arrays)
    on_a_gpu = xp.__name__ == "cupy" or vars(xp).get("runs_kernels", False)  # NumPy is slow to say that it lacks a name
    return on_a_gpu and arrays[0].dtype.char in "fd" and len({array.dtype for array in arrays}) == 1


def adam_step_kernel(theta: Array, g: Array, m: Array, v: Array, *, decay, lr, rate, epsilon, share_m, share_v) -> None:
    """`training.adam.adam_step`, in place; `decay` and the numbers are arrays or numbers."""
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


def norm_factors_kernel(var: Array, gamma: Array, epsilon: float) -> tuple[Array, Array]:
    """(s, s γ), s = (σ² + ε)^(−1/2)."""
    return compile_kernel("norm_factors")(var, gamma, epsilon)


def norm_sums_kernel(product: Array, upstream: Array, scale: Array, share: float) -> tuple[Array, Array, Array]:
    """(dγ, s dγ share, dβ share) of batch normalisation, for Σ dy (a − μ) and Σ dy = dβ; `share` is 1/M or 0."""
    return compile_kernel("norm_sums")(product, upstream, scale, share)


def biased_relu_kernel(s: Array, b: Array, active: bool) -> Array:
    """relu(s + b), or s + b where not `active`; b (C,) along the last axis."""
    return compile_kernel("biased_relu")(s, b, active)


def im2col_kernel(x: Array, k: int) -> Array:
    """`ops.conv.im2col`: (N, H, W, C) -> (N·H·W, k·k·C)."""
    n, h, w, c = x.shape
    columns = get_xp(x).empty((n * h * w, k * k * c), dtype=x.dtype)
    _compile_indexed("im2col", columns.size)(_whole(x), h, w, c, k, columns)
    return columns


def col2im_kernel(columns: Array, shape: tuple[int, ...], k: int) -> Array:
    """`ops.conv.col2im`, where every pixel gathers its entries: (N·H·W, k·k·C) -> (N, H, W, C)."""
    x = get_xp(columns).empty(shape, dtype=columns.dtype)
    _compile_indexed("col2im", columns.size)(_whole(columns), *shape[1:], k, x)
    return x


def max_pool_kernel(x: Array, factor: int) -> tuple[Array, Array]:
    """(y, winner) of `ops.max_pool`: the largest of each window, and its place there."""
    xp, (n, h, w, c) = get_xp(x), x.shape
    y = xp.empty((n, h // factor, w // factor, c), dtype=x.dtype)
    winner = xp.empty(y.shape, dtype="uint8" if factor <= 16 else "uint32")
    _compile_indexed("max_pool", x.size)(_whole(x), h, w, c, factor, y, winner)
    return y, winner


def max_pool_backward_kernel(dy: Array, winner: Array, factor: int, shape: tuple[int, ...]) -> Array:
    """dx of `ops.max_pool`: dy at the winners, 0 elsewhere."""
    dx = get_xp(dy).empty(shape, dtype=dy.dtype)
    _compile_indexed("max_pool_backward", dx.size)(_whole(dy), winner, *shape[1:], factor, dx)
    return dx


def softmax_rows_kernel(u: Array, targets: Array, scale: float) -> tuple[Array, Array]:
    """(losses of the rows, du of their sum) of the softmax cross entropy, both times `scale`."""
    xp, (n, classes) = get_xp(u), u.shape
    loss, slope = xp.empty(n, dtype=u.dtype), xp.empty(u.shape, dtype=u.dtype)
    compile_kernel("softmax_rows")(_whole(u), _whole(targets), classes, targets.ndim == 1, scale, loss, slope)
    return loss, slope


def scaled_difference_kernel(coefficients: Array, place: int, dl: Array | float, x: Array, y: Array | float) -> Array:
    """dx = c[place] dl (x − y)."""
    return compile_kernel("scaled_difference")(coefficients, place, dl, x, y)


def gru_step_kernel(a: Array, c: Array, h: Array, lengths: Array, t: int, next: Array, product: Array, gates: Array):
    """Step t of `ops.fused.gru_on_device`: writes h' (N, D), h U_n (N, D) and r, z, n (N, 3D), of a = x W + b and
    c = h U (N, 3D). Where a sequence has no step t, h' is h."""
    compile_kernel("gru_step")(a, c, lengths, h, t, h.shape[1], next, product, gates)


def gru_step_backward_kernel(gates: Array, lengths: Array, d: tuple, h: Array, product: Array, t: int, da, dc) -> Array:
    """What reaches h past the product with U: g ⊙ z, or all of g = Σ d where there is no step t. Writes the gradients
    da of x W + b and dc of h U (N, 3D), which differ in n."""
    kept = get_xp(h).empty_like(h)
    compile_kernel("gru_step_backward")(gates, lengths, *d, h, product, t, h.shape[1], kept, da, dc)
    return kept


def concatenate_kernel(arrays: list[Array]) -> Array:
    """The arrays, each flat, one after the other."""
    total = sum(array.size for array in arrays)
    y, ends, end = get_xp(*arrays).empty(total, dtype=arrays[0].dtype), [], 0
    for array in arrays:
        end += array.size
        ends += [_whole(array), end]
    compile_kernel(f"concatenate_{len(arrays)}", concatenate_text(len(arrays)))(*ends, y)
    return y


def keep_mask_kernel(state: int, increment: int, rate: float, keep: Array) -> None:
    """Writes `random(keep.shape) >= rate` into `keep`, for the generator PCG64 in this state.

    Entry i needs the state i + 1 steps on: s ← a s + c, 128 bits wide, and so many steps are again such a map, which
    squaring finds (Brown 1994). The output is XSL-RR of O'Neill 2014, its upper 53 bits are NumPy's number in [0, 1).
    """
    low = 2**64 - 1
    compile_kernel("keep_mask")(state >> 64, state & low, increment >> 64, increment & low, rate, keep)


def dense_layer_kernel(x: Array, w: Array, b: Array, active: bool) -> Array:
    """y = x w + b, with relu where `active`: (N, C), (C, D), (D,) -> (N, D)."""
    (n, c), d = x.shape, w.shape[1]
    y = get_xp(x).empty((n, d), dtype=x.dtype)
    _multiply("dense_layer", (_whole(x), _whole(w), _whole(b), y), n, d, c, active)
    return y


def dense_layer_backward_kernel(
    dy: Array, x: Array, w: Array, y: Array, active: bool, input_gradient: bool
) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db) of `dense_layer_kernel`, in two launches; dx is None without `input_gradient`."""
    xp, (n, c), d = get_xp(x), x.shape, w.shape[1]
    dy, dx = _whole(dy), xp.empty((n, c), dtype=x.dtype) if input_gradient else None
    dw, db = xp.empty((c, d), dtype=x.dtype), xp.empty(d, dtype=x.dtype)
    if input_gradient:
        _multiply("dense_layer_dx", (dy, y, _whole(w), dx), n, c, d, active)
    _multiply("dense_layer_dw", (_whole(x), dy, y, dw, db), c + 1, d, n, active)
    return dx, dw, db


def _multiply(name: str, arrays: tuple, rows: int, columns: int, inner: int, active: bool) -> None:
    grid = -(-columns // TILE), -(-rows // TILE)
    if all(grid):
        kernel = compile_block_kernel(name, arrays[0].dtype.char)
        kernel(grid, (TILE, TILE), (*arrays, rows, columns, inner, int(active)))


SUM, SUM_OF_ACT, SUM_OF_SQUARES, SUM_OF_PRODUCTS = range(4)


def column_sum_kernel(
    x: Array, kind: int = SUM, *, y: Array | None = None, mean: Array | None = None, slope=0.0, factor=1.0
) -> Array:
    """Over all axes but the last, times `factor`: (…, C) -> (C,). With a = leaky_relu(x, slope) the `kind` is

    SUM Σ x    SUM_OF_ACT Σ a    SUM_OF_SQUARES Σ (a − μ)²    SUM_OF_PRODUCTS Σ (a − μ) y
    """
    c = x.shape[-1]
    rows, x = x.size // max(c, 1), _whole(x)
    parts = min(max(rows // (4 * SUMMED_ROWS), 1), 256)
    arrays = x, x if y is None else _whole(y), x if mean is None else mean
    if parts == 1:
        return _sum_columns(arrays, kind, slope, rows, c, 1, factor)[0]
    sums = _sum_columns(arrays, kind, slope, rows, c, parts)
    return _sum_columns((sums, sums, sums), SUM, 0.0, parts, c, 1, factor)[0]


def _sum_columns(arrays, kind, slope, rows, c, parts, factor=1.0):
    sums = get_xp(arrays[0]).empty((parts, c), dtype=arrays[0].dtype)
    kernel = compile_block_kernel("column_sums", sums.dtype.char)
    kernel((-(-c // 32), parts), (32, SUMMED_ROWS), (*arrays, slope, factor, sums, rows, c, kind))
    return sums


def energies_kernel(pairs: list[tuple[Array, Array | None, float]]) -> Array:
    """Partial sums (terms, PARTS) of (x − y − shift)² for each (x, y, shift); y may be None."""
    differences = tuple(y is not None for _, y, _ in pairs)
    parts = get_xp(pairs[0][0]).empty((len(pairs), PARTS), dtype=pairs[0][0].dtype)
    arguments = [a for x, y, s in pairs for a in (_whole(x), *([] if y is None else [_whole(y)]), x.size, float(s))]
    name = "energies_" + "".join(map(str, map(int, differences)))
    kernel = compile_block_kernel(name, parts.dtype.char, energies_text(differences))
    kernel((PARTS, len(pairs)), (256, 1), (parts, *arguments))
    return parts


def norm_terms_kernel(parts: Array, kinds, groups, numbers) -> tuple[Array, Array, Array]:
    """(Σ weight φ(E), the φ(E) of each group, each term's coefficient of x − y), for the partial sums of energies E.

    `kinds` are keys of `SHAPES_OF_TERMS`, `groups` whole numbers 0, 1, …, `numbers` (α, scale, weight) of each term.
    """
    xp = get_xp(parts)
    total, values, coefficients = (xp.empty(n, dtype=parts.dtype) for n in ((), max(groups) + 1, len(kinds)))
    name = "norm_terms_" + "_".join(
        f"{kind.replace('-', '')}{group}" for kind, group in zip(kinds, groups, strict=True)
    )
    kernel = compile_kernel(f"norm_terms_{name}", norm_terms_text(tuple(kinds), tuple(groups), parts.shape[1]))
    kernel(parts, *(number for term in numbers for number in term), total, values, coefficients)
    return total, values, coefficients


def _whole(array: Array) -> Array:
    """The array itself where its entries lie one after the other, else a copy in which they do."""
    return get_xp(array).ascontiguousarray(array)


def _compile_indexed(name: str, entries: int):
    width = 32 if entries < 2**31 else 64
    return compile_kernel(f"{name}_{width}", indexed_text(name, entries))
