"""Kernels beside their plain twins: the twins against the operations, the kernels' own text by a C++ compiler."""

import ctypes
import math
import re
import shutil
import subprocess
from types import ModuleType

import numpy as np
import pytest

from cmir_ref import kernels
from cmir_ref.backend import GPUUnavailable, library, to_device, to_host
from cmir_ref.training.adam import BETA1, BETA2, EPSILON, adam

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
    monkeypatch.setattr(kernels, "compiled", lambda name: compiled)
    (found, settings), (wanted, _) = step(dtype, decay), step(dtype, decay)
    kernels.adam_step(**found, **settings)
    kernels.adam_step_plain(**wanted, **settings)
    untouched, _ = step(dtype, decay)
    np.testing.assert_array_equal(found["g"], untouched["g"])
    for name in ("theta", "m", "v"):
        assert not np.array_equal(found[name], untouched[name])
        np.testing.assert_allclose(found[name], wanted[name], rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("decay", [0.0, "array"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_twin_is_adam(dtype, decay):
    (found, _), (wanted, settings) = step(dtype, decay), step(dtype, decay)
    for t in (1, 2, 50):
        rate, root = 1e-2 / (1 - BETA1**t), math.sqrt(1 - BETA2**t)
        kernels.adam_step_plain(
            **found,
            **settings | {"rate": rate * root, "epsilon": EPSILON * root, "share_m": 1 - BETA1, "share_v": 1 - BETA2},
        )
        adam(wanted["theta"], wanted["g"], wanted["m"], wanted["v"], t, 1e-2, decay=settings["decay"])
    for name in ("theta", "m", "v"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=16 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


def test_adam_of_cupy_arrays_is_one_launch(monkeypatch):
    """What arrives at the kernel makes its twin do what NumPy's chunks do."""
    launched = []

    def kernel(g, decay, lr, rate, epsilon, share_m, share_v, theta, m, v):
        launched.append("adam_step")
        settings = {"decay": decay, "lr": lr, "rate": rate, "epsilon": epsilon, "share_m": share_m, "share_v": share_v}
        kernels.adam_step_plain(theta, g, m, v, **settings)

    monkeypatch.setattr(kernels, "compiled", lambda name: kernel)
    (found, settings), (wanted, _) = step("float64", "array"), step("float64", "array")
    adam(wanted["theta"], wanted["g"], wanted["m"], wanted["v"], 3, 0.1, decay=settings["decay"])
    monkeypatch.setattr("cmir_ref.training.adam.get_xp", lambda *_: ModuleType("cupy"))
    adam(found["theta"], found["g"], found["m"], found["v"], 3, 0.1, decay=settings["decay"])
    assert launched == ["adam_step"]
    for name in ("theta", "m", "v"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-14)


def test_every_kernel_has_its_twin():
    for name in kernels.KERNELS:
        launch, plain = getattr(kernels, name), getattr(kernels, f"{name}_plain")
        arguments = [
            f.__code__.co_varnames[: f.__code__.co_argcount + f.__code__.co_kwonlyargcount] for f in (launch, plain)
        ]
        assert arguments[0] == arguments[1] and launch.__doc__ and plain.__doc__


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_on_a_gpu(dtype):
    try:
        xp = library("cuda")
    except GPUUnavailable as error:
        pytest.skip(str(error))
    (found, settings), (wanted, _) = step(dtype, "array"), step(dtype, "array")
    there = {name: to_device(array, xp) for name, array in found.items()}
    kernels.adam_step(**there, **settings | {"decay": to_device(settings["decay"], xp)})
    kernels.adam_step_plain(**wanted, **settings)
    for name in ("theta", "m", "v"):
        tolerance = 16 * np.finfo(dtype).eps
        np.testing.assert_allclose(to_host(there[name]), wanted[name], rtol=tolerance, atol=tolerance)
