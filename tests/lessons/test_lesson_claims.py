"""`lessons/claims.toml`: each claim of a lesson stands beside an assertion that the lesson makes under that heading."""

import ast
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path.insert(0, str(LESSONS))

import weave  # noqa: E402

FIELDS = {"lesson", "under", "claim", "assertion"}
CLAIMS = tomllib.loads((LESSONS / "claims.toml").read_text(encoding="utf-8"))["claim"]
SOURCES = {source.stem[:2]: source for source in weave.sources()}


def statements(body):
    """The statements of a cell that run whenever the cell does: not those in a function, a class or a branch."""
    for node in body:
        yield node
        if isinstance(node, ast.For | ast.With):
            yield from statements(node.body)
        if isinstance(node, ast.Try):
            yield from statements(node.orelse)


def assertions(code):
    """What the assertions of a cell say: the condition, or the words of `raise AssertionError("…")`."""
    for node in statements(ast.parse(code).body):
        if isinstance(node, ast.Assert):
            yield ast.unparse(node.test)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield str(getattr(node.exc.args[0], "value", ""))


def by_heading(book):
    """(heading, assertion) of every assertion that a run of the notebook makes."""
    heading = None
    for cell in book.cells:
        if cell.cell_type == "markdown":
            heading = next(reversed(re.findall(r"^##+ (.*)$", cell.source, re.MULTILINE)), heading)
        elif not weave.tagged(cell, "exercise") and not weave.tagged(cell, "check"):
            for assertion in assertions(cell.source):
                yield heading, assertion


def wrong_claims(claims, made):
    """A line for each claim without an assertion of its own: `made` is by lesson a list of (heading, assertion)."""
    lines = []
    for claim in claims:
        if set(claim) != FIELDS or not all(isinstance(v, str) and v.strip() for v in claim.values()):
            lines.append(f"{claim.get('claim', claim)!r}: its fields are {', '.join(sorted(FIELDS))}")
            continue
        try:
            wanted = ast.unparse(ast.parse(claim["assertion"], mode="eval"))
        except SyntaxError:
            wanted = claim["assertion"]
        if (claim["under"], wanted) not in made.get(claim["lesson"], ()):
            lines.append(f"{claim['lesson']}, {claim['under']!r}: no cell asserts {wanted}")
    return lines


@pytest.fixture(scope="module")
def made():
    return {number: list(by_heading(weave.read(source))) for number, source in SOURCES.items()}


def test_every_claim_has_its_assertion(made):
    assert wrong_claims(CLAIMS, made) == []


def test_no_claim_is_listed_twice_and_no_lesson_is_left_out():
    assert max(Counter((c["lesson"], c["claim"]) for c in CLAIMS).values()) == 1
    assert len(CLAIMS) >= 60
    assert {c["lesson"] for c in CLAIMS} == set(SOURCES)


def test_every_finding_about_the_paper_is_a_claim():
    """A line of lessons/README.md links to a heading: a claim is asserted under it."""
    text = (LESSONS / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\((\d\d)_\w+\.ipynb#([^|]*)\)(?= \|)", text)
    claimed = {(c["lesson"], c["under"].replace(" ", "-").replace('"', "%22")) for c in CLAIMS}
    assert linked and [link for link in linked if link not in claimed] == []


def test_a_claim_without_its_assertion_is_found():
    made = {"01": [("Here", "x < 1")]}
    right = {"lesson": "01", "under": "Here", "claim": "x is small.", "assertion": "x  <  1"}
    assert wrong_claims([right], made) == []
    for change in ({"assertion": "x < 2"}, {"under": "There"}, {"lesson": "02"}, {"assertion": " "}):
        assert len(wrong_claims([right | change], made)) == 1
    assert len(wrong_claims([{k: v for k, v in right.items() if k != "assertion"}], made)) == 1


@pytest.mark.parametrize(
    "code, found",
    [
        ("assert x < 1", ["x < 1"]),
        ("for x in y:\n    assert x < 1, 'why'", ["x < 1"]),
        ("def f():\n    assert x < 1", []),
        ("if real:\n    assert x < 1", []),
        ("try:\n    f()\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('it went in')", ["it went in"]),
    ],
)
def test_only_what_runs_counts(code, found):
    assert list(assertions(code)) == found
