"""Ten training steps of every preset on tiny data, in float64: each step's loss, in all and by term.

The presets keep every reading; images are 64 × 64, batches hold 2 samples in stage 1 and 8 pairs in stage 2, and two
epochs make the ten steps.
"""

from typing import Any, NamedTuple

import numpy as np
from golden.stored import ROUNDED_ZERO

from cmir_ref.attention.stage2 import Inputs, attended_task, init_attended
from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.cmirnet.stage1 import init_pretrainer, pretrainer, stage1_task
from cmir_ref.cmirnet.stage2 import init_stage2, latent_settings, stage2_task
from cmir_ref.cmirnet.system import trains_stage1
from cmir_ref.config import load_config, preset_names
from cmir_ref.gradcheck import relative_error
from cmir_ref.nets.efficientnet_lite import LITE0, last_stage, lite_blocks
from cmir_ref.records import Splits
from cmir_ref.training.inputs import Source, fit_normaliser
from cmir_ref.training.loop import Task, new_state, train_epochs

EPOCHS, STEPS = 2, 5
BATCH = {"stage1": 2, "stage2": 8}
ROWS = np.arange(STEPS * BATCH["stage2"])
FIRST = ROWS[: STEPS * BATCH["stage1"]]
CLASSES = {"pan-mul": 8, "image-speech": 17, "photo-sketch": 14}
PLACES, CHANNELS = 16, 128  # of the maps that an attention reads


class Trained(NamedTuple):
    """Ten steps, and what another implementation needs to take them too."""

    config: CmirnetSettings
    network: Any  # a Pretrainer, or LatentSettings
    kind: str  # of stage 1's cross entropy
    task: Task
    params: dict[str, np.ndarray]  # before the first step
    batches: list  # of each gradient that was asked for: an alternating update asks twice a step
    losses: list[dict[str, float]]  # of the same, "loss" and the terms
    buffers: dict[str, np.ndarray]  # running statistics before the first step


def modalities(preset: str) -> tuple[CmirnetSettings, dict[str, Source]]:
    """A preset's settings, cut to ten steps, and random data of the shapes that it trains on."""
    config = load_config(preset)
    small = {s: {"epochs": EPOCHS, "batch_size": size} for s, size in BATCH.items()}
    small["stage1"]["sound_passes"] = 1  # more would be more than ten steps
    config = config.model_copy(update={s: getattr(config, s).model_copy(update=cut) for s, cut in small.items()})
    random = np.random.default_rng(5)
    classes = CLASSES[config.scenario]
    labels = random.integers(0, classes, len(ROWS))
    if config.scenario == "pan-mul":
        shapes = {"a": ((64, 64, 1), "image", labels), "b": ((64, 64, 4), "image", labels)}
    elif config.scenario == "photo-sketch":
        shapes = {"a": ((64, 64, 3), "image", labels), "b": ((64, 64, 1), "sketch", labels)}
    else:
        hot = (random.random((len(ROWS), classes)) < 0.2).astype(np.uint8)
        hot[ROWS, labels] = 1
        heard = ((96, 64, 1), "sound") if config.speech == "bundled" else ((128,), "features")
        shapes = {"a": ((64, 64, 3), "image", hot), "b": (*heard, labels)}
    if config.trunk == "lite0":  # stage 1 reads what the frozen part makes of pictures
        given = (2, 2, lite_blocks(LITE0)[last_stage(LITE0)].channels), "maps"
        given = given if config.trunk_training == "last" else ((LITE0.head,), "features")
        seen = {m: kind in ("image", "sketch") for m, (_, kind, _) in shapes.items()}
        shapes = {m: (*given, shape[2]) if seen[m] else shape for m, shape in shapes.items()}
    sources = {}
    for m, (shape, kind, y) in shapes.items():
        x = random.uniform(0, 1, (len(ROWS), *shape))
        sources[m] = Source(x, y, kind, fit_normaliser(x, ROWS, config.normalise_inputs))
    return config, sources


def stage1(preset: str, letter: str) -> Trained:
    """Ten steps of the pretrainer of modality a or b."""
    config, sources = modalities(preset)
    name, source = f"stage1.{letter}", sources[letter]
    task = stage1_task(config, name, source, FIRST, FIRST)
    start = init_pretrainer(config, name, source.x.shape[1:], CLASSES[config.scenario], source.kind)
    kind = config.stage1.label_loss
    kind = ("softmax", "sigmoid")[source.labels.ndim - 1] if kind == "by-modality" else kind
    return _train(config, pretrainer(config, source.x.shape[1:], source.kind), kind, task, *start)


def stage2(preset: str) -> Trained:
    """Ten steps of the latent network, on random features where stage 1 would have made them."""
    config, sources = modalities(preset)
    random = np.random.default_rng(6)
    for m, source in sources.items():
        if trains_stage1(config, source.kind):
            z = np.maximum(random.standard_normal((len(ROWS), config.d_z)), 0)
            sources[m] = Source(z, source.labels, "features", fit_normaliser(z, ROWS, config.normalise_features))
    shapes = {m: source.x.shape[1:] for m, source in sources.items()}
    network = latent_settings(config, shapes, {m: source.labels for m, source in sources.items()})
    pairs = np.stack([ROWS, ROWS], axis=1)
    if config.system == "attention":
        return attended(config, network, sources, pairs)
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), dict.fromkeys(sources, ROWS))
    return _train(config, network, "", task, *init_stage2(config, network, shapes, CLASSES[config.scenario]))


def attended(config, network, sources, pairs) -> Trained:
    """Ten steps of the latent network with an attention before it, on random features or maps."""
    random = np.random.default_rng(7)
    labels, heads = sources["a"].labels, None
    inputs = [sources["a"], sources["b"], sources["b"]]
    if config.attention in ("spatial", "mask"):
        maps = [np.abs(random.standard_normal((len(ROWS), PLACES, CHANNELS))) for _ in "ab"]
        a, b = (Source(x, labels, "map", lambda x: x) for x in maps)
        inputs = [a, b if config.attention == "mask" else sources["b"], b]
        shapes = {"w": (PLACES * CHANNELS, config.d_z), "b": (config.d_z,)}
        heads = {f"{m}.1.{part}": 0.02 * random.standard_normal(shape) for m in "ab" for part, shape in shapes.items()}
    parts = Splits(*(dict.fromkeys("ab", ROWS) for _ in range(3)))
    task = attended_task(config, network, Inputs(*inputs, heads), lambda epoch: pairs, len(pairs), parts)
    params, buffers = init_attended(config, network, CLASSES[config.scenario], CHANNELS)
    return _train(config, network._replace(fronts={"heads": heads}), "", task, params, buffers)


def _train(config, network, kind, task, params, buffers) -> Trained:
    batches, losses = [], []

    def gradients(params, buffers, batch, epoch, step):
        parts, grads, statistics = task.gradients(params, buffers, batch, epoch, step)
        batches.append(batch)
        losses.append({name: float(value) for name, value in parts.items()})
        return parts, grads, statistics

    watched = task._replace(gradients=gradients, validate=lambda params, buffers: {"score": 0.0})
    double, buffers = ({k: v.astype(np.float64) for k, v in arrays.items()} for arrays in (params, buffers))
    train_epochs(watched, new_state(double, buffers))
    assert len(losses) == EPOCHS * STEPS * max(len(task.alternating), 1)
    return Trained(config, network, kind, task, double, batches, losses, buffers)


RUNS = {
    f"{preset}/{stage}": (preset, stage)
    for preset in preset_names()
    if load_config(preset).system in ("cmirnet", "attention")
    for stage in ("stage1.a", "stage1.b", "stage2")
    if not (stage == "stage1.b" and preset == "image-speech_released")  # the joint mode takes ready-made vectors as Z
}


def run(name: str) -> Trained:
    """The ten steps that `RUNS` names."""
    preset, stage = RUNS[name]
    return stage2(preset) if stage == "stage2" else stage1(preset, stage[-1])


def gate(run: Trained) -> float:
    """How far two implementations may be apart after ten steps, relatively.

    Batch normalisation cancels a bias whose channel stays positive. Its gradient is 0, and what rounding leaves of that
    grows with the loss; Adam divides by no less than ε = 1e-8. The unscaled orthogonality starts at 1e5, so that these
    biases take steps of rounding noise that are felt once a channel turns negative.
    """
    unscaled = run.kind and run.config.orthogonality.target != "off" and not run.config.orthogonality.scaled
    return 1e-6 if unscaled and run.params.keys() & {"norm.1.gamma"} else 1e-10


def drawn(run: Trained) -> float:
    """One number that changes with the parameters before the first step, the batches or the masks."""
    total = 0.0
    for i, array in enumerate([*run.params.values(), *_arrays(run.batches)], start=1):
        flat = np.asarray(array, dtype=np.float64).ravel()
        total += float(flat @ np.cos(i + np.arange(flat.size)))
    return total


def _arrays(nested):
    if isinstance(nested, np.ndarray):
        yield nested
    else:
        for part in nested.values() if isinstance(nested, dict) else nested:
            yield from _arrays(part)


def worst(ours: list[dict[str, float]], others: list[dict[str, float]]) -> float:
    """The largest relative difference between two lists of losses; both have the same terms."""
    assert [a.keys() for a in ours] == [b.keys() for b in others]
    pairs = [(a[name], b[name]) for a, b in zip(ours, others, strict=True) for name in a]
    return max(relative_error(one, two, floor=ROUNDED_ZERO)[0] for one, two in pairs)
