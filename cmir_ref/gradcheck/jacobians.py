"""All derivatives of all outputs, by the backward and measured, and the arrays that stand in the forward.

One random upstream dy tells what a gradient is, the upstreams that are 1 at one output and 0 elsewhere tell which
output each part of it comes from.
"""

import ast
import inspect
import linecache
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import InputError
from .evidence import Array, result_name
from .numeric import COMPLEX_STEP, WIDE_STEP
from .trial import Trial, flat_arrays, map_parts, one_hot, parts

MOST_OUTPUTS, MOST_ENTRIES = 600, 300_000


def backward_jacobians(trial: Trial) -> dict[int, Array] | None:
    """What the backward answers to each upstream that is 1 at one output; None where there are too many outputs."""
    y = flat_arrays(trial.y)
    if y.size > MOST_OUTPUTS:
        return None
    rows: dict[int, list] = {i: [] for i in trial.with_gradient}
    try:
        cache = trial.call(trial.inputs)[1]
        for k in range(y.size):
            for i, gradient in enumerate(trial.call_backward(_upstream(trial, k), cache)):
                if i in rows:
                    rows[i].append(np.asarray(gradient, dtype=float))
        shape = output_shape(trial)
        return {i: np.reshape(answers, shape + answers[0].shape) for i, answers in rows.items()}
    except (InputError, TypeError, ValueError):
        return None


def measured_jacobian(trial: Trial, i: int, safe: bool) -> Array | None:
    """∂y/∂x of input i by complex step, or by central differences of four points where that is not safe."""
    x, outputs = trial.inputs[i], flat_arrays(trial.y).size
    if outputs * x.size > MOST_ENTRIES or outputs > MOST_OUTPUTS:
        return None

    def at(direction, step):
        arrays = [a + step * direction if j == i else a for j, a in enumerate(trial.inputs)]
        return flat_arrays(trial.call(arrays)[0])

    def column(index):
        direction = one_hot(x.shape, index)
        if safe:
            return np.imag(at(direction, 1j * COMPLEX_STEP)) / COMPLEX_STEP
        h = WIDE_STEP * max(1.0, abs(float(x[index])))
        near, far = at(direction, h) - at(direction, -h), at(direction, 2 * h) - at(direction, -2 * h)
        return (8 * near - far) / (12 * h)

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            columns = [column(index) for index in np.ndindex(x.shape)]
    except (InputError, TypeError, ValueError):
        return None
    jacobian = np.stack(columns, axis=-1).reshape(output_shape(trial) + x.shape)
    return jacobian if np.isfinite(jacobian).all() else None


def output_shape(trial: Trial) -> tuple[int, ...]:
    """The shape of y; of several outputs, how many there are and their shape, or how many numbers they have."""
    if not isinstance(trial.y, tuple):
        return np.shape(trial.y)
    shapes = {np.shape(part) for part in parts(trial.y)}
    return (len(parts(trial.y)), *shapes.pop()) if len(shapes) == 1 else (flat_arrays(trial.y).size,)


def _upstream(trial: Trial, k: int) -> Any:
    """1 at output k of all, 0 elsewhere, in the form of y."""
    start = 0

    def part_of(part):
        nonlocal start
        part, start = np.zeros(np.shape(part)), start + np.size(part)
        if 0 <= k - start + part.size < part.size:
            part.reshape(-1)[k - start + part.size] = 1.0
        return part if part.ndim else np.float64(part)

    return map_parts(part_of, trial.y)


def cache_names(f_backward: Callable, n: int) -> list[str]:
    """What a backward calls the n parts of its cache, as in `x, h, s = cache`; cache[0], … where it does not say."""
    unnamed = [f"cache[{k}]" for k in range(n)]
    f_backward = inspect.unwrap(
        f_backward.args[0] if isinstance(f_backward, partial) and f_backward.args else f_backward
    )
    try:
        linecache.checkcache(inspect.getsourcefile(f_backward))
        function = ast.parse(textwrap.dedent(inspect.getsource(f_backward))).body[0]
        cache = function.args.args[1].arg
    except (AttributeError, IndexError, OSError, SyntaxError, TypeError):
        return unnamed
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and getattr(node.value, "id", "") == cache and len(node.targets) == 1:
            parts = getattr(node.targets[0], "elts", [])
            if len(parts) == n and all(isinstance(part, ast.Name) for part in parts):
                return [name if (name := part.id.strip("_")) else old for part, old in zip(parts, unnamed, strict=True)]
    return unnamed


def named_arrays(
    cache: Any, name: str = "cache", names: Sequence[str] = (), around: tuple = ()
) -> Iterator[tuple[str, Array]]:
    """The arrays of real numbers in a cache, by their names in it: fields, keys, `names`, or places such as cache[2].

    Of whole numbers only counts: indices are no factors. `around` is what the cache is a part of: what holds itself is
    read once.
    """
    if any(cache is whole for whole in around):
        return
    if isinstance(cache, np.ndarray) and (cache.dtype.kind in "fb" or (cache.dtype.kind in "iu" and (cache > 0).all())):
        yield name, cache.astype(float)
    elif isinstance(cache, Mapping):
        for key, part in cache.items():
            yield from named_arrays(part, str(key), around=(*around, cache))
    elif isinstance(cache, tuple | list):
        fields = getattr(cache, "_fields", names or [f"{name}[{k}]" for k in range(len(cache))])
        for field, part in zip(fields, cache, strict=True):
            yield from named_arrays(part, field, around=(*around, cache))
        if isinstance(cache, list) and len(cache) > 2:
            yield from _of_each_step(cache, name)


def _of_each_step(steps: list, name: str) -> Iterator[tuple[str, Array]]:
    """A list of what each step keeps, in arrays whose first axis is that of the steps."""
    if all(isinstance(part, np.ndarray) for part in steps) and len({part.shape for part in steps}) == 1:
        yield from named_arrays(np.stack(steps), name)
    elif all(isinstance(part, tuple) for part in steps) and len({len(part) for part in steps}) == 1:
        for k, parts in enumerate(zip(*steps, strict=True)):
            yield from _of_each_step(list(parts), f"{name}[:][{k}]")


def ingredients(trial: Trial) -> dict[str, Array]:
    """The arrays that stand in the forward, each once: inputs, one-hot labels, outputs, and what the cache keeps."""
    known = {n: a.astype(float) for n, a in zip(trial.names, trial.inputs, strict=True) if a.dtype.kind in "fb"}
    shapes = {a.shape for a in known.values() if a.ndim}
    marks = {n: a for n, a in zip(trial.names, trial.inputs, strict=True) if a.dtype.kind in "iu" and a.shape in shapes}
    known |= {n: a.astype(float) for n, a in marks.items() if np.isin(a, (0, 1)).all()}  # labels of 0 and 1
    labels = {n: a for n, a in zip(trial.names, trial.inputs, strict=True) if a.dtype.kind in "iu" and a.ndim == 1}
    found = [(f"one-hot {n}", hot) for n, a in labels.items() for hot in _one_hots(a, known)]
    result = result_name(trial.names)
    found += [(result, part) for part in ([] if isinstance(trial.y, tuple) else [np.asarray(trial.y, dtype=float)])]
    found += list(named_arrays(trial.y, result)) if isinstance(trial.y, tuple) else []
    cache = trial.call(trial.inputs)[1]
    names = cache_names(trial.f_backward, len(cache)) if isinstance(cache, tuple | list) else ()
    for name, a in [*found, *named_arrays(cache, names=names)]:
        again = any(a.shape == b.shape and np.array_equal(a, b) for b in known.values())
        if not again and a.size <= MOST_ENTRIES and np.isfinite(a).all():
            known[name if name not in known else f"cache {name}"] = a
    return known


def _one_hots(labels: Array, known: Mapping[str, Array]) -> Iterator[Array]:
    """Labels as rows of the width of an array that has a row for each of them."""
    for a in known.values():
        if a.ndim == 2 and len(a) == len(labels) and labels.min() >= 0 and labels.max() < a.shape[1]:
            yield np.eye(a.shape[1])[labels]
            return
