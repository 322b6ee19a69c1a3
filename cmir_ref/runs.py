"""One run, from data to report: both stages, a folder that survives a kill, evaluation, retrieval."""

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from .backend import library, rng, to_device, to_host
from .config import Config, load_config
from .data import Dataset, Modality, Splits, load, pairs_of, read_query, split
from .errors import InputError
from .models.end_to_end import under
from .models.head import PretrainerOutput
from .reports.gallery import Example, gallery_page
from .reports.pages import direction_names, write_page
from .reports.report import write_report
from .retrieval import collapse, evaluate_direction, nearest
from .training.folder import Folder, below, read_checkpoint, read_history
from .training.inputs import Normaliser, fit_normaliser
from .training.stages import (
    Source,
    Stage2,
    embed,
    forward_all,
    init_pretrainer,
    init_stage2,
    pretrainer,
    stage1_task,
    stage2_network,
    stage2_task,
)

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


@threadpool_limits.wrap(limits=1, user_api="blas")  # small products: more threads cost more, and would change the sums
def train(
    config: Config,
    data: Dataset,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    device: str = "cpu",
    watch: Any = None,
) -> Run:
    """Both stages on `data`; with `out`, the run folder is written and kept whole after every epoch.

    `resume` goes on from `out`'s checkpoint and ends bit for bit where an uninterrupted run ends (on the CPU).
    `watch` (see `reports.progress`) is told of every step and epoch. Raises `InputError` for an `out` that exists
    without `resume`, or whose settings differ.
    """
    xp, parts = library(device), parts_of(config, data)
    folder = Folder.open(out, config, resume, fingerprint(data, parts))
    features = tuple(stage1(config, data, parts, place, folder, xp, watch) for place in (0, 1))
    run = stage2(config, data, parts, tuple(f and f.z for f in features), folder, xp, watch)
    if folder.path is not None:
        _write_embeddings(folder.path / "embeddings.npz", run.embeddings)
        write_report(run, evaluate(run))
        write_gallery(run)
    return run


def parts_of(config: Config, data: Dataset) -> Splits:
    """The split that the settings ask for; the same serves both stages."""
    return split(
        data,
        protocol=protocol_of(config),
        test=config.test_share,
        validation=config.validation_share,
        seed=config.seed,
    )


@threadpool_limits.wrap(limits=1, user_api="blas")
def stage1(
    config: Config, data: Dataset, parts: Splits, place: int, folder: Folder, xp: Any = np, watch: Any = None
) -> PretrainerOutput | None:
    """Trains the pretrainer of modality `place` (0: a, 1: b): its outputs for all samples, on the host.

    None where the settings train none (`trains_stage1`).
    """
    name, modality = "ab"[place], data.modalities[place]
    if not trains_stage1(config, modality):
        return None
    source, stage, shape = _raw(config, data, parts, place, folder).on(xp), f"stage1.{name}", modality.x.shape[1:]
    task = stage1_task(config, stage, source, parts.train[place], parts.validation[place], xp)
    init = partial(init_pretrainer, config, stage, shape, len(data.label_names))
    tensors, buffers = folder.fit(task, init, xp, watch)
    report, views = watch.on_step(f"features {name}") if watch else None, config.stage1.average_views
    rows, network = np.arange(len(modality.x)), pretrainer(config, shape)
    return forward_all(network, tensors, buffers, source, rows, xp, report, average_views=views)


@threadpool_limits.wrap(limits=1, user_api="blas")
def stage2(
    config: Config,
    data: Dataset,
    parts: Splits,
    z: tuple[np.ndarray | None, np.ndarray | None],
    folder: Folder,
    xp: Any = np,
    watch: Any = None,
) -> Run:
    """Trains the latent network on stage 1's features z (N, d_z) of both modalities (None: on the samples themselves).

    The samples of `data` are read only where z is None.
    """
    sources = tuple(
        (
            _raw(config, data, parts, place, folder)
            if z[place] is None
            else _cooked(config, data, parts, place, z, folder)
        ).on(xp)
        for place in (0, 1)
    )
    shapes, labels = tuple(s.x.shape[1:] for s in sources), tuple(s.labels for s in sources)
    network = stage2_network(config, shapes, labels)

    def pairs(epoch):
        return pairs_of(data, parts.train, rng(config.seed, "pairs", epoch))

    task = stage2_task(config, network, sources, pairs, len(pairs(0)), parts.validation, xp)
    init = partial(init_stage2, config, network, shapes, len(data.label_names))
    tensors, buffers = folder.fit(task, init, xp, watch)
    views = config.stage1.average_views
    v = tuple(
        embed(network, tensors, buffers, i, s, np.arange(len(s.labels)), xp, average_views=views)
        for i, s in enumerate(sources)
    )
    embeddings = Embeddings(
        v,
        tuple(_without_samples(m) for m in data.modalities[:2]),
        {part: getattr(parts, part)[:2] for part in PARTS},
        data.label_names,
        data.note,
    )
    learned = tuple(features for features in z if features is not None)
    return Run(folder.path, config, folder.tensors, embeddings, folder.history, folder.seconds, learned)


def _raw(config: Config, data: Dataset, parts: Splits, place: int, folder: Folder) -> Source:
    """A modality's samples as they come, normalised."""
    m, rows = data.modalities[place], parts.train[place]
    normaliser = folder.normaliser(f"input.{'ab'[place]}", lambda: fit_normaliser(m.x, rows, config.normalise_inputs))
    return Source(m.x, m.labels, m.kind, normaliser)


def _cooked(config: Config, data: Dataset, parts: Splits, place: int, z: tuple, folder: Folder) -> Source:
    """A modality's features of stage 1, normalised."""
    rows = parts.train[place]
    normaliser = folder.normaliser(
        f"features.{'ab'[place]}", lambda: fit_normaliser(z[place], rows, config.normalise_features)
    )
    return Source(z[place], data.modalities[place].labels, "features", normaliser)


def fingerprint(data: Dataset, parts: Splits, places: tuple[int, ...] = (0, 1)) -> str:
    """A digest of which samples, labels and split the training of these modalities is about: resuming with others
    would leak test samples."""
    digest = hashlib.sha256()
    for place in places:
        digest.update("\n".join(data.modalities[place].ids).encode())
        digest.update(np.ascontiguousarray(data.modalities[place].labels).tobytes())
    for part in PARTS:
        for place in places:
            digest.update(np.asarray(getattr(parts, part)[place], dtype=np.int64).tobytes() + part.encode())
    return digest.hexdigest()


def _without_samples(modality: Modality) -> Modality:
    """The record without its samples, and with paths that hold from any folder."""
    paths = None if modality.paths is None else tuple(str(Path(p).resolve()) for p in modality.paths)
    return modality._replace(x=np.empty((0, *modality.x.shape[1:]), modality.x.dtype), paths=paths)


def trains_stage1(config: Config, modality: Modality) -> bool:
    """Whether `modality` gets a pretrainer of its own: not when all is trained at once, nor, in the joint mode, when
    it comes as ready-made vectors."""
    return config.stages == "separate" or (config.stages == "joint" and modality.kind != "features")


# ---- the embeddings of a finished run -------------------------------------------------------------------------------


def _write_embeddings(path: Path, e: Embeddings) -> None:
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


def load_run(path: str | Path) -> Run:
    """A finished run from its folder; raises `InputError` where a file is missing or damaged."""
    path = Path(path)
    if not (path / "config.toml").exists():
        raise InputError(f"{path}: no config.toml in it; name a run folder that `cmir-ref train` wrote")
    config = load_config(path / "config.toml")
    embeddings = _read_embeddings(path / "embeddings.npz")
    tensors, metadata = read_checkpoint(path)
    return Run(path, config, tensors, embeddings, read_history(path), float(metadata["seconds"]))


# ---- evaluation and retrieval ---------------------------------------------------------------------------------------


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


def evaluate(run: Run, gallery: str | None = None, *, queries: str = "test", device: str = "cpu") -> dict[str, Any]:
    """Every direction's metrics on the test part, and the state of the space: the JSON of DESIGN 7.

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


class Hit(NamedTuple):
    """One search result."""

    rank: int
    modality: str  # "a" or "b"
    id: str
    path: str | None
    labels: tuple[str, ...]
    distance: float


def label_names(run: Run, label: Any) -> tuple[str, ...]:
    """The names of one sample's label, integer or multi-hot."""
    names = run.embeddings.label_names
    return tuple(names[i] for i in np.flatnonzero(label)) if np.ndim(label) else (names[int(label)],)


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
    generator = rng(run.config.seed, "gallery", "ab".index(name))
    hot = labels if labels.ndim == 2 else labels[:, None] == np.arange(len(run.embeddings.label_names))
    rows = generator.permutation(len(labels)).tolist()
    classes = generator.permutation(hot.shape[1]).tolist()
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


def retrieval_page(run: Run, query: str | Path, modality: str, hits: list[Hit]) -> str:
    """The page that shows `query`, read as modality "a" or "b", and what `retrieve` found for it."""
    example = Example(query_sample(run, query, modality), tuple(hits))
    note = f"{data_of(run)} · run {run.path.name if run.path else run.config.scenario}"
    return gallery_page(f"Nearest to {Path(query).name}", note, {"": [example]}, run.embeddings.modalities)
