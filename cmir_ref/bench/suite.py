"""Which benchmarks there are, and what they need."""

import importlib
import importlib.util
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import InputError
from ..parallel import cores
from .peers import Case, Entry, interleaved, turns, version_of

KINDS = ("conv", "latent", "retrieval", "data")
PEERS = ("torch", "faiss", "sklearn")
HEADER = ("", "ours (ms)", "other (ms)", "ratio", "peak (MiB)", "other's", "other")


def chosen(kinds: Sequence[str] = (), against: str | None = None) -> list[Case]:
    """The cases of `kinds` (all of them by default), or those `against` one peer.

    Raises `InputError` for a name that there is not, where nothing is left, and for a peer that is not installed.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"bench {kind}: it is one of {', '.join(KINDS)}")
    if against is not None and against not in PEERS:
        raise InputError(f"--against {against}: it is one of {', '.join(PEERS)}")
    found = [case for kind in kinds or KINDS for case in importlib.import_module(f".{kind}", __package__).cases()]
    if against is not None:
        found = [case for case in found if case.peer == against]
    if not found:
        raise InputError(f"bench {' '.join(kinds)}: nothing in it is measured against {against}")
    missing = {case.peer for case in found if case.peer in PEERS} - {p for p in PEERS if importlib.util.find_spec(p)}
    if missing:
        raise InputError(f"bench: {', '.join(sorted(missing))} not installed; pip install 'cmir-ref[bench]'")
    return found


@contextmanager
def progress(cases: Sequence[Case], repeats: int, show: bool) -> Iterator[Callable[[], object]]:
    """A bar on standard error; what it gives is to be called after each turn."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not show) as bar:
        task = bar.add_task("turns", total=sum(turns(case, repeats) for case in cases))
        yield lambda: bar.advance(task)


def run(cases: Sequence[Case], *, repeats: int = 7, show: bool = False) -> list[Entry]:
    """One `Entry` a case; raises `ResultsDiffer`. With `show`, a bar on standard error tells how far it is."""
    with progress(cases, repeats, show) as tick:
        return [interleaved(case, repeats=repeats, on_turn=tick) for case in cases]


def table(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """A row an entry, under `HEADER`."""

    def figure(value, digits):
        return "" if value is None else f"{value:.{digits}f}"

    return [
        (
            e.name,
            figure(e.ours_ms, 2),
            figure(e.other_ms, 2),
            figure(e.ratio, 3),
            figure(e.peak_mb, 0),
            figure(e.other_peak_mb, 0),
            e.other or "",
        )
        for e in entries
    ]


def machine() -> str:
    """What the figures depend on."""
    return f"Python {platform.python_version()}, numpy {version_of('numpy')}, {cores()} cores, {platform.machine()}"
