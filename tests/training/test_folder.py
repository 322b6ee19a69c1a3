"""The folder of a training in progress, by tasks of a few numbers: what a stage leaves, and what a later sitting finds.

Whole runs that are interrupted and resumed are in test_runs.py.
"""

import numpy as np
import pytest
import worlds

from cmir_ref.config import Schedule
from cmir_ref.params import load_tensors
from cmir_ref.training.folder import Folder
from cmir_ref.training.loop import MOMENTUM, Task


def task(name, scores, average=0.0):
    """In epoch e (from 0) the gradients are 1 and −3, and the batch's statistic e + 1; it validates by `scores`."""
    epochs = []

    def gradients(params, buffers, batch, epoch, step):
        epochs.append(epoch)
        return {"loss": 1.0}, {"w": np.ones((2, 2)), "b": np.full(3, -3.0)}, {"mean": np.full(2, 1.0 + epoch)}

    schedule = Schedule(epochs=len(scores), lr=0.1, schedule="constant", average=average)
    return Task(name, schedule, 1, lambda epoch: [0], gradients, lambda *_: {"score": scores[epochs[-1]]})


def init():
    return {"w": np.zeros((2, 2)), "b": np.zeros(3)}, {"mean": np.zeros(2)}


def statistic(epochs):
    """The running average of the statistics 1, 2, … of so many epochs."""
    return sum((1 - MOMENTUM) * MOMENTUM ** (epochs - e) * e for e in range(1, epochs + 1))


class Sitting:
    """A watch that ends a sitting after so many epochs of a stage, and keeps what it was told on the way."""

    def __init__(self, stage="", epoch=0):
        self.end, self.told = (stage, epoch), []

    def on_step(self, *told):
        self.told.append(told)

    def on_epoch(self, epoch):
        if (epoch.stage, epoch.epoch) == self.end:
            raise worlds.Stop


def sit(path, watch=None, *, resume=False, average=0.0):
    """(folder, both stages' parameters and buffers) of one sitting."""
    with Folder.open(path, worlds.config(), resume, "data") as folder:
        tasks = task("stage1.a", [1, 3, 2, 0], average), task("stage2", [1, 1, 1, 1], average)
        return folder, [folder.fit(one, init, np, watch) for one in tasks]


def test_a_stage_leaves_the_weights_and_the_statistics_of_its_best_epoch(tmp_path):
    """With gradients that never change, each step of Adam is of the length of the learning rate."""
    folder, found = sit(tmp_path / "run")
    for (params, buffers), (stage, best) in zip(found, (("stage1.a", 2), ("stage2", 4)), strict=True):
        np.testing.assert_allclose(params["w"], -0.1 * best, rtol=1e-6)
        np.testing.assert_allclose(params["b"], 0.1 * best, rtol=1e-6)
        np.testing.assert_allclose(buffers["mean"], statistic(best), rtol=1e-12)
        assert folder.tensors[f"{stage}/done"] == [best]
    stored, _ = load_tensors(tmp_path / "run" / "checkpoint.safetensors")
    assert stored.keys() == folder.tensors.keys(), "and nothing of a stage that goes on"


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("stage, epoch", [("stage1.a", 1), ("stage1.a", 3), ("stage2", 2), ("stage2", 3)])
def test_a_later_sitting_ends_where_one_alone_would_have(tmp_path, stage, epoch, average):
    one, _ = sit(tmp_path / "one", average=average)
    with pytest.raises(worlds.Stop):
        sit(tmp_path / "run", Sitting(stage, epoch), average=average)
    watch = Sitting()
    folder, _ = sit(tmp_path / "run", watch, resume=True, average=average)
    assert folder.tensors.keys() == one.tensors.keys()
    for name, array in one.tensors.items():
        np.testing.assert_array_equal(folder.tensors[name], array)
    assert watch.told[0] == (stage, 4, epoch), "a bar begins behind the epochs that are done"
    assert [line["epoch"] for line in folder.history] == [1, 2, 3, 4] * 2


def test_the_time_of_all_sittings_is_added_up(tmp_path):
    with pytest.raises(worlds.Stop):
        sit(tmp_path / "run", Sitting("stage2", 1))
    folder, _ = sit(tmp_path / "run", resume=True)
    assert folder.seconds >= sum(line["seconds"] for line in folder.history) > 0
    again, _ = sit(tmp_path / "run", resume=True)
    assert again.seconds == folder.seconds, "nothing was trained"


def test_the_settings_say_which_versions_trained(tmp_path):
    sit(tmp_path / "run")
    head = [line.split()[1] for line in (tmp_path / "run" / "config.toml").read_text().splitlines() if line[:1] == "#"]
    assert head == ["cmir-ref", "numpy", "scipy", "pillow", "Python"]


def test_the_versions_are_those_of_the_sitting_that_first_trained(tmp_path):
    def begin_elsewhere(*, resume):
        """The folder as another version of NumPy might have left it, taken up again."""
        with Folder.open(tmp_path / "run", worlds.config(), resume, "data") as folder:
            folder.create()
        path = tmp_path / "run" / "config.toml"
        path.write_text(path.read_text().replace("# numpy ", "# numpy 0."))
        with Folder.open(tmp_path / "run", worlds.config(), True, "data") as folder:
            folder.renew_settings()
        return "# numpy 0." in path.read_text()

    assert not begin_elsewhere(resume=False)
    sit(tmp_path / "run", resume=True)
    assert begin_elsewhere(resume=True)


def test_a_log_that_an_editor_marked_as_utf_8_is_read(tmp_path):
    folder, _ = sit(tmp_path / "run")
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert sit(tmp_path / "run", resume=True)[0].history == folder.history
