"""Galleries: queries with their nearest results as pictures and sounds, right and wrong ones marked, on one page.

A run keeps paths, not samples: what is shown is read again from the files. A file that is gone leaves a card with the
sample's name, and of one that was changed the card says so.
"""

import base64
import io
import mimetypes
import warnings
from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data import data_in_words, digests_of, read_image, read_query
from ..data.mat import split_row
from ..data.sketches import NotADrawing
from ..data.tiles import split_tile
from ..errors import InputError
from ..records import Modality, Run
from .pages import direction_names, environment

SIDE = 96  # pixels of a thumbnail at most
LARGEST_SOUND = 2**19  # bytes of a recording that is put into a page
SOUNDS = {".flac": "audio/flac", ".wav": "audio/wav", ".ogg": "audio/ogg"}
MAGMA = ("000004", "180f3d", "440f76", "721f81", "9e2f7f", "cd4071", "f1605d", "fd9668", "feca8d", "fcfdbf")


class Picture(NamedTuple):
    """A thumbnail as a data URI, and what it shows."""

    uri: str
    text: str


class Card(NamedTuple):
    """A sample as it stands on the page."""

    modality: str  # in words: "pan"
    name: str
    labels: tuple[tuple[str, bool], ...]  # and whether the query has it too
    pictures: tuple[Picture, ...]
    sound: str | None  # a data URI
    note: str  # what is wrong with the file, if anything
    right: bool | None  # None: the query's labels are not known, or this is the query
    distance: float
    place: str = ""  # on the map
    text: str = ""  # of a caption, what it says


def gallery_page(
    title: str, note: str, examples: Mapping[str, Sequence[Any]], modalities: Mapping[str, Modality]
) -> str:
    """The page as text: a section for each title of `examples`. `modalities` are those of the run, by letter.

    An example has a `query` and its `hits`: samples with `modality` (a letter), `id`, `path` and `labels`, a hit also
    with its `distance`. `right` says of each hit whether it is; where that is None, a label of the query makes it so.
    """
    rows = cards(examples, modalities)
    return environment().get_template("gallery.html").render(title=title, note=note, sections=rows)


def examples_page(run: Run, examples: Mapping[str, Sequence[Any]], gallery: str) -> str:
    """The page of what some queries of a run find in its part `gallery`; `examples` are by direction."""
    names = direction_names(run, examples)
    note = f"{data_in_words(run.config, run.dataset.note)} · gallery: {gallery} part"
    title = f"Run {run.path.name if run.path else run.config.scenario}: what some queries find"
    return gallery_page(title, note, {names[d]: rows for d, rows in examples.items()}, run.dataset.modalities)


def search_page(run: Run, query: str | Path, example: Any) -> str:
    """The page that shows a query from outside and what was found for it."""
    name = run.path.name if run.path else run.config.scenario
    words = run.dataset.modalities[example.query.modality].kind == "text"
    note = f"{data_in_words(run.config, run.dataset.note)} · run {name}"
    title = f"Nearest to {query if words else Path(query).name}"
    return gallery_page(title, note, {"": [example]}, run.dataset.modalities)


def cards(
    examples: Mapping[str, Sequence[Any]], modalities: Mapping[str, Modality]
) -> dict[str, list[tuple[Card, list[Card]]]]:
    """The cards of each section's rows; each file is read once."""
    seen: dict[tuple, tuple] = {}

    def card(sample: Any, wanted: tuple[str, ...] | None, right: bool | None = None) -> Card:
        modality = modalities[sample.modality]
        key = sample.modality, sample.path
        if key not in seen:
            seen[key] = look(modality, sample.path)
        labels = tuple((label, label in (wanted or ())) for label in sample.labels)
        if right is None and wanted:
            right = any(shared for _, shared in labels)
        name = Path(sample.id).stem if modality.kind == "sound" else sample.id  # its folder is its label
        distance, text = getattr(sample, "distance", 0.0), getattr(sample, "text", None) or ""
        return Card(modality.name, name, labels, *seen[key], right, distance, place_words(sample), text)

    return {
        title: [
            (
                card(e.query, None),
                [card(*found) for found in zip(e.hits, repeat(e.query.labels), e.right or repeat(None))],
            )
            for e in rows
        ]
        for title, rows in examples.items()
    }


def place_words(sample: Any) -> str:
    """Where on the map a sample lies, "512340.0, 5401230.0 (EPSG:32633)"; "" where that is not known."""
    if getattr(sample, "x", None) is None:
        return ""
    return f"{sample.x:.10g}, {sample.y:.10g}" + (f" ({sample.system})" if sample.system else "")


def look(modality: Modality, path: str | None, side: int = SIDE) -> tuple[tuple[Picture, ...], str | None, str]:
    """(pictures, sound, note) of a sample's file: thumbnails, a recording to play, and what is wrong with the file."""
    if path is None or modality.kind == "features":
        return (), None, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotADrawing)  # it was said when the run read its data
            x, _ = read_query(modality, path)
            note = "not as the run has read it" if has_changed(modality, path, x) else ""
            # where the file holds more than the network sees
            if modality.kind == "sketch":
                x, _ = read_query(modality._replace(x=np.empty((0, side, side, 1), np.uint8)), path)
            elif (
                not modality.as_stored
                and modality.name not in ("pan", "mul")
                and Path(path).is_file()
                and modality.x.shape[-1] == 3
            ):
                return photographs(read_image(path, side, span=modality.span), side), None, note
        return pictures_of(modality, x[0], side), recording(path) if modality.kind == "sound" else None, note
    except InputError as error:
        gone = not Path(split_tile(split_row(path)[0])[0]).exists() and not Path(path).exists()
        return (), None, "the file is gone" if gone else f"cannot be shown: {error}"


def has_changed(modality: Modality, path: str, x: np.ndarray) -> bool:
    """Whether a sample's file, in which x (1, …) is read today, was read as something else by the run."""
    if modality.digests is None or modality.paths is None or path not in modality.paths:
        return False
    return bool(digests_of(x)[0] != modality.digests[modality.paths.index(path)])


def pictures_of(modality: Modality, x: np.ndarray, side: int = SIDE) -> tuple[Picture, ...]:
    """One sample x (…) of a modality as thumbnails: a spectrogram, ink on white paper, an image; none of others."""
    if modality.kind == "sound":
        return (Picture(spectrogram(x), "log-mel spectrogram"),)
    if modality.kind == "sketch":
        return (Picture(_jpeg(255 - x[..., 0], side), "sketch"),)
    return photographs(x, side) if modality.kind == "image" else ()


def photographs(x: np.ndarray, side: int = SIDE) -> tuple[Picture, ...]:
    """An image (H, W, C) as thumbnails: grey; RGB; or of blue, green, red and near infrared true and false colours."""
    if x.shape[-1] == 1:
        return (Picture(_jpeg(stretch(x[..., 0]), side), "panchromatic"),)
    if x.shape[-1] == 2:  # as of a radar with two polarisations
        return (Picture(_jpeg(stretch(x[..., 0]), side), "first band"),)
    if x.shape[-1] > 3:
        true, false = (_jpeg(stretch(x[..., bands]), side) for bands in ([2, 1, 0], [3, 2, 1]))
        return Picture(true, "true colour"), Picture(false, "false colour: NIR, red, green")
    return (Picture(_jpeg(x if x.dtype == np.uint8 else stretch(x), side), "colour"),)


def heated(modality: Modality, path: str, heat: np.ndarray, what: str) -> tuple[Picture, ...]:
    """A sample's file in grey under a map (h, w) of 0 … 1 of `what`: none where it is 0, orange where it is large."""
    from PIL import Image

    x = read_query(modality, path)[0][0]
    grey = x[..., 0].astype(float) if x.shape[-1] == 1 else x.mean(axis=-1)
    grey = 255 - grey if modality.kind == "sketch" else grey
    picture = Image.fromarray(grey.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    share = Image.fromarray((255 * heat).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    share = np.asarray(share, float)[..., None] / 255
    mixed = (1 - 0.6 * share) * np.asarray(picture, float)[..., None] + 0.6 * share * np.array([255, 160, 20])
    return (Picture(_jpeg(np.clip(mixed, 0, 255).astype(np.uint8)), what),)


def stretch(x: np.ndarray) -> np.ndarray:
    """Digital numbers as grey values or colours uint8: from the 1st percentile, black, to the 99th, white.

    What is nearly uniform is not stretched to the noise: the range is at least half the median.
    """
    low, middle, high = np.percentile(x, (1, 50, 99))
    spare = max(0.5 * middle - (high - low), 0) / 2
    low, high = low - spare, max(high + spare, low - spare + 1)
    return np.clip((x - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def spectrogram(patch: np.ndarray) -> str:
    """A log-mel patch (96, 64, 1) as a picture, time to the right and frequency upwards."""
    from PIL import Image

    values = np.asarray(patch[..., 0], dtype=float).T[::-1]
    low, high = values.min(), values.max()
    grey = ((values - low) / max(high - low, 1e-6) * 255).astype(np.uint8)
    image = Image.fromarray(grey).convert("P")
    image.putpalette(magma_palette().tobytes())
    return data_uri("image/png", _encoded(image, format="PNG", optimize=True))


def magma_palette() -> np.ndarray:
    """256 colours (256, 3) uint8 from black over purple to pale yellow."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in MAGMA])
    steps = np.linspace(0, len(anchors) - 1, 256)
    colours = (np.interp(steps, range(len(anchors)), anchors[:, c]) for c in range(3))
    return np.stack([*colours], axis=1).astype(np.uint8)


def recording(path: str | Path) -> str | None:
    """A sound file as a data URI; None for one that is too large to stand in a page."""
    path = Path(path)
    if path.stat().st_size > LARGEST_SOUND:
        return None
    return data_uri(
        SOUNDS.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "audio/wav", path.read_bytes()
    )


def _jpeg(pixels: np.ndarray, side: int = SIDE) -> str:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return data_uri("image/jpeg", _encoded(image, format="JPEG", quality=82, optimize=True))


def _encoded(image, **settings) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **settings)
    return stream.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """The content as a data URI of this media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
