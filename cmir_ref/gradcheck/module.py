"""A reader's own pair, read from a file."""

import contextlib
import functools
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .numeric import random_direction
from .trial import Pair

VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


class Loaded(NamedTuple):
    """What a reader's file has of a function: the function, its backward, arrays by name, and who gave them."""

    path: str
    name: str
    forward: Callable
    backward: Callable
    inputs: dict[str, np.ndarray]
    inputs_of: str
    module: Any


def load_functions(where: str, shapes: Sequence[str] = (), seed: int = 0, option: str = "--module") -> Loaded:
    """`name`, `name_backward` of `path.py:name`, and the arrays of `name_inputs(rng)`, or of `shapes`.

    Raises `InputError` in one line that says what is missing.
    """
    path, colon, name = where.rpartition(":")
    if not colon or not name.isidentifier():
        raise InputError(f"{option} {where}: it is path.py:name, a file and the name of a function in it")
    module = _import(Path(path))
    forward, backward = (_function(module, path, wanted) for wanted in (name, f"{name}_backward"))
    rng = np.random.default_rng(seed)
    if shapes:
        given = [random_direction(rng, _shape(text)) for text in shapes]
    elif hasattr(module, f"{name}_inputs"):
        given = call_or_refuse(_function(module, path, f"{name}_inputs"), rng, called=f"{name}_inputs")
    else:
        raise InputError(f"{path}: no inputs; write {name}_inputs(rng), or give a shape for each with --input 4x3")
    who = f"{path}: {'--input' if shapes else f'{name}_inputs'}"
    return Loaded(path, name, forward, backward, _inputs_by_name(given, forward, who), who, module)


def load_pair(where: str, shapes: Sequence[str] = (), seed: int = 0) -> Pair:
    """The pair `name`, `name_backward` of `path.py:name` with the inputs of `name_inputs(rng)`, or of `shapes`.

    `name_inputs` returns an array, a list, or a dict of arrays by the names of the parameters; a shape is `4x3`, `5`
    (a vector) or `scalar`. Raises `InputError` in one line that says what is missing.
    """
    loaded = load_functions(where, shapes, seed)
    return Pair(*bind_by_name(loaded.forward, loaded.backward, loaded.inputs, loaded.inputs_of), loaded.name)


def bind_by_name(
    forward: Callable, backward: Callable, inputs: Mapping[str, np.ndarray], who: str = "the inputs"
) -> tuple[Callable, Callable, dict[str, np.ndarray]]:
    """(the forward over positional arrays, the backward, the inputs in the order of the forward's parameters).

    Each array goes to the parameter of its name, so the order of `inputs` does not matter. Where no name is that of a
    parameter, names are only labels, and the order matters. Raises `InputError` where one name is that of a parameter
    and another is not, and where a parameter gets nothing.
    """
    try:
        parameters = inspect.signature(forward).parameters
    except (TypeError, ValueError):
        return forward, backward, dict(inputs)
    kinds = {p.kind for p in parameters.values()}
    names = [n for n, p in parameters.items() if p.kind not in VARIABLE]
    bound = [name for name in names if name in inputs]
    others = [name for name in inputs if name not in names]
    if not bound:
        return forward, backward, dict(inputs)
    if set(bound) < set(names):
        backward = _without_left_out(backward, names, bound)
    if others and not kinds & VARIABLE:
        raise InputError(f"{who}: {others[0]} is no parameter of {forward.__name__}; it takes {', '.join(names)}")
    missing = [n for n in names if n not in inputs and parameters[n].default is inspect.Parameter.empty]
    if missing:
        raise InputError(f"{who}: nothing for {missing[0]}, a parameter of {forward.__name__}")
    by_keyword = set(others) if inspect.Parameter.VAR_KEYWORD in kinds else set()
    for position, name in enumerate(bound):  # by position as long as no parameter is left out
        if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY or names[position] != name:
            by_keyword.add(name)
    order = [*bound, *others]

    @functools.wraps(forward)
    def call(*arrays):
        named = dict(zip(order, arrays, strict=True))
        by_position = [array for name, array in named.items() if name not in by_keyword]
        return forward(*by_position, **{name: named[name] for name in by_keyword})

    return call, backward, {name: inputs[name] for name in order}


def _without_left_out(backward: Callable, names: Sequence[str], bound: Sequence[str]) -> Callable:
    """The backward less the gradients for parameters that keep their default, where these are None, as of bias=None."""

    @functools.wraps(backward)
    def call(dy, cache):
        grads = backward(dy, cache)
        if not isinstance(grads, tuple | list) or not len(bound) < len(grads) <= len(names):
            return grads
        kept = [g for name, g in zip(names, grads, strict=False) if name in bound or g is not None]
        return tuple(kept) if len(kept) == len(bound) else grads

    return call


def _import(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    loader = importlib.machinery.SourceFileLoader(f"pair_{path.stem}", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    sys.path.insert(0, str(path.resolve().parent))  # as for a script: it may import its neighbours
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(loader.source_to_code(path.read_bytes(), str(path)), vars(module))  # never an older, cached version
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: cannot be imported: {_error_text(error, path)}") from error
    return module


def _function(module: Any, path: str, name: str) -> Callable:
    function = getattr(module, name, None)
    if not callable(function):
        there = [n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__]
        raise InputError(f"{path}: no function {name}; it defines {', '.join(there) or 'none'}")
    return function


def _shape(text: str) -> tuple[int, ...]:
    if text == "scalar":
        return ()
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in text.split("x")):
        raise InputError(f"--input {text}: it is a shape such as 4x3, 5 (a vector) or scalar")
    return tuple(map(int, text.split("x")))


def _inputs_by_name(given: Any, forward: Callable, who: str) -> dict[str, np.ndarray]:
    """Inputs by name: those of a dict, or the forward's own parameters."""
    if not isinstance(given, dict):
        given = list(given) if isinstance(given, tuple | list) else [given]
        given = dict(zip(_parameters(forward, len(given)), given, strict=True))
    inputs = {}
    for name, x in given.items():
        with contextlib.suppress(ValueError):  # a list of arrays of several shapes
            inputs[str(name)] = np.asarray(x)
        if str(name) not in inputs or inputs[str(name)].dtype.kind not in "fiub":
            hint = "; leave it out for the parameter's default" if x is None else ""
            raise InputError(
                f"{who}: {name} is of type {type(x).__name__}, not an array of real numbers; each input is one{hint}"
            )
    for name, x in inputs.items():
        if not np.isfinite(x).all():
            raise InputError(f"{who}: {name} is not finite")
        if x.size == 0:
            raise InputError(f"{who}: {name} has no entries (shape {x.shape}): nothing can be compared")
    if not inputs:
        raise InputError(f"{who}: no inputs")
    return inputs


def _parameters(forward: Callable, n: int) -> list[str]:
    try:
        names = [p.name for p in inspect.signature(forward).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        names = []
    return names[:n] if len(names) >= n else [f"input {i}" for i in range(n)]


class Raised(InputError):
    """A reader's function raised: the line names it, what it raised, and where."""


def call_or_refuse(function: Callable, *arguments: Any, called: str = "the function") -> Any:
    """The reader's function; what it raises becomes one line that names it and the line: `Raised`.

    `called` is its name where it has none of its own, as a lambda, an object or a `partial` has none.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the reader prints is not the answer
            return function(*arguments)
    except Raised:
        raise  # by another function of the reader's, that this one calls
    except (Exception, SystemExit) as error:
        path, name = _place_and_name(function)
        text = f"{name or called} raises {_error_text(error, Path(path))}{_hint(error)}"
        raise Raised(text if path.startswith("<") or not path else f"{path}: {text}") from error


def _place_and_name(function: Callable) -> tuple[str, str]:
    """(the file of a function, its name): each empty where it has none."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
        if not inspect.isfunction(function):
            break
        return function.__code__.co_filename, ""  # which has another name in the reader's file
    name = getattr(function, "__name__", "")
    bottom = function if hasattr(function, "__code__") else type(function).__call__
    return getattr(getattr(bottom, "__code__", None), "co_filename", ""), name if name.isidentifier() else ""


def _error_text(error: BaseException, path: Path) -> str:
    """ "ValueError: … (line 12)" in one line, with the last line of the reader's own file."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return text + (f" (line {line})" if line else "")


def _hint(error: BaseException) -> str:
    text = str(error)
    matrices = "matmul" in text or "not aligned" in text
    return "; shapes that do not fit in a product: is a transpose missing?" if matrices else ""
