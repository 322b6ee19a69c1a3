"""Which benchmarks there are, what they need, and how their entries are shown."""

import importlib
import importlib.util
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InputError
from ..packages import origin
from ..parallel import cores
from . import BENCH_KINDS, PEERS, TURNS
from .gpu import gpu_entries, gpu_machine
from .peers import Case, Entry, count_turns, interleave, seconds_of, version_of

GPU_KINDS_WITH_TORCH = ("conv", "latent")
BENCH_COLUMNS = ("", "ours (ms)", "other (ms)", "ratio", "peak (MiB)", "other's", "other", "of peak", "note")
LARGE = 2048  # rows and columns of the product that shows the arithmetic peak
ALWAYS = Entry._fields[:7]  # the keys that the JSON of every entry has


def run_bench(
    kinds: Sequence[str] = (),
    *,
    device: str = "cpu",
    against: str | None = None,
    repeats: int = TURNS,
    show: bool = False,
) -> Iterator[Entry]:
    """The entries of `kinds` (all of the device by default), or of those that are measured `against` one peer.

    Each is the median of `repeats` turns; of some the share of the `arithmetic_peak` is known. With `show`, a bar on
    standard error tells how many turns are done. Raises `InputError` for names that the device does not have and for a
    peer that is not installed, `GPUUnavailable` for "cuda" where there is no GPU, and `ResultsDiffer`.
    """
    kinds = select_kinds(kinds, device, against)
    if device == "cuda":
        from .gpu import FULL_SIZE

        yield from gpu_entries(kinds, FULL_SIZE._replace(turns=repeats))
        return
    cases = select_cases(kinds, against)
    peak = arithmetic_peak() if any(case.operations for case in cases) else 1.0
    with progress_bar(cases, repeats, show) as tick:
        for case in cases:
            entry = interleave(case, repeats=repeats, on_turn=tick)
            share = case.operations and 1e3 * case.operations / entry.ours_ms / peak
            yield entry._replace(peak_share=share)


def arithmetic_peak() -> float:
    """Additions and multiplications a second of a large float32 product on all cores: the best of five."""
    a = np.ones((LARGE, LARGE), np.float32)
    return 2 * LARGE**3 / min(seconds_of(lambda: a @ a) for _ in range(5))


def select_kinds(kinds: Sequence[str], device: str, against: str | None) -> Sequence[str]:
    """`kinds`, or all of the device; raises `InputError` for one, or for a peer, that the device does not have."""
    for kind in kinds:
        if kind not in BENCH_KINDS[device]:
            raise InputError(f"bench {kind}: not on {device}; there it is one of {', '.join(BENCH_KINDS[device])}")
    if against is not None and against not in PEERS[device]:
        raise InputError(f"--against {against}: not on {device}; there it is one of {', '.join(PEERS[device])}")
    if device == "cuda" and against is not None:
        kinds = [kind for kind in kinds or BENCH_KINDS[device] if kind in GPU_KINDS_WITH_TORCH]
        if not kinds:
            raise InputError(f"bench: nothing in it is measured against {against}")
    return kinds or BENCH_KINDS[device]


def select_cases(kinds: Sequence[str], against: str | None = None) -> list[Case]:
    """The cases of `kinds` on the CPU, or those of them `against` one peer.

    Raises `InputError` where nothing is left, and for a peer that is not installed.
    """
    cases = [case for kind in kinds for case in importlib.import_module(f".{kind}", __package__).cases()]
    if against is not None:
        cases = [case for case in cases if case.peer == against]
    if not cases:
        raise InputError(f"bench {' '.join(kinds)}: nothing in it is measured against {against}")
    peers = {case.peer for case in cases} & set(PEERS["cpu"])
    missing = sorted(peer for peer in peers if not importlib.util.find_spec(peer))
    if missing:
        raise InputError(f"bench: {', '.join(missing)} not installed; pip install 'cmir-ref[bench]'")
    return cases


@contextmanager
def progress_bar(cases: Sequence[Case], repeats: int, show: bool) -> Iterator[Callable[[], object]]:
    """A bar on standard error; what it gives is to be called after each turn."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not show) as bar:
        task = bar.add_task("turns", total=sum(count_turns(case, repeats) for case in cases))
        yield lambda: bar.advance(task)


# ---- how entries are shown ------------------------------------------------------------------------------------------


def entry_cells(entry: Entry) -> tuple[str, ...]:
    """A row of the table under `BENCH_COLUMNS`."""

    def figure(value: float | None, digits: int = 2) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    def milliseconds(value: float | None) -> str:
        return figure(value, 2 if value is None or value >= 1 else 4)  # one small operation takes microseconds

    difference = "" if entry.error is None else f"differ by {entry.error:.1e}{'' if entry.same else ': TOO MUCH'}"
    return (
        entry.name,
        milliseconds(entry.ours_ms),
        milliseconds(entry.other_ms),
        figure(entry.ratio, 3),
        figure(entry.peak_mb, 0),
        figure(entry.other_peak_mb, 0),
        entry.other or "",
        "" if entry.peak_share is None else f"{entry.peak_share:.0%}",
        difference or entry.note,
    )


def bench_table(entries: Sequence[Entry]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(header, rows); the last two columns only where something stands in them."""
    rows = [entry_cells(entry) for entry in entries]
    last = len(BENCH_COLUMNS) - 2
    kept = [k for k in range(len(BENCH_COLUMNS)) if k < last or any(row[k] for row in rows)]
    return tuple(BENCH_COLUMNS[k] for k in kept), [tuple(row[k] for k in kept) for row in rows]


def bench_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries for JSON: seven keys each, and `error`, `same`, `note` and `peak_share` where they say something."""
    return [
        {key: value for key, value in entry._asdict().items() if key in ALWAYS or value not in (None, "")}
        for entry in entries
    ]


def bench_machine(device: str = "cpu") -> list[str]:
    """Lines that say what the figures depend on."""
    if device == "cuda":
        return gpu_machine()
    here = origin()
    python = f"Python {platform.python_version()}, numpy {version_of('numpy')}"
    return [f"{python}, {here['blas']}, {cores()} cores of {here['machine']}, {here['date']}"]
