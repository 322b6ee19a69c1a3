"""The map from the papers' equations to this code, its checks and its lessons: `equations.toml`, read once.

`python -m cmir_ref.equations` prints README's table and those of docs/equations.md.
"""

import tomllib
from importlib.resources import files
from typing import NamedTuple

from .streams import run_module


class Equation(NamedTuple):
    """One row of `equations.toml`, which says what each field is."""

    paper: str
    number: str
    symbol: str
    name: str
    formula: str
    function: str
    check: str
    lesson: str = ""


EQUATIONS = tuple(
    Equation(**row)
    for row in tomllib.loads((files(__package__) / "equations.toml").read_text(encoding="utf-8"))["equation"]
)


PAGES = {"cmirnet": "README.md"}  # where a paper's table stands, if not in docs/equations.md


def equation_table(paper: str) -> str:
    """The rows of one paper as a Markdown table, with links from the page on which it stands."""
    root = "" if paper in PAGES else "../"
    lines = ["| eq. | what | formula | function, and its gradient beside it | check | lesson |", "|---" * 6 + "|"]
    for e in EQUATIONS:
        if e.paper == paper:
            module, _, function = e.function.rpartition(".")
            file, _, test = e.check.partition("::")
            function = f"[`{function}`]({root}cmir_ref/{module.replace('.', '/')}.py)"
            check = f"[test]({root}{file})" if test else f"`{e.check}`"
            lesson = f"[{e.lesson[:2]}]({root}lessons/{e.lesson}.ipynb)" if e.lesson else "–"
            name = f"{e.name}, {e.symbol}" if e.symbol else e.name
            lines.append(f"| {' | '.join((e.number, name, e.formula, function, check, lesson))} |")
    return "\n".join(lines)


def print_tables() -> None:
    """Prints every paper's table between its marks."""
    for paper in dict.fromkeys(e.paper for e in EQUATIONS):
        print(f"<!-- equations {paper} -->\n{equation_table(paper)}\n<!-- /equations {paper} -->")


if __name__ == "__main__":
    run_module("python -m cmir_ref.equations", print_tables)
