"""One file as a query: read just as the samples of its modality were."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import Modality, Samples
from . import dsrsid, wald
from .bands import fit_bands, read_bands
from .captions import filter_keywords
from .images import is_grey, read_image
from .mat import read_mat, split_row
from .sketches import read_sketch
from .speech import log_mel_patch
from .tiles import read_tile, split_tile
from .vocabulary import BAR, make_lexicon, number_texts, words_of

RELEASED_SIDE = {"featuresx": ("mul", "image"), "featuresy": ("pan", "speech")}  # of unified_features.mat


def read_query(modality: Modality, path: str | Path) -> tuple[np.ndarray, str]:
    """One file as (x (1, …) in the modality's shape and dtype, id).

    A sentence for texts, a sound file for sounds, an image file for images, an image or SVG file for sketches,
    `file.mat:17` (row 17, counted from 0) for features and for the tiles of DSRSID.mat. Where `pan` or `mul` was made
    by Wald's protocol, an RGB image becomes what that sensor would see. Raises `InputError` for a query that cannot be
    read so.
    """
    if modality.kind == "text":
        return _text(modality, str(path)), str(path)
    file, row = split_row(path)
    if modality.kind == "sound":
        return log_mel_patch(path)[None], Path(path).stem
    if modality.kind == "sketch" and row is None:
        return read_sketch(path, modality.x.shape[1])[None], Path(path).stem
    if modality.kind == "image" and row is None:
        return _image(modality, path)[None], Path(path).stem
    if row is None:
        raise InputError(f"{path}: a query for {modality.name} is a row of a file, such as {path}:17")
    samples = _stored_tiles(modality, file) if modality.kind == "image" else _feature_rows(modality, file)
    if row >= len(samples):
        raise InputError(f"{path}: no row {row}; the file has rows 0 to {len(samples) - 1}")
    x = samples[np.array([row])].astype(modality.x.dtype)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError(f"{path}: NaN or infinity; numbers must be finite")
    return x, f"{Path(file).name}:{row}"


def digests_of(x: Samples, rows: np.ndarray | None = None) -> np.ndarray:
    """A number (N,) uint64 of each sample, or of those in `rows`: the same for those that hold the same, from whatever
    file they come."""
    rows = np.arange(len(x)) if rows is None else rows
    blocks = (x[rows[start : start + 64]] for start in range(0, len(rows), 64))
    digests = (hashlib.blake2b(sample.tobytes(), digest_size=8).digest() for block in blocks for sample in block)
    return np.frombuffer(b"".join(digests), "<u8")


def _text(modality: Modality, text: str) -> np.ndarray:
    """A sentence, with keywords behind bars or without, as word numbers (1, T) of the modality's lexicon.

    As in the paper, keywords alone are one behind another also the sentence, and a sentence alone gives its keywords.
    """
    lexicon = make_lexicon(modality.texts)
    if not set(words_of(text)) - {"|"}:
        raise InputError(f"{text!r}: no words; give a sentence, such as 'two white airplanes beside a building'")
    x = number_texts([text], lexicon, ["query"])
    if not ((x > BAR) & (x < len(lexicon) + 2)).any():
        raise InputError(f"{text!r}: none of its words stands in a caption of this run; use other words")
    sentence, *phrases = (part.strip() for part in text.split("|"))
    phrases = list(filter(words_of, phrases))
    parts = [sentence if words_of(sentence) else " ".join(phrases), *(phrases or filter_keywords(sentence))]
    rows = [np.insert(number_texts([part], lexicon, ["query"]), 0, BAR, axis=1) for part in parts]
    return np.concatenate(rows, axis=1)[:, 1:]


def _image(modality: Modality, path: str | Path) -> np.ndarray:
    """An image file as (H, W, C) like the modality's."""
    if modality.as_stored:
        return _stored_bands(modality, path)
    side, observe = view_of(modality)
    if modality.name == "pan" and not is_grey(path):
        x = wald.pan(read_image(path, side, span=modality.span))
    else:
        x = observe(read_image(path, side, bands=modality.x.shape[3], span=modality.span))
    if x.dtype != modality.x.dtype:
        raise InputError(f"{path}: {x.dtype} pixels, but the samples of {modality.name} are {modality.x.dtype}")
    return x


def view_of(modality: Modality) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """(pixels along a side of the image that a sample is made from, what makes (H, W, C) of such an image a sample).

    An image is the sample itself, but where `mul` was made by Wald's protocol: its sensor sees four pixels as one.
    """
    _, side, _, bands = modality.x.shape
    if modality.name == "mul" and bands == 3 and not modality.as_stored:
        return wald.FACTOR * side, wald.mul
    return side, lambda image: image


def _stored_bands(modality: Modality, path: str | Path) -> np.ndarray:
    """A file of the modality's sensor, band by band."""
    _, side, _, bands = modality.x.shape
    file, tile = split_tile(path) if modality.tile else (path, None)
    x = read_bands(file) if tile is None else read_tile(file, modality.tile, *tile)
    if x.shape[2] != bands or x.dtype != modality.x.dtype:
        here, there = f"{x.shape[2]} of {x.dtype}", f"{bands} of {modality.x.dtype}"
        raise InputError(f"{path}: its bands are {here}, but those of {modality.name} are {there}; give such a file")
    return fit_bands(x, side)


def _stored_tiles(modality: Modality, file: str):
    """The lazy tiles of another, or the same, DSRSID.mat."""
    tiles = dsrsid.open_tiles(file)
    if modality.name not in tiles or tiles[modality.name].shape[1:] != modality.x.shape[1:]:
        raise InputError(f"{file}: no {modality.name} tiles of {' × '.join(map(str, modality.x.shape[1:]))}")
    return tiles[modality.name]


def _feature_rows(modality: Modality, file: str) -> np.ndarray:
    """The one array of a .mat file that is as wide as the modality's features."""
    width = modality.x.shape[1]
    fits = {name: a for name, a in read_mat(file).items() if a.ndim == 2 and a.shape[1] == width}
    fits = {k: a for k, a in fits.items() if modality.name in RELEASED_SIDE.get(k, (modality.name,))}
    if len(fits) != 1:
        names = ", ".join(sorted(fits)) or "none"
        raise InputError(f"{file}: exactly one array of {width} columns is needed, found {names}")
    return next(iter(fits.values()))
