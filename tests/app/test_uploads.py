"""What an upload is, by its first bytes, and what is told of paths and addresses."""

import gzip
from types import SimpleNamespace

import pytest

from cmir_ref.app.uploads import name_only, suffix_by_content
from cmir_ref.errors import InputError

STARTS = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff\xe0": ".jpg",
    b"GIF87a": ".gif",
    b"GIF89a": ".gif",
    b"BM\n\x00\x00\x00\x00\x00\x00\x00": ".bmp",  # any size, also one that holds the end of a line
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
    b"RIFF\n\x00\x00\x00WEBP": ".webp",
    b"RIFF\n\x00\x00\x00WAVE": ".wav",
    b"fLaC": ".flac",
    b"OggS": ".ogg",
    b"ID3\x04": ".mp3",
    **{b"\xff" + bytes([version]): ".mp3" for version in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB)},  # frames without tags
    b"FORM\x00\x00\x00\nAIFF": ".aiff",
    b"FORM\x00\x00\x00\nAIFC": ".aiff",
    b".snd": ".au",
    b"caff": ".caf",
    b'<?xml version="1.0"?><svg/>': ".svg",
    b"\xef\xbb\xbf <svg/>": ".svg",
    b"\n<!-- made by hand --><svg/>": ".svg",
    b"<!DOCTYPE svg PUBLIC>": ".svg",
    b"<s:svg/>": ".svg",
    gzip.compress(b"<svg/>"): ".svgz",
}
OTHERS = [
    *(b"RIFF\x00\x00\x00\x00AVI ", b"FORM\x00\x00\x00\x00ILBM", b"GIF88a", b"\xff\xf1", b" OggS"),
    *(b"<html>", b"<!DOCTYPE html>", gzip.compress(b"<html>"), gzip.compress(b"<svg/>")[:12]),
]


@pytest.mark.parametrize(("start", "suffix"), STARTS.items())
def test_a_format_is_known_by_how_a_file_begins(start, suffix, tmp_path):
    (tmp_path / "query").write_bytes(start)
    assert suffix_by_content(tmp_path / "query") == suffix


@pytest.mark.parametrize("start", OTHERS)
def test_any_other_format_is_refused(start, tmp_path):
    (tmp_path / "query").write_bytes(start)
    with pytest.raises(InputError, match="your file is neither: it must be a picture"):
        suffix_by_content(tmp_path / "query")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/home/me/data/x.png: not an image", "x.png: not an image"),
        (r"C:\Users\me\x.png: not an image", "x.png: not an image"),
        ("'/srv/a/b' and /srv/c/d.mat:17", "'b' and d.mat:17"),
        ("a/b/c.png, 3 km/h and 1/2", "a/b/c.png, 3 km/h and 1/2"),  # what names no folder of the machine
        ("/x.png", "/x.png"),
    ],
)
def test_of_a_path_its_last_name_is_told(line, told):
    assert name_only(line) == told


@pytest.mark.parametrize(
    ("at", "address"),
    [
        (("127.0.0.1", 8123), "http://127.0.0.1:8123/"),
        (("0.0.0.0", 80), "http://127.0.0.1:80/"),  # everywhere: the page is opened on this machine
        (("::", 80, 0, 0), "http://[::1]:80/"),
        (("fe80::1", 80, 0, 0), "http://[fe80::1]:80/"),
    ],
)
def test_where_the_page_is(at, address):
    pytest.importorskip("starlette")
    from cmir_ref.app.server import address_of

    assert address_of(SimpleNamespace(getsockname=lambda: at)) == address
