"""Commands that measure: gradients, times, the papers' tables, this machine."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..bench import BENCH_KINDS, PEERS, TURNS
from ..errors import InputError
from ..progress import on_terminal, tell, track
from ..replicate import EXPERIMENTS, SCALES
from .shared import (
    MOST_RUNS,
    DataOption,
    Device,
    DeviceOption,
    JsonOption,
    SeedOption,
    check_device,
    complain,
    on_interruption,
    one_of,
)

Peer = one_of("Peer", [peer for peers in PEERS.values() for peer in peers])
ReplicationScale = one_of("ReplicationScale", SCALES)


def command_gradcheck(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Only checks with one of these in their name.")
    ] = None,
    module: Annotated[
        str | None, typer.Option("--module", metavar="PATH.py:NAME", help="Check your own NAME and NAME_backward.")
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps",
            metavar="PATH.py:NAME",
            help="Nudge every step of your own NAME(…, nudge=None), and name the first wrong one from the output back.",
        ),
    ] = None,
    shapes: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="4x3", help="Shape of an input of yours, in place of NAME_inputs(rng)."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw error against step size (.png or .svg).")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Check every gradient numerically, or one of your own.

    Each operation, loss and network of this package, in complex float64 on the CPU; with --module a pair of functions
    from your own file, with --steps all that happens between its input and its output (docs/gradcheck.md).
    """
    from ..reports import gradients
    from ..reports.terminal import check_declarations, check_own_pair, check_own_steps

    if steps is not None and ":" not in steps and module is not None:
        steps, module = f"{module.rpartition(':')[0]}:{steps}", None  # a function of the same file
    if plot is not None:
        gradients.plot_format(plot)
    if module is not None and names:
        raise InputError(f"--module {module} and {' '.join(names)}: give one or the other")
    if steps is not None and (module is not None or names or plot is not None):
        raise InputError(f"--steps {steps} stands alone: with --input, --seed and --json, and nothing else")
    if module is None and steps is None and shapes:
        raise InputError("--input belongs to --module or --steps")
    if steps is not None:
        status = check_own_steps(steps, shapes or [], seed, as_json)
    elif module is not None:
        status = check_own_pair(module, shapes or [], plot, seed, as_json)
    else:
        status = int(not check_declarations(names or [], plot, seed, as_json))
    if status:
        sys.exit(status)


def command_bench(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KIND",
            help=f"On the CPU {', '.join(BENCH_KINDS['cpu'])}; on a GPU {', '.join(BENCH_KINDS['cuda'])}; or all.",
        ),
    ] = None,
    against: Annotated[Peer | None, typer.Option("--against", help="Only what is measured against this peer.")] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Turns of each side at most; the median counts.")
    ] = TURNS,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Time this package beside its peers.

    PyTorch, faiss and scikit-learn (extra `bench`), each timed once its results have proved equal.
    """
    from ..bench import suite
    from ..bench.peers import ResultsDiffer
    from ..reports.terminal import print_table

    entries = []
    try:
        for entry in suite.run_bench(kinds or [], device=device, against=against, repeats=repeats, show=on_terminal()):
            entries.append(entry)
            tell("  ".join(filter(None, suite.entry_cells(entry))))  # at once: all take many minutes
    except ResultsDiffer as error:
        sys.exit(complain(error, 1))
    if as_json:
        print(json.dumps(suite.bench_json(entries), indent=2))
    else:
        print_table(*suite.bench_table(entries))
        print("\n".join(suite.bench_machine(device)))
    if any(entry.same is False for entry in entries):
        sys.exit(1)


def command_replicate(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help=f"Which of {', '.join(EXPERIMENTS)} (default: all)."),
    ] = None,
    data: DataOption = None,
    scale: Annotated[
        ReplicationScale, typer.Option("--scale", help="How much data and how long a training.")
    ] = ReplicationScale.small,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=MOST_RUNS, help="How many: mean and standard deviation over them.")
    ] = 1,
    out: Annotated[Path, typer.Option("--out", help="What is there already is not computed again.")] = Path(
        "runs/replicate"
    ),
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=MOST_RUNS, help="Processes (default: one a core).")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="Compute on this Dask cluster (extra `cluster`).")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Put the headline into this Markdown file.")
    ] = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Compute the paper's tables and figures again.

    Writes them, next to what the paper printed, as replication.html, .md and .csv.
    """
    from contextlib import ExitStack

    from ..data.locate import data_root
    from ..replicate import run as replication
    from ..replicate.cluster import connect
    from ..replicate.lab import Lab
    from ..reports.replication import experiment_json, plain_tables
    from ..reports.terminal import print_table

    check_device(device)
    if cluster is not None and jobs is not None:
        raise InputError("--jobs are processes of this machine; a --cluster has its own workers")
    chosen, worlds = replication.select_experiments(names or []), replication.scale_of(scale)

    def watch(cells, total, name):
        if not on_terminal():
            tell(f"{name}: {total} to compute")
        return track(cells, total, name, on_terminal())

    with on_interruption(f"the same command goes on with what is done ({out})"), ExitStack() as stack:
        executor, workers = stack.enter_context(connect(cluster)) if cluster is not None else (None, jobs)
        workplace = {"root": data_root(data), "device": device, "jobs": workers, "executor": executor}
        lab = stack.enter_context(Lab(out, worlds, seeds=seeds, watch=watch, **workplace))
        experiments = replication.replicate(chosen, lab, write)
    if as_json:
        print(json.dumps([experiment_json(experiment) for experiment in experiments], indent=2))
    else:
        for experiment in experiments:
            for title, header, rows in plain_tables(experiment):
                print(f"\n{title}")
                print_table(header, rows)
        print()
    tell(f"pages: {out / 'replication.html'}, .md, .csv")


def command_doctor(
    data: DataOption = None,
    device: Annotated[
        Device, typer.Option("--device", help="cuda: end with status 2 where no GPU computes.")
    ] = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Tell what this machine has.

    Versions, threads, BLAS, GPU, which data sets are found, what their captions are like, and which images stand there
    twice.
    """
    from ..data.locate import data_root
    from ..doctor import examine

    check_device(device)
    sections = examine(data_root(data), progress=on_terminal())
    if as_json:
        print(json.dumps(sections, indent=2))
        return
    for section, facts in sections.items():
        print(section)
        for name, value in facts.items():
            print(f"  {name:<18} {value}")
