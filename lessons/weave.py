"""Makes the notebooks of `lessons/` from their sources and runs them: `python lessons/weave.py [03 …]`.

A source is `src/NN_title.py` in Jupytext's percent format. Cells tagged `exercise`, `solution` and `check` follow each
other. A run executes the check twice: on the blank, where it must fail, and on the solution, where it must pass. The
notebook that is written shows the blank, the solution and the check that passed. The solution is folded, a long check
too, and all code tagged `folded`. `CMIR_DATA` is taken away while notebooks are made, so that no picture of a data set
is ever committed.
"""

import argparse
import ast
import hashlib
import importlib.util
import json
import os
import re
import sys
import time
from copy import deepcopy
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from cmir_ref.reports.lesson import NUMBERS

LESSONS = Path(__file__).parent
EXPECTED = LESSONS / "expected.json"
SHORT_CHECK = 12  # lines that need no fold
MAP = ("<!-- map -->", "<!-- /map -->")


def sources() -> list[Path]:
    """All sources, in the order of the lessons."""
    return sorted((LESSONS / "src").glob("[0-9][0-9]_*.py"))


def notebook_of(source: Path) -> Path:
    """Where the notebook of a source is written."""
    return LESSONS / f"{source.stem}.ipynb"


def read(source: Path):
    """A source as a notebook without outputs; `metadata.lesson` holds question, minutes, needs and derives."""
    book = jupytext.read(source)
    for i, cell in enumerate(book.cells):
        cell.id = f"cell-{i}"  # Jupytext draws them anew each time
    return book


def tagged(cell, tag: str) -> bool:
    return tag in cell.metadata.get("tags", ())


def is_folded(cell) -> bool:
    """Whether a reader has to click to see a cell's code."""
    long_check = tagged(cell, "check") and len(cell.source.splitlines()) > SHORT_CHECK
    return tagged(cell, "solution") or tagged(cell, "folded") or long_check


def imported(book) -> list[tuple[str, str]]:
    """(module, name) of everything a notebook imports from the package."""
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    nodes = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.ImportFrom | ast.Import)]
    pairs = [(getattr(n, "module", None) or a.name, a.name) for n in nodes for a in n.names]
    return sorted({(module, name) for module, name in pairs if module.split(".")[0] == "cmir_ref"})


def module_file(module: str, name: str) -> Path:
    """The file that `from module import name` reads: the submodule where `name` is one."""
    whole = f"{module}.{name}" if module != name else module
    try:
        found = importlib.util.find_spec(whole) or importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = importlib.util.find_spec(module)
    return Path(found.origin)


def fingerprint(source: Path) -> str:
    """Hash of a source and of the package's files it imports: other pictures may come of a change in any of them."""
    digest = hashlib.sha256(source.read_bytes())
    for path in sorted({module_file(*pair) for pair in imported(read(source))}):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def doubled(book):
    """The notebook with each check once more, before the solution, where it must fail."""
    book = deepcopy(book)
    cells, at = [], 0
    while at < len(book.cells):
        cell = book.cells[at]
        if not tagged(cell, "exercise"):
            cells.append(cell)
            at += 1
            continue
        solution, check = book.cells[at + 1 : at + 3]
        if not (tagged(solution, "solution") and tagged(check, "check")):
            raise ValueError(f"after an exercise come its solution and its check: {cell.source.splitlines()[0]}")
        blank = deepcopy(check)
        blank.id, blank.metadata["tags"] = f"{check.id}-blank", ["blank", "raises-exception"]
        cells += [cell, blank, solution, check]
        at += 3
    book.cells = cells
    return book


def execute(source: Path, data: str | None = None, timeout: int = 300):
    """Runs a lesson in a fresh kernel, checks on the blanks included; `data` is CMIR_DATA."""
    book = doubled(read(source))
    environment = {k: v for k, v in os.environ.items() if k not in ("CMIR_DATA", "MPLBACKEND")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(LESSONS.parent)} | ({"CMIR_DATA": data} if data else {})
    client = NotebookClient(
        book,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(LESSONS)}},
    )
    client.execute(env=environment)
    return book


def blank_errors(book) -> list[str | None]:
    """For each check that ran on a blank, the kind of its error; None where it passed."""
    blanks = [cell for cell in book.cells if tagged(cell, "blank")]
    return [next((o.ename for o in cell.outputs if o.output_type == "error"), None) for cell in blanks]


def numbers(book) -> dict[str, float]:
    """The key numbers that a lesson displayed."""
    found: dict[str, float] = {}
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            found |= output.get("data", {}).get(NUMBERS, {})
    return found


def joined(outputs: list) -> list:
    """Printed lines of one cell as one text: a busy machine hands them over in pieces."""
    whole: list = []
    for output in outputs:
        if whole and output.output_type == "stream" and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def finished(book, mark: str):
    """What is committed: checks on blanks gone, solutions folded, counts in order, what was printed in one piece."""
    book = deepcopy(book)
    book.cells = [cell for cell in book.cells if not tagged(cell, "blank")]
    for i, cell in enumerate(c for c in book.cells if c.cell_type == "code"):
        cell.execution_count = i + 1
        cell.outputs = joined(cell.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = i + 1
        if is_folded(cell):
            cell.metadata["jupyter"] = {"source_hidden": True}
    book.metadata["lesson"]["fingerprint"] = mark
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book.metadata["language_info"] = {"name": "python"}
    return book


def expected() -> dict[str, dict[str, list[float]]]:
    """By lesson and name: [value, tolerance]."""
    return json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}


def off(found: dict[str, float], known: dict[str, list[float]]) -> list[str]:
    """What does not agree with the expected numbers, a line each."""
    names = [f"{name}: not in expected.json, or not shown" for name in sorted(found.keys() ^ known.keys())]
    return names + [
        f"{name}: {found[name]:.6g}, expected {value:.6g} ± {within:.2g}"
        for name, (value, within) in known.items()
        if name in found and not abs(found[name] - value) <= within
    ]


def update(known: dict[str, list[float]], found: dict[str, float]) -> dict[str, list[float]]:
    """New values with the tolerances that were set; a new number gets 1 % until someone sets its own."""
    return {name: [value, known.get(name, (0, abs(value) / 100))[1]] for name, value in found.items()}


def map_of_lessons() -> str:
    """The table in lessons/README.md."""
    rows = ["| | lesson | question | minutes | before it |", "|---|---|---|---|---|"]
    for source in sources():
        book = read(source)
        about, title = book.metadata["lesson"], re.match(r"# (.*)", book.cells[0].source)[1]
        name = re.sub(r"^\d+ · ", "", title)
        needs = ", ".join(about["needs"]) or "nothing"
        link = f"[{name}]({source.stem}.ipynb)"
        rows.append(f"| {source.stem[:2]} | {link} | {about['question']} | {about['minutes']} | {needs} |")
    return "\n".join(rows)


def with_map(text: str) -> str:
    """README with the table between its markers made anew."""
    before, rest = text.split(MAP[0])
    return f"{before}{MAP[0]}\n{map_of_lessons()}\n{MAP[1]}{rest.split(MAP[1])[1]}"


def main() -> int:
    """Runs the lessons named by their numbers (default: all) and writes notebooks, expected numbers and the map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", help="as 03; default: all")
    chosen = parser.parse_args().numbers
    for source in [s for s in sources() if not chosen or s.stem[:2] in chosen]:
        start = time.perf_counter()
        book = execute(source)
        if None in blank_errors(book):
            print(f"{source.stem}: a check passes on the blank", file=sys.stderr)
            return 1
        path = notebook_of(source)
        nbformat.write(finished(book, fingerprint(source)), path)
        known = expected()
        known[source.stem] = update(known.get(source.stem, {}), numbers(book))
        EXPECTED.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")
        print(f"{path.name}: {time.perf_counter() - start:.0f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)
    readme = LESSONS / "README.md"
    readme.write_text(with_map(readme.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
