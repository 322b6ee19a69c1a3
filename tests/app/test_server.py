"""The page's server: what it tells of runs, that it finds what `retrieve` finds, and what it keeps to itself."""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cmir_ref import load_run, retrieve
from cmir_ref.app import server
from cmir_ref.places import locate
from cmir_ref.ranking import items_of, rank
from cmir_ref.records import Items
from cmir_ref.search import text_query

pytest.importorskip("starlette")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "cmir_ref" / "app" / "page"


def first(folder, pattern="*"):
    return sorted(path for path in Path(folder).rglob(pattern) if path.is_file())


def names(found):
    return [(hit["letter"], hit["name"], hit["distance"]) for hit in found.json["hits"]]


def retrieved(site, run, query, to, **given):
    return [(hit.modality, hit.id, hit.distance) for hit in retrieve(load_run(site.names[run]), query, to, **given)]


# ---- the page -------------------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_of_this_server_alone(site):
    for path, kind in {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"}.items():
        answer = site.ask(path)
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        text = answer.body.decode()
        assert not [
            u for u in re.findall(r"(?:https?:)?//[\w.]+", text) if "www.w3.org" not in u and kind != "text/javascript"
        ]
        assert not re.search(
            r"https?://|@import|url\(|eval\(|innerHTML|localStorage|cookie",
            text.replace("http://www.w3.org/2000/svg", ""),
        )
    assert set(re.findall(r'(?:src|href)="(/[^"]*)"', site.ask("/").body.decode())) == {"/page.css", "/page.js"}


def test_what_the_page_must_know_of_runs(site):
    told = site.ask("/api/runs").json
    assert told["kept"] is False and [run["name"] for run in told["runs"]] == ["drawn", "spoken", "written", "vectors"]
    drawn, spoken, written, vectors = told["runs"]
    assert drawn["title"] == "photo ↔ sketch" and [m["kind"] for m in spoken["modalities"]] == ["image", "sound"]
    assert spoken["modalities"][0]["to"] == ["a", "b", "all"] and written["modalities"][0]["to"] == ["b"]
    assert written["words"] and all("|" not in text for text in written["words"]) and not spoken["words"]
    assert [m["locates"] for m in written["modalities"]] == [False, True]
    assert [m["locates"] for m in vectors["modalities"]] == [False, False]
    for run in told["runs"]:
        for m in run["modalities"]:
            points = run["plane"]["points"][m["letter"]]
            assert len(points["x"]) == len(points["y"]) == len(points["rows"]) == m["count"]


def test_a_sample_is_shown_and_heard(site):
    for run, m in (("drawn", "a"), ("drawn", "b"), ("spoken", "b")):
        told = site.ask(f"/api/{run}/sample/{m}/0").json
        assert told["labels"] and told["pictures"][0]["uri"].startswith("data:image/") and not told["note"]
        assert told["sound"] == (run == "spoken")
    sound = site.ask("/api/spoken/sound/b/0")
    assert sound.status == 200 and sound.headers["accept-ranges"] == "bytes"
    assert sound.headers["content-type"] == "audio/wav" and sound.body[:4] == b"RIFF"
    assert site.ask("/api/drawn/sound/a/0").status == 422
    assert site.ask("/api/vectors/sample/a/0").json["pictures"] == []


WHOLE = b"0123456789"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", b"0123456789"),
        ("bytes=0-1", b"01"),
        ("bytes=-3", b"789"),
        ("bytes=-30", b"0123456789"),
        ("bytes=7-99", b"789"),
    ],
)
def test_the_bytes_that_are_asked_for(asked, found):
    answer = server.part_of(WHOLE, "audio/wav", asked)
    assert (answer.body, answer.status_code) == (found, 206 if asked else 200)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=11-12", "bytes=5-4"])
def test_bytes_that_there_are_not(asked):
    from starlette.exceptions import HTTPException

    with pytest.raises(HTTPException) as raised:
        server.part_of(WHOLE, "audio/wav", asked)
    assert raised.value.status_code == 416 and raised.value.headers == {"content-range": "bytes */10"}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-1", 0, 1), ("bytes=10-", 10, -1), ("bytes=-7", -7, -1), ("bytes=40-999999999", 40, -1)],
)
def test_a_part_of_a_sound(site, asked, first, last):
    """Safari asks for the first two bytes, and plays nothing where it gets all."""
    sound = site.ask("/api/spoken/sound/b/0").body
    first, last = first % len(sound), last % len(sound)
    part = site.ask("/api/spoken/sound/b/0", headers={"range": asked})
    assert (part.status, part.body) == (206, sound[first : last + 1])
    assert part.headers["content-range"] == f"bytes {first}-{last}/{len(sound)}"
    assert part.headers["content-type"] == "audio/wav" and part.headers["content-length"] == str(last + 1 - first)


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=0-1,4-5", "seconds=0-1", "bytes=a-b", f"bytes={'9' * 99}-"])
def test_other_ranges_get_all_of_a_sound(site, asked):
    sound = site.ask("/api/spoken/sound/b/0", headers={"range": asked})
    assert sound.status == 200 and sound.body == site.ask("/api/spoken/sound/b/0").body


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=5-4"])
def test_a_range_that_no_sound_has(site, asked):
    size = len(site.ask("/api/spoken/sound/b/0").body)
    refused = site.ask("/api/spoken/sound/b/0", headers={"range": asked})
    assert refused.status == 416 and refused.headers["content-range"] == f"bytes */{size}"


# ---- what is found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run, folder, m, to", [
    ("drawn", "sketches", "b", "a"), ("drawn", "sketches", "b", "b"), ("drawn", "photos/Images", "a", "b"),
    ("spoken", "speech", "b", "a"), ("spoken", "speech", "b", "all"), ("spoken", "places/Images", "a", "b"),
    ("written", "captions/Images", "a", "b"),
])  # fmt: skip
@pytest.mark.parametrize("which", [0, 7, -1])
def test_page_and_command_find_the_same_for_the_same_file(site, run, folder, m, to, which):
    path = first(site.root / folder)[which]
    found = site.search(run, path.read_bytes(), as_=m, to=to, k=10)
    assert found.status == 200, found.body
    assert names(found) == retrieved(site, run, path, to, modality=m)
    assert found.json["query"]["pictures"]


@pytest.mark.parametrize("given", [{"sentence": "There is a beach ."}, {"keywords": "forest, harbor"},
                                   {"sentence": "a piece of forest", "keywords": "many trees"}])  # fmt: skip
def test_page_and_command_find_the_same_for_the_same_words(site, given):
    found = site.search("written", given, to="a", k=7)
    query = text_query(load_run(site.names["written"]), given.get("sentence"), given.get("keywords"))
    assert names(found) == retrieved(site, "written", query, "a", k=7, modality="b")
    assert bool(found.json["remarks"]) == (len(given) > 1), "what the run does not read is said"


def test_a_file_from_outside_is_read_by_its_content_alone(site, tmp_path):
    """A JPEG, a WAV and an SVG under no name; a drawing is told from a photo."""
    photo = first(site.root / "photos" / "Images")[0]
    stream = io.BytesIO()
    Image.open(photo).save(stream, "JPEG")
    (tmp_path / "other.jpg").write_bytes(stream.getvalue())
    found = site.search("drawn", stream.getvalue(), to="b")
    assert found.json["query"]["letter"] == "a" and found.json["query"]["row"] is None
    assert names(found) == retrieved(site, "drawn", tmp_path / "other.jpg", "b", modality="a")
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M1 1L8 8" stroke="black"/></svg>'
    assert site.search("drawn", drawing, to="a").json["query"]["letter"] == "b"
    titled = drawing.replace(b"</svg>", b'<text y="5">plane</text></svg>')
    assert "its text is not drawn" in site.search("drawn", titled, to="a").json["remarks"][0]
    sketch = first(site.root / "sketches")[0].read_bytes()
    assert site.search("drawn", sketch, to="a").json["query"] | {"pictures": 0} == site.search(
        "drawn", sketch, to="a", as_="b"
    ).json["query"] | {"pictures": 0}
    assert site.search("drawn", photo.read_bytes(), to="a", as_="b").json["remarks"] != []


@pytest.mark.parametrize("run, folder, to", [("drawn", "sketches", "a"), ("drawn", "photos/Images", "b"),
                                             ("spoken", "speech", "a"), ("spoken", "places/Images", "b"),
                                             ("written", "captions/Images", "b")])  # fmt: skip
def test_where_nobody_says_what_is_searched_it_is_the_other_sense(site, run, folder, to):
    content = first(site.root / folder)[0].read_bytes()
    found = site.search(run, content, to="")
    assert found.json["to"] == to and names(found) == names(site.search(run, content, to=to))
    assert {hit["letter"] for hit in found.json["hits"]} == {to}


def test_a_result_becomes_the_query(site):
    found = site.search("drawn", {"item": "b.2"}, to="a").json
    row = found["hits"][0]["row"]
    next_one = site.search("drawn", {"item": f"a.{row}"}, to="b").json
    assert next_one["query"]["row"] == row and next_one["query"]["labels"] == found["hits"][0]["labels"]
    again = site.search("drawn", {"item": f"a.{row}"}, to="a").json
    assert row not in [hit["row"] for hit in again["hits"]], "a query does not find itself"
    assert all(hit["right"] == (hit["labels"] == again["query"]["labels"]) for hit in again["hits"])


def test_what_is_marked_as_right_is_what_figures_count(site):
    """An image's own captions, and no others of its class."""
    run = load_run(site.names["written"])
    found = site.search("written", {"item": "a.0"}, to="b", k=99).json
    own = {j for i, j in run.dataset.pairing.tolist() if i == 0}
    assert [hit["right"] for hit in found["hits"]] == [hit["row"] in own for hit in found["hits"]]
    first_wrong = next(hit for hit in found["hits"] if not hit["right"])
    assert found["wrong"]["hit"]["rank"] == first_wrong["rank"] and found["wrong"]["known"]


def row_of(run, m, row):
    """One stored sample as a query: its file read again may be rounded otherwise, alone, than it was among others."""
    return Items({m: np.array([row])}, {m: {name: x[[row]] for name, x in run.encoded[m].items()}})


def test_what_there_is_to_learn_beside_the_results(site):
    found = site.search("drawn", {"item": "b.2"}, to="a", k=3).json
    run = load_run(site.names["drawn"])
    assert len(found["hits"]) == 3 and len(found["point"]) == 2 and len(found["gate"]["values"]) == run.config.d_z
    labels = run.dataset.label_names[run.dataset.modalities["b"].labels[2]]
    everything = retrieve(run, first(site.root / "sketches")[2], "a", k=99, modality="b")
    assert found["query"]["labels"] == [labels]
    wrong = next(hit for hit in everything if labels not in hit.labels)
    _, (distances,) = rank(run, row_of(run, "b", 2), items_of(run, "a", run.config.gallery), 99)  # of what is stored
    assert found["wrong"]["hit"] == {
        "rank": wrong.rank, "distance": float(distances[wrong.rank - 1]), "labels": list(wrong.labels)
    }  # fmt: skip
    assert site.search("spoken", {"item": "b.2"}, to="a").json["gate"] is None
    assert site.search("vectors", {"item": "b.2"}, to="a").json["hits"]


def test_points_lie_where_the_map_says(site):
    plane = site.ask("/api/runs").json["runs"][1]["plane"]["points"]["a"]
    found = site.search("spoken", {"item": "a.5"}, to="a").json
    for sample in [found["query"] | {"point": found["point"]}, *found["hits"]]:
        at = plane["rows"].index(sample["row"])
        assert sample["point"] == pytest.approx([plane["x"][at], plane["y"][at]], abs=2e-4)


def test_places_in_a_large_picture_are_those_of_the_command(site, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (130, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scene.png")
    opened = site.ask("/api/written/scene", (tmp_path / "scene.png").read_bytes()).json
    assert (opened["width"], opened["height"]) == (200, 130)
    located = site.search("written", {"sentence": "a forest"}, to="a", scene=opened["scene"]).json["located"]
    there = locate(load_run(site.names["written"]), tmp_path / "scene.png", "a forest", modality="b")
    assert located["places"] == [json.loads(json.dumps(place._asdict())) for place in there.places]
    assert located["slices"] == there.slices == opened["slices"] and located["picture"].startswith("data:image/png")
    picture = site.search("written", first(site.root / "captions" / "Images")[0].read_bytes(), scene=opened["scene"])
    assert picture.status == 200 and picture.json["located"] is None, "an image's captions have no place in a picture"
    for _ in range(2):
        site.ask("/api/written/scene", (tmp_path / "scene.png").read_bytes())
    gone = site.search("written", {"sentence": "a forest"}, to="a", scene=opened["scene"])
    assert gone.status == 422 and "give it again" in gone.json["error"], "two are kept, not more"


@pytest.mark.parametrize(
    "shape, depth", [((130, 200, 3), np.uint16), ((130, 200, 5), np.uint8), ((5, 130, 200), np.uint16)]
)
def test_large_tiffs_that_pillow_does_not_know_are_read(site, tmp_path, shape, depth):
    pixels = np.random.default_rng(0).integers(1, np.iinfo(depth).max, shape, dtype=depth)
    path = tmp_path / "scene.tif"
    tifffile.imwrite(path, pixels, planarconfig="separate" if shape[0] == 5 else "contig", photometric="minisblack")
    opened = site.ask("/api/written/scene", path.read_bytes()).json
    assert (opened["width"], opened["height"]) == (200, 130)
    located = site.search("written", {"sentence": "a forest"}, to="a", scene=opened["scene"]).json["located"]
    there = locate(load_run(site.names["written"]), path, "a forest", modality="b")
    assert located["places"] == [json.loads(json.dumps(place._asdict())) for place in there.places]


def test_a_large_picture_stands_upright(site):
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    pixels = np.random.default_rng(0).integers(1, 255, (130, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", exif=exif)
    opened = site.ask("/api/written/scene", stream.getvalue()).json
    assert (opened["width"], opened["height"]) == (130, 200)


# ---- what is kept, what is said -------------------------------------------------------------------------------------


def test_nothing_is_kept_unless_asked_for(site, served_runs, start_site, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = {path: path.stat().st_mtime_ns for path in site.root.rglob("*")}
    sketch = first(site.root / "sketches")[0].read_bytes()
    assert site.search("drawn", sketch, to="a").status == 200
    assert {path: path.stat().st_mtime_ns for path in site.root.rglob("*")} == before
    assert list((tmp_path / "temporary").iterdir()) == []

    folder = tmp_path / "kept"
    folder.mkdir()
    keeping = site._replace(port=start_site([site.names["drawn"], site.names["written"]], folder))
    assert keeping.ask("/api/runs").json["kept"] is True
    assert keeping.search("drawn", sketch, to="a").status == 200
    assert keeping.search("written", {"sentence": "a forest"}, to="a").status == 200
    stored = sorted(folder.iterdir(), key=lambda path: path.suffix)
    assert [path.suffix for path in stored] == [".json", ".json", ".png"] and stored[2].read_bytes() == sketch
    told = [json.loads(path.read_text()) for path in stored[:2]]
    assert {t["sentence"] for t in told} == {"", "a forest"} and all(t["hits"] for t in told)


def test_where_nothing_can_be_kept_it_is_said_in_one_line(site, start_site, tmp_path, monkeypatch, capfd):
    """A temporary folder that has gone refuses what is sent; where only --keep's has gone, the answer is told."""
    import shutil
    import tempfile

    sketch = first(site.root / "sketches")[0].read_bytes()
    folder = tmp_path / "kept"
    folder.mkdir()
    keeping = site._replace(port=start_site([site.names["drawn"]], folder))
    shutil.rmtree(folder)
    told = keeping.search("drawn", sketch, to="a")
    assert told.status == 200 and told.json["hits"] and "this could not be kept" in told.json["remarks"]
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        refused = keeping.search("drawn", sketch, to="a")
    assert refused.status == 507 and b"the server cannot keep what was sent (No such file or directory)" in refused.body
    said = capfd.readouterr().err
    assert said.count("\n") == 2 and "Traceback" not in said and f"{tmp_path / 'gone'}: No such file" in said


def test_no_folder_of_the_machine_is_told(site):
    asked = [site.ask("/api/runs"), *(site.ask(f"/api/{run}/sample/{m}/0") for run in site.names for m in "ab")]
    asked += [
        site.search("drawn", b"\x89PNG\r\n\x1a\nbroken", to="a"),
        site.search("spoken", b"RIFF0000WAVEfmt", to="a"),
    ]
    asked += [site.search("spoken", {"item": "b.0"}, to="a"), site.ask("/api/written/scene", b"\x89PNG\r\n\x1a\n")]
    parts = [part for part in site.root.parts if len(part) > 3]
    for answer in asked:
        assert not [part for part in parts if part in answer.body.decode()], answer.body[:300]


def test_two_runs_of_one_name_get_two_tabs(tmp_path):
    from cmir_ref.app.served import name_runs

    paths = [tmp_path / "x" / "demo", tmp_path / "y" / "demo", tmp_path / "y" / "demo", tmp_path / "z"]
    assert [name for _, name in name_runs(paths)] == ["x-demo", "y-demo-1", "y-demo-2", "z"]


def test_names_that_are_no_text_are_spelled(site):
    from cmir_ref.app import server
    from cmir_ref.app.served import name_runs

    told = server.Told({"labels": ["R\udcfcn", ("e\u0301t\udce9",)], "rank": 3, "note": None, "right": True}).body
    assert json.loads(told) == {"labels": ["R\\xfcn", ["e\u0301t\\xe9"]], "rank": 3, "note": None, "right": True}
    assert "JSONResponse(" not in Path(server.__file__).read_text().replace("Told(JSONResponse)", "")
    assert [name for _, name in name_runs(["x/R\udcfcn"])] == ["R\\xfcn"]


def test_samples_are_asked_for_anew(site):
    """A run may be trained again, and served at the same address."""
    for path in ("/api/drawn/sample/a/0", "/api/spoken/sound/b/0"):
        assert site.ask(path).headers["cache-control"] == "no-store"


def test_a_gone_file_leaves_a_note(site, tmp_path, served_runs):
    from cmir_ref.app.describe import describe_sample
    from cmir_ref.app.served import serve_run

    served = serve_run(site.names["drawn"], "drawn")
    images = served.run.dataset.modalities["a"]
    gone = images._replace(paths=tuple(str(tmp_path / "gone" / Path(p).name) for p in images.paths))
    dataset = served.run.dataset._replace(modalities=served.run.dataset.modalities | {"a": gone})
    told = describe_sample(served._replace(run=served.run._replace(dataset=dataset)), "a", 0)
    assert told["note"] == "the file is gone" and told["pictures"] == []


def test_a_file_that_comes_back_or_is_another_is_shown_anew(site, tmp_path):
    path = "/api/drawn/sample/a/1"
    before = site.ask(path).json
    file = Path(load_run(site.names["drawn"]).dataset.modalities["a"].paths[1])
    file.rename(tmp_path / "away")
    try:
        assert site.ask(path).json["note"] == "the file is gone"
        Image.new("RGB", (64, 64), "red").save(file)
        told = site.ask(path).json
        assert told["pictures"] not in ([], before["pictures"]) and told["note"] == "not as the run has read it"
    finally:
        (tmp_path / "away").rename(file)
    assert site.ask(path).json == before


# ---- the command ----------------------------------------------------------------------------------------------------


def command(*words, **given):
    return subprocess.run(
        [sys.executable, "-m", "cmir_ref", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **given,
    )


def test_the_command_says_what_is_wrong_in_one_line(site, tmp_path):
    taken = command("serve", site.names["drawn"], "--port", site.port, "--no-browser")
    assert taken.returncode == 2 and "cannot be listened at" in taken.stderr and taken.stdout == ""
    none = command("serve", tmp_path, "--no-browser")
    assert none.returncode == 2 and "config.toml" in none.stderr
    (tmp_path / "file").touch()
    keep = command("serve", site.names["drawn"], "--no-browser", "--keep", tmp_path / "file")
    assert keep.returncode == 2 and "cannot be written" in keep.stderr
    host = command("serve", site.names["drawn"], "--no-browser", "--host", "no.such.host.invalid")
    assert host.returncode == 2 and "no.such.host.invalid" in host.stderr
    assert all(r.stderr.count("\n") == 1 for r in (taken, none, keep, host))


def test_a_sentence_is_the_title_of_its_page_as_it_stands(site, tmp_path):
    """It is no path whose last part is a name."""
    page = tmp_path / "page.html"
    done = command("retrieve", site.names["written"], "a field and/or a forest", "--to", "a", "--html", page)
    assert done.returncode == 0 and "<title>Nearest to a field and/or a forest</title>" in page.read_text()


def test_a_browser_that_stays_in_the_foreground_gets_its_page(site, tmp_path):
    """As those in a terminal do: nothing is answered by who waits for them to end."""
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport sys, time, urllib.request\n"
        f"page = urllib.request.urlopen(sys.argv[1], timeout=60).read()\n"
        f"open({str(seen)!r}, 'wb').write(page)\ntime.sleep(5)\n"
    )
    browser.chmod(0o755)
    words = [sys.executable, "-m", "cmir_ref", "serve", site.names["drawn"]]
    look = os.environ | {"BROWSER": f"{browser} %s"}
    process = subprocess.Popen(words, cwd=ROOT, env=look, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        until = time.monotonic() + 60
        while not seen.exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(2)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert b"<!doctype html>" in seen.read_bytes().lower() and process.returncode == 130


SLOW = """
import time
from cmir_ref import parallel
from cmir_ref.app import server
from cmir_ref.cli import main
server.warm_up = lambda served: parallel.map_threads(time.sleep, [1] * 60 * parallel.cores())
main()
"""


def test_an_interruption_does_not_wait_for_what_is_still_computed(site):
    words = [sys.executable, "-c", SLOW, "serve", site.names["drawn"], "--no-browser"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\s", process.stdout.readline())[1])
        assert site._replace(port=port).ask("/").status == 200  # it has begun
        process.send_signal(2)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "^C ends it\ninterrupted\n")


def test_nobody_waits_for_what_is_computed_when_the_server_has_ended(monkeypatch):
    ended = []
    monkeypatch.setattr(server, "end_threads", lambda: ended.append(True))
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    server.answer_requests(lambda *asked: None, None)
    assert ended


def test_the_command_serves_until_it_is_interrupted(site):
    words = [sys.executable, "-m", "cmir_ref", "serve", site.names["drawn"], "--no-browser"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", address)[1])
        own = site._replace(port=port)
        assert own.search("drawn", {"item": "b.0"}, to="a").status == 200
        process.send_signal(2)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130 and said.split("\n")[-2] == "interrupted" and "Traceback" not in said
