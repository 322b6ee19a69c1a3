"""The kernels' text compiles for sm_90 (H100, H200): NVIDIA's compiler needs no GPU, only its library.

pip install 'cupy-cuda13x>=14,<15' nvidia-cuda-nvrtc
"""

import pytest

from cmir_ref import kernel_texts

TYPES = {
    "uint8": "unsigned char", "int64": "long long", "uint64": "unsigned long long", "bool": "bool", "float64": "double",
    "I": "long long", "W": "unsigned char",
}  # fmt: skip
INDEXED = ("im2col", "col2im", "max_pool", "max_pool_backward")
ELEMENTS = {name: text for name, text in kernel_texts.KERNELS.items() if name not in INDEXED}
ELEMENTS |= {f"{name}_{n}": kernel_texts.indexed_text(name, n) for name in INDEXED for n in (1, 2**31)}
ELEMENTS |= {"concatenate": kernel_texts.concatenate_text(30)}
ELEMENTS |= {
    "norm_terms": kernel_texts.norm_terms_text(tuple(kernel_texts.SHAPES_OF_TERMS), (0, 1, 1, 0), kernel_texts.PARTS)
}
BLOCKS = {name: kernel_texts.block_text(name) for name in kernel_texts.BLOCKS}
BLOCKS |= {"energies": kernel_texts.energies_text((True, False, True))}


def compile_sm_90(text: str):
    """The machine code of CUDA's text."""
    compiler = pytest.importorskip("cupy.cuda.compiler", exc_type=ImportError)
    try:
        program = compiler._NVRTCProgram(text, "kernel.cu")
    except RuntimeError as missing:
        pytest.skip(f"NVRTC does not load: {' '.join(str(missing).split())[:100]}")
    return program.compile(("-arch=sm_90", "-std=c++17"))[0]


def source(text: kernel_texts.KernelText, dtype: str) -> str:
    """An element-wise kernel as CuPy completes it: arrays are pointers here, and numbers values."""
    parts = [part.strip().split(" ") for part in f"{text.inputs}, {text.outputs}".split(",")]
    arguments, views = [], []
    for *raw, kind, name in parts:
        ctype = TYPES.get(kind, kind)
        arguments.append(f"{ctype}* {name}{'' if raw else '_'}")
        views += [] if raw else [f"{ctype}& {name} = {name}_[i];"]
    return f"""typedef {dtype} T; typedef {TYPES["I"]} I; typedef {TYPES["W"]} W;
    extern "C" __global__ void kernel(long long size, {", ".join(arguments)}) {{
        long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
        if (i >= size) return;
        {" ".join(views)}
        {text.body}
    }}"""


@pytest.mark.parametrize("dtype", ["float", "double"])
@pytest.mark.parametrize("name", ELEMENTS)
def test_a_kernel_of_elements_compiles_for_sm_90(name, dtype):
    assert compile_sm_90(source(ELEMENTS[name], dtype))


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_kernel_of_blocks_compiles_for_sm_90(name, dtype):
    assert compile_sm_90(kernel_texts.block_source(name, BLOCKS[name], dtype))


def test_wrong_text_does_not_compile():
    with pytest.raises(Exception, match="undefined"):
        compile_sm_90(source(kernel_texts.KernelText("T x", "T y", "y = sqrt(z);"), "float"))
