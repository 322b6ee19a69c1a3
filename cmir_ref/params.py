"""Named parameters as views into one flat array; initialisers; saving and loading.

An optimiser works on `flat` in a handful of calls; a network reads `params["encoder_a.1.w"]`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .backend import Array, get_xp, to_host
from .errors import InputError


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
    return get_xp(params.flat).concatenate([grads[name].ravel() for name in params])


def he(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype="float32") -> np.ndarray:
    """Normal with variance 2/fan_in, which keeps the variance of activations through ReLU layers (He et al. 2015)."""
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def zeros(rng: np.random.Generator, shape: tuple[int, ...], like: str = "zero", dtype="float32") -> np.ndarray:
    """A bias: zeros, or for `like` "xavier" uniform in ±√(3/n), as the released code draws its biases."""
    if like == "xavier":
        limit = np.sqrt(3 / shape[0])  # Glorot's √(6/(fan_in + fan_out)), which TensorFlow takes as n + n in 1-D
        return rng.uniform(-limit, limit, shape).astype(dtype)
    return np.zeros(shape, dtype=dtype)


def below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a checkpoint whose names begin with `prefix/`, without it."""
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(prefix + "/")}


def save(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Writes safetensors to a temporary name, flushed, then renamed: whatever happens, `path` is whole."""
    from safetensors.numpy import save as to_bytes

    temporary = Path(path).with_suffix(".tmp")
    with open(temporary, "wb") as file:
        file.write(to_bytes({k: np.ascontiguousarray(to_host(v)) for k, v in tensors.items()}, dict(metadata or {})))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(tensors, metadata) of a safetensors file; raises `InputError` where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such checkpoint; name a run folder that `cmir-ref train` wrote") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from error
