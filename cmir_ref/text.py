"""Text files that people saved with whatever editor they have, and words for what people are told."""

import codecs
from pathlib import Path

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_text(path: str | Path) -> str:
    """A text file in UTF-8, or in UTF-16 where its byte-order mark says so, without that mark.

    Notepad and PowerShell write such marks. Raises `OSError` and `UnicodeDecodeError` as `Path.read_text` does.
    """
    content = Path(path).read_bytes()
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding).replace("\r\n", "\n")


def count_of(count: int, one: str, many: str = "") -> str:
    """ "1 image", "2 images"; `many` where it is not made by an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
