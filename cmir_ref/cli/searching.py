"""Commands that ask a run: all its directions, one file or sentence, a page, a large picture."""

import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..progress import tell
from .shared import Device, DeviceOption, JsonOption, check_device, one_of

Gallery = one_of("Gallery", ["test", "train", "all"])
QueryModality = one_of("QueryModality", ["a", "b"])
SearchedModality = one_of("SearchedModality", ["a", "b", "all"])
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` wrote.")]
MAY_BE_MISSING = ("text", "x", "y", "system")  # of a result


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

    a->b is: queries of modality a search a gallery of b. Beside a->b and b->a a system has those of a->a, b->b, a->ab
    and b->ab that mean something for it.

    With --queries: labelled files of your own, to the run's gallery and back.
    """
    from .. import runs, search
    from ..files import check_place, write_whole
    from ..ranking import galleries
    from ..reports.gallery import examples_page
    from ..reports.terminal import show_evaluation

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
    from .. import runs, search
    from ..files import check_place, keep_apart, write_whole
    from ..reports.gallery import place_words, search_page
    from ..reports.terminal import print_table

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
    from ..app import server
    from ..app.served import name_runs, serve_run
    from ..data.sketches import NotADrawing
    from ..search import NotRead

    for said_there in (NotADrawing, NotRead):
        warnings.simplefilter("ignore", said_there)  # the page says so itself
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


def command_locate(
    run: RunArgument,
    scene: Annotated[
        Path,
        typer.Argument(
            metavar="SCENE", help="An image; its places on the map too, where it or a file beside it tells."
        ),
    ],
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
    from .. import runs, search
    from ..files import check_place
    from ..places import locate, read_sides
    from ..reports.located import check_heat_page, write_located
    from ..reports.terminal import print_table

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
