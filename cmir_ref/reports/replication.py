"""The pages of a replication: what one section holds, and how all of them become HTML, Markdown and CSV."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ..files import write_whole
from .pages import environment


class Score(NamedTuple):
    """One figure in [0, 1] over seeds; values that a run failed to give are None."""

    values: tuple[float | None, ...]

    @property
    def there(self) -> list[float]:
        """The values that there are."""
        return [v for v in self.values if v is not None]

    @property
    def mean(self) -> float | None:
        """Their mean."""
        return sum(self.there) / len(self.there) if self.there else None

    @property
    def sd(self) -> float | None:
        """Their standard deviation (n − 1), None below two of them."""
        if len(self.there) < 2:
            return None
        return math.sqrt(sum((v - self.mean) ** 2 for v in self.there) / (len(self.there) - 1))

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        lost = len(self.values) - len(self.there)
        return f"{self.mean:.3f}{spread}" + (f" ({lost} failed)" if lost else "")


class Line(NamedTuple):
    """A row: what it is about (one text for each of the table's `head`), the paper's figure and ours."""

    about: tuple[str, ...]
    printed: str  # as the paper has it, in per cent; "–" where it has none
    tens: Score  # in the paper's own metric, mean_precision_at_tens
    ap: Score  # average precision
    chance: Score  # of average precision
    more: tuple[str, ...] = ()  # one text for each of the table's `more`
    command: str = ""  # that gives the first seed's figure


COLUMNS = ("mean P@10…50", "average precision", "chance")


class Table(NamedTuple):
    """Rows under the columns head …, printed, ours as the paper measures, average precision, chance, more …"""

    title: str
    head: tuple[str, ...]
    lines: tuple[Line, ...]
    more: tuple[str, ...] = ()
    note: str = ""
    columns: tuple[str, str, str] = COLUMNS  # how tens, ap and chance are called, where they hold other metrics


class Figure(NamedTuple):
    """A plot under a file name without suffix: as text for pages, as bytes of a PNG for Markdown."""

    name: str
    caption: str
    svg: str
    png: bytes


class Verdict(NamedTuple):
    """What became of a claim of the paper."""

    where: str  # its section: "4.1"
    claim: str
    verdict: str  # "reproduced", "not reproduced", "depends on …", or "not tested: …"
    because: str  # the numbers that say so


class Section(NamedTuple):
    """One table or figure of the paper, replicated."""

    name: str  # as on the command line: "table1"
    title: str
    lead: str  # what is compared, on which data
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()  # a sentence on each difference, from what was measured
    verdicts: tuple[Verdict, ...] = ()
    galleries: dict[str, Sequence[Any]] = {}  # noqa: RUF012 - title: rows of `gallery.cards`
    settings: dict[str, str] = {}  # noqa: RUF012 - what was run under which settings: {world: TOML}
    command: str = ""
    seconds: float = 0.0


def points(row: Line) -> float | None:
    """Ours in the paper's metric less the (first) printed figure, in points of per cent."""
    try:
        return 100 * row.tens.mean - float(row.printed.split(" / ")[0])
    except (TypeError, ValueError):  # nothing measured, or nothing printed
        return None


# ---- what the pages say ---------------------------------------------------------------------------------------------

TITLE = "The experiments of CMIR-NET, beside what the paper printed"
LEAD = (
    "Chaudhuri, Banerjee, Bhattacharya and Datcu, “CMIR-NET: A deep learning based model for cross-modal retrieval in "
    "remote sensing”, Pattern Recognition Letters 131 (2020): what it printed, and what this implementation measured "
    "when it did the same."
)
GUIDE = (
    ("Data", "Each part says on what it was measured. Where that is not what the paper used, absolute figures need not "
     "agree; the order of rows and the distances between them can be compared."),
    ("Printed", "The paper's figure in per cent, as it stands there: its “mAP”, and behind a stroke its precision at "
     "10. By the released code that “mAP” is no average precision, but the mean of the precisions at 10, 20, …, 50."),
    ("Ours", "“Mean P@10…50” is ours in that metric, from 0 to 1, and “difference” is ours less the printed figure, in "
     "points of per cent. Precision at k cannot exceed the number of relevant items over k: in a small gallery even a "
     "perfect order stays below 1. Average precision is the usual one, over the full ranking, ties at their expected "
     "value. Chance is the average precision that a random order has. A table of another metric names it at its head."),
    ("±", "The standard deviation over seeds (n − 1 below the root), none for a single seed; “failed” counts the seeds "
     "whose loss was no longer finite. A dash stands where there is no figure."),
    ("Commands", "Folded under each table: the command that gives the first seed's figure of a row. Other seeds by "
     "--seed; data that are not simulated need --data DIR."),
)  # fmt: skip
MARKS = {"yes": "✓", "no": "✗", "partly": "≈", "untested": "–"}


def kind(verdict: Verdict) -> str:
    """ "yes", "no", "partly" or "untested"."""
    starts = {"reproduced": "yes", "not reproduced": "no", "not tested": "untested"}
    return next((k for start, k in starts.items() if verdict.verdict.startswith(start)), "partly")


def signed(value: float | None) -> str:
    """A difference in points: "+0.42"."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def commands(table: Table) -> list[tuple[str, str]]:
    """(rows, command) of each command of a table, rows of the same command together."""
    rows: dict[str, list[str]] = {}
    for line in table.lines:
        if line.command:
            rows.setdefault(line.command, []).append(", ".join(line.about))
    return [("; ".join(abouts), command) for command, abouts in rows.items()]


def header(table: Table) -> tuple[str, ...]:
    """The names of a table's columns."""
    tens, ap, chance = table.columns
    ours = ("printed, %", tens, "difference") if printed(table) else (tens,)
    return (*table.head, *ours, ap, chance, *table.more)


def printed(table: Table) -> bool:
    """Whether the paper has figures for any row."""
    return any(line.printed != "–" for line in table.lines)


def cells(table: Table, row: Line) -> tuple[str, ...]:
    """What stands in a row, under `header`."""
    ours = (row.printed, str(row.tens), signed(points(row))) if printed(table) else (str(row.tens),)
    return (*row.about, *ours, str(row.ap), str(row.chance), *row.more)


# ---- HTML, Markdown, CSV --------------------------------------------------------------------------------------------


def write_pages(
    out: str | Path,
    sections: Sequence[Section],
    about: Mapping[str, str],
    absent: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes replication.html, .md (with its figures as .png) and .csv into `out`, each whole or not at all.

    `about` is what all figures share: scale, seeds, versions. `absent` are the experiments that are not on the pages,
    with why.
    """
    pages = {f"{figure.name}.png": figure.png for section in sections for figure in section.figures} | {
        "replication.md": markdown(sections, about, absent),
        "replication.csv": long_form(sections),
        "replication.html": html(sections, about, absent),
    }
    for name, content in pages.items():
        write_whole(Path(out) / name, content)


def html(sections: Sequence[Section], about: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """The page as text: one self-contained file, nothing loaded from elsewhere."""
    template = environment().get_template("replication.html")
    helpers = {f.__name__: f for f in (points, signed, commands, header, printed, kind, spent)}
    said = {"title": TITLE, "lead": LEAD, "guide": GUIDE, "marks": MARKS, "columns": COLUMNS}
    return template.render(sections=sections, about=about, absent=absent, **helpers, **said)


def markdown(sections: Sequence[Section], about: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """The same for GitHub, without the galleries."""
    parts = [f"# {TITLE}", LEAD, "\n".join(f"- **{name}**: {text}" for name, text in GUIDE)]
    parts += ["\n".join(f"- [{s.title}](#{s.name})" for s in sections)]
    parts += ["\n".join(f"- {name}: {why}" for name, why in absent.items())] if absent else []
    verdicts = [
        (f"[{s.name}](#{s.name})", v.where, v.claim, f"{MARKS[kind(v)]} {v.verdict}", v.because)
        for s in sections
        for v in s.verdicts
    ]
    parts += ["## What became of the paper's claims"]
    parts += [_grid(("part", "section", "claim", "verdict", "because"), verdicts, 5)] if verdicts else ["None tested."]
    for section in sections:
        parts += [f'<a id="{section.name}"></a>', f"## {section.title}", _said(section.lead)]
        for table in section.tables:
            parts += [f"### {table.title}", *([_said(table.note)] if table.note else [])]
            parts.append(_grid(header(table), [cells(table, row) for row in table.lines], len(table.head)))
            given = "\n".join(f"# {rows}\n{command}" for rows, command in commands(table))
            parts += [_folded("Commands", f"```sh\n{given}\n```")] if given else []
        for figure in section.figures:
            parts += [f"![{_said(figure.caption)}]({figure.name}.png)", f"*{_said(figure.caption)}*"]
        if section.galleries:
            parts.append(f"Galleries: in [replication.html](replication.html#{section.name}).")
        parts += ["\n".join(f"- {_said(text)}" for text in section.remarks)] if section.remarks else []
        for world, settings in section.settings.items():
            parts.append(_folded(f"Settings: {world}", f"```toml\n{settings.strip()}\n```"))
        parts += [f"`{section.command}`{spent(section)}"] if section.command else []
    parts += ["## Settings and versions", "\n".join(f"- {name}: {_said(text)}" for name, text in about.items())]
    return "\n\n".join(parts) + "\n"


def spent(section: Section) -> str:
    """How long a part took, in words."""
    time = f"{section.seconds / 60:.0f} min" if section.seconds >= 60 else f"{section.seconds:.0f} s"
    return f" · {time} of one core, stage 1 not counted" if section.seconds else ""


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A table of which the first `texts` columns are words, the others figures."""
    lines = [head, ["---" if i < texts else "--:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(_said(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{_said(summary)}</summary>\n\n{text}\n\n</details>"


def _said(text: str) -> str:
    """One line that is no markup."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")


def long_form(sections: Sequence[Section]) -> str:
    """All figures as CSV, one a line."""
    text = io.StringIO()
    file = csv.writer(text, lineterminator="\n")
    file.writerow(("experiment", "table", "about", "column", "value", "seeds", "command"))
    for section in sections:
        for table in section.tables:
            for line in table.lines:
                for column, value, seeds in figures(table, line):
                    about = ", ".join(line.about)
                    file.writerow((section.name, table.title, about, column, value, seeds, line.command))
    return text.getvalue()


def figures(table: Table, line: Line) -> Iterator[tuple[str, Any, int | str]]:
    """(column, value, seeds) of all that a row says; what is not there is left out."""
    short = [name if name not in COLUMNS else ("tens", "ap", "chance")[COLUMNS.index(name)] for name in table.columns]
    if line.printed != "–":
        yield "printed", line.printed, ""
    for name, score in zip(short, (line.tens, line.ap, line.chance), strict=True):
        for part, value in (("mean", score.mean), ("sd", score.sd)):
            if value is not None:
                yield f"{name} {part}", value, len(score.there)
    if points(line) is not None:
        yield "difference", points(line), len(line.tens.there)
    yield from ((name, value, "") for name, value in zip(table.more, line.more, strict=True))
