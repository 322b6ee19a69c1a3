"""From cells' results to the rows of a table."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..config import Config, load_config
from ..reports.replication import Line, Score, points
from .worlds import SCENARIOS

WORDS = {
    "pan-mul": {"a": "PAN", "b": "MUL", "ab": "both"},
    "image-speech": {"a": "image", "b": "speech", "ab": "both"},
}


def words(direction: str, world: str) -> str:
    """`a->b` to "PAN → MUL"."""
    names = WORDS[SCENARIOS[world]]
    return " → ".join(names[part] for part in direction.split("->"))


def score(results: Iterable[dict], direction: str, metric: str = "map") -> Score:
    """A metric of one direction over the seeds."""
    return Score(tuple(r["directions"][direction][metric] if "directions" in r else None for r in results))


def validated(results: Iterable[dict], directions: Sequence[str]) -> Score:
    """The mean average precision of some directions on the validation part, over the seeds; a failed run is 0."""
    found = [[r["validation"][d] or 0.0 for d in directions] if "validation" in r else [0.0] for r in results]
    return Score(tuple(sum(values) / len(values) for values in found))


def less(ours: Score, theirs: Score) -> Score:
    """Ours less theirs, seed by seed."""
    pairs = zip(ours.values, theirs.values, strict=True)
    return Score(tuple(None if None in pair else pair[0] - pair[1] for pair in pairs))


def ahead(difference: Score) -> bool:
    """Whether a lead counts: its mean is above 0 and, where there are several seeds, above its standard error."""
    error = (difference.sd or 0.0) / math.sqrt(max(len(difference.there), 1))
    return difference.mean is not None and difference.mean > error


def printed(figures: tuple[float, float] | float | None) -> str:
    """The paper's mAP, and P@10 where it has it: "99.05 / 99.40"."""
    if figures is None:
        return "–"
    both = figures if isinstance(figures, tuple) else (figures,)
    return " / ".join(f"{f:.2f}" for f in both)


def line(
    about: tuple[str, ...], results: Sequence[dict], direction: str, *, paper: Any = None, config: Config, **rest: Any
) -> Line:
    """The row of one direction over the seeds; `config` is the first seed's."""
    return Line(
        about,
        printed(paper),
        score(results, direction, "mean_precision_at_tens"),
        score(results, direction),
        score(results, direction, "chance"),
        command=train_command(config),
        **rest,
    )


def train_command(config: Config) -> str:
    """The `cmir-ref train` that gives a cell's figures."""
    base = load_config(config.scenario)
    changes = []
    for name, value in config.model_dump().items():
        if name == "seed" or value == getattr(base, name):
            continue
        if isinstance(value, dict):
            before = getattr(base, name).model_dump()
            changes += [f"{name}.{k}={_said(v)}" for k, v in value.items() if v != before[k]]
        else:
            changes.append(f"{name}={_said(value)}")
    return " ".join(["cmir-ref train", config.scenario, *(f"--set {c}" for c in changes), f"--seed {config.seed}"])


def _said(value: Any) -> str:
    """A value as --set reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)


def farthest(lines: Sequence[Line]) -> str:
    """A sentence on the row that is farthest from what was printed, and on how far the metrics are apart."""
    row = max((r for r in lines if points(r) is not None), key=lambda r: abs(points(r)))
    metric = max((r for r in lines if r.ap.mean is not None), key=lambda r: abs(r.tens.mean - r.ap.mean))
    return (
        f"Farthest from the printed figures: {', '.join(row.about)}, {points(row):+.1f} points in the paper's metric "
        f"({row.tens} against {row.printed}). The paper's metric and average precision are farthest apart at "
        f"{', '.join(metric.about)}: {metric.tens.mean:.3f} and {metric.ap.mean:.3f}."
    )
