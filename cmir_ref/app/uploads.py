"""What an upload is, by its first bytes: it has no name here, and no reader is chosen by one."""

import gzip
import re
import zlib
from contextlib import suppress
from pathlib import Path

from ..errors import InputError

PICTURES = {  # by how a file begins: suffix of the format
    rb"\x89PNG\r\n\x1a\n": ".png",
    rb"\xff\xd8\xff": ".jpg",
    rb"GIF8[79]a": ".gif",
    rb"BM.{8}": ".bmp",
    rb"II\*\x00|MM\x00\*": ".tif",
    rb"RIFF.{4}WEBP": ".webp",
}
SOUNDS = {
    rb"RIFF.{4}WAVE": ".wav",
    rb"fLaC": ".flac",
    rb"OggS": ".ogg",
    rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]": ".mp3",
    rb"FORM.{4}AIF[FC]": ".aiff",
    rb"\.snd": ".au",
    rb"caff": ".caf",
}
ACCEPTED = "a picture (PNG, JPEG, GIF, BMP, TIFF, WebP, SVG) or a sound (WAV, FLAC, Ogg, MP3, AIFF)"


def suffix_by_content(path: str | Path) -> str:
    """The suffix of the format that a file's content begins like; raises `InputError` for any other format."""
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        raise InputError("your file is empty")
    for pattern, suffix in (PICTURES | SOUNDS).items():
        if re.match(pattern, start, re.DOTALL):
            return suffix
    packed = start.startswith(b"\x1f\x8b")
    if packed:
        with suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
            start = file.read(512)
    if re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|!--|!DOCTYPE\s+svg|svg|[a-z]+:svg)", start):
        return ".svgz" if packed else ".svg"
    raise InputError(f"your file is neither: it must be {ACCEPTED}")


def name_only(line: str) -> str:
    """A line without folders of this machine: of each path its last name is left."""
    return re.sub(r"(?<![\w/.])(?:[A-Za-z]:)?(?:[/\\][^/\\\s:'\"]+)+[/\\]([^/\\\s:'\"]*)", r"\1", line)
