"""Two programs side by side: each in a process of its own, one turn after the other, results compared before times.

A side is a function "module:function" that returns `Side(result, step)`. Its process reads commands, one a line.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..files import whole_file
from ..packages import installed
from ..streams import run_module


class ResultsDiffer(ValueError):
    """Two sides did not compute the same."""


LONG = 1.0  # seconds of a turn in which a cold memory no longer counts
FEWEST, ENOUGH = 3, 60.0  # turns of each side at least; seconds of all after which no more are taken

_OURS = None  # the key of our side among the others'
SideTarget = tuple[str, Mapping]  # a side's "module:function" and its settings


class Side(NamedTuple):
    """What a process runs: named arrays that both sides must agree on, and what is timed, a turn at a time."""

    result: Mapping[str, np.ndarray]
    turn: Callable[[], object]
    steps: float = 1  # of a turn: many where one is short, a part of one where it is long


class Case(NamedTuple):
    """What is to be timed: our side, and those of one peer by what tells them apart; none is allowed."""

    name: str
    ours: SideTarget
    peer: str | None = None  # the package that `others` import
    others: Mapping[str, SideTarget] = {}
    tolerance: float = 1e-3
    operations: float | None = None  # additions and multiplications of the products in one of our steps


class Entry(NamedTuple):
    """One line of `cmir-ref bench`: medians of interleaved turns. None where there is no peer or nothing was timed."""

    name: str
    ours_ms: float | None = None
    other: str | None = None
    other_ms: float | None = None
    ratio: float | None = None
    peak_mb: float | None = None  # MiB of resident memory; on a GPU, of the memory that a side reserves there
    other_peak_mb: float | None = None
    error: float | None = None  # where results are compared and not timed: the worst relative difference
    same: bool | None = None  # whether that is within its bound
    note: str = ""
    peak_share: float | None = None  # of the arithmetic peak, what the products of our step come to


class Process:
    """A side in its own process; `ask` sends a command and returns the answer."""

    def __init__(self, target: str, settings: Mapping):
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", __name__, target, json.dumps(dict(settings))]
        pipe = subprocess.PIPE
        env = {**os.environ, "PYTHONPATH": path}  # a session of its own: Ctrl-C is answered by this process alone
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env, start_new_session=True)

    def ask(self, command: str):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args[3]} ended with status {self.process.wait()}")
        answer = json.loads(answer)
        if isinstance(answer, dict):
            raise InputError(answer["error"])
        return answer


@contextlib.contextmanager
def run_side(target: str, settings: Mapping) -> Iterator[Process]:
    """The process of a side, which is ended with the body."""
    side = Process(target, settings)
    try:
        yield side
    except BaseException:
        side.process.kill()  # in the middle of a turn
        raise
    finally:
        with contextlib.suppress(BrokenPipeError):
            side.process.stdin.close()
        side.process.wait()


def interleave(case: Case, *, repeats: int = 7, on_turn: Callable[[], object] = lambda: None) -> Entry:
    """Ours against the fastest of the others; raises `ResultsDiffer`.

    Results are equal where max|a − b| ≤ tolerance · max|b| for each array (of a tiny one: a thousandth of the largest).
    `on_turn` follows each of the count_turns(case, repeats); after ENOUGH seconds only FEWEST of the repeats are taken.
    """
    with contextlib.ExitStack() as stack:
        sides = {key: stack.enter_context(run_side(*side)) for key, side in {_OURS: case.ours, **case.others}.items()}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for i, side in enumerate(sides.values()):
            side.ask(f"save {folder / f'{i}.npz'}")
        with np.load(folder / "0.npz") as mine:
            for i, other in enumerate(case.others, start=1):
                with np.load(folder / f"{i}.npz") as theirs:
                    require_equal(mine, theirs, f"{case.name}: ours and {case.peer} {other}".strip(), case.tolerance)
        times, start = {key: [] for key in sides}, time.perf_counter()
        for i in range(repeats + 1):
            enough = i > min(FEWEST, repeats) and time.perf_counter() - start > ENOUGH
            for key, side in sides.items():
                if not enough:
                    times[key].append(side.ask("turn"))
                on_turn()
        ms = {key: median(values[1:]) for key, values in times.items()}  # the first is to warm up
        best = min(case.others, key=ms.get, default=None)
        peaks = {key: sides[key].ask("peak") for key in (_OURS, best)}
    if best is None:
        return Entry(case.name, ms[_OURS], peak_mb=peaks[_OURS])
    other = f"{case.peer} {version_of(case.peer)} {best}".strip()
    return Entry(case.name, ms[_OURS], other, ms[best], ms[_OURS] / ms[best], peaks[_OURS], peaks[best])


def count_turns(case: Case, repeats: int) -> int:
    """How many turns `interleave` takes at most."""
    return (1 + len(case.others)) * (repeats + 1)


def version_of(package: str) -> str:
    """The version of a package by the name that it is imported by."""
    return installed(metadata.packages_distributions().get(package, [package])[0])


def require_equal(ours: Mapping, theirs: Mapping, what: str, tolerance: float) -> None:
    """Raises `ResultsDiffer` where one of the `relative_differences` of two sides' results is above `tolerance`."""
    if set(ours) != set(theirs):
        raise ResultsDiffer(f"{what} give different results: {sorted(set(ours) ^ set(theirs))}")
    for key, error in relative_differences(ours, theirs).items():
        if not error <= tolerance:
            raise ResultsDiffer(f"{what} differ in {key} by {error:.1e} of its largest value")


def relative_differences(ours: Mapping, theirs: Mapping) -> dict[str, float]:
    """max|a − b| / max|b| of each array; some are zero but for rounding: at least a thousandth of the largest."""
    largest = {key: np.abs(theirs[key]).max(initial=0) for key in theirs}
    floor = 1e-3 * max(largest.values())
    return {key: float(np.abs(ours[key] - theirs[key]).max(initial=0) / max(largest[key], floor)) for key in theirs}


def peak_mb() -> float:
    """This process's peak of resident memory in MiB. Linux' ru_maxrss would begin with that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def seconds_of(turn: Callable[[], object]) -> float:
    """How long one turn takes."""
    start = time.perf_counter()
    turn()
    return time.perf_counter() - start


def serve(target: str, settings: str) -> None:
    """The loop of a side's process: `target` is "module:function", `settings` its arguments as JSON.

    Raises `InputError` for words that name no such thing.
    """
    module, _, function = target.partition(":")
    try:
        make, arguments = getattr(importlib.import_module(module), function), dict(json.loads(settings))
    except (AttributeError, ValueError, TypeError, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError) and not module.startswith(f"{error.name}"):
            raise  # of a package that the side itself needs
        raise InputError(f"{target} {settings}: expected a module:function and JSON of its arguments") from None
    side = make(**arguments)
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        answer = None
        if command == "save":
            try:
                with whole_file(path) as file:
                    np.savez(file, **side.result)
            except InputError as error:
                answer = {"error": str(error)}
        elif command == "turn":
            seconds = seconds_of(side.turn)
            if seconds < LONG:  # the first after another process' turn found its memory cold, on either side
                seconds = seconds_of(side.turn)
            answer = 1e3 * seconds / side.steps
        else:
            answer = peak_mb()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    run_module("python -m cmir_ref.bench.peers TARGET SETTINGS", serve)
