"""Where arrays live, and what is said where there is no GPU."""

import importlib.metadata
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from cmir_ref import backend
from cmir_ref.backend import GPUUnavailable, describe_gpu, free_memory, get_xp, library, pinned, to_device, to_host
from cmir_ref.errors import InputError


class Elsewhere:
    """An array of another library."""

    dtype, shape = np.dtype("int8"), (7, 5)

    def __init__(self, namespace):
        self.namespace = namespace

    def __array_namespace__(self):
        return self.namespace


def test_numpy_arrays_and_scalars():
    assert get_xp(np.ones(2), None, np.float32(1), np.array(1), np.ones(1)[0]) is np
    assert get_xp() is np and get_xp(None) is np


def test_an_array_names_its_own_library():
    xp = ModuleType("elsewhere")
    assert get_xp(None, Elsewhere(xp), Elsewhere(xp)) is xp


def test_cupy_arrays_without_a_namespace(monkeypatch):
    cupy = ModuleType("cupy")
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    array = type("ndarray", (), {"__module__": "cupy._core.core"})()
    assert get_xp(array) is cupy


@pytest.mark.parametrize("no_array", [[1.0], 1.0, "text", (np.ones(2),), {"w": np.ones(2)}])
def test_what_is_no_array_is_refused_by_its_type(no_array):
    with pytest.raises(TypeError, match=type(no_array).__name__):
        get_xp(np.ones(2), no_array)


def test_a_mix_of_libraries_is_refused_by_their_names():
    host, device = np.ones(2), Elsewhere(ModuleType("elsewhere"))
    with pytest.raises(
        TypeError, match=r"numpy and elsewhere .*\(float64 \(2,\) and int8 \(7, 5\)\).*to_device or to_host"
    ):
        get_xp(host, None, device)
    with pytest.raises(
        TypeError, match=r"elsewhere and numpy .*\(int8 \(7, 5\) and float64 \(2,\)\).*to_device or to_host"
    ):
        get_xp(device, device, host)


def test_arrays_move_without_copies_on_the_host():
    x = np.ones(2)
    assert to_device(x, np) is x and to_host(x) is x
    there = SimpleNamespace(get=lambda: x)
    assert to_host(there) is x and to_device(there, np) is x


# ---- three steps, four sentences ------------------------------------------------------------------------------------


class CUDARuntimeError(RuntimeError):
    """As CuPy's: CUDA's own text, and its number as `status`."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


# what CuPy 14.2 raises: recorded without a driver; the texts of the others are CUDA's and CuPy's own
INSUFFICIENT = CUDARuntimeError(
    35, "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
)
NONE_FOUND = CUDARuntimeError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")
BUSY = CUDARuntimeError(46, "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable")
NO_NVRTC = RuntimeError('Failure finding "libnvrtc.so":\n' + "searched here and there\n" * 50)
NO_CUBLAS = ImportError("libcublas.so.13: cannot open shared object file: No such file or directory")


def fake(devices=1, first_array=None):
    """A CuPy that counts `devices` or raises them, and whose first array raises `first_array`."""
    cupy, calls = ModuleType("cupy"), []

    def answer(value):
        calls.append(value)
        if isinstance(value, Exception):
            raise value
        return value

    def arange(n, dtype):
        answer(first_array)
        return np.arange(n, dtype=dtype)

    cupy.calls, cupy.arange = calls, arange
    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: answer(devices)))
    return cupy


@pytest.mark.parametrize(
    ("cupy", "pieces"),
    [
        (None, ["CuPy is not installed: pip install 'cmir-ref[cuda13x]'"]),
        (fake(INSUFFICIENT), ["no driver: this machine has no NVIDIA driver", "cudaErrorInsufficientDriver"]),
        (fake(NONE_FOUND), ["no device: ", "CUDA_VISIBLE_DEVICES", "cudaErrorNoDevice"]),
        (fake(0), ["no device: ", "CUDA_VISIBLE_DEVICES"]),
        (fake(1, NO_NVRTC), ["toolkit libraries missing: ", "cupy-cuda13x[ctk]", "libnvrtc.so"]),
        (fake(1, NO_CUBLAS), ["toolkit libraries missing: ", "ImportError: libcublas.so.13"]),
        (fake(NO_CUBLAS), ["toolkit libraries missing: ", "ImportError: libcublas.so.13"]),
        (fake(1, BUSY), ["the GPU does not compute", "cudaErrorDevicesUnavailable"]),
    ],
    ids=["cupy", "driver", "device", "hidden", "compiler", "library", "runtime", "busy"],
)
def test_no_gpu_says_which_piece_is_missing(monkeypatch, cupy, pieces):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(GPUUnavailable) as caught:
        library("cuda")
    message = str(caught.value)
    assert message.startswith("device cuda: ") and "\n" not in message and len(message) < 450
    assert [piece for piece in pieces if piece not in message] == []


@pytest.mark.parametrize("missing", ["cupy_backends", "cuda"])
def test_a_cupy_that_does_not_import_is_installed(monkeypatch, tmp_path, missing):
    (tmp_path / "cupy.py").write_text(f"raise ModuleNotFoundError('No module named {missing}', name='{missing}')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GPUUnavailable, match=f"CuPy does not import: .*{missing}"):
        library("cuda")


def test_a_gpu_that_works_is_tried_out_once(monkeypatch):
    cupy = fake()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert [library("cuda"), library("cuda")] == [cupy, cupy]
    assert cupy.calls == [1, None]


def test_what_failed_is_tried_again(monkeypatch):
    cupy = fake(NONE_FOUND)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for _ in range(2):
        with pytest.raises(GPUUnavailable):
            library("cuda")
    assert len(cupy.calls) == 2


def test_nothing_is_tried_before_cuda_is_asked_for():
    code = "import sys; from cmir_ref.backend import library; library('cpu'); assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_device_that_is_none_is_no_gpu():
    with pytest.raises(InputError, match="device 'CPU': it is cpu or cuda"):
        library("CPU")


def test_this_machine_says_what_it_lacks():
    """For real: without CuPy, with CuPy but no driver, or with a GPU."""
    installed = importlib.metadata.packages_distributions().get("cupy")
    try:
        xp = library("cuda")
    except GPUUnavailable as error:
        said = str(error)
    else:
        assert float((xp.ones((2, 2)) @ xp.ones((2, 2))).sum()) == 8
        return
    if not installed:
        assert said.startswith("device cuda: CuPy is not installed: pip install 'cmir-ref[cuda13x]'")
    elif not os.path.exists("/proc/driver/nvidia"):
        assert said.startswith("device cuda: no driver: ") and "cudaErrorInsufficientDriver" in said
    else:
        pytest.skip(f"a driver is there, and yet: {said}")


# ---- what CuPy says of a device -------------------------------------------------------------------------------------


@pytest.fixture
def cupy(monkeypatch):
    """A CuPy with one device that has 3 of 8 GiB free, and 1 GiB in CuPy's own pool."""
    cupy = fake()
    cupy.cuda.runtime.memGetInfo = lambda: (3 * 2**30, 8 * 2**30)
    cupy.cuda.runtime.getDeviceProperties = lambda _: {"name": b"NVIDIA H200", "major": 9, "minor": 0}
    cupy.cuda.runtime.driverGetVersion, cupy.cuda.runtime.runtimeGetVersion = (lambda: 13000), (lambda: 12090)
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 2**30)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


def test_a_gpu_described(cupy):
    assert describe_gpu(cupy) == {
        "cuda": "NVIDIA H200, compute capability 9.0",
        "memory": "8.0 GiB, 3.0 GiB free",
        "CUDA": "driver 13.0, libraries 12.9",
    }


def test_memory_that_is_free(cupy):
    assert free_memory(cupy) == 4 * 2**30
    assert free_memory(np) == free_memory(ModuleType("elsewhere")) == float("inf")


def test_pinned_memory_is_cupy_s(cupy, monkeypatch):
    cupyx = ModuleType("cupyx")
    cupyx.empty_pinned = lambda shape, dtype: np.full(shape, 7, dtype)
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    assert (pinned((2, 3), np.uint8, cupy) == np.full((2, 3), 7, np.uint8)).all()
    found = pinned((2, 3), np.uint8, np)
    assert (found.shape, found.dtype) == ((2, 3), np.uint8)


def test_a_long_cause_is_one_short_line():
    assert backend._cause(NO_NVRTC).startswith('RuntimeError: Failure finding "libnvrtc.so": searched')
    assert len(backend._cause(NO_NVRTC)) <= 200
