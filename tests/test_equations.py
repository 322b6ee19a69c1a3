"""The maps from equation to file, check and lesson are made from `equations.toml`; their links lead somewhere."""

import ast
import importlib
import re
from operator import attrgetter
from pathlib import Path

import pytest

from cmir_ref import checks
from cmir_ref.amfmn.settings import AmfmnSettings
from cmir_ref.config import load_config
from cmir_ref.equations import EQUATIONS, PAGES, equation_table
from cmir_ref.settings_text import list_settings

ROOT = Path(__file__).parents[1]
DERIVED = [e for e in EQUATIONS if e.lesson]
NUMBERED = [e for e in DERIVED if e.number.isdigit() and "::" not in e.check]  # those that have a gradient
WITH_GRADIENT = [e for e in EQUATIONS if "::" not in e.check]
WITH_TEST = [e for e in EQUATIONS if "::" in e.check]


def name(equation):
    return f"{equation.paper} {equation.number}"


@pytest.mark.parametrize("paper", ["cmirnet", "attention", "amfmn"])
def test_each_paper_has_a_table(paper):
    page, marker = PAGES.get(paper, "docs/equations.md"), f"equations {paper}"
    text = (ROOT / page).read_text(encoding="utf-8")
    table = re.search(rf"<!-- {marker} -->\n(.*)\n<!-- /{marker} -->", text, re.DOTALL)
    assert table, f"{page}: no markers {marker}"
    assert table[1] == equation_table(paper), f"{page}: paste what `python -m cmir_ref.equations` prints"


def test_no_cell_of_a_table_holds_a_bar():
    assert not [name(e) for e in EQUATIONS if any("|" in field for field in e)]


def test_every_equation_of_cmir_net_is_there():
    numbers = [e.number for e in EQUATIONS if e.paper == "cmirnet"]
    assert numbers == [*map(str, range(1, 9)), "Fig. 2", "Algorithm 1"]
    assert all(e.lesson for e in EQUATIONS if e.paper == "cmirnet")


def test_every_form_of_attention_and_every_equation_of_amfmn_has_a_row():
    assert {"R1", "R2", "R3"} <= {e.number for e in EQUATIONS if e.paper == "attention"}
    numbers = [re.findall(r"\d+", e.number) for e in EQUATIONS if e.paper == "amfmn"]
    assert {n for ends in numbers if ends for n in range(int(ends[0]), int(ends[-1]) + 1)} == {*range(1, 28), 29, 30}


def test_differences_of_amfmns_sources_name_settings_that_the_presets_set_apart():
    text = (ROOT / "docs/equations.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- differences amfmn -->\n(.*)\n<!-- /differences amfmn -->", text, re.DOTALL)[1]
    shown = [re.findall(r"`([\w.]+)`", line.rsplit(" | ", 1)[1]) for line in table.splitlines()[2:]]
    values = [
        {s.name: attrgetter(s.name)(load_config(f"image-text{v}")) for s in list_settings(AmfmnSettings)}
        for v in ("_paper", "_released", "")
    ]
    same = [names for names in shown if all(len({str(v[name]) for v in values}) == 1 for name in names)]
    assert len(shown) == 20 and same == [["reset"], ["margin.stop_words"], ["negatives"], ["split"]]


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


@pytest.mark.parametrize("equation", [e for e in DERIVED if e not in NUMBERED], ids=name)
def test_the_lesson_names_it(equation):
    source = (ROOT / "lessons" / "src" / f"{equation.lesson}.py").read_text(encoding="utf-8")
    assert equation.number.replace("Fig.", "Figure") in source


@pytest.mark.parametrize("lesson", sorted({e.lesson for e in DERIVED}))
def test_notebook_exists(lesson):
    assert (ROOT / "lessons" / f"{lesson}.ipynb").exists()
