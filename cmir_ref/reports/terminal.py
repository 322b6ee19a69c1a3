"""What the commands print: tables, evaluations, the results of gradient checks."""

import json
import shutil
import sys
from pathlib import Path

from ..errors import InputError


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell, names left and figures right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    numeric = [all(row[i][:1].isdigit() or not row[i] for row in rows) for i in range(len(header))]
    for row in (header, *rows):
        cells = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True))
        print("  ".join(cells).rstrip())


def show(result: dict, as_json: bool) -> None:
    """An evaluation as JSON or as a table."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    columns = ("map", "chance", "p@10", "p@50", "mean_precision_at_tens")
    rows = [
        (name, *("–" if m[c] is None else f"{m[c]:.3f}" for c in columns), str(m["queries"]))
        for name, m in result["directions"].items()
    ]
    print(f"{result['scenario']} · {result['data']} · protocol {result['protocol']} · gallery {result['gallery']}")
    print_table(("direction", "average precision", "chance", "P@10", "P@50", "mean P@10…50", "queries"), rows)
    print(result["verdict"])


def check_declarations(names: list[str], plot: Path | None, seed: int, as_json: bool) -> bool:
    """The table of the package's own checks; whether all are within their gates."""
    from .. import checks
    from ..progress import track
    from . import gradients

    chosen = list(checks.select(names))
    if not chosen:
        raise InputError(f"{' '.join(names)}: no such check; names are {', '.join(c.name for c in checks.CHECKS)}")
    if plot is not None:
        drawn = chosen if names else [c for c in chosen if c.name in gradients.SHOWN]
        gradients.plot_format(plot, len(drawn))
        gradients.write_plot(plot, checks.step_curves(drawn, seed=seed))
        print(f"plot: {plot}", file=sys.stderr)
    rows = list(track(checks.run_all(chosen, seed=seed), len(chosen), "gradients", sys.stderr.isatty()))
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
            print(f"wrong: {line}", file=sys.stderr)
    return not any(row.wrong for row in rows)


def check_module(where: str, shapes: list[str], plot: Path | None, seed: int, as_json: bool) -> bool:
    """The report on a reader's own pair; whether its gradient is right."""
    from ..gradcheck import judge, load_pair
    from ..gradcheck.step_sizes import step_errors
    from . import gradients

    pair = load_pair(where, shapes, seed)
    verdict = judge(pair, seed=seed)
    if as_json:
        found = gradients.as_json([(pair.name, r) for r in verdict.results])
        print(json.dumps(found | {"diagnosis": [gradients.finding_json(f) for f in verdict.findings]}, indent=2))
    else:
        for line in gradients.pair_report(pair, verdict, where, shapes, seed):
            print(line)
    if plot is not None:
        try:
            curves = step_errors(pair.forward, pair.backward, list(pair.inputs.values()), seed=seed)
            gradients.write_plot(plot, {pair.name: curves})
            print(f"plot: {plot}", file=sys.stderr)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            print(f"no plot: {error}", file=sys.stderr)  # the report above says more
    return not verdict.findings
