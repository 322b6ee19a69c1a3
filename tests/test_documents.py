"""The pages of the repository: their links lead somewhere, their commands exist, what they say of the code is true."""

import ast
import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

import cmir_ref
from cmir_ref import run_files
from cmir_ref.cli import app
from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.config import SharedSettings, load_config, preset_names
from cmir_ref.contract import Stage, System
from cmir_ref.data.scenarios import SCENARIOS
from cmir_ref.gradcheck import check_gradient
from cmir_ref.settings_text import list_settings
from cmir_ref.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
PASSED_OVER = {"runs", "mutants", "build", "dist", "node_modules", "templates"}  # a template is no page yet


def files(*suffixes: str) -> list[Path]:
    """The files of the repository with these suffixes, below no hidden folder and none that a command made."""
    parts = ((path, path.relative_to(ROOT).parts) for path in sorted(ROOT.rglob("*")) if path.suffix in suffixes)
    return [p for p, names in parts if not any(n.startswith(".") or n in PASSED_OVER for n in names)]


PAGES = [str(path.relative_to(ROOT)) for path in files(".md")]
NOTEBOOKS = [str(path.relative_to(ROOT)) for path in files(".ipynb")]


@cache
def text_of(page: str) -> str:
    """A page; of a notebook its cells of text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if not page.endswith(".ipynb"):
        return text
    return "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


def prose_of(page: str) -> str:
    """A page without its blocks of code, in which nothing is a heading or a link."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def links_of(page: str) -> list[str]:
    """Where the links and pictures of a page lead."""
    prose = re.sub(r"`[^`\n]*`", "", prose_of(page))
    return re.findall(r"\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)*)\)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)


@cache
def anchors_of(path: Path) -> set[str]:
    """What may stand behind `#` in a link to a page or a notebook, as GitHub names its headings."""
    page = str(path.relative_to(ROOT))
    if path.suffix == ".ipynb":
        return {title.strip().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)}
    names = set(re.findall(r'<a id="([^"]+)"', text_of(page)))
    for title in re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        names.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return names


def section(page: str, anchor: str) -> str:
    """The text below one heading of a page, up to the next heading that is not below it."""
    lines, inside, depth = [], False, 0
    for line in text_of(page).split("\n"):
        heading = re.match(r"(#+) (.+)", line)
        if heading:
            name = re.sub(r"[^\w\- ]", "", heading[2].lower()).replace(" ", "-")
            if name == anchor:
                inside, depth = True, len(heading[1])
            elif inside and len(heading[1]) <= depth:
                break
        if inside:
            lines.append(line)
    return "\n".join(lines)


# ---- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES + NOTEBOOKS)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page):
    wrong = []
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue  # of the web
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / unquote(target) if target else ROOT / page
        if not path.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and unquote(anchor) not in anchors_of(path.resolve()):
            wrong.append(f"{link}: no such heading")
    assert wrong == []


def test_links_are_read():
    assert "docs/design.md#words" in links_of("README.md") and "docs/demo.png" in links_of("README.md")
    assert {"words", "is-the-space-alive"} <= anchors_of(ROOT / "docs" / "design.md")
    assert "../cmir_ref/ops/conv.py" in links_of("lessons/04_convolution.ipynb")


def test_no_page_is_cited_that_is_not_here():
    """Pages, docstrings, comments and tests name nothing that a reader of the repository does not have."""
    absent = re.compile(r"DES[I]GN|spec[.]md|[(]spec [A-E]|house[-]review|/work[/]")  # which does not match itself
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files(".md", ".py", ".toml", ".ipynb", ".html", ".cff")
        for match in [absent.search(path.read_text(encoding="utf-8"))]
        if match
    ]
    assert found == []


def test_every_test_that_a_page_names_exists():
    named = {(file, name) for page in PAGES for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text_of(page))}
    assert len(named) > 60
    trees = {file: ast.parse((ROOT / file).read_text(encoding="utf-8")) for file, _ in named}
    functions = {file: {n.name for n in tree.body if isinstance(n, ast.FunctionDef)} for file, tree in trees.items()}
    assert sorted(f"{file}::{name}" for file, name in named if name not in functions[file]) == []


# ---- README ---------------------------------------------------------------------------------------------------------


def test_readme_is_short_and_its_code_fits_on_the_page():
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 150
    code = "".join(re.findall(r"```\w*\n(.*?)```", text_of("README.md"), re.DOTALL)).splitlines()
    assert max(map(len, code)) <= 108  # what is seen at 1000 pixels


@pytest.mark.parametrize(("marker", "last"), [("first", "cmir-ref demo"), ("tests", "pytest -n 2 --dist worksteal")])
def test_the_two_commands_stand_between_their_markers(marker, last):
    block = re.search(rf"<!-- {marker} -->\n```sh\n(.*)```\n<!-- /{marker} -->", text_of("README.md"), re.DOTALL)
    create, install, command = block[1].splitlines()
    environment = create.removeprefix("python3 -m venv ")
    assert install.startswith(f"{environment}/bin/pip install ") and f"{environment}/bin/{last}" in command


def test_the_results_stand_between_their_markers():
    table = re.search(r"<!-- results -->\n(.*)\n<!-- /results -->", text_of("README.md"), re.DOTALL)
    assert table and table[1].startswith("| ") and "±" in table[1]


class Question(NamedTuple):
    """A newcomer's question, the links that answer it, starting in README, and a phrase that stands there."""

    question: str
    path: tuple[str, ...]
    phrase: str


QUESTIONS = [
    Question(
        "Where is eq. 5 and its gradient?", ("cmir_ref/cmirnet/eq5_reconstruction.py",), "def reconstruction_backward"
    ),
    Question("Where is Algorithm 1?", ("cmir_ref/cmirnet/stage2.py",), "Algorithm 1"),
    Question(
        "Which settings differ between paper and code?",
        ("docs/paper_and_code.md",),
        "| `batch_norm` | 6 | train | frozen |",
    ),
    Question("How do I use the GPU?", (), "--device cuda"),
    Question("What is in a run folder?", ("docs/design.md#what-a-run-writes",), "| `checkpoint.safetensors` |"),
    Question("How do I add an operation?", ("CONTRIBUTING.md",), "## Add an operation"),
    Question(
        "What does `half collapsed` mean?",
        ("docs/design.md#words", "#is-the-space-alive"),
        "| `half collapsed` | one modality is a single point",
    ),
    Question("How do I use it from Python?", ("docs/design.md#python",), "from cmir_ref import"),
    Question(
        "Where are the printed numbers?", ("docs/paper_and_code.md", "../cmir_ref/cmirnet/published.py"), "TABLE1 ="
    ),
    Question("How do I cite it?", ("CITATION.cff",), "Pattern Recognition Letters"),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.question)
def test_ten_questions_of_a_newcomer_are_two_links_from_readme(question):
    assert len(question.path) <= 2
    page, anchor = "README.md", ""
    for link in question.path:
        assert link in links_of(page), f"{page} has no link {link}"
        target, _, anchor = link.partition("#")
        page = str(((ROOT / page).parent / target).resolve().relative_to(ROOT)) if target else page
    assert question.phrase in (section(page, anchor) if anchor else text_of(page))


# ---- what the pages say of the code ---------------------------------------------------------------------------------


def value_of(config: SharedSettings, setting: str) -> str:
    """A setting's value as the table of readings writes it."""
    value = config
    for name in setting.split("."):
        value = getattr(value, name)
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_readings_are_those_of_the_presets():
    """docs/paper_and_code.md: every setting in which the presets of a scenario differ, with their values."""
    table = re.search(r"<!-- readings -->\n(.*)\n<!-- /readings -->", text_of("docs/paper_and_code.md"), re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()[2:]]
    shown = {name.strip("` "): values for name, _, *values in rows}
    versions = ("_paper", "_released", "")
    presets = {(s, v): load_config(f"{s}{v}") for s in ("pan-mul", "image-speech") for v in versions}
    expected = {}
    for setting in list_settings(CmirnetSettings):
        values = {key: value_of(config, setting.name) for key, config in presets.items()}
        cells = [(values["pan-mul", v], values["image-speech", v]) for v in versions]
        if len(set(cells)) > 1:
            expected[setting.name] = [a if a == b else f"{a} / {b}" for a, b in cells]
    assert shown == expected


def test_rows_of_the_audit_are_complete():
    page = text_of("docs/paper_and_code.md")
    rows = sorted(int(n) for n in re.findall(r"^\| (\d+) \|", page, re.MULTILINE))
    assert rows == list(range(1, len(rows) + 1)) and f"[{len(rows)} places]" in text_of("README.md")
    cells = re.findall(r"^\| `[\w.]+` \| ([\d, ]+) \|", page, re.MULTILINE)
    assert {int(n) for cell in cells for n in cell.split(",")} <= set(rows)


OWN_PAGES = [p for p in PAGES if not p.startswith("lessons/results/")]  # those are made by a command, or a record


@pytest.mark.parametrize("page", OWN_PAGES + NOTEBOOKS)
def test_every_setting_that_a_page_shows_exists(page):
    names = {s.name for system in SYSTEMS.values() for s in list_settings(system.settings)} | {"key"}
    shown = re.findall(rf"--set (?:(?:{'|'.join(SCENARIOS)})\.)?([\w.-]+)=", text_of(page))  # `demo` names the scenario
    assert set(shown) <= names


def commands() -> dict[str, set[str]]:
    """The commands of `cmir-ref` with their options."""
    group = typer.main.get_command(app)
    return {name: {o for p in command.params for o in (*p.opts, "--help")} for name, command in group.commands.items()}


@pytest.mark.parametrize("page", OWN_PAGES + NOTEBOOKS)
def test_every_command_and_option_that_a_page_shows_exists(page):
    known, wrong = commands(), []
    for line in re.findall(r"(?:^|[`$ /])cmir-ref ([a-z][^`\n#]*)", text_of(page), re.MULTILINE):
        name, *rest = line.split()
        options = {word.split("=")[0] for word in re.findall(r"(?<!\S)\[?(--?[a-z][\w-]*)", " ".join(rest))}
        if name not in known or not options <= known[name]:
            wrong.append(line)
    assert wrong == []


def test_readme_asks_runs_that_its_own_commands_write():
    """Below `--out`, or in runs/PRESET; the demo has a run for each scenario."""
    text = text_of("README.md")
    trained = re.findall(r"cmir-ref train ([\w-]+)(.*)", text)
    written = {out[1] if (out := re.search(r"--out (\S+)", rest)) else f"runs/{name}" for name, rest in trained}
    asked = set(re.findall(r"(?<!--out )\b(runs/[\w-]+(?:/[\w-]+)?)(?= )", text))
    assert len(asked) > 3 and asked <= written | {f"runs/demo/{scenario}" for scenario in SCENARIOS}


@pytest.mark.parametrize("page", OWN_PAGES)
def test_what_a_page_imports_exists(page):
    for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module.split(".")[0] == "cmir_ref":
                exec(f"from {node.module} import {', '.join(a.name for a in node.names)}", {})


@pytest.mark.parametrize("page", PAGES)
def test_no_heading_stands_over_nothing(page):
    bare = re.findall(r"^(#+) (.+)\n+(?=(#+) |\Z)", prose_of(page), flags=re.MULTILINE)
    assert [title for level, title, following in bare if len(following) <= len(level)] == []


def test_what_no_preset_takes_is_so():
    """docs/paper_and_code.md: readings that are settings, and in no preset."""
    sentence = re.search(r"settings that no preset takes: (.*?)\. A\s", text_of("docs/paper_and_code.md"), re.DOTALL)[1]
    found = re.findall(r"`([\w.]+)`(?: = ([\w-]+))?", sentence)
    presets = [c for c in map(load_config, preset_names()) if isinstance(c, CmirnetSettings)]
    assert len(found) == 3 and len(presets) > 9
    for setting, value in found:
        values = {value_of(config, setting) for config in presets}
        assert value not in values if value else values == {value_of(load_config("pan-mul"), setting)}, setting
    taken = re.search(r"`stages` = end-to-end\)[^(]*\(`([\w-]+)`\)", text_of("docs/paper_and_code.md"))[1]
    assert [n for n in preset_names() if getattr(load_config(n), "stages", "") == "end-to-end"] == [taken]


def test_everything_that_is_written_of_embeddings_is_described():
    written = inspect.getsource(run_files.write_embeddings)
    names = {*re.findall(r'"(\w+)": ', written), *re.findall(r'arrays\["(\w+)"\]', written)}
    row = re.search(r"^\| `embeddings.npz` \|.*$", text_of("docs/design.md"), re.MULTILINE)[0]
    shown = {re.sub(r"_[ab]$", "", name) for name in re.findall(r"`(\w+)`", row)}
    assert len(names) > 14 and names <= shown


def test_the_contract_is_shown_as_it_is():
    shown = re.findall(r"^    (\w+): ", section("docs/design.md", "the-contract-of-a-system"), re.MULTILINE)
    assert tuple(shown) == Stage._fields + System._fields


def test_the_functions_of_the_package_are_described():
    shown = set(re.findall(r"\w+", section("docs/design.md", "python")))
    assert set(cmir_ref.__all__) <= shown


def test_the_page_of_the_checker_shows_what_the_checker_prints(tmp_path, monkeypatch):
    page = text_of("docs/gradcheck.md")
    code = re.search(r"In `mine\.py`.*?```python\n(.*?)```", page, re.DOTALL)[1]
    command, shown = re.search(r"```\n\$ cmir-ref (.*?)\n(.*?)```", page, re.DOTALL).groups()
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 1 and result.stdout == shown
    readme = re.search(r"```\n\$ cmir-ref gradcheck (.*?)\n…\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert f"gradcheck {readme[1]}" == command and readme[2] in shown


def test_the_page_of_the_checker_shows_what_it_prints_of_steps(tmp_path, monkeypatch):
    page = text_of("docs/gradcheck.md")
    code, shown = re.search(
        r"```python\n([^`]*?nudge=None.*?)```.*?gradcheck --steps mine.py:pool\n(.*?)```", page, re.DOTALL
    ).groups()
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["gradcheck", "--steps", "mine.py:pool"])
    assert result.exit_code == 1
    rounded = [re.sub(r"\d\.\de-1\d", "0", text) for text in (result.stdout, shown)]  # an error that is rounding
    assert rounded[0] == rounded[1]


def test_the_example_of_an_operation_is_right():
    """CONTRIBUTING.md: the pair of functions passes the checker, and its planted bugs are texts that occur once."""
    page = text_of("CONTRIBUTING.md")
    pair = re.search(r'```python\n("""The logistic.*?)```', page, re.DOTALL)[1]
    here: dict = {}
    exec(pair.replace("from ..backend", "from cmir_ref.backend"), here)
    results = check_gradient(here["sigmoid"], here["sigmoid_backward"], [np.random.default_rng(0).normal(size=(4, 3))])
    assert len(results) == 7 and all(r.error < (1e-6 if r.method == "central-difference" else 1e-12) for r in results)
    bugs = re.findall(r'\("[\w-]+", "(.*?)", "(.*?)", "', page)
    assert len(bugs) == 2 and all(pair.count(old) == 1 and old != new for old, new in bugs)


def test_citation():
    cff = yaml.safe_load(text_of("CITATION.cff"))
    assert cff["cff-version"] == "1.2.0" and {"message", "title", "authors", "version", "license"} <= cff.keys()
    version = re.search(r'^version = "(.*)"$', text_of("pyproject.toml"), re.MULTILINE)[1]
    assert cff["version"] == version
    assert all({"type", "title", "authors", "year"} <= reference.keys() for reference in cff["references"])
    assert [reference["year"] for reference in cff["references"]] == [2020, 2021, 2022]
