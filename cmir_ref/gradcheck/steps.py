"""Which step of a reader's backward is the first wrong one? Every intermediate value is nudged, and its slope measured.

    def f(x, p, nudge=None):                       the forward keeps each step under its name, and can be nudged there
        c, at = {}, nudge or {}
        c["l"] = np.log(x) + at.get("l", 0)
        c["y"] = np.exp(p * c["l"]) + at.get("y", 0)
        return c["y"], c | {"x": x, "p": p}
    def f_backward(dy, c): return {"y": …, "l": …, "x": …, "p": …}         a gradient for each name

Read from the output backwards, the first gradient that is not the measured one is made by the line to look at: what
comes after it may be wrong only because of it.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .findings import Judgement
from .judgement import judge
from .module import Loaded, bind_by_name, call_or_refuse, load_functions
from .numeric import random_direction
from .trial import Pair, map_parts

CLOSE = 1e-9  # of a nudge, relative


class Steps(NamedTuple):
    """A pair of a function and its inputs, and one of each step: y as a function of that step's value alone."""

    name: str
    pair: Pair
    pairs: dict[str, Pair]  # of steps by name, in the order in which they are made
    unchecked: list[str]  # steps for which the backward gives no gradient

    @property
    def inputs(self) -> list[str]:
        """The names of the function's own inputs."""
        return list(self.pair.inputs)

    @property
    def backwards(self) -> list[str]:
        """All names from the output backwards; the inputs last."""
        return [*reversed(self.pairs), *self.inputs]


def load_steps(where: str, shapes: Sequence[str] = (), seed: int = 0) -> Steps:
    """The steps of `path.py:name`, as the head of this file has them; `name_steps(dy, cache)` may give the gradients.

    Then `name_backward` is that of a usual pair. Raises `InputError` in one line that says what is missing.
    """
    loaded = load_functions(where, shapes, seed, "--steps")
    parameters = inspect.signature(loaded.forward).parameters
    if "nudge" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise InputError(f"{loaded.path}: {loaded.name} takes no nudge; write def {loaded.name}(…, nudge=None)")
    forward, inputs = _nudged(loaded, {})
    answer = call_or_refuse(forward, *inputs.values(), called=loaded.name)
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise InputError(f"{loaded.path}: {loaded.name} returns (y, steps), its result and a dict of its steps by name")
    values = {n: a for n, a in _by_name(loaded, answer[1]).items() if n not in inputs}
    rng = np.random.default_rng(seed)
    dy = map_parts(lambda part: random_direction(rng, np.shape(part)), answer[0])
    gradients = _gradients(loaded, list(inputs))
    given = call_or_refuse(gradients, dy, answer[1], called=f"{loaded.name}_backward")
    steps = [name for name in values if name in given]
    _refuse_unknown(loaded, given, values, inputs)
    for name in steps:
        _refuse_without_nudge(loaded, name, values[name], inputs)

    def backward_to(names):
        def run_backward(dy, cache):
            found = gradients(dy, cache)
            return [found.get(name) for name in names]

        return update_wrapper(run_backward, loaded.backward)

    def run_from(name):
        """y as a function of the value of one step; what comes before the step stays."""

        def run(value):
            return _nudged(loaded, {name: value - values[name]})[0](*inputs.values())

        return update_wrapper(run, loaded.forward, updated=())

    pairs = {name: Pair(run_from(name), backward_to([name]), {name: values[name]}, loaded.name) for name in steps}
    whole = Pair(forward, backward_to(list(inputs)), inputs, loaded.name)
    return Steps(loaded.name, whole, pairs, [name for name in values if name not in given])


def judge_steps(steps: Steps, *, seed: int = 0, progress: Callable[..., Iterable] | None = None) -> Judgement:
    """All steps from the output backwards, and then the inputs, each judged as `judge` does, in one judgement.

    Raises `InputError` as `judge`.
    """
    pairs = [*reversed(steps.pairs.values()), steps.pair]
    each = [judge(pair, seed=seed, progress=progress) for pair in pairs]
    lists = ([item for one in each for item in one[k]] for k in range(4))
    results, findings, notes, undecided = lists
    kinks = {name: entries for one in each for name, entries in one.kinks.items()}
    still = tuple(name for one in each for name in one.still)
    return Judgement(results, findings, list(dict.fromkeys(notes)), undecided, still, kinks)


def _nudged(loaded: Loaded, nudges: Mapping[str, np.ndarray]) -> tuple[Callable, dict[str, np.ndarray]]:
    """(the forward over positional arrays with these nudges, its inputs in order)."""
    forward = update_wrapper(partial(loaded.forward, nudge=dict(nudges)), loaded.forward)
    call, _, inputs = bind_by_name(forward, loaded.backward, loaded.inputs, loaded.inputs_of)
    return call, inputs


def _by_name(loaded: Loaded, cache: Any) -> dict[str, np.ndarray]:
    """The steps by name, in the order in which they are made: real numbers alone."""
    fields = cache if isinstance(cache, Mapping) else cache._asdict() if hasattr(cache, "_asdict") else None
    if fields is None:
        raise InputError(
            f"{loaded.path}: {loaded.name} returns its steps as a dict by name, or a named tuple, not a "
            f"{type(cache).__name__}"
        )
    return {str(n): np.asarray(a, dtype=float) for n, a in fields.items() if np.asarray(a).dtype.kind == "f"}


def _gradients(loaded: Loaded, names: list[str]) -> Callable[[Any, Any], dict]:
    """A function that gives all gradients by name: of `name_steps` and `name_backward`, or of the latter alone."""
    steps = getattr(loaded.module, f"{loaded.name}_steps", None)
    backward = bind_by_name(loaded.forward, loaded.backward, loaded.inputs, loaded.inputs_of)[1]

    def by_name(dy, cache):
        found = backward(dy, cache)
        if not isinstance(found, Mapping):
            found = found if isinstance(found, tuple | list) else [found]
            if len(found) != len(names):
                raise ValueError(f"{len(found)} gradients for {len(names)} inputs")
            found = dict(zip(names, found, strict=True))
        more = {} if steps is None else call_or_refuse(steps, dy, cache, called=f"{loaded.name}_steps")
        if not isinstance(more, Mapping):
            raise TypeError(f"{loaded.name}_steps returns a dict of gradients by name, not a {type(more).__name__}")
        return {name: gradient for name, gradient in {**found, **more}.items() if gradient is not None}

    return update_wrapper(by_name, loaded.backward)


def _refuse_unknown(loaded: Loaded, given: Mapping, values: Mapping, inputs: Mapping) -> None:
    """A gradient for something that is neither a step nor an input; or none for any step."""
    unknown = [name for name in given if name not in values and name not in inputs]
    if unknown:
        text = "" if isinstance(unknown[0], str) else "; name steps by text, as 'h1', gradients and nudges too"
        raise InputError(
            f"{loaded.path}: a gradient for {unknown[0]!r}, which is no step of {loaded.name}; "
            f"its steps are {', '.join(map(repr, values)) or 'none'}{text}"
        )
    if not set(values) & set(given):
        raise InputError(
            f"{loaded.path}: no gradient for any step; {loaded.name}_backward(dy, steps) returns a dict of them by "
            f"name, or write {loaded.name}_steps(dy, steps) that does"
        )


def _refuse_without_nudge(loaded: Loaded, name: str, value: np.ndarray, inputs: Mapping[str, np.ndarray]) -> None:
    """A step that does not move by the nudge that it is given."""
    nudge = random_direction(np.random.default_rng(0), value.shape)
    moved = call_or_refuse(_nudged(loaded, {name: nudge})[0], *inputs.values(), called=loaded.name)[1]
    moved = _by_name(loaded, moved)[name]
    if moved.shape != value.shape or not np.allclose(
        moved - value, nudge, rtol=CLOSE, atol=CLOSE * np.abs(value).max()
    ):
        raise InputError(
            f"{loaded.path}: {loaded.name} does not add nudge[{name!r}] to {name}: in the line that makes it, write "
            f"… + nudge.get({name!r}, 0)"
        )


def first_wrong(steps: Steps, judgement: Judgement) -> str | None:
    """The first name, from the output backwards, whose gradient is wrong or cannot be judged."""
    wrong = {finding.input for finding in (*judgement.findings, *judgement.undecided)}
    return next((name for name in steps.backwards if name in wrong), None)


def step_sentence(steps: Steps, judgement: Judgement) -> str:
    """Where to look, in one sentence."""
    first = first_wrong(steps, judgement)
    if first is None:
        return "all steps are right" if not judgement.status else "no single step is wrong"
    wrong = {finding.input for finding in (*judgement.findings, *judgement.undecided)}
    after = [name for name in steps.backwards if name in wrong and name != first]
    if first in steps.inputs:
        others = f", nor {', '.join(after)}" if after else ""
        return (
            f"all steps are right, and {first} is not{others}: look at the last lines, a product or a sum, or at a "
            f"step that uses {first} and is forgotten"
        )
    after = f" ({', '.join(after)} may be wrong only because of it)" if after else ""
    return f"first wrong from the output backwards: {first}; look at the line that makes the gradient of {first}{after}"
