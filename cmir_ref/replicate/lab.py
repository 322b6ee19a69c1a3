"""Cells: single computations of a replication, kept on disk, several at a time.

A cell is a function of this package, settings and options; its result is JSON under a digest of the three. What is
there is not computed again, so an interrupted replication goes on where it was. Stage 1, by far the longest part, is
kept by itself and shared by all cells whose settings differ in stage 2 alone.
"""

import hashlib
import json
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from .. import runs, two_stages
from ..backend import library
from ..config import Config, load_config, to_toml
from ..data import Dataset, Splits
from ..data.locate import data_folder
from ..errors import InputError
from ..nets.head import PretrainerOutput
from ..packages import installed
from ..parallel import begin_worker, cores
from ..training.folder import Folder, write_text
from .worlds import REAL, Scale

VERSION = 1  # raise it whenever a cell would come out differently (by more than the order of a sum)
STAGE2_ONLY = (
    *("d_v", "distance", "gallery", "normalise_features", "stage2"),
    *("encoder_depth", "decoder_depth", "encoder_activation", "decoder_activation", "latent_dropout"),
    *("classifier", "label_loss", "head_decay", "weights", "reduction", "decoder_target", "target_gradient"),
    *("frobenius", "alpha", "alpha_reading", "regularized_layers", "update"),
)  # settings that a pretrainer does not see
SPEECH_ONLY = ("speech", "speech_voice", "protocol")  # … and these not that of images


class Work(NamedTuple):
    """What the function of a cell is given, besides its options."""

    config: Config
    data: Dataset
    parts: Splits
    outputs: tuple[PretrainerOutput | None, PretrainerOutput | None]  # of stage 1, for all samples
    device: str = "cpu"

    @property
    def z(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Stage 1's features (N, d_z) of both modalities; None where the settings train no stage 1."""
        return tuple(o and o.z for o in self.outputs)


class Cell(NamedTuple):
    """`function(work, **options)`, to be computed under `config`: its result is a dict that JSON can hold."""

    function: Callable[..., dict]
    config: Config
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def space(work: Work) -> dict:
    """Stage 2 on the features of stage 1: what `cmir-ref train` reports, and the same of the validation part.

    Where loss or embeddings are no longer finite, {"failed": why}.
    """
    try:
        run = shared_space(work)
    except FloatingPointError as error:
        return {"failed": str(error)}
    found = runs.evaluate(run, device=work.device)
    validation = runs.evaluate(run, "validation", queries="validation", device=work.device)["directions"]
    return found | {"validation": {d: m["map"] for d, m in validation.items()}, "epochs": kept_epochs(run)}


def shared_space(work: Work) -> runs.Run:
    """The trained space, on no disk."""
    folder = Folder.open(None, work.config, False)
    return two_stages.stage2(work.config, work.data, work.parts, work.z, folder, library(work.device))


def kept_epochs(run: runs.Run) -> dict[str, int]:
    """The epoch of each stage that validated best."""
    return {line["stage"]: line["epoch"] for line in run.history if line["best"]}


class Missing(InputError):
    """What was to be shown has not been computed yet."""


class Lab:
    """Where cells are computed: a folder, a scale, seeds, `root` with the real data if there are any, processes.

    `watch` wraps each group of jobs, (jobs, how many, name), to show its progress. Raises `InputError` for a `root`
    that is not there and an `out` that cannot be written.

    With `compute` off it gives what is there, and raises `Missing` where a cell is not. `asked` and `seconds` say which
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
        watch: Callable[[Iterable, int, str], Iterable] | None = None,
    ):
        self.out, self.scale, self.seeds, self.device = Path(out), scale, range(seeds), device
        self.root, self._said = str(data_folder(root).resolve()) if root else None, root
        self.jobs = jobs or (cores() if device == "cpu" else 1)
        self.watch, self._pool = watch or (lambda items, total, name: items), None
        self.compute = True
        self.asked: dict[str, list[Config]] = {}
        self.seconds: dict[Path, float] = {}  # of one core, without stage 1
        try:
            for folder in ("cells", "features"):
                (self.out / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.out}: cannot be written ({error.strerror}); give another --out") from error

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def config(self, world: str, seed: int, reading: str = "", **settings: Any) -> Config:
        """The settings of a run in a world of this scale: "" is the default reading, or "paper" or "released"."""
        preset, overrides = self.scale.preset(world, reading)
        config = load_config(preset, overrides, seed=seed, **settings)
        self.asked.setdefault(world, []).append(config)
        return config

    def command(self, experiment: str) -> str:
        """What computes an experiment as it is computed here."""
        data = f" --data {shlex.quote(str(self._said))}" if self._said else ""
        given = f"--scale {self.scale.name} --seeds {len(self.seeds)}{data}"
        return f"cmir-ref replicate {experiment} {given}"

    @property
    def few(self) -> range:
        """The first two seeds: for experiments that train many networks, or train from the pixels on."""
        return self.seeds[:2]

    @property
    def worlds(self) -> list[str]:
        """The worlds whose data are here: the real ones need a folder with UC Merced at the small scale."""
        return [w for w in self.scale.worlds if w not in REAL or self.root]

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
        missing = list({self._path(cell): cell for cell in cells if not self._path(cell).exists()}.values())
        if missing and not self.compute:
            raise Missing(f"{name}: {len(missing)} of its {len(cells)} results are not there yet")
        places = {self._features(c, p): (c, p) for c in missing for p in (0, 1) if trains(c.config)}
        stage1 = {path: job for path, job in places.items() if not path.exists()}
        longest_first = sorted(stage1.items(), key=lambda job: job[1][1])  # a, PAN or images, before b
        self._all(learn, [(c.config, p, path, self.root, self.device) for path, (c, p) in longest_first], "stage 1")
        paths = [(self._features(c, 0), self._features(c, 1)) if trains(c.config) else (None, None) for c in missing]
        jobs = [(c, f, self._path(c), self.root, self.device) for c, f in zip(missing, paths, strict=True)]
        self._all(compute, jobs, name)
        return [self._result(self._path(cell)) for cell in cells]

    def _result(self, path: Path) -> dict:
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            self.seconds[path] = said.get("seconds", 0.0)
            return said["result"]
        except (OSError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"{path}: not a readable result; remove it, then it is computed again") from error

    def spaces(self, configs: Sequence[Config], name: str = "cells") -> list[dict]:
        """`space` of each configuration."""
        return self.run([Cell(space, config) for config in configs], name)

    def _all(self, function: Callable, jobs: list[tuple], name: str) -> None:
        """`function(*job)` for every job, in worker processes, the first to be done first."""
        if not jobs:
            return
        if self.jobs == 1:
            for job in self.watch(jobs, len(jobs), name):
                function(*job)
            return
        if self._pool is None:
            context = get_context("spawn")
            self._pool = ProcessPoolExecutor(self.jobs, context, _begin, (context.Value("i", 0), self.jobs))
        waiting = [self._pool.submit(function, *job) for job in jobs]
        try:
            for done in self.watch(as_completed(waiting), len(jobs), name):
                done.result()
        finally:
            for future in waiting:
                future.cancel()

    def _path(self, cell: Cell) -> Path:
        name = f"{cell.function.__module__.rpartition('.')[2]}.{cell.function.__name__}"
        said = [name, to_toml(cell.config), cell.options, self._where(cell.config)]
        return self.out / "cells" / f"{name}-{digest(said)}.json"

    def _features(self, cell: Cell, place: int) -> Path:
        said = [seen_by_stage1(cell.config, place), self._where(cell.config)]
        return self.out / "features" / f"{'ab'[place]}-{digest(said)}.npz"

    def _where(self, config: Config) -> str | None:
        """The folder with the data, for what is not simulated."""
        simulated = config.dataset == "scenes" and (config.scenario == "pan-mul" or config.speech == "bundled")
        return None if simulated else self.root


def digest(said: Any) -> str:
    """A name for what was said, the same in every process."""
    return hashlib.sha256(json.dumps([VERSION, said], sort_keys=True).encode()).hexdigest()[:16]


def trains(config: Config) -> bool:
    """Whether stage 1 is a stage of its own, at least for one modality."""
    return config.stages != "end-to-end"


def seen_by_stage1(config: Config, place: int) -> dict[str, Any]:
    """The settings that the pretrainer of modality `place` depends on."""
    unseen = {*STAGE2_ONLY, *(SPEECH_ONLY if config.scenario == "image-speech" and place == 0 else ())}
    return {name: value for name, value in config.model_dump().items() if name not in unseen}


def stage1_config(config: Config, place: int) -> Config:
    """`config` with all else at its default."""
    return Config(**seen_by_stage1(config, place))


# ---- in the worker processes ----------------------------------------------------------------------------------------


def _begin(started: Any, jobs: int) -> None:
    """A worker keeps to its share of the cores: work on blocks of samples would else start a thread on each.

    What it had begun when it was interrupted is left to the next start.
    """
    begin_worker()
    if hasattr(os, "sched_setaffinity"):
        with started.get_lock():
            place, started.value = started.value, started.value + 1
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[place % len(allowed) :: jobs])


def learn(config: Config, place: int, path: Path, root: str | None, device: str) -> None:
    """Stage 1 of modality `place`: outputs for all samples in `path`; its checkpoint stands beside until then."""
    data = _data(_where_from(config), root)
    parts, folder = runs.parts_of(config, data), path.with_suffix("")
    about = two_stages.fingerprint(data, parts, (place,))
    own = Folder.open(folder, stage1_config(config, place), folder.exists(), about)
    out = two_stages.stage1(config, data, parts, place, own, library(device))
    arrays = {} if out is None else {"z": out.z, "logits": out.logits, "s": out.s}
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        np.savez(file, seconds=own.seconds, **arrays)
    os.replace(temporary, path)


def compute(cell: Cell, features: tuple[Path | None, Path | None], path: Path, root: str | None, device: str) -> None:
    """The result of a cell, in `path`."""
    data = _data(_where_from(cell.config), root)
    outputs = tuple(None if f is None else _outputs(f) for f in features)
    work = Work(cell.config, data, runs.parts_of(cell.config, data), outputs, device)
    started = time.process_time()
    result = cell.function(work, **cell.options)
    seconds = time.process_time() - started
    said = {"settings": to_toml(cell.config), "options": cell.options, "result": result, "seconds": seconds}
    write_text(path, json.dumps(said))


def _outputs(path: Path) -> PretrainerOutput | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return PretrainerOutput(file["logits"], file["z"], file["s"]) if "z" in file else None
    except (OSError, ValueError, LookupError, BadZipFile) as error:
        raise InputError(f"{path}: not readable features; remove it, then they are computed again") from error


def _where_from(config: Config) -> Config:
    """`config` with all that does not say which data are read at its default."""
    told = ("scenario", "dataset", "scenes", "scenes_seed", "speech", "speech_voice", "image_size")
    return Config(**{name: getattr(config, name) for name in (*told, "sample_axis", "band_axis")})


@lru_cache(maxsize=2)
def _data(config: Config, root: str | None) -> Dataset:
    return runs.load_data(config, root)
