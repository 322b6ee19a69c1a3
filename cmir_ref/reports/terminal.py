"""What the commands print: tables, evaluations, presets with their settings, the results of gradient checks."""

import json
import re
import shutil
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..config import load_config, preset_names, read_preset, to_toml
from ..errors import InputError
from ..progress import SPELLED, on_terminal, show_if_slow, tell, track
from ..settings_text import Setting, list_settings
from .report import dotted_settings, rank_words, recall_rows, state_sentence
from .spread import insert_spread, sources, spread, spread_table


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; words stand on the left, figures on the right.

    What would steer the terminal, in a name or a caption, is spelled out: "\\x1b".
    """
    header, *rows = ([cell.translate(SPELLED | {9: " ", 10: "\\n"}) for cell in row] for row in (header, *rows))
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    numeric = [all(row[i][:1].isdigit() or not row[i] for row in rows) for i in range(len(header))]
    for row in (header, *rows):
        cells = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True))
        print("  ".join(cells).rstrip())


def show_evaluation(result: dict[str, Any], as_json: bool = False) -> None:
    """Prints what `evaluate(run)` returned, as a table or as JSON."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    tens = {"mean_precision_at_tens": "mean P@10…50", "mean_precision_at_ten_tens": "mean P@10…100"}
    columns = {"map": "average precision", "chance": "chance", "p@10": "P@10", "p@50": "P@50"}
    for name in (name for name in tens if name in next(iter(result["directions"].values()))):
        columns |= {name: tens[name], f"{name}_most": "at most"}
    rows = [
        (name, *("–" if m[c] is None else f"{m[c]:.3f}" for c in columns), str(m["queries"]))
        for name, m in result["directions"].items()
    ]
    print(f"{result['scenario']} · {result['data']} · gallery {result['gallery']}")
    print_table(("direction", *columns.values(), "queries"), rows)
    if recalls := recall_rows(result):
        print("\nrecall in percent, tied scores in their expectation")
        print_table(
            ("", *(name.replace("r@", "R@").replace("mr", "mR") for name in recalls["this run"])),
            [(row, *(f"{100 * value:.1f}" for value in figures.values())) for row, figures in recalls.items()],
        )
        print(rank_words(result))
    for warning in result.get("warnings", ()):
        print(f"warning: {warning}")
    print(state_sentence(result, {m: m for direction in result["directions"] for m in direction if m.isalpha()}))


def show_spread(
    results: Mapping[str, Mapping[int, dict]], command: str, write: Path | None = None, as_json: bool = False
) -> None:
    """Prints what `evaluate` returned, by preset and seed, and puts it into the Markdown file `write`."""
    found = {name: spread(of_seeds) for name, of_seeds in results.items()}
    if as_json:
        print(json.dumps(found if len(found) > 1 else next(iter(found.values())), indent=2))
    for figures in () if as_json else found.values():
        print(f"{figures['scenario']} · {figures['data']}")
        print_table(*spread_table(figures))
        for warning in figures.get("warnings", ()):
            print(f"warning: {warning}")
        print(f"{sources(figures, command)}\n")
    for name, figures in found.items() if write is not None else ():  # last: what cannot be written costs no figure
        insert_spread(write, name, figures, command)


# ---- presets and settings -------------------------------------------------------------------------------------------


def first_sentences() -> dict[str, str]:
    """Preset -> the first sentence of the comment that it begins with."""
    return {name: first_sentence(read_preset(name)[0]) for name in preset_names()}


def first_sentence(text: str) -> str:
    """The first sentence of the comment at the head of a TOML text."""
    head = re.match(r"(#[^\n]*\n)*", text)[0]
    words = " ".join(line.lstrip("# ") for line in head.splitlines())
    return re.match(r".*?\.(?= |$)|.*", words)[0]


def list_presets() -> str:
    """A table: a line for each preset."""
    lines = first_sentences()
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {sentence}" for name, sentence in lines.items())


def describe_preset(name: str, width: int | None = None) -> str:
    """The text of a preset, then in comments every setting that it leaves at its default; it is TOML as a whole.

    Lines of the second part have at most `width` characters, by default as many as the terminal has.
    """
    text, width = read_preset(name)[0], min(width or shutil.get_terminal_size((100, 0)).columns, 120)
    given = dotted_settings(tomllib.loads(text))
    settings = [s for s in list_settings(type(load_config(name))) if s.name not in given]
    defaults = toml_values(load_config(name))
    head = "# ---- at their default; `--set NAME=VALUE` changes one for a run ----"
    lines = [line for s in settings for line in describe_setting(s, defaults.get(s.name, ""), width)]
    return "\n".join([text.rstrip(), "", head, *lines])


def describe_setting(setting: Setting, default: str, width: int) -> list[str]:
    """`# name = default`, and behind it what it may be and its comment, in as many lines as `width` asks for."""
    first = f"# {setting.name} = {default}" if default else f"# {setting.name} is not set"
    about, column = f"({setting.values.replace('`', '')}) {setting.comment}", min(36, width // 2 - 4)
    indent = f"#{'':<{column + 1}}"
    lines = textwrap.wrap(f"{first:<{column}}  {about}", width, subsequent_indent=indent, break_on_hyphens=False)
    return [line.rstrip() for line in lines]


def toml_values(config: Any) -> dict[str, str]:
    """Setting, by its dotted name -> its value as TOML; those that are None are left out."""
    values, table = {}, ""
    for line in to_toml(config).splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif line:
            name, _, value = line.partition(" = ")
            values[table + name] = value
    return values


def changed_settings(preset: str | Path, overrides: Sequence[str], config: Any, data: Any) -> list[str]:
    """A line for each `key=value` of `overrides`: what it is in `config`, what the preset has, and whether it is idle.

    "weights.reconstruction = 0.1 (preset: 0.001)". A key that names a table gives a line for each setting that changed.
    "stage1.sound_passes = 4 (preset: 1); changes nothing here: it is of recordings".
    """
    try:
        before = toml_values(load_config(preset))
    except InputError:  # a file that is complete with the overrides only
        before = {}
    after, idle, lines = toml_values(config), config.idle(data), {}
    for override in overrides:
        key = override.partition("=")[0].strip()
        for name, value in after.items():
            in_table = name.startswith(f"{key}.") and value != before.get(name)
            if name == key or in_table:
                what = idle.get(name) or idle.get(name.partition(".")[0])
                silent = f"; changes nothing here: it is of {what}" if what else ""
                lines[name] = f"{name} = {value} (preset: {before.get(name, 'not set')}){silent}"
    return list(lines.values())


# ---- gradient checks ------------------------------------------------------------------------------------------------


def check_declarations(names: list[str], plot: Path | None, seed: int, as_json: bool) -> bool:
    """Prints the table of the package's checks, or of those with one of `names` in their name; whether all pass."""
    from .. import checks
    from . import gradients

    selected = list(checks.select(names))
    if not selected:
        raise InputError(f"{' '.join(names)}: no such check; names are {', '.join(c.name for c in checks.CHECKS)}")
    if plot is not None:
        plotted = selected if names else [c for c in selected if c.name in gradients.SHOWN]
        gradients.plot_format(plot, len(plotted))
        gradients.write_plot(plot, checks.step_curves(plotted, seed=seed))
        tell(f"plot: {plot}")
    rows = list(track(checks.run_all(selected, seed=seed), len(selected), "gradients", on_terminal()))
    results = [(row.check.name, r) for row in rows for r in row.results]
    if as_json:
        print(json.dumps(gradients.as_json(results), indent=2))
    else:
        fits = shutil.get_terminal_size((100, 0)).columns >= 100
        columns = slice(None if fits else -1)  # a narrow terminal has no room for what a check covers
        print_table(gradients.HEADER[columns], [line[columns] for line in gradients.table(rows)])
        print(gradients.summary(rows))
    for row in rows:
        for line in gradients.failures(row):
            tell(f"wrong: {line}")
    return not any(row.wrong for row in rows)


def check_own_steps(function: str, shapes: list[str], seed: int, as_json: bool) -> int:
    """Prints the report on the steps of `function` (PATH.py:NAME) of a reader; 0 right, 1 wrong, 2 not to be judged."""
    from ..gradcheck.steps import first_wrong, judge_steps, load_steps
    from . import gradients

    steps = load_steps(function, shapes, seed)
    judgement = judge_steps(steps, seed=seed, progress=show_if_slow)
    if as_json:
        order = {"order": steps.backwards, "first_wrong": first_wrong(steps, judgement), "unchecked": steps.unchecked}
        print(json.dumps(gradients.judgement_json(steps.pair, judgement) | {"steps": order}, indent=2))
    else:
        for line in gradients.steps_report(steps, judgement, function, shapes, seed):
            print(line)
    return judgement.status


def check_own_pair(module: str, shapes: list[str], plot: Path | None, seed: int, as_json: bool) -> int:
    """Prints the report on the pair `module` (PATH.py:NAME) of a reader; 0 right, 1 wrong, 2 not to be judged."""
    from ..gradcheck import judge, load_pair
    from ..gradcheck.module import call_or_refuse
    from ..gradcheck.step_sizes import step_errors
    from . import gradients

    pair = load_pair(module, shapes, seed)
    judgement = judge(pair, seed=seed, progress=show_if_slow)
    if as_json:
        print(json.dumps(gradients.judgement_json(pair, judgement), indent=2))
    else:
        for line in gradients.pair_report(pair, judgement, module, shapes, seed):
            print(line)
    if plot is not None:
        try:
            functions = [partial(call_or_refuse, function) for function in (pair.forward, pair.backward)]
            curves = step_errors(*functions, list(pair.inputs.values()), seed=seed)
            gradients.write_plot(plot, {pair.name: curves})
            tell(f"plot: {plot}")
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            tell(f"no plot: {error}")  # the report above says more
    return judgement.status
