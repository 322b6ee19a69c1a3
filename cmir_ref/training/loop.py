"""The loop that both stages share: epochs of Adam steps, running statistics, validation, the best epoch kept.

All that changes is a `State`; everything else is a function of (seed, purpose, epoch), so a loop that starts from a
saved state goes where an uninterrupted one would have gone, bit for bit.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ..backend import Array, get_xp, to_device, to_host
from ..config import Schedule
from ..params import Params, flatten
from .adam import adam, learning_rate
from .inputs import ahead

MOMENTUM = 0.9  # of the running statistics of batch normalisation
FADED = 1e-30  # numbers below it move no weight


class State(NamedTuple):
    """A network in training. `best_*` are the values after the epoch that validated best."""

    params: Params
    buffers: Params
    m: Array
    v: Array
    best_params: Params
    best_buffers: Params
    epoch: int = 0  # epochs done
    best_score: float = -np.inf
    best_epoch: int = 0


class Task(NamedTuple):
    """What one stage trains."""

    name: str
    schedule: Schedule
    steps_per_epoch: int
    batches: Callable[[int], Iterable[Any]]  # epoch -> batches
    gradients: Callable[
        ..., tuple[dict, dict, dict]
    ]  # (params, buffers, batch, epoch, step) -> parts, grads, statistics
    validate: Callable[[Mapping, Mapping], dict[str, float]]  # (params, buffers) -> figures, "score" among them
    groups: tuple[tuple[str, ...], ...] = ((),)  # parameter prefixes updated in turn; () is all at once


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
    """`Params` in the order of their names: the order in which a file returns them is its own."""
    return Params(dict(sorted(arrays.items())))


def new_state(params: Mapping[str, Array], buffers: Mapping[str, Array]) -> State:
    """The state before the first epoch."""
    params, buffers = by_name(params), by_name(buffers)
    zeros = get_xp(params.flat).zeros_like
    return State(params, buffers, zeros(params.flat), zeros(params.flat), Params(params), Params(buffers))


def keep_freed_memory() -> None:
    """Lets glibc keep what a step frees for the next one; elsewhere nothing happens.

    It gives memory back to the kernel, which then clears every page of the next step: a quarter of the time of a small
    one. Freeing one large block raises the size from which it does so to twice the block's (mallopt(3),
    M_MMAP_THRESHOLD; 32 MiB is the most that counts). The block is never written to, so it takes no memory.
    """
    np.empty(31 * 2**20, np.uint8)


@threadpool_limits.wrap(limits=1, user_api="blas")  # small products: waking more threads costs more than it gives
def train_epochs(task: Task, state: State, *, on_step=None, on_epoch=None) -> State:
    """Trains from `state.epoch` to the end and returns the last state.

    `on_step(done, steps, parts)` follows each batch (without parts where they are on a device),
    `on_epoch(state, Epoch)` each epoch (it saves and logs).
    Raises `FloatingPointError` when the loss is no longer finite, naming stage, epoch and step.
    """
    keep_freed_memory()
    schedule = task.schedule
    masks = [_mask(state.params, group) for group in task.groups]
    decay = _decay(state.params, schedule.weight_decay)
    here = get_xp(state.params.flat) is np
    total_steps = schedule.epochs * task.steps_per_epoch
    while state.epoch < schedule.epochs:
        epoch, started, sums, done = state.epoch, time.perf_counter(), {}, 0
        params, buffers, m, v = state.params, state.buffers, state.m, state.v
        for batch in ahead(task.batches(epoch)):
            step = epoch * task.steps_per_epoch + done
            lr = learning_rate(step, total_steps, schedule.lr, schedule.schedule, schedule.warmup)
            for mask in masks:
                parts, grads, statistics = task.gradients(params, buffers, batch, epoch, done)
                grad = flatten(grads, params)
                if mask is None:
                    adam(params.flat, grad, m, v, step + 1, lr, decay=decay)
                else:
                    _adam_of_some(mask, params.flat, grad, m, v, step + 1, lr, decay)
            for name, value in statistics.items():
                buffers[name][...] = MOMENTUM * buffers[name] + (1 - MOMENTUM) * value
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
            done += 1
            if on_step:  # a loss on a device is read once an epoch: the host must not wait for each step
                on_step(done, task.steps_per_epoch, {name: value / done for name, value in sums.items() if here})
        means = {name: float(to_host(value)) / max(done, 1) for name, value in sums.items()}
        if not (np.isfinite(means["loss"]) and bool(get_xp(params.flat).isfinite(params.flat).all())):
            raise FloatingPointError(
                f"{task.name}, epoch {epoch + 1}: the loss is {means['loss']} and weights may no longer be finite; "
                f"try a smaller {task.name[:6]}.lr"
            )
        for vector in (params.flat, m):  # what belongs to dead units fades; processors are slow on subnormal numbers
            vector *= abs(vector) > FADED
        validation = task.validate(params, buffers)
        best = schedule.keep == "last" or validation["score"] >= state.best_score
        state = state._replace(epoch=epoch + 1)
        if best:
            state = state._replace(
                best_params=Params(params),
                best_buffers=Params(buffers),
                best_score=validation["score"],
                best_epoch=epoch + 1,
            )
        if on_epoch:
            seconds = time.perf_counter() - started
            on_epoch(state, Epoch(task.name, epoch + 1, schedule.epochs, means, validation, lr, seconds, best))
    return state


def _mask(params: Params, prefixes: tuple[str, ...]) -> Array | None:
    """Where in the flat vector the parameters with these prefixes lie; None for all of them."""
    if not prefixes:
        return None
    own = np.concatenate([np.full(array.size, name.startswith(prefixes)) for name, array in params.items()])
    return to_device(np.flatnonzero(own), get_xp(params.flat))


def _adam_of_some(mask, theta, grad, m, v, t, lr, decay) -> None:
    """Adam on the entries `mask` alone; the others keep their values and moments."""
    own = [array[mask] for array in (theta, m, v)]
    adam(own[0], grad[mask], own[1], own[2], t, lr, decay=decay[mask] if hasattr(decay, "shape") else decay)
    theta[mask], m[mask], v[mask] = own


def _decay(params: Params, decay: float) -> Array | float:
    """Weight decay acts on matrices and kernels; biases and normalisation keep their scale."""
    if decay == 0:
        return 0.0
    per_entry = np.concatenate([np.full(a.size, decay if a.ndim > 1 else 0.0, dtype=a.dtype) for a in params.values()])
    return to_device(per_entry, get_xp(params.flat))
