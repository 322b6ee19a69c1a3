"""Stage 2 of three senses on the stand-in for CuPy: no traffic within a step, the same network, the same embeddings."""

import numpy as np
import pytest
import test_training
import worlds
from strict.moves import assert_same, moved, silence
from test_training import CLASSES, SMALL, N, trained

from cmir_ref.cmirnet.many_training import embed_many, init_many_network, many_network, many_task
from cmir_ref.training.loop import new_state

ROWS = np.arange(3 * N)


def three(*changes, xp=np):
    """(task, params, buffers) for three senses of different widths, and what else there is: network and features."""
    config = worlds.config(*SMALL, f"stage2.batch_size={N}", *changes)
    random = np.random.default_rng(3)
    z = tuple(random.normal(size=(len(ROWS), d)).astype(np.float32) for d in (10, 7, 8))
    y = random.integers(0, CLASSES, len(ROWS))
    network = many_network(config, y)
    start = init_many_network(config, network, (10, 7, 8), CLASSES)
    return many_task(config, network, z, y, ROWS, ROWS, xp), *start, network, z


@pytest.mark.parametrize("changes", [(), ("latent_dropout=both", "head_decay=0.01", "target_gradient=flow")])
def test_steps_without_traffic_give_the_same_network(changes, xp, monkeypatch):
    monkeypatch.setitem(test_training.NETWORKS, "three", (lambda *given: three(*given)[:3], changes))
    expected, expected_losses = trained("three", np)
    state, losses = trained("three", xp, during=lambda: silence(xp))
    if xp.__name__ == "strict":
        assert_same(xp, tuple(state), tuple(expected))
        assert losses == expected_losses
    for one, two in zip(losses, expected_losses, strict=True):
        assert one == pytest.approx(two, rel=1e-4)  # float32


def test_batches_scores_and_embeddings_of_a_device(xp):
    task, params, buffers, network, z = three()
    device, *_ = three(xp=xp)
    here, there = new_state(params, buffers), new_state(moved(params, xp.asarray), buffers)
    for ours, theirs in zip(task.batches(0), device.batches(0), strict=True):
        assert_same(xp, theirs, ours)
    assert device.validate(there.params, {}) == pytest.approx(task.validate(here.params, {}), rel=1e-5)
    for ours, theirs in zip(embed_many(network, there.params, z), embed_many(network, here.params, z), strict=True):
        assert type(ours) is np.ndarray
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
