"""The command line: thin calls of the functions a notebook uses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import InputError

app = typer.Typer(
    name="cmir-ref",
    help="CMIR-NET in plain NumPy: cross-modal remote-sensing retrieval with every gradient derived by hand.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DataOption = Annotated[Path | None, typer.Option("--data", help="Folder with the data sets (default: $CMIR_DATA).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random draw.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` wrote.")]


def main() -> None:
    """Runs the command line; bad input and a missing GPU end in one line and exit status 2."""
    from .backend import GPUUnavailable

    try:
        app()
    except (InputError, GPUUnavailable) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except FloatingPointError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the reader of the pipe has gone
        sys.exit(0)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="A new folder.")] = Path("runs/demo"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SCENARIO.KEY=VALUE", help="Change a setting, as in pan-mul.stage1.epochs=5."),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Both scenarios, small, on simulated scenes and bundled voices, in minutes: one page shows the whole idea."""
    from concurrent.futures.process import BrokenProcessPool

    from . import demo as demonstration
    from .reports.progress import Watch

    check_device(device)
    changes: dict[str, list[str]] = {scenario: [] for scenario in demonstration.SCENARIOS}
    for change in settings or []:
        scenario, _, rest = change.partition(".")
        if scenario not in changes:
            raise InputError(f"--set {change}: begins with {' or '.join(f'{s}.' for s in changes)} in the demo")
        changes[scenario].append(rest)
    progress = sys.stderr.isatty()
    try:
        found = demonstration.demo(out, seed=seed, settings=changes, device=device, watch=Watch, progress=progress)
    except KeyboardInterrupt:
        print(f"\ninterrupted; remove {out} before another start", file=sys.stderr)
        sys.exit(130)
    except BrokenProcessPool:
        print(f"error: a process was killed (no memory left?); remove {out} before another start", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        for scenario in demonstration.SCENARIOS:
            show(found[scenario], False)
            print()
        print(f"{found['seconds']:.0f} s in all")
    print(f"report: {out / 'report.html'}", file=sys.stderr)


@app.command()
def train(
    preset: Annotated[str, typer.Argument(help="A preset's name, or a TOML file.")],
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder (default: runs/PRESET).")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    seed: SeedOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Train both stages and evaluate: writes config.toml, metrics.jsonl, checkpoint, embeddings and report.html."""
    from . import runs, two_stages
    from .config import load_config
    from .reports.progress import Watch

    check_device(device)
    config = load_config(preset, settings or [], **({} if seed is None else {"seed": seed}))
    out = out or Path("runs") / Path(preset).stem
    if out.exists() and not resume:
        raise InputError(f"{out}: exists already; give another --out, or --resume to go on with it")
    dataset = runs.load_data(config, data, progress=sys.stderr.isatty())
    try:
        with Watch() as watch:
            run = two_stages.train(config, dataset, out, resume=resume, device=device, watch=watch)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with the same command and --resume ({out})", file=sys.stderr)
        sys.exit(130)
    show(runs.evaluate(run), as_json)
    print(f"report: {out / 'report.html'}", file=sys.stderr)


@app.command()
def evaluate(
    run: RunArgument,
    gallery: Annotated[str | None, typer.Option(help="test, train or all (default: the run's setting).")] = None,
    seed: SeedOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """All directions of a run: a->b, b->a, a->a, b->b, a->ab, b->ab."""
    from . import runs, search

    check_device(device)
    if gallery not in (None, "test", "train", "all"):
        raise InputError(f"--gallery {gallery}: it is one of test, train, all")
    loaded = runs.load_run(run)
    show(runs.evaluate(loaded, gallery, device=device), as_json)
    try:
        print(f"gallery: {search.write_gallery(loaded, gallery)}", file=sys.stderr)
    except OSError as error:
        print(f"no gallery: {run} cannot be written to ({error.strerror})", file=sys.stderr)


@app.command()
def retrieve(
    run: RunArgument,
    query: Annotated[str, typer.Argument(help="A file: an image, a sound, or file.mat:17 for row 17.")],
    to: Annotated[str, typer.Option("--to", help="a, b or all: what to search.")] = "b",
    modality: Annotated[str | None, typer.Option("--from", help="a or b: how to read the query.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many results.")] = 10,
    html: Annotated[Path | None, typer.Option("--html", help="The gallery (default: RUN/retrieve.html).")] = None,
    seed: SeedOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """The nearest items to a file in the shared space: a table, and a gallery as an HTML page."""
    from . import runs, search
    from .reports.pages import write_page

    check_device(device)
    if to not in ("a", "b", "all"):
        raise InputError(f"--to {to}: it is one of a, b, all")
    if modality not in (None, "a", "b"):
        raise InputError(f"--from {modality}: it is one of a, b")
    loaded = runs.load_run(run)
    modality = modality or search.guess_modality(loaded, query)
    hits = search.retrieve(loaded, query, to, k, modality=modality, device=device)
    page = search.retrieval_page(loaded, query, modality, hits)
    try:
        print(f"gallery: {write_page(html or run / 'retrieve.html', page)}", file=sys.stderr)
    except OSError as error:
        if html is not None:
            raise InputError(f"{html}: cannot be written ({error.strerror})") from error
        print(f"no gallery: {run} cannot be written to ({error.strerror})", file=sys.stderr)
    if as_json:
        print(json.dumps([hit._asdict() for hit in hits], indent=2))
        return
    rows = [(str(h.rank), h.modality, h.id, ", ".join(h.labels), f"{h.distance:.4f}") for h in hits]
    print_table(("rank", "", "id", "labels", "distance"), rows)


@app.command()
def gradcheck(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only checks with this in their name.")
    ] = None,
    module: Annotated[
        str | None, typer.Option("--module", metavar="PATH.py:NAME", help="Check your own NAME and NAME_backward.")
    ] = None,
    shapes: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="4x3", help="Shape of an input of --module, in place of NAME_inputs(rng)."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw error against step size (.png or .svg).")
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Check every gradient numerically: each operation, loss and network, or a pair of your own (--module)."""
    from .reports import gradients

    check_device(device)
    if device == "cuda":
        raise InputError("--device cuda: gradients are checked in complex float64 on the CPU")
    if plot is not None:
        gradients.plot_format(plot)
    if module is not None and names:
        raise InputError(f"--module {module} and {' '.join(names)}: give one or the other")
    if module is None and shapes:
        raise InputError("--input belongs to --module")
    if module is not None:
        right = check_module(module, shapes or [], plot, seed, as_json)
    else:
        right = check_declarations(names or [], plot, seed, as_json)
    if not right:
        sys.exit(1)


def check_declarations(names: list[str], plot: Path | None, seed: int, as_json: bool) -> bool:
    """The table of the package's own checks; whether all are within their gates."""
    from . import checks
    from .data.progress import track
    from .reports import gradients

    chosen = list(checks.select(names))
    if not chosen:
        raise InputError(f"{' '.join(names)}: no such check; names are {', '.join(c.name for c in checks.CHECKS)}")
    if plot is not None:
        drawn = chosen if names else [c for c in chosen if c.name in gradients.SHOWN]
        gradients.write_plot(plot, gradients.curves_of(drawn, seed))
        print(f"plot: {plot}", file=sys.stderr)
    rows = list(track(gradients.check_all(chosen, seed), len(chosen), "gradients", sys.stderr.isatty()))
    results = [(row.check.name, r) for row in rows for r in row.results]
    if as_json:
        print(json.dumps(gradients.as_json(results), indent=2))
    else:
        fits = shutil.get_terminal_size((100, 0)).columns >= 100
        columns = slice(None if fits else -1)  # a narrow terminal has no room for what a check covers
        print_table(gradients.HEADER[columns], [line[columns] for line in gradients.table(rows)])
        print(gradients.summary(rows))
    for row in rows:
        for line in gradients.failures(row, seed):
            print(f"wrong: {line}", file=sys.stderr)
    return not any(row.wrong for row in rows)


def check_module(where: str, shapes: list[str], plot: Path | None, seed: int, as_json: bool) -> bool:
    """The report on a reader's own pair; whether its gradient is right."""
    from .gradcheck.module import judge, load_pair
    from .reports import gradients

    pair = load_pair(where, shapes, seed)
    verdict = judge(pair, seed=seed)
    if as_json:
        found = gradients.as_json([(pair.name, r) for r in verdict.results])
        print(json.dumps(found | {"diagnosis": [gradients.finding_json(f) for f in verdict.findings]}, indent=2))
    else:
        for line in gradients.pair_report(pair, verdict, where, shapes, seed):
            print(line)
    if plot is not None:
        try:
            gradients.write_plot(plot, gradients.curves_of_pair(pair, seed))
            print(f"plot: {plot}", file=sys.stderr)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            print(f"no plot: {error}", file=sys.stderr)  # the report above says more
    return not verdict.findings


@app.command()
def samples(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="land-cover, objects or speech.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    count: Annotated[int | None, typer.Option("--count", help="Pairs or scenes (default: 80 or 84).")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write samples of the simulated world in the real data sets' formats: DSRSID's, UC Merced's, spoken labels."""
    from .data import write_samples

    written = write_samples(kind, out, count=count, seed=seed, progress=True)
    if as_json:
        print(json.dumps({"kind": kind, "out": str(out), "count": written, "seed": seed}, indent=2))
    else:
        print(f"{out}: {written} {kind} samples")


@app.command()
def bench(
    kinds: Annotated[
        list[str] | None, typer.Argument(metavar="[conv|latent|retrieval|data]...", help="All of them by default.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="torch, faiss or sklearn: only what has this peer.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Turns of each side, of which the median.")] = 7,
    seed: SeedOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Time this package beside PyTorch, faiss and scikit-learn (extra `bench`), once their results are equal."""
    from .bench import suite
    from .bench.peers import ResultsDiffer

    if device == "cuda":  # numbers, steps against PyTorch with cuDNN and an epoch of DSRSID's size, in one table
        from .bench import gpu

        sys.exit(gpu.main(["--json"] if as_json else []))
    check_device(device)
    cases = suite.chosen(kinds or [], against)
    try:
        entries = suite.run(cases, repeats=repeats, show=sys.stderr.isatty())
    except ResultsDiffer as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(json.dumps([entry._asdict() for entry in entries], indent=2))
        return
    print_table(suite.HEADER, suite.table(entries))
    print(suite.machine())


@app.command()
def replicate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="table1 … table4, fig1, fig3, fig4, …; or all.")
    ] = None,
    data: DataOption = None,
    scale: Annotated[str, typer.Option("--scale", help="small or full.")] = "small",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many: mean and standard deviation over them.")] = 1,
    out: Annotated[Path, typer.Option("--out", help="What is there already is not computed again.")] = Path(
        "runs/replicate"
    ),
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes (default: one a core).")] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="Compute on this Dask cluster (extra `cluster`).")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Put the headline into this Markdown file.")
    ] = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """The paper's tables and figures, next to what it printed: writes replication.html, .md and .csv."""
    from concurrent.futures.process import BrokenProcessPool
    from contextlib import ExitStack

    from .data.progress import track
    from .replicate import run as replication
    from .replicate.cluster import connect
    from .replicate.lab import Lab
    from .reports.replication import experiment_json, plain_tables

    check_device(device)
    if cluster is not None and jobs is not None:
        raise InputError("--jobs are processes of this machine; a --cluster has its own workers")
    chosen, worlds = replication.select_experiments(names or []), replication.scale_of(scale)
    root = data or (Path(os.environ["CMIR_DATA"]) if os.environ.get("CMIR_DATA") else None)

    def watch(cells, total, name):
        terminal = sys.stderr.isatty()
        if not terminal:
            print(f"{name}: {total} to compute", file=sys.stderr)
        return track(cells, total, name, terminal)

    try:
        with ExitStack() as stack:
            executor, workers = stack.enter_context(connect(cluster)) if cluster is not None else (None, jobs)
            workplace = {"root": root, "device": device, "jobs": workers, "executor": executor}
            lab = stack.enter_context(Lab(out, worlds, seeds=seeds, watch=watch, **workplace))
            experiments = replication.replicate(chosen, lab, write)
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on with what is done ({out})", file=sys.stderr)
        sys.exit(130)
    except BrokenProcessPool:
        print("error: a process was killed (no memory left? fewer --jobs); the same command goes on", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(json.dumps([experiment_json(experiment) for experiment in experiments], indent=2))
    else:
        for experiment in experiments:
            for title, header, rows in plain_tables(experiment):
                print(f"\n{title}")
                print_table(header, rows)
        print()
    print(f"pages: {out / 'replication.html'}, .md, .csv", file=sys.stderr)


@app.command()
def lessons() -> None:
    """Open the lessons in JupyterLab (in a checkout; extra `lessons`)."""
    from importlib.util import find_spec

    folder = next((f for f in (Path("lessons"), Path(__file__).parents[1] / "lessons") if (f / "src").is_dir()), None)
    if folder is None:
        raise InputError("lessons: not here; they are in a checkout of the repository, start there")
    if find_spec("jupyterlab") is None:
        raise InputError("lessons: JupyterLab is not installed; pip install 'cmir-ref[lessons]'")
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(folder)]))


@app.command()
def doctor(
    data: DataOption = None, seed: SeedOption = None, device: DeviceOption = "cpu", as_json: JsonOption = False
) -> None:
    """What this machine has: versions, threads, BLAS, GPU, data sets found."""
    from .doctor import examine

    check_device(device)
    found = examine(data or os.environ.get("CMIR_DATA"))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for section, lines in found.items():
        print(section)
        for name, value in lines.items():
            print(f"  {name:<18} {value}")


def check_device(device: str) -> None:
    """Refuses an unknown device, and cuda where there is no GPU, before anything is read."""
    from .backend import library

    if device not in ("cpu", "cuda"):
        raise InputError(f"--device {device}: it is one of cpu, cuda")
    library(device)


def show(result: dict, as_json: bool) -> None:
    """An evaluation as JSON or as a table."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    columns = ("map", "chance", "p@10", "p@50", "mean_precision_at_tens")
    rows = [
        (name, *("–" if m[c] is None else f"{m[c]:.3f}" for c in columns), str(m["queries"]))
        for name, m in result["directions"].items()
    ]
    print(f"{result['scenario']} · {result['data']} · protocol {result['protocol']} · gallery {result['gallery']}")
    print_table(("direction", "average precision", "chance", "P@10", "P@50", "mean P@10…50", "queries"), rows)
    print(result["verdict"])


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell, names left and figures right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    numeric = [all(row[i][:1].isdigit() or not row[i] for row in rows) for i in range(len(header))]
    for row in (header, *rows):
        cells = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True))
        print("  ".join(cells).rstrip())
