"""Candidates from a faiss index, for galleries of millions (extra `faiss`); what they are is decided in float64."""

import numpy as np

from ..backend import get_xp
from ..errors import InputError
from .distances import Space

SPARE = 16  # candidates beyond the k-th: room for rounding and ties


def find_candidates(space: Space, description: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(items (Q, k + some), sure (Q,)): the nearest to each query by the index that faiss' `index_factory` builds.

    With the exact index, "Flat", a query is sure where its k nearest are among its items whatever float32 rounded: its
    last item is farther than the k-th by more than the error of both, (D + 4) 2⁻²³ (‖q‖ + ‖g‖)² each, and one level.
    With any other a query is sure where the index found enough.

    Raises `InputError` where faiss is not installed, does not know the index or cannot train it, for the distance
    `released` and for arrays that are not NumPy's.
    """
    if space.kind == "released" or get_xp(space.gallery) is not np:
        raise InputError("index: faiss ranks NumPy arrays by Euclidean distance or cosine; leave it out")
    try:
        import faiss
    except ImportError as error:
        raise InputError("index: faiss is not installed; pip install 'cmir-ref[faiss]'") from error
    centre = space.gallery.mean(axis=0)
    q, g = space.query - centre, space.gallery - centre
    items, dims = g.shape
    try:
        index = faiss.index_factory(dims, description)
        index.train(g.astype("float32"))
        index.add(g.astype("float32"))
    except RuntimeError as error:
        reason = str(error).split(": ")[-1].splitlines()[0]
        raise InputError(f"index: {description!r} is no faiss index for {items} items of {dims}: {reason}") from error
    found, item = index.search(q.astype("float32"), min(items, k + SPARE))
    if description != "Flat":
        return item, (item >= 0).all(axis=1)
    longest = np.sqrt((q * q).sum(axis=1)) + np.sqrt((g * g).sum(axis=1).max())
    gap = 2 * (dims + 4) * 2.0**-23 * longest * longest + space.unit
    return item, (found[:, -1] > found[:, k - 1] + gap) | (item.shape[1] == items)
