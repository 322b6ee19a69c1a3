"""The pages of a replication: the same figures in HTML, Markdown and CSV, whole or not at all."""

import csv
import io
from html.parser import HTMLParser

import pytest

from cmir_ref.reports import replication
from cmir_ref.reports.gallery import Card, Picture
from cmir_ref.reports.replication import Figure, Line, Score, Section, Table, Verdict, write_pages

ONE, TWO, LOST = Score((0.5,)), Score((0.5, 0.7)), Score((0.25, None))
NONE = Score(())
PRINTED = Table(
    "By width",
    ("d_v", "direction"),
    (
        Line(("16", "A → B"), "95.00 / 97.10", TWO, ONE, LOST, ("0.1",), "train --set d_v=16"),
        Line(("16", "B → A"), "–", ONE, NONE, ONE, ("a | <b>",), "train --set d_v=16"),
        Line(("32", "A → B"), "96.00", NONE, TWO, ONE, ("",), "train --set d_v=32"),
    ),
    ("λ5",),
)
OWN = Table("Ours alone", ("class",), (Line(("river",), "–", ONE, TWO, LOST),), columns=("P@50", "mAP", "share"))
CARD = Card("pan", "tile 7", (("river", True),), (Picture("data:image/jpeg;base64,AAAA", "grey"),), None, "", True, 0.5)
VERDICTS = (
    Verdict("4.1", "it works", "reproduced", "0.5"),
    Verdict("4.1", "it is best", "not reproduced", "0.6"),
    Verdict("4.2", "it is even", "depends on the metric", "0.7"),
    Verdict("4.3", "it is fast", "not tested: no clock", ""),
)
FULL = Section(
    "table1",
    "Table 1: widths",
    "On <made up> data.",
    (PRINTED, OWN),
    (Figure("table1-curve", "A curve.", "<svg><path d='M0 0'/></svg>", b"\x89PNG"),),
    ("A remark with <, & and *.",),
    VERDICTS,
    {"tiles: A → B": [(CARD._replace(right=None), [CARD, CARD._replace(right=False)])]},
    {"tiles": "d_v = 16\n"},
    "cmir-ref replicate table1",
    130.0,
)
ABOUT = {"scale": "tiny. Made up.", "seeds": "2", "versions": "numpy 9"}
ABSENT = {"fig9": "not run: cmir-ref replicate fig9"}


class Reader(HTMLParser):
    """The text of all table rows, what is linked or loaded, the ids, and whether every element is closed."""

    EMPTY = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.rows, self.links, self.ids, self.open, self.wrong = [], [], [], [], []
        self.feed(text)
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [values[name] for name in ("href", "src") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


@pytest.fixture
def written(tmp_path):
    write_pages(tmp_path, [FULL], ABOUT, ABSENT)
    return tmp_path


def expected_rows():
    return [
        ["d_v", "direction", "printed, %", "mean P@10…50", "difference", "average precision", "chance", "λ5"],
        ["16", "A → B", "95.00 / 97.10", "0.600 ± 0.141", "−35.00", "0.500", "0.250 (1 failed)", "0.1"],
        ["16", "B → A", "–", "0.500", "–", "–", "0.500", "a | <b>"],
        ["32", "A → B", "96.00", "–", "–", "0.600 ± 0.141", "0.500", ""],
        ["class", "P@50", "mAP", "share"],
        ["river", "0.500", "0.600 ± 0.141", "0.250 (1 failed)"],
    ]


def test_the_tables_in_html(written):
    page = Reader((written / "replication.html").read_text(encoding="utf-8"))
    claims = [
        [v.where, v.claim, f"{m} {v.verdict}", v.because, "table1"] for v, m in zip(VERDICTS, "✓✗≈–", strict=True)
    ]
    assert page.rows == [["section", "claim", "verdict", "because", "part"], *claims, *expected_rows()]


def test_the_html_stands_alone(written):
    page = Reader((written / "replication.html").read_text(encoding="utf-8"))
    assert page.wrong == [] and page.open == []
    assert page.links and all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_what_else_is_on_the_page(written):
    text = (written / "replication.html").read_text(encoding="utf-8")
    for said in (
        "On &lt;made up&gt; data.",
        "A remark with &lt;, &amp; and *.",
        "train --set d_v=32",
        "numpy 9",
        "2 min of one",
    ):
        assert said in text
    assert ABSENT["fig9"] in text and "<svg>" in text and text.count('class="card') == 3


def test_the_tables_in_markdown(written):
    text = (written / "replication.md").read_text(encoding="utf-8")
    grids = [line.replace("\\|", "¦") for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip().replace("¦", "|").replace("&lt;", "<") for cell in g.split("|")[1:-1]] for g in grids]
    rows = [row for row in rows if not all(set(cell) <= set("-:") and cell for cell in row)]
    assert rows[1 + len(VERDICTS) :] == expected_rows()
    assert [row[2:4] for row in rows[1:5]] == [
        [v.claim, f"{m} {v.verdict}"] for v, m in zip(VERDICTS, "✓✗≈–", strict=True)
    ]
    assert "train --set d_v=32" in text and ABSENT["fig9"] in text and "replication.html#table1" in text


def test_markdown_shows_the_figures_as_files(written):
    assert "](table1-curve.png)" in (written / "replication.md").read_text(encoding="utf-8")
    assert (written / "table1-curve.png").read_bytes() == b"\x89PNG"


def test_csv_has_every_figure_once(written):
    rows = list(csv.DictReader(io.StringIO((written / "replication.csv").read_text(encoding="utf-8"))))
    first = {r["column"]: (r["value"], r["seeds"]) for r in rows if r["about"] == "16, A → B"}
    assert {name: value for name, (value, _) in first.items() if name in ("printed", "λ5")} == {
        "printed": "95.00 / 97.10",
        "λ5": "0.1",
    }
    assert float(first["tens mean"][0]) == pytest.approx(0.6) and first["tens mean"][1] == "2"
    assert float(first["difference"][0]) == pytest.approx(-35) and first["chance mean"] == ("0.25", "1")
    assert set(first) == {"printed", "tens mean", "tens sd", "difference", "ap mean", "chance mean", "λ5"}
    assert {r["column"] for r in rows if r["table"] == "Ours alone"} == {
        "P@50 mean",
        "mAP mean",
        "mAP sd",
        "share mean",
    }
    assert len({(r["table"], r["about"], r["column"]) for r in rows}) == len(rows)
    assert {r["command"] for r in rows if r["about"] == "32, A → B"} == {"train --set d_v=32"}


def test_rows_of_one_command_stand_together():
    assert replication.commands(PRINTED) == [
        ("16, A → B; 16, B → A", "train --set d_v=16"),
        ("32, A → B", "train --set d_v=32"),
    ]


@pytest.mark.parametrize("printed, tens, points", [("95.00", ONE, -45.0), ("–", ONE, None), ("95.00", NONE, None)])
def test_points(printed, tens, points):
    assert replication.points(Line((), printed, tens, NONE, NONE)) == points


def test_without_any_section(tmp_path):
    write_pages(tmp_path, [], ABOUT, ABSENT)
    for name in ("replication.html", "replication.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert ABSENT["fig9"] in text and ("No claim was tested" in text or "None tested" in text)


def test_what_cannot_be_rendered_leaves_the_old_pages(written):
    before = {path: path.read_bytes() for path in written.iterdir()}
    broken = OWN._replace(more=("missing",))
    with pytest.raises(ValueError):
        write_pages(written, [FULL._replace(title="new", tables=(broken,))], ABOUT)
    assert {path: path.read_bytes() for path in written.iterdir()} == before
