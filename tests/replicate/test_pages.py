"""The pages of a replication: the same figures in HTML, Markdown and CSV, whole or not at all."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from cmir_ref.errors import InputError
from cmir_ref.reports import replication, scores
from cmir_ref.reports.experiment import ClaimJudgement, Experiment, Figure, Line, Table
from cmir_ref.reports.gallery import Card, Picture
from cmir_ref.reports.replication import write_pages
from cmir_ref.reports.scores import Score

ONE, TWO, LOST = Score((0.5,)), Score((0.5, 0.7)), Score((0.25, None))
NONE = Score(())


def line(about, printed, weight, tens, ap, chance):
    command = f"train --set d_v={about[0]}"
    return Line(about, {"tens": tens, "map": ap, "chance": chance}, printed, {"weight": weight}, command)


PRINTED = Table(
    ("d_v", "direction"),
    {"tens": "mean P@10…50", "map": "average precision", "chance": "chance", "weight": "λ5"},
    (
        line(("16", "A → B"), "95.00 / 97.10", "0.1", TWO, ONE, LOST),
        line(("16", "B → A"), "–", "a | <b>", ONE, NONE, ONE),
        line(("32", "A → B"), "96.00", "", NONE, TWO, ONE),
    ),
)
OURS = Table(
    ("class",),
    {"p@50": "P@50", "map": "mAP", "share": "share"},
    (Line(("river",), {"p@50": ONE, "map": TWO, "share": LOST, "not shown": ONE}),),
)
CARD = Card("pan", "tile 7", (("river", True),), (Picture("data:image/jpeg;base64,AAAA", "grey"),), None, "", True, 0.5)
GALLERY = json.loads(json.dumps([(CARD._replace(right=None), [CARD, CARD._replace(right=False)])]))
JUDGEMENTS = (
    ClaimJudgement("4.1", "it works", "reproduced", "share: above 0.4", "here 0.5; there 0.6", "here 0.5 … there 0.6"),
    ClaimJudgement("4.1", "it is best", "not reproduced", "lead: above 1", "0.6", "0.6"),
    ClaimJudgement("4.2", "it is even", "depends on the metric", "gap: below 1", "0.7", "0.7"),
    ClaimJudgement("4.3", "it is fast", "not measured", "time: below 1", "–", "–"),
)
TEXT = """
# Table 1: widths

On <made up> data,
in two lines.

## By width

[table widths]

- An item with <, & and *
  over two lines.
- Another.

![A curve
with (brackets).](table1-curve.png)

[table ours alone]
"""
FULL = Experiment(
    "table1",
    {"widths": PRINTED, "ours alone": OURS},
    (Figure("table1-curve", "<svg><path d='M0 0'/></svg>", b"\x89PNG"),),
    JUDGEMENTS,
    galleries={"tiles: A → B": GALLERY},
    settings={"tiles": "d_v = 16\n"},
    text=TEXT,
    command="cmir-ref replicate table1",
    seconds=130.0,
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
        ["16", "A → B", "95.00 / 97.10", "0.600 ± 0.141", "−35.00", "0.500", "0.250 (1 of 2 seeds)", "0.1"],
        ["16", "B → A", "–", "0.500", "–", "–", "0.500", "a | <b>"],
        ["32", "A → B", "96.00", "–", "–", "0.600 ± 0.141", "0.500", ""],
        ["class", "P@50", "mAP", "share"],
        ["river", "0.500", "0.600 ± 0.141", "0.250 (1 of 2 seeds)"],
    ]


def claims(*columns):
    """The claims as rows, with the sign of their outcome."""
    return [
        [f"{sign} {j.outcome}" if name == "outcome" else getattr(j, name) for name in columns]
        for j, sign in zip(JUDGEMENTS, "✓✗≈–", strict=True)
    ]


def test_the_tables_in_html(written):
    page = Reader((written / "replication.html").read_text(encoding="utf-8"))
    rows = [[*row, "table1"] for row in claims("section", "claim", "outcome", "rule", "extremes")]
    head = ["section", "claim", "outcome", "rule", "smallest and largest number", "experiment"]
    assert page.rows == [head, *rows, *expected_rows()]


def test_the_html_stands_alone(written):
    page = Reader((written / "replication.html").read_text(encoding="utf-8"))
    assert page.wrong == [] and page.open == []
    assert page.links and all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_what_else_is_on_the_page(written):
    text = (written / "replication.html").read_text(encoding="utf-8")
    for words in (
        "On &lt;made up&gt; data, in two lines.",
        "<li>An item with &lt;, &amp; and * over two lines.</li><li>Another.</li>",
        "<figcaption>A curve with (brackets).</figcaption>",
        "Measured: here 0.5; there 0.6.",
        "train --set d_v=32",
        "numpy 9",
        "2 min of one",
    ):
        assert words in text
    assert ABSENT["fig9"] in text and "<svg>" in text and text.count('class="card') == 3


def grid_rows(text):
    """The rows of all tables of a Markdown page, without the lines below their heads."""
    grids = [line.replace("\\|", "¦") for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip().replace("¦", "|").replace("&lt;", "<") for cell in g.split("|")[1:-1]] for g in grids]
    return [row for row in rows if not all(set(cell) <= set("-:") and cell for cell in row)]


def test_the_index_in_markdown(written):
    text = (written / "replication.md").read_text(encoding="utf-8")
    head, *rows = grid_rows(text)
    assert head == ["experiment", "section", "claim", "outcome", "rule", "smallest and largest number"]
    assert [row[1:] for row in rows] == claims("section", "claim", "outcome", "rule", "extremes")
    assert {row[0] for row in rows} == {"[table1](table1.md)"} and "- [Table 1: widths](table1.md)" in text
    assert ABSENT["fig9"] in text and "numpy 9" in text


def test_the_page_of_an_experiment_in_markdown(written):
    text = (written / "table1.md").read_text(encoding="utf-8")
    head = ["section", "claim", "outcome", "rule", "numbers"]
    assert grid_rows(text) == [*expected_rows(), head, *claims(*head)]
    assert text.startswith("# Table 1: widths\n\nOn &lt;made up> data, in two lines.\n\n## By width\n\n| d_v |")
    assert "- An item with &lt;, &amp; and * over two lines.\n- Another." in text
    assert "train --set d_v=32" in text and "(replication.md)" in text and "d_v = 16" in text


def test_markdown_shows_the_figures_as_files(written):
    assert "](table1-curve.png)" in (written / "table1.md").read_text(encoding="utf-8")
    assert (written / "table1-curve.png").read_bytes() == b"\x89PNG"


def test_csv_has_every_figure_once(written):
    rows = list(csv.DictReader(io.StringIO((written / "replication.csv").read_text(encoding="utf-8"))))
    first = {r["column"]: (r["value"], r["seeds"]) for r in rows if r["about"] == "16, A → B"}
    assert first["printed"][0] == "95.00 / 97.10" and first["weight"][0] == "0.1"
    assert float(first["tens mean"][0]) == pytest.approx(0.6) and first["tens mean"][1] == "2"
    assert float(first["difference"][0]) == pytest.approx(-35) and first["chance mean"] == ("0.25", "1")
    assert set(first) == {"printed", "tens mean", "tens sd", "difference", "map mean", "chance mean", "weight"}
    ours = {r["column"] for r in rows if r["table"] == "ours alone"}
    assert ours == {"p@50 mean", "map mean", "map sd", "share mean"}
    assert len({(r["table"], r["about"], r["column"]) for r in rows}) == len(rows)
    assert {r["command"] for r in rows if r["about"] == "32, A → B"} == {"train --set d_v=32"}


def test_rows_of_one_command_stand_together():
    assert replication.commands(PRINTED) == [
        ("16, A → B; 16, B → A", "train --set d_v=16"),
        ("32, A → B", "train --set d_v=32"),
    ]


@pytest.mark.parametrize(
    "printed, tens, points",
    [
        ("95.00", ONE, -45.0),
        ("95.00 / 97.00", ONE, -45.0),
        ("–", ONE, None),
        ("< 15", ONE, None),
        ("95.00", NONE, None),
    ],
)
def test_points(printed, tens, points):
    assert replication.points(Table((), {"p": "P"}, ()), Line((), {"p": tens}, printed)) == points


@pytest.mark.parametrize(
    "value, form, text",
    [(0.5, ".3f", "0.500"), (-0.5, "+.1f", "−0.5"), (TWO, ".2f", "0.60"), (NONE, ".2f", "–"), (None, ".2f", "–")],
)
def test_a_number_as_text(value, form, text):
    assert scores.number(value, form) == text


def test_a_score_as_text():
    texts = ["0.500", "0.600 ± 0.141", "0.250 (1 of 2 seeds)", "–", "−0.250"]
    assert list(map(str, (ONE, TWO, LOST, NONE, Score((-0.25,))))) == texts


def test_without_any_experiment(tmp_path):
    write_pages(tmp_path, [], ABOUT)
    assert "None was judged" in (tmp_path / "replication.html").read_text(encoding="utf-8")
    assert "None was judged" in (tmp_path / "replication.md").read_text(encoding="utf-8")


def test_what_cannot_be_rendered_leaves_the_old_pages(written):
    before = {path: path.read_bytes() for path in written.iterdir()}
    broken = OURS._replace(columns={"missing": "missing"})
    with pytest.raises(KeyError):
        write_pages(written, [FULL._replace(text="# new\n\n[table x]", tables={"x": broken})], ABOUT)
    assert {path: path.read_bytes() for path in written.iterdir()} == before


# ---- an experiment in another file ----------------------------------------------------------------------------------


def test_an_experiment_takes_the_place_between_the_marks(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("before\n\n<!-- results -->\nold\n<!-- /results -->\nafter\n", encoding="utf-8")
    for _ in range(2):  # what was written is replaced as well
        replication.insert_experiment(file, FULL)
        text = file.read_text(encoding="utf-8")
        assert text.startswith("before\n\n<!-- results -->\n\nOn &lt;made up>")
        assert text.endswith("| river | 0.500 | 0.600 ± 0.141 | 0.250 (1 of 2 seeds) |\n\n<!-- /results -->\nafter\n")
        assert "old" not in text and "# Table 1" not in text and "train --set" not in text


MARKS = "<!-- results -->\n", "<!-- /results -->\n"


@pytest.mark.parametrize("text", ["", MARKS[0], MARKS[1], MARKS[1] + MARKS[0], 2 * "".join(MARKS)])
def test_a_file_without_its_marks_is_left_alone(tmp_path, text):
    file = tmp_path / "README.md"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"README.md: not one part"):
        replication.insert_experiment(file, FULL)
    assert file.read_text(encoding="utf-8") == text
    with pytest.raises(InputError, match=r"none.md: cannot be read"):
        replication.insert_experiment(tmp_path / "none.md", FULL)
