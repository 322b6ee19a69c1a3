"""The kernels of a GPU beside NumPy: their own text, compiled as C++ (tests/strict/cpp.py).

Where the arithmetic is the same, so are the bits. Sums are added in another order: those of whole numbers have the same
bits all the same, and those of others differ by rounding.
"""

import inspect
import sys
from types import ModuleType

import numpy as np
import pytest
from strict import cpp

from cmir_ref import kernels
from cmir_ref.backend import GPUUnavailable, library, to_device, to_host
from cmir_ref.ops.batch_norm import batch_norm, batch_norm_backward
from cmir_ref.ops.conv import col2im, conv, conv_backward, im2col
from cmir_ref.ops.fused import (
    NormTerm,
    act_norm,
    act_norm_backward,
    conv_act_norm_pool,
    conv_act_norm_pool_backward,
    conv_max_pool,
    conv_max_pool_backward,
    conv_on_device,
    conv_on_device_backward,
    dense_layer,
    dense_layer_backward,
    gru_on_device,
    gru_on_device_backward,
    max_pool_on_device,
    max_pool_on_device_backward,
    norm_terms,
    norm_terms_backward,
    softmax_rows,
    softmax_rows_backward,
)
from cmir_ref.ops.gru import gru, gru_backward
from cmir_ref.ops.linear import linear, linear_backward
from cmir_ref.ops.max_pool import max_pool, max_pool_backward
from cmir_ref.ops.relu import leaky_relu, leaky_relu_backward, relu, relu_backward
from cmir_ref.ops.softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_backward
from cmir_ref.training.adam import adam, adam_step

DTYPES = ("float32", "float64")
compiler = pytest.mark.skipif(cpp.COMPILER is None, reason="no C++ compiler to compile the kernels' text with")


@pytest.fixture
def in_cpp(monkeypatch):
    """The kernels take NumPy's arrays, and run in C++."""
    cpp.use_for_numpy(monkeypatch)


def drawn(dtype, *shape, seed=0, special=True):
    """Normal numbers, among them zeros of both signs, equal ones, infinities and NaN."""
    x = np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)
    flat = x.reshape(-1)
    if special and flat.size > 12:
        flat[[0, 3, 5]], flat[[1, 4]], flat[7], flat[-1], flat[-2] = 0, -0.0, np.nan, np.inf, -np.inf
        flat[9] = flat[8]
    return x


def whole(dtype, *shape, seed=0):
    """Small whole numbers: a sum of them is exact in any order."""
    return np.random.default_rng([seed, *shape]).integers(-4, 5, shape).astype(dtype)


def assert_bits(found, wanted):
    """The same numbers, signs of zeros and places of NaN."""
    for one, two in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, wanted)), strict=True):
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(np.signbit(one[~np.isnan(one)]), np.signbit(two[~np.isnan(two)]))


def assert_close(found, wanted, times=16):
    """Equal but for `times` roundings of the largest entry."""
    for one, two in zip(*(x if isinstance(x, tuple | list) else (x,) for x in (found, wanted)), strict=True):
        assert one.dtype == two.dtype and one.shape == two.shape
        size = np.abs(two[np.isfinite(two)]).max(initial=1)
        eps = times * np.finfo(one.dtype).eps
        np.testing.assert_allclose(one, two, rtol=eps, atol=eps * size)


# ---- element by element: the twin of each kernel is one expression --------------------------------------------------


def plain_leaky_relu(x, slope):
    return leaky_relu(x, slope)[0]


def plain_act_norm(x, mean, factor, beta, slope):
    return (plain_leaky_relu(x, slope) - mean) * factor + beta


def plain_act_norm_backward(dy, x, mean, factor, along, shift, slope):
    through = dy - shift - (plain_leaky_relu(x, slope) - mean) * along
    return np.where(x > 0, factor, slope * factor) * through


def plain_norm_factors(var, gamma, epsilon):
    scale = 1 / np.sqrt(var + var.dtype.type(epsilon))
    return scale, scale * gamma


def plain_norm_sums(product, upstream, scale, share):
    dgamma = product * scale
    return dgamma, scale * dgamma * share, upstream * share


def plain_biased_relu(s, b, active):
    return relu(s + b)[0] if active else s + b


def plain_scaled_difference(coefficients, place, dl, x, y):
    return coefficients[place] * x.dtype.type(dl) * (x - y)


TWINS = {
    "leaky_relu": plain_leaky_relu,
    "act_norm": plain_act_norm,
    "act_norm_backward": plain_act_norm_backward,
    "norm_factors": plain_norm_factors,
    "norm_sums": plain_norm_sums,
    "biased_relu": plain_biased_relu,
    "scaled_difference": plain_scaled_difference,
}
NUMBERS = {"slope": 0.1, "epsilon": 1e-3, "share": 1 / 7, "active": True, "place": 1, "dl": 0.3}
ALONG_CHANNELS = {"mean", "factor", "beta", "along", "shift", "b", "var", "gamma", "product", "upstream", "scale"}


def launcher(name):
    """The public function that launches kernel `name`."""
    return getattr(kernels, f"{name}_kernel")


def arguments(name, dtype, shape, special=True):
    """What kernel `name` takes, by name: arrays of `shape`, vectors along its last axis, numbers."""
    given = {}
    for k, argument in enumerate(inspect.signature(TWINS[name]).parameters):
        one = (3,) if argument == "coefficients" else shape[-1:] if argument in ALONG_CHANNELS else shape
        given[argument] = drawn(dtype, *one, seed=k, special=special)
    if "var" in given:
        given["var"] = np.abs(np.nan_to_num(given["var"], posinf=1.0))
    return given | {key: NUMBERS[key] for key in given.keys() & NUMBERS.keys()}


@compiler
@pytest.mark.parametrize("shape", [(1,), (13,), (3, 5, 4), (2, 3, 5, 33), (0, 4)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWINS)
def test_a_kernel_gives_the_bits_of_its_twin(in_cpp, name, dtype, shape):
    given = arguments(name, dtype, shape)
    with np.errstate(all="ignore"):
        assert_bits(launcher(name)(**given), TWINS[name](**given))


@compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_that_is_not_rectified_keeps_its_sign(in_cpp, dtype):
    s, b = drawn(dtype, 5, 4), drawn(dtype, 4, seed=1)
    assert_bits(kernels.biased_relu_kernel(s, b, False), s + b)


def step(dtype, decay, size=257, seed=0):
    """(arrays, settings) of a step of Adam."""
    random = np.random.default_rng(seed)
    arrays = {name: random.standard_normal(size).astype(dtype) for name in ("theta", "g", "m", "v")}
    arrays["v"] *= arrays["v"]
    decay = random.random(size).astype(dtype) if decay == "array" else decay
    return arrays, {"decay": decay, "lr": 1e-2, "rate": 3e-3, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}


@compiler
@pytest.mark.parametrize("decay", [0.0, 0.3, "array"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scalars", ["numbers", "arrays"])
def test_the_kernel_of_adam_says_what_its_twin_says(in_cpp, dtype, decay, scalars):
    (found, settings), (wanted, _) = step(dtype, decay), step(dtype, decay)
    there = {k: np.array(v, dtype) for k, v in settings.items()} if scalars == "arrays" else settings
    kernels.adam_step_kernel(**found, **there)
    adam_step(**wanted, **settings)
    untouched, _ = step(dtype, decay)
    np.testing.assert_array_equal(found["g"], untouched["g"])
    for name in ("theta", "m", "v"):
        assert not np.array_equal(found[name], untouched[name])
        assert_bits(found[name], wanted[name])


def test_adam_of_cupy_arrays_is_one_launch(monkeypatch):
    """What arrives at the kernel makes its twin do what NumPy's chunks do."""
    launched = []

    def kernel(g, decay, lr, rate, epsilon, share_m, share_v, theta, m, v):
        launched.append("adam_step")
        settings = {"decay": decay, "lr": lr, "rate": rate, "epsilon": epsilon, "share_m": share_m, "share_v": share_v}
        adam_step(theta, g, m, v, **settings)

    monkeypatch.setattr(kernels, "compile_kernel", lambda name: kernel)
    (found, settings), (wanted, _) = step("float64", "array"), step("float64", "array")
    adam(wanted["theta"], wanted["g"], wanted["m"], wanted["v"], 3, 0.1, decay=settings["decay"])
    library = ModuleType("cupy")
    library.sqrt = np.sqrt
    monkeypatch.setattr("cmir_ref.training.adam.get_xp", lambda *_: library)
    adam(found["theta"], found["g"], found["m"], found["v"], 3, 0.1, decay=settings["decay"])
    assert launched == ["adam_step"]
    for name in ("theta", "m", "v"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-14)


@compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(5,), (1, 1), (3, 0, 40), tuple(range(1, 31))], ids=len)
def test_arrays_one_after_the_other(in_cpp, dtype, sizes):
    arrays = [drawn(dtype, size, seed=size) for size in sizes]
    arrays[0] = np.stack([arrays[0]] * 2, axis=1)[:, 1]  # a view with gaps
    assert_bits(kernels.concatenate_kernel(arrays), np.concatenate(arrays))


@compiler
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", [(0, 1, 2), (2**32 - 1, 7, 65)], ids=str)
def test_masks_of_a_device_are_the_generator_s_of_the_host(in_cpp, seed, rate):
    """Bit for bit, from any place of the stream on."""
    rng = np.random.default_rng(seed)
    for shape in ((1,), (64, 128), (3001,)):
        state = rng.bit_generator.state["state"]
        keep = np.empty(shape, bool)
        kernels.keep_mask_kernel(state["state"], state["inc"], rate, keep)
        np.testing.assert_array_equal(keep, rng.random(shape) >= rate)


# ---- convolution and pooling ---------------------------------------------------------------------------------------

IMAGES = [(1, 1, 1, 1), (2, 5, 7, 3), (1, 8, 4, 33), (3, 2, 9, 2), (0, 4, 4, 2)]


@compiler
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("shape", IMAGES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("entries", ["few", "many"])
def test_columns_and_back(in_cpp, monkeypatch, dtype, shape, k, entries):
    if entries == "many":  # the places in 64 bits
        text = kernels.indexed_text
        monkeypatch.setattr(kernels, "indexed_text", lambda name, entries: text(name, 2**31))
    x = drawn(dtype, *shape)
    assert_bits(kernels.im2col_kernel(x, k), im2col(x, k))
    columns = drawn(dtype, shape[0] * shape[1] * shape[2], k * k * shape[3], special=False)
    assert_bits(kernels.col2im_kernel(columns, shape, k), np.ascontiguousarray(col2im(columns, shape, k)))


@compiler
@pytest.mark.parametrize("f", [1, 2, 3, 4, 17])
@pytest.mark.parametrize("shape", [*IMAGES, (2, 34, 17, 2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_pools_with_ties_and_windows_left_over(in_cpp, dtype, shape, f):
    for x in (drawn(dtype, *shape), whole(dtype, *shape) // 3):
        (y, cache), (wanted, plain) = max_pool_on_device(x, f), max_pool(x, f)
        assert_bits(y, wanted)
        np.testing.assert_array_equal(cache.winner, plain.winner)
        assert cache.winner.dtype == plain.winner.dtype
        dy = drawn(dtype, *y.shape)
        assert_bits(max_pool_on_device_backward(dy, cache), max_pool_backward(dy, plain))


@compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_convolution_is_the_plain_one(in_cpp, dtype):
    x, w, b, dy = (whole(dtype, *shape) for shape in ((3, 6, 5, 4), (3, 3, 4, 7), (7,), (3, 6, 5, 7)))
    (y, cache), (wanted, plain) = conv_on_device(x, w, b), conv(x, w, b)
    assert_bits(y + 0, wanted + 0)
    for needed in (True, False):
        found = conv_on_device_backward(dy, cache, input_gradient=needed)
        for one, two in zip(found, conv_backward(dy, plain, input_gradient=needed), strict=True):
            assert (two is None and one is None) or np.array_equal(one, two)


# ---- layers, losses and sums ---------------------------------------------------------------------------------------

LAYERS = [(1, 1, 1), (2, 3, 5), (16, 16, 16), (17, 15, 33), (64, 10, 40), (0, 3, 4)]


@compiler
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("n, c, d", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_of_whole_numbers_has_the_same_bits(in_cpp, dtype, n, c, d, active):
    x, w, b, dy = whole(dtype, n, c), whole(dtype, c, d, seed=1), whole(dtype, d, seed=2), whole(dtype, n, d, seed=3)
    y, cache = dense_layer(x, w, b, active=active)
    s, linear_cache = linear(x, w, b)
    wanted, relu_cache = relu(s)
    assert np.array_equal(y, wanted if active else s) and y.dtype == x.dtype
    through = relu_backward(dy, relu_cache) if active else dy
    for needed in (True, False):
        found = dense_layer_backward(dy, cache, input_gradient=needed)
        for one, two in zip(found, linear_backward(through, linear_cache, input_gradient=needed), strict=True):
            assert (two is None and one is None) or (np.array_equal(one, two) and one.dtype == two.dtype)


@compiler
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_of_any_numbers_is_the_plain_one(in_cpp, monkeypatch, dtype, small, active):
    monkeypatch.setattr(sys.modules["cmir_ref.ops.fused.dense_layer"], "SMALL_PRODUCT", 2**24 if small else 0)
    x, w, b, dy = (drawn(dtype, *shape, special=False) for shape in ((37, 21), (21, 18), (18,), (37, 18)))
    w = np.asfortranarray(w)
    y, cache = dense_layer(x, w, b, active=active)
    s, linear_cache = linear(x, w, b)
    wanted, relu_cache = relu(s) if active else (s, None)
    assert_close(y, wanted)
    dy[0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        through = relu_backward(dy, relu_cache) if active else dy
        assert_close(dense_layer_backward(dy, cache), linear_backward(through, linear_cache), 64)


@compiler
@pytest.mark.parametrize("n, c", [(1, 1), (7, 3), (100, 32), (65, 33), (700, 40), (0, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_column_sums_of_whole_numbers_have_the_same_bits(in_cpp, dtype, n, c):
    x, y, mean = whole(dtype, n, c), whole(dtype, n, c, seed=1), whole(dtype, c, seed=2)
    a = leaky_relu(x, 2.0)[0]
    given = {"y": y, "mean": mean, "slope": 2.0, "factor": 0.5}
    for kind, wanted in {
        kernels.SUM: x,
        kernels.SUM_OF_ACT: a,
        kernels.SUM_OF_SQUARES: (a - mean) ** 2,
        kernels.SUM_OF_PRODUCTS: (a - mean) * y,
    }.items():
        found = kernels.column_sum_kernel(x.reshape(-1, 1, c), kind, **given)
        assert found.dtype == x.dtype and np.array_equal(found, wanted.sum(axis=0) / 2)


@compiler
def test_column_sums_of_a_million_float32_stay_accurate(in_cpp):
    x = np.random.default_rng(0).random((2**18, 4)).astype("float32")
    np.testing.assert_allclose(kernels.column_sum_kernel(x), x.sum(axis=0, dtype=float), rtol=2e-6)


@compiler
@pytest.mark.parametrize("n, k", [(1, 1), (5, 4), (33, 21)])
@pytest.mark.parametrize("kind", ["integer", "one-hot", "multi-hot", "weights"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_cross_entropy_is_the_plain_one(in_cpp, dtype, kind, n, k, reduction):
    rng = np.random.default_rng(0)
    u = (40 * drawn(dtype, n, k, special=False)).astype(dtype)
    targets = {
        "integer": rng.integers(0, k, n),
        "one-hot": np.eye(k, dtype="uint8")[rng.integers(0, k, n)],
        "multi-hot": (rng.random((n, k)) < 0.4).astype("uint8"),  # some rows have no label
        "weights": rng.random((n, k)).astype(dtype),
    }[kind]
    loss, cache = softmax_rows(u, targets, reduction=reduction)
    wanted, plain = softmax_cross_entropy(u, targets, reduction=reduction)
    assert_close(loss, wanted, 64)
    assert_close(softmax_rows_backward(0.7, cache), softmax_cross_entropy_backward(0.7, plain), 64)


@compiler
def test_a_logit_that_is_not_a_number_is_not_hidden(in_cpp):
    u = drawn("float64", 3, 4, special=False)
    u[1, 2] = np.nan
    loss, cache = softmax_rows(u, np.array([0, 1, 2]))
    assert np.isnan(loss) and np.isnan(cache.du[1]).all() and np.isfinite(cache.du[[0, 2]]).all()


@compiler
@pytest.mark.parametrize("n, t, c, d", [(1, 1, 1, 1), (4, 5, 3, 2), (7, 12, 5, 6)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_recurrent_unit_is_the_plain_one(in_cpp, dtype, reverse, n, t, c, d):
    rng = np.random.default_rng([n, t])
    lengths, dy = rng.integers(0, t + 1, n), drawn(dtype, n, t, d, special=False)
    x, w, u, b = (drawn(dtype, *shape, special=False) for shape in ((n, t, c), (c, 3 * d), (d, 3 * d), (3 * d,)))
    y, cache = gru_on_device(x, w, u, b, lengths=lengths, reverse=reverse)
    wanted, plain = gru(x, w, u, b, lengths=lengths, reverse=reverse)
    assert_close(y, wanted, 64)
    assert_close(gru_on_device_backward(dy, cache), gru_backward(dy, plain), 256)


KINDS = ("square", "root", "gap-square", "gap-size")


def terms_of(dtype, whole_numbers):
    """Terms of every kind, of odd sizes, at the kinks as well."""
    make = whole if whole_numbers else drawn
    settings = {} if whole_numbers else {"special": False}
    terms = []
    for k, kind in enumerate(KINDS):
        for n, y in ((1, 0.0), (300, 1.0), (37, "array")):
            x = make(dtype, n, 3, seed=k, **settings)
            y = make(dtype, n, 3, seed=k + 9, **settings) if y == "array" else y
            terms.append(NormTerm(f"group {k % 3}", x, y, kind, alpha=0.5, scale=0.25, weight=1.5 + k))
    return [*terms, NormTerm("zero", np.zeros((4, 4), dtype), kind="root"), NormTerm("zero", terms[0].x, terms[0].x)]


@compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("whole_numbers", [True, False])
def test_norms_all_at_once(in_cpp, monkeypatch, dtype, whole_numbers):
    terms = terms_of(dtype, whole_numbers)
    total, cache = norm_terms(terms)
    gradients = norm_terms_backward(0.7, cache)
    energies = kernels.energies_kernel([(terms[0].x, None, 0.0), (terms[1].x, None, 1.0), (terms[2].x, terms[2].y, 0)])
    if whole_numbers:
        wanted = [((t.x - t.y) ** 2).sum() for t in terms[:3]]
        np.testing.assert_array_equal(energies.sum(axis=1), wanted)
    monkeypatch.setattr(kernels, "supported", lambda *arrays: False)
    wanted, plain = norm_terms(terms)
    assert cache.values.keys() == plain.values.keys()
    wanted = [np.asarray(v) for v in (wanted, *plain.values.values())]
    assert_close([total, *cache.values.values()], wanted, 32)
    assert_close(gradients, norm_terms_backward(0.7, plain), 32)
    assert not gradients[-2].any() and not gradients[-1].any()


# ---- leaky ReLU and batch normalisation ----------------------------------------------------------------------------


@compiler
@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
@pytest.mark.parametrize("slope", [0.1, 0.0, -0.5])
def test_the_way_of_the_kernels_is_the_plain_composition(in_cpp, mode, slope):
    random = np.random.default_rng(0)
    x, dy = random.standard_normal((2, 3, 4, 6, 5))
    vectors = random.random((4, 5)) + 0.5
    y, cache = act_norm(x, *vectors, slope=slope, mode=mode)
    assert type(cache).__name__ == "ActNormKernelCache"
    a, act_cache = leaky_relu(x, slope)
    wanted, norm_cache = batch_norm(a, *vectors, mode=mode)
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([cache.mean, cache.var], [norm_cache.mean, norm_cache.var], rtol=1e-12)
    da, *sums = batch_norm_backward(dy, norm_cache)
    for one, two in zip(act_norm_backward(dy, cache), (leaky_relu_backward(da, act_cache), *sums), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-12)


@compiler
@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
def test_blocks_take_the_same_way(in_cpp, monkeypatch, mode):
    """Of the paper's order, of the released one: kernels beside the plain composition."""
    random = np.random.default_rng(0)
    x, w, b = random.standard_normal((2, 4, 6, 3)), random.standard_normal((3, 3, 3, 5)), random.standard_normal(5)
    vectors, dy = random.random((4, 5)) + 0.5, random.standard_normal((2, 2, 3, 5))
    for module in ("conv_max_pool", "conv_act_norm_pool"):
        monkeypatch.setattr(sys.modules[f"cmir_ref.ops.fused.{module}"], "can_tile", lambda *args: False)
    taken = kernels.supported
    results = []
    for supported in (taken, lambda *arrays: False):
        monkeypatch.setattr(kernels, "supported", supported)
        y, cache = conv_act_norm_pool(x, w, b, *vectors, factor=2, mode=mode)
        released = (y, cache.mean, cache.var, *conv_act_norm_pool_backward(dy, cache))
        y, cache = conv_max_pool(x, w, b, 2)
        results.append((*released, y, *conv_max_pool_backward(dy, cache)))
    for by_kernels, plain in zip(*results, strict=True):
        np.testing.assert_allclose(by_kernels, plain, rtol=1e-11, atol=1e-12)


def test_an_unknown_form_is_refused(in_cpp):
    with pytest.raises(ValueError, match="mode is 'other'"):
        act_norm(np.ones((2, 3)), *np.ones((2, 3)), mode="other")


# ---- what all kernels have in common -------------------------------------------------------------------------------


def test_which_arrays_kernels_support():
    class Array:
        def __init__(self, dtype, library="cupy"):
            self.dtype, self.library = np.dtype(dtype), ModuleType(library)

        def __array_namespace__(self):
            return LIBRARIES.setdefault(self.library.__name__, self.library)

    LIBRARIES = {}
    single, double, halves = Array("float32"), Array("float64"), Array("float16")
    assert kernels.supported(single, single) and kernels.supported(double)
    for others in ([single, double], [halves], [Array("complex128")]):
        assert not kernels.supported(*others)
    assert not kernels.supported(Array("float32", "elsewhere")) and not kernels.supported(np.ones(2))


def test_every_kernel_is_compared_with_numpy():
    text = inspect.getsource(sys.modules[__name__])
    launchers = [name for name in vars(kernels) if name.endswith("_kernel") and not name.startswith(("_", "compile"))]
    assert len(launchers) > 15
    by_pair = {"dense_layer_backward": "dense_layer_backward(", "max_pool_backward": "max_pool_on_device_backward(",
               "dense_layer": "dense_layer(", "max_pool": "max_pool_on_device(", "softmax_rows": "softmax_rows(",
               "norm_terms": "norm_terms(", "gru_step": "gru_on_device(",
               "gru_step_backward": "gru_on_device_backward("}  # fmt: skip
    for name in (name.removesuffix("_kernel") for name in launchers):
        assert name in TWINS or f"kernels.{name}_kernel(" in text or by_pair[name] in text, name


# ---- the machine that the texts run on -----------------------------------------------------------------------------

SHARED = "__shared__ Cell s[8]; "
RACES = [
    ("race .read after write. of total", "total[0] += x[threadIdx.x];"),
    ("race .two writes. of total", "total[threadIdx.x] = x[threadIdx.x];"),  # by two blocks
    ("race .read after write. of shared", SHARED + "s[threadIdx.x] = 1; T t = s[threadIdx.x ? threadIdx.x - 1 : 0];"),
    (
        "race .write after read. of shared",
        SHARED
        + """s[threadIdx.x] = 1; __syncthreads();
        T t = s[threadIdx.x < 7 ? threadIdx.x + 1 : 7]; s[threadIdx.x] = t;""",
    ),
    ("read before any write of shared", SHARED + "s[threadIdx.x] = 1; T t = s[7 - threadIdx.x];"),
    ("out of bounds of x at 8", "T t = x[threadIdx.x + 1];"),
    ("out of bounds of total at -1", "total[(Int)threadIdx.x - 1] = 0;"),
    ("a barrier that some threads never reach", "if (threadIdx.x < 4) __syncthreads();"),
]


@compiler
@pytest.mark.parametrize("what, body", RACES, ids=[what for what, _ in RACES])
def test_what_a_gpu_leaves_undefined_is_an_error(what, body):
    x, total = np.arange(8.0), np.zeros(8)
    with pytest.raises(cpp.KernelError, match=what):
        cpp.block("In x, Out total", body, "wrong", "d")((2, 1), (8, 1), (x, total))


@compiler
def test_threads_meet_at_a_barrier():
    body = """__shared__ Cell s[8]; s[threadIdx.x] = x[blockIdx.x * 8 + threadIdx.x]; __syncthreads();
    total[blockIdx.x * 8 + threadIdx.x] = s[7 - threadIdx.x];"""
    x, total = np.arange(24.0), np.zeros(24)
    cpp.block("In x, Out total", body, "turn", "d")((3, 1), (8, 1), (x, total))
    np.testing.assert_array_equal(total, x.reshape(3, 8)[:, ::-1].ravel())


# ---- on a GPU ------------------------------------------------------------------------------------------------------


def cupy_or_skip():
    try:
        return library("cuda")
    except GPUUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.gpu
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernels_of_elements_on_a_gpu(name, dtype):
    xp, given = cupy_or_skip(), arguments(name, dtype, (3, 5, 4), special=False)
    there = {key: to_device(value, xp) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    found = launcher(name)(**there)
    found = tuple(map(to_host, found)) if isinstance(found, tuple) else to_host(found)
    assert_close(found, TWINS[name](**given))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_adam_on_a_gpu(dtype):
    xp = cupy_or_skip()
    (found, settings), (wanted, _) = step(dtype, "array"), step(dtype, "array")
    there = {name: to_device(array, xp) for name, array in found.items()}
    kernels.adam_step_kernel(**there, **settings | {"decay": to_device(settings["decay"], xp)})
    adam_step(**wanted, **settings)
    for name in ("theta", "m", "v"):
        assert_close(to_host(there[name]), wanted[name])


@pytest.mark.gpu
def test_masks_on_a_gpu():
    xp, rng = cupy_or_skip(), np.random.default_rng([3, 1, 4])
    state, keep = rng.bit_generator.state["state"], xp.empty((64, 1000), dtype=bool)
    kernels.keep_mask_kernel(state["state"], state["inc"], 0.3, keep)
    np.testing.assert_array_equal(to_host(keep), rng.random((64, 1000)) >= 0.3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_of_threads_on_a_gpu(dtype):
    """Whole numbers: what is added in any order has the same bits."""
    xp = cupy_or_skip()
    x, w, b, dy = (whole(dtype, *shape) for shape in ((70, 45), (45, 33), (33,), (70, 33)))
    y, cache = dense_layer(*(to_device(part, xp) for part in (x, w, b)), active=True)
    wanted, plain = dense_layer(x, w, b, active=True)
    np.testing.assert_array_equal(to_host(y), wanted)
    found = dense_layer_backward(to_device(dy, xp), cache)
    for one, two in zip(found, dense_layer_backward(dy, plain), strict=True):
        np.testing.assert_array_equal(to_host(one), two)
    rows = whole(dtype, 5000, 40)
    np.testing.assert_array_equal(to_host(kernels.column_sum_kernel(to_device(rows, xp))), rows.sum(axis=0))
    terms = terms_of(dtype, True)
    there = [t._replace(x=to_device(t.x, xp), y=to_device(t.y, xp) if np.ndim(t.y) else t.y) for t in terms]
    (total, cache), (wanted, plain) = norm_terms(there), norm_terms(terms)
    assert_close(to_host(total), np.asarray(wanted), 32)
    gradients = [to_host(dx) for dx in norm_terms_backward(0.7, cache)]
    assert_close(gradients, norm_terms_backward(0.7, plain), 32)
