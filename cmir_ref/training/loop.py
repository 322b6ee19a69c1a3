"""The training loop of all stages: epochs of Adam steps, running statistics, validation, and the best epoch is kept.

`train_epochs` is the loop over epochs, `one_epoch` that over batches; a `Task` says what is trained.

All that changes is a `State`. Everything else is a function of (seed, purpose, epoch), so a loop that starts from a
saved state goes where an uninterrupted one would have gone, bit for bit.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ..backend import Array, get_xp, to_device, to_host
from ..config import Schedule
from ..errors import NotFinite
from ..params import Params, flatten
from .adam import adam_by_numbers, adam_numbers, learning_rate
from .graph import StepGraphs
from .inputs import ahead

MOMENTUM = 0.9  # of the running statistics of batch normalisation
FADED = 1e-30  # numbers below it move no weight
MALLOC_OPTIONS = {-1: 512 << 20, -3: 32 << 20, -8: 1}  # glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX


class State(NamedTuple):
    """A network in training. `mean_*` are means over its epochs, `best_*` those after the epoch that validated best."""

    params: Params
    buffers: Params
    m: Array
    v: Array
    mean_params: Params
    mean_buffers: Params
    best_params: Params
    best_buffers: Params
    epoch: int = 0  # epochs done
    best_score: float = -np.inf
    best_epoch: int = 0


class Task(NamedTuple):
    """What a stage trains: the loop asks it for batches, for gradients, and for a score after each epoch.

    Linear regression, for example, in batches of ten rows:

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((20, 3))
    >>> y = x @ [[1.0], [2.0], [3.0]]
    >>> def gradients(params, buffers, batch, epoch, step):
    ...     error = x[batch] @ params["w"] - y[batch]
    ...     return {"loss": (error * error).mean()}, {"w": 2 * x[batch].T @ error / error.size}, {}
    >>> def validate(params, buffers):
    ...     return {"score": -np.abs(x @ params["w"] - y).max()}
    >>> schedule = Schedule(epochs=100, lr=0.1)
    >>> task = Task("regression", schedule, 2, lambda epoch: np.arange(20).reshape(2, 10), gradients, validate)
    >>> state = train_epochs(task, new_state({"w": np.zeros((3, 1))}, {}))
    >>> state.best_params["w"].round(2).tolist()
    [[1.0], [2.0], [3.0]]
    """

    name: str
    schedule: Schedule
    steps_per_epoch: int
    batches: Callable[[int], Iterable[Any]]  # epoch -> its batches, whatever `gradients` takes
    # (params, buffers, batch, epoch, step) -> "loss" and its parts, gradients by parameter, batch statistics by buffer
    gradients: Callable[..., tuple[dict, dict, dict]]
    # (params, buffers) -> figures, "score" among them: the higher the better
    validate: Callable[[Mapping, Mapping], dict[str, float]]
    # Algorithm 1: in each step first the parameters move whose names begin with the first prefixes, then those with the
    # second, and so on, each time by a new gradient; without prefixes all parameters move at once
    alternating: tuple[tuple[str, ...], ...] = ()
    lr_setting: str = "lr"  # the setting to make smaller where the loss diverges, by its name
    graph: bool = False  # on a GPU a step is captured once and replayed: `gradients` gets None as epoch and step
    rate: Callable[[int], float] | None = None  # step -> learning rate, where it is none of the schedule's own


class Epoch(NamedTuple):
    """What the loop reports after each epoch."""

    stage: str
    epoch: int
    epochs: int
    parts: dict[str, float]
    validation: dict[str, float]
    lr: float
    seconds: float
    best: bool


def by_name(arrays: Mapping[str, Array]) -> Params:
    """`Params` in the order of their names: a file returns them in an order of its own."""
    return Params(dict(sorted(arrays.items())))


def new_state(params: Mapping[str, Array], buffers: Mapping[str, Array]) -> State:
    """The state before the first epoch."""
    params, buffers = by_name(params), by_name(buffers)
    zeros, copies = get_xp(params.flat).zeros_like, (Params(params), Params(buffers), Params(params), Params(buffers))
    return State(params, buffers, zeros(params.flat), zeros(params.flat), *copies)


def keep_freed_memory() -> None:
    """Lets glibc keep the memory that a step frees for the next step; with another C library nothing happens.

    By default glibc gives large blocks, and what is free at the end of the heap, back to the kernel, which then has to
    clear every page of the next step: a quarter of the time of a small step. Blocks of up to 32 MiB, the most it takes,
    come from the heap now, of which up to 512 MiB stay when they are free, and threads share one heap (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for option, value in MALLOC_OPTIONS.items() if mallopt else ():
        mallopt(option, value)


class Optimiser(NamedTuple):
    """What the steps of a task have in common."""

    turns: list[Array | None]  # the entries of the flat vector that move, turn by turn; None stands for all of them
    decay: Array | float
    graphs: StepGraphs | None = None  # where steps are replayed
    numbers: Array | None = None  # (steps, 3) there: `adam_numbers` of all steps, for a graph cannot take Python's


@threadpool_limits.wrap(limits=1, user_api="blas")  # small products: waking more threads costs more than it gives
def train_epochs(task: Task, state: State, *, on_step=None, on_epoch=None) -> State:
    """Trains from `state.epoch` to the end and returns the last state.

    `on_step(done, steps, parts)` follows each batch (without parts where they are on a device),
    `on_epoch(state, Epoch)` each epoch (it saves and logs).
    Raises `FloatingPointError` when the loss is no longer finite, naming stage, epoch and setting.
    """
    keep_freed_memory()
    schedule, optimiser = task.schedule, make_optimiser(task, state.params)
    while state.epoch < schedule.epochs:
        started = time.perf_counter()
        parts, lr = one_epoch(task, state, optimiser, on_step)
        average_epochs(state, schedule.average)
        try:
            validation = task.validate(state.mean_params, state.mean_buffers)
        except NotFinite as error:
            raise FloatingPointError(
                f"{task.name}, epoch {state.epoch + 1}: validation: {error}; try a lower {task.lr_setting}"
            ) from error
        best = schedule.keep == "last" or validation["score"] >= state.best_score
        state = state._replace(epoch=state.epoch + 1)
        if best:
            state = state._replace(
                best_params=Params(state.mean_params),
                best_buffers=Params(state.mean_buffers),
                best_score=validation["score"],
                best_epoch=state.epoch,
            )
        if on_epoch:
            seconds = time.perf_counter() - started
            on_epoch(state, Epoch(task.name, state.epoch, schedule.epochs, parts, validation, lr, seconds, best))
    return state


def average_epochs(state: State, share: float) -> None:
    """Takes the weights after epoch `state.epoch` (from 0) into their mean over the epochs, in place.

        mean ← a·mean + (1 − a)·weights,   a = min(share, epoch/(epoch + 1))

    So the mean is over all epochs alike until earlier ones have that share, and then an exponential one. Running
    statistics likewise. With a share of 0 the mean is the weights themselves. (Polyak & Juditsky 1992; Izmailov et al.
    2018, arXiv 1803.05407.)
    """
    a = min(share, state.epoch / (state.epoch + 1))
    for mean, now in ((state.mean_params, state.params), (state.mean_buffers, state.buffers)):
        mean.flat[...] = a * mean.flat + (1 - a) * now.flat


def one_epoch(task: Task, state: State, optimiser: Optimiser, on_step=None) -> tuple[dict[str, float], float]:
    """All steps of epoch `state.epoch`, written into the parameters, the moments and the buffers of `state`.

    Returns the loss and its parts, each a mean over the batches, and the last learning rate.
    """
    params = state.params
    on_host = get_xp(params.flat) is np
    sums, done = {}, 0
    for batch in ahead(task.batches(state.epoch)):
        step = state.epoch * task.steps_per_epoch + done
        lr = _rate(task, step)
        if optimiser.graphs:
            parts = optimiser.graphs(partial(one_step, task, state, optimiser), (batch, optimiser.numbers[step]))
        else:
            parts = one_step(task, state, optimiser, batch, adam_numbers(step + 1, lr), state.epoch, done)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        done += 1
        if on_step:  # a loss on a device is read once an epoch: the host must not wait for each step
            on_step(done, task.steps_per_epoch, {name: value / done for name, value in sums.items() if on_host})
    means = {name: float(to_host(value)) / done for name, value in sums.items()}
    if not (np.isfinite(means["loss"]) and bool(get_xp(params.flat).isfinite(params.flat).all())):
        raise FloatingPointError(
            f"{task.name}, epoch {state.epoch + 1}: the loss is {means['loss']} and weights may no longer be finite; "
            f"try a smaller {task.lr_setting}"
        )
    for vector in (params.flat, state.m):  # what belongs to dead units fades; processors are slow on subnormal numbers
        vector *= abs(vector) > FADED
    return means, lr


def one_step(
    task: Task, state: State, optimiser: Optimiser, batch: Any, numbers: Any, epoch: Any = None, step: Any = None
) -> dict[str, Array]:
    """The loss and its parts of one batch; Adam's steps, turn by turn, and the statistics are written into `state`."""
    params, buffers = state.params, state.buffers
    for entries in optimiser.turns:
        parts, grads, statistics = task.gradients(params, buffers, batch, epoch, step)
        _adam(entries, state, flatten(grads, params), numbers, optimiser.decay)
    if statistics:
        buffers.flat[...] = MOMENTUM * buffers.flat + (1 - MOMENTUM) * flatten(statistics, buffers)
    return parts


def make_optimiser(task: Task, params: Params) -> Optimiser:
    """Which entries move in which turn, and the weight decay of each entry; on a GPU the graphs, where asked for."""
    turns, xp = [_entries(params, prefixes) for prefixes in task.alternating] or [None], get_xp(params.flat)
    optimiser = Optimiser(turns, _decay(params, task.schedule.weight_decay))
    if xp is np or not task.graph:
        return optimiser
    steps = range(task.schedule.epochs * task.steps_per_epoch)
    numbers = np.array([adam_numbers(step + 1, _rate(task, step)) for step in steps], params.flat.dtype)
    return optimiser._replace(graphs=StepGraphs(task.name, xp), numbers=to_device(numbers, xp))


def _rate(task: Task, step: int) -> float:
    """The learning rate of a step, counted over all epochs."""
    if task.rate:
        return task.rate(step)
    schedule, steps = task.schedule, task.schedule.epochs * task.steps_per_epoch
    return learning_rate(step, steps, schedule.lr, schedule.schedule, schedule.warmup)


def _entries(params: Params, prefixes: tuple[str, ...]) -> Array:
    """Where in the flat vector the parameters with these prefixes are."""
    moves = np.concatenate([np.full(array.size, name.startswith(prefixes)) for name, array in params.items()])
    return to_device(np.flatnonzero(moves), get_xp(params.flat))


def _adam(entries: Array | None, state: State, grad: Array, numbers: Any, decay: Array | float) -> None:
    """Adam on these entries alone, or on all: the others keep their values and moments."""
    theta, m, v = state.params.flat, state.m, state.v
    if entries is None:
        adam_by_numbers(theta, grad, m, v, numbers, decay=decay)
        return
    part = [array[entries] for array in (theta, m, v)]  # copies, which go back below
    decay = decay[entries] if hasattr(decay, "shape") else decay
    adam_by_numbers(part[0], grad[entries], part[1], part[2], numbers, decay=decay)
    theta[entries], m[entries], v[entries] = part


def _decay(params: Params, decay: float) -> Array | float:
    """Weight decay acts on matrices and kernels; biases and normalisation keep their scale."""
    if decay == 0:
        return 0.0
    per_entry = np.concatenate([np.full(a.size, decay if a.ndim > 1 else 0.0, dtype=a.dtype) for a in params.values()])
    return to_device(per_entry, get_xp(params.flat))
