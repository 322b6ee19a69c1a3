"""A question of the page and its answer: plain functions, of which `find_positions` is that of `retrieve`.

Everything that is told is ready for JSON, and holds no folder of this machine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..backend import library
from ..data import read_query
from ..data.sketches import doubt_about, ink_of, read_sheet
from ..errors import InputError
from ..ranking import Hit, Sample, are_relevant, check_letters, hits, sample_of, system_of
from ..records import Items, Run
from ..reports.gallery import pictures_of
from ..search import (
    Searched,
    find_positions,
    guess_modality,
    insider,
    open_gallery,
    outsider,
    row_of_query,
    text_query,
    unread_part,
)
from .describe import SIDE, can_locate, tell_pictures, tell_point, tell_sample
from .scenes import locate_in
from .served import ServedRun, modality_of
from .uploads import suffix_by_content

LOOKED_AT = 100  # results among which the nearest wrong one is looked for
MOST_RESULTS = 100
MOST_LETTERS = 2000  # of a sentence with its keywords


class Question(NamedTuple):
    """What is asked: a sentence, keywords or both; a sample of the run; or a file, under a name without meaning."""

    sentence: str = ""
    keywords: str = ""
    item: tuple[str, int] | None = None
    path: Path | None = None
    modality: str | None = None  # as what a file is read; None: by its content


class Query(NamedTuple):
    """A question as the run reads it."""

    items: Items
    row: int | None  # of the run's own sample
    sample: Sample
    pictures: tuple  # as the network sees it, of a file
    remarks: tuple[str, ...]


def answer(served: ServedRun, question: Question, to: str, k: int, scene: str | None = None) -> dict[str, Any]:
    """What a question finds among the run's samples of modality `to`, and what there is to learn about it.

    Raises `InputError` for what cannot be read or searched.
    """
    if not 1 <= k <= MOST_RESULTS:
        raise InputError(f"{k} results: from 1 to {MOST_RESULTS} can be asked for")
    query, run = read_question(served, question), served.run
    to = to or other_sense(run, query.sample.modality)
    gallery = gallery_of(served, to)
    positions, distances = find_positions(gallery, query.items, max(k, LOOKED_AT), itself=query.row)
    found = hits(run, gallery.items, positions, distances)
    rows = [gallery.items.sample(int(i)) for i in positions]
    known, nearest = query.row is not None, insider(run, *rows[0])
    right = are_relevant(run, query.sample.modality, query.row, rows) if known else like_the_first(found)
    wrong = next((h for h, fits in zip(found, right, strict=True) if not fits), None)
    told = [
        tell_sample(served, Sample(h.modality, h.id, None, h.labels, h.text), row)
        | {"rank": h.rank, "distance": h.distance, "right": fits if known else None}
        | {"point": tell_point(served, insider(run, h.modality, row))}
        for h, fits, (_, row) in zip(found[:k], right, rows, strict=False)
    ]
    gate = system_of(run.config).gate
    gate = gate and gate(run, query.items, nearest)
    return {
        "to": to,
        "query": tell_sample(served, query.sample, query.row) | {"pictures": tell_pictures(query.pictures)},
        "remarks": list(query.remarks),
        "searched": len(gallery.items),
        "hits": told,
        "wrong": {
            "known": known,
            "looked": len(found),
            "first": found[0].distance,
            "last": found[-1].distance,
            "hit": None
            if wrong is None
            else {"rank": wrong.rank, "distance": wrong.distance, "labels": list(wrong.labels)},
        },
        "point": tell_point(served, query.items),
        "gate": gate and {"title": gate.title, "values": np.round(np.asarray(gate.values, float), 4).tolist()},
        "located": None
        if scene is None or not can_locate(run, query.sample.modality)
        else locate_in(served, scene, query.items),
    }


def like_the_first(found: Sequence[Hit]) -> list[bool]:
    """Whether each result shares a label with the first; without labels nothing can be said, and none is wrong."""
    return [not found[0].labels or bool({*h.labels} & {*found[0].labels}) for h in found]


def other_sense(run: Run, m: str) -> str:
    """The modality that is searched for a question of modality m where nobody says: another one, if one can be."""
    can = [t for t in run.dataset.modalities if f"{m}->{t}" in system_of(run.config).directions]
    return next((t for t in can if t != m), m)


def gallery_of(served: ServedRun, to: str) -> Searched:
    """What is searched, opened once."""
    if to not in (*served.run.dataset.modalities, "all"):
        check_letters(served.run, to, 1)
    if to not in served.galleries:
        served.galleries[to] = open_gallery(served.run, to, device=served.device, index=served.index)
    return served.galleries[to]


def read_question(served: ServedRun, question: Question) -> Query:
    """A question as the run reads it; raises `InputError` for one that it cannot be asked."""
    if question.item is not None:
        m, row = question.item
        modality_of(served, m, row)
        return Query(insider(served.run, m, row), row, sample_of(served.run, m, row), (), ())
    return read_words(served, question) if question.path is None else read_upload(served, question)


def read_words(served: ServedRun, question: Question) -> Query:
    """A sentence, keywords or both."""
    run = served.run
    m = next((m for m, modality in run.dataset.modalities.items() if modality.kind == "text"), None)
    if m is None:
        raise InputError("this run holds no sentences; ask it with a file, a drawing or a recording")
    if len(question.sentence) + len(question.keywords) > MOST_LETTERS:
        raise InputError(f"a sentence of more than {MOST_LETTERS} letters; say it in fewer")
    if not question.sentence.strip() and not question.keywords.replace(",", "").strip():
        raise InputError("nothing is written; give a sentence, or keywords")
    asked = " ".join(question.sentence.split()) or None, question.keywords
    text, unread = text_query(run, *asked), unread_part(run, *asked)
    items = encode_one(served, m, read_query(run.dataset.modalities[m], text)[0])
    return Query(items, None, Sample(m, text, None, ()), (), (unread,) if unread else ())


def read_upload(served: ServedRun, question: Question) -> Query:
    """A file, read by the package's own reader of its modality, which its content decides where nobody says."""
    run, suffix = served.run, suffix_by_content(question.path)
    path = question.path.rename(question.path.with_suffix(suffix))
    m = question.modality or guess_modality(run, path)
    check_letters(run, m, 1)
    modality = run.dataset.modalities[m]
    if modality.kind in ("features", "text"):
        raise InputError(f"{modality.name}: a file cannot be read as {modality.kind}; click on a result to ask with it")
    x, _ = read_query(modality, path)
    row = row_of_query(run, m, path, x)
    sample = Sample(m, "your query", None, ()) if row is None else sample_of(run, m, row)
    doubt = doubt_about(ink_of(read_sheet(path), path), path) if modality.kind == "sketch" else ""
    remarks = (f"your query: {doubt}",) if doubt else ()
    return Query(encode_one(served, m, x, row), row, sample, pictures_of(modality, x[0], SIDE), remarks)


def encode_one(served: ServedRun, m: str, x: np.ndarray, row: int | None = None) -> Items:
    """A sample x (1, …) of modality m as a query; `row` is its number in the run, where it is one of its samples."""
    return outsider(m, system_of(served.run.config).encode(served.run, m, x, library(served.device)), row)
