"""What an experiment of a replication holds: tables, figures, judgements of claims, a text.

The text is a template, `templates/replication/<name>.md`, that says where they stand: a line `[table NAME]` is a table,
and `![caption](NAME.png)` a figure.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from .pages import environment
from .scores import Score, number


class Line(NamedTuple):
    """A row of a table: one text for each of its `head`; a figure or a text under the key of each of its columns."""

    about: tuple[str, ...]
    scores: dict[str, Score]
    printed: str = "–"  # as the paper has it, in per cent
    texts: dict[str, str] = {}  # noqa: RUF012 - never changed
    command: str = ""  # that gives the first seed's figures


class Table(NamedTuple):
    """Rows under the columns `head` …, and `columns` …, {key: what stands above it}.

    What the paper printed stands before the first of `columns`, and the difference of the two after it.
    """

    head: tuple[str, ...]
    columns: dict[str, str]
    lines: tuple[Line, ...]


class Figure(NamedTuple):
    """A plot under a file name without suffix: as text for HTML, as bytes of a PNG for Markdown."""

    name: str
    svg: str
    png: bytes


class ClaimJudgement(NamedTuple):
    """What became of a claim of the paper."""

    section: str  # of the paper: "4.1"
    claim: str
    outcome: str  # "reproduced", "not reproduced", "depends on …", or "not measured"
    rule: str  # which number has to be how
    numbers: str  # in every case
    extremes: str  # the smallest and the largest of them


class Experiment(NamedTuple):
    """One table or figure of the paper, replicated."""

    name: str  # as on the command line: "table1"
    tables: dict[str, Table]
    figures: tuple[Figure, ...] = ()
    judgements: tuple[ClaimJudgement, ...] = ()
    facts: dict[str, Any] = {}  # noqa: RUF012 - what its template is given
    galleries: dict[str, Sequence[Any]] = {}  # noqa: RUF012 - title: rows of `gallery.cards`, as JSON holds them
    settings: dict[str, str] = {}  # noqa: RUF012 - what was run under which settings: {world: TOML}
    text: str = ""  # its template, filled in
    command: str = ""
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """The first line of its text."""
        return markdown_blocks(self.text)[0].content


class Block(NamedTuple):
    """A part of an experiment's text."""

    kind: str  # "title", "heading", "paragraph", "list", "table" or "figure"
    content: Any  # a text; of a list its items; of a table its name; of a figure (caption, name)


def points(table: Table, line: Line) -> float | None:
    """The first column less the (first) printed figure, in points of per cent; None where either is no number."""
    score = line.scores.get(next(iter(table.columns)))
    if not line.printed[0].isdigit() or score is None or score.mean is None:
        return None
    return 100 * score.mean - float(line.printed.split(" / ")[0])


def has_printed(table: Table) -> bool:
    """Whether the paper has figures for any row."""
    return any(line.printed != "–" for line in table.lines)


def header(table: Table) -> tuple[str, ...]:
    """The names of a table's columns."""
    first, *others = table.columns.values()
    return (*table.head, *(("printed, %", first, "difference") if has_printed(table) else (first,)), *others)


def cells_of_row(table: Table, line: Line) -> tuple[str, ...]:
    """What stands in a row, under `header`."""
    first, *others = (str(line.scores[key]) if key in line.scores else line.texts[key] for key in table.columns)
    compared = (line.printed, first, number(points(table, line), "+.2f")) if has_printed(table) else (first,)
    return (*line.about, *compared, *others)


def commands(table: Table) -> list[tuple[str, str]]:
    """(rows, command) of each command of a table, rows of the same command together."""
    rows: dict[str, list[str]] = {}
    for line in table.lines:
        if line.command:
            rows.setdefault(line.command, []).append(", ".join(line.about))
    return [("; ".join(abouts), command) for command, abouts in rows.items()]


@cache
def _texts():
    """The templates of running text, of which nothing is escaped."""
    texts = environment().overlay(autoescape=False)
    texts.filters = texts.filters | {"number": number}
    return texts


def render_text(name: str, facts: Mapping[str, Any]) -> str:
    """The running text of the experiment `name`; a missing fact is an error."""
    return _texts().get_template(f"replication/{name}.md").render(facts)


def markdown_blocks(text: str) -> list[Block]:
    """The parts of a text, which empty lines separate."""
    return [_block(part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _block(part: str) -> Block:
    """One part: its first characters say what it is."""
    if figure := re.fullmatch(r"!\[(.*)\]\((.*)\.png\)", part, re.DOTALL):
        return Block("figure", (" ".join(figure[1].split()), figure[2]))
    if table := re.fullmatch(r"\[table (.*)\]", part):
        return Block("table", table[1])
    if part.startswith("- "):
        return Block("list", [" ".join(item.split()) for item in re.split(r"^- ", part, flags=re.MULTILINE)[1:]])
    mark, kind = next(m for m in (("## ", "heading"), ("# ", "title"), ("", "paragraph")) if part.startswith(m[0]))
    return Block(kind, " ".join(part.removeprefix(mark).split()))
