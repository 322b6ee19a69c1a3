"""A third system, written in one folder to prove the contract: nearest neighbours in the features themselves.

One stage learns a common scale of each modality's principal axes (a few numbers, by descent); a query is compared with
an item by a distance that needs the pair: the angle between them, weighted by how long the query is.
"""

from functools import partial
from typing import Literal

import numpy as np

from cmir_ref.config import Schedule, SharedSettings
from cmir_ref.contract import Stage, System
from cmir_ref.retrieval.relevant_items import shared_label
from cmir_ref.training.inputs import epoch_batches, steps_per_epoch
from cmir_ref.training.loop import Task


class ToySettings(SharedSettings):
    scenario: Literal["image-speech"]
    width: int = 3
    match: Schedule = Schedule(epochs=2, lr=0.05)


def stages(settings, kinds):
    return [Stage("match", frozenset(ToySettings.model_fields), init, task, fit=fit, make=make)]


def class_means(data, m, rows):
    """The mean of each class's training samples (K, D), by which a sample is described."""
    labels, x = data.modalities[m].labels[rows], data.modalities[m].x[rows]
    hot = labels if labels.ndim == 2 else labels[:, None] == np.arange(len(data.label_names))
    return (hot.T @ x / np.maximum(hot.sum(axis=0), 1)[:, None]).astype(np.float32)


def fit(settings, data, parts, made):
    return {f"means.{m}": class_means(data, m, parts.train[m]) for m in data.modalities}


def init(settings, data):
    return {f"scale.{m}": np.ones(len(data.label_names), np.float32) for m in data.modalities}, {}


def scores(params, made, m, x):
    """(n, K): how near a sample is to each class mean, scaled."""
    distance = ((x[:, None] - made[f"means.{m}"][None]) ** 2).mean(axis=2)
    return -distance * params[f"scale.{m}"]


def task(settings, data, parts, made, xp):
    rows = parts.train["a"]

    def gradients(params, buffers, batch, epoch, step):
        grads, loss = {}, 0.0
        for m in data.modalities:
            x = data.modalities[m].x[parts.train[m][batch % len(parts.train[m])]]
            s = scores({f"scale.{m}": np.ones_like(params[f"scale.{m}"])}, made, m, x)
            loss += float(((s * params[f"scale.{m}"] - 1) ** 2).mean())
            grads[f"scale.{m}"] = (2 * (s * params[f"scale.{m}"] - 1) * s).mean(axis=0) / s.shape[1]
        return {"loss": loss}, grads, {}

    steps = steps_per_epoch(len(rows), settings.match.batch_size)
    positions = np.arange(len(rows))
    batches = partial(batches_of, positions, settings)
    return Task("match", settings.match, steps, batches, gradients, lambda params, buffers: {"score": 0.0})


def batches_of(positions, settings, epoch):
    return epoch_batches(positions, settings.match.batch_size, settings.seed, "match", epoch)


def make(settings, params, buffers, data, made, xp, on_step=None):
    return {f"s.{m}": scores(params, made, m, modality.x) for m, modality in data.modalities.items()}


def encode(run, m, x, xp=np):
    params = {name.removeprefix("match/params/"): value for name, value in run.tensors.items()}
    return {"s": scores(params, run.tensors, m, x)}


def distances(run, query, gallery, xp=np):
    """1 − cos, times the query's own length: no distance of two stored vectors gives it."""
    q, g = (np.concatenate([encoded["s"] for encoded in side.encoded.values()]) for side in (query, gallery))
    length = np.sqrt((q * q).sum(axis=1, keepdims=True))
    g = g / np.sqrt((g * g).sum(axis=1, keepdims=True))
    return lambda rows: length[rows] - q[rows] @ g.T


def facts(run, part):
    scale = float(np.mean([encoded["s"].std() for encoded in run.encoded.values()]))
    return {"state": "alive", "scale": scale, "effective_rank": float(run.config.width)}


SYSTEM = System(
    settings=ToySettings,
    stages=stages,
    encode=encode,
    distances=distances,
    relevant=shared_label,
    facts=facts,
    directions=("a->b", "b->a", "a->a"),
    recall_at=(1, 5),
)
