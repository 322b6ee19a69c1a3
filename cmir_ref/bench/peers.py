"""Two programs side by side: each in a process of its own, one step in turn, results compared before times.

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
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np


class Side(NamedTuple):
    """What a process runs: named arrays that both sides must agree on, and one step to be timed."""

    result: Mapping[str, np.ndarray]
    step: Callable[[], object]


class Entry(NamedTuple):
    """One line of `cmir-ref bench`: medians of interleaved steps, peaks of resident memory."""

    name: str
    ours_ms: float
    other: str
    other_ms: float
    ratio: float
    peak_mb: float
    other_peak_mb: float


class Process:
    """A side in its own process; `ask` sends a command and returns the answer."""

    def __init__(self, target: str, settings: Mapping):
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", __name__, target, json.dumps(dict(settings))]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": path}
        )

    def ask(self, command: str):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args[3]} ended with status {self.process.wait()}")
        return json.loads(answer)


@contextlib.contextmanager
def started(target: str, settings: Mapping) -> Iterator[Process]:
    """A side that is ended on the way out."""
    side = Process(target, settings)
    try:
        yield side
    finally:
        side.process.stdin.close()
        side.process.wait()


def interleaved(
    name: str, ours: tuple[str, Mapping], others: Mapping[str, tuple[str, Mapping]], *, repeats: int = 7, tolerance=1e-3
) -> Entry:
    """Ours against the fastest of `others`, each (target, settings); raises `ValueError` where results differ.

    Results are equal where max|a − b| ≤ tolerance · max|b| for each array (of a tiny one: a thousandth of the largest).
    """
    with contextlib.ExitStack() as stack:
        sides = {key: stack.enter_context(started(*side)) for key, side in {"": ours, **others}.items()}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for i, side in enumerate(sides.values()):
            side.ask(f"save {folder / f'{i}.npz'}")
        with np.load(folder / "0.npz") as mine:
            for i, other in enumerate(others, start=1):
                with np.load(folder / f"{i}.npz") as theirs:
                    compare(mine, theirs, f"{name}: ours and {other}", tolerance)
        for side in sides.values():
            side.ask("step")  # to warm up
        times = {key: [] for key in sides}
        for _ in range(repeats):
            for key, side in sides.items():
                times[key].append(side.ask("step"))
        ms = {key: median(values) for key, values in times.items()}
        best = min(others, key=ms.get)
        peaks = {key: sides[key].ask("peak") for key in ("", best)}
    return Entry(name, ms[""], best, ms[best], ms[""] / ms[best], peaks[""], peaks[best])


def compare(ours: Mapping, theirs: Mapping, what: str, tolerance: float) -> None:
    """Raises `ValueError` where two sides' results differ."""
    if set(ours) != set(theirs):
        raise ValueError(f"{what} give different results: {sorted(set(ours) ^ set(theirs))}")
    largest = {key: np.abs(theirs[key]).max(initial=0) for key in theirs}
    floor = 1e-3 * max(largest.values())  # some gradients are zero but for rounding
    for key in ours:
        error = np.abs(ours[key] - theirs[key]).max(initial=0) / max(largest[key], floor)
        if not error <= tolerance:
            raise ValueError(f"{what} differ in {key} by {error:.1e} of its largest value")


def peak_mb() -> float:
    """This process's peak of resident memory in MiB. Linux' ru_maxrss would begin with that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def serve(target: str, settings: str) -> None:
    """The loop of a side's process."""
    module, _, function = target.partition(":")
    side = getattr(importlib.import_module(module), function)(**json.loads(settings))
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        answer = None
        if command == "save":
            np.savez(path, **side.result)
        elif command == "step":
            start = time.perf_counter()
            side.step()
            answer = 1e3 * (time.perf_counter() - start)
        else:
            answer = peak_mb()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
