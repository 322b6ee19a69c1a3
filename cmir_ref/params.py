"""Named parameters as views into one flat array; their names, their first values, and their files.

An optimiser works on `flat` in a handful of calls; a network reads `params["encoder_a.1.w"]`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from . import kernels
from .backend import Array, get_xp, to_host
from .errors import InputError
from .files import check_readable, write_whole


class Params(Mapping[str, Array]):
    """A read-only mapping name -> array whose arrays are views into `flat`, one vector of one dtype."""

    def __init__(self, arrays: Mapping[str, Array]):
        xp = get_xp(*arrays.values())
        parts = [array.ravel() for array in arrays.values()]
        self.flat = xp.concatenate(parts) if parts else xp.empty(0, dtype="float32")
        self._views, start = {}, 0
        for name, array in arrays.items():
            self._views[name] = self.flat[start : start + array.size].reshape(array.shape)
            start += array.size

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


def flatten(grads: Mapping[str, Array], params: Params) -> Array:
    """`grads` as one vector in the order of `params.flat`; both have the same names."""
    if grads.keys() != params.keys():
        odd = sorted(grads.keys() ^ params.keys())
        raise ValueError(f"gradients and parameters differ in their names: {', '.join(odd)}")
    parts = [grads[name].ravel() for name in params]
    if parts and kernels.supported(*parts):
        return kernels.concatenate_kernel(parts)
    return get_xp(params.flat).concatenate(parts)


def below(prefix: str, arrays: Mapping[str, Array], separator: str = ".") -> dict[str, Array]:
    """The arrays whose names begin with `prefix` and the separator, named without both."""
    start = prefix + separator
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}


def add_prefix(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays named with `prefix` and a dot before their names."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def he(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Weights, normal with variance 2/fan_in: it keeps the variance of activations through ReLU layers.

    Source: He et al. 2015.
    """
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype("float32")


def bias(rng: np.random.Generator, size: int, init: str = "zero") -> np.ndarray:
    """A bias (n,): zeros, or for `init` "xavier" uniform in ±√(3/n), as the released code draws its biases."""
    if init == "xavier" and size:  # of pairs without labels a classifier has no answers
        limit = np.sqrt(3 / size)  # Glorot's √(6/(fan_in + fan_out)), which TensorFlow takes as n + n in 1-D
        return rng.uniform(-limit, limit, size).astype("float32")
    return constant(0, size)


def constant(value: float, size: int) -> np.ndarray:
    """n equal numbers (n,)."""
    return np.full(size, value, dtype="float32")


def dense(
    shapes: Mapping[str, tuple[int, int]], rng: np.random.Generator, bias_init: str = "zero"
) -> dict[str, np.ndarray]:
    """Weights `name.w` (C, D) by `he` and biases `name.b` (D,) of fully connected layers of these shapes."""
    params = {}
    for name, (c, d) in shapes.items():
        params[f"{name}.w"] = he(rng, (c, d), fan_in=c)
        params[f"{name}.b"] = bias(rng, d, bias_init)
    return params


def save_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Writes `tensors` and `metadata` as a safetensors file, whole or not at all."""
    from safetensors.numpy import save as to_bytes

    arrays = {name: np.ascontiguousarray(to_host(tensor)) for name, tensor in tensors.items()}
    write_whole(path, to_bytes(arrays, dict(metadata or {})))


def load_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(tensors, metadata) of a safetensors file; raises `InputError` where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    check_readable(path)
    if Path(path).is_dir():  # of which it would say that there is no such device
        raise InputError(f"{path}: not a readable safetensors file (it is a folder)")
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such checkpoint; name a run folder that `cmir-ref train` wrote") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from error
