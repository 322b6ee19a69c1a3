"""The `.mat` files between the stages of the released CMIR-NET code (github.com/ushasi), read and written.

In that code X is the multi-spectral (or image) side and Y the panchromatic (or speech) side.
"""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import whole_file
from ..records import Dataset, Modality
from .dsrsid import LABEL_NAMES
from .locate import find_file
from .mat import read_field
from .ucmerced import CLASS_NAMES, load_multilabels

FIELDS = {  # file: the arrays in it
    "pan_features": ("features",),
    "mul_features": ("features",),
    "labels": ("LAND_COVER_TYPES",),
    "scores": ("scores",),
    "unified_features": ("featuresx", "featuresy"),
}


SINGLE, NOISE = 1e-7, 1e-10  # of a number: what float32 rounds off, and what no measurement tells from another


def in_floats(x: np.ndarray) -> np.ndarray:
    """Features (N, D) as float32; as they are, in float64, where a column's offset would swallow its differences."""
    x = x.astype(np.uint8) if x.dtype.kind == "b" else x  # truth values have no differences
    size, spread = np.abs(x).max(axis=0, initial=0), np.ptp(x, axis=0) if len(x) else 0
    swallowed = (spread < 1000 * SINGLE * size) & (spread > NOISE * size)
    if x.dtype == np.float64 and swallowed.any():
        return x
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which `validation.check` refuses
        return x.astype(np.float32)


def load_features(root: str | Path) -> Dataset:
    """pan_features.mat and mul_features.mat (N, D) as a paired set, labels 1 … 8 of labels.mat as 0 … 7.

    Raises `InputError` for a missing or unreadable file, counts that differ and labels out of range.
    """
    path = find_file(root, "labels.mat")
    raw = read_field(path, "LAND_COVER_TYPES").ravel()
    wrong = ~np.isin(raw, np.arange(1, len(LABEL_NAMES) + 1))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(f"{path}: LAND_COVER_TYPES[{first}] is {raw[first]}; labels are 1 to {len(LABEL_NAMES)}")
    labels = raw.astype(int) - 1
    pan, mul = (_modality(root, name, f"{name}_features", labels, LABEL_NAMES) for name in ("pan", "mul"))
    return Dataset({"a": pan, "b": mul}, LABEL_NAMES, np.stack([np.arange(len(labels))] * 2, axis=1))


def load_scores(root: str | Path, *, name: str = "image") -> Modality:
    """scores.mat (2100, D), features of the UC Merced images in their usual order, with multi-hot labels (2100, 17)."""
    labels = load_multilabels(root)
    image = _modality(root, name, "scores", np.arange(len(labels)) // 100, CLASS_NAMES)
    ids = tuple(f"{group}{k % 100:02d}" for k, group in enumerate(image.groups))
    return image._replace(labels=labels, ids=ids)


def load_unified(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The latent embeddings (featuresx, featuresy) of unified_features.mat: X is MUL or image, Y is PAN or speech."""
    return tuple(read_field(path, field).astype(np.float32) for field in FIELDS["unified_features"])


def write_features(folder: str | Path, *, pan=None, mul=None, labels=None, scores=None, unified=None) -> list[Path]:
    """Write what is given under the names and fields that the released code reads; returns the files written.

    `pan`, `mul`, `scores` are (N, D); `labels` (N,) count from 0 here and from 1 in the file; `unified` is the pair
    (featuresx, featuresy), in this order MUL, PAN or image, speech. A file is complete or not there at all.
    """
    import scipy.io

    given = {
        "pan_features": pan,
        "mul_features": mul,
        "labels": None if labels is None else (np.asarray(labels) + 1).astype(np.uint8)[:, None],
        "scores": scores,
        "unified_features": unified,
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for name, value in given.items():
        if value is None:
            continue
        arrays = value if name == "unified_features" else (value,)
        path = Path(folder) / f"{name}.mat"
        with whole_file(path) as file:
            scipy.io.savemat(file, dict(zip(FIELDS[name], map(np.asarray, arrays), strict=True)), do_compression=True)
        written.append(path)
    return written


def _modality(root, name: str, file: str, labels: np.ndarray, names: tuple[str, ...]) -> Modality:
    """The features of `file`.mat as a modality, one row for each label."""
    path = find_file(root, f"{file}.mat")
    x = read_field(path, FIELDS[file][0])
    if x.ndim != 2 or len(x) != len(labels):
        raise InputError(f"{path}: {' × '.join(map(str, x.shape))} features for {len(labels)} labels; one row for each")
    ids, paths = tuple(map(str, range(len(x)))), tuple(f"{path}:{k}" for k in range(len(x)))
    return Modality(name, "features", in_floats(x), labels, ids, paths, np.array(names)[labels])
