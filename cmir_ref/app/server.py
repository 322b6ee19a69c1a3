"""The server of the page: who may ask, how much may be sent, and in which order it is computed.

It answers this machine's own page alone: a name in `Host` that is not this machine's, and a page of another origin, are
refused. A file is sent as the body of a request and has no name. Searches queue before one thread, thumbnails and large
pictures before another each, so that a slow one keeps no page from loading.
"""

import asyncio
import ipaddress
import json
import re
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import InputError
from ..files import cannot_be_written, name_bytes_spelled, write_whole
from ..parallel import end_threads
from ..progress import tell
from .answers import Question, answer
from .describe import describe_run, describe_sample, sound_of, warm_up, when_written
from .scenes import open_scene
from .served import ServedRun
from .uploads import name_only

MOST_BYTES = 50 * 2**20  # of a file that is sent
MOST_WORDS = 2**16  # bytes of a question in words
PATIENCE = 120  # seconds for all of a body to come
MOST_WAITING = 200  # questions
KEPT_SAMPLES = 4096  # thumbnails of so many samples stay in memory: about 30 MB
LANES = ("search", "samples", "scenes")  # one thread each
PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(self), geolocation=()",
}


def spelled(told: Any) -> Any:
    """`told` with all texts in it by `name_bytes_spelled`."""
    if isinstance(told, str):
        return name_bytes_spelled(told)
    if isinstance(told, dict):
        return {name: spelled(part) for name, part in told.items()}
    return [spelled(part) for part in told] if isinstance(told, list | tuple) else told


class Told(JSONResponse):
    """JSON in which a byte of a file name that is not UTF-8 stands as "\\xe9"."""

    def render(self, content: Any) -> bytes:
        return super().render(spelled(content))


def make_app(runs: list[ServedRun], host: str = "127.0.0.1", keep: Path | None = None) -> Callable:
    """The application of some runs; with `keep` every question and its answer are written into that folder.

    `host` is what the server listens at: a name that stands there may be asked for.
    """
    by_name = {served.name: served for served in runs}
    lanes = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in LANES}
    waiting = {"search": 0, "samples": 0, "scenes": 0}
    kept = lru_cache(KEPT_SAMPLES)(lambda name, m, row, written: describe_sample(by_name[name], m, row))

    async def compute(lane: str, work: Callable, *arguments) -> Any:
        """What `work` returns, in the lane's thread, behind all that wait there."""
        if waiting[lane] >= MOST_WAITING:
            raise HTTPException(503, "too many wait already; ask again in a minute")
        waiting[lane] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(lanes[lane], partial(work, *arguments))
        finally:
            waiting[lane] -= 1

    def run_of(request: Request) -> ServedRun:
        name = request.path_params["run"]
        if name not in by_name:
            raise HTTPException(404, "no such run is served here")
        return by_name[name]

    def sample(name: str, m: str, row: int) -> dict[str, Any]:
        """What was shown before, unless the file was written since, has gone or has come back."""
        return kept(name, m, row, when_written(by_name[name], m, row))

    def sample_in(request: Request) -> tuple[str, int]:
        m, row = request.path_params["letter"], request.path_params["row"]
        return m, int(row) if re.fullmatch(r"\d{1,9}", row) else -1

    async def page(request: Request) -> Response:
        name, kind = PAGE[request.url.path]
        return Response(page_file(name), media_type=kind, headers={"cache-control": "no-cache"})

    async def list_runs(request: Request) -> Response:
        return Told({"runs": [describe_run(served) for served in runs], "kept": keep is not None})

    async def show_sample(request: Request) -> Response:
        found = await compute("samples", sample, run_of(request).name, *sample_in(request))
        return Told(found, headers={"cache-control": "no-store"})

    async def play_sample(request: Request) -> Response:
        content, kind = await compute("samples", sound_of, run_of(request), *sample_in(request))
        return part_of(content, kind, request.headers.get("range", ""))

    async def search(request: Request) -> Response:
        served, given = run_of(request), request.query_params
        to, k, scene = given.get("to", ""), given.get("k", "10"), given.get("scene")
        if not re.fullmatch(r"\d{1,4}", k):
            raise InputError("k: a whole number of results")
        with question_folder() as folder:
            question = await read_question_of(request, folder)
            found = await compute("search", answer, served, question, to, int(k), scene)
            if keep is not None:
                try:
                    await compute("samples", keep_question, keep, served.name, question, found["to"], found)
                except InputError as error:  # a full disk: what was found is told all the same
                    tell(f"error: {error}")
                    found["remarks"] = [*found["remarks"], "this could not be kept"]
        return Told(found, headers={"cache-control": "no-store"})

    async def show_scene(request: Request) -> Response:
        served = run_of(request)
        with question_folder() as folder:
            path = await receive(request, folder)
            return Told(await compute("scenes", open_scene, served, path))

    sample_route = "/api/{run}/{what}/{letter}/{row}"
    routes = [Route(path, page) for path in PAGE]
    routes += [
        Route("/api/runs", list_runs),
        Route(sample_route.replace("{what}", "sample"), show_sample),
        Route(sample_route.replace("{what}", "sound"), play_sample),
        Route("/api/{run}/search", search, methods=["POST"]),
        Route("/api/{run}/scene", show_scene, methods=["POST"]),
    ]
    handlers = {HTTPException: tell_refusal, InputError: tell_bad_input, FloatingPointError: tell_bad_input}
    handlers |= {ClientDisconnect: tell_bad_input, Exception: tell_failure}
    app = Starlette(routes=routes, exception_handlers=handlers)
    for served in runs:
        lanes["samples"].submit(warm_up, served)
    return guard(app, own_names(host))


def part_of(content: bytes, kind: str, asked: str) -> Response:
    """The bytes that a `Range` header asks for ("bytes=0-1"), without which Safari plays nothing; else all of them."""
    size, headers = len(content), {"cache-control": "no-store", "accept-ranges": "bytes"}
    match = re.fullmatch(r"bytes=(?=.*\d)(\d{0,18})-(\d{0,18})", asked.strip())
    if match is None:  # none, or several ranges, which nobody has to answer
        return Response(content, media_type=kind, headers=headers)
    begin, end = match.groups()
    first = int(begin) if begin else max(size - int(end), 0)  # "-9" are the last nine
    last = min(int(end), size - 1) if begin and end else size - 1
    if first > last:
        raise HTTPException(416, f"the sound has {size} bytes", {"content-range": f"bytes */{size}"})
    headers |= {"content-range": f"bytes {first}-{last}/{size}"}
    return Response(content[first : last + 1], 206, headers, kind)


def page_file(name: str) -> str:
    """A file of the page, which the package carries."""
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


# ---- what is sent ---------------------------------------------------------------------------------------------------


@contextmanager
def question_folder() -> Iterator[Path]:
    """A temporary folder for what is sent; refuses the request where there can be none."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="cmir-ref-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_room(error) from error
    with folder as path:
        yield Path(path)


def no_room(error: OSError) -> HTTPException:
    """What a request is told, and the terminal, where the temporary folder is full or has gone."""
    reason = error.strerror or type(error).__name__
    tell(f"error: {tempfile.gettempdir()}: {reason}; what is sent to the page is kept there (TMPDIR)")
    return HTTPException(507, f"the server cannot keep what was sent ({reason})")


async def read_question_of(request: Request, folder: Path) -> Question:
    """The question in a request: words or a sample of the run as JSON, or else a file, kept in `folder`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        modality = request.query_params.get("from") or None
        return Question(path=await receive(request, folder), modality=modality)
    path = await receive(request, folder, MOST_WORDS, "a question in words")
    try:
        given = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputError("the question is no JSON") from None
    given = given if isinstance(given, dict) else {}
    item = given.get("item")
    if item is not None:
        match = re.fullmatch(r"([a-z])\.(\d{1,9})", item) if isinstance(item, str) else None
        if match is None:
            raise InputError("item: a letter and a number, such as a.17")
        return Question(item=(match[1], int(match[2])))
    words = [given.get(name, "") for name in ("sentence", "keywords")]
    if not all(isinstance(word, str) for word in words):
        raise InputError("sentence and keywords are texts")
    return Question(*(word.encode("utf-8", "replace").decode() for word in words))


async def receive(request: Request, folder: Path, most: int = MOST_BYTES, what: str = "a file") -> Path:
    """The body of a request as a file in `folder`; refused as soon as it is too large or takes too long."""
    too_large = HTTPException(413, f"{what} of more than {most / 2**20:.3g} MiB; send a smaller one")
    length = request.headers.get("content-length", "0")
    if not re.fullmatch(r"\d{1,20}", length) or int(length) > most:
        raise too_large
    path, size = folder / "query", 0
    try:
        async with asyncio.timeout(PATIENCE):
            with open(path, "wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > most:
                        raise too_large
                    file.write(chunk)
    except TimeoutError:
        raise HTTPException(408, f"not all of it came within {PATIENCE} s") from None
    except OSError as error:
        raise no_room(error) from error
    return path


def keep_question(folder: Path, run: str, question: Question, to: str, found: dict) -> None:
    """Writes a question and what it found, and its file, if it was one."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.perf_counter_ns() % 10**9:09d}"
    given = {"run": run, "to": to, "sentence": question.sentence, "keywords": question.keywords, "item": question.item}
    if question.path is not None:
        (path,) = question.path.parent.iterdir()  # it was given the suffix of its content
        write_whole(folder / f"{name}{path.suffix}", path.read_bytes())
        given["file"] = f"{name}{path.suffix}"
    hits = [{n: hit[n] for n in ("rank", "letter", "row", "name", "distance")} for hit in found["hits"]]
    write_whole(
        folder / f"{name}.json", json.dumps({**given, "from": found["query"]["letter"], "hits": hits}, indent=1)
    )


# ---- who may ask ----------------------------------------------------------------------------------------------------


def own_names(host: str) -> set[str]:
    """Names, in lower case, by which this machine may be asked for, beside addresses in numbers."""
    return {"localhost", host.lower(), socket.gethostname().lower()}


def guard(app: Callable, names: set[str]) -> Callable:
    """The application behind the checks that hold for every request, and with the headers of every answer."""

    async def guarded(scope, receive, send):
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = message | {"headers": [*message.get("headers", ()), *extra]}
            await send(message)

        reason = why_not(headers, names)
        if reason is None:
            await app(scope, receive, send_with_headers)
        else:
            await Told({"error": reason}, 403)(scope, receive, send_with_headers)

    return guarded


def why_not(headers: dict[str, str], names: set[str]) -> str | None:
    """Why a request is not answered, or None: it asks for another machine, or comes from the page of another one."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if not is_own(host, names):
        return "this server answers to its own address only"
    if origin is not None and urlsplit(origin).netloc != host:
        return "a page of another origin may not ask here"
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
    if site not in ("none", "same-origin") and mode != "navigate":
        return "a page of another origin may not ask here"
    return None


def is_own(host: str, names: set[str]) -> bool:
    """Whether a `Host` header is an address in numbers, which no foreign name can lead to, or one of `names`."""
    with suppress(ValueError):
        name = urlsplit(f"//{host}").hostname or ""
        if name in names:
            return True
        ipaddress.ip_address(name)
        return True
    return False


# ---- what is told of failures ---------------------------------------------------------------------------------------


async def tell_refusal(request: Request, error: HTTPException) -> Response:
    """A request that is refused as such, in one line."""
    return Told({"error": error.detail}, error.status_code, headers=error.headers)


async def tell_bad_input(request: Request, error: Exception) -> Response:
    """What is wrong with a question, in one line without folders of this machine."""
    return Told({"error": line_for_page(str(error))}, 422)


async def tell_failure(request: Request, error: Exception) -> Response:
    """An error of this program: the page is told so, the terminal where."""
    print("".join(traceback.format_exception(error)), file=sys.stderr)
    return Told({"error": f"this should not have happened ({type(error).__name__}); please report it"}, 500)


def line_for_page(text: str) -> str:
    """An error of the package as the page shows it: a file that was sent has no name, and the command line no place."""
    text = re.sub(r"\S*cmir-ref-\w+[/\\]query(\.\w+)?", "your file", " ".join(text.split()))
    return name_only(text.replace("; give --from", ""))


# ---- serving --------------------------------------------------------------------------------------------------------


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens at `host`, at a free port by default; raises `InputError` where it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        where = host if port is None else f"{host}:{port}"
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{where}: cannot be listened at ({reason}); give another --host or --port") from error
    listener.listen(128)
    return listener


def address_of(listener: socket.socket) -> str:
    """Where the page is: "http://127.0.0.1:8123/"."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def open_keep(folder: str | Path) -> Path:
    """The folder of questions that are kept, made where it is not there; raises `InputError` where it cannot be."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    return Path(folder)


def answer_requests(app: Callable, listener: socket.socket) -> None:
    """Answers until an interruption. `tell_failure` has said what uvicorn would say again."""
    import uvicorn

    quiet = {"log_level": "critical", "access_log": False, "server_header": False}
    limits = {"http": "h11", "h11_max_incomplete_event_size": 2**14, "limit_concurrency": 500, "timeout_keep_alive": 5}
    settings = uvicorn.Config(app, lifespan="off", ws="none", timeout_graceful_shutdown=2, **quiet, **limits)
    try:
        uvicorn.Server(settings).run(sockets=[listener])
    finally:
        end_threads()  # nobody waits for what is still computed
