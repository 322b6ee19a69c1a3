"""Training on the stand-in for CuPy: every network takes its steps without an upload and without a wait for the device.

The loop is the real one, from the first gradient to the last step of an epoch; only its batches lie there already.
"""

from contextlib import ExitStack

import numpy as np
import pytest
import worlds
from strict.moves import assert_same, moved, silence
from strict.standin import Refused, no_traffic

from cmir_ref.cmirnet.stage1 import init_pretrainer, stage1_task
from cmir_ref.cmirnet.stage2 import init_stage2, latent_settings, stage2_task
from cmir_ref.config import Looks
from cmir_ref.training.inputs import Source
from cmir_ref.training.loop import new_state, train_epochs

N, STEPS, CLASSES = 6, 3, 4
NO_LOOKS = Looks()
SHAPES = {"pan": (64, 64, 1), "mul": (64, 64, 4), "sound": (96, 64, 1), "vector": (10,)}
SMALL = ("d_z=8", "d_v=5", "stage1.epochs=2", "stage2.epochs=2", "stage1.weight_decay=0.01", "stage2.weight_decay=0.01")
RELEASED = ("classifier=separate", "frobenius=unsquared", "alpha_reading=released", "decoder_target=own", "alpha=1")
STAGE_1 = {
    "paper": ("pan",),
    "released": ("mul", "block_order=conv-act-norm-pool", "orthogonality.target=off"),
    "frozen": ("sound", "block_order=conv-act-norm-pool", "batch_norm=frozen"),
    "plain": ("mul", "fused=false", "orthogonality.before_relu=true"),
    "features": ("vector", "stage1.hidden=[7]"),
    "soft": ("vector", "stage1.mix_up=0.4", "stage1.label_smoothing=0.1"),
}
STAGE_2 = {
    "default": (),
    "released": (*RELEASED, "latent_dropout=b", "head_decay=0.01", "target_gradient=flow"),
    "concatenated": ("classifier=concatenated", "alpha_reading=elementwise", "latent_dropout=both", "reduction=sum"),
    "alternating": ("update=alternating",),
    "last layer": ("regularized_layers=last", "encoder_activation=relu", "decoder_activation=linear"),
    "end to end": ("stages=end-to-end",),
    "end to end, alternating": ("stages=end-to-end", "update=alternating", "block_order=conv-act-norm-pool"),
}


def source(shape, multi, seed, looks=NO_LOOKS):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (N * STEPS, CLASSES)) if multi else rng.integers(0, CLASSES, N * STEPS)
    x, kind = rng.normal(size=(N * STEPS, *shape)).astype(np.float32), "image" if len(shape) == 3 else "features"
    return Source(x, labels, kind, lambda x: x, looks)


def stage1(shape, *changes):
    """A task of stage 1 with its first parameters and buffers."""
    config, rows = worlds.config(*SMALL, f"stage1.batch_size={N}", *changes), np.arange(N * STEPS)
    task = stage1_task(config, "stage1.a", source(SHAPES[shape], False, 0, config.stage1), rows, rows, classes=CLASSES)
    return task, *init_pretrainer(config, "stage1.a", SHAPES[shape], CLASSES)


def stage2(*changes):
    """The same of stage 2; images enter where the pretrainers are trained along."""
    config = worlds.config(*SMALL, f"stage2.batch_size={N}", *changes)
    front = {"a": SHAPES["mul"], "b": SHAPES["vector"]}
    shapes = front if config.stages == "end-to-end" else dict.fromkeys("ab", (10,))
    sources = {"a": source(shapes["a"], True, 0), "b": source(shapes["b"], False, 1)}
    network, rows = latent_settings(config, shapes, {m: s.labels for m, s in sources.items()}), np.arange(N * STEPS)
    pairs = np.stack([rows, rows], axis=1)
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), dict.fromkeys("ab", rows))
    return task, *init_stage2(config, network, shapes, CLASSES)


NETWORKS = {f"stage1/{name}": (stage1, settings) for name, settings in STAGE_1.items()}
NETWORKS |= {f"stage2/{name}": (stage2, settings) for name, settings in STAGE_2.items()}


def trained(name, xp, during=None):
    """(the last state, each epoch's mean losses) of a network's loop; `during()` is entered while it takes steps."""
    build, settings = NETWORKS[name]
    task, params, buffers = build(*settings)
    batches = [moved(list(task.batches(epoch)), xp.asarray) for epoch in range(2)]
    inside, losses = ExitStack(), []

    def gradients(params, buffers, batch, epoch, step):
        if step == 0 and during:
            inside.close()
            inside.enter_context(during())
        return task.gradients(params, buffers, batch, epoch, step)

    def last(done, steps, parts):
        if done == steps:
            inside.close()

    still = task._replace(
        gradients=gradients, batches=batches.__getitem__, validate=lambda params, buffers: {"score": 0.0}
    )
    state = new_state(*(moved(arrays, xp.asarray) for arrays in (params, buffers)))
    state = train_epochs(still, state, on_step=last, on_epoch=lambda state, epoch: losses.append(epoch.parts))
    return state, losses


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_without_traffic_give_the_same_network(name, xp, plain):
    expected, expected_losses = trained(name, np)
    state, losses = trained(name, xp, during=lambda: silence(xp))
    assert len(losses) == 2 and losses[0].keys() == expected_losses[0].keys() and state.epoch == 2
    if xp.__name__ == "strict":
        assert_same(xp, tuple(state), tuple(expected))
        assert losses == expected_losses
    for one, two in zip(losses, expected_losses, strict=True):
        assert one == pytest.approx(two, rel=1e-4)  # float32


def test_the_steps_are_silent_in_all_of_the_loop(monkeypatch):
    """One read of a loss between two steps, and the test above fails."""
    from strict.standin import xp

    monkeypatch.setattr(
        "cmir_ref.training.loop.flatten", lambda grads, params: [float(g.sum()) for g in grads.values()]
    )
    with pytest.raises(Refused, match="wait: float"):
        trained("stage1/features", xp, during=no_traffic)
