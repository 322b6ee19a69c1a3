"""The command line: thin calls of the functions a notebook uses."""

import json
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .bench import BENCH_KINDS, PEERS, TURNS
from .config import MOST, SAMPLE_KINDS, preset_names
from .errors import InputError
from .parallel import STOPS
from .progress import hush_numpy, on_terminal, tell, track
from .replicate import EXPERIMENTS, SCALES
from .streams import finish_streams, prepare_streams

app = typer.Typer(
    name="cmir-ref",
    help="CMIR-NET in plain NumPy: cross-modal remote-sensing retrieval with every gradient derived by hand.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
UsageError = typer.BadParameter.__base__  # what Typer raises where words are missing, unknown or not among the choices


def one_of(name: str, values: Iterable[str]) -> type[StrEnum]:
    """The type of an option or argument that is one of `values`: `--help` lists them, and others are refused."""
    return StrEnum(name, [(value, value) for value in dict.fromkeys(values)])


Device = one_of("Device", ["cpu", "cuda"])
Gallery = one_of("Gallery", ["test", "train", "all"])
SearchedModality = one_of("SearchedModality", ["a", "b", "all"])
QueryModality = one_of("QueryModality", ["a", "b"])
SampleFormat = one_of("SampleFormat", ["dsrsid"])
Peer = one_of("Peer", [peer for peers in PEERS.values() for peer in peers])
ReplicationScale = one_of("ReplicationScale", SCALES)

MOST_RUNS = 1000  # that a command can be asked for, in all or at a time
PRESET_WORDS = f"One of {', '.join(preset_names())}; or a TOML file of your own."

DataOption = Annotated[  # a text: "" is not the current folder
    str | None, typer.Option("--data", metavar="DIR", help="Folder with the data sets (default: $CMIR_DATA).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
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
DeviceOption = Annotated[Device, typer.Option("--device", help="Where arrays are computed.")]
MAY_BE_MISSING = ("text", "x", "y", "system")  # of a result
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` wrote.")]


def main() -> None:
    """Runs the command line. Bad words, bad input and a missing GPU end in one line and exit status 2.

    So does an interruption, with 130 (143 for a termination, 129 where the terminal is closed).
    """
    prepare_streams()
    received: list[int] = []
    try:
        with stop_on_signals(received):
            status = run_command(sys.argv[1:] or ["--help"])
    except KeyboardInterrupt as error:
        number = received[-1] if received else signal.SIGINT
        line = "; ".join(["interrupted" if number == signal.SIGINT else "terminated", *map(str, error.args)])
        tell(f"\n{line}" if on_terminal() else line)  # on a terminal ^C stands before it
        status = 128 + number
    failure = finish_streams()
    if failure is not None:
        status = complain(f"standard output: cannot be written ({failure.strerror})", 2)
    sys.exit(status)


def run_command(words: list[str]) -> int:
    """The exit status of a command line."""
    from concurrent.futures.process import BrokenProcessPool

    from .backend import GPUUnavailable

    command = typer.main.get_command(app)
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"  # no line of source beside it
    hush_numpy()
    try:
        with command.make_context("cmir-ref", words) as context:
            command.invoke(context)
        return 0
    except (typer.Exit, SystemExit) as end:
        return end.exit_code if isinstance(end, typer.Exit) else end.code or 0
    except UsageError as error:
        return complain(error.format_message().replace("Value error, ", ""), 2)  # which Typer puts before choices
    except (InputError, GPUUnavailable) as error:
        return complain(error, 2)
    except FloatingPointError as error:
        return complain(error, 1)
    except BrokenProcessPool:
        return complain(
            "a process was killed (no memory left? fewer --jobs); the same command goes on, or begins anew", 1
        )
    except MemoryError as error:
        asked = f" ({error})" if str(error) else ""
        return complain(f"not enough memory{asked}; smaller images, widths or batches, or fewer samples", 1)
    except OSError as error:  # a full disk, a folder without permission
        return complain(f"{error.filename}: {error.strerror}" if error.filename else error, 2)


@contextmanager
def stop_on_signals(received: list[int]) -> Iterator[None]:
    """While the body runs an interruption, a termination and a closed terminal raise `KeyboardInterrupt`.

    So what is half-written is removed. The signals that come are put into `received`; what is ignored (`nohup`) stays
    so.
    """

    def stop(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        before = {number: signal.getsignal(number) for number in STOPS}
        before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def complain(reason: object, status: int) -> int:
    """Says on standard error, in one line, why the command ends; gives its exit status."""
    tell(f"error: {' '.join(str(reason).split())}")
    return status


@contextmanager
def on_interruption(advice: str) -> Iterator[None]:
    """Where the body is interrupted, what can be done next is said with it."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(advice) from error


@app.command("demo")
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
    from .demo import DEMO_SCENARIOS, demo, read_demo
    from .progress import Watch
    from .reports.spread import check_marks
    from .reports.terminal import show_evaluation, show_spread

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


@app.command("train")
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
    from . import runs
    from .config import load_config
    from .data import load_data
    from .progress import Watch
    from .reports.spread import check_marks
    from .reports.terminal import changed_settings, show_evaluation, show_spread

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
            Watch(changed_settings(preset, settings or [], seeded)) as watch,
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


@app.command("presets")
def command_presets(
    preset: Annotated[
        str | None, typer.Argument(metavar="PRESET", help=f"{PRESET_WORDS} Without it all are listed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the presets, or show all settings of one.

    With PRESET: its text with its comments, then every setting that it leaves at its default.
    """
    from .config import load_config
    from .reports.terminal import describe_preset, first_sentences, list_presets

    if preset is None:
        print(json.dumps(first_sentences(), indent=2) if as_json else list_presets())
    elif as_json:
        print(json.dumps(load_config(preset).model_dump(), indent=2))
    else:
        print(describe_preset(preset))


@app.command("evaluate")
def command_evaluate(
    run: RunArgument,
    gallery: Annotated[
        Gallery | None, typer.Option("--gallery", help="What is searched (default: the run's setting).")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option("--queries", metavar="DIR", help="New queries <label>/<file> against the run's gallery."),
    ] = None,
    modality: Annotated[
        QueryModality | None, typer.Option("--from", help="How these are read (default: by the first one's kind).")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page of what some queries find.")
    ] = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a run in all directions.

    These are a->b, b->a, a->a, b->b, a->ab and b->ab, where a->b is: queries of modality a search a gallery of b.

    With --queries: labelled files of your own, to the run's gallery and back.
    """
    from . import runs, search
    from .files import check_place, write_whole
    from .ranking import galleries
    from .reports.gallery import examples_page
    from .reports.terminal import show_evaluation

    check_device(device)
    if html is not None:
        check_place(html)
    loaded = runs.load_run(run)
    if modality is not None and queries is None:
        raise InputError("--from says how --queries are read; give both, or neither")
    if queries is not None:
        if html is not None:
            raise InputError("--queries and --html: the page shows the run's own queries; give one or the other")
        found = search.evaluate_folder(loaded, queries, modality=modality, gallery=gallery, device=device)
        show_evaluation(found, as_json)
        return
    result = runs.evaluate(loaded, gallery, device=device)
    if html is not None:
        page = examples_page(loaded, galleries(loaded, gallery=gallery), gallery or loaded.config.gallery)
        tell(f"gallery: {write_whole(html, page)}")
    show_evaluation(result, as_json)


@app.command("retrieve")
def command_retrieve(
    run: RunArgument,
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY", help="An image, a sound, file.mat:17 for row 17; or a sentence."),
    ] = None,
    to: Annotated[SearchedModality, typer.Option("--to", help="The modality that is searched.")] = SearchedModality.b,
    modality: Annotated[
        QueryModality | None, typer.Option("--from", help="How the query is read (default: by its kind).")
    ] = None,
    keywords: Annotated[
        str | None, typer.Option("--keywords", metavar="A, B", help="Keywords, with the sentence or without one.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many results.")] = 10,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="The page of results (default: RUN/retrieve.html).")
    ] = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Search a run for what is nearest to a file or a sentence.

    Prints a table, and writes a page with pictures and sounds.
    """
    from . import runs, search
    from .files import check_place, keep_apart, write_whole
    from .reports.gallery import place_words, search_page
    from .reports.terminal import print_table

    check_device(device)
    if html is not None:
        check_place(html)
        keep_apart(html, query or "")
    loaded = runs.load_run(run)
    if keywords is not None or query is None:
        query = search.text_query(loaded, query, keywords)
    example = search.search_example(loaded, query, to, k, modality=modality, device=device)
    hits, page = example.hits, search_page(loaded, query, example)
    write_beside("gallery", html, lambda: write_whole(html or run / "retrieve.html", page))
    if as_json:
        known = [
            {name: value for name, value in hit._asdict().items() if value is not None or name not in MAY_BE_MISSING}
            for hit in hits
        ]
        print(json.dumps(known, indent=2))
        return
    rows = [(str(h.rank), h.modality, h.id, h.text or ", ".join(h.labels), f"{h.distance:.4f}") for h in hits]
    head = ("rank", "", "id", "labels or caption" if any(h.text for h in hits) else "labels", "distance")
    if any(h.x is not None for h in hits):
        rows, head = [(*row, place_words(h)) for row, h in zip(rows, hits, strict=True)], (*head, "place on the map")
    print_table(head, rows)


def write_beside(what: str, asked: Path | None, write: Callable[[], Path]) -> None:
    """Writes a page beside the table, and says where; where nobody asked for it, a failure to write it is no error."""
    try:
        tell(f"{what}: {write()}")
    except InputError as error:
        if asked is not None:
            raise
        tell(f"no {what}: {error}")


@app.command("serve")
def command_serve(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN …", help="Run folders that `train` wrote: a tab each.")],
    host: Annotated[
        str, typer.Option("--host", help="Where the page is: this machine only, by default.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Default: a free one.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Store every question and what it found (default: none)."),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="NAME", help="For millions: a faiss index, as Flat (extra `faiss`)."),
    ] = None,
    device: DeviceOption = Device.cpu,
) -> None:
    """Search runs in a page, by voice, drawing, file or sentence.

    Needs the extra `app`, and no network. Prints the page's address; ^C ends it.
    """
    check_device(device)
    serve_page(paths, host, port, no_browser, keep, index, device)


def check_page() -> None:
    """Raises `InputError` where the packages of the page are not installed."""
    from importlib.util import find_spec

    if not all(map(find_spec, ("starlette", "uvicorn"))):
        raise InputError("serve: starlette and uvicorn are not installed; pip install 'cmir-ref[app]'")


def serve_page(
    paths: list[Path],
    host: str = "127.0.0.1",
    port: int | None = None,
    no_browser: bool = False,
    keep: Path | None = None,
    index: str | None = None,
    device: str = "cpu",
) -> None:
    """Serves the page of these runs until an interruption."""
    import webbrowser

    check_page()
    from .app import server
    from .app.answers import name_runs, serve_run
    from .data.sketches import NotADrawing

    warnings.simplefilter("ignore", NotADrawing)  # the page says so itself
    folder = None if keep is None else server.open_keep(keep)
    served = [serve_run(path, name, device=device, index=index) for path, name in name_runs(paths)]
    with server.listen(host, port) as listener:
        address = server.address_of(listener)
        print(address, flush=True)
        tell("^C ends it")
        if not no_browser:
            # some browsers (w3m, lynx, one that $BROWSER names) end only with their window, and all wait for the page
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.answer_requests(server.make_app(served, host, folder), listener)


@app.command("locate")
def command_locate(
    run: RunArgument,
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="An image; of a GeoTIFF also map coordinates.")],
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="A sentence, or a file as for retrieve.")] = None,
    keywords: Annotated[
        str | None, typer.Option("--keywords", metavar="A, B", help="Keywords, with the sentence or without one.")
    ] = None,
    slices: Annotated[
        str | None, typer.Option("--slices", metavar="256,128", help="Sides of the slices in pixels.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many places.")] = 5,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="The page (default: RUN/locate.html), .png beside it.")
    ] = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Find the places in a large picture that a sentence tells of.

    Slices of several sizes are compared with it one by one. Prints the best places, and writes a heat map.
    """
    from . import runs, search
    from .files import check_place
    from .places import locate, read_sides
    from .reports.located import check_heat_page, write_located
    from .reports.terminal import print_table

    check_device(device)
    sides = None if slices is None else read_sides(slices)
    if html is not None:
        check_place(html)
        check_heat_page(html, str(scene), query or "")
    loaded = runs.load_run(run)
    if keywords is not None or query is None:
        query = search.text_query(loaded, query, keywords)
    found = locate(loaded, scene, query, k, sides=sides, device=device)
    write_beside("heat map", html, lambda: write_located(html or run / "locate.html", query, str(scene), found))
    if as_json:
        places = [place._asdict() for place in found.places]
        print(json.dumps({"scene": str(scene), "query": query, "system": found.system, "places": places}, indent=2))
        return
    on_map = found.system is not None
    rows = []
    for p in found.places:
        where = (f"{p.x:.8g}", f"{p.y:.8g}") if on_map else ()
        rows.append((str(p.rank), f"{p.row:.0f}", f"{p.column:.0f}", *where, f"{p.heat:.4f}"))
    print_table(("place", "row", "column", *(("x", "y") if on_map else ()), "heat"), rows)


@app.command("features")
def command_features(
    images: Annotated[Path, typer.Argument(metavar="IN", help="A folder of images, with or without folders in it.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    size: Annotated[
        int | None, typer.Option("--size", min=32, max=MOST, help="Side that images are brought to (224).")
    ] = None,
    tile: Annotated[
        int | None, typer.Option("--tile", min=32, max=MOST, help="Cut images into tiles of this side.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="EfficientNet-Lite0's weights of your own.")
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option("--onnx", metavar="MODEL.onnx", help="A network of your own (extra `onnx`).")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", help="Which value of that network.")] = None,
    mean: Annotated[str | None, typer.Option("--mean", help="Its mean, of bytes, as 124,116,104.")] = None,
    std: Annotated[str | None, typer.Option("--std", help="Its standard deviation, likewise.")] = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Write features of images, by a network that ImageNet trained.

    EfficientNet-Lite0 (extra `imagenet`), or any ONNX file. OUT gets features.npz and scores.mat, as the released code
    reads them: one row an image, or a tile.
    """
    from .data.image_features import choose_network, image_features, read_numbers, write_image_features
    from .files import check_place, whole_folder

    check_device(device)
    check_place(out, whole_folder)
    own = {"output": output, "mean": read_numbers("--mean", mean), "std": read_numbers("--std", std)}
    network = choose_network(size, weights=weights, onnx=onnx, device=device, **own)
    found = image_features(images, network, tile=tile, progress=on_terminal())
    write_image_features(out, found, network.maker)
    rows, width = found.features.shape
    if as_json:
        counts = {"images": len(set(found.paths)), "rows": rows, "width": width}
        print(json.dumps({"out": str(out), **counts, "remarks": found.remarks}, indent=2))
    else:
        print(f"{out}: {rows} rows of {width} features from {len(set(found.paths))} images")
        for remark in found.remarks:
            print(remark)


@app.command("gradcheck")
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
    from .reports import gradients
    from .reports.terminal import check_declarations, check_own_pair, check_own_steps

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


@app.command("samples")
def command_samples(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What is written: {', '.join(SAMPLE_KINDS)}.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    count: Annotated[int | None, typer.Option("--count", help="Pairs or scenes (default: 80 or 84).")] = None,
    layout: Annotated[
        SampleFormat | None,
        typer.Option("--format", help="land-cover as one large file, drawn by all cores; goes on where it was killed."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write samples of the simulated world.

    In the formats of the real data sets: DSRSID's land covers, UC Merced's objects, spoken labels.
    """
    from .data import write_samples

    written = write_samples(kind, out, count=count, seed=seed, progress=on_terminal(), layout=layout)
    if as_json:
        print(json.dumps({"kind": kind, "out": str(out), "count": written, "seed": seed}, indent=2))
    else:
        print(f"{out}: {written} {kind} samples")


@app.command("bench")
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
    from .bench import suite
    from .bench.peers import ResultsDiffer
    from .reports.terminal import print_table

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


@app.command("replicate")
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

    from .data.locate import data_root
    from .replicate import run as replication
    from .replicate.cluster import connect
    from .replicate.lab import Lab
    from .reports.replication import experiment_json, plain_tables
    from .reports.terminal import print_table

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


@app.command("lessons")
def command_lessons(
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="DIR", help="Write them as pages that need no network, and open nothing."),
    ] = None,
) -> None:
    """Open the lessons in JupyterLab (extra `lessons`).

    They are in a checkout of the repository.
    """
    from importlib.util import find_spec

    folder = next((f for f in (Path("lessons"), Path(__file__).parents[1] / "lessons") if (f / "src").is_dir()), None)
    if folder is None:
        raise InputError("lessons: not here; they are in a checkout of the repository, start there")
    if html is not None:
        from .reports.lesson_pages import write_lesson_pages

        typer.echo(f"{len(write_lesson_pages(folder, html))} pages; begin with {html / 'index.html'}")
        return
    if find_spec("jupyterlab") is None:
        raise InputError("lessons: JupyterLab is not installed; pip install 'cmir-ref[lessons]'")
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(folder)]))


@app.command("doctor")
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
    from .data.locate import data_root
    from .doctor import examine

    check_device(device)
    sections = examine(data_root(data), progress=on_terminal())
    if as_json:
        print(json.dumps(sections, indent=2))
        return
    for section, facts in sections.items():
        print(section)
        for name, value in facts.items():
            print(f"  {name:<18} {value}")


def check_device(device: Device) -> None:
    """Refuses cuda where there is no GPU, before anything is read."""
    from .backend import library

    library(device)
