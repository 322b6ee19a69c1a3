"""A server of tiny runs, in this process, at a free port."""

import http.client
import json
import threading
from pathlib import Path
from typing import NamedTuple

import app_runs
import pytest


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self):
        return json.loads(self.body)


class Site(NamedTuple):
    """Where the page is, and the files and runs behind it."""

    port: int
    root: Path
    names: dict[str, str]

    def ask(self, path, body=None, method=None, headers=None) -> Answer:
        """A request: JSON for a dictionary, a file for bytes."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {"content-type": "application/json"} | headers
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request(method or ("GET" if body is None else "POST"), path, body, headers)
            answer = link.getresponse()
            return Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        finally:
            link.close()

    def search(self, run, body, **given) -> Answer:
        words = "&".join(f"{'from' if name == 'as_' else name}={value}" for name, value in given.items())
        return self.ask(f"/api/{run}/search?{words}", body)


@pytest.fixture(scope="session")
def served_runs(tmp_path_factory):
    """(folder of all files, run folders by name)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMIR_CACHE", str(tmp_path_factory.mktemp("cache")))
        root = tmp_path_factory.mktemp("served")
        made = (app_runs.train_drawn, app_runs.train_spoken, app_runs.train_written, app_runs.train_features)
        return root, {path.name: path for path in (train(root) for train in made)}


@pytest.fixture(scope="session")
def start_site():
    """A function that serves runs: (folders, host, keep) -> port. All end with the session."""
    uvicorn = pytest.importorskip("uvicorn")
    from cmir_ref.app.served import name_runs, serve_run
    from cmir_ref.app.server import listen, make_app

    servers = []

    def start(folders, keep=None):
        app = make_app([serve_run(path, name) for path, name in name_runs(folders)], keep=keep)
        listener = listen("127.0.0.1", None)
        given = {"http": "h11", "h11_max_incomplete_event_size": 2**14, "lifespan": "off", "ws": "none"}
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, **given))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return listener.getsockname()[1]

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(5)


@pytest.fixture(scope="session")
def site(served_runs, start_site):
    root, folders = served_runs
    return Site(start_site(folders.values()), root, {name: str(path) for name, path in folders.items()})
