"""From cells' results to the rows of a table."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from ..config import SharedSettings, load_config
from ..data import SCENARIOS
from ..reports.experiment import Line
from ..reports.scores import Score
from ..retrieval import most_precision
from .worlds import WORLD_SCENARIOS

CROSS = ("a->b", "b->a")
DIRECTIONS = (*CROSS, "a->a", "b->b")
TENS = "mean_precision_at_tens"  # the paper's "mAP"
TEN_TENS = "mean_precision_at_ten_tens"  # the same with the ten cutoffs of the released scripts for speech
METRICS = {TENS: "mean P@10…50", "map": "average precision", "chance": "chance"}
METRIC_WORDS = {TENS: "the paper's metric", "map": "average precision"}
SENSES = {**SCENARIOS["pan-mul"].titles, "c": "radar"}  # a radar sees the scenes of PAN and MUL


def words(direction: str, world: str) -> str:
    """`a->b` to "PAN → MUL"."""
    names = SENSES | SCENARIOS[WORLD_SCENARIOS[world]].titles
    return " → ".join(names[m] for m in direction.split("->"))


def score(results: Iterable[dict], direction: str, metric: str = "map") -> Score:
    """A metric of one direction over the seeds; None for a run that failed."""
    return Score(tuple(r["directions"][direction].get(metric) if "directions" in r else None for r in results))


def average(scores: Iterable[Score]) -> Score:
    """The mean of some scores, seed by seed; None where one of them is."""
    seeds = zip(*(s.values for s in scores), strict=True)
    return Score(tuple(None if None in values else fmean(values) for values in seeds))


def mean_score(results: Sequence[dict], directions: Iterable[str] = CROSS, metric: str = "map") -> Score:
    """A metric's mean over some directions, by default both cross-modal ones, over the seeds."""
    return average(score(results, d, metric) for d in directions)


def validation_score(results: Iterable[dict], directions: Sequence[str]) -> Score:
    """The mean average precision of some directions on the validation part, over the seeds; a failed run is 0."""
    parts = [[r["validation"][d] or 0.0 for d in directions] if "validation" in r else [0.0] for r in results]
    return Score(tuple(sum(values) / len(values) for values in parts))


def best(curve: Mapping[Any, Score]) -> Any:
    """Where a curve, {x: score}, is highest; of equals the first."""
    return max(curve, key=lambda x: curve[x].mean)


def lead(ours: Score, theirs: Score, scale: float = 1.0) -> Score:
    """Ours less theirs, seed by seed, in units of 1/`scale`."""
    pairs = zip(ours.values, theirs.values, strict=True)
    return Score(tuple(None if None in pair else scale * (pair[0] - pair[1]) for pair in pairs))


def with_weight(config: SharedSettings, **weights: float) -> SharedSettings:
    """`config` with other weights of eq. 6."""
    return type(config)(**config.model_dump() | {"weights": config.weights.model_dump() | weights})


def dead_share(results: Iterable[dict]) -> Score:
    """The share of V's units that never vary, mean of both modalities, over the seeds."""
    return Score(tuple(fmean(r["dead_units"].values()) if "dead_units" in r else None for r in results))


def most_possible(relevant: Sequence[int], items: int, cutoffs: Sequence[int] = (10, 20, 30, 40, 50)) -> float:
    """`most_precision` of queries with `relevant` (Q,) items each, mean over those that have any."""
    return float(np.nanmean(most_precision(np.asarray(relevant), items, cutoffs)))


def printed_text(figures: tuple[float, float] | float | None) -> str:
    """The paper's mAP, and P@10 where it has it: "99.05 / 99.40"."""
    if figures is None:
        return "–"
    both = figures if isinstance(figures, tuple) else (figures,)
    return " / ".join(f"{f:.2f}" for f in both)


def table_row(
    about: tuple[str, ...],
    results: Sequence[dict],
    direction: str,
    printed: Any = None,
    *,
    command="",
    **more: Score | str,
) -> Line:
    """The row of one direction over the seeds: `METRICS` and P@10, and under the names of `more` what else it has."""
    scores = {metric: score(results, direction, metric) for metric in (*METRICS, "p@10")}
    scores |= {name: value for name, value in more.items() if isinstance(value, Score)}
    texts = {name: value for name, value in more.items() if not isinstance(value, Score)}
    return Line(about, scores, printed_text(printed), texts, command)


def train_command(config: SharedSettings) -> str:
    """The `cmir-ref train` that gives a cell's figures."""
    base = load_config(config.scenario)
    changes = []
    for name, value in config.model_dump().items():
        if name == "seed" or value == getattr(base, name):
            continue
        if isinstance(value, dict):
            before = getattr(base, name).model_dump()
            changes += [f"{name}.{k}={_option(v)}" for k, v in value.items() if v != before[k]]
        else:
            changes.append(f"{name}={_option(value)}")
    return " ".join(["cmir-ref train", config.scenario, *(f"--set {c}" for c in changes), f"--seed {config.seed}"])


def _option(value: Any) -> str:
    """A value as --set reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)
