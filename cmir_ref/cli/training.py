"""Commands that train: a demo of all scenarios, a preset; and what the presets are."""

import json
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from ..config import preset_names
from ..errors import InputError
from ..progress import on_terminal, tell
from .searching import check_page, serve_page
from .shared import MOST_RUNS, DataOption, Device, DeviceOption, JsonOption, SeedOption, check_device, on_interruption

PRESET_WORDS = f"One of {', '.join(preset_names())}; or a TOML file of your own."
SeedsOption = Annotated[
    int,
    typer.Option(
        "--seeds", min=1, max=MOST_RUNS, help="How many, --seed the first: mean, standard deviation, worst over them."
    ),
]
WriteOption = Annotated[
    Path | None,
    typer.Option(
        "--write", metavar="FILE", help="Put the table into this Markdown file, between <!-- PRESET --> marks."
    ),
]


def command_demo(
    out: Annotated[Path, typer.Option("--out", help="A new folder.")] = Path("runs/demo"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SCENARIO.KEY=VALUE", help="Change a setting, as in pan-mul.stage1.epochs=5."),
    ] = None,
    seed: SeedOption = 0,
    seeds: SeedsOption = 1,
    write: WriteOption = None,
    serve: Annotated[bool, typer.Option("--serve", help="Then search all of it in a page, as `serve` does.")] = False,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Show the whole idea on one page, in minutes.

    All scenarios, small, on simulated scenes and the bundled voices.
    """
    from ..demo import DEMO_SCENARIOS, demo, read_demo
    from ..progress import Watch
    from ..reports.spread import check_marks
    from ..reports.terminal import show_evaluation, show_spread

    check_device(device)
    if serve:
        check_page()
    changes: dict[str, list[str]] = {scenario: [] for scenario in DEMO_SCENARIOS}
    for change in settings or []:
        scenario, _, rest = change.partition(".")
        if scenario not in changes:
            raise InputError(f"--set {change}: begins with {' or '.join(f'{s}.' for s in changes)} in the demo")
        changes[scenario].append(rest)
    presets = {scenario: f"demo-{scenario}" for scenario in DEMO_SCENARIOS}
    if write is not None:
        check_marks(write, presets.values())
    folders, results = seed_folders(out, seed, seeds), {}
    for number, folder in folders.items():
        finished = read_demo(folder, seed=number, settings=changes) if seeds > 1 else None
        with on_interruption(f"the same command goes on with what is done ({out})"):
            told = {"watch": Watch, "progress": on_terminal(), "tell": tell}
            results[number] = finished or demo(folder, seed=number, settings=changes, device=device, **told)
    if seeds > 1 or write is not None:
        runs_of = {presets[s]: {number: result[s] for number, result in results.items()} for s in DEMO_SCENARIOS}
        show_spread(runs_of, command_text(), write, as_json)
    elif as_json:
        print(json.dumps(results[seed], indent=2))
    else:
        for scenario in DEMO_SCENARIOS:
            show_evaluation(results[seed][scenario])
            print()
        print(f"{results[seed]['seconds']:.0f} s in all")
    tell(f"report: {', '.join(str(folder / 'report.html') for folder in folders.values())}")
    trained = [folders[seed] / scenario for scenario in DEMO_SCENARIOS]
    if serve:
        serve_page(trained, device=device)
    else:
        tell(f"search it in a page: cmir-ref serve {' '.join(quote(str(run)) for run in trained)}")


def command_train(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help=PRESET_WORDS)],
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder (default: runs/PRESET).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as in stage1.epochs=5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    start_from: Annotated[
        Path | None, typer.Option("--start-from", metavar="RUN", help="Fine-tune: begin with this run's weights.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random draw.")] = None,
    seeds: SeedsOption = 1,
    write: WriteOption = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Train a preset, and evaluate the run.

    With --seeds: as many runs, in folders seed-0, seed-1, …

    Writes config.toml, metrics.jsonl, a checkpoint, embeddings and report.html.

    `cmir-ref presets PRESET` shows every setting that --set can change.
    """
    from .. import runs
    from ..config import load_config
    from ..data import load_data
    from ..progress import Watch
    from ..reports.spread import check_marks
    from ..reports.terminal import changed_settings, show_evaluation, show_spread

    check_device(device)
    given = {"seed": seed, "start_from": None if start_from is None else str(start_from.resolve())}
    config = load_config(preset, settings or [], **{name: value for name, value in given.items() if value is not None})
    out, name, results = out or Path("runs") / Path(preset).stem, Path(preset).stem, {}
    if out.exists() and not resume:
        raise InputError(f"{out}: exists already; give another --out, or --resume to go on with it")
    if write is not None:
        check_marks(write, [name])
    dataset, folders = load_data(config, data, progress=on_terminal()), seed_folders(out, config.seed, seeds)
    for number, folder in folders.items():
        seeded = config.model_copy(update={"seed": number})
        with (
            on_interruption(f"go on with the same command and --resume ({out})"),
            Watch(changed_settings(preset, settings or [], seeded, dataset)) as watch,
        ):
            again = resume and (seeds == 1 or folder.exists())
            run = runs.load_finished(seeded, dataset, folder) if again and seeds > 1 else None
            run = run or runs.train(seeded, dataset, folder, resume=again, device=device, watch=watch)
        results[number] = runs.evaluate(run, device=device)
    if seeds > 1 or write is not None:
        show_spread({name: results}, command_text(), write, as_json)
    else:
        show_evaluation(results[config.seed], as_json)
    tell(f"report: {', '.join(str(folder / 'report.html') for folder in folders.values())}")


def seed_folders(out: Path, first: int, count: int) -> dict[int, Path]:
    """The run folder of each seed: `out` itself where there is one, else `out`/seed-0, `out`/seed-1, …"""
    return {first: out} if count == 1 else {n: out / f"seed-{n}" for n in range(first, first + count)}


def command_text() -> str:
    """The command line as it was typed."""
    return " ".join(["cmir-ref", *map(quote, sys.argv[1:])])


def command_presets(
    preset: Annotated[
        str | None, typer.Argument(metavar="PRESET", help=f"{PRESET_WORDS} Without it all are listed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the presets, or show all settings of one.

    With PRESET: its text with its comments, then every setting that it leaves at its default.
    """
    from ..config import load_config
    from ..reports.terminal import describe_preset, first_sentences, list_presets

    if preset is None:
        print(json.dumps(first_sentences(), indent=2) if as_json else list_presets())
    elif as_json:
        print(json.dumps(load_config(preset).model_dump(), indent=2))
    else:
        print(describe_preset(preset))
