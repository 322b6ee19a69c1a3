"""Training, from data to report: stage 1 of each modality, then stage 2, in a folder that survives a kill."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .backend import generator, library
from .cmirnet.stages import (
    Source,
    embed,
    forward_all,
    init_pretrainer,
    init_stage2,
    pretrainer,
    stage1_task,
    stage2_network,
    stage2_task,
)
from .config import Config
from .data import Dataset, Modality, Splits, pairs_of
from .nets.head import PretrainerOutput
from .reports.report import write_report
from .runs import PARTS, Embeddings, Run, evaluate, parts_of, trains_stage1, write_embeddings
from .search import write_gallery
from .training.folder import Folder
from .training.inputs import fit_normaliser


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
        write_embeddings(folder.path / "embeddings.npz", run.embeddings)
        write_report(run, evaluate(run))
        write_gallery(run)
    return run


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
    source, stage, shape = _source(config, data, parts, place, folder).on(xp), f"stage1.{name}", modality.x.shape[1:]
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

    The samples of `data` are read only where z is None. Raises `FloatingPointError` where V is not finite.
    """
    sources = tuple(_source(config, data, parts, place, folder, z[place]).on(xp) for place in (0, 1))
    shapes, labels = tuple(s.x.shape[1:] for s in sources), tuple(s.labels for s in sources)
    network = stage2_network(config, shapes, labels)

    def pairs(epoch):
        return pairs_of(data, parts.train, generator(config.seed, "pairs", epoch))

    task = stage2_task(config, network, sources, pairs, len(pairs(0)), parts.validation, xp)
    init = partial(init_stage2, config, network, shapes, len(data.label_names))
    tensors, buffers = folder.fit(task, init, xp, watch)
    views = config.stage1.average_views
    v = tuple(
        embed(network, tensors, buffers, i, s, np.arange(len(s.labels)), xp, average_views=views)
        for i, s in enumerate(sources)
    )
    if not all(np.isfinite(v_m).all() for v_m in v):  # the last step can leave weights so large that V overflows
        raise FloatingPointError("stage2: the embeddings are no longer finite; try a smaller stage2.lr")
    embeddings = Embeddings(
        v,
        tuple(_without_samples(m) for m in data.modalities[:2]),
        {part: getattr(parts, part)[:2] for part in PARTS},
        data.label_names,
        data.note,
    )
    learned = tuple(features for features in z if features is not None)
    return Run(folder.path, config, folder.tensors, embeddings, folder.history, folder.seconds, learned)


def _source(
    config: Config, data: Dataset, parts: Splits, place: int, folder: Folder, z: np.ndarray | None = None
) -> Source:
    """What a network is given of a modality, normalised: z (N, d_z), stage 1's features, or without it the samples."""
    m, rows = data.modalities[place], parts.train[place]
    if z is None:
        name, x, kind, how = "input", m.x, m.kind, config.normalise_inputs
    else:
        name, x, kind, how = "features", z, "features", config.normalise_features
    return Source(x, m.labels, kind, folder.normaliser(f"{name}.{'ab'[place]}", lambda: fit_normaliser(x, rows, how)))


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
