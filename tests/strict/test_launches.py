"""Launches of a step, counted on the stand-in, where the kernels run in C++; and what a step sends and waits for.

A launch takes the host of a GPU longer than most of what these steps launch takes the GPU. A GPU's own profiler counted
315 in a latent step where this count was 303.
"""

import threading

import drawn_worlds
import numpy as np
import pytest
import worlds
from strict import test_training
from strict.moves import arrays
from strict.standin import counted_launches, no_traffic, traffic
from strict.standin import xp as strict
from strict.test_training import NETWORKS, stage1, stage2, trained

from cmir_ref.attention.inference import BY_CONTEXT
from cmir_ref.attention.objective import KINDS_OF_ATTENTION
from cmir_ref.attention.stage2 import Inputs, attended_task, init_attended
from cmir_ref.attention.system import as_it_is
from cmir_ref.backend import to_device, to_host
from cmir_ref.bench.peers import relative_differences
from cmir_ref.bench.steps import SHAPES, conv_step, latent_step
from cmir_ref.cmirnet.many_training import many_network, many_task
from cmir_ref.cmirnet.stage1 import stage1_task
from cmir_ref.cmirnet.stage2 import latent_settings, stage2_task
from cmir_ref.config import load_config
from cmir_ref.data import split_data
from cmir_ref.ops.max_pool import max_pool, max_pool_backward
from cmir_ref.records import Splits
from cmir_ref.systems import SYSTEMS
from cmir_ref.training.inputs import Source
from cmir_ref.training.loop import new_state, train_epochs

LATENT, CONV, MAX_POOL, MATCH = 120, 150, 8, 430  # at most


def launches(work) -> int:
    """Of the second time: the first may compile. What was launched is printed, to be seen where there are too many."""
    work()
    with counted_launches() as found:
        work()
    print(f"{threading.active_count()} threads; {found.most_common(12)}")
    return sum(found.values())


@pytest.mark.parametrize("batch", [1, 8])
def test_a_latent_step_has_few_launches_and_numpy_s_gradients(by_kernels, batch):
    step = latent_step(batch, strict, "float64")
    assert launches(step.step) <= LATENT
    sides = (latent_step(batch, xp, "float64").gradients() for xp in (strict, np))
    found, wanted = ({k: to_host(v) for k, v in side.items()} for side in sides)
    assert max(relative_differences(found, wanted).values()) < 1e-12


@pytest.mark.parametrize("order", ["paper", "released-frozen", "released-train"])
def test_a_convolution_step_has_few_launches_and_numpy_s_gradients(by_kernels, order):
    make = lambda xp: conv_step(SHAPES["mul"], order, 2, xp, "float64")  # noqa: E731
    found, wanted = ({k: to_host(v) for k, v in make(xp).gradients().items()} for xp in (strict, np))
    assert max(relative_differences(found, wanted).values()) < 1e-9
    assert launches(make(strict).step) <= CONV


def test_plain_pooling_has_few_launches():
    x = strict.asarray(np.random.default_rng(0).normal(size=(2, 9, 8, 3)))
    y, cache = max_pool(x, 4)
    assert launches(lambda: max_pool(x, 4)) <= MAX_POOL
    assert launches(lambda: max_pool_backward(y, cache)) <= MAX_POOL


# ---- the loop --------------------------------------------------------------------------------------------------------


def many(xp):
    """Stage 2 of three modalities."""
    config = worlds.config("d_z=8", "d_v=5", "stage2.batch_size=6", "stage2.epochs=1", "stage2.feature_dropout=0.2")
    rng, rows = np.random.default_rng(0), np.arange(18)
    z, y = tuple(rng.random((18, 8)).astype("float32") for _ in "abc"), rng.integers(0, 3, 18)
    return many_task(config, many_network(config, y), z, y, rows, rows, xp)


def on(xp, monkeypatch, build, changes):
    """The task of `build(*changes)` on `xp`, and its first parameters and buffers there."""
    made = []
    for name in ("stage1_task", "stage2_task"):
        right = {"stage1_task": stage1_task, "stage2_task": stage2_task}[name]
        monkeypatch.setattr(
            test_training, name, lambda *args, right=right, **more: made.append(right(*args, xp, **more)) or made[-1]
        )
    task, *state = build(*changes)
    return task, *({k: to_device(v, xp) for k, v in part.items()} for part in state)


SEEN = ("stage1.light=0.2", "stage1.crops=0.6", "stage1.cut_out=0.3", "stage1.mix_up=0.4", "stage1.label_smoothing=0.1")
STEPS = NETWORKS | {
    "stage1/turned": (stage1, ("mul", "stage1.augment=true")),
    "stage1/seen again": (stage1, ("mul", "stage1.augment=true", *SEEN)),
    "stage2/thin": (stage2, ("stage2.feature_dropout=0.3",)),
}


@pytest.mark.parametrize("name", STEPS)
def test_nothing_is_sent_and_nobody_waits_between_the_batches_of_an_epoch(monkeypatch, by_kernels, name):
    """From the second batch on; the steps on them are those of `test_training_by_kernels_is_training`."""
    build, changes = STEPS[name]
    assert_silent(on(strict, monkeypatch, build, changes)[0])


def test_nothing_is_sent_in_a_step_of_many_modalities(by_kernels):
    assert_silent(many(strict))


def attended(xp, kind, *changes):
    """Stage 2 of photos and sketches, with an attention that reads features, or maps of 4 places and 5 channels."""
    anyone = ("gate_pairs=half-any",) if kind in BY_CONTEXT else ()
    settings = drawn_worlds.config(
        f"attention={kind}", "stage2.feature_dropout=0.2", *anyone, "stage2.batch_size=6", *changes
    )
    settings = settings.model_copy(update={"d_z": 8})
    rng, rows, labels = np.random.default_rng(0), np.arange(18), {m: np.arange(18) % 3 for m in "ab"}
    of = {kind: Source(rng.random(shape).astype("f4"), labels["a"], kind, as_it_is) for kind, shape in MADE.items()}
    a, b, context = (of[x] for x in (("map", "features", "map") if kind == "spatial" else [FED[kind]] * 3))
    heads = {f"{m}.1.w": rng.random((20, 8)).astype("f4") for m in "ab"} | {f"{m}.1.b": np.ones(8, "f4") for m in "ab"}
    network = latent_settings(settings, dict.fromkeys("ab", (8,)), labels)
    parts = Splits(*(dict.fromkeys("ab", rows) for _ in range(3)))
    inputs = Inputs(a, b, context, heads)
    task = attended_task(settings, network, inputs, lambda epoch: np.stack([rows, rows], axis=1), 18, parts, xp)
    return task, init_attended(settings, network, 3, 5)


MADE = {"features": (18, 8), "map": (18, 4, 5)}
FED = {"none": "features", "self": "features", "channel": "features", "mask": "map"}


@pytest.mark.parametrize("kind", KINDS_OF_ATTENTION)
def test_nothing_is_sent_in_a_step_of_an_attention_and_it_is_numpy_s(by_kernels, kind):
    (task, (params, _)), (host, _) = (attended(xp, kind) for xp in (strict, np))
    assert_silent(task)
    there = {name: to_device(w, strict) for name, w in params.items()}
    for one, other in zip(task.batches(0), host.batches(0), strict=True):
        with no_traffic():
            _, found, _ = task.gradients(there, {}, one, 0, 0)
        _, wanted, _ = host.gradients(params, {}, other, 0, 0)
        found = {name: to_host(g) for name, g in found.items()}
        assert max(relative_differences(found, wanted).values()) < 1e-4


@pytest.mark.parametrize("kind", KINDS_OF_ATTENTION)
def test_a_step_of_an_attention_has_few_launches(by_kernels, kind):
    task, (params, _) = attended(strict, kind)
    there, batch = {name: to_device(w, strict) for name, w in params.items()}, next(iter(task.batches(0)))
    assert launches(lambda: task.gradients(there, {}, batch, 0, 0)) <= CONV


def captions(xp, *changes, stage="match"):
    """A stage of AMFMN on the simulated world's captions, with what it begins with."""
    few = ("d=6", "word_width=5", "min_count=1", "pretrain=true", f"{stage}.batch_size=6")
    settings = load_config("image-text", [*few, *changes])
    data = worlds.captioned()
    parts = split_data(settings, data)
    parts = parts._replace(train=parts.train | {"a": parts.train["a"][:18]})
    found = next(s for s in SYSTEMS["amfmn"].stages(settings, {"a": "image", "b": "text"}) if s.name == stage)
    made = SYSTEMS["amfmn"].stages(settings, {})[-1].fit(settings, data, parts, {})
    return found.task(settings, data, parts, made, xp), found.init(settings, data)


OF_CAPTIONS = {
    "labels": ("labels",),
    "sentence": ("match", "word_dropout=0.2", "image_dropout=0.3"),
    "last": ("match", "sentence=last", "reset=before", "attention=scalar", "loss=mean", "own_captions=kept"),
    "keywords": ("match", "text=keywords", "margin.kind=fixed", "mvsa=false", "attention=none"),
    "both": ("match", "text=both", "attention=fusion", "negatives=hardest", "word_dropout=0.2"),
    "gates": ("match", "text=both", "attention=vector", "unit_texts=false", "residual=convolved"),
}


@pytest.mark.parametrize("name", OF_CAPTIONS)
def test_nothing_is_sent_in_a_step_of_images_and_captions_and_it_is_numpy_s(by_kernels, name):
    stage, *changes = OF_CAPTIONS[name]
    (task, first), (host, _) = (captions(xp, *changes, stage=stage) for xp in (strict, np))
    assert_silent(task)
    params, buffers = ({name: to_device(w, strict) for name, w in part.items()} for part in first)
    for one, other in zip(task.batches(0), host.batches(0), strict=True):
        with no_traffic():
            _, found, _ = task.gradients(params, buffers, one, 0, 0)
        _, wanted, _ = host.gradients(*first, other, 0, 0)
        found = {name: to_host(g) for name, g in found.items()}
        assert max(relative_differences(found, wanted).values()) < 1e-4


@pytest.mark.parametrize("name", OF_CAPTIONS)
def test_a_step_of_images_and_captions_has_few_launches(by_kernels, name):
    """A word costs eight: forward and backward a product and a kernel, in two directions of the sentence."""
    stage, *changes = OF_CAPTIONS[name]
    task, first = captions(strict, *changes, stage=stage)
    params, buffers = ({name: to_device(w, strict) for name, w in part.items()} for part in first)
    batch = next(iter(task.batches(0)))
    words = 8 * batch[1].shape[1] if stage == "match" else 0
    most = {"labels": CONV, "sentence": MATCH + words, "keywords": MATCH + words}.get(name, 2 * MATCH)
    assert launches(lambda: task.gradients(params, buffers, batch, 0, 0)) <= most


def assert_silent(task):
    batches = list(task.batches(0))
    assert len(batches) >= 3
    uploads = sum(traffic.uploads.values())
    coming = task.batches(0)
    next(coming)
    first = sum(traffic.uploads.values()) - uploads
    with no_traffic():
        rest = list(coming)
    assert len(rest) == len(batches) - 1 and first <= 8
    for one, two in zip(arrays(rest), arrays(batches[1:]), strict=True):
        np.testing.assert_array_equal(one._array, two._array)


@pytest.mark.parametrize("name", ["stage2/default", "stage2/released", "stage1/paper"])
def test_a_step_of_the_loop_has_few_launches(monkeypatch, by_kernels, name):
    """Its batch is made, gradients, Adam, statistics and the sums for the log: all that a step launches."""
    build, changes = NETWORKS[name]
    task, params, buffers = on(strict, monkeypatch, build, changes)
    counts = []
    for batches in (1, 2):
        few = task._replace(
            batches=lambda epoch, few=batches: [b for b, _ in zip(task.batches(epoch), range(few), strict=False)],
            validate=lambda params, buffers: {"score": 0.0},
            schedule=task.schedule.model_copy(update={"epochs": 1}),
        )
        with counted_launches() as found:
            train_epochs(few, new_state(params, buffers))
        counts.append(sum(found.values()))
    limit = LATENT if name.startswith("stage2") else CONV
    assert 0 < counts[1] - counts[0] <= limit


BY_KERNELS = ["stage1/released", "stage1/features", "stage1/soft"]  # the other convolutions take the processor long
BY_KERNELS += [name for name in NETWORKS if name.startswith("stage2") and "end" not in name]


@pytest.mark.parametrize("name", BY_KERNELS)
def test_training_by_kernels_is_training(monkeypatch, by_kernels, name):
    """Two epochs by the kernels end where two by NumPy do, but for the rounding of float32."""
    state, losses = trained(name, strict, during=no_traffic)
    monkeypatch.setattr(strict, "runs_kernels", False)
    expected, expected_losses = trained(name, strict)
    for one, two in zip(losses, expected_losses, strict=True):
        assert one == pytest.approx(two, rel=2e-4)
    assert set(state.params) == set(expected.params)
