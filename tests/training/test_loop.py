"""The loop on a problem small enough to follow by hand."""

import doctest
import platform
import subprocess
import sys
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from cmir_ref.config import Schedule
from cmir_ref.errors import NotFinite
from cmir_ref.training import loop
from cmir_ref.training.adam import BETA1, BETA2, EPSILON, learning_rate
from cmir_ref.training.loop import MOMENTUM, Task, make_optimiser, new_state, one_epoch, train_epochs


class World(NamedTuple):
    """‖x w + b − y‖² / n by full batches, whose validation scores are given."""

    seen: list
    scores: list
    infinite_at: int | None = None
    alternating: tuple = ()
    steps: int = 1
    settings: dict = {}  # noqa: RUF012 - never changed

    def task(self, name="stage2", epochs=4):
        random = np.random.default_rng(0)
        x = random.standard_normal((20, 3))
        y = x @ random.standard_normal((3, 2)) + 1

        def gradients(params, buffers, batch, epoch, step):
            error = x @ params["w"] + params["b"] - y
            loss = (error * error).mean() if epoch != self.infinite_at else np.inf
            grads = {"w": 2 * x.T @ error / error.size, "b": 2 * error.sum(axis=0) / error.size}
            self.seen.append((params.flat.copy(), epoch, step, batch))
            return {"loss": loss, "half": loss / 2}, grads, {"mean": np.full(2, 1.0 + epoch)}

        def validate(params, buffers):
            return {"score": self.scores[min(len(self.scores) - 1, self.seen[-1][1])], "w": float(params["w"][0, 0])}

        schedule = Schedule(**{"epochs": epochs, "lr": 0.1, "schedule": "constant"} | self.settings)
        setting = f"{name.partition('.')[0]}.lr"
        batches = lambda epoch: range(self.steps)  # noqa: E731
        return Task(name, schedule, self.steps, batches, gradients, validate, self.alternating, setting)


def start():
    return new_state({"w": np.ones((3, 2)), "b": np.ones(2)}, {"mean": np.zeros(2)})


def entries_of(params):
    """Where in the flat vector each parameter lies."""
    numbers = np.arange(params.flat.size)
    start = params.flat.__array_interface__["data"][0]
    offset = {name: (a.__array_interface__["data"][0] - start) // params.flat.itemsize for name, a in params.items()}
    return {name: numbers[offset[name] : offset[name] + a.size] for name, a in params.items()}


def test_the_example_of_a_task_is_true():
    results = doctest.testmod(loop)
    assert results.attempted >= 9 and results.failed == 0


def test_one_epoch_writes_into_its_state():
    task, state = World([], [0.5], steps=3).task(), start()
    before = state.params.flat.copy(), state.m.copy(), state.buffers["mean"].copy()
    means, lr = one_epoch(task, state, make_optimiser(task, state.params))
    assert means.keys() == {"loss", "half"} and lr == 0.1 and state.epoch == 0
    for old, new in zip(before, (state.params.flat, state.m, state.buffers["mean"]), strict=True):
        assert not np.array_equal(old, new)
    np.testing.assert_array_equal(state.best_params.flat, before[0])


def test_the_loss_goes_down_and_the_epochs_tell_it():
    lines = []
    state = train_epochs(World([], [0.5]).task(epochs=150), start(), on_epoch=lambda state, epoch: lines.append(epoch))
    losses = [line.parts["loss"] for line in lines]
    assert losses[-1] < 1e-3 * losses[0]
    assert [line.epoch for line in lines] == list(range(1, 151)) and {line.epochs for line in lines} == {150}
    assert all(line.parts["half"] == pytest.approx(line.parts["loss"] / 2) for line in lines)
    assert state.epoch == 150 and lines[0].lr == 0.1 and lines[0].stage == "stage2"


def test_the_best_epoch_is_kept():
    after = []
    state = train_epochs(
        World([], [0.2, 0.9, 0.3, 0.1]).task(),
        start(),
        on_epoch=lambda state, epoch: after.append((state.params.flat.copy(), epoch.best)),
    )
    assert [best for _, best in after] == [True, True, False, False]
    assert (state.best_epoch, state.best_score) == (2, 0.9)
    np.testing.assert_array_equal(state.best_params.flat, after[1][0])
    np.testing.assert_array_equal(state.params.flat, after[3][0])
    assert not np.array_equal(state.best_params.flat, state.params.flat)


def test_the_last_epoch_is_kept_where_asked():
    state = train_epochs(World([], [0.2, 0.9, 0.3, 0.1], settings={"keep": "last"}).task(), start())
    assert (state.best_epoch, state.best_score) == (4, 0.1)
    np.testing.assert_array_equal(state.best_params.flat, state.params.flat)


def test_the_later_of_two_equal_epochs_is_kept():
    assert train_epochs(World([], [0.2, 0.9, 0.9, 0.1]).task(), start()).best_epoch == 3


def test_running_statistics_follow_the_batches_and_are_never_optimised():
    buffers = []
    state = train_epochs(
        World([], [0.5, 0.4, 0.3]).task(epochs=3),
        start(),
        on_epoch=lambda state, _: buffers.append(state.buffers["mean"].copy()),
    )
    wanted, running = 0.0, []
    for value in (1.0, 2.0, 3.0):
        wanted = MOMENTUM * wanted + (1 - MOMENTUM) * value
        running.append(wanted)
    np.testing.assert_allclose(buffers, np.transpose([running, running]))
    np.testing.assert_allclose(state.best_buffers["mean"], running[0])  # as they were in the best epoch
    assert state.m.size == state.v.size == state.params.flat.size == 8  # no moments for buffers


def test_decay_acts_on_matrices_alone():
    ends = [
        train_epochs(World([], [0.5], settings={"weight_decay": d}).task(epochs=1), start()).params for d in (0, 0.7)
    ]
    np.testing.assert_array_equal(ends[0]["b"], ends[1]["b"])
    np.testing.assert_allclose(ends[0]["w"] - ends[1]["w"], 0.1 * 0.7 * np.ones((3, 2)), rtol=1e-5)


def test_parameters_move_in_turn():
    seen = []
    task = World(seen, [0.5], alternating=(("w",), ("b",)), steps=2).task(epochs=1)
    state = train_epochs(task, start())
    points = [flat for flat, *_ in seen] + [state.params.flat]
    moved = [b != a for a, b in pairwise(points)]
    part = {name: np.isin(np.arange(8), entries) for name, entries in entries_of(state.params).items()}
    np.testing.assert_array_equal(moved, [part["w"], part["b"]] * 2)
    assert [step for _, _, step, _ in seen] == [0, 0, 1, 1]
    together = train_epochs(World([], [0.5], steps=2).task(epochs=1), start())
    assert not np.array_equal(together.params.flat, state.params.flat)


def test_the_steps_of_adam_are_counted_over_all_epochs():
    """Two epochs of three steps are one of six where nothing else depends on the epoch."""
    ends = [train_epochs(World([], [0.5], steps=steps).task(epochs=6 // steps), start()).params for steps in (3, 6)]
    np.testing.assert_array_equal(ends[0].flat, ends[1].flat)


def test_each_turn_has_the_moments_of_its_parameters():
    """One turn for everything moves it as no turns do: with the moments of all steps before."""
    ends = [train_epochs(World([], [0.5], alternating=a).task(epochs=5), start()) for a in ((("w", "b"),), ())]
    np.testing.assert_array_equal(ends[0].params.flat, ends[1].params.flat)
    np.testing.assert_array_equal(ends[0].m, ends[1].m)
    np.testing.assert_array_equal(ends[0].v, ends[1].v)


def textbook(task, params, buffers):
    """`train_epochs` without a flat vector: Adam for one parameter after the other, in the order of Algorithm 1."""
    schedule = task.schedule
    params, buffers = ({n: a.copy() for n, a in arrays.items()} for arrays in (params, buffers))
    m, v = ({n: np.zeros_like(a) for n, a in params.items()} for _ in range(2))
    best, steps, t, after = (-np.inf, 0, None), schedule.epochs * task.steps_per_epoch, 0, []
    for epoch in range(schedule.epochs):
        for number, batch in enumerate(task.batches(epoch)):
            t += 1
            lr = learning_rate(t - 1, steps, schedule.lr, schedule.schedule, schedule.warmup)
            for prefixes in task.alternating or [("",)]:
                _, grads, statistics = task.gradients(params, buffers, batch, epoch, number)
                for n in (n for n in params if n.startswith(prefixes)):
                    m[n] = BETA1 * m[n] + (1 - BETA1) * grads[n]
                    v[n] = BETA2 * v[n] + (1 - BETA2) * grads[n] ** 2
                    decay = schedule.weight_decay if params[n].ndim > 1 else 0
                    step = m[n] / (1 - BETA1**t) / (np.sqrt(v[n] / (1 - BETA2**t)) + EPSILON)
                    params[n] = params[n] - lr * (step + decay * params[n])
            for n, value in statistics.items():
                buffers[n] = MOMENTUM * buffers[n] + (1 - MOMENTUM) * value
        after.append({n: a.copy() for n, a in (params | buffers).items()})
        shares = mean_shares(epoch + 1, schedule.average)
        mean = {n: sum(share * one[n] for share, one in zip(shares, after, strict=True)) for n in after[0]}
        score = task.validate({n: mean[n] for n in params}, {n: mean[n] for n in buffers})["score"]
        if schedule.keep == "last" or score >= best[0]:
            best = score, epoch + 1, mean
    return params | buffers, best


def mean_shares(epochs, average):
    """What part each of so many epochs has in the mean of the weights: they sum to 1."""
    kept = [min(average, e / (e + 1)) for e in range(epochs)]
    return [(1 - kept[e]) * np.prod(kept[e + 1 :]) for e in range(epochs)]


def test_a_mean_is_over_all_epochs_alike_until_it_is_an_exponential_one():
    np.testing.assert_allclose(mean_shares(4, 0.9), [1 / 4] * 4)
    np.testing.assert_allclose(mean_shares(4, 0.5), [1 / 8, 1 / 8, 1 / 4, 1 / 2])
    assert mean_shares(3, 0.0) == [0, 0, 1]


SHAPES = {"one.w": (3, 2), "two.w": (2, 4), "one.b": (2,), "two.b": (4,), "kernel": (3, 3, 1, 2), "both.w": (1, 3)}
TURNS = {
    "together": (),
    "in turn": (("one.", "both."), ("two.", "kernel", "both.")),  # what belongs to both moves twice
    "the other way": (("two.", "kernel", "both."), ("one.", "both.")),
    "some stand still": (("two.w",), ("kernel", "one.b")),
}


@pytest.mark.parametrize("average", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("warmup", [0.0, 0.4])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("names", [sorted(SHAPES), sorted(SHAPES, reverse=True)], ids=["matrices last", "first"])
def test_any_settings_together_are_the_textbook_s(names, turns, decay, schedule, warmup, keep, average):
    """Settings that meet in one line are tried together: the decay of what moves in a turn, say."""
    random = np.random.default_rng(3)
    params = {n: random.standard_normal(SHAPES[n]) for n in names}
    goals = {n: random.standard_normal((6, *SHAPES[n])) for n in names}

    def gradients(params, buffers, batch, epoch, step):
        shift = sum(float(a.sum()) for a in params.values())  # so that the second turn sees what the first one moved
        grads = {n: a - goals[n][batch] + 0.1 * np.sin(shift) for n, a in params.items()}
        return {"loss": shift * shift}, grads, {"mean": np.full(2, shift + epoch)}

    def validate(params, buffers):
        return {"score": float(np.sin(40 * params["one.w"].sum() + buffers["mean"].sum()))}

    rates = {"lr": 0.05, "schedule": schedule, "warmup": warmup, "weight_decay": decay}
    settings = Schedule(epochs=5, keep=keep, average=average, **rates)
    batches = lambda epoch: [(2 * epoch + k) % 6 for k in range(3)]  # noqa: E731
    task = Task("stage2", settings, 3, batches, gradients, validate, TURNS[turns])
    state = train_epochs(task, new_state(params, {"mean": np.zeros(2)}))
    end, (score, epoch, best) = textbook(task, params, {"mean": np.zeros(2)})
    last, kept = {**state.params, **state.buffers}, {**state.best_params, **state.best_buffers}
    for ours, theirs in ((last, end), (kept, best)):
        for n, wanted in theirs.items():
            np.testing.assert_allclose(ours[n], wanted, rtol=1e-10, atol=1e-12, err_msg=n)
    assert state.best_epoch == epoch and state.best_score == pytest.approx(score, rel=1e-8)


def test_a_schedule_runs_over_all_steps():
    rates = []
    settings = {"schedule": "cosine"}
    task = World([], [0.5], steps=3, settings=settings).task(epochs=2)
    train_epochs(task, start(), on_epoch=lambda _, epoch: rates.append(epoch.lr))
    np.testing.assert_allclose(rates, [0.05 * (1 + np.cos(np.pi * s / 6)) for s in (2, 5)])


def test_a_task_can_have_a_learning_rate_of_its_own():
    """It is asked for each step, counted over all epochs; by a rate of 0 nothing moves."""
    asked, rates = [], []
    task = World([], [0.5], steps=3).task(epochs=2)._replace(rate=lambda step: asked.append(step) or 0.0)
    state = train_epochs(task, start(), on_epoch=lambda _, epoch: rates.append(epoch.lr))
    assert asked == [*range(6)] and rates == [0.0, 0.0]
    np.testing.assert_array_equal(state.params["w"], 1)


def test_steps_are_told_with_the_mean_so_far():
    told, losses, task = [], iter([4.0, 1.0, 7.0]), World([], [0.5], steps=3).task(epochs=1)
    given = task._replace(gradients=lambda *what: ({"loss": next(losses)}, *task.gradients(*what)[1:]))
    train_epochs(given, start(), on_step=lambda *step: told.append(step))
    assert told == [(1, 3, {"loss": 4.0}), (2, 3, {"loss": 2.5}), (3, 3, {"loss": 4.0})]


def test_a_loss_that_is_not_finite_is_an_error_that_says_where():
    done = []
    task = World([], [0.5], infinite_at=2).task(name="stage1.b")
    with pytest.raises(FloatingPointError, match=r"stage1\.b, epoch 3.*inf.*stage1\.lr"):
        train_epochs(task, start(), on_epoch=lambda state, _: done.append(state.epoch))
    assert done == [1, 2]


def test_weights_that_are_not_finite_are_an_error_while_the_loss_still_is():
    """As after the last step of an epoch: its loss is of the weights before."""
    task, done = World([], [0.5], steps=3).task(name="stage1.b"), []

    def gradients(params, buffers, batch, epoch, step):
        parts, grads, statistics = task.gradients(params, buffers, batch, epoch, step)
        return parts, {name: g * (np.nan if (epoch, step) == (1, 2) else 1) for name, g in grads.items()}, statistics

    with pytest.raises(FloatingPointError, match=r"stage1\.b, epoch 2: the loss is [\d.]+ and weights .*stage1\.lr"):
        train_epochs(task._replace(gradients=gradients), start(), on_epoch=lambda state, _: done.append(state.epoch))
    assert done == [1]


def test_a_validation_that_is_not_finite_is_one_too():
    def fails(*_):
        raise NotFinite("distances: not all of them are finite")

    task = World([], [0.5]).task(name="stage1.b")._replace(validate=fails)
    with pytest.raises(FloatingPointError, match=r"stage1\.b, epoch 1: .*distances: not all.*lower stage1\.lr"):
        train_epochs(task, start())


def test_a_state_goes_on_where_it_stopped():
    whole = train_epochs(World([], [0.1, 0.2, 0.3]).task(epochs=6), start())
    half = []

    def stop(state, epoch):
        half.append(state)
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_epochs(World([], [0.1, 0.2, 0.3]).task(epochs=6), start(), on_epoch=stop)
    resumed = train_epochs(World([], [0.1, 0.2, 0.3]).task(epochs=6), half[-1])
    np.testing.assert_array_equal(resumed.params.flat, whole.params.flat)
    np.testing.assert_array_equal(resumed.v, whole.v)


def test_what_fades_becomes_zero_before_it_is_subnormal():
    state = start()
    state.m[:] = [1e-29, -1e-29, 1e-31, -1e-31, 0, 1, 1e-40, -3]
    state.params.flat[:] = [1e-29, -1e-29, 1e-31, -1e-31, 0, 1, 1e-40, -3]
    task = World([], [0.5], settings={"lr": 1e-300}).task(epochs=1)
    zero = {"w": np.zeros((3, 2)), "b": np.zeros(2)}
    task = task._replace(
        gradients=lambda *_: ({"loss": 0.0}, zero, {}), validate=lambda params, buffers: {"score": params["w"].max()}
    )
    state = train_epochs(task, state)
    for vector, factor in ((state.m, 0.9), (state.params.flat, 1)):
        np.testing.assert_allclose(vector, factor * np.array([1e-29, -1e-29, 0, 0, 0, 1, 0, -3]), rtol=1e-12)


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="memory of glibc")
def test_what_a_step_frees_is_kept_for_the_next():
    """The pages of arrays that were freed are there when arrays of that size are asked for again, in a thread, too."""
    script = """if True:
        import resource
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        from cmir_ref.training.loop import keep_freed_memory

        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            arrays = [np.ones(1 << 20) for _ in range(10)]  # 80 MiB, 20 480 pages
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        keep_freed_memory()
        with ThreadPoolExecutor(1) as pool:
            print(faults(), faults(), pool.submit(faults).result())
    """
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    first, again, in_a_thread = map(int, told.split())
    assert max(again, in_a_thread) < 1000 < first
