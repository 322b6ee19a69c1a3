import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from cmir_ref.backend import GPUUnavailable, get_xp, library, to_device, to_host


class Elsewhere:
    """An array of another library."""

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
    for arrays in ((np.ones(2), Elsewhere(ModuleType("elsewhere"))), (Elsewhere(ModuleType("elsewhere")), np.ones(2))):
        with pytest.raises(TypeError, match=r"(numpy and elsewhere|elsewhere and numpy).*to_device or to_host"):
            get_xp(*arrays)


def test_arrays_move_without_copies_on_the_host():
    x = np.ones(2)
    assert to_device(x, np) is x and to_host(x) is x
    assert to_host(SimpleNamespace(get=lambda: x)) is x


def fake(count=1, product=None):
    """A CuPy that counts `count` devices (or raises it) and multiplies as `product` does."""
    cupy = ModuleType("cupy")

    def get_device_count():
        if isinstance(count, Exception):
            raise count
        return count

    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=get_device_count))
    cupy.ones = product or np.ones
    return cupy


def broken(*_, **__):
    raise OSError("libcublas.so.13: cannot open shared object file")


@pytest.mark.parametrize(
    ("cupy", "pieces"),
    [
        (None, ["pip install", "cmir-ref[cuda13x]"]),
        (fake(RuntimeError("cudaErrorInsufficientDriver")), ["driver", "cudaErrorInsufficientDriver"]),
        (fake(0), ["CUDA_VISIBLE_DEVICES"]),
        (fake(1, broken), ["CUDA libraries", "libcublas.so.13"]),
    ],
)
def test_no_gpu_says_which_piece_is_missing(monkeypatch, cupy, pieces):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(GPUUnavailable) as caught:
        library("cuda")
    message = str(caught.value)
    assert message.startswith("device cuda") and "\n" not in message
    assert [piece for piece in pieces if piece not in message] == []


def test_devices(monkeypatch):
    cupy = fake()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert library("cuda") is cupy
    assert library("cpu") is np
