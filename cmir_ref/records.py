"""What everyone may name: modalities, data sets, splits, and a trained run.

A modality is named by a letter, "a", "b", …, everywhere: in dictionaries, parameters, directions ("a->b") and files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

PARTS = ("train", "validation", "test")


class Samples(Protocol):
    """The samples of a modality: an array, a memory map, or files that are read when they are asked for."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> np.ndarray: ...


class Places(NamedTuple):
    """Where on a map the centre of each sample lies."""

    xy: np.ndarray  # (N, 2), NaN where it is not known
    systems: tuple[str, ...]  # of the coordinates: "EPSG:32633", or "" where it is not known


class Modality(NamedTuple):
    """One sensor's or sense's samples.

    `x`: images (N, H, W, C) in their stored dtype, features (N, D) float32, or float64 where their differences need it
    (`data.features.in_floats`), sounds as log-mel patches (N, 96, 64, 1) float32, texts as word numbers (N, T)
    int32 with 0 as padding. `labels` are integers (N,) or multi-hot uint8 (N, C).
    A path is a real file, or `file.mat:17` for row 17, counted from 0. `groups` (N,) names the voice or the scene class
    that each sample belongs to; `texts` are the sentences of a text modality. `span` are the values that 0 and 255
    stand for where files of more than 8 bits were read as bytes; `remarks` are what a report says of how they were
    read. Files of images that are `as_stored` were read band by band, others as a viewer would show them. Of
    larger images the samples are tiles of `tile` × `tile` pixels, called `scene.tif:3,5`, at `places` on the map.
    `digests` (N,) tell of a run's samples, which it does not keep, what each holds.
    """

    name: str
    kind: str  # "image", "features", "sound", "text" or "sketch"
    x: Samples
    labels: np.ndarray
    ids: tuple[str, ...]
    paths: tuple[str, ...] | None
    groups: np.ndarray
    texts: tuple[str, ...] | None = None
    span: tuple[float, float] | None = None
    remarks: tuple[str, ...] = ()
    as_stored: bool = False
    tile: int = 0
    places: Places | None = None
    digests: np.ndarray | None = None


class Dataset(NamedTuple):
    """Modalities by letter, with the names of the labels that they share.

    `pairing` (P, 2) holds sample numbers of a and b that belong together, or is None. A sample may have several
    partners, as an image has several captions. `apart` (P, 2) are those that show the very same, as a photo and the
    sketch that was traced from it: they go into the same part of a split, are never trained on as a pair, and never
    find each other. `parts` are those that the data set names, if they are used.
    """

    modalities: dict[str, Modality]
    label_names: tuple[str, ...]
    pairing: np.ndarray | None
    note: str = ""
    apart: np.ndarray | None = None
    parts: "Splits | None" = None


class Splits(NamedTuple):
    """Three parts; each holds one sorted array of sample numbers for every modality, by letter."""

    train: dict[str, np.ndarray]
    validation: dict[str, np.ndarray]
    test: dict[str, np.ndarray]


Encoded = dict[str, np.ndarray]  # what one sample alone determines, (N, …) each, by name: {"v": (N, d_v)}


@dataclass(frozen=True)
class Items:
    """Samples that are compared: queries, or a gallery. Those of a come first, then those of b, ….

    `rows[m]` are sample numbers of modality m in the run's data set, −1 for a query from outside; `encoded[m]` is what
    is stored of these samples, in the same order.
    """

    rows: dict[str, np.ndarray]
    encoded: dict[str, Encoded]

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def samples(self) -> list[tuple[str, int]]:
        """(letter, sample number) of each item, in order."""
        return [(m, int(row)) for m, rows in self.rows.items() for row in rows]

    def sample(self, position: int) -> tuple[str, int]:
        """(letter, sample number) of the item at this position."""
        for m, rows in self.rows.items():
            if position < len(rows):
                return m, int(rows[position])
            position -= len(rows)
        raise IndexError(f"no item {position} behind the last")


class Run(NamedTuple):
    """A trained system with what it makes of every sample. `path` is None for a run that was never written."""

    path: Path | None
    config: Any  # the settings of the run's system
    tensors: dict[str, np.ndarray]  # of the networks, and what was fitted to the training part, by name
    encoded: dict[str, Encoded]  # by letter
    dataset: Dataset  # without its samples: every x is an empty array of the right shape and dtype
    parts: Splits
    history: list[dict[str, Any]]  # the lines of metrics.jsonl
    seconds: float
