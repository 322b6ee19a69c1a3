"""The data sets, and what training asks of them: `load`, `split`, `pairs_of`, `read_query`."""

from pathlib import Path

import numpy as np

from cmir_ref.data import ucmerced, wald
from cmir_ref.data.dsrsid import load_dsrsid
from cmir_ref.data.features import load_features, load_scores, load_unified, write_features
from cmir_ref.data.folder import load_folder
from cmir_ref.data.images import read_image
from cmir_ref.data.locate import data_folder, find
from cmir_ref.data.pairs import draw_pairs, given_pairs, pairs_of
from cmir_ref.data.progress import track
from cmir_ref.data.query import read_query
from cmir_ref.data.records import Dataset, Modality, as_multi_hot, check
from cmir_ref.data.speech import load_speech, log_mel_patch
from cmir_ref.data.speech_features import load_speech_features
from cmir_ref.data.splits import PROTOCOLS, Splits, split
from cmir_ref.errors import InputError

__all__ = [
    "DATASETS",
    "PROTOCOLS",
    "Dataset",
    "Modality",
    "Splits",
    "as_multi_hot",
    "check",
    "draw_pairs",
    "given_pairs",
    "load",
    "load_dsrsid",
    "load_features",
    "load_folder",
    "load_scores",
    "load_speech",
    "load_speech_features",
    "load_unified",
    "log_mel_patch",
    "pairs_of",
    "read_image",
    "read_query",
    "split",
    "write_features",
]

DATASETS = {
    "pan-mul": ("dsrsid", "ucmerced", "folder", "features"),
    "image-speech": ("ucmerced", "folder", "features"),
}


def load(
    scenario: str,
    root: str | Path | None,
    *,
    dataset: str,
    speech: str | Path = "speech-features",
    image_size: int | None = None,
    speech_voice: str | None = None,
    progress: bool = False,
    sample_axis: int | None = None,
    band_axis: int | None = None,
) -> Dataset:
    """The data set of a scenario, read from the files below `root` and checked.

    `pan-mul` pairs PAN with MUL: `dsrsid`, `features` (the released code's), or RGB images of `ucmerced` or of a
    `folder` seen by simulated sensors. `image_size` is then PAN's side, 256 unless told; MUL's is a quarter of it.
    `image-speech` is unpaired: the images of `ucmerced` (17 labels) or a `folder`, `image_size` a side, 64 unless told,
    or the released `features` of them; and as `speech` the released `speech-features` below `root`, `speech` (the
    folder of that name below `root`), or the path of a folder of recordings. `speech_voice` is the regular expression
    whose group 1 is the voice. Raises `InputError` for anything unknown, missing or wrong.
    """
    if scenario not in DATASETS:
        raise InputError(f"scenario: {scenario!r} is unknown; use {', '.join(DATASETS)}")
    if dataset not in DATASETS[scenario]:
        raise InputError(f"dataset: {dataset!r} is unknown for {scenario}; use {', '.join(DATASETS[scenario])}")
    if image_size is not None and (image_size < 4 or image_size % 4):
        raise InputError(f"image_size: {image_size} is not a positive multiple of 4")
    root = data_folder(root)
    if scenario == "image-speech":
        images, names = _images(root, dataset, image_size or 64, "multi", progress)
        return check(Dataset((images, _speech(root, speech, names, speech_voice, progress)), names, None))
    if dataset == "dsrsid":
        return read_through(check(load_dsrsid(root, sample_axis=sample_axis, band_axis=band_axis)), progress)
    if dataset == "features":
        return check(load_features(root))
    return check(wald.pair(*_images(root, dataset, image_size or 256, "class", progress), progress=progress))


def read_through(dataset: Dataset, progress: bool = False, block: int = 64) -> Dataset:
    """`dataset` itself once every sample has been read: a damaged, black or non-finite one is an `InputError` now, not
    hours into the training."""
    total = sum(-(-len(m.x) // block) for m in dataset.modalities)
    blocks = ((m, start) for m in dataset.modalities for start in range(0, len(m.x), block))
    for m, start in track(blocks, total, "checking", progress):
        if not np.isfinite(m.x[start : start + block]).all():
            raise InputError(f"{m.name}: NaN or infinity among samples {start} to {start + block - 1}")
    return dataset


def _images(root: Path, dataset: str, size: int, labels: str, progress: bool) -> tuple[Modality, tuple[str, ...]]:
    """The image modality of a data set and its label names: of the folders there are, where labels are folders."""
    if dataset == "folder":
        return load_folder(root, size=size, progress=progress)
    if dataset == "features":
        return load_scores(root), ucmerced.LABEL_NAMES
    images = ucmerced.load_images(root, size=size, labels=labels, progress=progress)
    if labels == "multi":
        return images, ucmerced.LABEL_NAMES
    present, renumbered = np.unique(images.labels, return_inverse=True)
    return images._replace(labels=renumbered), tuple(ucmerced.CLASS_NAMES[c] for c in present)


def _speech(
    root: Path, speech: str | Path, label_names: tuple[str, ...], voice: str | None, progress: bool
) -> Modality:
    """The spoken labels."""
    if str(speech) == "speech-features":
        if label_names != ucmerced.LABEL_NAMES:
            raise InputError("speech: speech-features speak UC Merced's 17 labels only; give a folder of recordings")
        return load_speech_features(root)
    folder = find(root, "speech") if str(speech) == "speech" else Path(speech)
    return load_speech(folder, label_names, voice_pattern=voice, progress=progress)
