"""README's maps from equation to file to check to lesson are made from `equations.toml`; their links lead somewhere."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from cmir_ref import checks
from cmir_ref.equations import EQUATIONS, equation_table

ROOT = Path(__file__).parents[1]
NUMBERED = [e for e in EQUATIONS if e.number.isdigit()]
WITH_GRADIENT = [e for e in EQUATIONS if "::" not in e.check]
WITH_TEST = [e for e in EQUATIONS if "::" in e.check]


def name(equation):
    return f"{equation.paper} {equation.number}"


def test_readme_has_a_table_for_each_paper():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for paper in {e.paper for e in EQUATIONS}:
        marker = f"equations {paper}"
        table = re.search(rf"<!-- {marker} -->\n(.*)\n<!-- /{marker} -->", readme, re.DOTALL)
        assert table, f"README.md: no markers {marker}"
        assert table[1] == equation_table(paper), "README.md: paste what `python -m cmir_ref.equations` prints"


def test_every_equation_of_cmir_net_is_there():
    numbers = [e.number for e in EQUATIONS if e.paper == "cmirnet"]
    assert numbers == [*map(str, range(1, 9)), "Fig. 2", "Algorithm 1"]


@pytest.mark.parametrize("equation", EQUATIONS, ids=name)
def test_function_is_documented_and_stands_in_its_paper(equation):
    module, _, function = equation.function.rpartition(".")
    assert getattr(importlib.import_module(f"cmir_ref.{module}"), function).__doc__
    assert module.split(".")[0] == equation.paper


@pytest.mark.parametrize("equation", WITH_GRADIENT, ids=name)
def test_gradient_stands_beside_it_and_is_checked(equation):
    module, _, function = equation.function.rpartition(".")
    assert getattr(importlib.import_module(f"cmir_ref.{module}"), f"{function}_backward").__doc__
    assert any(c.covers == equation.function for c in checks.select([equation.check]))


@pytest.mark.parametrize("equation", WITH_TEST, ids=name)
def test_test_exists(equation):
    path, _, function = equation.check.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("equation", NUMBERED, ids=name)
def test_the_lesson_derives_it_and_checks_it_there(equation):
    source = (ROOT / "lessons" / "src" / f"{equation.lesson}.py").read_text(encoding="utf-8")
    sections = re.split(r"^# ##+ ", source, flags=re.MULTILINE)
    headings = [i for i, text in enumerate(sections) if f"(eq. {equation.number})" in text.splitlines()[0]]
    assert len(headings) == 1, "one heading names the equation"
    later = (i for i in range(headings[0] + 1, len(sections)) if "(eq. " in sections[i].splitlines()[0])
    section = "".join(sections[headings[0] : next(later, len(sections))])
    names = ["complex_step", "check_gradient"]
    names += [  # and what the lesson makes of them
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and any(f"{check}(" in ast.unparse(node) for check in names)
    ]
    assert any(f"{check}(" in section for check in names)


@pytest.mark.parametrize("equation", [e for e in EQUATIONS if e not in NUMBERED], ids=name)
def test_the_lesson_names_it(equation):
    source = (ROOT / "lessons" / "src" / f"{equation.lesson}.py").read_text(encoding="utf-8")
    assert equation.number.replace("Fig.", "Figure") in source


@pytest.mark.parametrize("lesson", sorted({e.lesson for e in EQUATIONS}))
def test_notebook_exists(lesson):
    assert (ROOT / "lessons" / f"{lesson}.ipynb").exists()
