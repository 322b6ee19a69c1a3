"""The pages of a replication: what one section holds, and how all of them become HTML, Markdown and CSV."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


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


def write_pages(out, sections, about) -> None:
    """To be written."""
