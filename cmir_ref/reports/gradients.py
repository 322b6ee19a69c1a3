"""What `cmir-ref gradcheck` shows: the table of all checks, the report on one pair, the plot of step sizes."""

import io
import math
import shlex
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..checks import Check, CheckResult
from ..equations import EQUATIONS
from ..errors import InputError
from ..files import write_whole
from ..gradcheck import METHODS, Finding, Judgement, Pair, Result
from ..gradcheck.findings import describe
from ..gradcheck.step_sizes import Curves
from ..gradcheck.steps import Steps, first_wrong, step_sentence
from .plots import COLOURS, STYLES, plain_style

SHOWN = ("softmax_cross_entropy/integer", "batch_norm/train", "conv_pretrainer/paper/train")  # of the plot, by default
MARKERS = "os^Dv*X"
HEADER = ("check", "entries", "complex", "central", "direct.", "", "s", "covers")


# ---- the table ------------------------------------------------------------------------------------------------------


def worst(results: Iterable[Result]) -> dict[str, float]:
    """The largest error by method."""
    errors: dict[str, float] = {}
    for r in results:
        errors[r.method] = max(errors.get(r.method, 0.0), r.error)
    return errors


def coverage(check: Check) -> str:
    """The equation that a check covers, of those that a lesson derives; or the name of the function."""
    module, _, name = check.covers.rpartition(".")
    rows = [e for e in EQUATIONS if e.lesson and e.number.isdigit()]
    numbers = [e.number for e in rows if e.function == check.covers]
    if ".eq" in module:  # a part of an equation
        numbers += [e.number for e in rows if e.function.startswith(f"{module}.")]
    return f"eq. {numbers[0]}" if numbers else name


def table(rows: list[CheckResult]) -> list[tuple[str, ...]]:
    """Lines under `HEADER`, the last one the worst of all."""

    def line(name, results, wrong, seconds, covers):
        errors = worst(results)
        cells = (f"{errors[m]:.1e}" if m in errors else "" for m in METHODS)
        return name, str(entries(results)), *cells, "WRONG" if wrong else "ok", f"{seconds:.1f}", covers

    everything = [r for row in rows for r in row.results]
    return [
        *(line(row.check.name, row.results, row.wrong, row.seconds, coverage(row.check)) for row in rows),
        line("worst", everything, any(row.wrong for row in rows), sum(row.seconds for row in rows), ""),
    ]


def entries(results: list[Result]) -> int:
    """How many entries of inputs were compared, each by up to two methods."""
    return sum(r.entries for r in results if r.method == "central-difference")


def summary(rows: list[CheckResult]) -> str:
    """One line: how much was compared, at how many entries a winner changed, and whether all is well."""
    results = [r for row in rows for r in row.results]
    wrong = sum(bool(row.wrong) for row in rows)
    counts = f"{len(rows)} declaration{'s' * (len(rows) > 1)}, {sum(r.entries for r in results)} comparisons"
    verdict = f"{wrong} wrong" if wrong else "all within gates"
    return f"{counts}, {sum(r.shrunk for r in results)} winners changed: {verdict}"


def failures(row: CheckResult) -> Iterator[str]:
    """One line for each comparison that fails, and what the mistake looks like."""
    for r in row.wrong:
        yield f"{row.check.name}: {r.input} by {r.method}, entry {r.worst}: {r.ours!r}, measured {r.measured!r}"
    for finding in row.findings:
        yield from describe(finding)


def as_json(results: list[tuple[str, Result]]) -> dict:
    """The JSON of `gradcheck`: `worst` by method and the list `checks`; an error that is not a number is null."""
    details = [{"name": n, "input": r.input, "method": r.method, "error": _finite(r.error)} for n, r in results]
    return {"worst": {m: _finite(e) for m, e in worst(r for _, r in results).items()}, "checks": details}


def _finite(x: float | None) -> float | None:
    return x if x is not None and math.isfinite(x) else None


# ---- a reader's own pair --------------------------------------------------------------------------------------------


def pair_table(judgement: Judgement) -> list[tuple[str, ...]]:
    """Input, method, entries, worst error, verdict; the directional draws in one line."""
    undecided = {finding.input for finding in judgement.undecided}
    undecided |= {"all"} if undecided and not judgement.findings else set()
    groups: dict[tuple[str, str], list[Result]] = {}
    for r in judgement.results:
        groups.setdefault((r.input, r.method), []).append(r)
    return [
        (
            name,
            method,
            str(sum(r.entries for r in group)),
            f"{max(r.error for r in group):.1e}",
            "not judged" if name in undecided else "ok" if all(r.right for r in group) else "WRONG",
        )
        for (name, method), group in groups.items()
    ]


def pair_report(pair: Pair, judgement: Judgement, where: str, shapes: list[str], seed: int) -> Iterator[str]:
    """The lines about a pair: what was compared, what is wrong and looks like what, the call that shows it again."""
    width = max((len(line[0]) for line in pair_table(judgement)), default=0)
    for name, method, count, error, verdict in pair_table(judgement):
        unit = "directions" if method == "directional" else "entries"
        yield f"{name:<{width}}  {method:<18}  {count:>4} {unit:<10}  {error:>7}  {verdict}"
    for note in judgement.notes:
        yield _wrap(f"note: {note}")
    if not judgement.status:
        yield f"{pair.name}_backward is the derivative of {pair.name}"
        return
    if judgement.summary:
        yield ""
        yield _wrap(judgement.summary)
    for finding in (*judgement.findings, *judgement.undecided):
        yield ""
        yield from map(_wrap, describe(finding))
    if any(finding.kind is None for finding in judgement.findings):
        yield ""
        yield _wrap(
            "which step is wrong: cmir-ref gradcheck --steps, of a forward that can be nudged (docs/gradcheck.md)"
        )
    inputs = "".join(f" --input {shape}" for shape in shapes)
    yield ""
    yield f"again: cmir-ref gradcheck --module {shlex.quote(where)}{inputs} --seed {seed}"
    shapes_given = f", {shapes}" if shapes else ""
    yield "in Python: from cmir_ref.gradcheck import check_gradient, load_pair"
    yield f"           pair = load_pair({where!r}{shapes_given}, seed={seed})"
    yield f"           check_gradient(pair.forward, pair.backward, list(pair.inputs.values()), seed={seed})"


def _wrap(line: str) -> str:
    return textwrap.fill(line, 90, subsequent_indent="    ")


def finding_json(finding: Finding) -> dict:
    """The fields of a finding; what is not a number is null."""
    numbers = {"ours": finding.ours, "measured": finding.measured, "ratio": finding.ratio}
    lists = {"entry": list(finding.entry), "indices": [list(index) for index in finding.indices]}
    return finding._asdict() | lists | {n: _finite(x) for n, x in numbers.items()}


def judgement_json(pair: Pair, judgement: Judgement) -> dict:
    """The JSON about a reader's pair: that of all checks, what is wrong and looks like what, and what is only noted."""
    return as_json([(pair.name, r) for r in judgement.results]) | {
        "diagnosis": [finding_json(f) for f in (*judgement.findings, *judgement.undecided)],
        "wrong": judgement.wrong,
        "right": judgement.right,
        "zero": list(judgement.still),
        "kinks": {name: [list(index) for index in entries] for name, entries in judgement.kinks.items()},
        "notes": judgement.notes,
    }


def steps_report(steps: Steps, judgement: Judgement, where: str, shapes: list[str], seed: int) -> Iterator[str]:
    """The lines about a reader's steps: from the output backwards, which are right, and where to look first."""
    first = first_wrong(steps, judgement)
    worst_error = {name: max(r.error for r in judgement.results if r.input == name) for name in judgement.inputs}
    width = max(map(len, steps.backwards))
    for name in steps.backwards:
        verdict = "WRONG" if name in judgement.wrong else "ok" if name in judgement.right else "not judged"
        verdict = verdict if name in {*judgement.inputs, *judgement.wrong} else "no gradient"
        error = f"{worst_error[name]:.1e}" if name in worst_error else ""
        yield f"{name:<{width}}  {'input' if name in steps.inputs else 'step':<5}  {error:>7}  {verdict}"
    for note in judgement.notes:
        yield _wrap(f"note: {note}")
    if steps.unchecked:
        yield _wrap(f"note: not checked, for there is no gradient of it: {', '.join(steps.unchecked)}")
    yield _wrap(step_sentence(steps, judgement))
    for finding in (*judgement.findings, *judgement.undecided):
        if finding.input in (first, "all"):
            yield ""
            yield from map(_wrap, describe(finding))
    if judgement.status:
        inputs = "".join(f" --input {shape}" for shape in shapes)
        yield ""
        yield f"again: cmir-ref gradcheck --steps {shlex.quote(where)}{inputs} --seed {seed}"


# ---- the plot -------------------------------------------------------------------------------------------------------


def plot_format(path: Path, curves: int = 1) -> str:
    """png or svg, from the file's name; refused before anything is computed, as are more curves than colours."""
    if curves > len(COLOURS):
        raise InputError(f"--plot draws at most {len(COLOURS)} checks, not {curves}: give longer names")
    form = path.suffix.lower().removeprefix(".")
    if form not in ("png", "svg"):
        raise InputError(f"--plot {path}: it ends in .png or .svg")
    if not path.parent.is_dir():
        raise InputError(f"--plot {path}: no folder {path.parent}")
    return form


def write_plot(path: Path, curves: dict[str, Curves]) -> None:
    """The figure as a PNG or SVG file; it is drawn whole before the file is opened."""
    form = plot_format(path, len(curves))
    picture = io.BytesIO()
    with plain_style():
        metadata = {"Date": None} if form == "svg" else {}
        steps_figure(curves).savefig(picture, format=form, dpi=110, bbox_inches="tight", metadata=metadata)
    write_whole(path, picture.getvalue())


def steps_figure(curves: dict[str, Curves]):
    """Error against step on logarithmic axes; a panel at the side has the steps that only the complex step can take.

    The figure has its own canvas: pyplot and its backend are left as they are.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6))
    far, near = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1, 3.4), "wspace": 0.04})
    floor = 2.0**-54  # an error of exactly 0 is drawn here
    for i, (name, (central, stepped)) in enumerate(curves.items()):
        look = {"color": COLOURS[i], "ls": STYLES[i % len(STYLES)]}
        mark = {"marker": MARKERS[i], "ms": 4.5, "mfc": "white", "markevery": 2}
        near.plot(central[0], central[1].clip(floor), lw=1.2, label=name, **look, **mark)
        for axes in (far, near):
            axes.plot(stepped[0], stepped[1].clip(floor), lw=2.6, **look)
    for axes in (far, near):
        axes.set(xscale="log", yscale="log", ylim=(2e-19, 200))
        axes.grid(axis="y", color="#e5e5e5", lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    near.set(xlim=(3e-16, 0.3), xlabel="step h")
    far.set(xlim=(1e-205, 3e-16), xlabel="h, to 1e-200", ylabel="relative error of the derivative")
    far.set_xticks([1e-200, 1e-100])
    near.spines["left"].set_visible(False)
    near.tick_params(axis="y", left=False)
    _explain(near, curves)
    legend = near.legend(fontsize=8, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.36, 1.0))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _explain(axes, curves: dict[str, Curves]) -> None:
    """Writes what the curves show: the methods, and why the V has a minimum; a wrong backward has no V."""
    words = {"fontsize": 9, "color": "#333"}
    if any(not curve.central[1].min() < 1e-5 for curve in curves.values()):
        axes.text(1e-8, 1e-8, "no V: the backward's mistake is\nlarger than the steps' errors", ha="center", **words)
        return
    axes.text(5e-16, 2e-9, "central difference (markers):\nrounding grows as ε/h", va="top", **words)
    flat = all(curve.complex[1][-1] < 1e-12 for curve in curves.values())
    why = "nothing cancels" if flat else "the imaginary part is lost"
    axes.text(5e-16, 1e-17, f"complex step (thick): {why}", va="top", **words)
    if all(curve.central[1][0] > 1e-6 for curve in curves.values()):  # a linear function has no truncation error
        best = (2.0**-52) ** (1 / 3)
        axes.axvline(best, ymax=0.88, color="#666", lw=0.9, ls=":")
        axes.text(best, 15, "h = ε^(1/3) ≈ 6e-6: rounding ε/h\nmeets truncation h²", ha="center", va="center", **words)
        axes.text(0.25, 3e-9, "truncation\ngrows as h²", ha="right", va="top", **words)
