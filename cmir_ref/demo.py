"""The demo: both scenarios, small, on simulated scenes and the bundled voices; one page shows the whole idea.

Each scenario is an ordinary run of a preset (`demo-pan-mul`, `demo-image-speech`) in a folder of its own. Short
experiments stand beside them: what the orthogonality term does to a small network, and how the label-free objective
dies at α = 0 on the features that the first run has learned.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import runs
from .cmirnet.settings import CmirnetSettings
from .cmirnet.stage1 import apply_pretrainer, init_pretrainer, pretrainer, stage1_task
from .cmirnet.stage2 import embed, init_stage2, latent_settings, stage2_task
from .config import load_config
from .data import load_data, samples_dir
from .data.speech import log_mel_patch
from .errors import InputError
from .parallel import begin_worker
from .ranking import galleries
from .records import PARTS, Run
from .reports import plots
from .reports.gallery import cards
from .reports.pages import direction_names, environment, write_page
from .reports.report import stage_lines, state_sentence
from .retrieval import evaluate_direction
from .training.inputs import Source, fit_normaliser
from .training.loop import new_state, train_epochs

SCENARIOS = ("pan-mul", "image-speech")
ORTHOGONALITY = {"without the orthogonality term": 0.0, "with it": 1.0}
LABEL_FREE = {"alignment": 1.0, "classification": 0.0, "feature_norm": 1.0, "reconstruction": 0.0, "regulariser": 1.0}
SHOWN = 6  # labels in the projection of a multi-label scenario


class Part(NamedTuple):
    """One scenario's run with what the page shows of it."""

    run: Run
    result: dict[str, Any]
    z: dict[str, np.ndarray]  # the features of all samples, (N, d_z) each, by letter


def demo(
    out: str | Path = "runs/demo",
    *,
    seed: int = 0,
    settings: Mapping[str, Sequence[str]] | None = None,
    side_epochs: int = 100,
    device: str = "cpu",
    watch: Any = nullcontext,
    progress: bool = False,
) -> dict[str, Any]:
    """Both scenarios from scenes to page: writes `out`/report.html and the run folders `out`/pan-mul and
    `out`/image-speech, and returns {scenario: evaluation, "seconds": …}.

    `settings` are `key=value` changes by scenario, `side_epochs` the length of the short experiments, `device` where
    the networks are trained, and `watch` makes a context manager that is told of a run's progress. Raises `InputError`
    for an `out` that exists. Other processes help, so a script calls this under `if __name__ == "__main__"`.
    """
    started, out = time.perf_counter(), Path(out)
    if out.exists():
        raise InputError(f"{out}: exists already; remove it, or give another --out")
    configs = {s: load_config(f"demo-{s}", (settings or {}).get(s, ()), seed=seed) for s in SCENARIOS}
    parts = {}
    beside = ProcessPoolExecutor(1, get_context("spawn"), begin_worker)  # the experiments, during the second run
    try:
        beside.submit(log_mel_patch, next(samples_dir().glob("speech/*/*")))  # librosa compiles itself on its first use
        for scenario, config in configs.items():
            data, made = load_data(config, progress=progress), {}
            with watch() as told:
                run = runs.train(config, data, out / scenario, device=device, watch=told, made=made)
            parts[scenario] = Part(run, runs.evaluate(run), {m: made[f"z.{m}"] for m in data.modalities})
            if scenario == "pan-mul":
                rows, b = run.parts.train["b"], data.modalities["b"]
                mul = shrunk(b.x, rows), b.labels[rows]
                grams = {name: beside.submit(gram, config, *mul, w, side_epochs) for name, w in ORTHOGONALITY.items()}
                lives = beside.submit(fates, parts[scenario], side_epochs)
        grams = {name: found.result() for name, found in grams.items()}
        lives = lives.result()
    finally:
        beside.shutdown(cancel_futures=True)
    seconds = time.perf_counter() - started
    write_page(out / "report.html", page(parts, grams, lives, seconds))
    return {scenario: part.result for scenario, part in parts.items()} | {"seconds": seconds}


# ---- what the orthogonality term does -------------------------------------------------------------------------------


def shrunk(images: Any, rows: np.ndarray, side: int = 8) -> np.ndarray:
    """Images (N, H, W, C) as vectors (N, side · side · C): means over squares."""
    x = np.asarray(images[rows], dtype=np.float32)
    n, h, w, c = x.shape
    return x.reshape(n, side, h // side, side, w // side, c).mean(axis=(2, 4)).reshape(n, -1)


def gram(config: CmirnetSettings, x: np.ndarray, labels: np.ndarray, weight: float, epochs: int) -> np.ndarray:
    """ZᵀZ/N (d, d) of a small dense pretrainer after `epochs` of eq. 1 with this weight of the orthogonality term."""
    config = config.model_copy(
        update={
            "d_z": 32,
            "orthogonality": config.orthogonality.model_copy(update={"weight": weight, "scaled": True}),
            "stage1": config.stage1.model_copy(update={"epochs": epochs, "lr": 0.005, "keep": "last", "hidden": (64,)}),
        }
    )
    rows = np.arange(len(x))
    source = Source(x, labels, "features", fit_normaliser(x, rows))
    task = stage1_task(config, "demo/gram", source, rows, rows[:8])
    params, buffers = init_pretrainer(config, "demo/gram", x.shape[1:], int(labels.max()) + 1)
    state = train_epochs(task, new_state(params, buffers))
    z = apply_pretrainer(pretrainer(config, x.shape[1:]), state.params, state.buffers, source, rows).z
    return z.T @ z / len(z)


# ---- how the label-free objective dies ------------------------------------------------------------------------------


class Fate(NamedTuple):
    """The norm of V over the epochs, the first before training, and what the space is worth at the end."""

    norms: list[float]
    map: float
    chance: float


def fates(part: Part, epochs: int) -> dict[str, Fate]:
    """Stage 2 of a run again, with linear encoders: without labels at α = 0 and α = 1, and with the full objective."""
    own = part.run.config.weights
    free = own.model_copy(update=LABEL_FREE)
    cases = {"without labels, α = 0": (free, 0.0), "without labels, α = 1": (free, 1.0), "full objective": (own, 1.0)}
    return {name: fate(part, weights, alpha, epochs) for name, (weights, alpha) in cases.items()}


def fate(part: Part, weights: Any, alpha: float, epochs: int) -> Fate:
    """One of these runs, over the features that stage 1 has learned."""
    run = part.run
    config = run.config.model_copy(
        update={
            **{"weights": weights, "alpha": alpha, "alpha_reading": "norm", "latent_dropout": "none"},
            **{"encoder_depth": 1, "encoder_activation": "linear"},
            "stage2": run.config.stage2.model_copy(
                update={"epochs": epochs, "lr": 0.02, "schedule": "cosine", "weight_decay": 0.0, "keep": "last"}
            ),
        }
    )
    train, test = run.parts.train, run.parts.test
    labels = {m: modality.labels for m, modality in run.dataset.modalities.items()}
    sources = {m: Source(z, labels[m], "features", fit_normaliser(z, train[m], "scale")) for m, z in part.z.items()}
    shapes = {m: z.shape[1:] for m, z in part.z.items()}
    network = latent_settings(config, shapes, labels)
    pairs = np.stack([train["a"], train["b"]], axis=1)  # of scenes, pair k is sample k of both
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), run.parts.validation)
    state = new_state(*init_stage2(config, network, shapes, len(run.dataset.label_names)))

    def space(params):
        return {m: embed(network, params, {}, m, source, test[m]) for m, source in sources.items()}

    def norm(params):
        return float(np.mean([np.sqrt((v * v).sum(axis=1)).mean() for v in space(params).values()]))

    norms = [norm(state.params)]
    state = train_epochs(task, state, on_epoch=lambda now, _: norms.append(norm(now.params)))
    v, y = space(state.params), {m: labels[m][test[m]] for m in labels}
    found = evaluate_direction(v["a"], y["a"], v["b"], y["b"])
    return Fate(norms, found["map"], found["chance"])


# ---- the page -------------------------------------------------------------------------------------------------------


def page(parts: Mapping[str, Part], grams: Mapping[str, np.ndarray], lives: Mapping[str, Fate], seconds: float) -> str:
    """The page as text: one self-contained file."""
    scenarios = [section(part) for part in parts.values()]
    return (
        environment()
        .get_template("demo.html")
        .render(
            title="CMIR-NET: one search across sensors and senses",
            scenarios=scenarios,
            parts={name: part.result for name, part in parts.items()},
            voices={p: len(voices(parts["image-speech"].run, p)) for p in PARTS},
            gram=plots.gram(grams),
            off_diagonal={name: off_diagonal(g) for name, g in grams.items()},
            fates=lives,
            norms=plots.norms({name: found.norms for name, found in lives.items()}),
            seconds=seconds,
        )
    )


def section(part: Part) -> dict[str, Any]:
    """What the page shows of one scenario."""
    run, modalities, test = part.run, part.run.dataset.modalities, part.run.parts.test
    names, (a, b) = direction_names(run), (m.name for m in modalities.values())
    stages, titles = stage_lines(run), {"stage1.a": f"stage 1, {a}", "stage1.b": f"stage 1, {b}", "stage2": "stage 2"}
    features = [part.z[m][rows] for m, rows in test.items()]
    scaled = [z / max(float(np.sqrt((z**2).mean())), 1e-12) for z in features]
    colours = shown_classes([modalities[m].labels[rows] for m, rows in test.items()])
    embedded = [run.encoded[m]["v"][rows] for m, rows in test.items()]
    spaces = {"before: features Z": scaled, "after: shared space V": embedded}
    shown = [run.dataset.label_names[c] for c in colours.classes]
    return {
        "scenario": run.config.scenario,
        "result": part.result,
        "state": state_sentence(part.result, {m: modality.name for m, modality in modalities.items()}),
        "names": {"a": a, "b": b},
        "directions": names,
        "galleries": cards({names[d]: rows for d, rows in galleries(run, count=4).items()}, modalities),
        "curves": {titles[s]: plots.losses(lines, run.config.loss_weights) for s, lines in stages.items()},
        "spaces": plots.spaces(
            {k: [project(v)[0], project(v)[1]] for k, v in spaces.items()}, colours.of, shown, (a, b)
        ),
        "all_shown": len(shown) == len(run.dataset.label_names),
        "shown": shown,
    }


def voices(run: Run, part: str) -> np.ndarray:
    """The voices of one part's recordings."""
    return np.unique(np.asarray(run.dataset.modalities["b"].groups)[getattr(run.parts, part)["b"]])


class Colours(NamedTuple):
    """Classes that get a colour, and for each sample of both modalities the number of its class among them, or −1."""

    classes: list[int]
    of: list[np.ndarray]


def shown_classes(labels: Sequence[np.ndarray]) -> Colours:
    """All classes of integer labels. Of multi-hot ones `SHOWN` labels, rare ones first, that seldom stand together; a
    sample with none or several of them gets no colour."""
    first = labels[0]
    if first.ndim == 1:
        return Colours(np.unique(np.concatenate(labels)).tolist(), [np.asarray(y) for y in labels])
    count = first.sum(axis=0)
    chosen: list[int] = []
    for c in sorted(np.flatnonzero(count >= 3), key=lambda c: count[c]):
        alone = ~first[first[:, c] > 0][:, chosen].any(axis=1)
        if len(chosen) < SHOWN and alone.mean() > 0.6:
            chosen.append(int(c))
    hot = [y if y.ndim == 2 else y[:, None] == np.arange(first.shape[1]) for y in labels]
    of = [np.where(y[:, chosen].sum(axis=1) == 1, y[:, chosen].argmax(axis=1), -1) for y in hot]
    return Colours(chosen, of)


def project(vectors: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Two modalities' vectors (N, D) on the first two principal axes of them all, and the axes' shares of variance."""
    sizes = [len(v) for v in vectors]
    x = np.concatenate(vectors).astype(np.float64)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    share = s[:2] ** 2 / max((s**2).sum(), 1e-30)
    return np.split(u[:, :2] * s[:2], np.cumsum(sizes)[:-1]), share


def off_diagonal(matrix: np.ndarray) -> float:
    """The mean size of the entries beside the diagonal, the diagonal's mean being 1."""
    d = len(matrix)
    beside = np.abs(matrix).sum() - np.abs(np.diag(matrix)).sum()
    return float(beside / (d * (d - 1)) / max(np.diag(matrix).mean(), 1e-12))
