"""The released spoken labels: VGGish features of 17 labels × 15 recordings (CMIR-NET, Chaudhuri et al. 2020)."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import Modality
from .features import in_floats
from .locate import find_file
from .mat import read_field
from .ucmerced import LABEL_NAMES


def load_speech_features(root: str | Path, *, name: str = "speech") -> Modality:
    """speech.mat (N, D) as features (`in_floats`), with the labels of splab.mat (N, 17) as integers.

    255 × 128 are released. Who speaks is not recorded, so `groups` is empty text. Raises `InputError` for shapes that
    do not fit and for a row of splab.mat that is not one-hot.
    """
    path, label_path = find_file(root, "speech.mat"), find_file(root, "splab.mat")
    x, hot = read_field(path, "features"), read_field(label_path, "splab")
    if x.ndim != 2 or hot.shape != (len(x), len(LABEL_NAMES)):
        raise InputError(
            f"{label_path}: splab is {_size(hot)} and features of {path} are {_size(x)}; "
            f"expected N × {len(LABEL_NAMES)} and N × D"
        )
    wrong = ~np.isin(hot, (0, 1)).all(axis=1) | ((hot == 1).sum(axis=1) != 1)
    if wrong.any():
        raise InputError(f"{label_path}: row {np.argmax(wrong)} is not one-hot; expected one 1 and else 0")
    labels = hot.argmax(axis=1)
    ids = tuple(f"{LABEL_NAMES[c]}{(labels[:k] == c).sum():02d}" for k, c in enumerate(labels))
    paths = tuple(f"{path}:{k}" for k in range(len(x)))
    return Modality(name, "features", in_floats(x), labels, ids, paths, np.full(len(x), ""))


def _size(array: np.ndarray) -> str:
    return " × ".join(map(str, array.shape))
