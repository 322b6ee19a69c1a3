"""Every setting with what it may be, its default and its comment, read from the class that validates it.

`python -m cmir_ref.settings_text` prints docs/settings.md. The comments in the source are the only text there is: the
page, and what `cmir-ref presets NAME` shows of settings at their default, are made from them.
"""

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from .streams import run_module

HEAD = """# Settings

Made from the comments in the source: `python -m cmir_ref.settings_text > docs/settings.md`. A test compares.

A run has all of these. A preset (`cmir-ref presets`) sets some, and `--set key=value` changes them for one run, as in
`--set alpha=0 --set weights.regulariser=1`. An unknown key or value is an error that names the nearest one.

A comment with the word "paper" or "code" says what the paper or its released code does; where they differ, both are in
[paper_and_code.md](paper_and_code.md). A default is what holds where a preset says nothing. It is no advice: what works
best is in the presets without a suffix, with reasons behind their lines.
"""
SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))  # bounds as pydantic keeps them


class Setting(NamedTuple):
    """One setting of a run."""

    name: str  # dotted: "weights.alignment"
    values: str  # "relu, hidden, linear", "integer ≥ 1", "number > 0, < 1"
    default: Any  # None: not set; `...`: it must be given
    comment: str  # the comment behind it in the source, or ""


def list_settings(model: type[BaseModel], prefix: str = "") -> list[Setting]:
    """All settings of a class, in its order; those of its tables follow with the table's name before a dot."""
    comments, plain, tables = _comments(model), [], []
    for name, field in model.model_fields.items():
        if _is_table(field.annotation):
            tables += list_settings(field.annotation, f"{prefix}{name}.")
        else:
            default = ... if field.is_required() else field.default
            values = _values(field.annotation, field.metadata)
            plain.append(Setting(prefix + name, values, default, comments.get(name, "")))
    return plain + tables


def settings_table(settings: list[Setting]) -> str:
    """The settings as a Markdown table."""
    lines = ["| setting | values | default | |", "|---|---|---|---|"]
    for s in settings:
        default = "" if s.default is ... else "not set" if s.default is None else f"`{_shown(s.default)}`"
        cells = (f"`{s.name}`", s.values, default, s.comment.replace("<", "&lt;").replace("|", "\\|"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def settings_page(shared: type[BaseModel], systems: Mapping[str, type[BaseModel]]) -> str:
    """docs/settings.md: what all systems share, then what each adds or narrows, a table of settings a section."""
    common = {s.name: s for s in list_settings(shared)}
    parts = [HEAD, "## Shared by all systems", "", _paragraph(shared), "", settings_table(list(common.values()))]
    for name, model in systems.items():
        added = [s for s in list_settings(model) if s != common.get(s.name)]
        tables = {n: field.annotation for n, field in model.model_fields.items() if _is_table(field.annotation)}
        parts += ["", f"## `{name}`", "", _paragraph(model), ""]
        parts.append(settings_table([s for s in added if s.name.split(".")[0] not in tables]))
        for table, annotation in tables.items():
            rows = [s for s in added if s.name.startswith(f"{table}.")]
            parts += ["", f"### `{table}`", "", _paragraph(annotation), "", settings_table(rows)]
    return "\n".join(parts) + "\n"


def _paragraph(model: type[BaseModel]) -> str:
    """What a class says of itself."""
    return " ".join(inspect.getdoc(model).split())


def _is_table(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


@cache
def _comments(model: type[BaseModel]) -> dict[str, str]:
    """The comment on the lines of each setting, those that a class inherits included."""
    comments: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls is BaseModel or not issubclass(cls, BaseModel):
            continue
        source = textwrap.dedent(inspect.getsource(cls))
        by_line = {
            token.start[0]: token.string.lstrip("# ")
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
        for node in ast.parse(source).body[0].body:
            if isinstance(node, ast.AnnAssign):
                lines = range(node.lineno, node.end_lineno + 1)
                comment = " ".join(by_line[n] for n in lines if n in by_line)
                comments[node.target.id] = comment or comments.get(node.target.id, "")
    return comments


def _values(annotation: Any, metadata: list) -> str:
    """What a setting may be, in words."""
    bounds = ", ".join(f"{sign} {getattr(m, key):g}" for key, sign in SIGNS for m in metadata if hasattr(m, key))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{_shown(value)}`" for value in arguments)
    if origin in (Union, UnionType):
        (kept,) = (a for a in arguments if a is not NoneType)
        return _values(kept, metadata)
    if origin is tuple:
        return f"list of {_values(arguments[0], []).replace('integer', 'integers')}"
    if hasattr(annotation, "__metadata__"):  # Annotated: the bounds stand in its Field
        return _values(arguments[0], [m for field in annotation.__metadata__ for m in field.metadata])
    word = {bool: "`true`, `false`", int: "integer", float: "number", str: "text"}[annotation]
    return f"{word} {bounds}".strip()


def _shown(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)


def print_page() -> None:
    """Prints docs/settings.md."""
    from .config import SharedSettings
    from .systems import SYSTEMS

    print(settings_page(SharedSettings, {name: system.settings for name, system in SYSTEMS.items()}), end="")


if __name__ == "__main__":
    run_module("python -m cmir_ref.settings_text", print_page)
