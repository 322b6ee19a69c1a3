"""The paper's two stages as tasks of the training loop.

Stage 1 trains one pretrainer a modality on eq. 1; stage 2 trains the latent network on eq. 6 over pairs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, generator, get_xp, to_device, to_host
from ..config import Config
from ..nets.head import PretrainerOutput
from ..nets.pretraining import Pretrainer, choose_pretrainer
from ..retrieval import average_precision, evaluate_direction, relevance
from ..training.inputs import AUGMENTATIONS, Normaliser, epoch_batches, on_device, steps_per_epoch, symmetries, thinned
from ..training.loop import Task
from .end_to_end import FRONTS, end_to_end, end_to_end_backward, prefixed, under
from .eq6_total import Readings, Weights
from .latent import Latent, encode, init_latent
from .pretraining_objective import pretraining_objective, pretraining_objective_backward

BLOCK = 64  # samples at a time where nothing is learned


class Source(NamedTuple):
    """One modality as a stage reads it."""

    x: Any  # (N, …) the data set's own array, perhaps memory-mapped; or `OnDevice`
    labels: np.ndarray
    kind: str
    normalise: Callable[[Array], Array]

    def on(self, xp) -> "Source":
        """The same source, whose samples are read as arrays of `xp`; labels stay on the host."""
        moved = isinstance(self.normalise, Normaliser) and xp is not np
        normalise = Normaliser(*(to_device(part, xp) for part in self.normalise)) if moved else self.normalise
        return self._replace(x=on_device(self.x, xp), normalise=normalise)

    def read(self, index: np.ndarray, augmented: np.random.Generator | None = None) -> Array:
        """Normalised samples, augmented where a generator is given: images turned, sounds shifted."""
        x = self.x[index]
        x = self.normalise(np.asarray(x) if get_xp(x) is np else x)
        return AUGMENTATIONS[self.kind](x, augmented) if augmented is not None and self.kind in AUGMENTATIONS else x


def pretrainer(config: Config, shape: tuple[int, ...]) -> Pretrainer:
    """The pretrainer that the settings ask for, for samples of `shape`; raises `InputError` for one that none takes."""
    return choose_pretrainer(
        shape,
        block_order=config.block_order,
        batch_norm=config.batch_norm,
        dropout=config.stage1.dropout,
        hidden=config.stage1.hidden,
        fused=config.fused,
    )


def init_pretrainer(config: Config, name: str, shape: tuple[int, ...], classes: int) -> tuple[dict, dict]:
    """(params, buffers) of a pretrainer before training."""
    network = pretrainer(config, shape)
    rng = generator(config.seed, f"{name}/init")
    return network.init(network.arch, shape, config.d_z, classes, rng, config.bias_init)


def label_kind(label_loss: str, labels: np.ndarray) -> str:
    """The cross entropy of a modality's labels: "by-modality" is sigmoid for multi-hot labels, softmax for integers."""
    if label_loss == "by-modality":
        return "sigmoid" if labels.ndim == 2 else "softmax"
    return label_loss


def stage1_task(config: Config, name: str, source: Source, train: np.ndarray, validation: np.ndarray, xp=np) -> Task:
    """Stage 1 of one modality: its pretrainer learns to classify (eq. 1)."""
    network, schedule = pretrainer(config, source.x.shape[1:]), config.stage1
    orthogonality = config.orthogonality.model_dump()
    kind = label_kind(schedule.label_loss, source.labels)
    source = source.on(xp)

    def batches(epoch):
        pictures = generator(config.seed, f"{name}/augment", epoch) if schedule.augment else None
        masks = generator(config.seed, f"{name}/dropout", epoch)
        for index in epoch_batches(train, schedule.batch_size, config.seed, name, epoch):
            mask = masks.random((len(index), config.d_z)) >= schedule.dropout
            yield source.read(index, pictures), *(to_device(part, xp) for part in (source.labels[index], mask))

    def gradients(params, buffers, batch, epoch, step):
        x, y, mask = batch
        loss, cache = pretraining_objective(
            params, x, y, network=network, buffers=buffers, masks={"z": mask}, kind=kind, **orthogonality
        )
        grads, _ = pretraining_objective_backward(1.0, cache)
        return {"loss": loss} | cache.loss.parts, grads, getattr(cache.front, "statistics", {})

    def validate(params, buffers):
        logits = forward_all(network, params, buffers, source, validation, xp).logits
        return classification_scores(logits, source.labels[validation])

    return Task(name, schedule, steps_per_epoch(len(train), schedule.batch_size), batches, gradients, validate)


def forward_there(
    network: Pretrainer,
    params: Mapping,
    buffers: Mapping,
    source: Source,
    index: np.ndarray,
    xp=np,
    on_step=None,
    *,
    average_views: bool = False,
) -> PretrainerOutput:
    """A pretrainer's outputs for the samples `index`, in inference mode, as arrays of `xp`.

    With `average_views`, those of an image are the mean over its symmetries.
    """
    source, blocks = source.on(xp), []
    for start in range(0, len(index), BLOCK):
        x = source.read(index[start : start + BLOCK])
        views = symmetries(x.shape) if average_views and source.kind == "image" else [lambda images: images]
        outs = []
        for view in views:
            seen = xp.ascontiguousarray(view(x))
            out, _ = network.forward(params, seen, arch=network.arch, mode="inference", buffers=buffers)
            outs.append(out)
        blocks.append([sum(parts) / len(views) for parts in zip(*outs, strict=True)])
        if on_step:
            on_step(min(start + BLOCK, len(index)), len(index), {})
    return PretrainerOutput(*(xp.concatenate(parts) for parts in zip(*blocks, strict=True)))


def forward_all(*args, **settings) -> PretrainerOutput:
    """`forward_there`, its results on the host."""
    return PretrainerOutput(*(to_host(part) for part in forward_there(*args, **settings)))


def classification_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How well logits (N, K) rank the right labels: `score`, average precision over the K labels of each sample, and
    `top1`, the share of samples whose highest logit is a right one. Both need no threshold and take any kind of label.
    """
    right = relevance(labels, np.arange(logits.shape[1]))
    labelled = right.any(axis=1)
    if not labelled.any():
        return {"score": 0.0, "top1": 0.0}
    top1 = right[np.arange(len(right)), logits.argmax(axis=1)]
    precision = average_precision(-logits[labelled].astype(np.float64), right[labelled])
    return {"score": float(precision.mean()), "top1": float(top1[labelled].mean())}


class Stage2(NamedTuple):
    """What stage 2 trains besides its data: fronts (None: features are given) and the latent network."""

    fronts: tuple[Pretrainer | None, Pretrainer | None]
    arch: Latent
    weights: Weights
    readings: Readings
    regularized_layers: str


def stage2_network(config: Config, shapes: tuple[tuple[int, ...], ...], labels: tuple[np.ndarray, ...]) -> Stage2:
    """The latent network that the settings ask for, with pretrainers before it where they are trained along."""
    fronts = tuple(None if config.stages == "separate" else pretrainer(config, shape) for shape in shapes)
    arch = Latent(
        d_v=config.d_v,
        encoder_depth=config.encoder_depth,
        decoder_depth=config.decoder_depth,
        encoder_activation=config.encoder_activation,
        decoder_activation=config.decoder_activation,
        classifier=config.classifier,
        latent_dropout=config.latent_dropout,
    )
    readings = Readings(
        classifier=config.classifier,
        label_losses=tuple(label_kind(config.label_loss, y) for y in labels),
        decoder_target=config.decoder_target,
        target_gradient=config.target_gradient,
        frobenius=config.frobenius,
        reduction=config.reduction,
        alpha=config.alpha,
        alpha_reading=config.alpha_reading,
        head_decay=config.head_decay,
    )
    return Stage2(fronts, arch, Weights(**config.weights.model_dump()), readings, config.regularized_layers)


def init_stage2(
    config: Config, network: Stage2, shapes: tuple[tuple[int, ...], ...], classes: int
) -> tuple[dict, dict]:
    """(params, buffers) of fronts and latent network before training."""
    params, buffers, widths = {}, {}, []
    for name, front, shape in zip(FRONTS, network.fronts, shapes, strict=True):
        if front is not None:
            own, own_buffers = init_pretrainer(config, name, shape, classes)
            params |= prefixed(name, own)
            buffers |= prefixed(name, own_buffers)
        widths.append(shape[0] if front is None else config.d_z)
    latent, _ = init_latent(
        network.arch, tuple(widths), classes, generator(config.seed, "latent/init"), config.bias_init
    )
    return params | prefixed("latent", latent), buffers


def stage2_task(
    config: Config,
    network: Stage2,
    sources: tuple[Source, Source],
    pairs: Callable[[int], np.ndarray],
    pair_count: int,
    validation: tuple[np.ndarray, np.ndarray],
    xp=np,
) -> Task:
    """Stage 2: eq. 6 over pairs; `pairs(epoch)` (P, 2) are sample numbers in the two sources."""
    schedule = config.stage2
    settings = network._asdict()
    sources = tuple(source.on(xp) for source in sources)
    augmented = config.stage1.augment and config.stages == "end-to-end"

    def batches(epoch):
        names = ("stage2/augment/a", "stage2/augment/b")
        pictures = [generator(config.seed, name, epoch) if augmented else None for name in names]
        masks = generator(config.seed, "stage2/dropout", epoch)
        dropped = generator(config.seed, "stage2/features", epoch)
        for index in epoch_batches(pairs(epoch), schedule.batch_size, config.seed, "stage2", epoch):
            x = tuple(s.read(index[:, i], pictures[i]) for i, s in enumerate(sources))
            rates = (schedule.feature_dropout if s.kind == "features" else 0 for s in sources)
            x = tuple(thinned(x_m, rate, dropped) for x_m, rate in zip(x, rates, strict=True))
            y = tuple(to_device(s.labels[index[:, i]], xp) for i, s in enumerate(sources))
            keep = {
                name: to_device(masks.random((len(index), width)) >= rate, xp)
                for name, width, rate in (
                    ("a", config.d_v, network.arch.dropout),
                    ("b", config.d_v, network.arch.dropout),
                    ("front_a", config.d_z, config.stage1.dropout),
                    ("front_b", config.d_z, config.stage1.dropout),
                )
            }
            yield x, y, keep

    def gradients(params, buffers, batch, epoch, step):
        x, y, masks = batch
        loss, cache = end_to_end(params, x, y, mode="train", buffers=buffers, masks=masks, **settings)
        return (
            {"loss": loss} | cache.objective.total.parts,
            end_to_end_backward(1.0, cache),
            cache.statistics,
        )

    def validate(params, buffers):
        v = [embed_there(network, params, buffers, i, sources[i], validation[i], xp) for i in (0, 1)]
        y = [to_device(sources[i].labels[validation[i]], xp) for i in (0, 1)]
        if not all(bool(xp.isfinite(v_m).all()) for v_m in v):
            return {"a->b": 0.0, "b->a": 0.0, "score": 0.0}
        scores = {  # None, where no query has a relevant item, counts as 0
            f"{m}->{o}": evaluate_direction(v[i], y[i], v[j], y[j], distance=config.distance)["map"] or 0.0
            for m, o, i, j in (("a", "b", 0, 1), ("b", "a", 1, 0))
        }
        return scores | {"score": float(np.mean(list(scores.values())))}

    steps = steps_per_epoch(pair_count, schedule.batch_size)
    groups = ((),) if config.update == "together" else ALTERNATING
    return Task("stage2", schedule, steps, batches, gradients, validate, groups)


# Algorithm 1: one modality's branch moves while the other's stands still; the shared head belongs to both
ALTERNATING = tuple(
    (f"front_{m}.", f"latent.encoder_{m}.", f"latent.decoder_{m}", "latent.classifier.", f"latent.classifier_{m}.")
    for m in "ab"
)


def embed_there(
    network: Stage2,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    place: int,
    source: Source,
    index: np.ndarray,
    xp=np,
    *,
    average_views: bool = False,
) -> Array:
    """V of the samples `index` of modality `place` (0: a, 1: b), in inference mode, as an array of `xp`."""
    front, name = network.fronts[place], FRONTS[place]
    if front is None:
        z = source.on(xp).read(index)
    else:
        own, own_buffers = under(name, params), under(name, buffers)
        z = forward_there(front, own, own_buffers, source, index, xp, average_views=average_views).z
    return encode(under("latent", params), "ab"[place], z, arch=network.arch)[0]


def embed(*args, **settings) -> np.ndarray:
    """`embed_there`, on the host."""
    return to_host(embed_there(*args, **settings))
