"""What the kernels of `kernels.py` compute, as C++.

Two kinds: `KERNELS` compute each element by itself, `BLOCKS` let the threads of a block share memory. What a kernel has
to compute stands in the docstring of its function there.
"""

from typing import NamedTuple


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
