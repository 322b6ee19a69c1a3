"""What a page must bear: each request is answered clearly, and the page is alive after each."""

import gzip
import io
import resource
import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">%b</svg>'
LINE = b'<path d="M1 1L8 8" stroke="black"/>'


def png_of(width, height, rows=b""):
    """A PNG that says it is so large, whatever follows."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def image(kind, pixels=None, **given):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8) if pixels is None else pixels).save(stream, kind, **given)
    return stream.getvalue()


def wav(samples=b"", rate=16000, channels=1, claimed=None):
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    size = len(samples) if claimed is None else claimed
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + head + b"data" + struct.pack("<I", size) + samples


TONE = (8000 * np.sin(np.arange(8000) / 9)).astype("<i2").tobytes()
BLANK = image("PNG", np.full((64, 64), 255, np.uint8))
FILES = {  # run, content, as, what is said of it
    "nothing at all": ("drawn", b"", "", "empty"),
    "a text": ("drawn", b"hello, server", "", "neither"),
    "a program": ("drawn", b"\x7fELF" + bytes(999), "", "neither"),
    "a zip": ("drawn", b"PK\x03\x04" + bytes(99), "", "neither"),
    "a zip bomb of text": ("drawn", gzip.compress(bytes(10**7)), "", "neither"),
    "a page": ("drawn", b"<html><script>alert(1)</script></html>", "", "neither"),
    "PostScript": ("drawn", b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run", "a", "neither"),
    "a pickle": ("vectors", b"\x80\x04\x95cos\nsystem\n", "a", "neither"),
    "a picture cut in half": ("drawn", image("PNG", np.random.default_rng(0).integers(0, 255, (64, 64, 3),
        np.uint8))[:2000], "a", "damaged"),
    "a head of a picture": ("drawn", b"\xff\xd8\xff\xe0", "a", "your file"),
    "a pixel bomb": ("drawn", png_of(60_000, 60_000), "a", "too large"),
    "a pixel bomb for the drawing": ("drawn", png_of(12_000, 12_000), "b", "too large"),
    "a larger pixel bomb": ("drawn", png_of(2**31 - 1, 2**31 - 1), "b", "your file"),
    "a picture without pixels": ("drawn", png_of(0, 0), "a", "your file"),
    "a long thin picture": ("drawn", png_of(200_000, 1), "a", "too large"),
    "a black picture": ("drawn", image("PNG"), "a", "black"),
    "bare paper": ("drawn", BLANK, "b", "empty drawing"),
    "an SVG that links a file": ("drawn", SVG % b'<image xlink:href="file:///etc/passwd" width="9" height="9"/>', "",
    "<image>"),
    "an SVG of entities": ("drawn", b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG % LINE, "", "entities"),
    "an SVG of thousand levels": ("drawn", SVG % (b"<g>" * 5000 + LINE + b"</g>" * 5000), "", "64 elements"),
    "an SVG bomb": ("drawn", gzip.compress(SVG % (b" " * 2**25)), "", "16 MiB"),
    "an SVG with a script": ("drawn", SVG % (b"<script>fetch('/')</script>" + LINE), "", "<script>"),
    "a sound for a picture": ("drawn", wav(TONE), "a", "your file"),
    "a sound where none is asked": ("drawn", wav(TONE), "", "looks like sound"),
    "a picture for a sound": ("spoken", image("PNG"), "b", "not a sound file"),
    "silence": ("spoken", wav(bytes(32000)), "b", "silent"),
    "a click": ("spoken", wav(TONE[:200]), "b", "your file"),
    "a sound without samples": ("spoken", wav(), "b", "empty"),
    "a sound that claims hours": ("spoken", wav(bytes(2000), claimed=2**31), "b", "your file"),
    "a sound of thousand channels": ("spoken", wav(TONE, channels=2000), "b", "your file"),
    "a sound of one sample a second": ("spoken", wav(TONE, rate=1), "b", "hold no speech"),
    "an hour of a file": ("spoken", wav(bytes(2 * 10**7 + 8)), "b", "too long"),
    "a file for vectors": ("vectors", image("PNG"), "a", "cannot be read as features"),
    "a file for sentences": ("written", image("PNG"), "b", "cannot be read as text"),
    "a letter that is none": ("drawn", BLANK, "z", "no modality"),
    "letters that are two": ("drawn", BLANK, "ab", "no modality"),
}  # fmt: skip
WORDS = {
    "no sentence": ({"sentence": "", "keywords": " , ,"}, "nothing is written"),
    "unknown words": ({"sentence": "qwxyz zzyzx"}, "none of its words"),
    "a path for a sentence": ({"sentence": "/etc/passwd"}, "none of its words"),
    "bars and nothing": ({"sentence": "| | |"}, "no words"),
    "a novel": ({"sentence": "forest " * 1000}, "fewer"),
    "numbers for words": ({"sentence": 17}, "are texts"),
    "half a character": ({"sentence": "\ud800"}, "no words"),
    "an item of another shape": ({"item": ["a", 1]}, "such as a.17"),
    "an item that is a path": ({"item": "a.../../etc"}, "such as a.17"),
    "an item beyond the last": ({"item": "a.999999999"}, "no such sample"),
    "an item of no modality": ({"item": "x.1"}, "no modality"),
}


def alive(site):
    found = site.search("drawn", {"item": "b.0"}, to="a", k=1)
    return found.status == 200 and len(found.json["hits"]) == 1 and site.ask("/").status == 200


def check_refusal(site, answer, said, status=422):
    assert answer.status == status, answer
    told = answer.json
    assert list(told) == ["error"] and said in told["error"] and "\n" not in told["error"], told
    assert str(site.root) not in told["error"] and "/tmp" not in told["error"] and "cmir-ref-" not in told["error"]
    assert alive(site)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_is_one_line(site, name):
    run, content, letter, said = FILES[name]
    given = {"as_": letter} if letter else {}
    check_refusal(site, site.search(run, content, to="a", **given), said)


@pytest.mark.parametrize("name", WORDS)
def test_words_that_say_nothing_are_one_line(site, name):
    given, said = WORDS[name]
    check_refusal(site, site.search("written", given, to="a"), said)


@pytest.mark.parametrize("query, said", [
    ("to=z", "no modality"), ("to=ab", "no modality"), ("to=a&k=0", "results"), ("to=a&k=101",
    "results"),
    ("to=a&k=ten", "whole number"), ("to=a&k=-1", "whole number"), ("to=a&k=" + "9" * 5000, "whole number"),
    ("to=a&scene=../../etc/passwd", "give it again"), ("to=%00", "no modality"),
])  # fmt: skip
def test_settings_that_are_none_are_one_line(site, query, said):
    check_refusal(site, site.ask(f"/api/drawn/search?{query}", {"item": "b.0"}), said)


@pytest.mark.parametrize("body", [b"{", b"[" * 30_000, b"null", b'"a"', b"\xff\xfe", b"{}", b"NaN"])
def test_json_that_is_none_is_one_line(site, body):
    answer = site.ask("/api/written/search?to=a", body, headers={"content-type": "application/json"})
    check_refusal(site, answer, "")


@pytest.mark.parametrize("path", [
    "/../../etc/passwd", "/page.js/../../runs.py", "/api/drawn/sample/a/../../../../etc/passwd",
    "/api/%2e%2e/sample/a/0", "/page/index.html",
    "/api/nobody/sample/a/0", "/%00", "/api/drawn/sample/a/0/0", "//etc/passwd", "/.git/config",
])  # fmt: skip
def test_paths_lead_nowhere(site, path):
    check_refusal(site, site.ask(path), "", 404)


@pytest.mark.parametrize("path", ["/api/drawn/sample/a/-1", "/api/drawn/sample/a/99999", "/api/drawn/sample/zz/0",
    "/api/drawn/sample/a/1e9",
                                  "/api/drawn/sound/b/0", "/api/spoken/sound/a/0"])  # fmt: skip
def test_samples_that_are_none_are_one_line(site, path):
    check_refusal(site, site.ask(path), "")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/drawn/search?to=a"])
def test_other_methods_are_refused(site, method, path):
    check_refusal(site, site.ask(path, method=method), "", 405)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "",
    "localhost@evil.example", "[", "127.1.evil",
                                  "evil.example:127.0.0.1"])  # fmt: skip
def test_another_host_is_refused(site, host):
    """A name that somebody else's server leads to this address (DNS rebinding)."""
    check_refusal(site, site.ask("/", headers={"host": host}), "its own address", 403)


@pytest.mark.parametrize("headers", [
    {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"},
    {"origin": "http://127.0.0.1"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
])  # fmt: skip
@pytest.mark.parametrize("path, body", [("/api/drawn/search?to=a", {"item": "b.0"}), ("/api/runs", None)])
def test_another_origin_is_refused(site, headers, path, body):
    check_refusal(site, site.ask(path, body, headers=headers), "another origin", 403)


def test_the_own_origin_is_answered(site):
    own = {"origin": f"http://127.0.0.1:{site.port}", "sec-fetch-site": "same-origin"}
    assert site.ask("/api/drawn/search?to=a", {"item": "b.0"}, headers=own).status == 200
    for host in (f"localhost:{site.port}", f"[::1]:{site.port}", "192.168.7.7"):
        assert site.ask("/", headers={"host": host}).status == 200
    assert site.ask("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status == 200


# ---- on the wire ----------------------------------------------------------------------------------------------------


def raw(site, content, *, cut=False, wait=20.0):
    """All that comes back for bytes on the wire, until the server closes; with `cut` nobody waits for it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=wait) as link:
        try:
            link.sendall(content)
            if cut:
                return b""
            link.shutdown(socket.SHUT_WR)
            while part := link.recv(4096):
                answer += part
        except TimeoutError:
            raise
        except OSError:  # the server has closed: what it said before counts
            pass
    return answer or b"closed"


def post(site, *lines, body=b""):
    head = [f"POST /api/drawn/search?to=a HTTP/1.1\r\nHost: 127.0.0.1:{site.port}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def test_more_than_fifty_megabytes_are_refused_before_they_are_sent(site):
    answer = raw(site, post(site, "Content-Length: 52428801", body=b"x" * 10))
    assert b" 413 " in answer and b"50 MiB" in answer and alive(site)
    assert b" 413 " in raw(site, post(site, f"Content-Length: {10**19}")) and alive(site)


def test_an_endless_upload_is_cut(site):
    part = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as link:
        link.sendall(post(site, "Transfer-Encoding: chunked"))
        try:
            for _ in range(60):
                link.sendall(part)
            answer = link.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            answer = b"closed"
    assert b" 413 " in answer or answer == b"closed"
    assert alive(site)


@pytest.mark.parametrize("content", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\x00" * 5000, b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: v\r\n" % i for i in range(20_000)) + b"\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    b"POST /api/drawn/search?to=a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/drawn/search?to=a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
], ids=range(11))  # fmt: skip
def test_what_is_no_request_is_refused(site, content):
    answer = raw(site, content)
    assert answer == b"closed" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 500")) or answer == b"", answer[:200]
    assert b" 500 " not in answer and alive(site)


@pytest.mark.parametrize("lines", [("Content-Length: 5000",), ("Transfer-Encoding: chunked",)])
def test_half_an_upload_is_dropped(site, lines):
    for _ in range(5):
        raw(site, post(site, *lines, body=b"ff\r\n\x89PNG"), cut=True)
        raw(site, post(site, *lines, body=b"ff\r\n\x89PNG"))
    assert alive(site)


def test_who_sends_nothing_keeps_nobody_waiting(site):
    links = [socket.create_connection(("127.0.0.1", site.port), timeout=20) for _ in range(60)]
    try:
        for link in links:
            link.sendall(post(site, "Content-Length: 100")[:-30])
        assert alive(site)
    finally:
        for link in links:
            link.close()
    assert alive(site)


def test_bombs_do_not_fill_the_memory(site):
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = peak()
    for name in (
        "a pixel bomb",
        "a pixel bomb for the drawing",
        "an SVG bomb",
        "a zip bomb of text",
        "a sound that claims hours",
    ):
        run, content, letter, _ = FILES[name]
        assert site.search(run, content, to="a", **({"as_": letter} if letter else {})).status == 422
    assert peak() - before < 150, "MiB"
