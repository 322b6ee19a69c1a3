"""`cmir-ref replicate`: the chosen experiments one after another, and their pages."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ..config import SharedSettings, to_toml
from ..errors import InputError
from ..files import check_place
from ..reports.experiment import Experiment, render_text
from ..reports.markdown import split_at_marks
from ..reports.replication import insert_experiment, write_pages
from ..reports.report import dotted_settings
from . import EXPERIMENTS, FOLDERS
from .lab import Lab, Missing
from .worlds import SCALE_BY_NAME, Scale


def select_experiments(names: Sequence[str]) -> list[str]:
    """The experiments of these names, "all" or none meaning all; raises `InputError` for one that is unknown."""
    for name in names:
        if name not in (*EXPERIMENTS, "all"):
            raise InputError(f"replicate {name}: unknown; it is one of {', '.join(EXPERIMENTS)}, all")
    return [e for e in EXPERIMENTS if not names or "all" in names or e in names]


def scale_of(name: str) -> Scale:
    """The scale of this name; raises `InputError` for another."""
    if name not in SCALE_BY_NAME:
        raise InputError(f"--scale {name}: it is one of {', '.join(SCALE_BY_NAME)}")
    return SCALE_BY_NAME[name]


def replicate(names: Sequence[str], lab: Lab, write: str | Path | None = None) -> list[Experiment]:
    """Runs the experiments `names` in `lab` and writes its pages there (`write_pages`), with all that are done.

    `write` is a Markdown file that shows the experiment `headline` (`insert_experiment`). What the lab's folder holds
    already is not computed again, and stays on the pages. Raises `InputError` for unknown names, missing data, damaged
    results and pages that cannot be written.
    """
    names, done = select_experiments(names), {}
    if write is not None and "headline" not in names:
        raise InputError(f"--write {write}: shows the experiment headline; name it, too")
    if write is not None:
        split_at_marks(write)  # a file without its marks is refused before anything is computed
        check_place(write)
    for name in (None, *names):
        if name is not None and name not in done:
            done[name] = run_experiment(lab, name)
        absent = {}
        for other in EXPERIMENTS:
            if other not in done:
                try:
                    done[other] = show_experiment(lab, other)
                except Missing:
                    absent[other] = f"not run: {lab.command(other)}"
                except InputError as error:
                    absent[other] = f"not shown: {error}"
        write_pages(lab.out, [done[e] for e in EXPERIMENTS if e in done], lab.about(), absent)
    if write is not None:
        insert_experiment(write, done["headline"])
    return [done[name] for name in names]


def run_experiment(lab: Lab, name: str) -> Experiment:
    """The experiment of this name, computed as far as it is not there, with its text and settings and what it took."""
    lab.asked.clear()
    lab.read.clear()
    experiment = getattr(import_module(f".{FOLDERS.get(name, 'cmirnet')}.{name}", __package__), name)(lab)
    settings = experiment.settings or {world: settings_text(configs) for world, configs in lab.asked.items()}
    return experiment._replace(
        text=render_text(name, text_facts(lab, experiment)),
        command=lab.command(name),
        seconds=sum(one["seconds"] for one in lab.read.values()),
        settings=settings,
    )


def text_facts(lab: Lab, experiment: Experiment) -> dict:
    """What the template of an experiment is given: its own facts, and what all may ask for."""
    worlds = {name: world.words for name, world in lab.scale.worlds.items()}
    return {"worlds": worlds, "few": len(lab.few), "tables": experiment.tables, **experiment.facts}


def show_experiment(lab: Lab, name: str) -> Experiment:
    """The experiment from what is there already; raises `Missing` where that does not suffice."""
    lab.compute = False
    try:
        return run_experiment(lab, name)
    finally:
        lab.compute = True


def settings_text(configs: Sequence[SharedSettings]) -> str:
    """The settings of the first as TOML, and above them which values the others have."""
    rows = [dotted_settings(config.model_dump()) for config in configs]
    values = {name: list(dict.fromkeys(str(row[name]) for row in rows)) for name in rows[0]}
    varied = "".join(f"# {name}: {', '.join(some)}\n" for name, some in values.items() if len(some) > 1)
    return varied + to_toml(configs[0])
