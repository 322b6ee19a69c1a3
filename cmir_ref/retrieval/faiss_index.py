"""Candidates from a faiss index, for galleries of millions (extra `faiss`); what they are is decided in float64."""

import re
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np

from ..backend import get_xp
from ..errors import InputError
from .distances import GallerySide, Space

SPARE = 16  # candidates beyond the k-th: room for rounding and ties
PATIENCE = 60  # seconds for a trial of an index on a few hundred items
TRIAL = """
import sys, faiss, numpy
g = numpy.random.default_rng(0).normal(size=(int(sys.argv[2]), int(sys.argv[1]))).astype("float32")
try:
    index = faiss.index_factory(g.shape[1], sys.argv[3])
    index.train(g)
    index.add(g)
    index.search(g[:8], min(8, len(g)))
except Exception:
    pass  # more items may do, and an exception can be caught
"""  # exits with a signal where faiss would end the process that asked


def build_index(side: GallerySide, description: str) -> Any:
    """The index that faiss' `index_factory` builds of a gallery; what follows a semicolon are its parameters.

    Raises `InputError` where faiss is not installed, does not know the index, cannot train it, or would end the
    process, for the distance `released` and for arrays that are not NumPy's.
    """
    if side.kind == "released" or get_xp(side.vectors) is not np:
        raise InputError("index: faiss ranks NumPy arrays by Euclidean distance or cosine; leave it out")
    try:
        import faiss
    except ImportError as error:
        raise InputError("index: faiss is not installed; pip install 'cmir-ref[faiss]'") from error
    g = (side.vectors - side.centre).astype("float32")
    items, dims = g.shape
    name, _, parameters = description.partition(";")
    check_description(name, dims, min(items, 512))
    try:
        index = faiss.index_factory(dims, name)
        faiss.ParameterSpace().set_index_parameters(index, parameters)
        index.train(g)
        index.add(g)
    except Exception as error:  # faiss raises what C++ throws, memory that it cannot get too
        raise _refusal(description, g.shape, error) from error
    return index


def find_candidates(space: Space, index: Any, description: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(items (Q, k + some), sure (Q,)): the nearest to each query by the index that `build_index` gave.

    With the exact index, "Flat", a query is sure where its k nearest are among its items whatever float32 rounded: its
    last item is farther than the k-th by more than the error of both, (D + 4) 2⁻²³ (‖q‖ + ‖g‖)² each, and one level.
    With any other a query is sure where the index found enough. Raises `InputError` for what faiss cannot search.
    """
    q, (items, dims) = space.query - space.centre, space.gallery.shape
    try:
        found, item = index.search(q.astype("float32"), min(items, k + SPARE))
    except Exception as error:
        raise _refusal(description, (items, dims), error) from error
    if description != "Flat":
        return item, (item >= 0).all(axis=1)
    longest = space.query_length + space.gallery_length.max()
    gap = 2 * (dims + 4) * 2.0**-23 * longest * longest + space.unit
    return item, (found[:, -1] > found[:, k - 1] + gap) | (item.shape[1] == items)


def _refusal(description: str, shape: tuple[int, ...], error: Exception) -> InputError:
    reason = (str(error).split(": ")[-1].splitlines() or [type(error).__name__])[0]
    return InputError(f"index: {description!r} is no faiss index for {shape[0]} items of {shape[1]}: {reason}")


@cache
def check_description(description: str, dims: int, items: int) -> None:
    """Raises `InputError` for a text that can be no index, and for one that ends a process or keeps it busy.

    faiss aborts, divides by zero or never returns for some: so each is tried in a process of its own, on `items` random
    items, before this one asks for it.
    """
    if description == "Flat":
        return
    if not re.fullmatch(r"[A-Za-z0-9_,()\[\].+-]{1,200}", description) or re.search(
        r"(?<![0-9.])0+(?![0-9.])", description
    ):
        raise InputError(f"index: {description!r} is no faiss index: expected one such as IVF64,Flat, numbers from 1")
    command = [sys.executable, "-c", TRIAL, str(dims), str(items), description]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"index: {description!r} keeps faiss busy for more than {PATIENCE} s on {items} items"
        ) from None
    if done.returncode < 0 or done.returncode > 128:
        raise InputError(f"index: {description!r} makes faiss end the process for {items} items of {dims}; use another")
