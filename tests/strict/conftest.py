"""Every test that takes `xp` runs on the stand-in, and on CuPy where there is a GPU."""

import sys
from types import SimpleNamespace

import pytest

from cmir_ref.backend import GPUUnavailable, library


@pytest.fixture(params=["strict", pytest.param("cupy", marks=pytest.mark.gpu)])
def xp(request):
    """The stand-in, or CuPy."""
    if request.param == "strict":
        from strict.standin import xp

        return xp
    return cupy_or_skip()


@pytest.fixture(scope="session")
def gpu():
    """CuPy on a working GPU."""
    return cupy_or_skip()


def cupy_or_skip():
    try:
        return library("cuda")
    except GPUUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture
def by_kernels(monkeypatch):
    """The stand-in runs the kernels of `cmir_ref.kernels`, in C++."""
    from strict import cpp
    from strict.standin import xp

    if cpp.COMPILER is None:
        pytest.skip("no C++ compiler to compile the kernels' text with")
    cpp.use_for(xp, monkeypatch)


@pytest.fixture
def plain(monkeypatch):
    """No array is one that the fused twins take: all go through the plain composition, which rounds in its own way."""
    for module in ("act_norm", "by_samples", "conv_max_pool", "depthwise_by_lines", "folded_block", "gru_by_length"):
        monkeypatch.setattr(sys.modules[f"cmir_ref.ops.fused.{module}"], "np", SimpleNamespace(ndarray=()))
