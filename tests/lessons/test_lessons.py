"""The notebooks: each runs from a clean kernel, fails on its blanks, repeats its numbers, and is in step."""

import os
import re
import sys
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path.insert(0, str(LESSONS))

import weave  # noqa: E402

SOURCES = weave.sources()
REFRESH = "refresh it: python lessons/weave.py"
CALCULUS = ("cmir_ref.ops", "cmir_ref.nets", "cmir_ref.cmirnet", "cmir_ref.hashing")
TRAINING = ("cmir_ref.cmirnet.stage1", "cmir_ref.cmirnet.stage2")  # tasks of the loop: no derivative is in them
read = cache(weave.read)  # 30 ms each; no test changes what it reads
each = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)


def code(book):
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def prose(book):
    return [cell.source for cell in book.cells if cell.cell_type == "markdown"]


def outputs(book):
    return [(cell, output) for cell in book.cells for output in cell.get("outputs", ())]


def needs_what_is_derived(source):
    """(module, name) imported from the calculus that neither this lesson nor an earlier one derives."""
    derived = {name for s in SOURCES if s.stem <= source.stem for name in read(s).metadata["lesson"].get("derives", ())}
    found = [(m, n) for m, n in weave.imported(read(source)) if m.startswith(CALCULUS) and m not in TRAINING]
    whole = [f"{m}.{n}".removeprefix("cmir_ref.") for m, n in found]
    return [w for w in whole if not any(w == d or w.startswith(d + ".") for d in derived)]


def test_they_are_numbered_without_a_gap():
    assert [s.stem[:2] for s in SOURCES] == [f"{i:02}" for i in range(24)]


def test_the_paths_of_the_map_lead_through_lessons():
    text = (LESSONS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:the|to|only|what|photo)[^|]*\| ([^|]*) \|$", text, re.MULTILINE)
    named = [number for row in rows for number in re.findall(r"\b\d\d\b", row)]
    assert len(rows) >= 10 and set(named) <= {s.stem[:2] for s in SOURCES}


@each
def test_code_fits_on_a_page(source):
    long = [line for cell in code(read(source)) for line in cell.splitlines() if len(line) > 88]
    assert [line for line in long if '"' not in line or len(line) > 96] == []  # a page at 1 100 px shows 96


@each
def test_code_that_draws_is_folded(source):
    """A cell that a reader sees may call for a figure, with numbers to change, but does not paint it line by line."""
    paints = re.compile(r"\b(axes|figure|plt|left|right|panels(\[[^]]*\])?)\.\w+\(")
    cells = [c for c in read(source).cells if c.cell_type == "code" and not weave.tagged(c, "folded")]
    assert [c.source for c in cells if len(paints.findall(c.source)) > 10] == []


def test_the_map_is_in_step():
    text = (LESSONS / "README.md").read_text(encoding="utf-8")
    assert weave.with_map(text) == text, f"lessons/README.md: {REFRESH}"


@each
def test_notebook_is_in_step(source):
    path = weave.notebook_of(source)
    book = nbformat.read(path, as_version=4)
    assert code(book) == code(read(source)), f"{path.name}: other code than its source; {REFRESH} {path.name[:2]}"
    mark = book.metadata["lesson"]["fingerprint"]
    assert mark == weave.fingerprint(source), (
        f"{path.name}: its source or a module it imports has changed; {REFRESH} {path.name[:2]}"
    )
    folds = [c.metadata.get("jupyter", {}).get("source_hidden", False) for c in book.cells]
    assert folds == [c.cell_type == "code" and weave.is_folded(c) for c in book.cells]
    assert path.stat().st_size <= 300_000
    assert weave.off(weave.numbers(book), weave.expected()[source.stem]) == []


@each
def test_lesson_runs(source):
    book = weave.execute(source, data=os.environ.get("CMIR_DATA"))
    errors = weave.blank_errors(book)
    assert errors and set(errors) == {"AssertionError"}, f"each check must refuse its blank, saying why: {errors}"
    assert weave.off(weave.numbers(book), weave.expected()[source.stem]) == []
    assert weave.numbers(book), "no key numbers"
    noise = [o for cell, o in outputs(book) if o.output_type == "stream" and o.name == "stderr"]
    assert noise == []
    long = [o for cell, o in outputs(book) if len(str(o.get("text", ""))) > 3000]
    assert long == [], "an output nobody reads"


@each
def test_form(source):
    book = read(source)
    about = book.metadata["lesson"]
    assert set(about) == {"question", "minutes", "needs", "derives"} and about["question"].endswith("?")
    first = book.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith(f"# {int(source.stem[:2]):02} · ")
    assert about["question"] in first.source, "the question stands at the top"
    finished = nbformat.read(weave.notebook_of(source), as_version=4)
    drawn = [any("image/png" in o.get("data", {}) for o in cell.get("outputs", ())) for cell in finished.cells]
    assert any(drawn[:2]), "a picture within the first two cells"
    assert any(weave.tagged(c, "exercise") for c in book.cells)
    last = "\n".join(prose(book)[-2:])
    assert "## What you learned" in last and "## Next" in last
    learned = re.search(r"## What you learned\n+(.*?)\n+## Next", last, re.DOTALL)[1]
    assert len(re.findall(r"[.!?](?=\s|$)", learned)) >= 3, "three sentences of what was learned"


@each
def test_only_what_earlier_lessons_derived(source):
    if source.stem.startswith("00"):
        return  # shows everything before anything is explained
    assert needs_what_is_derived(source) == []


@each
def test_pictures_are_shown_with_captions(source):
    """`plt.show()` would escape the check of labels and captions in `reports.lesson.show`."""
    assert not any("plt.show(" in cell for cell in code(read(source)))


def test_every_finding_about_the_paper_is_listed():
    """lessons/README.md has a line, linked to its heading, for each "About the paper." in the lessons."""
    found = set()
    for source in SOURCES:
        heading = None
        for line in source.read_text(encoding="utf-8").splitlines():
            title = re.match(r"# ##+ (.*)", line)
            heading = title[1] if title else heading
            if "**About the paper.**" in line:
                anchor = heading.replace(" ", "-").replace('"', "%22")
                found.add(f"({source.stem}.ipynb#{anchor})")
    listed = re.findall(r"\(\d\d_\w+\.ipynb#[^|]*\)(?= \|)", (LESSONS / "README.md").read_text(encoding="utf-8"))
    assert found and found == set(listed)


def test_what_is_derived_exists():
    for source in SOURCES:
        for name in read(source).metadata["lesson"]["derives"]:
            assert name.split(".")[0] in ("ops", "nets", "cmirnet", "hashing")
            module, _, attribute = f"cmir_ref.{name}".rpartition(".")
            assert weave.module_file(module, attribute).exists()


def test_an_unlabelled_axis_is_refused():
    import matplotlib.pyplot as plt

    from cmir_ref.reports.lesson import show

    figure, axes = plt.subplots()
    axes.plot([1, 2])
    with pytest.raises(ValueError, match="without a label"):
        show(figure, "nothing says what this is")


def test_an_answer_is_told_as_a_sum_of_its_parts():
    from cmir_ref.reports.lesson import combination

    rng = np.random.default_rng(0)
    parts = {"L2": rng.normal(size=(4, 3)), "R": rng.normal(size=(4, 3))}
    said = lambda a, b: combination(a * parts["L2"] + b * parts["R"], parts)  # noqa: E731
    assert said(0, 1) == "0 × L2 + 1 × R" and said(-1, 0.5) == "-1 × L2 + 0.5 × R"
    assert said(1, 1) == "", "each once is what is wanted"
    assert combination(rng.normal(size=(4, 3)), parts) == "", "no sum of the two"
    assert combination(np.full((4, 3), np.nan), parts) == combination(np.ones(3), parts) == ""


def test_a_hint_is_given_for_what_is_wrong_alone():
    from cmir_ref.gradcheck import explain
    from cmir_ref.reports.lesson import with_hints

    def product(x, w, b):
        return x @ w + b, (x, w)

    def back(dy, cache):
        x, w = cache
        return dy @ w.T, x.T @ dy, dy

    given = {"x": np.ones((2, 3)), "w": np.ones((3, 4)), "b": np.ones(4)}
    hints = {"x": "first", "w": "second", "b": "third"}
    said = with_hints(explain(product, back, given), **hints)
    assert said.endswith("(b: third)") and "first" not in said and "second" not in said
    assert with_hints("", **hints) == ""
    assert with_hints("x: 0, measured 1\n  looks like: w", **hints).splitlines()[2:] == ["(x: first)"]


def test_off_says_what_differs():
    known = {"a": [1.0, 0.1], "b": [2.0, 0.0]}
    assert weave.off({"a": 1.05, "b": 2.0}, known) == []
    assert weave.off({"a": 1.2, "c": 0.0}, known) == [
        "b: not in expected.json, or not shown",
        "c: not in expected.json, or not shown",
        "a: 1.2, expected 1 ± 0.1",
    ]
    assert weave.off({"a": float("nan"), "b": 2.0}, known) == ["a: nan, expected 1 ± 0.1"]


def test_what_is_printed_in_pieces_is_joined():
    said = [nbformat.v4.new_output("stream", name="stdout", text=t) for t in ("a\n", "b\n")]
    shown = nbformat.v4.new_output("display_data", data={"text/plain": "x"})
    whole = weave.joined([said[0], said[1], shown, nbformat.v4.new_output("stream", name="stdout", text="c\n")])
    assert [o.get("text", "x") for o in whole] == ["a\nb\n", "x", "c\n"]
