"""Cells: single computations of a replication, kept on disk, several at a time.

A cell is a function of this package, settings and options; its result is JSON under a digest of the three. What is
there is not computed again, so an interrupted replication goes on where it was. Stage 1, by far the longest part, is
kept by itself and shared by all cells whose settings differ in stage 2 alone.

Workers compute and return; the lab alone writes into its folder. So a worker needs no disk in common with it: the
processes of this machine, or any other `concurrent.futures.Executor`.
"""

import hashlib
import io
import json
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import ExitStack
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from threadpoolctl import threadpool_limits

from .. import run_files, runs
from ..backend import library
from ..config import SharedSettings, load_config, to_toml
from ..contract import Stage
from ..data import SCENARIOS, load_data, split_data
from ..data.locate import data_folder
from ..data.weights import weights_are_installed
from ..errors import InputError
from ..files import cannot_be_written, remove_leftovers, write_whole
from ..locks import LOCK, locked
from ..packages import installed, origin
from ..parallel import begin_worker, cores, worker_processes
from ..records import Dataset, Run, Splits
from ..systems import SYSTEMS
from ..training.folder import Folder
from .worlds import REAL, Scale

VERSION = 2  # raise it whenever a cell would come out differently (by more than the order of a sum)


class Work(NamedTuple):
    """What the function of a cell is given, besides its options."""

    config: SharedSettings
    data: Dataset
    parts: Splits
    made: dict[str, np.ndarray]  # of all samples, by every stage but the last: "z.a", "logits.a", …
    device: str = "cpu"

    @property
    def z(self) -> dict[str, np.ndarray]:
        """Stage 1's features (N, d_z) of the modalities that have a stage 1."""
        return {m: self.made[f"z.{m}"] for m in self.data.modalities if f"z.{m}" in self.made}


class Cell(NamedTuple):
    """`function(work, **options)`, to be computed under `config`: its result is a dict that JSON can hold.

    Where loss or embeddings are no longer finite the function raises `FloatingPointError`: the result is then
    {"failed": why}.
    """

    function: Callable[..., dict]
    config: SharedSettings
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def space(work: Work) -> dict:
    """Stage 2 on the features of stage 1: what `cmir-ref train` reports, and the same of the validation part."""
    run = shared_space(work)
    test = runs.evaluate(run, device=work.device)
    validation = runs.evaluate(run, "validation", queries="validation", device=work.device)["directions"]
    return test | {"validation": {d: m["map"] for d, m in validation.items()}, "epochs": kept_epochs(run)}


def shared_space(work: Work, config: SharedSettings | None = None, made: dict | None = None) -> Run:
    """The run of the last stage under the cell's settings, or others, on no disk."""
    config, made = config or work.config, work.made if made is None else made
    folder, stage = Folder.open(None, config, False), runs.stages_of(config, work.data)[-1]
    last = runs.train_stage(stage, config, work.data, work.parts, made, folder, library(work.device))
    return runs.finished_run(config, work.data, work.parts, last, folder)


def kept_epochs(run: Run) -> dict[str, int]:
    """The epoch of each stage that validated best."""
    return {line["stage"]: line["epoch"] for line in run.history if line["best"]}


class Missing(InputError):
    """What was to be shown has not been computed yet."""


class Lab:
    """Where cells are computed: a folder, a scale, seeds, `root` with the real data if there are any, workers.

    Workers are `jobs` processes of this machine, or those of `executor`, which get what they need with each job and may
    be on other machines (where real data are read, they lie below the same `root` there). `watch` wraps each group of
    jobs, (what is done, how many jobs, name), to show its progress. Raises `InputError` for a `root` that is not there
    and an `out` that cannot be written; as a context, also where another process works in `out`.

    With `compute` off it gives what is there, and raises `Missing` where a cell is not. `asked` and `read` say which
    settings of each world, and which cells, were asked for since they were last cleared.
    """

    def __init__(
        self,
        out: str | Path,
        scale: Scale,
        *,
        seeds: int = 1,
        root: str | Path | None = None,
        device: str = "cpu",
        jobs: int | None = None,
        executor: Executor | None = None,
        watch: Callable[[Iterable, int, str], Iterable] | None = None,
    ):
        self.root, self._data_option = str(data_folder(root).resolve()) if root else None, root
        self.out, self.scale, self.seeds = Path(out), scale.at(self.root), range(seeds)
        self.device, self.compute, self.jobs = device, True, jobs or (cores() if device == "cpu" else 1)
        self.watch = watch or (lambda items, total, name: items)
        self._executor, self._processes, self._open = executor, None, ExitStack()
        self.asked: dict[str, list[SharedSettings]] = {}
        self.read: dict[Path, dict] = {}  # {cell: its "seconds" of one core, without stage 1, and its "origin"}
        try:
            for folder in ("cells", "features"):
                (self.out / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_be_written(self.out, error, "; give another --out") from error

    def __enter__(self) -> "Lab":
        self._open.enter_context(locked(self.out))
        self._open.callback(lambda: [remove_leftovers(f, LOCK) for f in self.out.glob("features/*/")])  # of workers
        return self

    def __exit__(self, *error) -> None:
        self._open.__exit__(*error)

    def config(self, world: str, seed: int, reading: str = "", **settings: Any) -> SharedSettings:
        """The settings of a run in a world of this scale: "" is the default reading, or "paper" or "released"."""
        preset, overrides = self.scale.preset(world, reading)
        config = load_config(preset, overrides, seed=seed, **settings)
        self.asked.setdefault(world, []).append(config)
        return config

    def command(self, experiment: str) -> str:
        """What computes an experiment as it is computed here."""
        data = f" --data {shlex.quote(str(self._data_option))}" if self._data_option else ""
        return f"cmir-ref replicate {experiment} --scale {self.scale.name} --seeds {len(self.seeds)}{data}"

    @property
    def few(self) -> range:
        """The first two seeds: for experiments that train many networks, or train from the pixels on."""
        return self.seeds[:2]

    @property
    def worlds(self) -> list[str]:
        """The worlds whose data are here: the real ones need UC Merced, one also ImageNet's weights."""
        lacking = () if self.root and weights_are_installed() else ("imagenet",) if self.root else REAL
        return [w for w in self.scale.worlds if w not in lacking]

    def about(self) -> dict[str, str]:
        """What a page says about all its figures."""
        packages = ("cmir-ref", "numpy", "scipy", "librosa", "pillow")
        return {
            "scale": f"{self.scale.name}. {self.scale.words}",
            "seeds": f"{len(self.seeds)}: split, initial weights, order of samples, augmentation",
            "machine": f"{self.jobs} processes, device {self.device}; Python {platform.python_version()} on "
            f"{platform.system()} {platform.machine()}",
            "versions": ", ".join(f"{name} {installed(name)}" for name in packages),
        } | {f"world {name}": self.scale.worlds[name].words for name in self.worlds}

    def run(self, cells: Sequence[Cell], name: str = "cells") -> list[dict]:
        """The results of `cells`, in their order; what is missing is computed, stage 1 first."""
        missing = {path: cell for cell in cells if not (path := self._path(cell)).exists()}
        if missing and not self.compute:
            raise Missing(f"{name}: {len(missing)} of its {len(cells)} results are not there yet")
        kept = {
            self._made(cell.config, s): (s.name, cell) for cell in missing.values() for s in kept_stages(cell.config)
        }
        by_stage = sorted(kept.items(), key=lambda item: item[1][0])  # a's before b's: PAN and images take longest
        jobs = {path: partial(self._stage_job, path, *item) for path, item in by_stage if not path.exists()}
        self._compute(learn, jobs, "stage 1")
        self._compute(compute, {path: partial(self._cell_job, cell) for path, cell in missing.items()}, name)
        return [self._result(self._path(cell)) for cell in cells]

    def spaces(self, configs: Sequence[SharedSettings], name: str = "cells") -> list[dict]:
        """`space` of each configuration."""
        return self.run([Cell(space, config) for config in configs], name)

    def _result(self, path: Path) -> dict:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            self.read[path] = {name: kept[name] for name in ("seconds", "origin")}
            return kept["result"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path}: not a readable result; remove it, then it is computed again") from error

    def _stage_job(self, path: Path, stage: str, cell: Cell) -> tuple:
        """The arguments of `learn`; only a process of this machine keeps its checkpoint in the lab's folder."""
        return cell.config, stage, None if self._executor else path.with_suffix(""), self.root, self.device

    def _cell_job(self, cell: Cell) -> tuple:
        """The arguments of `compute`: with them goes what earlier stages made."""
        kept = {self._made(cell.config, s): s.name for s in kept_stages(cell.config)}
        made = {k: a for path in kept for k, a in _arrays(path).items() if k != "data"}
        began = {str(path): (name, _arrays(path).get("data")) for path, name in kept.items()}
        return cell, made, began, self.root, self.device

    def _compute(self, function: Callable, jobs: dict[Path, Callable[[], tuple]], name: str) -> None:
        """Writes `function(*job())` to the path of each of `jobs`, as they are done."""
        if jobs:
            for path, content in self.watch(self._done(function, jobs), len(jobs), name):
                write_whole(path, content)

    def _done(self, function: Callable, jobs: dict[Path, Callable[[], tuple]]) -> Iterator[tuple[Path, bytes]]:
        """(path, `function(*job())`) of each of `jobs` as it is done; the first are begun first.

        No more than two jobs a worker wait at a time: features are read when their turn is near.
        """
        if self.jobs == 1 and self._executor is None:
            return (yield from ((path, function(*job())) for path, job in jobs.items()))
        executor, still, running = self._workers(), iter(jobs.items()), {}
        try:
            while True:
                for path, job in islice(still, 2 * self.jobs - len(running)):
                    running[executor.submit(function, *job())] = path
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()

    def _workers(self) -> Executor:
        """The given executor, or processes of this machine, begun when they are first needed."""
        if self._executor is None and self._processes is None:
            begun = worker_processes(self.jobs, _begin, lambda context: (context.Value("i", 0), self.jobs))
            self._processes = self._open.enter_context(begun)
        return self._executor or self._processes

    def _path(self, cell: Cell) -> Path:
        name = f"{cell.function.__module__.rpartition('.')[2]}.{cell.function.__name__}"
        key = [name, to_toml(cell.config), cell.options, self._where(cell.config)]
        return self.out / "cells" / f"{name}-{digest(key)}.json"

    def _made(self, config: SharedSettings, stage: Stage) -> Path:
        """Where it is kept what a stage makes: under the settings that it sees."""
        key = [stage.name, settings_seen(config, stage).model_dump(), self._where(config)]
        return self.out / "features" / f"{stage.name}-{digest(key)}.npz"

    def _where(self, config: SharedSettings) -> str | None:
        """The folder with the data, for what is not simulated."""
        return None if SCENARIOS[config.scenario].made_here(config) else self.root


def run_groups(
    lab: Lab, function: Callable[..., dict], groups: Mapping[Any, Sequence[SharedSettings]], name: str, **options: Any
) -> dict[Any, list[dict]]:
    """{key: results of `function` for each of its settings}, all computed in one go."""
    results = iter(lab.run([Cell(function, c, options) for group in groups.values() for c in group], name))
    return {key: [next(results) for _ in group] for key, group in groups.items()}


def digest(key: Any) -> str:
    """A short name for `key`, the same in every process."""
    return hashlib.sha256(json.dumps([VERSION, key], sort_keys=True).encode()).hexdigest()[:16]


def kept_stages(config: SharedSettings) -> list[Stage]:
    """The stages whose work is kept for other cells: all but the last. None of them reads what another made."""
    return SYSTEMS[config.system].stages(config, SCENARIOS[config.scenario].kinds(config))[:-1]


def settings_seen(config: SharedSettings, stage: Stage) -> SharedSettings:
    """`config` with all that the stage does not depend on at its default."""
    return type(config)(**{name: value for name, value in config.model_dump().items() if name in stage.sees})


# ---- in the workers --------------------------------------------------------------------------------------------------


def _begin(started: Any, jobs: int) -> None:
    """A process of this machine keeps to its share of the cores: work on blocks of samples would else start a thread on
    each. What it had begun when it was interrupted is left to the next start.
    """
    begin_worker()
    if hasattr(os, "sched_setaffinity"):
        with started.get_lock():
            number, started.value = started.value, started.value + 1
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[number % len(allowed) :: jobs])


def learn(config: SharedSettings, name: str, checkpoint: Path | None, root: str | None, device: str) -> bytes:
    """What the stage `name` makes of all samples, and its seconds, as the content of an .npz file.

    It goes on from `checkpoint`, a folder, and leaves one there; without it an interrupted stage begins again.
    """
    data = _data(_where_from(config), root)
    parts, stage = split_data(config, data), next(s for s in runs.stages_of(config, data) if s.name == name)
    resume, letters = checkpoint is not None and checkpoint.exists(), name.partition(".")[2]  # none: all of them
    prints = run_files.fingerprint(data, parts, letters)
    with Folder.open(checkpoint, settings_seen(config, stage), resume, prints) as folder:
        made = runs.train_stage(stage, config, data, parts, {}, folder, library(device))
    file = io.BytesIO()
    np.savez(file, seconds=folder.seconds, data=prints, **made)
    return file.getvalue()


@threadpool_limits.wrap(limits=1, user_api="blas")  # a sum does not depend on where the cell is computed
def compute(cell: Cell, made: dict[str, np.ndarray], began: dict[str, tuple], root: str | None, device: str) -> bytes:
    """A cell's settings, options, result and seconds, as JSON.

    `began` is, by the file of what a stage made, its name and the fingerprint of the data that it began with. Raises
    `InputError` where those are not the data of today.
    """
    data = _data(_where_from(cell.config), root)
    parts = split_data(cell.config, data)
    for path, (name, prints) in began.items():
        if prints is not None and str(prints) != run_files.fingerprint(data, parts, name.partition(".")[2]):
            raise InputError(f"{path}: made of other samples than the data has today; name another --out")
    work = Work(cell.config, data, parts, made, device)
    started = time.process_time()
    try:
        result = cell.function(work, **cell.options)
    except FloatingPointError as error:
        result = {"failed": str(error)}
    seconds = time.process_time() - started
    about = {"settings": to_toml(cell.config), "options": cell.options, "seconds": seconds, "origin": origin()}
    return json.dumps(about | {"result": result}).encode()


@lru_cache(maxsize=4)  # cells that follow each other share them
def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name != "seconds"}
    except (OSError, ValueError, LookupError, BadZipFile) as error:
        raise InputError(f"{path}: not readable features; remove it, then they are computed again") from error


def _where_from(config: SharedSettings) -> SharedSettings:
    """`config` with all that does not say which data are read at its default."""
    names = ["scenario", "dataset", "scenes", "scenes_seed", "speech", "speech_voice"]
    names += ["image_size", "sample_axis", "band_axis", "sensors", "tile", "sketches", "classes", "split", "keywords"]
    return type(config)(**{name: getattr(config, name) for name in names})


@lru_cache(maxsize=2)
def _data(config: SharedSettings, root: str | None) -> Dataset:
    return load_data(config, root)
