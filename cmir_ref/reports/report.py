"""The page of one run: settings, loss curves by term, the metric table with chance, the collapse line."""

import os
from pathlib import Path
from typing import Any

from .plots import losses, precision_by_class, scores


def write_report(run: Any, result: dict[str, Any]) -> Path:
    """Writes `report.html` into the run's folder and returns its path. `result` is what `evaluate(run)` returned."""
    path = run.path / "report.html"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(render(run, result), encoding="utf-8")
    os.replace(temporary, path)
    return path


def render(run: Any, result: dict[str, Any]) -> str:
    """The page as text: one self-contained file, no script, nothing loaded from elsewhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    settings = run.config.model_dump()
    weights = settings["weights"] | {"orthogonality": settings["orthogonality"]["weight"]}
    weights["head_decay"] = settings["head_decay"]
    stages = {}
    for line in run.history:
        stages.setdefault(line["stage"], []).append(line)
    names = {name: f"{m.name} ({name})" for name, m in zip("ab", run.embeddings.modalities, strict=True)}
    a, b = (m.name for m in run.embeddings.modalities)
    words = {"a": a, "b": b, "ab": f"{a} or {b}"}
    directions = {d: " → ".join(words[part] for part in d.split("->")) for d in result["directions"]}
    cross = {directions[d]: result["directions"][d]["per_class"] for d in ("a->b", "b->a")}
    environment = Environment(
        loader=PackageLoader("cmir_ref.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    return environment.get_template("report.html").render(
        result=result,
        tied=result["collapsed"] and all(m["map"] == m["chance"] for m in result["directions"].values()),
        settings=flat(settings),
        curves={stage: (losses(lines, weights), scores(lines)) for stage, lines in stages.items()},
        kept={stage: max(line["epoch"] for line in lines if line["best"]) for stage, lines in stages.items()},
        stage_titles={"stage1.a": f"Stage 1, {names['a']}", "stage1.b": f"Stage 1, {names['b']}", "stage2": "Stage 2"},
        classes=precision_by_class(cross),
        names=names,
        directions=directions,
        title=f"CMIR-NET run: {run.path.name if run.path else run.config.scenario}",
    )


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    rows = {}
    for name, value in settings.items():
        rows |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows
