"""The page of one run: settings, loss curves by term, the metric table with chance, the collapse line."""

from pathlib import Path
from typing import Any

from ..files import write_whole
from .pages import direction_names, environment
from .plots import losses, precision_by_class, scores


def write_report(run: Any, result: dict[str, Any]) -> Path:
    """Writes `report.html` into the run's folder and returns its path. `result` is what `evaluate(run)` returned."""
    return write_whole(run.path / "report.html", render(run, result))


def render(run: Any, result: dict[str, Any]) -> str:
    """The page as text: one self-contained file, no script, nothing loaded from elsewhere."""
    names = {name: f"{m.name} ({name})" for name, m in zip("ab", run.embeddings.modalities, strict=True)}
    directions = direction_names(run)
    cross = {directions[d]: result["directions"][d]["per_class"] for d in ("a->b", "b->a")}
    stages, weights = stage_lines(run), loss_weights(run)
    return (
        environment()
        .get_template("report.html")
        .render(
            result=result,
            tied=result["collapsed"] and all(m["map"] == m["chance"] for m in result["directions"].values()),
            settings=flat(run.config.model_dump()),
            curves={stage: (losses(lines, weights), scores(lines)) for stage, lines in stages.items()},
            kept={stage: max(line["epoch"] for line in lines if line["best"]) for stage, lines in stages.items()},
            stage_titles={
                "stage1.a": f"Stage 1, {names['a']}",
                "stage1.b": f"Stage 1, {names['b']}",
                "stage2": "Stage 2",
            },
            classes=precision_by_class(cross),
            names=names,
            directions=directions,
            gallery="gallery.html" if run.path else None,
            title=f"CMIR-NET run: {run.path.name if run.path else run.config.scenario}",
        )
    )


def stage_lines(run: Any) -> dict[str, list[dict]]:
    """The lines of metrics.jsonl by stage."""
    stages = {}
    for line in run.history:
        stages.setdefault(line["stage"], []).append(line)
    return stages


def loss_weights(run: Any) -> dict[str, float]:
    """What each part of the two stages' losses is multiplied by, where it is not 1."""
    settings = run.config
    return settings.weights.model_dump() | {
        "orthogonality": settings.orthogonality.weight,
        "head_decay": settings.head_decay,
    }


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    rows = {}
    for name, value in settings.items():
        rows |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows
