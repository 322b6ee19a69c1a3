"""What the page asks of a run, and what it is told: plain functions, of which `find_positions` is that of `retrieve`.

Everything that is told is ready for JSON, and holds no folder of this machine.
"""

import io
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..backend import library
from ..data import data_in_words, read_image, read_query
from ..data.decode import image_size_of
from ..data.geotiff import GeoReference, read_georeference
from ..data.sketches import doubt_about, ink_of, read_sheet
from ..errors import InputError
from ..files import name_bytes_spelled
from ..places import (
    Slices,
    best_places,
    choose_sides,
    encode_slices,
    heat_map,
    image_letter,
    slice_boxes,
    slice_scores,
)
from ..ranking import Hit, Sample, are_relevant, check_letters, hits, sample_of, system_of
from ..records import Items, Modality, Run
from ..reports.gallery import data_uri, look, pictures_of
from ..reports.located import heat_picture
from ..reports.pages import direction_names
from ..runs import load_run
from ..search import (
    Searched,
    find_positions,
    guess_modality,
    insider,
    open_gallery,
    outsider,
    row_of_query,
    text_query,
)
from .plane import Plane, plane_of, point_of
from .uploads import name_only, suffix_by_content

LOOKED_AT = 100  # results among which the nearest wrong one is looked for
MOST_RESULTS = 100
MOST_LETTERS = 2000  # of a sentence with its keywords
SIDE = 192  # pixels of a thumbnail at most
LARGEST_SCENE = 16 * 10**6  # pixels of a large picture
MOST_SLICES = 20_000
SCENES = 2  # large pictures that are kept for further questions
LARGEST_HEAT = 900  # pixels of a side of the heat map


class Scene(NamedTuple):
    """A large picture in which places are looked for."""

    pixels: np.ndarray
    slices: Slices
    geo: GeoReference | None


class ServedRun(NamedTuple):
    """A run in memory; what is asked for the first time is kept for all who ask later."""

    name: str
    run: Run
    device: str
    index: str | None  # of faiss
    plane: Plane | None
    galleries: dict[str, Searched]  # by what is searched: "a", "b", "all"
    scenes: "OrderedDict[str, Scene]"


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


def serve_run(path: str | Path, name: str, *, device: str = "cpu", index: str | None = None) -> ServedRun:
    """A finished run, loaded; raises `InputError` as `load_run` does."""
    run = load_run(path)
    return ServedRun(name, run, device, index, plane_of(run), {}, OrderedDict())


def name_runs(paths: Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Run folders with the names of their tabs: the folder's, with the one above it or a number where two are alike."""
    resolved = [Path(path).resolve() for path in paths]
    names = [name_bytes_spelled(path.name or "run") for path in resolved]
    longer = [f"{path.parent.name}-{n}" if names.count(n) > 1 else n for path, n in zip(resolved, names, strict=True)]
    names = [n if longer.count(n) == 1 else f"{n}-{1 + longer[:i].count(n)}" for i, n in enumerate(longer)]
    return list(zip(map(Path, paths), names, strict=True))


def warm_up(served: ServedRun) -> None:
    """Looks at one sample of each modality, so that nobody waits for what readers do on their first use."""
    for m, modality in served.run.dataset.modalities.items():
        if len(modality.ids):
            describe_sample(served, m, 0)


# ---- a run ----------------------------------------------------------------------------------------------------------


def describe_run(served: ServedRun) -> dict[str, Any]:
    """What the page must know of a run before anybody asks."""
    run, plane = served.run, served.plane
    system, names = system_of(run.config), {m: x.name for m, x in run.dataset.modalities.items()}
    every = "".join(names)
    targets = {m: [t for t in (*names, every) if f"{m}->{t}" in system.directions] for m in names}
    rows = getattr(run.parts, run.config.gallery, None) or {
        m: np.arange(len(x.ids)) for m, x in run.dataset.modalities.items()
    }
    return {
        "name": served.name,
        "title": " ↔ ".join(names.values()),
        "note": name_only(data_in_words(run.config, run.dataset.note)),
        "gallery": run.config.gallery,
        "modalities": [
            {
                "letter": m,
                "name": x.name,
                "kind": x.kind,
                "count": len(rows[m]),
                "to": ["all" if t == every else t for t in targets[m]],
                "locates": can_locate(run, m),
            }
            for m, x in run.dataset.modalities.items()
        ],
        "directions": direction_names(run, system.directions),
        "labels": list(run.dataset.label_names),
        "words": example_texts(run, rows),
        "plane": None if plane is None else describe_plane(plane),
    }


def describe_plane(plane: Plane) -> dict[str, Any]:
    """Points with sample numbers, by letter, and the axes' shares of variance."""
    points = {
        m: {"x": np.round(p[:, 0], 4).tolist(), "y": np.round(p[:, 1], 4).tolist(), "rows": plane.rows[m].tolist()}
        for m, p in plane.points.items()
    }
    return {"share": np.round(plane.share, 4).tolist(), "points": points}


def example_texts(run: Run, rows: dict[str, np.ndarray]) -> list[str]:
    """A few sentences that somebody might type."""
    texts = [(x.texts, rows[m]) for m, x in run.dataset.modalities.items() if x.texts]
    found = [known[i].partition("|")[0].strip() for known, some in texts for i in some[:: max(1, len(some) // 12)]]
    return list(dict.fromkeys(found))[:4]


def can_locate(run: Run, m: str) -> bool:
    """Whether places in a large picture can be compared with a query of modality m."""
    try:
        return bool(image_letter(run, m))
    except InputError:
        return False


def describe_sample(served: ServedRun, m: str, row: int) -> dict[str, Any]:
    """A sample of the run as it is shown: thumbnails, labels, a sentence, whether it can be heard."""
    modality = modality_of(served, m, row)
    sample = sample_of(served.run, m, row)
    pictures, _, note = look(modality, sample.path, SIDE)
    heard = modality.kind == "sound" and sample.path is not None and Path(sample.path).is_file()
    return tell_sample(served, sample, row) | {
        "pictures": tell_pictures(pictures),
        "sound": heard,
        "note": name_only(note),
    }


def when_written(served: ServedRun, m: str, row: int) -> int | None:
    """When a sample's file was last written, in ns: what is shown of it holds so long. None where there is no file."""
    paths = modality_of(served, m, row).paths
    try:
        return None if paths is None else Path(paths[row]).stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def modality_of(served: ServedRun, m: str, row: int) -> Modality:
    """The modality that sample `row` of letter m belongs to; raises `InputError` where there is no such sample."""
    check_letters(served.run, m if len(m) == 1 else "")
    modality = served.run.dataset.modalities[m]
    if not 0 <= row < len(modality.ids):
        raise InputError(f"{m}.{row}: no such sample; {modality.name} has {len(modality.ids)}")
    return modality


def tell_sample(served: ServedRun, sample: Sample, row: int | None) -> dict[str, Any]:
    """What is said of a sample."""
    names = {"name": name_only(sample.id), "labels": list(sample.labels), "text": sample.text}
    return {
        "letter": sample.modality,
        "row": row,
        "modality": served.run.dataset.modalities[sample.modality].name,
        **names,
    }


def tell_pictures(pictures: tuple) -> list[dict[str, str]]:
    """Thumbnails with what they show."""
    return [picture._asdict() for picture in pictures]


# ---- a question -----------------------------------------------------------------------------------------------------


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
        else locate_in(served, scene, query),
    }


def like_the_first(found: Sequence[Hit]) -> list[bool]:
    """Whether each result shares a label with the first; without labels nothing can be said, and none is wrong."""
    return [not found[0].labels or bool({*h.labels} & {*found[0].labels}) for h in found]


def other_sense(run: Run, m: str) -> str:
    """The modality that is searched for a question of modality m where nobody says: another one, if one can be."""
    can = [t for t in run.dataset.modalities if f"{m}->{t}" in system_of(run.config).directions]
    return next((t for t in can if t != m), m)


def tell_point(served: ServedRun, one: Items) -> list[float] | None:
    """Where one sample lies on the plane, or None where there is no plane."""
    if served.plane is None:
        return None
    ((_, encoded),) = one.encoded.items()
    return np.round(point_of(served.run, served.plane, encoded), 4).tolist()


def gallery_of(served: ServedRun, to: str) -> Searched:
    """What is searched, opened once."""
    if to not in (*served.run.dataset.modalities, "all"):
        check_letters(served.run, to if len(to) == 1 else "")
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
    text = text_query(run, " ".join(question.sentence.split()) or None, question.keywords)
    return Query(
        encode_one(served, m, read_query(run.dataset.modalities[m], text)[0]), None, Sample(m, text, None, ()), (), ()
    )


def read_upload(served: ServedRun, question: Question) -> Query:
    """A file, read by the package's own reader of its modality, which its content decides where nobody says."""
    run, suffix = served.run, suffix_by_content(question.path)
    path = question.path.rename(question.path.with_suffix(suffix))
    m = question.modality or guess_modality(run, path)
    check_letters(run, m if len(m) == 1 else "")
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


# ---- a large picture ------------------------------------------------------------------------------------------------


def open_scene(served: ServedRun, path: Path) -> dict[str, Any]:
    """Reads a large picture and keeps it, under a name that is told; raises `InputError` for one that is too large."""
    path = path.rename(path.with_suffix(suffix_by_content(path)))
    run = served.run
    letters = [m for m, x in run.dataset.modalities.items() if x.kind == "image" and x.x.dtype == np.uint8]
    if not letters or path.suffix not in (".png", ".jpg", ".gif", ".bmp", ".tif", ".webp"):
        raise InputError("your file: places are looked for in a picture (PNG, JPEG, TIFF, WebP), by a run of pictures")
    samples = run.dataset.modalities[letters[0]]
    height, width = image_size_of(path)
    if height * width > LARGEST_SCENE:
        most = LARGEST_SCENE // 10**6
        raise InputError(f"your file: {width} × {height} pixels; the page takes {most} million, cmir-ref locate more")
    pixels = read_image(path, bands=samples.x.shape[3], span=samples.span)
    sides = sorted(choose_sides(pixels.shape, samples.x.shape[1]))
    while len(sides) > 1 and len(slice_boxes(pixels.shape, sides)) > MOST_SLICES:
        sides = sides[1:]
    if len(slice_boxes(pixels.shape, sides)) > MOST_SLICES:
        raise InputError(f"your file: more than {MOST_SLICES} slices; cmir-ref locate takes more")
    slices, name = encode_slices(run, letters[0], pixels, sides, device=served.device), secrets.token_hex(8)
    served.scenes[name] = Scene(pixels, slices, read_georeference(path))
    while len(served.scenes) > SCENES:
        served.scenes.popitem(last=False)
    return {"scene": name, "width": pixels.shape[1], "height": pixels.shape[0], "slices": len(slices.boxes)}


def locate_in(served: ServedRun, scene: str, query: Query, k: int = 5) -> dict[str, Any]:
    """The heat map of a query over a large picture, and its best places; raises `InputError` where it is gone."""
    kept = served.scenes.get(scene)
    if kept is None:
        raise InputError("the large picture is no longer kept; give it again")
    ((m, encoded),) = query.items.encoded.items()
    if m == kept.slices.letter:
        raise InputError("places are looked for with a query of another kind than the picture's")
    served.scenes.move_to_end(scene)
    scores = slice_scores(served.run, kept.slices, m, encoded, device=served.device)
    heat = heat_map(kept.slices, scores)
    places = best_places(heat, kept.slices, k, kept.geo)
    picture = heat_picture(kept.pixels, heat, places, kept.slices.cell, LARGEST_HEAT)
    system = None if kept.geo is None else kept.geo.system
    return {
        "picture": data_uri("image/png", picture),
        "places": [place._asdict() for place in places],
        "system": system,
        "slices": len(kept.slices.boxes),
    }


def sound_of(served: ServedRun, m: str, row: int) -> tuple[bytes, str]:
    """A recording of the run as WAV, and its media type; raises `InputError` where there is none to play."""
    import soundfile

    from ..data.speech import RATE, read_sound

    modality = modality_of(served, m, row)
    path = sample_of(served.run, m, row).path
    if modality.kind != "sound" or path is None:
        raise InputError(f"{m}.{row}: nothing to be heard")
    stream = io.BytesIO()
    soundfile.write(stream, read_sound(path), RATE, format="WAV", subtype="PCM_16")
    return stream.getvalue(), "audio/wav"
