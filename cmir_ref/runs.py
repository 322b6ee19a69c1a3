"""A run: the data and split its settings ask for, what was trained and its folder, and its evaluation."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .backend import library, to_device
from .cmirnet.end_to_end import under
from .cmirnet.stages import Stage2, stage2_network
from .config import Config, load_config
from .data import Dataset, Modality, Splits, load, split
from .errors import InputError
from .retrieval import collapse, evaluate_direction
from .training.folder import below, read_checkpoint, read_history

PARTS = ("train", "validation", "test")
DIRECTIONS = ("a->b", "b->a", "a->a", "b->b", "a->ab", "b->ab")


class Embeddings(NamedTuple):
    """The shared space of a whole data set, and what it takes to search it and to read a query."""

    v: tuple[np.ndarray, np.ndarray]  # (N, d_v) each
    modalities: tuple[Modality, Modality]  # x is an empty array of the right shape and dtype
    parts: dict[str, tuple[np.ndarray, np.ndarray]]  # sample numbers of train, validation, test
    label_names: tuple[str, ...]
    note: str


class Run(NamedTuple):
    """A trained pair of networks. `path` is None for a run that was never written."""

    path: Path | None
    config: Config
    tensors: dict[str, np.ndarray]  # of the networks and normalisers, by name
    embeddings: Embeddings
    history: list[dict[str, Any]]  # the lines of metrics.jsonl
    seconds: float
    z: tuple[np.ndarray, ...] = ()  # stage 1's features of all samples, right after training


# ---- what the settings ask for --------------------------------------------------------------------------------------


def load_data(config: Config, root: str | Path | None = None, *, progress: bool = False) -> Dataset:
    """The data set that `config` names, found below `root` (default: the folder that CMIR_DATA names).

    Raises `InputError` for missing, damaged or contradictory files.
    """
    return load(
        config.scenario,
        root or os.environ.get("CMIR_DATA"),
        dataset=config.dataset,
        speech=config.speech,
        image_size=config.image_size,
        speech_voice=config.speech_voice,
        progress=progress,
        sample_axis=config.sample_axis,
        band_axis=config.band_axis,
        count=config.scenes,
        seed=config.scenes_seed,
    )


def protocol_of(config: Config) -> str:
    """`protocol` with "auto" resolved: "paper" for the released features, which carry no voices, else "voices"."""
    if config.protocol != "auto":
        return config.protocol
    return "voices" if config.scenario == "image-speech" and config.speech != "speech-features" else "paper"


def parts_of(config: Config, data: Dataset) -> Splits:
    """The split that the settings ask for; the same serves both stages."""
    return split(
        data,
        protocol=protocol_of(config),
        test=config.test_share,
        validation=config.validation_share,
        seed=config.seed,
    )


def trains_stage1(config: Config, modality: Modality) -> bool:
    """Whether `modality` gets a pretrainer of its own: not when all is trained at once, nor, in the joint mode, when
    it comes as ready-made vectors."""
    return config.stages == "separate" or (config.stages == "joint" and modality.kind != "features")


# ---- the folder of a finished run -----------------------------------------------------------------------------------


def load_run(path: str | Path) -> Run:
    """A finished run from its folder; raises `InputError` where a file is missing or damaged."""
    path = Path(path)
    if not (path / "config.toml").exists():
        raise InputError(f"{path}: no config.toml in it; name a run folder that `cmir-ref train` wrote")
    config = load_config(path / "config.toml")
    embeddings = _read_embeddings(path / "embeddings.npz")
    tensors, metadata = read_checkpoint(path)
    return Run(path, config, tensors, embeddings, read_history(path), float(metadata["seconds"]))


def write_embeddings(path: Path, e: Embeddings) -> None:
    """Writes what `load_run` reads; the file is whole or not there."""
    arrays: dict[str, Any] = {"label_names": np.array(e.label_names), "note": np.array(e.note)}
    for name, place in (("a", 0), ("b", 1)):
        m = e.modalities[place]
        arrays |= {f"v_{name}": e.v[place], f"labels_{name}": m.labels, f"ids_{name}": np.array(m.ids)}
        arrays |= {f"groups_{name}": np.asarray(m.groups).astype(str), f"empty_{name}": m.x}
        arrays |= {f"name_{name}": np.array(m.name), f"kind_{name}": np.array(m.kind)}
        if m.paths is not None:
            arrays[f"paths_{name}"] = np.array([str(p) for p in m.paths])
        arrays |= {f"{part}_{name}": e.parts[part][place] for part in PARTS}
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def _read_embeddings(path: Path) -> Embeddings:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        modalities = tuple(
            Modality(
                name=str(arrays[f"name_{m}"]),
                kind=str(arrays[f"kind_{m}"]),
                x=arrays[f"empty_{m}"],
                labels=arrays[f"labels_{m}"],
                ids=tuple(arrays[f"ids_{m}"].tolist()),
                paths=tuple(arrays[f"paths_{m}"].tolist()) if f"paths_{m}" in arrays else None,
                groups=arrays[f"groups_{m}"],
            )
            for m in "ab"
        )
        parts = {part: (arrays[f"{part}_a"], arrays[f"{part}_b"]) for part in PARTS}
        v = arrays["v_a"], arrays["v_b"]
        return Embeddings(v, modalities, parts, tuple(arrays["label_names"].tolist()), str(arrays["note"]))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; the run is not finished, resume it with train --resume") from error
    except Exception as error:
        raise InputError(f"{path}: not a readable embeddings file ({error.__class__.__name__})") from error


# ---- what a run holds -----------------------------------------------------------------------------------------------


def stage2_of(run: Run) -> tuple[Stage2, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(network, params, buffers) of a run's second stage."""
    shapes = tuple(
        (run.config.d_z,) if trains_stage1(run.config, m) else m.x.shape[1:] for m in run.embeddings.modalities
    )
    network = stage2_network(run.config, shapes, tuple(m.labels for m in run.embeddings.modalities))
    own = below("stage2", run.tensors)
    return network, below("params", own), below("buffers", own)


def rows_of(run: Run, place: int, part: str) -> np.ndarray:
    """Sample numbers of a part ("train", "validation", "test", "all") of modality `place` (0: a, 1: b)."""
    return np.arange(len(run.embeddings.v[place])) if part == "all" else run.embeddings.parts[part][place]


def side(run: Run, name: str, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(embeddings, multi-hot or integer labels, keys) of one part of modality "a" or "b", or of both for "ab".

    A key is unique over both modalities, so that a query can be told from its gallery.
    """
    e = run.embeddings
    if name == "ab":
        both = [side(run, m, part) for m in "ab"]
        if both[0][1].ndim != both[1][1].ndim:
            classes = np.arange(len(e.label_names))
            both = [(v, y if y.ndim == 2 else (y[:, None] == classes).astype(np.uint8), k) for v, y, k in both]
        return tuple(np.concatenate(columns) for columns in zip(*both, strict=True))
    place = "ab".index(name)
    rows = rows_of(run, place, part)
    return e.v[place][rows], e.modalities[place].labels[rows], rows + place * len(e.v[0])


def label_names(run: Run, label: Any) -> tuple[str, ...]:
    """The names of one sample's label, integer or multi-hot."""
    names = run.embeddings.label_names
    return tuple(names[i] for i in np.flatnonzero(label)) if np.ndim(label) else (names[int(label)],)


def data_of(run: Run) -> str:
    """What the run saw, in words: data sets, and whether a sensor was simulated."""
    c = run.config
    names = c.dataset if c.scenario == "pan-mul" else f"{c.dataset} and {c.speech}"
    return f"{names}, {run.embeddings.note}" if run.embeddings.note else names


def features_of(run: Run) -> dict[str, str]:
    """Where each modality's stage-1 features come from: readers must see that VGG-16 had no part in it."""
    found = {}
    for name, m in zip("ab", run.embeddings.modalities, strict=True):
        size = " × ".join(map(str, m.x.shape[1:]))
        network, what = ("dense", "vectors") if m.kind == "features" else ("convolution", m.kind)
        found[name] = f"{m.name}: {network} pretrainer on {size} {what}"
    return found


# ---- evaluation -----------------------------------------------------------------------------------------------------


def evaluate(run: Run, gallery: str | None = None, *, queries: str = "test", device: str = "cpu") -> dict[str, Any]:
    """Every direction's metrics on the test part, and the state of the space, ready for JSON (docs/design.md).

    Queries are the part `queries`; the `gallery` is "validation", "test", "train" or "all" (default: the run's
    setting). "a->ab" searches both modalities at once; a query never finds itself.
    """
    xp, gallery = library(device), gallery or run.config.gallery
    directions = {}
    for direction in DIRECTIONS:
        query_name, gallery_name = direction.split("->")
        v, y, keys = side(run, query_name, queries)
        gallery_v, gallery_y, gallery_keys = side(run, gallery_name, gallery)
        place = {key: i for i, key in enumerate(gallery_keys.tolist())}
        directions[direction] = evaluate_direction(
            *(to_device(part, xp) for part in (v, y, gallery_v, gallery_y)),
            exclude=to_device(np.array([place.get(key, -1) for key in keys.tolist()]), xp),
            distance=run.config.distance,
            label_names=run.embeddings.label_names,
        )
    return {
        "scenario": run.config.scenario,
        "data": data_of(run),
        "features": features_of(run),
        "d_v": run.config.d_v,
        "split": {part: [len(rows) for rows in run.embeddings.parts[part]] for part in PARTS},
        "protocol": protocol_of(run.config),
        "gallery": gallery,
        "directions": directions,
        **space_of(run),
        "seconds": run.seconds,
    }


def space_of(run: Run) -> dict[str, Any]:
    """Is the space alive? Collapse flag, scale and rank of V, norm of each encoder matrix, share of dead units of V,
    and a sentence that says which kind of collapse it is."""
    network, params, _ = stage2_of(run)
    v = run.embeddings.v
    found = collapse(*v)
    latent = under("latent", params)
    depth = network.arch.encoder_depth
    norms = {
        name: float(np.linalg.norm(latent[name]))
        for name in (f"encoder_{m}.{i}.w" for m in "ab" for i in range(1, depth + 1))
    }
    dead = {m: float((v_m.max(axis=0) == v_m.min(axis=0)).mean()) for m, v_m in zip("ab", v, strict=True)}
    smallest = {m: min(norm for name, norm in norms.items() if name.startswith(f"encoder_{m}")) for m in "ab"}
    points = [m for m, v_m in zip("ab", v, strict=True) if collapse(v_m, v_m)["collapsed"]]
    names = " and ".join(run.embeddings.modalities["ab".index(m)].name for m in points)
    if found["collapsed"] and min(smallest.values()) < 1e-3:
        verdict = f"collapsed: the encoder weights shrank to zero (smallest ‖w‖ = {min(smallest.values()):.1e})"
    elif points:
        share = " and ".join(f"{dead[m]:.0%}" for m in points)
        how = "collapsed" if len(points) == 2 else "half collapsed"
        verdict = (
            f"{how}: every embedding of {names} is the same although the weights live "
            f"(smallest ‖w‖ = {min(smallest[m] for m in points):.2g}); {share} of its units never vary"
        )
    else:
        verdict = f"alive: embeddings spread {found['scale']:.3g} around their mean"
    return found | {"weight_norms": norms, "dead_units": dead, "verdict": verdict}
