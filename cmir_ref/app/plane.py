"""The shared space as it fits on a page: its two principal axes, with a part of the gallery on them.

N samples, D dimensions.
"""

from typing import NamedTuple

import numpy as np

from ..ranking import items_of, system_of
from ..records import Encoded, Run

MOST_POINTS = 1500  # of a modality


class Plane(NamedTuple):
    """The mean (D,) and the principal axes (D, 2) of a gallery, the axes' shares of variance, and points on them."""

    mean: np.ndarray
    axes: np.ndarray
    share: np.ndarray
    rows: dict[str, np.ndarray]  # sample numbers (n,) by letter
    points: dict[str, np.ndarray]  # (n, 2)


def plane_of(run: Run) -> Plane | None:
    """The plane of the run's gallery; None where its modalities have no vectors of one width."""
    items = items_of(run, "".join(run.dataset.modalities), run.config.gallery)
    vectors = {m: space_vectors(run, encoded) for m, encoded in items.encoded.items() if len(items.rows[m])}
    if len({v.shape[1:] for v in vectors.values()}) != 1:
        return None
    x = np.concatenate(list(vectors.values())).astype(np.float64)
    mean = x.mean(axis=0)
    variance, axes = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    axes, share = axes[:, ::-1][:, :2], variance[::-1][:2] / max(variance.sum(), 1e-30)
    if len(mean) == 1:  # a line: all points have the second coordinate 0
        axes, share = np.array([[1.0, 0.0]]), np.append(share, 0.0)
    shown = {m: np.unique(np.linspace(0, len(v) - 1, MOST_POINTS).astype(int)) for m, v in vectors.items()}
    rows = {m: items.rows[m][few] for m, few in shown.items()}
    points = {m: (vectors[m][few] - mean) @ axes for m, few in shown.items()}
    return Plane(mean, axes, share, rows, points)


def point_of(run: Run, plane: Plane, encoded: Encoded) -> np.ndarray:
    """Where one sample lies on the plane (2,)."""
    return ((space_vectors(run, encoded) - plane.mean) @ plane.axes)[0]


def space_vectors(run: Run, encoded: Encoded) -> np.ndarray:
    """The vectors (N, D) that stand for samples in the shared space: v, or of a text s or k; of an angle, unit ones."""
    v = next(encoded[name] for name in ("v", "s", "k") if name in encoded)
    if run.config.distance == "cosine" or system_of(run.config).vectors is None:
        v = v / np.maximum(np.sqrt((v * v).sum(axis=1, keepdims=True)), 1e-12)
    return v
