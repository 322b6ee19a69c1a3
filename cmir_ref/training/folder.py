"""The run folder of a training in progress: what each epoch leaves on disk, and how to go on from it.

config.toml           all settings, with the versions that ran
metrics.jsonl         one line an epoch, written before the checkpoint and cut to it on resuming
checkpoint.safetensors  finished stages, what was fitted to data, and the whole state of the current stage
"""

import hashlib
import json
import platform
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .. import params as storage
from ..backend import to_device
from ..config import SharedSettings, first_difference, load_run_settings, settings_of, to_toml
from ..errors import InputError
from ..files import append_line, cannot_be_written, check_file, remove_leftovers, write_whole
from ..locks import LOCK, locked
from ..packages import installed
from ..params import Params, below
from ..progress import tell
from .loop import Epoch, State, by_name, new_state, train_epochs

BEGAN_WITH = (  # what is said where a run's digests, one after another, are not those of today
    "other samples, labels or another split; resume with the data of the run",
    "other pixels or numbers under the same names; resume with the data of the run",
    "other weights of the run that start_from names; start anew",
)


def runs_inside(path: Path) -> str:
    """What is said besides of a folder that is no run but holds some, as --seeds makes it."""
    inside = next(iter(sorted(path.glob("*/config.toml"))), None)
    return "" if inside is None else f" ({inside.parent.name} in it is one; runs of several seeds go on with --seeds)"


class Folder:
    """The files of a run in the making, from which other processes are kept out until the end of its context.

    Without a path everything stays in memory.
    """

    def __init__(self, path: Path | None, config: SharedSettings, data: str = ""):
        self.path, self.config, self.data = path, config, data
        self.tensors: dict[str, np.ndarray] = {}  # what finished stages leave: best parameters, buffers, normalisers
        self.current: tuple[str, State] | None = None
        self.history: list[dict[str, Any]] = []
        self.seconds, self.started = 0.0, time.perf_counter()  # of training, over all sittings, up to the last save
        self._lock, self._held = ExitStack(), False

    @classmethod
    def open(cls, out: str | Path | None, config: SharedSettings, resume: bool, data: str = "") -> "Folder":
        """A new folder, or the one to go on with; `data` is the fingerprint of ids, labels, split and samples.

        Raises `InputError` where there is none to go on with, or one of other settings or data, and where another
        process works in it.
        """
        if out is None:
            if resume:
                raise InputError("nothing to resume: name the run folder with --out")
            return cls(None, config)
        path = Path(out)
        if resume:
            return cls._reopen(path, config, data)
        if path.exists():
            raise InputError(f"{path}: exists already; give another --out, or --resume to go on with it")
        return cls(path, config, data)

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_) -> None:
        """Lets other processes write into the folder."""
        self._lock.close()

    def create(self) -> None:
        """Makes the folder, if it is not there: only once the data have proved readable."""
        if self.path is None:
            return
        if not self._held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise cannot_be_written(self.path, error, "; give another --out") from error
            self._hold()
            if (self.path / "config.toml").exists():
                raise InputError(f"{self.path}: another process has just begun a run there; give another --out")
        if not (self.path / "config.toml").exists():
            self._write_settings()

    def _write_settings(self) -> None:
        settings = _versions() + to_toml(self.config)
        write_whole(self.path / "config.toml", settings.encode("utf-8", "surrogateescape"))  # names as they are

    def renew_settings(self) -> None:
        """Writes the settings of a run that goes on anew where what they name lies elsewhere today, and with today's
        versions where nothing is trained yet."""
        if self.path is None or not (self.path / "config.toml").exists():
            return
        begun = (self.path / "checkpoint.safetensors").exists()
        if not begun or load_run_settings(self.path / "config.toml") != self.config:
            self._write_settings()

    def _hold(self) -> None:
        self._lock.enter_context(locked(self.path))
        self._held = True

    @classmethod
    def _reopen(cls, path: Path, config: SharedSettings, data: str) -> "Folder":
        if not path.is_dir():
            what = "not a run folder, but a file" if path.exists() else "no such run folder"
            raise InputError(f"{path}: {what}: nothing to resume; leave out --resume to begin")
        folder = cls(path, config, data)
        folder._hold()
        try:
            folder._read()
        except BaseException:
            folder.__exit__()
            raise
        return folder

    def _read(self) -> None:
        """Takes over what the run in the folder has come to, and removes what it left half-written."""
        path = self.path
        remove_leftovers(path)
        if not any(file.name != LOCK for file in path.iterdir()):
            return  # killed before the settings were written
        if not (path / "config.toml").is_file():
            raise InputError(
                f"{path}: not a run folder, it has no config.toml: nothing to resume; leave out --resume to begin"
                f"{runs_inside(path)}"
            )
        if differs := first_difference(self.config, load_run_settings(path / "config.toml")):
            raise InputError(
                f"{path}/config.toml: {differs} differs from the settings given; resume with the settings of the run"
            )
        if not (path / "checkpoint.safetensors").exists():  # killed before the first epoch ended
            if len(read_history(path)) > 1:
                missing = "missing, though more than one epoch was trained"
                raise InputError(f"{path}/checkpoint.safetensors: {missing}; put it back, or give another --out")
            write_whole(path / "metrics.jsonl", "")
            return  # samples have no digests yet: those of today count
        tensors, metadata = read_checkpoint(path)
        if "settings" in metadata:  # earlier versions did not write them there
            trained_with = settings_of(json.loads(metadata["settings"]), f"{path}/checkpoint.safetensors")
            if differs := first_difference(self.config, trained_with):
                raise InputError(
                    f"{path}/checkpoint.safetensors: began with another {differs} than config.toml has; put back the "
                    "file of this run"
                )
        began, now = metadata["data"].split("-"), self.data.split("-")
        if began != now[: len(began)]:  # earlier versions wrote fewer digests
            other = next(w for w, then, today in zip(BEGAN_WITH, began, [*now, ""], strict=False) if then != today)
            raise InputError(f"{path}/checkpoint.safetensors: began with {other}")
        self.seconds = float(metadata["seconds"])
        self.tensors = {k: v for k, v in tensors.items() if not k.startswith("current/")}
        if metadata["stage"]:
            self.current = metadata["stage"], _unpack(below("current", tensors, "/"), json.loads(metadata["state"]))
        self.history = history_of(path, metadata)[: int(metadata["lines"])]
        if len(self.history) < int(metadata["lines"]):
            lost = int(metadata["lines"]) - len(self.history)
            tell(f"warning: {path}/metrics.jsonl: {lost} epochs of this run are lost; its curves do without them")
        write_whole(path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self.history))

    def has_begun(self, stage: str) -> bool:
        """Whether `stage` is done, or has an epoch behind it: then what was fitted for it is here."""
        return f"{stage}/done" in self.tensors or (self.current is not None and self.current[0] == stage)

    def fit(self, task, init, xp, watch) -> tuple[dict, dict]:
        """Trains `task`, or goes on with it, or skips it where it is done: (params, buffers) of its best epoch."""
        self.create()
        if f"{task.name}/done" not in self.tensors:
            if self.current is None or self.current[0] != task.name:
                self.current = task.name, new_state(*init())
            state = State(*(_moved(field, xp) for field in self.current[1]))
            on_step = watch.on_step(task.name, task.schedule.epochs, state.epoch) if watch else None

            def on_epoch(state: State, epoch: Epoch) -> None:
                self.current = task.name, state
                self._log(epoch)
                self._save()
                if watch:
                    watch.on_epoch(epoch)

            state = train_epochs(task, state, on_step=on_step, on_epoch=on_epoch)
            best = State(*(_moved(field, np) for field in state))
            self.tensors |= {f"{task.name}/params/{k}": v for k, v in best.best_params.items()}
            self.tensors |= {f"{task.name}/buffers/{k}": v for k, v in best.best_buffers.items()}
            self.tensors[f"{task.name}/done"] = np.array([best.best_epoch])
            self.current = None
            self._save()
        best = below(task.name, self.tensors, "/")
        return tuple({k: to_device(v, xp) for k, v in below(kind, best, "/").items()} for kind in ("params", "buffers"))

    def _log(self, epoch: Epoch) -> None:
        self.history.append(epoch._asdict())
        if self.path is not None:
            append_line(self.path / "metrics.jsonl", json.dumps(self.history[-1]))

    def _save(self) -> None:
        now = time.perf_counter()
        self.seconds, self.started = self.seconds + now - self.started, now
        if self.path is None:
            return
        stage, tensors, state = "", dict(self.tensors), {}
        if self.current is not None:
            stage = self.current[0]
            packed, state = _pack(State(*(_moved(field, np) for field in self.current[1])))
            tensors |= {f"current/{k}": v for k, v in packed.items()}
        metadata = {
            "stage": stage,
            "state": json.dumps(state),
            "lines": str(len(self.history)),
            "history": history_digest(self.history),
            "data": self.data,
            "seconds": repr(self.seconds),
            "settings": json.dumps(to_toml(self.config)),  # names that are no UTF-8 are escaped
        }
        storage.save_tensors(self.path / "checkpoint.safetensors", tensors, metadata)


def _moved(field: Any, xp) -> Any:
    """A field of a `State` with its arrays on the device of `xp`."""
    if isinstance(field, Params):
        return Params({k: to_device(v, xp) for k, v in field.items()})
    return to_device(field, xp) if hasattr(field, "shape") else field


def _pack(state: State) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    tensors, scalars = {}, {}
    for name, field in state._asdict().items():
        if isinstance(field, Params):
            tensors |= {f"{name}/{k}": v for k, v in field.items()}
        elif hasattr(field, "shape"):
            tensors[name] = field
        else:
            scalars[name] = field
    return tensors, scalars


def _unpack(tensors: Mapping[str, np.ndarray], scalars: Mapping[str, float]) -> State:
    names = ("params", "buffers", "best_params", "best_buffers", "mean_params", "mean_buffers")
    fields = {name: by_name(below(name, tensors, "/")) for name in names}
    for mean, now in (("mean_params", "params"), ("mean_buffers", "buffers")):  # earlier versions knew no mean
        fields[mean] = fields[mean] or by_name(fields[now])
    return State(**fields, m=tensors["m"], v=tensors["v"], **scalars)


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(tensors, metadata) of a run's checkpoint; raises `InputError` where it is missing, damaged or something else."""
    tensors, metadata = storage.load_tensors(path / "checkpoint.safetensors")
    if not {"stage", "state", "lines", "data", "seconds"} <= metadata.keys():
        raise InputError(f"{path}/checkpoint.safetensors: not a checkpoint that `cmir-ref train` wrote")
    try:
        float(metadata["seconds"]), int(metadata["lines"]), json.loads(metadata["state"])
        json.loads(metadata.get("settings", '""'))
    except ValueError as error:
        raise InputError(f"{path}/checkpoint.safetensors: not a checkpoint that `cmir-ref train` wrote") from error
    if not any("/front_" in name for name in tensors):  # earlier versions wrote "latent." without any pretrainer beside
        tensors = {name.replace("/latent.", "/"): array for name, array in tensors.items()}
    return tensors, metadata


def _versions() -> str:
    packages = "".join(f"# {name} {installed(name)}\n" for name in ("cmir-ref", "numpy", "scipy", "pillow"))
    return packages + f"# Python {platform.python_version()} on {platform.system()} {platform.machine()}\n"


def read_history(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics.jsonl; a last line cut off by a kill is left out.

    Raises `InputError` where it is there and cannot be read.
    """
    path, lines = path / "metrics.jsonl", []
    if not path.exists():
        return lines
    check_file(path)
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        with suppress(json.JSONDecodeError):
            found = json.loads(line)
            if isinstance(found, dict) and found.keys() >= {"stage", "epoch"}:
                lines.append(found)
    return lines


def history_of(path: Path, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `read_history` gives of the run whose checkpoint has these metadata; raises `InputError` where it is of
    another run. Lines may be lost."""
    lines, count = read_history(path), int(metadata["lines"])
    known = metadata.get("history")  # earlier versions did not write it
    if known and len(lines) >= count and history_digest(lines[:count]) != known:
        raise InputError(f"{path}/metrics.jsonl: not the epochs of this run; put back its own file, or remove this one")
    return lines


def history_digest(lines: list[dict[str, Any]]) -> str:
    """A digest of lines of metrics.jsonl."""
    return hashlib.sha256("\n".join(map(json.dumps, lines)).encode()).hexdigest()
