"""README's map from equation to file to check is the one in `equations.py`, and every link in it leads somewhere."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from cmir_ref import checks
from cmir_ref.equations import EQUATIONS, markdown

ROOT = Path(__file__).parents[1]


def test_readme_has_the_table_of_equations():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- equations -->\n(.*)\n<!-- /equations -->", readme, re.DOTALL)
    assert found, "README.md: the markers of the table are missing"
    assert found.group(1) == markdown(), "README.md: replace the table by the output of cmir_ref.equations.markdown()"


def test_every_equation_of_the_paper_is_there():
    assert [e.number for e in EQUATIONS] == [str(n) for n in range(1, 9)]


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: e.number)
def test_links_lead_somewhere(equation):
    module, _, name = equation.function.rpartition(".")
    function = getattr(importlib.import_module(f"cmir_ref.{module}"), name)
    assert function.__doc__
    assert any(c.covers == equation.function for c in checks.select([equation.check]))


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: e.number)
def test_the_lesson_derives_it_and_checks_it_there(equation):
    source = (ROOT / "lessons" / "src" / f"{equation.lesson}.py").read_text(encoding="utf-8")
    sections = re.split(r"^# ##+ ", source, flags=re.MULTILINE)
    own = [i for i, text in enumerate(sections) if f"(eq. {equation.number})" in text.splitlines()[0]]
    assert len(own) == 1, "one heading names the equation"
    later = (i for i in range(own[0] + 1, len(sections)) if "(eq. " in sections[i].splitlines()[0])
    section = "".join(sections[own[0] : next(later, len(sections))])
    checks = ["complex_step", "check_gradient"]
    checks += [  # and what the lesson makes of them
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and any(f"{check}(" in ast.unparse(node) for check in checks)
    ]
    assert any(f"{check}(" in section for check in checks)
    assert (ROOT / "lessons" / f"{equation.lesson}.ipynb").exists()
