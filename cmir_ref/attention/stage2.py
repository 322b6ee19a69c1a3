"""Stage 2 as a task of the training loop: the latent network and the attention before it learn eq. 6 over pairs."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, generator, to_device
from ..cmirnet.latent import init_latent
from ..cmirnet.stage2 import LatentSettings, alternating_groups
from ..data.pairs import draw_others, rows_as_set
from ..params import constant, dense, he
from ..records import Items, Splits
from ..retrieval import evaluate_direction
from ..retrieval.relevant_items import positions
from ..training.inputs import Source, epoch_batches, keep_masks, steps_per_epoch
from ..training.loop import Task
from ..training.transfer import Sent, send_parts
from .inference import Attended, embed_by_mean, embed_sketches
from .objective import Attention, attended_objective, attended_objective_backward
from .settings import AttentionSettings


class Inputs(NamedTuple):
    """What stage 2 is given of every photo and sketch: features, or maps of the convolution pretrainers."""

    a: Source  # of a photo
    b: Source  # of the sketch that is its pair
    context: Source  # of the sketch that attends
    heads: Mapping[str, Array] | None  # from a map to features


def init_attended(
    settings: AttentionSettings, network: LatentSettings, classes: int, channels: int
) -> tuple[dict, dict]:
    """(params, buffers) before training: CMIR-NET's own draws, so that "none" begins where CMIR-NET begins.

    `channels` of a map. The values of the cross-attention begin at 0: it begins as if there was none.
    """
    rng = generator(settings.seed, "latent/init")
    params, buffers = init_latent(network.arch, (settings.d_z, settings.d_z), classes, rng, settings.bias_init)
    rng = generator(settings.seed, "attention/init")
    if settings.attention in ("channel", "self"):
        params |= dense({"gate": (settings.d_z, settings.d_z)}, rng)
    elif settings.attention == "mask":
        params |= dense({"gate": (channels, 1)}, rng)
    elif settings.attention == "spatial":
        shape = (channels, settings.gate_width)
        params |= {f"gate.{name}": he(rng, shape, fan_in=channels) for name in "qk"}
        params["gate.v"] = constant(0, channels * channels).reshape(channels, channels)
    return params, buffers


def attended_task(
    settings: AttentionSettings,
    network: LatentSettings,
    inputs: Inputs,
    pairs: Callable[[int], np.ndarray],
    pair_count: int,
    parts: Splits,
    xp: Any = np,
    apart: np.ndarray | None = None,
) -> Task:
    """The task of latent network and attention; `pairs(epoch)` (P, 2) are sample numbers of photos and sketches.

    `apart` (P, 2) are photos and what was traced from them, as `Dataset` has them: in training none attends its own
    photo, and they don't find each other when the validation part chooses the epoch.
    """
    schedule, seed, form = settings.stage2, settings.seed, form_of(settings)
    a, b, context = (source.on(xp) for source in inputs[:3])
    labels = {m: to_device(source.labels, xp) for m, source in (("a", a), ("b", b))}
    heads = None if inputs.heads is None else {name: to_device(w, xp) for name, w in inputs.heads.items()}
    terms = {name: value for name, value in network._asdict().items() if name != "fronts"}
    terms |= {"attention": form, "heads": heads, "feature_dropout": schedule.feature_dropout}

    own = rows_as_set(apart)

    def batches(epoch):
        others, triples = generator(seed, "stage2/contexts", epoch), []
        for index in epoch_batches(pairs(epoch), schedule.batch_size, seed, "stage2", epoch):
            attending = index[:, 1]
            if settings.gate_pairs == "half-any":
                anyone = others.choice(parts.train["b"], len(index))
                attending = np.where(others.random(len(index)) < 0.5, anyone, attending)
                attended = np.column_stack([index[:, 0], attending])
                draw_others(attended, np.arange(len(index)), parts.train["b"], others, own)
                attending = attended[:, 1]
            triples.append(np.column_stack([index, attending]))
        sizes = [len(triple) for triple in triples]
        rates = [(settings.d_v, network.arch.dropout)] * 2
        masks = keep_masks(generator(seed, "stage2/dropout", epoch), sizes, rates, xp)
        rates = [(settings.d_z, schedule.feature_dropout)] * 2 if schedule.feature_dropout else []
        dropped = keep_masks(generator(seed, "stage2/features", epoch), sizes, rates, xp)
        for triple, keep, kept in zip(send_parts(triples, xp), masks, dropped, strict=True):
            photos, sketches, attending = (Sent(triple.host[:, k], triple.there[:, k]) for k in range(3))
            x = a.read(photos), b.read(sketches), context.read(attending)
            y = labels["a"][photos.there], labels["b"][sketches.there]
            yield x, y, dict(zip(("z_a", "z_b"), kept, strict=False)) | dict(zip("ab", keep, strict=True))

    def gradients(params, buffers, batch, epoch, step):
        x, y, masks = batch
        loss, cache = attended_objective(params, x, y, masks=masks, **terms)
        grads, _ = attended_objective_backward(1.0, cache, input_gradient=False)
        return {"loss": loss} | cache.objective.parts, grads, {}

    def validate(params, buffers):
        net, rows = Attended(form, network.arch, params, heads), parts.validation
        v = {
            "a": embed_by_mean(net, a.read(rows["a"]), context.read(parts.train["b"])),
            "b": embed_sketches(net, b.read(rows["b"])),
        }
        y = {m: labels[m][to_device(rows[m], xp)] for m in "ab"}
        if not all(bool(xp.isfinite(v_m).all()) for v_m in v.values()):
            return {"a->b": 0.0, "b->a": 0.0, "score": 0.0}
        items = {m: Items({m: rows[m]}, {}) for m in "ab"}
        scores = {}
        for p, q in ("ab", "ba"):
            own = to_device(positions(items[p], items[q], apart), xp)
            found = evaluate_direction(v[p], y[p], v[q], y[q], exclude=own, distance=settings.distance)
            scores[f"{p}->{q}"] = found["map"] or 0.0  # None, where no query has a relevant item, counts as 0
        return scores | {"score": float(np.mean(list(scores.values())))}

    turns = () if settings.update == "together" else alternating_groups("")
    return Task(
        "stage2",
        schedule,
        steps_per_epoch(pair_count, schedule.batch_size),
        batches,
        gradients,
        validate,
        turns and (("gate.", *turns[0]), turns[1]),  # the gate belongs to the photo's branch
        lr_setting="stage2.lr",
        graph=schedule.graph,
    )


def form_of(settings: AttentionSettings) -> Attention:
    """The attention that the settings ask for."""
    return Attention(settings.attention, settings.gate_residual)
