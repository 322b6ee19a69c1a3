"""The lessons as pages: formulas, links, folds, and nothing from outside."""

import json
import re
from pathlib import Path

import pytest

from cmir_ref.errors import InputError
from cmir_ref.reports.lesson_pages import renderer, write_lesson_pages

LESSONS = Path(__file__).parents[2] / "lessons"
PICTURE = {
    "output_type": "display_data",
    "data": {"image/png": "iVBORw0KGgo=\n"},
    "metadata": {"image/png": {"alt": "a"}},
}


def code(source, *outputs, **metadata):
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": list(outputs)}


def text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


@pytest.fixture
def pages(tmp_path):
    """Writes a folder with one notebook of these cells, and returns its page."""

    def pages_of(*cells):
        folder = tmp_path / "repository" / "lessons"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "07_one.ipynb").write_text(json.dumps({"cells": list(cells)}), encoding="utf-8")
        (folder / "README.md").write_text("# Lessons\n\n[one](07_one.ipynb#A-part)", encoding="utf-8")
        assert [p.name for p in write_lesson_pages(folder, tmp_path / "out")] == ["07_one.html", "index.html"]
        return (tmp_path / "out" / "07_one.html").read_text(encoding="utf-8")

    return pages_of


def test_formulas_become_mathml_and_code_keeps_its_dollars():
    page = renderer()("a $x_i^2$ and `$HOME` and\n\n$$\\frac{a_1 * b_2}{c * d}$$\n\n```\ncost $5 or $6\n```\n")
    assert page.count("<math") == 2 and 'display="block"' in page
    assert "<mfrac>" in page and page.count("<mo>&#x0002A;</mo>") == 2 and "<em>" not in page
    assert "<code>$HOME</code>" in page and "cost $5 or $6" in page


def test_headings_have_the_anchors_that_notebooks_give_them():
    page = renderer()('## Fact 4: the "vector" of `ones`\n')
    assert 'id="Fact-4:-the-&quot;vector&quot;-of-ones"' in page


def test_links_lead_to_pages_and_into_the_checkout(pages, tmp_path):
    page = pages(
        text("# 07 · One\n\n[a](06_x.ipynb#Part-2) [b](../cmir_ref/ops/conv.py) [c](https://example.org/#x) [d](#Part)")
    )
    assert 'href="06_x.html#Part-2"' in page and 'href="#Part"' in page and 'href="https://example.org/#x"' in page
    assert 'href="../repository/cmir_ref/ops/conv.py"' in page and "<title>07 · One</title>" in page
    assert 'href="07_one.html#A-part"' in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_hidden_code_is_folded_and_what_it_showed_is_not(pages):
    said = {"output_type": "stream", "name": "stdout", "text": ["1 < 2 & 3\n"]}
    page = pages(
        text("# 07 · One"),
        code("axes.plot()", PICTURE, jupyter={"source_hidden": True}),
        code("box = 1", jupyter={"source_hidden": True}),
        code("solve()", jupyter={"source_hidden": True}, tags=["solution"]),
        code("assert plt", jupyter={"source_hidden": True}, tags=["check"]),
        code("print()", said),
    )
    folds = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", page, re.DOTALL)
    assert [name for name, _ in folds] == ["code that draws", "code", "a solution", "the check"]
    assert "plot" in folds[0][1] and "<img" not in folds[0][1] and page.count("<img") == 1
    assert "1 &lt; 2 &amp; 3" in page


def test_every_lesson_becomes_a_page_that_asks_for_nothing(tmp_path):
    for page in write_lesson_pages(LESSONS, tmp_path):
        content = page.read_text(encoding="utf-8")
        asked = re.findall(r'(?:src|@import|url\()\s*=?\s*"?(https?:[^"]*)', content)
        assert asked == [] and "<script" not in content, page.name
        prose = re.sub(r"<pre.*?</pre>|<code.*?</code>|<style.*?</style>|<img[^>]*>", "", content, flags=re.DOTALL)
        assert re.findall(r"\$\$|\\[a-z]{3,}", prose) == [], f"{page.name}: a formula was not rendered"


def test_without_the_library_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "latex2mathml.converter", None)
    with pytest.raises(InputError, match=r"pip install 'cmir-ref\[lessons\]'"):
        write_lesson_pages(LESSONS, tmp_path / "out")
    assert not (tmp_path / "out").exists()
