"""The kernels' text, compiled as C++ and run on NumPy's arrays: what CuPy's two kinds of kernel are on a GPU.

`elementwise` and `block` give callables with the arguments of CuPy's. Whoever reads out of bounds, or shares memory
without a barrier, gets `KernelError`. The same kernel gives the same bits each time.
"""

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

HEADER = Path(__file__).with_name("cuda.h")
COMPILER = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
FOLDER = tempfile.TemporaryDirectory(prefix="cmir_kernels_")
OPTIONS = ["-O1", "-std=c++17", "-ffp-contract=off", "-w", "-U_FORTIFY_SOURCE", "-fPIC"]
C_NAMES = {
    "float32": "float", "float64": "double", "bool": "bool", "int8": "signed char", "uint8": "unsigned char",
    "int16": "short", "uint16": "unsigned short", "int32": "int", "uint32": "unsigned int",
    "int64": "long long", "uint64": "unsigned long long",
}  # fmt: skip


class KernelError(AssertionError):
    """A kernel did what a GPU does not check: the message says where."""


def _compile(source: Path, target: Path, *options: str) -> None:
    """Compiles a source where the target is not there; forks of this process find what another has compiled."""
    assert COMPILER, "no C++ compiler"
    if not target.exists():
        part = target.with_suffix(".part")
        done = subprocess.run([COMPILER, *OPTIONS, *options, "-o", part, source], capture_output=True, text=True)
        if done.returncode:
            raise KernelError(f"does not compile:\n{done.stderr[:2000]}")
        part.rename(target)


@cache
def _header() -> Path:
    """The header, compiled once: what it includes takes longer than a kernel."""
    header = Path(FOLDER.name) / HEADER.name
    if not header.exists():
        shutil.copyfile(HEADER, header)
    _compile(header, header.with_suffix(".h.gch"), "-x", "c++-header")
    return header


@cache
def _compiled(text: str):
    """`run` of a C++ text behind the header."""
    whole = Path(FOLDER.name) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    if not whole.exists():
        source = whole.with_suffix(".cpp")
        source.write_text(f'#include "{_header()}"\n{text}')
        _compile(source, whole, "-shared")
    library = ctypes.CDLL(str(whole))
    library.run.restype = ctypes.c_char_p
    return library.run


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def elementwise(inputs: str, outputs: str, body: str, name: str = "kernel"):
    """A callable like `cupy.ElementwiseKernel(inputs, outputs, body, name)`, for NumPy's arrays and numbers."""
    parameters = [
        re.fullmatch(r"(raw )?(\w+) (\w+)", part.strip()).groups() for part in f"{inputs}, {outputs}".split(",")
    ]
    count = len(inputs.split(","))

    def kernel(*values):
        given, types = list(values), {}
        for (_, kind, _), value in zip(parameters, values, strict=False):
            if kind not in C_NAMES and isinstance(value, np.ndarray | np.generic) and np.ndim(value) >= 0:
                assert types.setdefault(kind, value.dtype) == value.dtype, f"{name}: {kind} of two dtypes"
        shapes = [np.shape(v) for (raw, *_), v in zip(parameters, values, strict=False) if not raw]
        shape = np.broadcast_shapes(*shapes)
        for _, kind, _ in parameters[len(values) :]:  # outputs that CuPy makes
            given.append(np.empty(shape, types.get(kind, kind)))
        arrays, back = [], []
        for k, ((raw, kind, what), value) in enumerate(zip(parameters, given, strict=True)):
            array = np.asarray(value, types.get(kind, kind))
            if k >= count and not raw:
                assert array is value and array.shape == shape, f"{name}: {what} has another shape"
            whole = np.ascontiguousarray(array)
            if k >= count and whole is not array:
                back.append((array, whole))
            elif k < count and not raw and array.size > 1:
                whole = np.ascontiguousarray(np.broadcast_to(array, shape))
            arrays.append(whole)
        size = int(np.prod(shape))
        said = _compiled(_elementwise_text(parameters, count, types, body))(
            ctypes.c_longlong(size), *(x for a in arrays for x in (_pointer(a), ctypes.c_longlong(a.size)))
        )
        if said:
            raise KernelError(f"{name}: {said.decode()}")
        for array, whole in back:
            array[...] = whole
        made = tuple(arrays[count:])
        return made[0] if len(made) == 1 else made

    return kernel


def _elementwise_text(parameters, count, types, body) -> str:
    lines, arguments = [], []
    for letter, dtype in types.items():
        lines.append(f"typedef {C_NAMES[str(dtype)]} {letter};")
    inside, before = [], []
    for k, (raw, kind, name) in enumerate(parameters):
        ctype = C_NAMES.get(kind, kind)
        arguments.append(f"{ctype}* {name}_, Int {name}_size")
        if raw and k < count:
            before.append(f'Input<{ctype}> {name}{{{name}_, {name}_size, "{name}"}};')
        elif raw:
            before.append(f"std::vector<Trace> {name}_t({name}_size, Trace{{-1, 0, -1, 0}});")
            before.append(f'Output<{ctype}> {name}{{{name}_, {name}_size, "{name}", &{name}_t}};')
        elif k < count:
            inside.append(f"const {ctype} {name} = {name}_[{name}_size > 1 ? i : 0];")
        else:
            inside.append(f"{ctype}& {name} = {name}_[i];")
    return f"""{" ".join(lines)}
    extern "C" const char* run(Int size, {", ".join(arguments)}) {{
        said[0] = 0; block_began = ++now;
        {" ".join(before)}
        for (Int i = 0; i < size; i++) {{ me = i; threadIdx = Place{{(unsigned)i, 0, 0}}; {" ".join(inside)} {body} }}
        return said[0] ? said : 0;
    }}"""


def block(parameters: str, body: str, name: str, dtype: str):
    """A callable like `cupy.RawKernel`'s: kernel(grid, block, arguments); arrays lie there entry after entry."""
    parts = [part.strip().split(" ") for part in parameters.split(",")]
    ctype = {"f": "float", "d": "double"}[dtype]
    kinds = {"In": "Input<T>", "Out": "Output<T>", "Int": "Int", "double": "double"}
    arguments, setup = [], []
    for kind, what in parts:
        if kind in ("In", "Out"):
            arguments.append(f"T* {what}_, Int {what}_size")
            if kind == "In":
                setup.append(f'{what} = Input<T>{{{what}_, {what}_size, "{what}"}};')
            else:
                setup.append(f"{what}_t.assign({what}_size, Trace{{-1, 0, -1, 0}});")
                setup.append(f'{what} = Output<T>{{{what}_, {what}_size, "{what}", &{what}_t}};')
        else:
            arguments.append(f"{kind} {what}_")
            setup.append(f"{what} = {what}_;")
    fields = " ".join(f"static {kinds[kind]} {what};" for kind, what in parts)
    fields += " ".join(f"static std::vector<Trace> {what}_t;" for kind, what in parts if kind == "Out")
    text = f"""namespace kernel {{  // where a name may be that of a function of C
    typedef {ctype} T; typedef Watched<T> Cell;
    {fields}
    static void body() {{ {body} }}
    extern "C" const char* run(const unsigned* grid, const unsigned* block, {", ".join(arguments)}) {{
        said[0] = 0; {" ".join(setup)}
        run_blocks(grid, block, body);
        return said[0] ? said : 0;
    }} }}"""

    def kernel(grid, threads, values):
        assert len(values) == len(parts), f"{name}: {len(values)} arguments for {len(parts)} parameters"
        assert threads[0] * threads[1] <= 1024, "a block has 1024 threads at most"
        passed = [(ctypes.c_uint * 2)(*grid), (ctypes.c_uint * 2)(*threads)]
        for (kind, what), value in zip(parts, values, strict=True):
            if kind in ("In", "Out"):
                assert value.dtype.char == dtype and value.flags.c_contiguous, (
                    f"{name}: {what} is not an array of {ctype}"
                )
                passed += [_pointer(value), ctypes.c_longlong(value.size)]
            else:
                assert isinstance(value, int if kind == "Int" else float), f"{name}: {what} is {value!r}"
                passed.append(ctypes.c_longlong(value) if kind == "Int" else ctypes.c_double(value))
        said = _compiled(text)(*passed)
        if said:
            raise KernelError(f"{name}: {said.decode()}")

    return kernel


def use_for_numpy(monkeypatch) -> None:
    """Lets the kernels take NumPy's own arrays; skips the test where nothing compiles them."""
    from cmir_ref import kernel_texts, kernels

    def supported(*arrays):
        return arrays[0].dtype.char in "fd" and len({array.dtype for array in arrays}) == 1

    if COMPILER is None:
        pytest.skip("no C++ compiler to compile the kernels' text with")
    monkeypatch.setattr(kernels, "supported", supported)
    monkeypatch.setattr(kernels, "compile_kernel", lambda n, t=None: elementwise(*(t or kernel_texts.KERNELS[n]), n))
    monkeypatch.setattr(
        kernels, "compile_block_kernel", lambda n, dtype, t=None: block(*(t or kernel_texts.block_text(n)), n, dtype)
    )


def use_for(xp, monkeypatch) -> None:
    """Lets `cmir_ref.kernels` run on the stand-in `xp`, in C++; each call counts as one launch."""
    from strict.graphs import capture
    from strict.standin import DeviceArray, traffic

    from cmir_ref import kernel_texts, kernels

    def inside(value):
        return value._array if isinstance(value, DeviceArray) else value

    def single(name, text=None):
        text = text or kernel_texts.KERNELS[name]
        run, inputs = elementwise(*text, name), len(text[0].split(","))

        def kernel(*values):
            traffic.launch(f"kernel {name}")
            values = [inside(value) for value in values]
            capture.writes(*values[inputs:])
            made = run(*values)
            capture.keep(lambda: run(*values), *(made if isinstance(made, tuple) else (made,)))
            return tuple(map(DeviceArray, made)) if isinstance(made, tuple) else DeviceArray(made)

        return kernel

    def grouped(name, dtype, text=None):
        text = text or kernel_texts.block_text(name)
        run, kinds = block(*text, name, dtype), [part.split()[0] for part in text[0].split(",")]

        def kernel(grid, threads, values):
            traffic.launch(f"kernel {name}")
            values = tuple(map(inside, values))
            capture.writes(*(value for kind, value in zip(kinds, values, strict=True) if kind == "Out"))
            run(grid, threads, values)
            capture.keep(lambda: run(grid, threads, values))

        return kernel

    monkeypatch.setattr(xp, "runs_kernels", True, raising=False)
    monkeypatch.setattr(kernels, "compile_kernel", cache(single))
    monkeypatch.setattr(kernels, "compile_block_kernel", cache(grouped))
