"""Stage 2 for any number of modalities: eq. 6 of all their pairs, over samples that show the same place."""

from collections.abc import Mapping

import numpy as np

from ..backend import Array, generator, get_xp, to_device, to_host
from ..errors import InputError
from ..ops.dropout import dropout
from ..retrieval import evaluate_direction
from ..training.inputs import epoch_batches, keep_masks, steps_per_epoch
from ..training.loop import Task
from ..training.transfer import send_parts
from .latent import encoder, init_latent, letters
from .many import many_objective, many_objective_backward
from .settings import CmirnetSettings
from .stage2 import LatentSettings, latent_settings

FITTING = {"classifier": "shared", "stages": "separate", "update": "together"}


def many_network(config: CmirnetSettings, y: np.ndarray) -> LatentSettings:
    """The network that the settings ask for, without fronts, for labels `y` of the places.

    Raises `InputError` for settings that know two modalities only.
    """
    for name, value in FITTING.items():
        if (asked := getattr(config, name)) != value:
            raise InputError(f"{name} {asked}: for more than two modalities {name} has to be {value}")
    return latent_settings(config, dict.fromkeys("ab", (config.d_z,)), dict.fromkeys("ab", y))


def init_many_network(
    config: CmirnetSettings, network: LatentSettings, widths: tuple[int, ...], classes: int
) -> tuple[dict, dict]:
    """(params, buffers) before training, for features of these widths, one a modality."""
    return init_latent(network.arch, widths, classes, generator(config.seed, "latent/init"), config.bias_init)


def many_task(
    config: CmirnetSettings,
    network: LatentSettings,
    z: tuple[Array, ...],
    y: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    xp=np,
) -> Task:
    """Stage 2 on features `z` (N, D_m), one array a modality, whose row k shows place k, of labels `y` (N,).

    `train` and `validation` are rows. The score is mAP, the mean of all directions from one modality to another.
    """
    schedule, names, held_out = config.stage2, letters(len(z)), to_device(validation, xp)
    settings = {name: value for name, value in network._asdict().items() if name != "fronts"}
    z, labels = tuple(to_device(z_m, xp) for z_m in z), to_device(y, xp)

    def batches(epoch):
        order = list(epoch_batches(train, schedule.batch_size, config.seed, "stage2", epoch))
        sizes, rate = [len(rows) for rows in order], schedule.feature_dropout
        masks = [(config.d_v, network.arch.dropout)] * len(names)
        masks = keep_masks(generator(config.seed, "stage2/dropout", epoch), sizes, masks, xp)
        dropped = [(z_m.shape[1], rate) for z_m in z if rate]
        dropped = keep_masks(generator(config.seed, "stage2/features", epoch), sizes, dropped, xp)
        for rows, keep, kept in zip(send_parts(order, xp), masks, dropped, strict=True):
            x = tuple(z_m[rows.there] for z_m in z)
            if rate:
                x = tuple(dropout(part, mask, rate)[0] for part, mask in zip(x, kept, strict=True))
            yield x, labels[rows.there], dict(zip(names, keep, strict=True))

    def gradients(params, buffers, batch, epoch, step):
        z, y, masks = batch
        loss, cache = many_objective(params, z, y, masks=masks, **settings)
        grads, _ = many_objective_backward(1.0, cache, input_gradient=False)
        return {"loss": loss} | cache.parts, grads, {}

    def validate(params, buffers):
        v = dict(zip(names, _embedded(network, params, tuple(z_m[held_out] for z_m in z)), strict=True))
        own = labels[held_out]
        scores = {f"{p}->{q}": 0.0 for p in names for q in names if p != q}
        if all(bool(xp.isfinite(v_m).all()) for v_m in v.values()):
            for direction in scores:
                p, q = direction.split("->")
                scores[direction] = evaluate_direction(v[p], own, v[q], own, distance=config.distance)["map"] or 0.0
        return scores | {"score": float(np.mean(list(scores.values())))}

    steps = steps_per_epoch(len(train), schedule.batch_size)
    return Task("stage2", schedule, steps, batches, gradients, validate, lr_setting="stage2.lr")


def _embedded(network: LatentSettings, params: Mapping[str, Array], z: tuple[Array, ...]) -> list[Array]:
    """V of every modality, where the features are."""
    return [encoder(params, m, z_m, arch=network.arch)[0] for m, z_m in zip(letters(len(z)), z, strict=True)]


def embed_many(network: LatentSettings, params: Mapping[str, Array], z: tuple[Array, ...]) -> list[np.ndarray]:
    """V (N, d_v) of every modality's features (N, D_m), on the host."""
    xp = get_xp(*params.values())
    return [to_host(v) for v in _embedded(network, params, tuple(to_device(z_m, xp) for z_m in z))]
