"""Markdown: lists, tables, and the part of a file that a command writes, between marks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError
from ..files import write_whole


def bullets(items: Iterable[str]) -> str:
    """A list of lines that are Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A table of which the first `texts` columns are words, the others figures."""
    lines = [head, ["---" if i < texts else "--:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def folded(summary: str, text: str) -> str:
    """Markdown that is seen once its summary is opened."""
    return f"<details><summary>{one_line(summary)}</summary>\n\n{text}\n\n</details>"


def one_line(text: str) -> str:
    """One line that is no markup."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")


def split_at_marks(path: str | Path, name: str = "results") -> tuple[str, str]:
    """What stands before and after the part of a Markdown file that a command writes, between `<!-- name -->` and
    `<!-- /name -->`; raises `InputError` where it has none."""
    first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    try:
        text = Path(path).read_text(encoding="utf-8")
        before, rest = text.split(first)
        _, after = rest.split(last)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: not one part between {first.strip()} and {last}") from error
    return before + first, last + after


def write_between_marks(path: str | Path, part: str, name: str = "results") -> None:
    """Puts `part` between a Markdown file's marks; its lines end as they did (Windows has CR LF)."""
    before, after = split_at_marks(path, name)
    ends = "\r\n" if b"\r\n" in Path(path).read_bytes() else "\n"
    write_whole(path, "\n\n".join([before.rstrip("\n"), part, after]).replace("\n", ends))
