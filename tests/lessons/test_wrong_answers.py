"""Typical wrong answers to the exercises: each is refused, with words that lead to the mistake."""

import ast
import symtable
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import matplotlib
import pytest

from cmir_ref.errors import InputError

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path[:0] = [str(LESSONS), str(Path(__file__).parent)]

import weave  # noqa: E402
import wrong_answers  # noqa: E402

SOURCES = {source.stem[:2]: source for source in weave.sources()}
MANY = 90  # so many at least for the first fourteen lessons


class Exercise(NamedTuple):
    """The cells of an exercise by their tags, and the statements of the lesson before it."""

    cells: dict[str, str]
    before: list[ast.stmt]


def exercises(source: Path) -> list[Exercise]:
    """The exercises of a lesson, in order; what comes before one are all cells without the tags of an exercise."""
    found, before = [], []
    for cell in weave.read(source).cells:
        if cell.cell_type == "code":
            kind = next((t for t in ("exercise", "solution", "check") if weave.tagged(cell, t)), None)
            if kind == "exercise":
                found.append(Exercise({}, list(before)))
            if kind:
                found[-1].cells[kind] = cell.source
            else:
                before += ast.parse(cell.source).body
    return found


def globals_of(table: symtable.SymbolTable) -> set[str]:
    """The names outside of it that a piece of code reads, those in its functions too."""
    top = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return names.union(*(globals_of(child) for child in table.get_children()))


def read_by(statement: ast.AST) -> set[str]:
    """The names that must be there before a statement."""
    if isinstance(statement, ast.For):
        return read_by(statement.iter) | reads(statement.body + statement.orelse) - bound(statement.target)
    if isinstance(statement, ast.If | ast.While):
        return read_by(statement.test) | reads(statement.body) | reads(statement.orelse)
    names = globals_of(symtable.symtable(ast.unparse(statement), "lesson", "exec"))
    return names | {n.target.id for n in [statement] if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}


def reads(statements: list[ast.stmt]) -> set[str]:
    """The names that must be there before some statements."""
    wanted, made = set(), set()
    for statement in statements:
        wanted |= read_by(statement) - made
        made |= bound(statement)
    return wanted


def bound(statement: ast.AST) -> set[str]:
    """The names that a statement makes or writes into, those inside its functions left out."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    names = set()
    for node in ast.walk(statement):
        written = isinstance(getattr(node, "ctx", None), ast.Store)
        while written and isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        names |= {node.id} if written and isinstance(node, ast.Name) else set()
    return names


def needed(before: list[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """The statements without which some of the names would not be there, or not with this value."""
    there = set().union(*map(bound, before))
    while True:
        kept, open_names = [], set(names)
        for statement in reversed(before):
            if bound(statement) & open_names:
                open_names |= read_by(statement)
                kept.insert(0, statement)
        later = (open_names & there) - set().union(*map(bound, kept))  # what a function reads may stand behind it
        if not later:
            return kept
        names = names | later


@pytest.fixture(scope="module")
def made():
    """A function from the key of an exercise, as "02" or "10b", to (its names, its cells); each is made once."""
    matplotlib.use("Agg")
    known = {}

    def exercise_of(key):
        if key not in known:
            exercise = exercises(SOURCES[key[:2]])["abc".index(key[2:] or "a")]
            wanted = set().union(*(reads(ast.parse(text).body) for text in exercise.cells.values()))
            names = {"__name__": "lesson", "display": lambda *shown: None}
            for statement in needed(exercise.before, wanted):
                exec(compile(ast.Module([statement], []), str(key), "exec"), names)
            exec(exercise.cells["exercise"], names)
            known[key] = names, exercise.cells
        return known[key]

    return exercise_of


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda *shown, **how: None)
    monkeypatch.chdir(LESSONS)


def answer_of(solution: str, changes: str | list[tuple[str, str]]) -> str:
    """A whole answer as it stands, or the solution with some of its words exchanged."""
    if isinstance(changes, str):
        return changes
    for right, wrong in changes:
        assert solution.count(right) == 1, f"the solution has {right!r} {solution.count(right)} times"
        solution = solution.replace(right, wrong)
    return solution


@pytest.mark.parametrize("key", list(wrong_answers.WRONG))
def test_the_solution_passes(key, made):
    names, cells = made(key)
    exec(cells["solution"], names)
    exec(cells["check"], names)


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("row", wrong_answers.ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_wrong_answer_is_refused_with_words_that_lead_to_it(row, made):
    key, _, changes, words = row
    names, cells = made(key)
    exec(cells["exercise"], names)
    exec(answer_of(cells["solution"], changes), names)
    with pytest.raises((AssertionError, InputError)) as refused:
        exec(cells["check"], names)
    for word in [words] if isinstance(words, str) else words:
        assert word in str(refused.value)


def test_there_are_many_and_every_exercise_has_some():
    of_lesson = Counter(row[0][:2] for row in wrong_answers.ROWS)
    assert sum(of_lesson[f"{n:02}"] for n in range(14)) >= MANY
    keys = {n + letter for n, s in SOURCES.items() for letter, _ in zip(["", "b", "c"], exercises(s), strict=False)}
    assert keys == set(wrong_answers.WRONG)


def test_only_what_an_answer_needs_is_run():
    text = """import a
b = a.f()
slow = a.g(b)
c = {}
for k in b:
    c[k] = 1
d = 3
d += b
def f(b):
    return b + d + e
e = 1"""

    def first(names):
        return [ast.unparse(s).splitlines()[0] for s in needed(ast.parse(text).body, names)]

    assert first({"c"}) == ["import a", "b = a.f()", "c = {}", "for k in b:"]
    assert first({"f"}) == ["import a", "b = a.f()", "d = 3", "d += b", "def f(b):", "e = 1"]
    assert reads(ast.parse("f = lambda x: x + y\nz = 1\nfor i in z:\n    u = i\n    g(u)").body) == {"y", "g"}
