"""What a declaration is, and what the declarations of several files draw with."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from ..gradcheck.numeric import random_direction


class Pair(NamedTuple):
    """A function and its backward over positional arrays, ready for `check_gradient`."""

    forward: Callable
    backward: Callable
    inputs: dict[str, np.ndarray]


class Check(NamedTuple):
    """One declaration. `draw(rng)` gives the pair with fresh inputs; `covers` is the name of the public pair.

    `sizes` names the dimensions with their usual values, all different: `draw(rng, n=0)` draws an empty batch.
    """

    name: str
    covers: str
    draw: Callable[..., Pair]
    sizes: dict[str, int]
    network: bool = False


CHECKS: list[Check] = []


def declare(name: str, covers: str, *, network: bool = False, **settings) -> Callable:
    """Adds a drawing function to `CHECKS`; several declarations may share one with different `settings`.

    The function's parameters of one letter are its sizes: n and m rows of a batch, h × w pixels, c channels or columns
    in, d out, k classes, and what else it has.
    """

    def add(draw):
        sizes = {p.name: p.default for p in inspect.signature(draw).parameters.values() if len(p.name) == 1}
        CHECKS.append(Check(name, covers, partial(draw, **settings), sizes, network))
        return draw

    return add


def arrays(rng: np.random.Generator, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Named arrays with entries ±(0.1 … 1): away from the kinks at 0, and no parameter is 0 or 1."""
    return {name: random_direction(rng, shape) for name, shape in shapes.items()}


def _targets(rng, kind, n, k):
    if kind == "integer":
        return rng.integers(0, k, n)
    if kind == "one-hot":
        return np.eye(k, dtype=np.uint8)[rng.integers(0, k, n)]
    hot = (rng.random((n, k)) < 0.5).astype(np.uint8)
    hot[:1] = 1
    hot[1:2] = 0  # a sample without label
    return hot


def network_pair(forward: Callable, backward: Callable, params: Mapping, batch: Mapping) -> Pair:
    """A network as a function of its parameters and inputs, one positional array each.

    `forward(params, **batch) -> out, cache`; `backward(d, cache) -> grads, gradients of the batch in its order`.
    """
    names, inputs = list(params), list(batch)

    def call(*values):
        return forward(dict(zip(names, values, strict=False)), *values[len(names) :])

    def call_backward(d, cache):
        grads, dx = backward(d, cache)
        return [grads[name] for name in names] + list(dx)

    return Pair(call, call_backward, dict(params) | {name: batch[name] for name in inputs})


def jitter(rng: np.random.Generator, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """float64 parameters around their initial values: none is exactly 0 or 1."""
    return {name: value.astype(np.float64) + 0.2 * random_direction(rng, value.shape) for name, value in params.items()}


def lively(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Biases raised by a half: where a stack is alive by a hair, its gradients are too small to be measured."""
    return {name: value + 0.5 if name.endswith(".b") else value for name, value in params.items()}
