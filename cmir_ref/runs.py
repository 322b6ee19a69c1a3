"""A run, the same for every system: training from data to report, a folder that survives a kill, evaluation.

What differs between systems is behind `systems.SYSTEMS[settings.system]`.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .backend import generator, library, to_device
from .config import SharedSettings, first_difference, load_run_settings, settings_of
from .contract import CROSS, Stage
from .data import SCENARIOS, data_in_words, pairs_of, protocol_of, split_data
from .data.splits import keep_parts
from .data.trunk import check_trunk
from .errors import InputError
from .params import below
from .ranking import directions_of, galleries, items_of, system_of
from .records import Dataset, Run, Splits
from .reports.report import write_report
from .retrieval import measure_direction
from .retrieval.relevant_items import labels_of, paired, positions
from .run_files import (
    fingerprint,
    read_embeddings,
    share_digest,
    start_digest,
    tensor_digest,
    whole_paths,
    without_samples,
    write_embeddings,
)
from .training.folder import Folder, history_of, read_checkpoint, runs_inside

FITTED = ("/mean", "/std")  # of normalisers: a run that begins with another's weights reads samples as that one did


# ---- training -------------------------------------------------------------------------------------------------------


@threadpool_limits.wrap(limits=1, user_api="blas")  # small products: more threads cost more, and would change the sums
def train(
    config: SharedSettings,
    data: Dataset,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    device: str = "cpu",
    watch: Any = None,
    made: dict[str, np.ndarray] | None = None,
) -> Run:
    """All stages of the system on `data`; with `out`, the run folder is written and kept whole after every epoch.

    `resume` goes on from `out`'s checkpoint and ends bit for bit where an uninterrupted run ends (on the CPU).
    `watch` (a `progress.Watch`) is told of every step and epoch. What each stage makes of the samples, such as
    stage 1's features, is put into `made`, where that is given. Raises `InputError` for an `out` that exists without
    `resume`, for one with `resume` that is no run, that has other settings or that began with other data, for one in
    which another process works, and `FloatingPointError` where a loss or an embedding is not finite.
    """
    xp, (data, parts, start) = library(device), share_out(config, data)
    about = "" if out is None else fingerprint(data, parts) + start_digest(start)
    made = {} if made is None else made
    with Folder.open(out, config, resume, about) as folder:
        take_up(config, data, folder)
        for stage in stages_of(config, data):
            last = train_stage(stage, config, data, parts, made, folder, xp, watch, start)
            made |= last
        run = finished_run(config, data, parts, last, folder)
        if folder.path is not None:
            write_embeddings(folder.path / "embeddings.npz", run)
            write_report(run, evaluate(run, device=device), galleries(run))
    return run


def share_out(config: SharedSettings, data: Dataset) -> tuple[Dataset, Splits, dict[str, np.ndarray] | None]:
    """(the data, their parts, the tensors of the run that the training begins with, if any)."""
    parts, start, known = split_data(config, data), None, None
    if config.start_from is not None:
        if not config.start_from:
            raise InputError("start_from: is empty; name a run folder that `cmir-ref train` wrote, or leave it out")
        if not Path(config.start_from).is_dir():
            raise InputError(
                f"{config.start_from}: no run folder to start from; where it was moved, give --start-from its new place"
            )
        start = read_start(config.start_from, stages_of(config, data))
        known = load_run(config.start_from)
        parts = keep_parts(parts, data, known.parts, known.dataset)
        data = data._replace(parts=parts)  # for a system that asks for the split itself
    if check := system_of(config).check:
        check(config, data, parts, known)
    for stage in stages_of(config, data):
        stage.init(config, data)  # samples that its network does not take are refused now, not behind other stages
    if data.pairing is None:
        pairs_of(data, parts.train, generator(config.seed, "pairs", 0))  # what stage 2 could not draw is said now
    return data, parts, start


def load_finished(config: SharedSettings, data: Dataset, path: str | Path) -> Run | None:
    """The run in a folder as it is, None where it is not finished, or knows its samples in another place than today.

    Raises `InputError` as resuming does: for a folder that is no run, that has other settings or began with other data,
    and where another process works in it.
    """
    path, (data, parts, start) = Path(path), share_out(config, data)
    with Folder.open(path, config, resume=True, data=fingerprint(data, parts) + start_digest(start)) as folder:
        take_up(config, data, folder)
        trained = all(f"{stage.name}/done" in folder.tensors for stage in stages_of(config, data))
    if trained and (path / "report.html").is_file():
        with suppress(InputError):  # a lost or damaged file of results is written again
            run, today = load_run(path), data.modalities
            if all(whole_paths(modality) == whole_paths(today[m]) for m, modality in run.dataset.modalities.items()):
                return run
    return None


def take_up(config: SharedSettings, data: Dataset, folder: Folder) -> None:
    """Refuses a trunk's weights that are not those with which a run that goes on began; then its settings say where all
    that they name lies today."""
    for m in data.modalities:
        check_trunk(config, folder.tensors, m, folder.path)
    folder.renew_settings()


def stages_of(config: SharedSettings, data: Dataset) -> list[Stage]:
    """The stages that the settings' system has for these modalities."""
    return system_of(config).stages(config, {m: modality.kind for m, modality in data.modalities.items()})


@threadpool_limits.wrap(limits=1, user_api="blas")
def train_stage(
    stage: Stage,
    config: SharedSettings,
    data: Dataset,
    parts: Splits,
    made: Mapping[str, np.ndarray],
    folder: Folder,
    xp: Any = np,
    watch: Any = None,
    start: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Trains one stage, or goes on with it: what it makes of all samples, on the host, by name.

    `made` is what earlier stages made, `start` the tensors of the run that this one begins with.
    """
    if stage.fit and not folder.has_begun(stage.name):
        fitted = stage.fit(config, data, parts, made)
        known = {n: start[n] for n in fitted if n.endswith(FITTED) and n in start} if start else {}
        folder.tensors |= fitted | {n: a for n, a in known.items() if a.shape == fitted[n].shape}
    given = folder.tensors | dict(made)
    task = stage.task(config, data, parts, given, xp)

    def init():
        first = first_values(stage, config, data, start)
        return stage.inherit(*first, given) if stage.inherit else first

    params, buffers = folder.fit(task, init, xp, watch)
    if stage.make is None:
        return {}
    on_step = watch.on_step(f"{stage.name}, all samples") if watch else None
    return stage.make(config, params, buffers, data, given, xp, on_step)


def read_start(path: str | Path, stages: list[Stage]) -> dict[str, np.ndarray]:
    """The tensors of the run that a training begins with; raises `InputError` for one that lacks all of its stages."""
    tensors, _ = read_checkpoint(Path(path))
    if not any(name.startswith(f"{stage.name}/params/") for stage in stages for name in tensors):
        raise InputError(f"{path}: none of its networks is trained here ({', '.join(s.name for s in stages)})")
    return tensors


def first_values(
    stage: Stage, config: SharedSettings, data: Dataset, start: Mapping[str, np.ndarray] | None
) -> tuple[dict, dict]:
    """(params, buffers) that a stage begins with: those of `start` where it has them in the same shape, else drawn.

    A classifier of other classes begins anew.
    """
    drawn = dict(zip(("params", "buffers"), stage.init(config, data), strict=True))
    for kind, arrays in drawn.items():
        before = below(f"{stage.name}/{kind}", start or {}, "/")
        fits = {name: w for name, w in before.items() if name in arrays and w.shape == arrays[name].shape}
        drawn[kind] = {**arrays, **fits}
    return drawn["params"], drawn["buffers"]


def finished_run(
    config: SharedSettings, data: Dataset, parts: Splits, made: Mapping[str, np.ndarray], folder: Folder
) -> Run:
    """The run whose last stage made `made`: arrays `v.a`, `v.b`, … that are stored of each sample."""
    encoded = {m: {} for m in data.modalities}
    for name, array in made.items():
        kind, _, m = name.rpartition(".")
        encoded[m][kind] = array
    modalities = {m: without_samples(modality) for m, modality in data.modalities.items()}
    dataset = data._replace(modalities=modalities)
    return Run(folder.path, config, folder.tensors, encoded, dataset, parts, folder.history, folder.seconds)


# ---- a finished run -------------------------------------------------------------------------------------------------


def load_run(path: str | Path) -> Run:
    """A finished run from its folder; raises `InputError` where a file is missing or damaged."""
    path = Path(path)
    if not (path / "config.toml").exists():
        lacks = "no config.toml in it" if path.is_dir() else "no such folder"
        raise InputError(f"{path}: {lacks}; name a run folder that `cmir-ref train` wrote{runs_inside(path)}")
    config = load_run_settings(path / "config.toml")
    encoded, dataset, parts, weights = read_embeddings(path / "embeddings.npz")
    tensors, metadata = read_checkpoint(path)
    share = share_digest(dataset, parts, "".join(dataset.modalities))
    if metadata["data"].partition("-")[0] not in ("", share) or weights not in ("", tensor_digest(tensors)):
        raise InputError(
            f"{path}: embeddings.npz and checkpoint.safetensors are of different runs; put back the files of this one"
        )
    if "settings" in metadata:  # earlier versions did not write them there
        trained_with = settings_of(json.loads(metadata["settings"]), f"{path}/checkpoint.safetensors")
        if differs := first_difference(trained_with, config):
            raise InputError(f"{path}/config.toml: {differs} is not what the run was trained with; put that back")
    return Run(path, config, tensors, encoded, dataset, parts, history_of(path, metadata), float(metadata["seconds"]))


def evaluate(run: Run, gallery: str | None = None, *, queries: str = "test", device: str = "cpu") -> dict[str, Any]:
    """Every direction's metrics on the test part, and the state of the space, ready for JSON.

    Queries are the part `queries`; the `gallery` is "validation", "test", "train" or "all" (default: the run's
    setting). "a->ab" searches both modalities at once; a query never finds itself. `mr` is the mean recall of both
    directions from one modality to the other, where the system reports recalls.
    """
    system, gallery, xp = system_of(run.config), gallery or run.config.gallery, library(device)
    directions = {d: evaluate_run_direction(run, d, queries, gallery, xp) for d in directions_of(run)}
    with threadpool_limits(limits=1, user_api="blas"):  # as in a training, whose report says the same
        facts = system.facts(run, gallery if gallery == queries else None)
    warnings = [*facts.pop("warnings", ()), *copies_in_words(run, queries)]
    recalls = [directions[d][f"r@{k}"] for d in CROSS for k in recalls_of(run, d) if d in directions]
    return {
        "scenario": run.config.scenario,
        "data": data_in_words(run.config, run.dataset.note),
        "split": {part: [len(rows) for rows in by_letter.values()] for part, by_letter in run.parts._asdict().items()},
        "protocol": protocol_of(run.config),
        "gallery": gallery,
        "directions": directions,
        **({"mr": sum(recalls) / len(recalls)} if recalls and None not in recalls else {}),
        **facts,
        **({"warnings": warnings} if warnings else {}),
        "seconds": run.seconds,
    }


def copies_in_words(run: Run, part: str) -> list[str]:
    """What is said of samples of a part that hold the same as one that was trained on, under another name.

    Not of sentences: the same may well be said of two images.
    """
    said, train = [], run.parts.train
    for m, modality in run.dataset.modalities.items():
        if modality.kind == "text" or modality.digests is None:
            continue
        learned = dict(zip(modality.digests[train[m]].tolist(), train[m].tolist(), strict=True))
        rows = np.setdiff1d(items_of(run, m, part).rows[m], train[m])  # not what all parts share
        if copies := [row for row in rows.tolist() if modality.digests[row].item() in learned]:
            one, other = modality.ids[copies[0]], modality.ids[learned[modality.digests[copies[0]].item()]]
            said.append(
                f"{len(copies)} of {len(rows)} {part} samples of {modality.name} hold the same as one of the training "
                f"part, such as {one} and {other}; keep one of them"
            )
    return said


def evaluate_run_direction(run: Run, direction: str, queries: str, gallery: str, xp: Any) -> dict[str, Any]:
    """The metrics of one direction, "a->b", from the part `queries` to the part `gallery`."""
    system, recall_at = system_of(run.config), recalls_of(run, direction)
    query, gallery = (items_of(run, *side) for side in zip(direction.split("->"), (queries, gallery), strict=True))
    of_partners = recall_at and run.dataset.label_names and not system.recall_at  # the data set asks for them
    return measure_direction(
        system.distances(run, query, gallery, xp),
        system.relevant(run, query, gallery, xp),
        len(query),
        len(gallery),
        xp=xp,
        exclude=to_device(positions(query, gallery, run.dataset.apart), xp),
        query_labels=labels_of(run.dataset, query),
        label_names=run.dataset.label_names,
        recall_at=recall_at,
        ten_tens=SCENARIOS[run.config.scenario].ten_tens,
        recalled=paired(run, query, gallery, xp) if of_partners else None,
    )


def recalls_of(run: Run, direction: str) -> tuple[int, ...]:
    """k of the recalls of a query's partner that are reported, as the system or the data set asks; from one modality to
    the other."""
    asked = system_of(run.config).recall_at or SCENARIOS[run.config.scenario].recall_at(run.config)
    return asked if direction in CROSS else ()
