"""What a declaration is, and what the declarations of several files draw with."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from ..gradcheck import Pair
from ..gradcheck.numeric import random_direction


class Check(NamedTuple):
    """One declaration. `draw(rng)` gives the pair with fresh inputs; `covers` is the dotted name of the public pair.

    `sizes` are the lengths of the axes that `draw` usually draws, all different: `draw(rng, n=0)` draws an empty batch.
    """

    name: str
    covers: str
    draw: Callable[..., Pair]
    sizes: dict[str, int]
    network: bool = False


CHECKS: list[Check] = []


def declare(
    name: str,
    covers: str,
    *,
    sizes: dict[str, int],
    variants: Mapping[str, Mapping] | None = None,
    network: bool = False,
) -> Callable:
    """Decorates a function that draws a pair: `CHECKS` gets one declaration for each of its variants.

    `sizes` are arguments of the function: n and m rows of a batch, h × w pixels, c channels or columns in, d out,
    k classes, and what else it has. A variant is a name and further arguments; its declaration is called
    `name/variant`, and that of the variant "" is called `name`.
    """

    def add(draw):
        for variant, arguments in (variants or {"": {}}).items():
            full = f"{name}/{variant}" if variant else name
            CHECKS.append(Check(full, covers, partial(draw, **arguments, **sizes), sizes, network))
        return draw

    return add


def draw_arrays(rng: np.random.Generator, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Named arrays with entries ±(0.1 … 1): away from the kinks at 0, and no parameter is 0 or 1."""
    return {name: random_direction(rng, shape) for name, shape in shapes.items()}


def draw_targets(rng: np.random.Generator, kind: str, n: int, k: int) -> np.ndarray:
    """Labels of n samples in k classes, `kind` "integer" (n,), "one-hot" (n, k) or "multi-hot" (n, k).

    Of the multi-hot rows the first has every label, and the second has none.
    """
    if kind == "integer":
        return rng.integers(0, k, n)
    if kind == "one-hot":
        return np.eye(k, dtype=np.uint8)[rng.integers(0, k, n)]
    hot = (rng.random((n, k)) < 0.5).astype(np.uint8)
    hot[:1] = 1
    hot[1:2] = 0
    return hot


def network_pair(forward: Callable, backward: Callable, params: Mapping, batch: Mapping) -> Pair:
    """A network as a function of its parameters and inputs, one positional array each.

    `forward(params, **batch) -> out, cache`; `backward(d, cache) -> grads, gradients of the batch in its order`.
    """
    names = list(params)

    def call(*values):
        return forward(dict(zip(names, values, strict=False)), *values[len(names) :])

    def call_backward(d, cache):
        grads, dx = backward(d, cache)
        return [grads[name] for name in names] + list(dx)

    return Pair(call, call_backward, dict(params) | dict(batch))


def jitter(rng: np.random.Generator, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """float64 parameters near their initial values: none is exactly 0 or 1."""
    return {name: value.astype(np.float64) + 0.2 * random_direction(rng, value.shape) for name, value in params.items()}


def raise_biases(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Biases raised by a half: where hardly a unit of a stack is switched on, no gradient is left to measure."""
    return {name: value + 0.5 if name.endswith(".b") else value for name, value in params.items()}
