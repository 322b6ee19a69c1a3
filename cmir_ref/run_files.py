"""What a run keeps of its samples, the file embeddings.npz, and the digests by which its files know each other."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .data import digests_of
from .errors import InputError
from .files import check_readable, whole_file
from .records import PARTS, Dataset, Modality, Places, Run, Splits

RESERVED = (
    *("labels", "ids", "groups", "empty", "name", "kind", "paths", "texts", "span"),
    *("as_stored", "tile", "places", "systems", "digests", *PARTS),
)  # in embeddings.npz


def write_embeddings(path: Path, run: Run) -> None:
    """Writes what `load_run` reads; the file is whole or not there.

    `<name>_<letter>` for each array that is stored of a modality's samples ("v_a"), and for what is known of them:
    labels, ids, groups, paths, texts, digests, name, kind, the parts of the split, and an empty array of their shape.
    """
    arrays: dict[str, Any] = {"label_names": np.array(run.dataset.label_names), "note": np.array(run.dataset.note)}
    arrays["weights"] = np.array(tensor_digest(run.tensors))
    if run.dataset.pairing is not None:
        arrays["pairing"] = np.asarray(run.dataset.pairing)
    if run.dataset.apart is not None:
        arrays["apart"] = np.asarray(run.dataset.apart)
    for m, modality in run.dataset.modalities.items():
        known = {"labels": modality.labels, "ids": np.array(modality.ids), "empty": modality.x}
        known |= {"groups": np.asarray(modality.groups).astype(str)}
        known |= {"name": np.array(modality.name), "kind": np.array(modality.kind)}
        known |= {"paths": np.array([str(p) for p in modality.paths])} if modality.paths is not None else {}
        known |= {"texts": np.array(modality.texts)} if modality.texts is not None else {}
        known |= {"span": np.array(modality.span)} if modality.span is not None else {}
        known |= {"digests": modality.digests} if modality.digests is not None else {}
        known |= {"as_stored": np.array(True), "tile": np.array(modality.tile)} if modality.as_stored else {}
        if modality.places is not None:
            known |= {"places": modality.places.xy, "systems": np.array(modality.places.systems)}
        known |= {part: rows[m] for part, rows in run.parts._asdict().items()}
        arrays |= {f"{name}_{m}": value for name, value in (run.encoded[m] | known).items()}
    with whole_file(path) as file:
        np.savez(file, **arrays)


def read_embeddings(path: Path) -> tuple[dict[str, dict[str, np.ndarray]], Dataset, Splits, str]:
    """(encoded, data set without samples, parts, the digest of the run's tensors) as `write_embeddings` wrote them.

    Raises `InputError` for a file that is missing or damaged.
    """
    check_readable(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        letters = sorted(name.removeprefix("kind_") for name in arrays if name.startswith("kind_"))
        by_letter = {m: {n.removesuffix(f"_{m}"): a for n, a in arrays.items() if n.endswith(f"_{m}")} for m in letters}
        modalities = {
            m: Modality(
                name=str(known["name"]),
                kind=str(known["kind"]),
                x=known["empty"],
                labels=known["labels"],
                ids=tuple(known["ids"].tolist()),
                paths=tuple(known["paths"].tolist()) if "paths" in known else None,
                groups=known["groups"],
                texts=tuple(known["texts"].tolist()) if "texts" in known else None,
                span=tuple(known["span"].tolist()) if "span" in known else None,
                as_stored="as_stored" in known,
                tile=int(known.get("tile", 0)),
                places=Places(known["places"], tuple(known["systems"].tolist())) if "places" in known else None,
                digests=known.get("digests"),  # earlier versions wrote none
            )
            for m, known in by_letter.items()
        }
        encoded = {m: {n: a for n, a in known.items() if n not in RESERVED} for m, known in by_letter.items()}
        parts = Splits(*({m: known[part] for m, known in by_letter.items()} for part in PARTS))
        names = tuple(arrays["label_names"].tolist())
        dataset = Dataset(modalities, names, arrays.get("pairing"), str(arrays["note"]), arrays.get("apart"))
        return encoded, dataset, parts, str(arrays.get("weights", ""))  # earlier versions wrote none
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; the run is not finished, resume it with train --resume") from error
    except Exception as error:
        raise InputError(f"{path}: not a readable embeddings file ({error.__class__.__name__})") from error


# ---- digests --------------------------------------------------------------------------------------------------------


def without_samples(modality: Modality) -> Modality:
    """The record with digests in place of its samples, and with paths that hold from any folder."""
    empty = np.empty((0, *modality.x.shape[1:]), modality.x.dtype)
    return modality._replace(x=empty, paths=whole_paths(modality), digests=digests_of(modality.x))


def whole_paths(modality: Modality) -> tuple[str, ...] | None:
    """The paths of a modality's files as they hold from any folder, or None."""
    return None if modality.paths is None else tuple(str(Path(p).resolve()) for p in modality.paths)


def fingerprint(data: Dataset, parts: Splits, letters: str | None = None) -> str:
    """Two digests, "…-…", of what the training of these modalities (default: all) is about: resuming with other data
    would leak test samples. The first is of ids, labels and split, the second of the samples themselves."""
    letters = letters or "".join(data.modalities)
    return f"{share_digest(data, parts, letters)}-{sample_digest(data, letters)}"


def share_digest(data: Dataset, parts: Splits, letters: str) -> str:
    """A digest of ids, labels and split of these modalities, which a run folder also holds of a finished run."""
    digest = hashlib.sha256()
    for m in letters:
        digest.update("\n".join(data.modalities[m].ids).encode("utf-8", "surrogateescape"))
        digest.update(np.ascontiguousarray(data.modalities[m].labels).tobytes())
    for part, rows in parts._asdict().items():
        for m in letters:
            digest.update(np.asarray(rows[m], dtype=np.int64).tobytes() + part.encode())
    return digest.hexdigest()


def start_digest(start: Mapping[str, np.ndarray] | None) -> str:
    """ "-…", a digest of the tensors of the run that a training begins with; "" where it begins with none."""
    return "" if start is None else f"-{tensor_digest(start)}"


def tensor_digest(tensors: Mapping[str, np.ndarray]) -> str:
    """A digest of a run's tensors, by which its embeddings know whose they are."""
    digest = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sample_digest(data: Dataset, letters: str) -> str:
    """A digest of the numbers of these modalities: all where they are in memory, of others 256 samples of each."""
    digest = hashlib.sha256()
    for m in letters:
        x = data.modalities[m].x
        digest.update(f"{x.dtype} {x.shape}".encode())
        in_memory = type(x) is np.ndarray
        rows = np.arange(len(x)) if in_memory else np.unique(np.linspace(0, len(x) - 1, 256).astype(int))
        for start in range(0, len(rows), 64):
            block = x[start : start + 64] if in_memory else x[rows[start : start + 64]]
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()
