"""The demo: all scenarios, small, on simulated scenes and the bundled voices; one page shows the whole idea.

Each scenario is an ordinary run of a preset, such as `demo-pan-mul`, in a folder of its own. Two short
experiments stand beside them: what the orthogonality term does to a small network, and how the label-free objective
collapses at α = 0 on the features that the first run has learned.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import runs
from .cmirnet.settings import CmirnetSettings
from .cmirnet.stage1 import apply_pretrainer, init_pretrainer, pretrainer, stage1_task
from .cmirnet.stage2 import embed, init_stage2, latent_settings, stage2_task
from .config import SharedSettings, load_config, load_run_settings
from .data import load_data
from .errors import InputError
from .files import cannot_be_written, remove_leftovers, write_whole
from .locks import LOCK, locked
from .parallel import worker_processes
from .progress import track, wait_for
from .ranking import galleries
from .records import Run
from .reports.demo_page import CollapseFigure, OrthogonalityFigure, ScenarioPart, demo_page
from .retrieval import evaluate_direction
from .training.folder import read_history
from .training.inputs import Source, fit_normaliser
from .training.loop import new_state, train_epochs

DEMO_SCENARIOS = ("pan-mul", "image-speech", "photo-sketch", "image-text")
IN_ANOTHER_PROCESS = ("image-speech", "photo-sketch", "image-text")  # half of the work: two cores are kept busy
LABEL_FREE = {"alignment": 1.0, "classification": 0.0, "feature_norm": 1.0, "reconstruction": 0.0, "regulariser": 1.0}


def demo(
    out: str | Path = "runs/demo",
    *,
    seed: int = 0,
    settings: Mapping[str, Sequence[str]] | None = None,
    side_epochs: int = 100,
    device: str = "cpu",
    watch: Any = nullcontext,
    progress: bool = False,
    tell: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """All scenarios from scenes to page: writes `out`/report.html and a run folder for each, such as `out`/pan-mul, and
    returns {scenario: evaluation, "seconds": …}.

    `settings` are `key=value` changes by scenario, `side_epochs` the length of the short experiments, `device` where
    the networks are trained, and `watch` makes a context manager that is told of a run's progress. In an `out` that an
    interrupted demo left the runs of the same settings go on, once `tell` has been called with a line that says so; any
    other `out` that exists raises `InputError`. Another process trains half of it, where one can be started.
    """
    start, out = time.perf_counter(), Path(out)
    if out.exists() and not is_unfinished_demo(out):
        raise InputError(f"{out}: exists already; remove it, or give another --out")
    configs = demo_configs(seed, settings)
    with demo_folder(out, tell), worker_processes(1) as worker:
        beside = {s: worker.submit(train_scenario, configs[s], out / s, device) for s in IN_ANOTHER_PROCESS}
        trained = {}
        for scenario, config in configs.items():
            if scenario not in beside:
                trained[scenario] = train_scenario(config, out / scenario, device, watch, progress)
        run, z, _ = trained[DEMO_SCENARIOS[0]]
        rows, mul = run.parts.train["b"], load_data(run.config).modalities["b"]
        tiles, labels = shrink_images(mul.x, rows), mul.labels[rows]
        experiments = [
            partial(orthogonality_experiment, run.config, tiles, labels, side_epochs),
            partial(collapse_experiment, run, z, side_epochs),
        ]
        figures = [measure() for measure in track(experiments, len(experiments), "short experiments", progress)]
        trained |= {s: wait_for(future, partial(epoch_in_words, out / s)) for s, future in beside.items()}
        seconds = time.perf_counter() - start
        parts = {scenario: page_part(*trained[scenario]) for scenario in DEMO_SCENARIOS}
        write_whole(out / "report.html", demo_page(parts, *figures, seconds))
    return {scenario: trained[scenario].result for scenario in DEMO_SCENARIOS} | {"seconds": seconds}


class DemoRun(NamedTuple):
    """A run of the demo, its samples' features by letter, if it has any, and its evaluation."""

    run: Run
    z: dict[str, np.ndarray]
    result: dict[str, Any]


def train_scenario(
    config: SharedSettings, out: Path, device: str, watch: Callable = nullcontext, progress: bool = False
) -> DemoRun:
    """The run of one scenario, from scenes to its folder `out`: one of these settings that was begun there goes on."""
    data, made, begun = load_data(config, progress=progress), {}, keep_begun(out, config)
    with watch() as watcher:
        run = runs.train(config, data, out, resume=begun, device=device, watch=watcher, made=made)
    z = {m: made[f"z.{m}"] for m in data.modalities if f"z.{m}" in made}
    return DemoRun(run, z, runs.evaluate(run))


def epoch_in_words(folder: Path) -> str:
    """How far the run in `folder` is: "image-speech stage1.a, epoch 3"."""
    words = [f"{line['stage']}, epoch {line['epoch']}" for line in read_history(folder)[-1:]]
    return " ".join([folder.name, *words])


def demo_configs(seed: int, settings: Mapping[str, Sequence[str]] | None = None) -> dict[str, SharedSettings]:
    """The settings of each scenario, with `key=value` changes by scenario."""
    return {s: load_config(f"demo-{s}", (settings or {}).get(s, ()), seed=seed) for s in DEMO_SCENARIOS}


def read_demo(
    out: str | Path, *, seed: int = 0, settings: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any] | None:
    """What the finished demo in `out` returned, from its folder, or None. Its "seconds" are those of the trainings.

    Raises `InputError` where that demo had other settings.
    """
    out, results = Path(out), {}
    if not (out / "report.html").is_file() or (out / MARKER).exists():
        return None
    for scenario, config in demo_configs(seed, settings).items():
        if load_run_settings(out / scenario / "config.toml") != config:
            raise InputError(f"{out / scenario}: a demo of other settings; remove {out}, or give another --out")
        results[scenario] = runs.evaluate(runs.load_run(out / scenario))
    return results | {"seconds": sum(result["seconds"] for result in results.values())}


# ---- the folder: a demo that was interrupted goes on ----------------------------------------------------------------

MARKER = "unfinished-demo"  # a file in the folder until the page is written


def is_unfinished_demo(folder: str | Path) -> bool:
    """Whether `folder` is what an interrupted demo left: its marker and nothing that a demo does not write.

    So it looks as well while a demo is at work in it.
    """
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        return False
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".report.html.")}  # half a page
    return names <= {MARKER, LOCK, *DEMO_SCENARIOS}


@contextmanager
def demo_folder(out: Path, tell: Callable[[str], object]) -> Iterator[None]:
    """The folder `out` of a demo, new or left by one, marked as unfinished until the body has ended well.

    What raises `InputError`, bad input or a full disk, leaves no folder but one with an epoch of some run in it; that
    one, and what an interruption leaves, stays marked.
    """
    with ExitStack() as lock:
        try:
            if is_unfinished_demo(out):
                lock.enter_context(locked(out))  # raises where the demo is still at work
                tell(f"{out}: left by a demo that was interrupted; it goes on")
                remove_leftovers(out)
            else:
                out.mkdir(parents=True)
                (out / MARKER).touch()
                lock.enter_context(locked(out))
        except OSError as error:
            raise cannot_be_written(out, error, "; give another --out") from error
        try:
            yield
        except InputError:
            if not any(out.glob("*/checkpoint.safetensors")):
                shutil.rmtree(out)
            raise
        (out / MARKER).unlink()


def keep_begun(folder: Path, config: SharedSettings) -> bool:
    """Whether a run of these settings was begun in `folder`, and can go on; anything else there is removed."""
    try:
        begun = load_run_settings(folder / "config.toml") == config
    except InputError:
        begun = False
    if not begun:
        shutil.rmtree(folder, ignore_errors=True)
    return begun


# ---- what the page shows of a run -----------------------------------------------------------------------------------


def page_part(run: Run, z: Mapping[str, np.ndarray], result: dict[str, Any]) -> ScenarioPart:
    """What the page shows of a run and its evaluation; z (N, d_z) are its samples' features by letter, if any."""
    spaces = {}
    if z:  # images and sentences have no space of their own: each image reads a sentence in its way
        embedded = {m: encoded["v"] for m, encoded in run.encoded.items()}
        spaces["before: features Z"] = [unit_energy(v) for v in vectors_of_test(run, z)]
        spaces["after: shared space V"] = vectors_of_test(run, embedded)
    projections = {title: principal_components(vectors) for title, vectors in spaces.items()}
    return ScenarioPart(run, result, galleries(run, count=4), projections)


def vectors_of_test(run: Run, vectors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The rows of the test part, of each modality's vectors (N, D)."""
    return [vectors[m][rows] for m, rows in run.parts.test.items()]


def unit_energy(z: np.ndarray) -> np.ndarray:
    """z (N, D) divided by the root of its mean square."""
    return z / max(float(np.sqrt((z**2).mean())), 1e-12)


def principal_components(vectors: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Both modalities' vectors (N, D) on the first two principal axes of them all, and the axes' shares of variance."""
    sizes = [len(v) for v in vectors]
    x = np.concatenate(vectors).astype(np.float64)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    share = s[:2] ** 2 / max((s**2).sum(), 1e-30)
    return np.split(u[:, :2] * s[:2], np.cumsum(sizes)[:-1]), share


# ---- what the orthogonality term does -------------------------------------------------------------------------------


def orthogonality_experiment(
    config: CmirnetSettings, x: np.ndarray, labels: np.ndarray, epochs: int
) -> OrthogonalityFigure:
    """A small dense network learns the vectors x (N, D) twice: without the orthogonality term of eq. 1, and with it."""
    weights = {"without the orthogonality term": 0.0, "with it": 1.0}
    grams = {name: learn_gram(config, x, labels, weight, epochs) for name, weight in weights.items()}
    return OrthogonalityFigure(grams, {name: mean_off_diagonal(g) for name, g in grams.items()})


def learn_gram(config: CmirnetSettings, x: np.ndarray, labels: np.ndarray, weight: float, epochs: int) -> np.ndarray:
    """ZᵀZ/N (d, d) of a small dense pretrainer after `epochs` of eq. 1 with this weight of the orthogonality term."""
    config = config.model_copy(
        update={
            "d_z": 32,
            "orthogonality": config.orthogonality.model_copy(update={"weight": weight, "scaled": True}),
            "stage1": config.stage1.model_copy(
                update={"epochs": epochs, "batch_size": 32, "lr": 0.005, "keep": "last", "hidden": (64,)}
            ),
        }
    )
    rows = np.arange(len(x))
    source = Source(x, labels, "features", fit_normaliser(x, rows))
    task = stage1_task(config, "demo/gram", source, rows, rows[:8])
    params, buffers = init_pretrainer(config, "demo/gram", x.shape[1:], int(labels.max()) + 1)
    state = train_epochs(task, new_state(params, buffers))
    z = apply_pretrainer(pretrainer(config, x.shape[1:]), state.params, state.buffers, source, rows).z
    return z.T @ z / len(z)


def mean_off_diagonal(matrix: np.ndarray) -> float:
    """The mean size of the entries beside the diagonal, in units of the diagonal's mean."""
    d = len(matrix)
    sum_beside = np.abs(matrix).sum() - np.abs(np.diag(matrix)).sum()
    return float(sum_beside / (d * (d - 1)) / max(np.diag(matrix).mean(), 1e-12))


def shrink_images(images: Any, rows: np.ndarray, side: int = 8) -> np.ndarray:
    """These rows of images (N, H, W, C) as vectors (n, side · side · C): means over squares."""
    x = np.asarray(images[rows], dtype=np.float32)
    n, h, w, c = x.shape
    return x.reshape(n, side, h // side, side, w // side, c).mean(axis=(2, 4)).reshape(n, -1)


# ---- how the label-free objective collapses -------------------------------------------------------------------------


def collapse_experiment(run: Run, z: Mapping[str, np.ndarray], epochs: int) -> CollapseFigure:
    """Stage 2 of a run again, with linear encoders: without labels at α = 0 and at α = 1, and with all of eq. 6."""
    weights = run.config.weights
    label_free = weights.model_copy(update=LABEL_FREE)
    ends = {
        "without labels, α = 0": train_stage2_again(run, z, label_free, 0.0, epochs),
        "without labels, α = 1": train_stage2_again(run, z, label_free, 1.0, epochs),
        "full objective": train_stage2_again(run, z, weights, 1.0, epochs),
    }
    norms = {name: end.norms for name, end in ends.items()}
    return CollapseFigure(norms, {name: end.map for name, end in ends.items()}, next(iter(ends.values())).chance)


class Stage2End(NamedTuple):
    """The mean norm of V after each epoch, the first before training, and how well the space ranks at the end."""

    norms: list[float]
    map: float
    chance: float


def train_stage2_again(run: Run, z: Mapping[str, np.ndarray], weights: Any, alpha: float, epochs: int) -> Stage2End:
    """Stage 2 with these weights of eq. 6 and this α, over the features z that stage 1 of `run` has learned."""
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
    sources = {m: Source(z_m, labels[m], "features", fit_normaliser(z_m, train[m], "scale")) for m, z_m in z.items()}
    shapes = {m: z_m.shape[1:] for m, z_m in z.items()}
    network = latent_settings(config, shapes, labels)
    pairs = np.stack([train["a"], train["b"]], axis=1)  # of scenes, pair k is sample k of both
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), run.parts.validation)
    state = new_state(*init_stage2(config, network, shapes, len(run.dataset.label_names)))

    def space(params):
        return {m: embed(network, params, {}, m, source, test[m]) for m, source in sources.items()}

    def mean_norm(params):
        return float(np.mean([np.sqrt((v * v).sum(axis=1)).mean() for v in space(params).values()]))

    norms = [mean_norm(state.params)]
    state = train_epochs(task, state, on_epoch=lambda now, _: norms.append(mean_norm(now.params)))
    v, y = space(state.params), {m: labels[m][test[m]] for m in labels}
    metrics = evaluate_direction(v["a"], y["a"], v["b"], y["b"])
    return Stage2End(norms, metrics["map"], metrics["chance"])
