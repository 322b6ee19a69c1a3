"""CuPy kernels: what takes NumPy's spelling a launch for every operator, in one or two.

Two kinds: `KERNELS` compute each element by itself, `BLOCKS` let the threads of a block share memory. What a kernel has
to compute stands in its function's docstring. `tests/test_kernels.py` compares them with NumPy, compiled as C++ where
there is no GPU; tests/cuda.h says how.
"""

from functools import cache
from typing import NamedTuple

from .backend import Array, get_xp


class KernelText(NamedTuple):
    """An element-wise kernel as CuPy takes it: C++ for element number i, T is the dtype of the arrays."""

    inputs: str
    outputs: str
    body: str


class ProductText(NamedTuple):
    """A product C = A B as `PRODUCT` computes it: what A(i, k) and B(k, j) are, and what becomes of C(i, j)."""

    parameters: str
    left: str
    right: str
    store: str


class BlockText(NamedTuple):
    """A kernel for blocks of threads: In and Out are arrays of T, Cell is a T in shared memory, Int a whole number."""

    parameters: str
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
    "norm_factors": KernelText(
        "T var, T gamma, T epsilon",
        "T scale, T factor",
        """
        scale = 1 / sqrt(var + epsilon);
        factor = scale * gamma;
        """,
    ),
    "norm_sums": KernelText(
        "T product, T upstream, T scale, T share",
        "T dgamma, T along, T shift",
        """
        dgamma = product * scale;
        along = scale * dgamma * share;
        shift = upstream * share;
        """,
    ),
    "biased_relu": KernelText(
        "T s, T b, bool active",
        "T y",
        """
        y = s + b;
        y = active && y <= 0 ? (T)0 : y;
        """,
    ),
    "im2col": KernelText(  # Index: see `indexed_text`
        "raw T x, int64 h, int64 w, int64 c, int64 k",
        "T column",
        """
        Index channel = i % c, tap = i / c % (k * k), pixel = i / (c * k * k);
        Index row = pixel / w % h + tap / k - k / 2, col = pixel % w + tap % k - k / 2;
        bool inside = row >= 0 && row < h && col >= 0 && col < w;
        column = inside ? x[((pixel / (h * w) * h + row) * w + col) * c + channel] : (T)0;
        """,
    ),
    "col2im": KernelText(
        "raw T columns, int64 h, int64 w, int64 c, int64 k",
        "T x",
        """
        Index channel = i % c, col = i / c % w, row = i / (c * w) % h, sample = i / (c * w * h);
        T sum = 0;
        for (Index tap = 0; tap < k * k; tap++) {
            Index p = row - tap / k + k / 2, q = col - tap % k + k / 2;
            if (p >= 0 && p < h && q >= 0 && q < w)
                sum += columns[(((sample * h + p) * w + q) * k * k + tap) * c + channel];
        }
        x = sum;
        """,
    ),
    "max_pool": KernelText(
        "raw T x, int64 h, int64 w, int64 c, int64 f",
        "T y, W winner",
        """
        Index channel = i % c, across = w / f, down = h / f;
        Index q = i / c % across * f, p = i / (c * across) % down * f, sample = i / (c * across * down);
        Index first = ((sample * h + p) * w + q) * c + channel, best = 0;
        T largest = x[first];
        for (Index tap = 1; tap < f * f; tap++) {
            T candidate = x[first + (tap / f * w + tap % f) * c];
            if (candidate > largest || (candidate != candidate && largest == largest)) {
                largest = candidate;
                best = tap;
            }
        }
        y = largest;
        winner = best;
        """,
    ),
    "max_pool_backward": KernelText(
        "raw T dy, raw W winner, int64 h, int64 w, int64 c, int64 f",
        "T dx",
        """
        Index channel = i % c, col = i / c % w, row = i / (c * w) % h, sample = i / (c * w * h);
        Index p = row / f, q = col / f, down = h / f, across = w / f;
        Index window = ((sample * down + p) * across + q) * c + channel;
        bool won = p < down && q < across && winner[window] == row % f * f + col % f;
        dx = won ? dy[window] : (T)0;
        """,
    ),
    "softmax_rows": KernelText(
        "raw T u, raw I target, int64 classes, bool indices, T scale",
        "T loss, raw T slope",
        """
        long long first = i * classes;
        T largest = u[first], mass = 0, total = 0, sum = 0;
        for (long long k = 1; k < classes; k++) largest = u[first + k] > largest ? u[first + k] : largest;
        for (long long k = 0; k < classes; k++) {
            total += exp(u[first + k] - largest);
            mass += indices ? (T)(target[i] == k) : (T)target[first + k];
        }
        T share = mass > 0 ? mass : (T)1;
        for (long long k = 0; k < classes; k++) {
            T shifted = u[first + k] - largest;
            T y = (indices ? (T)(target[i] == k) : (T)target[first + k]) / share;
            sum += y * (log(total) - shifted);
            slope[first + k] = (exp(shifted) / total * (mass / share) - y) * scale;
        }
        loss = sum * scale;
        """,
    ),
    "scaled_difference": KernelText(
        "raw T coefficients, int64 place, T dl, T x, T y", "T dx", "dx = coefficients[place] * dl * (x - y);"
    ),
    "gru_step": KernelText(
        "raw T a, raw T c, raw L lengths, T h, int64 t, int64 d",
        "T next, T product, raw T gates",
        """
        long long sample = i / d, k = i % d, first = sample * 3 * d;
        T r = 1 / (1 + exp(-(a[first + k] + c[first + k])));
        T z = 1 / (1 + exp(-(a[first + d + k] + c[first + d + k])));
        product = c[first + 2 * d + k];
        T n = tanh(a[first + 2 * d + k] + r * product);
        next = t < lengths[sample] ? n + z * (h - n) : h;
        gates[first + k] = r;
        gates[first + d + k] = z;
        gates[first + 2 * d + k] = n;
        """,
    ),
    "gru_step_backward": KernelText(
        "raw T gates, raw L lengths, T dy, T carried, T through, T h, T product, int64 t, int64 d",
        "T kept, raw T da, raw T dc",
        """
        long long sample = i / d, k = i % d, first = sample * 3 * d;
        T r = gates[first + k], z = gates[first + d + k], n = gates[first + 2 * d + k];
        T g = dy + carried + through;
        bool valid = t < lengths[sample];
        T dn = valid ? g * (1 - z) * (1 - n * n) : (T)0, dz = valid ? g * (h - n) * z * (1 - z) : (T)0;
        T dr = dn * product * r * (1 - r);
        kept = valid ? g * z : g;
        da[first + k] = dr;
        da[first + d + k] = dz;
        da[first + 2 * d + k] = dn;
        dc[first + k] = dr;
        dc[first + d + k] = dz;
        dc[first + 2 * d + k] = dn * r;
        """,
    ),
    "keep_mask": KernelText(
        "uint64 high, uint64 low, uint64 step_high, uint64 step_low, float64 rate",
        "bool keep",
        """
        typedef unsigned long long U;
        struct Wide {
            U high, low;
            __device__ Wide times(Wide o) const {
                U a = low >> 32, b = low & 0xffffffffULL, c = o.low >> 32, d = o.low & 0xffffffffULL;
                U middle = (b * d >> 32) + (a * d & 0xffffffffULL) + b * c;
                Wide product = {a * c + (a * d >> 32) + (middle >> 32) + high * o.low + low * o.high, low * o.low};
                return product;
            }
            __device__ Wide plus(Wide o) const {
                Wide sum = {high + o.high + (low + o.low < low), low + o.low};
                return sum;
            }
        };
        Wide multiplier = {2549297995355413924ULL, 4865540595714422341ULL}, increment = {step_high, step_low};
        Wide product = {0, 1}, sum = {0, 0}, one = {0, 1}, state = {high, low};
        for (U left = (U)i + 1; left; left >>= 1) {
            if (left & 1) {
                product = product.times(multiplier);
                sum = sum.times(multiplier).plus(increment);
            }
            increment = multiplier.plus(one).times(increment);
            multiplier = multiplier.times(multiplier);
        }
        state = product.times(state).plus(sum);
        U mixed = state.high ^ state.low, turn = state.high >> 58;
        mixed = mixed >> turn | mixed << (64 - turn & 63);
        keep = (mixed >> 11) * (1.0 / 9007199254740992.0) >= rate;
        """,
    ),
}

TILE = 16  # of a product: one block computes TILE × TILE entries, one thread each
PARTS = 16  # blocks that share out each of the energies
SUMMED_ROWS = 8  # threads along the rows of a column sum, 32 along its columns

PRODUCT = """
__shared__ Cell left[16][17], right[16][17];
Int i = (Int)blockIdx.y * 16 + threadIdx.y, j = (Int)blockIdx.x * 16 + threadIdx.x;
T sum = 0;
for (Int start = 0; start < inner; start += 16) {
    Int k = start + threadIdx.x;
    left[threadIdx.y][threadIdx.x] = i < rows && k < inner ? LEFT : (T)0;
    k = start + threadIdx.y;
    right[threadIdx.y][threadIdx.x] = j < columns && k < inner ? RIGHT : (T)0;
    __syncthreads();
    for (int t = 0; t < 16; t++) sum += left[threadIdx.y][t] * right[t][threadIdx.x];
    __syncthreads();
}
if (i < rows && j < columns) { STORE }
"""


BLOCKS = {
    "dense_layer": ProductText(
        "In x, In w, In b, Out y, Int rows, Int columns, Int inner, Int active",
        "x[i * inner + k]",
        "w[k * columns + j]",
        "T s = sum + b[j]; y[i * columns + j] = active && s <= 0 ? (T)0 : s;",
    ),
    "dense_layer_dx": ProductText(
        "In dy, In y, In w, Out dx, Int rows, Int columns, Int inner, Int active",
        "(!active || y[i * inner + k] > 0 ? dy[i * inner + k] : (T)0)",
        "w[j * inner + k]",
        "dx[i * columns + j] = sum;",
    ),
    "dense_layer_dw": ProductText(  # row 0 is db: its x is 1
        "In x, In dy, In y, Out dw, Out db, Int rows, Int columns, Int inner, Int active",
        "(i == 0 ? (T)1 : x[k * (rows - 1) + i - 1])",
        "(!active || y[k * columns + j] > 0 ? dy[k * columns + j] : (T)0)",
        "if (i == 0) db[j] = sum; else dw[(i - 1) * columns + j] = sum;",
    ),
    "column_sums": BlockText(
        "In x, In y, In mean, double slope, double factor, Out sums, Int rows, Int columns, Int kind",
        """
        __shared__ Cell part[8][32];
        Int c = (Int)blockIdx.x * 32 + threadIdx.x;
        T sum = 0;
        if (c < columns) {
            for (Int r = (Int)blockIdx.y * 8 + threadIdx.y; r < rows; r += (Int)gridDim.y * 8) {
                T value = x[r * columns + c];
                if (kind > 0) value = value > 0 ? value : (T)slope * value;
                if (kind > 1) value -= mean[c];
                if (kind == 2) value *= value;
                if (kind == 3) value *= y[r * columns + c];
                sum += value;
            }
        }
        part[threadIdx.y][threadIdx.x] = sum;
        __syncthreads();
        for (int half = 4; half > 0; half /= 2) {
            if (threadIdx.y < half) part[threadIdx.y][threadIdx.x] += part[threadIdx.y + half][threadIdx.x];
            __syncthreads();
        }
        if (threadIdx.y == 0 && c < columns) sums[blockIdx.y * columns + c] = part[0][threadIdx.x] * (T)factor;
        """,
    ),
}


def energies_text(differences: tuple[bool, ...]) -> BlockText:
    """Partial sums of (x − y − shift)² for so many arrays x; there is a y where `differences` says so."""
    terms = range(len(differences))
    parameters = [f"In x{t}, " + (f"In y{t}, " if differences[t] else "") + f"Int n{t}, double shift{t}" for t in terms]
    loops = [
        f"""if (blockIdx.y == {t}) for (Int i = start; i < n{t}; i += step) {{
            T d = x{t}[i]{f" - y{t}[i]" * differences[t]} - (T)shift{t};
            sum += d * d;
        }}"""
        for t in terms
    ]
    return BlockText(
        ", ".join(["Out parts", *parameters]),
        f"""
        __shared__ Cell part[256];
        Int start = (Int)blockIdx.x * blockDim.x + threadIdx.x, step = (Int)gridDim.x * blockDim.x;
        T sum = 0;
        {" ".join(loops)}
        part[threadIdx.x] = sum;
        __syncthreads();
        for (int half = 128; half > 0; half /= 2) {{
            if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
            __syncthreads();
        }}
        if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = part[0];
        """,
    )


SHAPES_OF_TERMS = {  # of the norm r = √E and α: the value, and half of what (x − y) dl is multiplied by
    "square": ("energy", "(T)1"),
    "root": ("root", "(root > 0 ? (T)0.5 / root : (T)0)"),
    "gap-square": ("(root - alpha) * (root - alpha)", "(root > 0 ? (root - alpha) / root : (T)0)"),
    "gap-size": (
        "(root >= alpha ? root - alpha : alpha - root)",
        "(root > 0 ? (T)0.5 * ((root > alpha) - (root < alpha)) / root : (T)0)",
    ),
}


def norm_terms_text(kinds: tuple[str, ...], groups: tuple[int, ...], parts: int) -> KernelText:
    """One thread: values of groups of terms, the weighted sum of all, and each term's coefficient."""
    terms = [
        f"""{{
            T energy = 0, alpha = alpha{t};
            for (int p = 0; p < {parts}; p++) energy += parts[{t * parts} + p];
            T root = sqrt(energy);
            T value = {SHAPES_OF_TERMS[kind][0]} * scale{t};
            values[{group}] += value;
            whole += weight{t} * value;
            coefficients[{t}] = 2 * weight{t} * scale{t} * {SHAPES_OF_TERMS[kind][1]};
        }}"""
        for t, (kind, group) in enumerate(zip(kinds, groups, strict=True))
    ]
    zeros = "".join(f"values[{group}] = 0; " for group in sorted(set(groups)))
    scalars = ", ".join(f"T alpha{t}, T scale{t}, T weight{t}" for t in range(len(kinds)))
    body = f"T whole = 0; {zeros}\n" + "\n".join(terms) + "\ntotal = whole;"
    return KernelText(f"raw T parts, {scalars}", "T total, raw T values, raw T coefficients", body)


def concatenate_text(count: int) -> KernelText:
    """So many arrays, one after the other."""
    inputs = ", ".join(f"raw T x{k}, int64 end{k}" for k in range(count))
    places = [f"i < end{k} ? x{k}[i{f' - end{k - 1}' if k else ''}]" for k in range(count)]
    return KernelText(inputs, "T y", f"y = {' : '.join(places)} : (T)0;")


def indexed_text(name: str, entries: int) -> KernelText:
    """The kernel `name` that computes places in arrays of so many entries: in 32 bits, where they are wide enough."""
    inputs, outputs, body = KERNELS[name]
    return KernelText(inputs, outputs, f"typedef {'int' if entries < 2**31 else 'long long'} Index;{body}")


def _compile_indexed(name: str, entries: int):
    width = 32 if entries < 2**31 else 64
    return compile_kernel(f"{name}_{width}", indexed_text(name, entries))


@cache
def compile_kernel(name: str, text: KernelText | None = None):
    """The kernel `name`; CuPy is imported, and the compiler asked, at its first call."""
    import cupy

    return cupy.ElementwiseKernel(*(text or KERNELS[name]), f"cmir_{name}")


PREAMBLE = "typedef {T} T; typedef {T} Cell; typedef const {T}* In; typedef {T}* Out; typedef long long Int;\n"


def block_text(name: str) -> BlockText:
    """The kernel for blocks `name`."""
    text = BLOCKS[name]
    if not hasattr(text, "left"):
        return text
    body = PRODUCT.replace("LEFT", text.left).replace("RIGHT", text.right).replace("STORE", text.store)
    return BlockText(text.parameters, body)


def block_source(name: str, text: BlockText, dtype: str) -> str:
    """The CUDA source of a kernel for blocks, for "f" or "d"."""
    head = f'extern "C" __global__ void cmir_{name}({text.parameters})'
    return PREAMBLE.format(T={"f": "float", "d": "double"}[dtype]) + f"{head} {{\n{text.body}\n}}"


@cache
def compile_block_kernel(name: str, dtype: str, text: BlockText | None = None):
    """The kernel `name` for arrays of `dtype`, called with (grid, block, arguments)."""
    import cupy

    return cupy.RawKernel(block_source(name, text or block_text(name), dtype), f"cmir_{name}", options=("-std=c++17",))


def supported(*arrays: Array) -> bool:
    """Whether the kernels compute with `arrays`: they are CuPy's, real, and of one dtype."""
    xp = get_xp(*arrays)
    on_a_gpu = xp.__name__ == "cupy" or getattr(xp, "runs_kernels", False)
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
