"""Stage 1 as a task of the training loop: the pretrainer of one modality learns to classify (eq. 1)."""

from collections.abc import Mapping

import numpy as np

from ..backend import Array, generator, to_device
from ..data.weights import load_trunk_weights
from ..nets.efficientnet_lite import LITE0, last_stage
from ..nets.head import PretrainerOutput
from ..nets.pretraining import Pretrainer, choose_pretrainer
from ..nets.trunk_pretrainer import (
    TrunkPretrainer,
    init_trunk_pretrainer,
    trunk_pretrainer,
    trunk_pretrainer_backward,
)
from ..retrieval import average_precision, relevance
from ..training.inputs import Source, epoch_batches, keep_masks, steps_per_epoch
from ..training.loop import Task
from ..training.soft_labels import draw_mixes, mix_rows, soft_labels
from ..training.transfer import send_parts
from .pretraining_objective import pretraining_objective, pretraining_objective_backward
from .settings import CmirnetSettings

BLOCK = 64  # samples at a time where nothing is learned


def pretrainer(settings: CmirnetSettings, shape: tuple[int, ...], kind: str = "") -> Pretrainer:
    """The pretrainer that the settings ask for, for samples of `shape`; raises `InputError` for one that none takes.

    Images and sketches, or what a frozen part of the trunk made of them, go through the part that is trained on.
    """
    if kind in ("image", "sketch", "maps") and settings.trunk == "lite0":
        return trained_trunk(settings)
    return choose_pretrainer(
        shape,
        block_order=settings.block_order,
        batch_norm=settings.batch_norm,
        dropout=settings.stage1.dropout,
        hidden=settings.stage1.hidden,
        fused=settings.fused,
    )


def trained_trunk(settings: CmirnetSettings) -> Pretrainer:
    """EfficientNet-Lite0 from ImageNet's weights; `trunk_training` "last" is its last stage and its head alone."""
    first = last_stage(LITE0) if settings.trunk_training == "last" else 0
    arch = TrunkPretrainer(LITE0, first, dropout=settings.stage1.dropout)

    def init(*arguments):
        return init_trunk_pretrainer(*arguments, weights=load_trunk_weights(settings.trunk_weights).arrays)

    return Pretrainer(init, trunk_pretrainer, trunk_pretrainer_backward, arch)


def init_pretrainer(
    settings: CmirnetSettings, name: str, shape: tuple[int, ...], classes: int, kind: str = ""
) -> tuple[dict, dict]:
    """(params, buffers) of a pretrainer before training; `name` is the purpose of its random draws."""
    network = pretrainer(settings, shape, kind)
    rng = generator(settings.seed, f"{name}/init")
    return network.init(network.arch, shape, settings.d_z, classes, rng, settings.bias_init)


def label_kind(label_loss: str, labels: np.ndarray) -> str:
    """The cross entropy of a modality's labels: "by-modality" is sigmoid for multi-hot labels, softmax for integers."""
    if label_loss == "by-modality":
        return "sigmoid" if labels.ndim == 2 else "softmax"
    return label_loss


def stage1_task(
    settings: CmirnetSettings,
    name: str,
    source: Source,
    train: np.ndarray,
    validation: np.ndarray,
    xp=np,
    *,
    classes: int = 0,
) -> Task:
    """The task of one modality's pretrainer; `train` and `validation` are sample numbers in `source`.

    Where labels are mixed or smoothed it must be said of how many `classes` they are.
    """
    network, schedule = pretrainer(settings, source.x.shape[1:], source.kind), settings.stage1
    orthogonality = settings.orthogonality.model_dump()
    kind = label_kind(schedule.label_loss, source.labels)
    rows = np.tile(train, schedule.sound_passes if source.kind in ("sound", "voice") else 1)
    labels = to_device(soft_labels(source.labels, classes, kind, schedule), xp)
    source = source.on(xp)

    def batches(epoch):
        order = list(epoch_batches(rows, schedule.batch_size, settings.seed, name, epoch))
        sizes = [len(index) for index in order]
        views = generator(settings.seed, f"{name}/augment", epoch) if schedule.augment else None
        views = source.views(sizes, views, xp)
        masks = generator(settings.seed, f"{name}/dropout", epoch)
        masks = keep_masks(masks, sizes, [(settings.d_z, schedule.dropout)], xp)
        mixes = draw_mixes(sizes, schedule.mix_up, generator(settings.seed, f"{name}/mix", epoch), xp)
        for index, view, (mask,), mix in zip(send_parts(order, xp), views, masks, mixes, strict=True):
            yield mix_rows(source.read(index, view), mix), mix_rows(labels[index.there], mix), mask

    def gradients(params, buffers, batch, epoch, step):
        x, y, mask = batch
        loss, cache = pretraining_objective(
            params, x, y, network=network, buffers=buffers, masks={"z": mask}, kind=kind, **orthogonality
        )
        grads, _ = pretraining_objective_backward(1.0, cache)
        return {"loss": loss} | cache.loss.parts, grads, getattr(cache.front, "statistics", {})

    def validate(params, buffers):
        out = apply_pretrainer(network, params, buffers, source, validation, xp)
        return classification_scores(out.logits, to_device(source.labels[validation], xp))

    steps = steps_per_epoch(len(rows), schedule.batch_size)
    return Task(name, schedule, steps, batches, gradients, validate, lr_setting="stage1.lr")


def apply_pretrainer(
    network: Pretrainer,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    source: Source,
    index: np.ndarray,
    xp=np,
    on_step=None,
    *,
    average_views: bool = False,
) -> PretrainerOutput:
    """A pretrainer's outputs for the samples `index`, in inference mode, as arrays of `xp`.

    With `average_views`, those of an image are the mean over its symmetries, those of a recording over other tempos.
    """
    source, blocks = source.on(xp), []
    for start in range(0, len(index), BLOCK):
        rows, outs = index[start : start + BLOCK], []
        for x in source.each_view(rows) if average_views else [source.read(rows)]:
            x = xp.ascontiguousarray(x)
            outs.append(network.forward(params, x, arch=network.arch, mode="inference", buffers=buffers)[0])
        blocks.append([sum(parts) / len(outs) for parts in zip(*outs, strict=True)])
        if on_step:
            on_step(min(start + BLOCK, len(index)), len(index), {})
    return PretrainerOutput(*(xp.concatenate(parts) for parts in zip(*blocks, strict=True)))


def classification_scores(logits: Array, labels: Array) -> dict[str, float]:
    """How well logits (N, K) rank the right labels: `score`, average precision over the K labels of each sample, and
    `top1`, the share of samples whose highest logit is a right one. Both need no threshold and take any kind of label.
    """
    logits, labels = to_device(logits, np), to_device(labels, np)
    right = relevance(labels, np.arange(logits.shape[1]))
    labelled = right.any(axis=1)
    if not labelled.any():
        return {"score": 0.0, "top1": 0.0}
    top1 = right[np.arange(len(right)), logits.argmax(axis=1)]
    precision = average_precision(-logits[labelled].astype(np.float64), right[labelled])
    return {"score": float(precision.mean()), "top1": float(top1[labelled].mean())}
