"""Stage 2 as a task of the training loop: the latent network learns eq. 6 over pairs.

In the usual case features are given and the latent network is all there is. Where `stages` is "joint" or "end-to-end",
pretrainers are trained along, and the parameters get the prefixes `front_a.`, `front_b.` and `latent.`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..backend import Array, generator, to_device
from ..nets.pretraining import Pretrainer
from ..ops.dropout import dropout
from ..params import add_prefix, below
from ..retrieval import evaluate_direction
from ..training.inputs import Source, epoch_batches, keep_masks, steps_per_epoch
from ..training.loop import Task
from ..training.transfer import Sent, send_parts
from .contrastive import Contrast
from .end_to_end import end_to_end, end_to_end_backward
from .eq6_total import Readings, Weights
from .latent import Latent, encoder, init_latent
from .objective import objective, objective_backward
from .settings import CmirnetSettings
from .stage1 import apply_pretrainer, init_pretrainer, label_kind, pretrainer


class LatentSettings(NamedTuple):
    """What stage 2 trains, as the settings ask for it."""

    fronts: dict[str, Pretrainer]  # pretrainers that are trained along, by letter; none in the usual case
    arch: Latent
    weights: Weights
    readings: Readings
    regularized_layers: str
    contrast: Contrast


def latent_settings(
    settings: CmirnetSettings, shapes: Mapping[str, tuple[int, ...]], labels: Mapping[str, np.ndarray]
) -> LatentSettings:
    """The latent network for samples of these `shapes` with these `labels`, by letter."""
    arch = Latent(
        d_v=settings.d_v,
        encoder_depth=settings.encoder_depth,
        decoder_depth=settings.decoder_depth,
        encoder_activation=settings.encoder_activation,
        decoder_activation=settings.decoder_activation,
        classifier=settings.classifier,
        latent_dropout=settings.latent_dropout,
    )
    readings = Readings(
        classifier=settings.classifier,
        label_losses=tuple(label_kind(settings.label_loss, y) for y in labels.values()),
        decoder_target=settings.decoder_target,
        target_gradient=settings.target_gradient,
        frobenius=settings.frobenius,
        reduction=settings.reduction,
        alpha=settings.alpha,
        alpha_reading=settings.alpha_reading,
        head_decay=settings.head_decay,
    )
    fronts = {} if settings.stages == "separate" else {m: pretrainer(settings, shape) for m, shape in shapes.items()}
    weights = Weights(**settings.weights.model_dump(exclude={"contrastive"}))
    contrast = Contrast(settings.weights.contrastive, settings.temperature)
    return LatentSettings(fronts, arch, weights, readings, settings.regularized_layers, contrast)


def init_stage2(
    settings: CmirnetSettings, network: LatentSettings, shapes: Mapping[str, tuple[int, ...]], classes: int
) -> tuple[dict, dict]:
    """(params, buffers) before training."""
    rng = generator(settings.seed, "latent/init")
    if not network.fronts:
        widths = tuple(shape[0] for shape in shapes.values())
        return init_latent(network.arch, widths, classes, rng, settings.bias_init)
    params, buffers = {}, {}
    for m, shape in shapes.items():
        front, statistics = init_pretrainer(settings, f"front_{m}", shape, classes)
        params |= add_prefix(f"front_{m}", front)
        buffers |= add_prefix(f"front_{m}", statistics)
    latent, _ = init_latent(network.arch, (settings.d_z,) * len(shapes), classes, rng, settings.bias_init)
    return params | add_prefix("latent", latent), buffers


def stage2_task(
    settings: CmirnetSettings,
    network: LatentSettings,
    sources: Mapping[str, Source],
    pairs: Callable[[int], np.ndarray],
    pair_count: int,
    validation: Mapping[str, np.ndarray],
    xp=np,
    partners: np.ndarray | None = None,
) -> Task:
    """The task of the latent network; `pairs(epoch)` (P, 2) are sample numbers in the sources of a and b.

    The score of an epoch is mAP on the validation part: by labels, or without these by the pairs `partners` (P, 2).
    """
    schedule, seed = settings.stage2, settings.seed
    labels = {m: to_device(source.labels, xp) for m, source in sources.items()}
    sources = {m: source.on(xp) for m, source in sources.items()}
    augmented = settings.stage1.augment and settings.stages == "end-to-end"
    terms = {name: value for name, value in network._asdict().items() if name != "fronts"}
    fronts = tuple(network.fronts.get(m) for m in sources)

    def batches(epoch):
        order = list(epoch_batches(pairs(epoch), schedule.batch_size, seed, "stage2", epoch))
        sizes = [len(index) for index in order]
        views = {m: generator(seed, f"stage2/augment/{m}", epoch) if augmented else None for m in sources}
        views = zip(*(source.views(sizes, views[m], xp) for m, source in sources.items()), strict=True)
        widths = dict.fromkeys(sources, (settings.d_v, network.arch.dropout))
        widths |= {f"front_{m}": (settings.d_z, settings.stage1.dropout) for m in sources}
        masks = keep_masks(generator(seed, "stage2/dropout", epoch), sizes, list(widths.values()), xp)
        thin = [m for m, source in sources.items() if source.kind == "features" and schedule.feature_dropout]
        dropped = [(sources[m].x.shape[1], schedule.feature_dropout) for m in thin]
        dropped = keep_masks(generator(seed, "stage2/features", epoch), sizes, dropped, xp)
        for index, view, keep, kept in zip(send_parts(order, xp), views, masks, dropped, strict=True):
            rows = {m: Sent(index.host[:, k], index.there[:, k]) for k, m in enumerate(sources)}
            x = {m: source.read(rows[m], v) for (m, source), v in zip(sources.items(), view, strict=True)}
            for m, mask in zip(thin, kept, strict=True):  # stage 1 is surer of its own samples than of new ones
                x[m] = dropout(x[m], mask, schedule.feature_dropout)[0]
            y = tuple(labels[m][rows[m].there] for m in sources)
            yield tuple(x.values()), y, dict(zip(widths, keep, strict=True))

    def gradients(params, buffers, batch, epoch, step):
        z, y, masks = batch
        loss, cache = objective(params, z, y, masks=masks, **terms)
        grads, _ = objective_backward(1.0, cache, input_gradient=False)
        return {"loss": loss} | cache.parts, grads, {}

    def gradients_with_fronts(params, buffers, batch, epoch, step):
        x, y, masks = batch
        loss, cache = end_to_end(params, x, y, fronts=fronts, mode="train", buffers=buffers, masks=masks, **terms)
        return {"loss": loss} | cache.objective.parts, end_to_end_backward(1.0, cache), cache.statistics

    def validate(params, buffers):
        v = {m: embed(network, params, buffers, m, sources[m], validation[m], xp) for m in sources}
        if partners is None:
            y = {m: sources[m].labels[validation[m]] for m in sources}
        else:  # partners share a number as classes share a label
            y = numbers_of_pairs(partners, validation)
        y = {m: to_device(y_m, xp) for m, y_m in y.items()}
        if not all(bool(xp.isfinite(v_m).all()) for v_m in v.values()):
            return {"a->b": 0.0, "b->a": 0.0, "score": 0.0}
        scores = {  # None, where no query has a relevant item, counts as 0
            f"{p}->{q}": evaluate_direction(v[p], y[p], v[q], y[q], distance=settings.distance)["map"] or 0.0
            for p, q in ("ab", "ba")
        }
        return scores | {"score": float(np.mean(list(scores.values())))}

    return Task(
        "stage2",
        schedule,
        steps_per_epoch(pair_count, schedule.batch_size),
        batches,
        gradients_with_fronts if network.fronts else gradients,
        validate,
        () if settings.update == "together" else alternating_groups("latent." if network.fronts else ""),
        lr_setting="stage2.lr",
        graph=schedule.graph,
    )


def numbers_of_pairs(pairs: np.ndarray, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The number of the pair (P, 2) that each of these samples belongs to, by letter; a sample has one partner."""
    return {m: np.argsort(pairs[:, k])[np.searchsorted(np.sort(pairs[:, k]), rows[m])] for k, m in enumerate("ab")}


def alternating_groups(prefix: str) -> tuple[tuple[str, ...], ...]:
    """Algorithm 1: the parameters of a's branch, then those of b's, each while the other's stand still.

    The shared classifier belongs to both. `prefix` stands before the latent network's names.
    """
    return tuple(
        (
            f"front_{m}.",
            *(f"{prefix}{name}" for name in (f"encoder_{m}.", f"decoder_{m}", "classifier.", f"classifier_{m}.")),
        )
        for m in "ab"
    )


def embed(
    network: LatentSettings,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    letter: str,
    source: Source,
    index: np.ndarray,
    xp=np,
    *,
    average_views: bool = False,
) -> Array:
    """V (n, d_v) of the samples `index` of the modality `letter`, in inference mode, as an array of `xp`."""
    if letter not in network.fronts:
        return encoder(params, letter, source.on(xp).read(index), arch=network.arch)[0]
    front, name = network.fronts[letter], f"front_{letter}"
    out = apply_pretrainer(
        front, below(name, params), below(name, buffers), source, index, xp, average_views=average_views
    )
    return encoder(below("latent", params), letter, out.z, arch=network.arch)[0]
