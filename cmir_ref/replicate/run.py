"""`cmir-ref replicate`: the chosen experiments one after another, and their pages."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from ..config import Config, to_toml
from ..errors import InputError
from ..reports.replication import Line, Section, Table, cells, header, write_pages
from ..reports.report import flat
from .lab import Lab, Missing
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


def replicate(names: Sequence[str], lab: Lab) -> list[Section]:
    """Runs the experiments `names` in `lab` and writes replication.html, .md and .csv there, with all that are done.

    What the lab's folder holds already is not computed again, and stays on the pages. Raises `InputError` for unknown
    names, missing data, damaged results and pages that cannot be written.
    """
    names, done = chosen(names), {}
    for name in (None, *names):
        if name is not None and name not in done:
            done[name] = section_of(lab, name)
        absent = {}
        for other in EXPERIMENTS:
            if other not in done:
                try:
                    done[other] = kept(lab, other)
                except InputError as error:
                    absent[other] = absence(lab, other, error)
        try:
            write_pages(lab.out, [done[e] for e in EXPERIMENTS if e in done], lab.about(), absent)
        except OSError as error:
            raise InputError(f"{error.filename or lab.out}: cannot be written ({error.strerror})") from error
    return [done[name] for name in names]


def section_of(lab: Lab, name: str) -> Section:
    """The experiment of this name, computed as far as it is not there, with its settings and what it took."""
    lab.asked.clear()
    lab.seconds.clear()
    section = getattr(import_module(f".cmirnet.{name}", __package__), name)(lab)
    settings = section.settings or {world: settings_of(configs) for world, configs in lab.asked.items()}
    return section._replace(command=lab.command(name), seconds=sum(lab.seconds.values()), settings=settings)


def kept(lab: Lab, name: str) -> Section:
    """The same from what is there already; raises `Missing` where that does not suffice."""
    lab.compute = False
    try:
        return section_of(lab, name)
    finally:
        lab.compute = True


def absence(lab: Lab, name: str, error: InputError) -> str:
    """Why an experiment is not on the pages."""
    return f"not run: {lab.command(name)}" if isinstance(error, Missing) else f"not shown: {error}"


def settings_of(configs: Sequence[Config]) -> str:
    """The settings of the first as TOML, and above them which values the others have."""
    rows = [flat(config.model_dump()) for config in configs]
    varied = {name: list(dict.fromkeys(map(str, (row[name] for row in rows)))) for name in rows[0]}
    lines = [f"# {name}: {', '.join(values)}\n" for name, values in varied.items() if len(values) > 1]
    return "".join(lines) + to_toml(configs[0])


def plain(section: Section) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """(title, header, rows) of each table for a terminal, and of the verdicts."""
    tables = [
        (
            f"{section.title}: {table.title}",
            header(table),
            [cells(table, row) for row in table.lines],
        )
        for table in section.tables
    ]
    verdicts = [(v.where, v.claim, v.verdict) for v in section.verdicts]
    return tables + ([(f"{section.title}: claims", ("section", "claim", "verdict"), verdicts)] if verdicts else [])


def as_json(section: Section) -> dict[str, Any]:
    """A section as JSON can hold it, without pictures."""
    return {
        "name": section.name,
        "title": section.title,
        "lead": section.lead,
        "tables": [
            {
                "title": table.title,
                "head": table.head,
                "columns": table.columns,
                "rows": [row_json(table, row) for row in table.lines],
            }
            for table in section.tables
        ],
        "remarks": section.remarks,
        "verdicts": [v._asdict() for v in section.verdicts],
        "settings": section.settings,
        "command": section.command,
        "seconds": section.seconds,
    }


def row_json(table: Table, row: Line) -> dict[str, Any]:
    """A row: what it is about, the printed text, and of each metric mean, standard deviation and the seeds' values."""
    metrics = {
        name: {"mean": score.mean, "sd": score.sd, "values": score.values}
        for name, score in (("tens", row.tens), ("ap", row.ap), ("chance", row.chance))
    }
    more = dict(zip(table.more, row.more, strict=True))
    return {"about": row.about, "printed": row.printed, **metrics, "more": more, "command": row.command}
