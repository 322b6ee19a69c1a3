"""`cmir-ref replicate`: the chosen experiments one after another, and their pages."""

import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from ..errors import InputError
from ..reports.replication import Section, write_pages
from .lab import Lab
from .worlds import SCALES, Scale

EXPERIMENTS = ("table1", "table2", "table3", "table4", "fig1", "fig3", "fig4", "readings", "senses", "phase")


def chosen(names: Sequence[str]) -> list[str]:
    """The experiments of these names, "all" or none meaning all; raises `InputError` for one that is unknown."""
    for name in names:
        if name not in (*EXPERIMENTS, "all"):
            raise InputError(f"replicate {name}: unknown; it is one of {', '.join(EXPERIMENTS)}, all")
    return [e for e in EXPERIMENTS if not names or "all" in names or e in names]


def scale_of(name: str) -> Scale:
    """The scale of this name; raises `InputError` for another."""
    if name not in SCALES:
        raise InputError(f"--scale {name}: it is one of {', '.join(SCALES)}")
    return SCALES[name]


def replicate(
    names: Sequence[str],
    out: str | Path = "runs/replicate",
    *,
    scale: Scale,
    seeds: int = 1,
    root: str | Path | None = None,
    device: str = "cpu",
    jobs: int | None = None,
    watch: Callable[[Iterable, int, str], Iterable] | None = None,
) -> list[Section]:
    """Runs the experiments `names` and writes `out`/replication.html, .md and .csv with those that are done.

    What `out` holds already is not computed again. `root` is the folder with real data, if there is one; `watch` wraps
    each group of cells, (cells, how many, name), to show its progress. Raises `InputError` for unknown names, missing
    data and an `out` that cannot be written.
    """
    command = f"cmir-ref replicate {{}} --scale {scale.name} --seeds {seeds}" + (f" --data {root}" if root else "")
    sections = []
    with Lab(out, scale, seeds=seeds, root=root, device=device, jobs=jobs, watch=watch) as lab:
        for name in chosen(names):
            started = time.perf_counter()
            section = getattr(import_module(f"{__package__}.{name}"), name)(lab)
            seconds = time.perf_counter() - started
            sections.append(section._replace(command=command.format(name), seconds=seconds))
            write_pages(out, sections, lab.about())
    return sections
