"""The data sets, and what training asks of them: `load`, `split`, `pairs_of`, `read_query`."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..progress import track
from . import ucmerced, wald
from .cache import cached_scenes
from .dsrsid import load_dsrsid
from .features import load_features, load_scores, load_unified, write_features
from .folder import load_folder
from .images import read_image
from .locate import data_folder, find
from .pairs import draw_pairs, given_pairs, pairs_of
from .query import read_query
from .records import Dataset, Modality, as_multi_hot, check
from .samples import samples_dir, write_samples
from .speech import load_speech, log_mel_patch
from .speech_features import load_speech_features
from .splits import PROTOCOLS, Splits, split

__all__ = [
    "DATASETS",
    "PROTOCOLS",
    "Dataset",
    "Modality",
    "Splits",
    "as_multi_hot",
    "cached_scenes",
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
    "samples_dir",
    "split",
    "write_features",
    "write_samples",
]

DATASETS = {
    "pan-mul": ("scenes", "dsrsid", "ucmerced", "folder", "features"),
    "image-speech": ("scenes", "ucmerced", "folder", "features"),
}
COUNTS = {"pan-mul": 4000, "image-speech": 2100}  # scenes to generate unless told
NOTE = "simulated scenes"


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
    count: int | None = None,
    seed: int = 0,
) -> Dataset:
    """The data set of a scenario, read from the files below `root` and checked.

    `pan-mul` pairs PAN with MUL: `dsrsid`, `features` (the released code's), or RGB images of `ucmerced` or of a
    `folder` seen by simulated sensors. `image_size` is then PAN's side, 256 unless told; MUL's is a quarter of it.
    `image-speech` is unpaired: the images of `ucmerced` (17 labels) or a `folder`, `image_size` a side, 64 unless told,
    or the released `features` of them; and as `speech` the released `speech-features` below `root`, `speech` (the
    folder of that name below `root`), or the path of a folder of recordings. `speech_voice` is the regular expression
    whose group 1 is the voice; `bundled` as `speech` are the recordings that come with the package. `scenes` are
    `count` simulated ones (4000 pairs or 2100 images unless told) of a `seed`, made on first use; PAN is then 256 a
    side. Neither `scenes` nor `bundled` needs a `root`. Raises `InputError` for anything unknown, missing or wrong.
    """
    if scenario not in DATASETS:
        raise InputError(f"scenario: {scenario!r} is unknown; use {', '.join(DATASETS)}")
    if dataset not in DATASETS[scenario]:
        raise InputError(f"dataset: {dataset!r} is unknown for {scenario}; use {', '.join(DATASETS[scenario])}")
    if image_size is not None and (image_size < 4 or image_size % 4):
        raise InputError(f"image_size: {image_size} is not a positive multiple of 4")
    if dataset == "scenes":
        count = COUNTS[scenario] if count is None else count
        if scenario == "pan-mul":
            return _land_cover(count, seed, progress)
        sounds = _speech(root, speech, ucmerced.LABEL_NAMES, speech_voice, progress)  # what it lacks is said first
        images = _objects(count, seed, image_size or 64, progress)
        return check(Dataset((images, sounds), ucmerced.LABEL_NAMES, None, NOTE))
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


def _land_cover(count: int, seed: int, progress: bool) -> Dataset:
    """Simulated PAN–MUL pairs."""
    folder = cached_scenes("land-cover", count, seed=seed, progress=progress)
    return check(load_dsrsid(folder, sample_axis=0, band_axis=1)._replace(note=NOTE))


def _objects(count: int, seed: int, size: int, progress: bool) -> Modality:
    """Simulated images with several labels each; every label occurs."""
    folder = cached_scenes("objects", count, seed=seed, progress=progress)
    images = ucmerced.load_images(folder, size=size, progress=progress)
    for c in np.flatnonzero(~images.labels.any(axis=0))[:1]:
        raise InputError(f"count {count}: no scene shows {ucmerced.LABEL_NAMES[c]!r}; ask for more")
    return images


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
    root: str | Path | None, speech: str | Path, label_names: tuple[str, ...], voice: str | None, progress: bool
) -> Modality:
    """The spoken labels."""
    if str(speech) == "speech-features":
        if label_names != ucmerced.LABEL_NAMES:
            raise InputError("speech: speech-features speak UC Merced's 17 labels only; give a folder of recordings")
        return load_speech_features(root)
    if str(speech) == "bundled":
        folder = samples_dir() / "speech"
    else:
        folder = find(root, "speech") if str(speech) == "speech" else Path(speech)
    return load_speech(folder, label_names, voice_pattern=voice, progress=progress)
