"""Searching a run: what is nearest to a file, and galleries of what some queries find."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .backend import generator, library, to_device, to_host
from .cmirnet.stages import Source, embed, forward_all, pretrainer
from .data import Modality, read_query
from .errors import InputError
from .reports.gallery import Example, gallery_page
from .reports.pages import direction_names, write_page
from .retrieval import nearest
from .runs import DIRECTIONS, Run, data_of, label_names, protocol_of, rows_of, side, stage2_of, trains_stage1
from .training.folder import below
from .training.inputs import Normaliser


class Hit(NamedTuple):
    """One search result."""

    rank: int
    modality: str  # "a" or "b"
    id: str
    path: str | None
    labels: tuple[str, ...]
    distance: float


def retrieve(
    run: Run,
    query: str | Path,
    to: str = "b",
    k: int = 10,
    *,
    modality: str | None = None,
    gallery: str | None = None,
    device: str = "cpu",
) -> list[Hit]:
    """The `k` nearest items of modality `to` ("a", "b" or "all") to a file: an image, a sound, or `file.mat:17`.

    `modality` ("a" or "b") says how to read the file; by default the one that can. Searches the run's
    gallery: a file never finds itself there, but does find its counterpart in the other modality. Raises `InputError`
    for files that cannot be read.
    """
    modality = modality or guess_modality(run, query)
    xp = library(device)
    v, _ = embed_query(run, query, modality, device=device)
    records, own = run.embeddings.modalities, (modality, str(Path(query).resolve()))
    items = []
    for name in "ab" if to == "all" else to:
        place = "ab".index(name)
        rows, paths = rows_of(run, place, gallery or run.config.gallery), records[place].paths
        items += [(place, int(row)) for row in rows if paths is None or (name, paths[row]) != own]
    if not items:
        raise InputError(f"{query}: the gallery holds nothing but the query itself")
    gallery_v = np.stack([run.embeddings.v[p][r] for p, r in items])
    found, distances = nearest(to_device(v, xp), to_device(gallery_v, xp), k, distance=run.config.distance)
    return _hits(run, [items[i] for i in to_host(found[0])], to_host(distances[0]))


def guess_modality(run: Run, query: str | Path) -> str:
    """The modality that a file belongs to, by its kind; a where both would do."""
    suffix = Path(str(query).rsplit(":", 1)[0]).suffix.lower()
    kind = "sound" if suffix in (".wav", ".flac", ".ogg") else "features" if suffix == ".mat" else "image"
    kinds = [m.kind for m in run.embeddings.modalities]
    if suffix == ".mat" and kind not in kinds:
        kind = "image"  # a tile of DSRSID.mat
    if kind not in kinds:
        raise InputError(
            f"{query}: looks like {kind}, but this run holds {kinds[0]} (a) and {kinds[1]} (b); give --from"
        )
    return "ab"[kinds.index(kind)]


def embed_query(run: Run, query: str | Path, modality: str, *, device: str = "cpu") -> tuple[np.ndarray, str]:
    """(v (1, d_v), id) of a file read as modality "a" or "b" was: the same embedding as within a batch."""
    xp, place = library(device), "ab".index(modality)
    record = run.embeddings.modalities[place]
    x, name = read_query(record, query)
    source = Source(x, record.labels, record.kind, _saved_normaliser(run, f"input.{modality}"))
    if trains_stage1(run.config, record):
        z = stage1_features(run, modality, record._replace(x=x), device=device)
        source = Source(z, record.labels, "features", _saved_normaliser(run, f"features.{modality}"))
    network, *tensors = stage2_of(run)
    params, buffers = ({k: to_device(v, xp) for k, v in part.items()} for part in tensors)
    views = run.config.stage1.average_views
    return embed(network, params, buffers, place, source, np.arange(1), xp, average_views=views), name


def stage1_features(run: Run, name: str, modality: Modality, *, device: str = "cpu") -> np.ndarray:
    """Z (N, d_z) of the samples `modality.x`, by the pretrainer that the run trained for modality "a" or "b"."""
    xp, own = library(device), below(f"stage1.{name}", run.tensors)
    params, buffers = ({k: to_device(v, xp) for k, v in below(part, own).items()} for part in ("params", "buffers"))
    network = pretrainer(run.config, modality.x.shape[1:])
    source = Source(modality.x, modality.labels, modality.kind, _saved_normaliser(run, f"input.{name}"))
    rows, views = np.arange(len(modality.x)), run.config.stage1.average_views
    return forward_all(network, params, buffers, source, rows, xp, average_views=views).z


def _saved_normaliser(run: Run, name: str) -> Normaliser:
    return Normaliser(run.tensors[f"{name}/mean"], run.tensors[f"{name}/std"])


def _hits(run: Run, items: list[tuple[int, int]], distances: np.ndarray) -> list[Hit]:
    """Samples (0 for a or 1 for b, number) in order of rank."""
    return [_hit(run, *item, rank, float(d)) for rank, (item, d) in enumerate(zip(items, distances, strict=True), 1)]


def _hit(run: Run, place: int, row: int, rank: int = 0, distance: float = 0.0) -> Hit:
    m = run.embeddings.modalities[place]
    path = None if m.paths is None else m.paths[row]
    return Hit(rank, "ab"[place], m.ids[row], path, label_names(run, m.labels[row]), distance)


def query_sample(run: Run, query: str | Path, modality: str) -> Hit:
    """A file that was a query: with its labels where the run knows it, else without."""
    place, own = "ab".index(modality), str(Path(query).resolve())
    paths = run.embeddings.modalities[place].paths or ()
    if own in paths:
        return _hit(run, place, paths.index(own))
    return Hit(0, modality, Path(query).name, str(query), (), 0.0)


def retrieval_page(run: Run, query: str | Path, modality: str, hits: list[Hit]) -> str:
    """The page that shows `query`, read as modality "a" or "b", and what `retrieve` found for it."""
    example = Example(query_sample(run, query, modality), tuple(hits))
    note = f"{data_of(run)} · run {run.path.name if run.path else run.config.scenario}"
    return gallery_page(f"Nearest to {Path(query).name}", note, {"": [example]}, run.embeddings.modalities)


# ---- galleries ------------------------------------------------------------------------------------------------------


def examples(run: Run, direction: str, *, count: int = 4, k: int = 10, gallery: str | None = None) -> list[Example]:
    """`count` queries of the test part, of as many classes as there are, each with its `k` nearest results.

    The same queries for all directions that start from one modality. `direction` is one of `DIRECTIONS`.
    """
    query_name, gallery_name = direction.split("->")
    v, y, keys = side(run, query_name, "test")
    chosen = np.array(_one_of_each_class(run, query_name, y)[:count])
    gallery_v, _, gallery_keys = side(run, gallery_name, gallery or run.config.gallery)
    place = {key: i for i, key in enumerate(gallery_keys.tolist())}
    own = np.array([place.get(key, -1) for key in keys[chosen].tolist()])
    if len(gallery_v) < 2 and (own >= 0).any():
        return []
    found, distances = nearest(v[chosen], gallery_v, k, exclude=own, distance=run.config.distance)
    samples = [_place_of(run, key) for key in gallery_keys.tolist()]
    return [
        Example(_hit(run, *_place_of(run, int(keys[q]))), tuple(_hits(run, [samples[i] for i in f], d)))
        for q, f, d in zip(chosen, found, distances, strict=True)
    ]


def _one_of_each_class(run: Run, name: str, labels: np.ndarray) -> list[int]:
    """Rows of `labels` in an order that goes round the classes."""
    rng = generator(run.config.seed, "gallery", "ab".index(name))
    hot = labels if labels.ndim == 2 else labels[:, None] == np.arange(len(run.embeddings.label_names))
    rows = rng.permutation(len(labels)).tolist()
    classes = rng.permutation(hot.shape[1]).tolist()
    chosen = []
    for c in classes:
        chosen += [r for r in rows if hot[r, c] and r not in chosen][:1]
    return chosen + [r for r in rows if r not in chosen]


def _place_of(run: Run, key: int) -> tuple[int, int]:
    """(0 for a or 1 for b, sample number) of a key of `side`."""
    first = len(run.embeddings.v[0])
    return (1, key - first) if key >= first else (0, key)


def galleries(run: Run, *, count: int = 4, gallery: str | None = None) -> dict[str, list[Example]]:
    """Examples of every direction, by its name in words."""
    names = direction_names(run)
    return {names[d]: examples(run, d, count=count, gallery=gallery) for d in DIRECTIONS}


def write_gallery(run: Run, gallery: str | None = None) -> Path:
    """Writes `gallery.html` into the run's folder and returns its path."""
    note = f"{data_of(run)} · protocol {protocol_of(run.config)} · gallery: {gallery or run.config.gallery} part"
    title = f"CMIR-NET run: {run.path.name}, what some queries find"
    page = gallery_page(title, note, galleries(run, gallery=gallery), run.embeddings.modalities)
    return write_page(run.path / "gallery.html", page)
