"""The golden values of every gradient check: PyTorch's, on inputs and draws that are stored with them.

golden.safetensors.gz holds for each declaration of `checks.CHECKS` its settings, what it drew, its inputs, an upstream
gradient and output for each array that comes out, and the gradient of each input, under "declaration|kind|which".
"""

import gzip
import inspect
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load, save

HERE = Path(__file__).parent
GOLDEN, FINGERPRINTS = HERE / "golden.safetensors.gz", HERE / "fingerprints.json"
AGAIN = "make the golden values again: python tests/golden/make.py, with the extra oracle installed"
ROUNDED_ZERO = 1e-8  # values and gradients of the declarations are of the size of 1, or nothing but rounding
GATE = 1e-12  # relative_error between ours and PyTorch's, for values and gradients


class Case(NamedTuple):
    """One declaration's golden values."""

    settings: dict  # what `said` says of them
    draws: list[tuple[str, np.ndarray]]  # the call, written out, and what it gave
    inputs: dict[str, np.ndarray]
    dy: list[np.ndarray]
    y: list[np.ndarray]
    grads: dict[str, np.ndarray]


class Recorder:
    """A random generator that remembers what it was asked and what it answered."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.draws = rng, []

    def __getattr__(self, method):
        def draw(*args, **named):
            value = getattr(self.rng, method)(*args, **named)
            self.draws.append((_call(method, args, named), np.array(value)))
            return value

        return draw


class Replay:
    """A random generator that gives recorded answers: no golden value depends on NumPy's generators."""

    def __init__(self, draws: list[tuple[str, np.ndarray]]):
        self.left = iter(draws)

    def __getattr__(self, method):
        def draw(*args, **named):
            asked, (known, value) = _call(method, args, named), next(self.left, ("nothing", None))
            assert asked == known, f"the declaration draws {asked}, recorded is {known}; {AGAIN}"
            return value.copy()

        return draw


def _call(method: str, args: tuple, named: dict) -> str:
    return f"{method}({', '.join([*map(str, args), *(f'{key}={value}' for key, value in named.items())])})"


def settings(forward) -> dict:
    """What a declaration's forward has besides its inputs: keywords, defaults, the variables that it closes over."""
    empty = inspect.Parameter.empty
    found = {p.name: p.default for p in inspect.signature(forward).parameters.values() if p.default is not empty}
    if inspect.isfunction(forward):
        closed = inspect.getclosurevars(forward)
        found |= {k: v for k, v in closed.globals.items() if isinstance(v, tuple)} | dict(closed.nonlocals)
    return found | settings(found.pop("forward")) if "forward" in found else found


def said(value):
    """Settings as JSON has them: numbers and words, names of functions; arrays are left to the draws."""
    if isinstance(value, dict):
        return {key: said(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [said(part) for part in value]
    return value if isinstance(value, str | int | float | None) else getattr(value, "__name__", "array")


def parts(y) -> list:
    """The arrays of an output; None parts are left out."""
    return [part for part in y if part is not None] if isinstance(y, tuple) else [y]


def like(y, arrays: list):
    """`arrays` in the (named) tuple that y is."""
    left = iter(arrays)
    if not isinstance(y, tuple):
        return next(left)
    filled = [None if part is None else next(left) for part in y]
    return type(y)(*filled) if hasattr(y, "_fields") else tuple(filled)


def ours(pair, inputs: dict, dy: list) -> tuple[list, dict]:
    """(outputs, gradient of each input) of a declared pair; a gradient that it does not give is zero."""
    y, cache = pair.forward(*inputs.values())
    grads = pair.backward(like(y, dy), cache)
    grads = grads if isinstance(grads, tuple | list) else [grads]
    named = zip(inputs.items(), grads, strict=True)
    return parts(y), {name: np.zeros_like(x) if g is None else g for (name, x), g in named}


def write(cases: dict[str, Case]) -> None:
    """Writes golden.safetensors.gz."""
    tensors, calls = {}, {}
    for name, case in cases.items():
        calls[name] = [call for call, _ in case.draws]
        numbered = {"draw": [value for _, value in case.draws], "dy": case.dy, "y": case.y}
        for kind, arrays in numbered.items():
            tensors |= {f"{name}|{kind}|{i}": array for i, array in enumerate(arrays)}
        for kind, named in {"input": case.inputs, "grad": case.grads}.items():
            tensors |= {f"{name}|{kind}|{key}": array for key, array in named.items()}
    inputs = {name: list(case.inputs) for name, case in cases.items()}
    text = {"calls": calls, "inputs": inputs, "settings": {name: case.settings for name, case in cases.items()}}
    tensors["text"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    tensors = {name: np.array(value, order="C") for name, value in tensors.items()}
    GOLDEN.write_bytes(gzip.compress(save(tensors), mtime=0))


def read() -> dict[str, Case]:
    """The cases of golden.safetensors.gz by the names of their declarations."""
    tensors = load(gzip.decompress(GOLDEN.read_bytes()))
    text = json.loads(tensors.pop("text").tobytes())
    calls, inputs = text["calls"], text["inputs"]

    def numbered(name, kind):
        found = {int(key.split("|")[2]): value for key, value in tensors.items() if key.startswith(f"{name}|{kind}|")}
        return [found[i] for i in range(len(found))]

    return {
        name: Case(
            text["settings"][name],
            list(zip(calls[name], numbered(name, "draw"), strict=True)),
            {key: tensors[f"{name}|input|{key}"] for key in inputs[name]},
            numbered(name, "dy"),
            numbered(name, "y"),
            {key: tensors[f"{name}|grad|{key}"] for key in inputs[name]},
        )
        for name in calls
    }
