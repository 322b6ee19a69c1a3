"""Small data sets, in memory and on disk, and settings with which a whole training run takes a second.

`TINY` names every setting there is, so that no test depends on a default or a preset.
"""

import json
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.config import load_config
from cmir_ref.data import Dataset, Modality
from cmir_ref.data.ucmerced import CLASS_NAMES, LABEL_NAMES
from cmir_ref.replicate.worlds import Scale, World

TINY = {
    "system": "cmirnet",
    "dataset": "ucmerced",
    "sensors": '["pan", "mul"]',
    "scenes_seed": "0",
    "speech": "speech-features",
    "sketches": "drawings",
    "classes": "[]",
    "image_size": "64",
    "split": "file",
    "keywords": "given",
    "protocol": "paper",
    "gallery": "test",
    "test_share": "0.3",
    "validation_share": "0.2",
    "seed": "0",
    "d_z": "12",
    "d_v": "6",
    "distance": "euclidean",
    "trunk": "conv",
    "trunk_training": "frozen",
    "trunk_size": "224",
    "trunk_views": "1",
    "normalise_inputs": "standardise",
    "normalise_sounds": "set",
    "normalise_features": "none",
    "bias_init": "zero",
    "block_order": "conv-pool-act-norm",
    "batch_norm": "train",
    "fused": "true",
    "orthogonality.target": "identity",
    "orthogonality.weight": "0.1",
    "orthogonality.scaled": "true",
    "orthogonality.before_relu": "false",
    "encoder_depth": "2",
    "decoder_depth": "2",
    "encoder_activation": "hidden",
    "decoder_activation": "hidden",
    "latent_dropout": "none",
    "classifier": "shared",
    "label_loss": "by-modality",
    "head_decay": "0.0",
    "weights.alignment": "0.5",
    "weights.classification": "1.0",
    "weights.feature_norm": "0.01",
    "weights.reconstruction": "0.1",
    "weights.regulariser": "0.01",
    "weights.contrastive": "0.0",
    "temperature": "0.1",
    "reduction": "mean",
    "decoder_target": "cross",
    "target_gradient": "stop",
    "frobenius": "squared",
    "alpha": "0.5",
    "alpha_reading": "norm",
    "regularized_layers": "all",
    "stages": "separate",
    "update": "together",
    "stage1.epochs": "3",
    "stage1.batch_size": "16",
    "stage1.lr": "0.005",
    "stage1.schedule": "cosine",
    "stage1.warmup": "0.0",
    "stage1.weight_decay": "0.0",
    "stage1.average": "0.0",
    "stage1.keep": "best",
    "stage1.augment": "false",
    "stage1.light": "0.0",
    "stage1.crops": "1.0",
    "stage1.cut_out": "0.0",
    "stage1.mix_up": "0.0",
    "stage1.label_smoothing": "0.0",
    "stage1.voices": "false",
    "stage1.redraw": "auto",
    "stage1.sound_passes": "1",
    "stage1.average_views": "false",
    "stage1.average_tempos": "false",
    "stage1.dropout": "0.2",
    "stage1.label_loss": "by-modality",
    "stage1.hidden": "[]",
    "stage2.epochs": "3",
    "stage2.batch_size": "16",
    "stage2.lr": "0.005",
    "stage2.schedule": "cosine",
    "stage2.warmup": "0.0",
    "stage2.weight_decay": "0.0",
    "stage2.feature_dropout": "0.0",
    "stage2.graph": "false",
    "stage2.average": "0.0",
    "stage2.keep": "best",
}
SHORT = ("stage1.epochs=1", "stage1.average_views=false", "stage2.epochs=1")
SCALE = Scale(
    "tiny",
    {"places": World("Few places", ("dataset=ucmerced", "speech=speech-features"), SHORT, SHORT)},
    "For tests.",
)  # where an experiment of `cmir-ref replicate` takes a second


def overrides(*changes: str) -> list[str]:
    """`TINY` with some `key=value` changes, as `--set` takes them."""
    chosen = TINY | dict(change.split("=", 1) for change in changes)
    return [f"{key}={value}" for key, value in chosen.items()]


def config(*changes: str) -> CmirnetSettings:
    """The settings of a tiny image-speech run."""
    return load_config("image-speech", overrides(*changes))


def features(*, multi: bool = False, paired: bool = False, n: int = 60, classes: int = 4, seed: int = 0) -> Dataset:
    """Two modalities of noisy but separable feature vectors.

    a (n, 10) has one class a sample or, if `multi`, up to two labels; b has a's samples if `paired`, otherwise six
    recordings a class, by six voices.
    """
    random = np.random.default_rng(seed)
    centres = {"a": 2 * random.standard_normal((classes, 10)), "b": 2 * random.standard_normal((classes, 8))}
    first = np.arange(n) % classes
    hot = np.eye(classes, dtype=np.uint8)[first]
    if multi:
        hot[random.random(n) < 0.4, 1] = 1
    names = tuple(f"class{c}" for c in range(classes))
    labels_a = hot if multi else first
    scenes = np.array(names)[first]
    if paired:
        labels_b, hot_b, groups_b = labels_a, hot, scenes
    else:
        labels_b = np.repeat(np.arange(classes), 6)
        hot_b = np.eye(classes, dtype=np.uint8)[labels_b]
        groups_b = np.array([f"voice{k % 6}" for k in range(6 * classes)])

    def modality(name, labels, hot, groups):
        x = hot @ centres[name] + random.standard_normal((len(labels), centres[name].shape[1]))
        ids = tuple(f"{name}{k}" for k in range(len(labels)))
        return Modality(name, "features", x.astype(np.float32), labels, ids, None, groups)

    pairing = np.stack([np.arange(n)] * 2, axis=1) if paired else None
    a, b = modality("a", labels_a, hot, scenes), modality("b", labels_b, hot_b, groups_b)
    return Dataset({"a": a, "b": b}, names, pairing, "made up")


def picture(side: int, kind: int, seed: int) -> np.ndarray:
    """An RGB picture (side, side, 3) uint8 of class `kind`: a colour and a direction of stripes, and noise."""
    random = np.random.default_rng([kind, seed])
    y, x = np.mgrid[:side, :side] / side
    stripes = np.sin(2 * np.pi * (2 + kind) * (x if kind % 2 else y + 0.3 * x))[..., None]
    colour = np.random.default_rng(kind).uniform(70, 180, 3)
    noise = random.standard_normal((side, side, 3))
    return np.clip(colour + 40 * stripes + 15 * noise, 1, 255).astype(np.uint8)


def pictures(n: int = 24, classes: int = 3) -> Dataset:
    """Images (n, 64, 64, 3) with integer classes, and `features`' b."""
    world = features(n=n, classes=classes)
    vectors = world.modalities["a"]
    x = np.stack([picture(64, c, k) for k, c in enumerate(vectors.labels)])
    return world._replace(modalities=world.modalities | {"a": vectors._replace(name="image", kind="image", x=x)})


def sketches(n: int = 24, classes: int = 3) -> Dataset:
    """`pictures`, whose images are taken for sketches: bands of ink (n, 64, 64, 1)."""
    world = pictures(n, classes)
    drawn = world.modalities["a"]
    return world._replace(
        modalities=world.modalities | {"a": drawn._replace(name="sketch", kind="sketch", x=drawn.x[..., :1])}
    )


def sounds(classes: int = 3) -> Dataset:
    """`features`' a, and six log-mel patches (96, 64, 1) of each class: a tone that rises or falls, in noise."""
    world = features(n=24, classes=classes)
    vectors, random = world.modalities["b"], np.random.default_rng(1)
    frame, band = np.arange(96)[:, None], np.arange(64)
    x = []
    for label in vectors.labels.tolist():
        middle = 20 + 8 * label + (label - 1) * 0.2 * (frame - 48)
        spoken = (abs(frame - 48) < 30) * np.exp(-(((band - middle) / 3) ** 2))
        x.append(random.uniform(0.5, 4) * spoken + 0.02 * random.random((96, 64)))
    x = np.log(np.array(x) + 0.01)[..., None].astype(np.float32)
    return world._replace(modalities=world.modalities | {"b": vectors._replace(name="speech", kind="sound", x=x)})


COLOURS, THINGS = ("red", "blue", "green"), ("house", "river", "ship")


def captioned(n: int = 36, keywords: str = "given") -> Dataset:
    """Images (n, 64, 64, 3) of three classes with two captions each, of which some stand word for word at another."""
    from cmir_ref.data.captions import with_captions

    images = pictures(n).modalities["a"]
    sentences, given = [], []
    for k, c in enumerate(images.labels.tolist()):
        colour, thing = COLOURS[k % 3], THINGS[c]
        sentences.append((f"This was a very {colour} {thing} .", f"one {thing} near many trees"))
        given.append((f"{colour} {thing}", "many trees"))
    names = pictures(n).label_names
    return with_captions(images, names, tuple(sentences), tuple(given), keywords, images.ids)


def write_captions(root: Path, count: int = 5, name: str = "dataset_tiny.json", **changes) -> Path:
    """A tiny UC Merced with a caption file like UCM-Captions; `changes` replace fields of the first image."""
    classes = ("agricultural", "beach", "forest", "harbor")
    write_ucmerced(root, classes, count)
    images = []
    for c in classes:
        for k in range(count):
            number = 100 * CLASS_NAMES.index(c) + 7 * k
            texts = [f"There is a {c} .", f"A piece of {c} number {k} ."]
            sentences = [{"raw": text, "tokens": text.replace(".", "").split()} for text in texts]
            split = ("train", "train", "train", "val", "test")[k % 5]
            images.append({"filename": f"{number + 1}.tif", "imgid": number, "split": split, "sentences": sentences})
    images[0] |= changes
    (root / name).write_text(json.dumps({"images": images, "dataset": "tiny"}))
    return root


def write_ucmerced(root: Path, classes=("agricultural", "beach", "forest", "harbor"), count: int = 5) -> Path:
    """`Images/<class>/<class>NN.tif`, some 64, some 80 × 72 and one 256 pixels wide, and LandUse_multilabels.mat."""
    table = np.zeros((17, 2100), np.uint8)
    for column in range(2100):
        kind = column // 100
        table[[kind % 17, (kind + 5 + column % 2) % 17], column] = 1
    for name in classes:
        kind, folder = CLASS_NAMES.index(name), root / "Images" / name
        folder.mkdir(parents=True)
        for k in range(count):
            image = Image.fromarray(picture((64, 80, 64, 64, 256)[k % 5], kind, k))
            image.crop((0, 0, image.width, 72 if k == 1 else image.height)).save(folder / f"{name}{7 * k:02d}.tif")
    scipy.io.savemat(root / "LandUse_multilabels.mat", {"labels": table})
    return root


def write_speech_features(root: Path, per_label: int = 15) -> Path:
    """speech.mat (255, 128) and splab.mat (255, 17), 15 rows a label as released."""
    random = np.random.default_rng(1)
    hot = np.repeat(np.eye(17), per_label, axis=0)
    x = hot @ random.standard_normal((17, 128)) + 0.5 * random.standard_normal((len(hot), 128))
    scipy.io.savemat(root / "speech.mat", {"features": np.abs(x)})
    scipy.io.savemat(root / "splab.mat", {"splab": hot})
    return root


def write_speech(folder: Path, labels=LABEL_NAMES, voices=("ann", "bob", "cem")) -> Path:
    """`<label>/<voice>.wav`: a tone a label."""
    import soundfile

    t = np.arange(4000) / 16000
    for i, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for j, voice in enumerate(voices):
            soundfile.write(
                folder / label / f"{voice}.wav", 0.4 * np.sin(2 * np.pi * (300 + 150 * i + 20 * j) * t), 16000
            )
    return folder


def write_released(root: Path) -> Path:
    """What `train image-speech` reads: tiny UC Merced and speech features, in one folder."""
    return write_speech_features(write_ucmerced(root))


class Stop(Exception):
    """What `Interrupt` raises."""


class Interrupt:
    """A watch that stops a run after `epoch` of `stage`, or in the middle of the epoch behind it."""

    def __init__(self, stage: str, epoch: int, *, within: bool = False):
        self.stage, self.epoch, self.within = stage, epoch, within

    def on_step(self, name, epochs=1, done_epochs=0):
        before, last = done_epochs, 0

        def step(done, steps, parts):
            nonlocal before, last
            before, last = before + (done <= last), done
            if self.within and name == self.stage and before == self.epoch and done == 2:
                raise Stop

        return step

    def on_epoch(self, epoch):
        if not self.within and (epoch.stage, epoch.epoch) == (self.stage, self.epoch):
            raise Stop
