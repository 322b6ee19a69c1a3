"""The exercises of the lessons, and those statements of a lesson that an exercise needs; the rest need not run."""

import ast
import symtable
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path.insert(0, str(LESSONS))

import weave  # noqa: E402

SOURCES = {source.stem[:2]: source for source in weave.sources()}


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


def run(statements: Iterable[ast.stmt], names: dict, lesson: str) -> None:
    """Executes statements of a lesson one by one, so that a failure names its line."""
    for statement in statements:
        exec(compile(ast.Module([statement], []), f"lesson {lesson}", "exec"), names)
