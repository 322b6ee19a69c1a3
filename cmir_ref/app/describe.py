"""What the page is told of a run and its samples: ready for JSON, and without a folder of this machine."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from ..data import data_in_words
from ..errors import InputError
from ..places import image_letter
from ..ranking import Sample, sample_of, system_of
from ..records import Items, Run
from ..reports.gallery import look
from ..reports.pages import direction_names
from .plane import Plane, point_of
from .served import ServedRun, modality_of
from .uploads import name_only

SIDE = 192  # pixels of a thumbnail at most


def warm_up(served: ServedRun) -> None:
    """Looks at one sample of each modality, so that nobody waits for what readers do on their first use."""
    for m, modality in served.run.dataset.modalities.items():
        if len(modality.ids):
            describe_sample(served, m, 0)


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


def tell_point(served: ServedRun, one: Items) -> list[float] | None:
    """Where one sample lies on the plane, or None where there is no plane."""
    if served.plane is None:
        return None
    ((_, encoded),) = one.encoded.items()
    return np.round(point_of(served.run, served.plane, encoded), 4).tolist()


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
