"""Kernels beside their plain twins: the twins against the operations, the text of the kernels by a C++ compiler."""

import ctypes
import inspect
import re
import shutil
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from cmir_ref import kernels
from cmir_ref.backend import GPUUnavailable, library, to_device, to_host
from cmir_ref.ops.batch_norm import batch_norm, batch_norm_backward
from cmir_ref.ops.fused import act_norm, act_norm_backward, conv_act_norm_pool, conv_act_norm_pool_backward
from cmir_ref.ops.relu import leaky_relu, leaky_relu_backward
from cmir_ref.training.adam import adam, adam_step

conv_act_norm_pool_module = sys.modules["cmir_ref.ops.fused.conv_act_norm_pool"]
C_TYPES = {"float32": ("float", ctypes.c_float), "float64": ("double", ctypes.c_double)}


@pytest.fixture(scope="module")
def on_the_host(tmp_path_factory):
    """`on_the_host(name, dtype)`: the kernel as a loop in C++, called with inputs and outputs as CuPy's is."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the kernels' text with")
    folder = tmp_path_factory.mktemp("kernels")

    def build(name, dtype):
        ctype, scalar = C_TYPES[dtype]
        source = kernels.KERNELS[name]
        names = re.findall(r"T (\w+)", f"{source.inputs}, {source.outputs}")
        arguments = ", ".join(f"T* {n}_, long {n}_step" for n in names)
        views = " ".join(f"T& {n} = {n}_[i * {n}_step];" for n in names)
        text = f"""#include <cmath>
        using namespace std; typedef {ctype} T;
        extern "C" void run(long size, {arguments}) {{ for (long i = 0; i < size; i++) {{ {views} {source.body} }} }}"""
        (folder / f"{name}.cpp").write_text(text)
        library = folder / f"{name}_{dtype}.so"
        command = ["g++", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", library, folder / f"{name}.cpp"]
        subprocess.run(command, check=True)
        run = ctypes.CDLL(str(library)).run

        def kernel(*values):
            size, passed = max(np.size(v) for v in values), []
            for value in values:
                array = value if isinstance(value, np.ndarray) else np.array([value], dtype)
                assert array.dtype == dtype and array.flags.c_contiguous and array.size in (1, size)
                passed.append(array)
            run(
                ctypes.c_long(size),
                *(x for a in passed for x in (a.ctypes.data_as(ctypes.POINTER(scalar)), ctypes.c_long(a.size > 1))),
            )

        return kernel

    return build


def step(dtype, decay, seed=0):
    """(arrays, settings) of a step of Adam."""
    random = np.random.default_rng(seed)
    arrays = {name: random.standard_normal(257).astype(dtype) for name in ("theta", "g", "m", "v")}
    arrays["v"] *= arrays["v"]
    decay = random.random(257).astype(dtype) if decay == "array" else decay
    return arrays, {"decay": decay, "lr": 1e-2, "rate": 3e-3, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}


@pytest.mark.parametrize("decay", [0.0, 0.3, "array"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_of_adam_says_what_its_twin_says(on_the_host, monkeypatch, dtype, decay):
    compiled = on_the_host("adam_step", dtype)
    monkeypatch.setattr(kernels, "compile_kernel", lambda name: compiled)
    (found, settings), (wanted, _) = step(dtype, decay), step(dtype, decay)
    kernels.adam_step_kernel(**found, **settings)
    adam_step(**wanted, **settings)
    untouched, _ = step(dtype, decay)
    np.testing.assert_array_equal(found["g"], untouched["g"])
    for name in ("theta", "m", "v"):
        assert not np.array_equal(found[name], untouched[name])
        np.testing.assert_allclose(found[name], wanted[name], rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


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


# ---- leaky ReLU and batch normalisation ----------------------------------------------------------------------------

CHANNELS = {  # what broadcasts along the last axis
    "leaky_relu": (),
    "act_norm": ("mean", "factor", "beta"),
    "act_norm_backward": ("mean", "factor", "along", "shift"),
}


def plain_leaky_relu(x, slope):
    return leaky_relu(x, slope)[0]


def plain_act_norm(x, mean, factor, beta, slope):
    return (plain_leaky_relu(x, slope) - mean) * factor + beta


def plain_act_norm_backward(dy, x, mean, factor, along, shift, slope):
    through = dy - shift - (plain_leaky_relu(x, slope) - mean) * along
    return np.where(x > 0, factor, slope * factor) * through


PLAIN = {
    "adam_step": adam_step,
    "leaky_relu": plain_leaky_relu,
    "act_norm": plain_act_norm,
    "act_norm_backward": plain_act_norm_backward,
}


def launcher(name):
    """The public function that launches kernel `name`."""
    return getattr(kernels, f"{name}_kernel")


def arguments(name, dtype):
    """Arrays (3, 5, 4) and vectors (4,) for kernel `name`, by name; x is 0 in a place."""
    random, found = np.random.default_rng(0), {}
    for argument in inspect.signature(launcher(name)).parameters:
        shape = (4,) if argument in CHANNELS[name] else (3, 5, 4)
        found[argument] = random.standard_normal(shape).astype(dtype)
    found["x"][0, 0, 0] = 0
    return found | {"slope": 0.1}


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernels_of_a_block_say_what_their_twins_say(on_the_host, monkeypatch, name, dtype):
    run = on_the_host(name, dtype)

    def kernel(*values):
        full = [np.ascontiguousarray(np.broadcast_to(v, (3, 5, 4))) if isinstance(v, np.ndarray) else v for v in values]
        out = np.empty((3, 5, 4), dtype)
        run(*full, out)
        return out

    monkeypatch.setattr(kernels, "compile_kernel", lambda name: kernel)
    given = arguments(name, dtype)
    wanted = PLAIN[name](**given)
    assert wanted.dtype == dtype
    eps = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(launcher(name)(**given), wanted, rtol=eps, atol=eps)


@pytest.fixture
def by_twins(monkeypatch):
    """NumPy arrays take the way of CuPy's, with the twins in place of the kernels."""
    monkeypatch.setattr(kernels, "supported", lambda *arrays: True)
    for name in CHANNELS:
        monkeypatch.setattr(kernels, f"{name}_kernel", PLAIN[name])


@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
@pytest.mark.parametrize("slope", [0.1, 0.0, -0.5])
def test_the_way_of_the_kernels_is_the_plain_composition(by_twins, mode, slope):
    random = np.random.default_rng(0)
    x, dy = random.standard_normal((2, 3, 4, 6, 5))
    vectors = random.random((4, 5)) + 0.5
    y, cache = act_norm(x, *vectors, slope=slope, mode=mode)
    a, act_cache = leaky_relu(x, slope)
    wanted, norm_cache = batch_norm(a, *vectors, mode=mode)
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([cache.mean, cache.var], [norm_cache.mean, norm_cache.var], rtol=1e-12)
    da, *sums = batch_norm_backward(dy, norm_cache)
    for one, two in zip(act_norm_backward(dy, cache), (leaky_relu_backward(da, act_cache), *sums), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mode", ["train", "inference", "frozen"])
def test_a_released_block_takes_the_same_way(monkeypatch, mode):
    random = np.random.default_rng(0)
    x, w, b = random.standard_normal((2, 4, 6, 3)), random.standard_normal((3, 3, 3, 5)), random.standard_normal(5)
    vectors, dy = random.random((4, 5)) + 0.5, random.standard_normal((2, 2, 3, 5))
    results = []
    for taken in (False, True):
        monkeypatch.setattr(conv_act_norm_pool_module, "can_tile", lambda *args: False)
        monkeypatch.setattr(kernels, "supported", lambda *arrays, taken=taken: taken)
        for name in CHANNELS:
            monkeypatch.setattr(kernels, f"{name}_kernel", PLAIN[name])
        y, cache = conv_act_norm_pool(x, w, b, *vectors, factor=2, mode=mode)
        results.append((y, cache.mean, cache.var, *conv_act_norm_pool_backward(dy, cache)))
    for plain, by_kernels in zip(*results, strict=True):
        np.testing.assert_allclose(by_kernels, plain, rtol=1e-11, atol=1e-12)


def test_an_unknown_form_is_refused(by_twins):
    with pytest.raises(ValueError, match="mode is 'other'"):
        act_norm(np.ones((2, 3)), *np.ones((2, 3)), mode="other")


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


def test_every_kernel_has_its_twin():
    assert PLAIN.keys() == kernels.KERNELS.keys()
    for name, plain in PLAIN.items():
        assert list(inspect.signature(launcher(name)).parameters) == list(inspect.signature(plain).parameters)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernels_of_a_block_on_a_gpu(name, dtype):
    try:
        xp = library("cuda")
    except GPUUnavailable as error:
        pytest.skip(str(error))
    given = arguments(name, dtype)
    there = {key: to_device(value, xp) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    eps = 16 * np.finfo(dtype).eps
    wanted = PLAIN[name](**given)
    np.testing.assert_allclose(to_host(launcher(name)(**there)), wanted, rtol=eps, atol=eps)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_on_a_gpu(dtype):
    try:
        xp = library("cuda")
    except GPUUnavailable as error:
        pytest.skip(str(error))
    (found, settings), (wanted, _) = step(dtype, "array"), step(dtype, "array")
    there = {name: to_device(array, xp) for name, array in found.items()}
    kernels.adam_step_kernel(**there, **settings | {"decay": to_device(settings["decay"], xp)})
    adam_step(**wanted, **settings)
    for name in ("theta", "m", "v"):
        tolerance = 16 * np.finfo(dtype).eps
        np.testing.assert_allclose(to_host(there[name]), wanted[name], rtol=tolerance, atol=tolerance)
