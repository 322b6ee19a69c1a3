"""The kernels' text compiles for sm_90 (H100, H200): NVIDIA's compiler needs no GPU, only its library.

pip install 'cupy-cuda13x>=14,<15' nvidia-cuda-nvrtc
"""

import re

import pytest

from cmir_ref.kernels import KERNELS


def compile_sm_90(body, inputs, outputs, dtype):
    """The machine code of an element-wise kernel."""
    compiler = pytest.importorskip("cupy.cuda.compiler", exc_type=ImportError)
    names = re.findall(r"T (\w+)", f"{inputs}, {outputs}")
    text = f"""typedef {dtype} T;
    extern "C" __global__ void kernel(long long size, {", ".join(f"T* {n}_" for n in names)}) {{
        long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
        if (i >= size) return;
        {" ".join(f"T& {n} = {n}_[i];" for n in names)}
        {body}
    }}"""
    try:
        program = compiler._NVRTCProgram(text, "kernel.cu")
    except RuntimeError as missing:
        pytest.skip(f"NVRTC does not load: {' '.join(str(missing).split())[:100]}")
    return program.compile(("-arch=sm_90", "-std=c++17"))[0]


@pytest.mark.parametrize("dtype", ["float", "double"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_compiles_for_sm_90(name, dtype):
    source = KERNELS[name]
    assert compile_sm_90(source.body, source.inputs, source.outputs, dtype)


def test_wrong_text_does_not_compile():
    with pytest.raises(Exception, match="undefined"):
        compile_sm_90("y = sqrt(z);", "T x", "T y", "float")
