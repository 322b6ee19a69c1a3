"""The pages of a replication: experiments as HTML, Markdown, CSV and JSON, and in the terminal."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..files import write_whole
from .experiment import (
    Block,
    ClaimJudgement,
    Experiment,
    Line,
    Table,
    cells_of_row,
    commands,
    has_printed,
    header,
    markdown_blocks,
    points,
)
from .gallery import Card, Picture
from .markdown import bullets, folded, grid, one_line, write_between_marks
from .pages import environment
from .scores import number

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
        bullets(f"**{name}**: {one_line(text)}" for name, text in GUIDE),
        bullets(f"[{one_line(e.title)}]({e.name}.md)" for e in experiments),
        bullets(f"{name}: {one_line(why)}" for name, why in absent.items()),
        "## What became of the paper's claims",
        grid(head, claims, len(head)) if claims else "None was judged.",
        "## Settings and versions",
        bullets(f"{name}: {one_line(text)}" for name, text in about.items()),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def markdown_page(experiment: Experiment) -> str:
    """An experiment for GitHub, without its galleries."""
    claims = [(j.section, j.claim, f"{mark(j)} {j.outcome}", j.rule, j.numbers) for j in experiment.judgements]
    head = ("section", "claim", "outcome", "rule", "numbers")
    parts = (
        *(_markdown(block, experiment) for block in markdown_blocks(experiment.text)),
        f"## Claims\n\n{grid(head, claims, len(head))}" if claims else "",
        "Galleries of pictures and sounds are in replication.html." if experiment.galleries else "",
        *(folded(f"Settings: {w}", f"```toml\n{text.strip()}\n```") for w, text in experiment.settings.items()),
        f"`{experiment.command}`{time_spent(experiment)}" if experiment.command else "",
        "[All experiments](replication.md)",
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def insert_experiment(path: str | Path, experiment: Experiment) -> None:
    """Replaces the marked part of a Markdown file by an experiment without its title, commands and settings."""
    parts = [
        _table(experiment.tables[block.content]) if block.kind == "table" else _markdown(block, experiment)
        for block in markdown_blocks(experiment.text)
        if block.kind != "title"
    ]
    write_between_marks(path, "\n\n".join(parts))


def _table(table: Table) -> str:
    return grid(header(table), [cells_of_row(table, line) for line in table.lines], len(table.head))


def _markdown(block: Block, experiment: Experiment) -> str:
    """A part of the text as Markdown, with the table that it stands for."""
    match block.kind:
        case "table":
            table = experiment.tables[block.content]
            given = "\n".join(f"# {rows}\n{command}" for rows, command in commands(table))
            below = [folded("Commands", f"```sh\n{given}\n```")] if given else []
            return "\n\n".join([_table(table), *below])
        case "figure":
            caption, name = one_line(block.content[0]), block.content[1]
            return f"![{caption}]({name}.png)\n\n*{caption}*"
        case "list":
            return bullets(map(one_line, block.content))
    return {"title": "# ", "heading": "## ", "paragraph": ""}[block.kind] + one_line(block.content)


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
