"""What all pages share: the templates, how a file is written, how a direction is called."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ..contract import DIRECTIONS
from ..records import Run


@cache
def environment():
    """The templates of this package; values are escaped, and a missing one is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("cmir_ref.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    return found


def write_page(path: Path, content: str | bytes) -> Path:
    """Writes `content` to `path`, whole or not at all, and returns `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def direction_names(run: Run, directions: Iterable[str] = DIRECTIONS) -> dict[str, str]:
    """ "a->b" to "pan → mul", "a->ab" to "pan → pan or mul"."""
    modalities = run.dataset.modalities
    return {
        direction: " → ".join(" or ".join(modalities[m].name for m in side) for side in direction.split("->"))
        for direction in directions
    }
