"""Searching a run with queries from outside: a file, whatever its kind, or a folder of labelled files."""

import mimetypes
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .backend import library, to_device
from .data import SCENARIOS, data_in_words, digests_of, is_drawing, protocol_of, read_query
from .data.bands import read_bands
from .data.class_names import plain_name
from .data.images import image_suffixes
from .data.locate import data_folder, label_of, say_passed_over, select_files, subfolders
from .data.mat import split_row
from .data.sketches import NotADrawing, drawing_suffixes
from .data.speech import SUFFIXES
from .data.tiles import kind_of_bands, split_tile
from .errors import InputError
from .ranking import (
    Example,
    Hit,
    Sample,
    are_relevant,
    check_letters,
    hits,
    items_of,
    rank,
    sample_of,
    system_of,
)
from .records import Encoded, Items, Modality, Run
from .retrieval import keep_gallery, measure_direction
from .retrieval.metrics import check_labels, relevance_of_checked
from .retrieval.neighbours import KeptGallery
from .retrieval.relevant_items import labels_of, positions
from .text import count_of


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
    """The `k` nearest items of modality `to` ("a", "b", …, or "all") to a sentence, or to a file: an image, a sound, or
    `file.mat:17`.

    `modality` is the letter of the modality that the file is read as; by default the one that can. Searches the run's
    gallery: a file never finds itself there, wherever it lies and whatever it is called, nor a photo what was traced
    from it, but does find its counterpart of another sensor. Raises `InputError` for files that cannot be read.
    """
    return list(search_example(run, query, to, k, modality=modality, gallery=gallery, device=device).hits)


def search_example(
    run: Run,
    query: str | Path,
    to: str = "b",
    k: int = 10,
    *,
    modality: str | None = None,
    gallery: str | None = None,
    device: str = "cpu",
) -> Example:
    """What `retrieve` gives, with the query, as a page shows it: where the run knows the file the query has its labels,
    and what is right is known. A file is read once, apart from the guess of its modality."""
    modality = modality or guess_modality(run, query)
    encoded, x, _ = read_and_encode(run, query, modality, device)
    searched = open_gallery(run, to, gallery, device=device)
    row = row_of_query(run, modality, query, x)
    index, distances = find_positions(searched, outsider(modality, encoded, row), k, itself=row, name=query)
    right = None
    if run.dataset.modalities[modality].kind == "text":
        sample = Sample(modality, str(query), None, ())
    elif row is not None:
        sample = sample_of(run, modality, row)
        right = are_relevant(run, modality, row, [searched.items.sample(int(i)) for i in index])
    else:
        sample = Sample(modality, Path(query).name, str(query), ())
    return Example(sample, tuple(hits(run, searched.items, index, distances)), right)


class Searched(NamedTuple):
    """A gallery that is searched, once or again and again: what all queries share is computed once."""

    run: Run
    items: Items
    kept: KeptGallery | None  # where one vector a sample decides
    xp: Any


def open_gallery(
    run: Run, to: str = "b", gallery: str | None = None, *, device: str = "cpu", index: str | None = None
) -> Searched:
    """The run's samples of modality `to` ("a", "b", …, or "all") in a part (default: its gallery), for searches.

    `index` names a faiss index, as for `retrieval.nearest`. Raises `InputError` for a letter or a part that the run
    does not have, where nothing is left, and for an index that cannot be had.
    """
    xp, system = library(device), system_of(run.config)
    letters = "".join(run.dataset.modalities) if to == "all" else to
    items = items_of(run, letters, gallery or run.config.gallery)
    if not len(items):
        raise InputError(f"{to}: the gallery holds nothing of it")
    v = None if system.vectors is None else system.vectors(run, items)
    if v is None and index is not None:
        raise InputError("index: this run compares pair by pair, which no index can do; leave it out")
    kept = None if v is None else keep_gallery(to_device(v, xp), run.config.distance, index)
    return Searched(run, items, kept, xp)


def outsider(modality: str, encoded: Encoded, row: int | None = None) -> Items:
    """One query from outside, of which `encoded` is stored; where it is a sample of the run, `row` is its number."""
    return Items({modality: np.array([-1 if row is None else row])}, {modality: encoded})


def insider(run: Run, modality: str, row: int) -> Items:
    """One sample of the run as a query."""
    stored = {name: array[row : row + 1] for name, array in run.encoded[modality].items()}
    return Items({modality: np.array([row])}, {modality: stored})


def find_positions(
    searched: Searched, query: Items, k: int, *, itself: int | None = None, name: object = "the query"
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the gallery the `k` nearest items to one query stand (k,), and their distances (k,).

    `itself` is the number of the run's sample that the query is. It is not found, nor is what shows the very same, as
    the photo that a sketch was traced from. Raises `InputError`, which begins with `name`, where nothing else is there.
    """
    run, items, kept, xp = searched
    (modality,) = query.rows
    known = Items({modality: np.array([-1 if itself is None else itself])}, {})
    exclude = positions(known, items, run.dataset.apart)
    if exclude.size == len(items):
        what = "the query itself" if len(items) == 1 else "the query itself and what shows the same"
        raise InputError(f"{name}: the gallery holds nothing but {what}")
    index, distances = rank(run, query, items, k, exclude=exclude, xp=xp, kept=kept)
    return index[0], distances[0]


def encode_query(run: Run, query: str | Path, modality: str, *, device: str = "cpu") -> tuple[dict, str]:
    """(what is stored of a sample, id) of a file read as `modality` was: the same as within a batch."""
    encoded, _, name = read_and_encode(run, query, modality, device)
    return encoded, name


def read_and_encode(run: Run, query: str | Path, modality: str, device: str) -> tuple[dict, np.ndarray, str]:
    """(what is stored of a sample, the sample (1, …), id) of a file read as `modality` was."""
    check_letters(run, modality, 1)
    check_no_file(run.dataset.modalities[modality], query)
    x, name = read_query(run.dataset.modalities[modality], query)
    return system_of(run.config).encode(run, modality, x, library(device)), x, name


def check_no_file(modality: Modality, query: str | Path) -> None:
    """Raises `InputError` for a file that is to be read as text: its name would be, in which a label may stand."""
    if modality.kind == "text" and Path(query).suffix and os.path.isfile(query):  # False of a sentence of any length
        raise InputError(f"{query}: is a file, and {modality.name} is text; give a sentence, or leave out --from")


def evaluate_folder(
    run: Run,
    folder: str | Path,
    *,
    modality: str | None = None,
    gallery: str | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """What a labelled folder `<label>/<file>` of new samples finds in the run's gallery, and is found by: for JSON.

    `modality` is the letter of the modality that the files are read as; by default that of the first. Label names match
    without regard to case, blanks, plural and spelling. The other way round the queries are the run's gallery, of which
    those without a relevant sample in the folder are not averaged. A photo that the run knows does not find what was
    traced from it. `warnings`, where there are any, say which files were not what they should be, and how many the run
    was trained on. Raises `InputError` for a folder without labels, a label that the run does not have, and files that
    cannot be read.
    """
    (labels, others), xp = labelled_files(run, folder), library(device)
    files = [path for _, path in labels]
    m = modality or guess_modality(run, files[0])
    check_letters(run, m, 1)
    check_no_file(run.dataset.modalities[m], files[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        x = np.concatenate([read_query(run.dataset.modalities[m], path)[0] for path in files])
    system = system_of(run.config)
    rows = [row_of_query(run, m, path, x[i : i + 1]) for i, path in enumerate(files)]
    new = Items({m: np.array([-1 if row is None else row for row in rows])}, {m: system.encode(run, m, x, xp)})
    new_labels, directions = np.array([label for label, _ in labels]), {}
    for other in (o for o in run.dataset.modalities if o != m):
        known = items_of(run, other, gallery or run.config.gallery)
        sides = {m: (new, new_labels), other: (known, labels_of(run.dataset, known))}
        for p, q in ((m, other), (other, m)):
            (query, query_labels), (searched, searched_labels) = sides[p], sides[q]
            y = to_device(query_labels, xp), to_device(searched_labels, xp)
            check_labels(*y)
            directions[f"{p}->{q}"] = measure_direction(
                system.distances(run, query, searched, xp),
                lambda rows, y=y: relevance_of_checked(y[0][rows], y[1]),
                len(query),
                len(searched),
                xp=xp,
                exclude=to_device(positions(query, searched, run.dataset.apart), xp),
                query_labels=query_labels,
                label_names=run.dataset.label_names,
                ten_tens=SCENARIOS[run.config.scenario].ten_tens,
            )
    facts = system.facts(run, None)
    doubts = [str(w.message) for w in caught if w.category is NotADrawing]
    warned = [*facts.pop("warnings", ()), *say_trained_on(run, m, files, x), *doubts]
    asked = (f"{count_of(len(files), 'query', 'queries')} of {folder}", *say_passed_over(others, "queries"))
    return {
        "scenario": run.config.scenario,
        "data": "; ".join([data_in_words(run.config, run.dataset.note), *asked]),
        "protocol": protocol_of(run.config),
        "gallery": gallery or run.config.gallery,
        "directions": directions,
        **facts,
        **({"warnings": warned} if warned else {}),
    }


def say_trained_on(run: Run, m: str, files: Sequence[Path], x: np.ndarray) -> list[str]:
    """What is said of files, which hold `x` (N, …), that hold the same as samples of the training part."""
    modality = run.dataset.modalities[m]
    if modality.digests is None:
        return []
    learned = np.isin(digests_of(x), modality.digests[run.parts.train[m]])
    if not learned.any():
        return []
    return [
        f"{learned.sum()} of {len(files)} queries hold the same as samples of the training part, "
        f"such as {files[int(np.argmax(learned))]}; leave them out to measure what is new to the run"
    ]


def labelled_files(run: Run, folder: str | Path) -> tuple[list[tuple[int, Path]], int]:
    """(label's number, file) of all files of a folder `<label>/<file>` that may be samples, and how many may not."""
    if not run.dataset.label_names:
        raise InputError(f"{folder}: this run has no labels, which its folders would name; use retrieve, file by file")
    names, found, others = run.dataset.label_names, [], 0
    for sub in subfolders(data_folder(folder)):
        label = label_of(sub)
        fits = [k for k, name in enumerate(names) if name == label] or [
            k for k, name in enumerate(names) if plain_name(name) == plain_name(label)
        ]
        if len(fits) > 1:
            raise InputError(f"{sub}: {' or '.join(names[k] for k in fits)}? name it as one of these labels of the run")
        if not fits:
            raise InputError(f"{sub}: no label of this run; it has {', '.join(names)}")
        files, more = select_files(sub, {*SUFFIXES, *drawing_suffixes()})
        found, others = found + [(fits[0], path) for path in files], others + more
    if not found:
        raise InputError(f"{folder}: no queries; expected <label>/<file>")
    return found, others


def row_of_query(run: Run, modality: str, query: str | Path, x: np.ndarray | None = None) -> int | None:
    """The number of the sample of `modality` that a file is, or None: it holds the same, or has at least its path.

    `x` is what it holds, where it was read already. A sentence is none: it is asked by whoever thinks of it. Raises
    `InputError` for a file that cannot be read.
    """
    known = run.dataset.modalities[modality]
    if known.kind == "text":
        return None
    row, same = row_of_path(known, query), np.empty(0, int)
    if known.digests is not None:
        x = read_query(known, query)[0] if x is None else x
        same = np.flatnonzero(known.digests == digests_of(x)[0])
    return int(same[0]) if same.size and row not in same else row


def row_of_path(modality: Modality, query: str | Path) -> int | None:
    """The number of the sample that is the file `query`, or None."""
    paths, path = modality.paths, str(Path(query).resolve())
    return paths.index(path) if paths is not None and path in paths else None


def is_known(run: Run, modality: str, query: str | Path) -> bool:
    """Whether a file is a sample of `modality`."""
    if row_of_path(run.dataset.modalities[modality], query) is not None:
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotADrawing)  # nobody has said that it is one
        try:
            return row_of_query(run, modality, query) is not None
        except InputError:
            return False


def guess_modality(run: Run, query: str | Path) -> str:
    """The letter of the modality that a query belongs to, by its kind; the first where several would do.

    In a run that holds texts, whatever names no file is a sentence. Of two sensors it is the one that has the file, or
    else bands as the file has.
    """
    texts = [m for m, modality in run.dataset.modalities.items() if modality.kind == "text"]
    if texts and not is_file_name(str(query)):
        return texts[0]
    suffix = Path(split_tile(split_row(query)[0])[0]).suffix.lower()
    kind = "sound" if is_sound(suffix) else "features" if suffix == ".mat" else "image"
    kinds = {m: modality.kind for m, modality in run.dataset.modalities.items()}
    if kind == "image" and "sketch" in kinds.values():
        if own := [m for m in kinds if is_known(run, m, query)]:
            return own[0]  # no doubt about a file of the run
        if "image" not in kinds.values() or is_drawing(query):
            kind = "sketch"
    if suffix == ".mat" and set(kinds.values()) == {"image"}:
        kind = "image"  # a tile of DSRSID.mat
    if kind not in kinds.values():
        raise InputError(f"{query}: looks like {kind}, but this run holds {kinds_in_words(run)}; give --from")
    fits = [m for m, known in kinds.items() if known == kind]
    modalities = run.dataset.modalities
    if len(fits) > 1 and all(modalities[m].as_stored for m in fits):
        fits = [m for m in fits if is_known(run, m, query)] or same_bands(modalities, query) or fits
    return fits[0]


def kinds_in_words(run: Run) -> str:
    """What a run holds: "image (a) and sound (b)"."""
    return " and ".join(f"{modality.kind} ({m})" for m, modality in run.dataset.modalities.items())


def same_bands(modalities: dict[str, Modality], query: str | Path) -> list[str]:
    """The letters of the modalities that have as many bands, of the same depth, as an image file."""
    file, tile = split_tile(query)
    if tile is None:
        x = read_bands(file)
        kind = x.shape[2], x.dtype
    else:  # the scene is not read: it may be large, and has a right to pixels without data
        kind = kind_of_bands(file)
    return [m for m, one in modalities.items() if (one.x.shape[-1], one.x.dtype) == kind]


def is_sound(suffix: str) -> bool:
    """Whether a file with this suffix (lower case) holds sound, whether or not it can be read here."""
    kind = mimetypes.guess_type(f"x{suffix}")[0] or ""
    return suffix in SUFFIXES or kind.startswith("audio/")


def is_file_name(query: str) -> bool:
    """Whether a query names a file: one that is there, a word with a suffix of three or four letters, or words that end
    as an image or a recording does."""
    suffix = Path(query).suffix.lower()
    named = re.fullmatch(r"\S*\.[A-Za-z]{3,4}(:\d+)?", query) or suffix in image_suffixes() or is_sound(suffix)
    return bool(named) or (len(query) < 200 and Path(query).is_file())


class NotRead(UserWarning):
    """Of a sentence and keywords the run reads one."""


def unread_part(run: Run, sentence: str | None, keywords: str | None) -> str:
    """What is said of a sentence with keywords beside it, of which the run's networks read one; else empty."""
    text = getattr(run.config, "text", "both")
    if text == "both" or not sentence or not (keywords or "").replace(",", "").strip():
        return ""
    words = {"sentence": "the keywords count for nothing: this run reads sentences alone"}
    return words.get(text, "the sentence counts for nothing: this run reads keywords alone") + f" (text = {text})"


def text_query(run: Run, sentence: str | None, keywords: str | None) -> str:
    """A sentence, keywords that are separated by commas, or both, as one text; warns by `NotRead` of what is not read.

    Raises `InputError` for neither, and for keywords in a run that holds no texts.
    """
    if keywords and all(modality.kind != "text" for modality in run.dataset.modalities.values()):
        raise InputError(f"keywords {keywords!r}: this run holds {kinds_in_words(run)}, no texts; give a file alone")
    phrases = [" ".join(phrase.split()) for phrase in (keywords or "").split(",") if phrase.strip()]
    if not sentence and not phrases:
        raise InputError("no query: give a file or a sentence, or --keywords 'white airplane, grey runway'")
    if words := unread_part(run, sentence, keywords):
        warnings.warn(words, NotRead, 2)
    return " | ".join([sentence or "", *phrases]).strip() if phrases else str(sentence)
