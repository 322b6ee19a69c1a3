"""The pages of a replication: what an experiment holds, and how it becomes HTML, Markdown and CSV.

An experiment is tables (rows under named columns), figures, and judgements of the paper's claims. Its running text is a
template, `templates/replication/<name>.md`, that says where they stand: a line `[table NAME]` is a table, and
`![caption](NAME.png)` a figure.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ..errors import InputError
from ..files import write_whole
from .gallery import Card, Picture
from .pages import environment


class Score(NamedTuple):
    """One figure over seeds; the value of a run that failed is None."""

    values: tuple[float | None, ...]

    @property
    def there(self) -> list[float]:
        """The values of the runs that did not fail."""
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

    @property
    def share(self) -> str:
        """ " (2 of 3 seeds)", where the mean is not of all of them."""
        count = len(self.there)
        return "" if count in (0, len(self.values)) else f" ({count} of {len(self.values)} seeds)"

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        return number(self.mean, ".3f") + spread + self.share


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


# ---- numbers and texts ----------------------------------------------------------------------------------------------


def number(value: float | Score | None, form: str) -> str:
    """`value` (of a score the mean, and of how many seeds) in the format `form`, ".3f" or "+.1f"; a dash for none."""
    mean, share = (value.mean, value.share) if isinstance(value, Score) else (value, "")
    return "–" if mean is None else format(mean, form).replace("-", "−") + share


def points(table: Table, line: Line) -> float | None:
    """The first column less the (first) printed figure, in points of per cent; None where either is no number."""
    score = line.scores.get(next(iter(table.columns)))
    if not line.printed[0].isdigit() or score is None or score.mean is None:
        return None
    return 100 * score.mean - float(line.printed.split(" / ")[0])


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


# ---- what the pages say ---------------------------------------------------------------------------------------------

TITLE = "The experiments of three papers, beside what they printed"
LEAD = (
    "Chaudhuri, Banerjee, Bhattacharya and Datcu, “CMIR-NET: A deep learning based model for cross-modal retrieval in "
    "remote sensing”, Pattern Recognition Letters 131 (2020), the authors' talk on photos and sketches (IGARSS 2021), "
    "and Yuan et al., “AMFMN” (IEEE TGRS 2022): what they printed, and what this implementation measured when it "
    "did the same. A part that names neither of the later two is of the first."
)
GUIDE = (
    ("Data", "Each part says on what it was measured. Where that is not what the paper used, absolute figures need not "
     "agree; the order of rows and the distances between them can be compared."),
    ("Printed", "The paper's figure in per cent, as it stands there: its “mAP”, and behind a stroke its precision at "
     "10. By the released code that “mAP” is no average precision, but the mean of the precisions at 10, 20, …, 50 "
     "(PAN–MUL) or …, 100 (speech)."),
    ("Ours", "“Mean P@10…50” is ours, from 0 to 1, for speech too, where the paper's goes on to 100, and “difference” "
     "is ours less the printed figure, in points of per cent. Precision at k cannot exceed the number of relevant "
     "items over k: in a small gallery even a perfect order stays below 1. Average precision is the usual one, over "
     "the full ranking, ties at their expected value. Chance is the average precision that a random order has. A table "
     "of another metric names it at its head."),
    ("±", "The standard deviation over seeds (n − 1 below the root), none for a single seed. “2 of 3 seeds”: the loss "
     "of the third was no longer finite, and mean and deviation leave it out. A dash stands where there is no figure."),
    ("Claims", "Each is judged by one rule on numbers that were measured, so that another run may come out "
     "differently. “Depends on” names what tells the cases in which the rule holds from the others."),
    ("Commands", "Folded under each table: the command that gives the first seed's figure of a row. Other seeds by "
     "--seed; data that are not simulated need --data DIR."),
)  # fmt: skip
SIGNS = {"reproduced": "✓", "not reproduced": "✗", "not measured": "–"}


def mark(judgement: ClaimJudgement) -> str:
    """✓, ✗, – or, where it depends on something, ≈."""
    return SIGNS.get(judgement.outcome, "≈")


def commands(table: Table) -> list[tuple[str, str]]:
    """(rows, command) of each command of a table, rows of the same command together."""
    rows: dict[str, list[str]] = {}
    for line in table.lines:
        if line.command:
            rows.setdefault(line.command, []).append(", ".join(line.about))
    return [("; ".join(abouts), command) for command, abouts in rows.items()]


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


def time_spent(experiment: Experiment) -> str:
    """How long an experiment took, in words."""
    seconds = experiment.seconds
    time = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
    return f" · {time} of one core, stage 1 not counted" if seconds else ""


# ---- HTML, Markdown, CSV --------------------------------------------------------------------------------------------


def write_pages(
    out: str | Path,
    experiments: Sequence[Experiment],
    about: Mapping[str, str],
    absent: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes replication.html, .md and .csv into `out`, and a page <name>.md with its figures for each experiment.

    `about` is what all figures share: scale, seeds, versions. `absent` are the experiments that are not on the pages,
    with why. All pages are made before the first is written.
    """
    pages = {f"{figure.name}.png": figure.png for e in experiments for figure in e.figures}
    pages |= {f"{e.name}.md": markdown_page(e) for e in experiments} | {
        "replication.md": markdown_index(experiments, about, absent),
        "replication.csv": long_form(experiments),
        "replication.html": html(experiments, about, absent),
    }
    for name, content in pages.items():
        write_whole(Path(out) / name, content)


def cards_from_json(rows: Sequence[Any]) -> list[tuple[Card, list[Card]]]:
    """The rows of a gallery from JSON, in which a card is the list of its fields."""

    def card(fields):
        one = Card(*fields)
        return one._replace(pictures=tuple(Picture(*p) for p in one.pictures), labels=tuple(map(tuple, one.labels)))

    return [(card(query), [card(hit) for hit in hits]) for query, hits in rows]


def html(experiments: Sequence[Experiment], about: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """All experiments on one page that loads nothing from elsewhere."""
    template = environment().get_template("replication.html")
    helpers = {
        f.__name__: f
        for f in (markdown_blocks, cards_from_json, commands, has_printed, header, mark, number, points, time_spent)
    }
    words = {"title": TITLE, "lead": LEAD, "guide": GUIDE}
    return template.render(experiments=experiments, about=about, absent=absent, **helpers, **words)


def markdown_index(experiments: Sequence[Experiment], about: Mapping[str, str], absent: Mapping[str, str]) -> str:
    """The first page for GitHub: which experiments there are, and what became of the paper's claims."""
    claims = [
        (f"[{e.name}]({e.name}.md)", j.section, j.claim, f"{mark(j)} {j.outcome}", j.rule, j.extremes)
        for e in experiments
        for j in e.judgements
    ]
    head = ("experiment", "section", "claim", "outcome", "rule", "smallest and largest number")
    parts = (
        f"# {TITLE}",
        LEAD,
        _list(f"**{name}**: {_escape(text)}" for name, text in GUIDE),
        _list(f"[{_escape(e.title)}]({e.name}.md)" for e in experiments),
        _list(f"{name}: {_escape(why)}" for name, why in absent.items()),
        "## What became of the paper's claims",
        _grid(head, claims, len(head)) if claims else "None was judged.",
        "## Settings and versions",
        _list(f"{name}: {_escape(text)}" for name, text in about.items()),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def markdown_page(experiment: Experiment) -> str:
    """An experiment for GitHub, without its galleries."""
    claims = [(j.section, j.claim, f"{mark(j)} {j.outcome}", j.rule, j.numbers) for j in experiment.judgements]
    head = ("section", "claim", "outcome", "rule", "numbers")
    parts = (
        *(_markdown(block, experiment) for block in markdown_blocks(experiment.text)),
        f"## Claims\n\n{_grid(head, claims, len(head))}" if claims else "",
        "Galleries of pictures and sounds are in replication.html." if experiment.galleries else "",
        *(_folded(f"Settings: {w}", f"```toml\n{text.strip()}\n```") for w, text in experiment.settings.items()),
        f"`{experiment.command}`{time_spent(experiment)}" if experiment.command else "",
        "[All experiments](replication.md)",
    )
    return "\n\n".join(filter(None, parts)) + "\n"


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


def insert_experiment(path: str | Path, experiment: Experiment) -> None:
    """Replaces the marked part of a Markdown file by an experiment without its title, commands and settings."""
    parts = [
        _table(experiment.tables[block.content]) if block.kind == "table" else _markdown(block, experiment)
        for block in markdown_blocks(experiment.text)
        if block.kind != "title"
    ]
    write_between_marks(path, "\n\n".join(parts))


def _table(table: Table) -> str:
    return _grid(header(table), [cells_of_row(table, line) for line in table.lines], len(table.head))


def _markdown(block: Block, experiment: Experiment) -> str:
    """A part of the text as Markdown, with the table that it stands for."""
    match block.kind:
        case "table":
            table = experiment.tables[block.content]
            given = "\n".join(f"# {rows}\n{command}" for rows, command in commands(table))
            folded = [_folded("Commands", f"```sh\n{given}\n```")] if given else []
            return "\n\n".join([_table(table), *folded])
        case "figure":
            caption, name = _escape(block.content[0]), block.content[1]
            return f"![{caption}]({name}.png)\n\n*{caption}*"
        case "list":
            return _list(map(_escape, block.content))
    return {"title": "# ", "heading": "## ", "paragraph": ""}[block.kind] + _escape(block.content)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A table of which the first `texts` columns are words, the others figures."""
    lines = [head, ["---" if i < texts else "--:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(_escape(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{_escape(summary)}</summary>\n\n{text}\n\n</details>"


def _escape(text: str) -> str:
    """One line that is no markup."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")


def long_form(experiments: Sequence[Experiment]) -> str:
    """All figures as CSV, one a line."""
    text = io.StringIO()
    file = csv.writer(text, lineterminator="\n")
    file.writerow(("experiment", "table", "about", "column", "value", "seeds", "command"))
    for e in experiments:
        for name, table in e.tables.items():
            for line in table.lines:
                for column, value, seeds in figures(table, line):
                    file.writerow((e.name, name, ", ".join(line.about), column, value, seeds, line.command))
    return text.getvalue()


def figures(table: Table, line: Line) -> Iterator[tuple[str, Any, int | str]]:
    """(column, value, seeds) of all that stands in a row; what is not there is left out."""
    if line.printed != "–":
        yield "printed", line.printed, ""
    if (difference := points(table, line)) is not None:
        yield "difference", difference, len(line.scores[next(iter(table.columns))].there)
    for key in table.columns:
        if key in line.texts:
            yield key, line.texts[key], ""
            continue
        score = line.scores[key]
        for part, value in (("mean", score.mean), ("sd", score.sd)):
            if value is not None:
                yield f"{key} {part}", value, len(score.there)


# ---- terminal and JSON ----------------------------------------------------------------------------------------------


def plain_tables(experiment: Experiment) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """(title, header, rows) of each table for a terminal, and of the claims."""
    tables = [
        (f"{experiment.title}: {name}", header(table), [cells_of_row(table, line) for line in table.lines])
        for name, table in experiment.tables.items()
    ]
    claims = [(j.section, j.claim, j.outcome) for j in experiment.judgements]
    return tables + ([(f"{experiment.title}: claims", ("section", "claim", "outcome"), claims)] if claims else [])


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """An experiment as JSON can hold it, without pictures."""

    def row(line):
        scores = {k: {"mean": s.mean, "sd": s.sd, "values": s.values} for k, s in line.scores.items()}
        return line._asdict() | {"scores": scores}

    tables = {
        name: table._asdict() | {"lines": [row(line) for line in table.lines]}
        for name, table in experiment.tables.items()
    }
    judgements = [j._asdict() for j in experiment.judgements]
    kept = ("name", "text", "settings", "command", "seconds")
    return {name: getattr(experiment, name) for name in kept} | {"tables": tables, "claims": judgements}
