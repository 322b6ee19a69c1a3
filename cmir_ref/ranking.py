"""What is near what in a run: its samples as queries and galleries, ranked by the run's system."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .backend import generator, to_device, to_host
from .config import SharedSettings
from .contract import CROSS, System
from .errors import InputError
from .ops.labels import multi_hot
from .records import PARTS, Items, Run
from .retrieval import nearest, nearest_by
from .retrieval.distances import in_units
from .retrieval.neighbours import KeptGallery
from .retrieval.relevant_items import labels_of, positions
from .systems import SYSTEMS


def system_of(settings: SharedSettings) -> System:
    """The system that the settings name."""
    return SYSTEMS[settings.system]


def directions_of(run: Run) -> tuple[str, ...]:
    """The directions that are evaluated: without labels those to a query's partner alone, in the other modality."""
    directions = system_of(run.config).directions
    return directions if run.dataset.label_names else tuple(d for d in directions if d in CROSS)


def check_letters(run: Run, letters: str, most: int | None = None) -> None:
    """Raises `InputError` for a letter that is no modality of the run, and for more than `most` letters."""
    wrong = [m for m in letters if m not in run.dataset.modalities]
    if wrong or not letters or len(letters) > (most or len(letters)):
        known = ", ".join(f"{m} ({modality.name})" for m, modality in run.dataset.modalities.items())
        raise InputError(f"{letters or 'no letter'}: no modality of this run; it has {known}")


def items_of(run: Run, letters: str, part: str) -> Items:
    """The samples of a part ("train", "validation", "test", "all") of the modalities `letters`: "a", or "ab".

    Raises `InputError` for a part or a letter that the run does not have.
    """
    check_letters(run, letters)
    if part not in (*PARTS, "all"):
        raise InputError(f"{part}: no part of a run; it is one of {', '.join(PARTS)}, all")
    counts = {m: len(run.dataset.modalities[m].ids) for m in letters}
    rows = {m: np.arange(counts[m]) if part == "all" else getattr(run.parts, part)[m] for m in letters}
    return Items(rows, {m: {name: a[rows[m]] for name, a in run.encoded[m].items()} for m in letters})


def rank(
    run: Run,
    query: Items,
    gallery: Items,
    k: int,
    *,
    exclude: np.ndarray | None = None,
    xp: Any = np,
    kept: KeptGallery | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest items of the gallery for each query: positions in it and distances, (Q, k) each, on the host.

    `kept` is what `keep_gallery` made of the gallery's vectors, where it is searched again and again.
    """
    system = system_of(run.config)
    exclude = None if exclude is None else to_device(exclude, xp)
    if kept is not None:
        index, distances = nearest(to_device(system.vectors(run, query), xp), kept, k, exclude=exclude)
        return to_host(index), to_host(distances)
    vectors = None if system.vectors is None else [system.vectors(run, items) for items in (query, gallery)]
    if vectors is not None and all(v is not None for v in vectors):
        v, gallery_v = (to_device(v, xp) for v in vectors)
        index, distances = nearest(v, gallery_v, k, exclude=exclude, distance=run.config.distance)
    else:
        of_rows = system.distances(run, query, gallery, xp)
        index, found = nearest_by(of_rows, len(query), len(gallery), k, exclude=exclude, xp=xp)
        distances = in_units(of_rows, found)
    return to_host(index), to_host(distances)


class Sample(NamedTuple):
    """A sample of a run, or a query from outside, as it is shown."""

    modality: str  # its letter
    id: str
    path: str | None
    labels: tuple[str, ...]
    text: str | None = None  # of a caption, what it says
    x: float | None = None  # on the map, where that is known
    y: float | None = None
    system: str | None = None  # of these coordinates


class Hit(NamedTuple):
    """One search result."""

    rank: int
    modality: str  # its letter
    id: str
    path: str | None
    labels: tuple[str, ...]
    distance: float
    text: str | None = None
    x: float | None = None
    y: float | None = None
    system: str | None = None


def sample_of(run: Run, m: str, row: int) -> Sample:
    """Sample number `row` of modality m."""
    modality = run.dataset.modalities[m]
    path = None if modality.paths is None else modality.paths[row]
    text = None if modality.texts is None else modality.texts[row]
    place = () if modality.places is None else (*modality.places.xy[row].tolist(), modality.places.systems[row])
    if place and not np.isfinite(place[0]):
        place = ()
    return Sample(m, modality.ids[row], path, names_of_label(run, modality.labels[row]), text, *place)


def names_of_label(run: Run, label: Any) -> tuple[str, ...]:
    """The names of one sample's label, integer or multi-hot."""
    names = run.dataset.label_names
    return tuple(names[i] for i in np.flatnonzero(label)) if np.ndim(label) else (names[int(label)],)


def hits(run: Run, gallery: Items, positions: np.ndarray, distances: np.ndarray) -> list[Hit]:
    """The search results at these positions of the gallery, nearest first."""
    samples = [sample_of(run, *gallery.sample(int(i))) for i in positions]
    return [
        Hit(rank, *sample[:4], float(distance), *sample[4:])
        for rank, (sample, distance) in enumerate(zip(samples, distances, strict=True), start=1)
    ]


class Example(NamedTuple):
    """A query and what it finds."""

    query: Sample
    hits: tuple[Hit, ...]
    right: tuple[bool, ...] | None = None  # whether each hit is relevant, as figures count it; None: by shared labels


def are_relevant(run: Run, m: str, row: int, samples: Sequence[tuple[str, int]]) -> tuple[bool, ...]:
    """Whether each of `samples`, (letter, sample number), is relevant to sample `row` of m, as the run is evaluated."""
    rows = {letter: np.array([r for other, r in samples if other == letter]) for letter, _ in samples}
    query, gallery = Items({m: np.array([row])}, {m: {}}), Items(rows, {letter: {} for letter in rows})
    relevant = system_of(run.config).relevant(run, query, gallery, np)(slice(None))[0]
    found = dict(zip(gallery.samples(), relevant.tolist(), strict=True))
    return tuple(found[sample] for sample in samples)


def examples(run: Run, direction: str, *, count: int = 4, k: int = 10, gallery: str | None = None) -> list[Example]:
    """`count` queries of the test part, of as many classes as there are, each with its `k` nearest results.

    The same queries for all directions that start from one modality.
    """
    letter, letters = direction.split("->")
    test = items_of(run, letter, "test")
    order = np.array(one_of_each_class(run, letter, labels_of(run.dataset, test))[:count])
    rows = {letter: test.rows[letter][order]}
    query = Items(rows, {letter: {name: a[order] for name, a in test.encoded[letter].items()}})
    searched = items_of(run, letters, gallery or run.config.gallery)
    exclude = positions(query, searched, run.dataset.apart)
    if ((exclude >= 0).sum(axis=1) == len(searched)).any():
        return []
    index, distances = rank(run, query, searched, k, exclude=exclude)
    samples = [sample_of(run, letter, row) for row in rows[letter]]
    return [
        Example(
            sample,
            tuple(hits(run, searched, places, far)),
            are_relevant(run, letter, row, [searched.sample(int(i)) for i in places]),
        )
        for row, sample, places, far in zip(rows[letter], samples, index, distances, strict=True)
    ]


def galleries(run: Run, *, count: int = 4, gallery: str | None = None) -> dict[str, list[Example]]:
    """Examples of every direction that the run's system has, by the direction's name."""
    return {d: examples(run, d, count=count, gallery=gallery) for d in directions_of(run)}


def one_of_each_class(run: Run, letter: str, labels: np.ndarray) -> list[int]:
    """Rows of `labels` in an order that goes round the classes."""
    rng = generator(run.config.seed, "gallery", list(run.dataset.modalities).index(letter))
    hot = multi_hot(labels, len(run.dataset.label_names))
    rows = rng.permutation(len(labels)).tolist()
    order = []
    for c in rng.permutation(hot.shape[1]).tolist():
        order += [r for r in rows if hot[r, c] and r not in order][:1]
    return order + [r for r in rows if r not in order]
