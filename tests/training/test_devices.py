"""Whole runs on another library, the stand-in for CuPy: the same numbers, and what goes between host and device."""

from collections import Counter

import numpy as np
import pytest
import worlds
from strict.standin import DeviceArray, traffic
from strict.standin import xp as strict

from cmir_ref import backend, runs, search
from cmir_ref.backend import get_xp, to_host
from cmir_ref.cmirnet.stage1 import init_pretrainer, stage1_task
from cmir_ref.config import Looks
from cmir_ref.data import load_data
from cmir_ref.training import inputs, transfer
from cmir_ref.training.augment import (
    draw_hands,
    draw_looks,
    random_shift,
    random_symmetry,
    random_voice,
    redraw,
    see_again,
)
from cmir_ref.training.inputs import fit_normaliser, standardise_each
from cmir_ref.training.loop import new_state, train_epochs
from cmir_ref.training.transfer import OnDevice, Sent, Turned, on_device, send_parts

PICTURES = ("fused=false", "stage1.augment=true", "stage1.average_views=true", "latent_dropout=both")
SHORT = ("stage1.epochs=1", "stage2.epochs=2")


@pytest.fixture(autouse=True)
def cuda_is_the_stand_in(monkeypatch):
    """`device="cuda"` computes on the stand-in; what it counts starts anew."""
    for module in (runs, search):
        monkeypatch.setattr(module, "library", lambda device: strict if device == "cuda" else np)
    monkeypatch.setattr(runs, "write_report", lambda run, result, examples: None)
    traffic.uploads.clear()
    traffic.waits.clear()


@pytest.fixture
def too_large(monkeypatch):
    """No data set fits into the device's memory."""
    monkeypatch.setattr(transfer, "free_memory", lambda xp: 0)


def assert_same(run, other):
    assert run.tensors.keys() == other.tensors.keys()
    for name, array in other.tensors.items():
        assert isinstance(run.tensors[name], np.ndarray), name
        assert run.tensors[name].tobytes() == array.tobytes(), name
    for m, encoded in other.encoded.items():
        v = run.encoded[m]["v"]
        assert isinstance(v, np.ndarray) and v.tobytes() == encoded["v"].tobytes()
    without = [[{k: v for k, v in line.items() if k != "seconds"} for line in r.history] for r in (run, other)]
    assert without[0] == without[1]


# ---- whole runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [(), ("stages=joint",), ("stages=end-to-end", "update=alternating")])
def test_a_run_on_a_device_is_the_run_on_the_host(changes):
    config, data = worlds.config(*PICTURES, *SHORT, *changes), worlds.pictures(12)
    assert_same(runs.train(config, data, device="cuda"), runs.train(config, data))
    assert traffic.uploads["asarray"] > 0


@pytest.mark.parametrize("normalise", ["set", "recording", "level", "bands"])
def test_other_voices_speak_on_a_device_as_on_the_host(normalise):
    voices = (
        "stage1.voices=true",
        "stage1.sound_passes=2",
        f"normalise_sounds={normalise}",
        "stage1.average_tempos=true",
    )
    config, data = worlds.config(*PICTURES, *SHORT, *voices), worlds.sounds()
    assert_same(runs.train(config, data, device="cuda"), runs.train(config, data))


@pytest.mark.parametrize("mixed", [(), ("stage1.mix_up=0.5", "stage1.label_smoothing=0.1")])
@pytest.mark.parametrize("seen", [(), ("stage1.light=0.3",), ("stage1.crops=0.6", "stage1.cut_out=0.3")])
def test_images_are_seen_on_a_device_as_on_the_host(seen, mixed):
    config, data = worlds.config(*PICTURES, *SHORT, *seen, *mixed), worlds.pictures(12)
    assert_same(runs.train(config, data, device="cuda"), runs.train(config, data))


def test_sounds_are_shifted_there_as_here():
    data = worlds.features(n=12)
    sound = np.random.default_rng(0).normal(size=(12, 96, 64, 1)).astype(np.float32)
    data = data._replace(modalities=data.modalities | {"a": data.modalities["a"]._replace(kind="sound", x=sound)})
    config = worlds.config(*PICTURES, "stage1.epochs=1", "stage2.epochs=1")
    assert_same(runs.train(config, data, device="cuda"), runs.train(config, data))


def test_a_run_too_large_for_the_device_is_the_same(too_large):
    config, data = worlds.config(*PICTURES, *SHORT), worlds.pictures(12)
    assert_same(runs.train(config, data, device="cuda"), runs.train(config, data))


@pytest.mark.parametrize("first, then", [("cuda", "cpu"), ("cpu", "cuda")])
@pytest.mark.parametrize("stage", ["stage1.a", "stage2"])
def test_a_run_goes_on_on_another_device(tmp_path, first, then, stage):
    config, data = worlds.config(), worlds.features()
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "run", device=first, watch=worlds.Interrupt(stage, 1))
    resumed = runs.train(config, data, tmp_path / "run", resume=True, device=then)
    assert_same(resumed, runs.train(config, data))


def test_evaluation_and_retrieval_on_a_device(tmp_path):
    root = worlds.write_released(tmp_path / "data")
    config = worlds.config(*PICTURES, "stage1.epochs=1", "stage2.epochs=1", "d_z=16")
    run = runs.train(config, load_data(config, root), tmp_path / "run")
    traffic.uploads.clear()
    assert runs.evaluate(run, device="cuda") == runs.evaluate(run)
    assert runs.evaluate(run, "all", device="cuda") == runs.evaluate(run, "all")
    assert traffic.uploads["asarray"] > 0
    for query in (run.dataset.modalities["a"].paths[0], f"{root / 'speech.mat'}:17"):
        traffic.uploads.clear()
        assert search.retrieve(run, query, "all", 7, device="cuda") == search.retrieve(run, query, "all", 7)
        assert traffic.uploads["asarray"] > 0


# ---- between host and device ----------------------------------------------------------------------------------------


def task_of(config, data, xp):
    """Stage 1 of the first modality, and its first state, on `xp`."""
    m, rows = data.modalities["a"], np.arange(len(data.modalities["a"].x))
    source = inputs.Source(m.x, m.labels, m.kind, fit_normaliser(m.x, rows)).on(xp)
    task = stage1_task(config, "stage1.a", source, rows, rows[:4], xp)
    params, buffers = init_pretrainer(config, "stage1.a", m.x.shape[1:], len(data.label_names))
    return task, new_state(*({k: backend.to_device(v, xp) for k, v in part.items()} for part in (params, buffers)))


def test_an_epoch_waits_for_the_device_at_its_end_alone():
    """Neither waits nor what is sent depend on the number of steps."""
    waits, sent = [], []
    for size in (6, 18):
        config = worlds.config("stage1.epochs=1", f"stage1.batch_size={size}")
        task, state = task_of(config, worlds.features(n=36), strict)
        traffic.waits.clear()
        traffic.uploads.clear()
        train_epochs(task, state, on_step=lambda done, steps, parts: parts and pytest.fail("a loss was offered"))
        waits.append(Counter(traffic.waits))
        sent.append(traffic.uploads["asarray"])
    assert waits[0] == waits[1] and sum(waits[0].values()) > 0
    assert sent[0] == sent[1] > 0


def test_a_batch_lies_on_the_device():
    task, _ = task_of(worlds.config("stage1.augment=true"), worlds.pictures(12), strict)
    x, y, mask = next(iter(task.batches(0)))
    assert {type(part) for part in (x, y, mask)} == {DeviceArray}
    here, _ = task_of(worlds.config("stage1.augment=true"), worlds.pictures(12), np)
    for there, wanted in zip((x, y, mask), next(iter(here.batches(0))), strict=True):
        assert to_host(there).tobytes() == wanted.tobytes() and there.dtype == wanted.dtype


@pytest.mark.parametrize("fits", [True, False])
def test_samples_on_a_device(monkeypatch, fits):
    x = np.arange(7 * 6, dtype=np.uint8).reshape(7, 3, 2)
    monkeypatch.setattr(transfer, "free_memory", lambda xp: 2 * x.nbytes - (not fits))
    monkeypatch.setattr(transfer, "BLOCK_BYTES", 2 * 6)
    there = OnDevice(x, strict, share=0.5)
    assert traffic.uploads["asarray"] == (4 if fits else 0)  # two samples at a time, or none
    assert there.shape == x.shape and len(there) == 7
    index = np.array([5, 0, 5])
    found = there[index]
    assert isinstance(found, DeviceArray) and found.dtype == x.dtype
    np.testing.assert_array_equal(to_host(found), x[index])
    assert traffic.uploads["asarray"] == (5 if fits else 1)


def test_samples_that_no_array_holds():
    """A data set is read by index arrays alone, as HDF5 files are."""

    class Stored:
        shape, dtype = (5, 2), np.dtype("int16")

        def __len__(self):
            return 5

        def __getitem__(self, index):
            assert isinstance(index, np.ndarray)
            return np.stack([10 * index, index], axis=1).astype(self.dtype)

    there = OnDevice(Stored(), strict)
    np.testing.assert_array_equal(to_host(there[np.array([3, 1])]), [[30, 3], [10, 1]])


def test_on_the_host_nothing_is_placed():
    x = np.ones((3, 2))
    assert on_device(x, np) is x
    there = on_device(x, strict)
    assert on_device(there, strict) is there
    source = inputs.Source(x, np.arange(3), "features", fit_normaliser(x, np.arange(3)))
    assert source.on(np) == source
    assert isinstance(source.on(strict).on(strict).read(np.arange(2)), DeviceArray)


def see_in_all_ways(x, rng):
    looks = Looks(light=0.2, crops=0.6, cut_out=0.4)
    return see_again(x, next(draw_looks(x.shape, [len(x)], rng, get_xp(x), looks=looks)), looks=looks)


@pytest.mark.parametrize(
    "augment, shape",
    [
        *((random_symmetry, (4, 4, 2)), (random_symmetry, (5, 3, 2)), (random_shift, (20, 9, 1))),
        *((random_voice, (96, 64, 1)), (random_voice, (30, 12, 1)), (lambda x, rng: standardise_each(x), (20, 9, 1))),
        *((see_in_all_ways, (16, 16, 3)), (see_in_all_ways, (9, 12, 1))),
        (lambda x, rng: redraw(x, next(draw_hands(x.shape, [len(x)], rng, get_xp(x)))), (16, 16, 1)),
    ],
)
def test_augmentation_is_the_same_there(augment, shape):
    x = np.random.default_rng(0).normal(size=(40, *shape))
    traffic.waits.clear()
    there = augment(strict.asarray(x), np.random.default_rng(1))
    assert not traffic.waits
    assert get_xp(there) is strict
    np.testing.assert_array_equal(to_host(there), augment(x, np.random.default_rng(1)))


def test_turned_features_on_a_device():
    """One transfer of the rows, and none a step."""
    rows = np.arange(15 * 2, dtype=np.float32).reshape(15, 2)
    source = inputs.Source(Turned(rows, 5), np.arange(5), "features", fit_normaliser(rows, np.arange(15)))
    wanted = [source.read(np.array([4, 1]), Sent(k, k)) for k in (np.array([2, 0]), np.array([1, 1]))]
    there = source.on(strict)
    views = list(send_parts([np.array([2, 0]), np.array([1, 1])], strict))
    (index,) = send_parts([np.array([4, 1])], strict)
    sent = dict(traffic.uploads)
    found = [there.read(index, view) for view in views]
    assert dict(traffic.uploads) == sent and all(isinstance(x, DeviceArray) for x in found)
    np.testing.assert_allclose([to_host(x) for x in found], wanted, rtol=1e-6)
    assert there.on(strict).x.rows is there.x.rows and len(there.x) == 5
    every = [to_host(x) for x in there.each_view(np.arange(5))]
    np.testing.assert_allclose(every, list(source.each_view(np.arange(5))), rtol=1e-6)
