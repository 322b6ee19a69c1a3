"""Tiny photos and sketches in memory, and settings with which a run of the photo–sketch system takes a second."""

from functools import cache

import numpy as np
import worlds

from cmir_ref.attention.settings import AttentionSettings
from cmir_ref.config import load_config
from cmir_ref.data import Dataset, Modality

OWN = {
    "system": "attention",
    "distance": "cosine",
    "attention": "channel",
    "attended_inference": "mean",
    "gate_pairs": "same-class",
    "gate_residual": "true",
    "gate_width": "4",
    "stage1.epochs": "2",
    "label_loss": "softmax",
}


def overrides(*changes) -> list[str]:
    """`OWN` on top of `worlds.TINY`, with some changes, as `--set` takes them."""
    chosen = worlds.TINY | OWN | dict(change.split("=", 1) for change in changes)
    return [f"{key}={value}" for key, value in chosen.items()]


def config(*changes) -> AttentionSettings:
    """The settings of a tiny photo-sketch run."""
    return load_config("photo-sketch", overrides(*changes))


@cache
def data(n=30, classes=3, apart=False):
    """Photos with stripes of a colour and a direction; sketches with one line of that direction."""
    photos = worlds.pictures(n, classes).modalities["a"]._replace(name="photo")
    random = np.random.default_rng(1)
    labels, x = np.arange(24) % classes, np.zeros((24, 64, 64, 1), np.uint8)
    if apart:
        labels, x = photos.labels, np.zeros((n, 64, 64, 1), np.uint8)
    for k, c in enumerate(labels):
        at = int(random.integers(12, 50))
        x[k, at : at + 3] = 255 * (c != 1)
        x[k, :, at : at + 3] |= np.uint8(255 * (c != 0))
    names = tuple(f"class{c}" for c in range(classes))
    ids = tuple(f"s{k}" for k in range(len(labels)))
    sketches = Modality("sketch", "sketch", x, labels, ids, None, np.array(names)[labels])
    own = np.stack([np.arange(n)] * 2, axis=1) if apart else None
    return Dataset({"a": photos, "b": sketches}, names, None, "made up", own)
