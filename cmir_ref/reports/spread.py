"""The figures of a run over several seeds: mean, standard deviation and worst, for people and for Markdown files."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..files import check_place
from ..packages import origin
from .markdown import grid, split_at_marks, write_between_marks
from .scores import Score, number

WORSE_WHERE_LARGER = ("median_rank", "chance_median_rank", "without_relevant")
COLUMNS = {"map": "average precision", "p@10": "P@10", "chance": "chance"}


def spread(results: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What `evaluate` returned by seed, as one: under "directions" and "mr" (where there is one) each figure is
    {"mean", "sd", "worst", "values"}; "sd" divides by n − 1, and is None for one seed. "warnings", where there are any,
    say of which seeds they are."""
    first = next(iter(results.values()))
    directions = {
        d: {
            m: _over([r["directions"][d][m] for r in results.values()], max if m in WORSE_WHERE_LARGER else min)
            for m, v in metrics.items()
            if _is_figure(v)
        }
        for d, metrics in first["directions"].items()
    }
    recalls = [r.get("mr") for r in results.values()]  # a run in which no query had its partner has none
    recall = {"mr": _over(recalls)} if any(value is not None for value in recalls) else {}
    about = {name: first[name] for name in ("scenario", "data", "protocol", "gallery")}
    warned = {"warnings": found} if (found := warnings_of(results)) else {}
    return {"seeds": list(results), **about, "directions": directions, **recall, **warned, "origin": origin()}


def warnings_of(results: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """What the evaluations warn of, and which spaces are not alive: each once, behind its seeds where it is not of
    all."""
    seeds_of: dict[str, list[int]] = {}
    for seed, result in results.items():
        state = result.get("state", "alive")
        for warning in [*result.get("warnings", ()), *([] if state == "alive" else [f"the space is {state}"])]:
            seeds_of.setdefault(warning, []).append(seed)
    return [
        warning if len(seeds) == len(results) else f"{name_seeds(seeds)}: {warning}"
        for warning, seeds in seeds_of.items()
    ]


def name_seeds(seeds: list[int]) -> str:
    """ "seed 3", or "seeds 3, 5"."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _is_figure(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def _over(values: list[float | None], worst: Callable = min) -> dict[str, Any]:
    score = Score(tuple(values))
    return {"mean": score.mean, "sd": score.sd, "worst": worst(score.there, default=None), "values": values}


def spread_table(found: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(header, rows) of what `spread` returned: a row a direction, and mean recall where there is one."""
    head = ("direction", *COLUMNS.values(), "worst average precision")
    rows = [
        (d, *(str(Score(tuple(m[c]["values"]))) for c in COLUMNS), number(m["map"]["worst"], ".3f"))
        for d, m in found["directions"].items()
    ]
    if "mr" in found:
        head = (*head, "mean recall", "worst mean recall")
        recall = str(Score(tuple(found["mr"]["values"]))), number(found["mr"]["worst"], ".3f")
        rows = [(*row, *(recall if i == 0 else ("", ""))) for i, row in enumerate(rows)]
    return head, rows


def sources(found: Mapping[str, Any], command: str) -> str:
    """One line: by which command, with which seeds, on which machine, with which BLAS kernel, on which day."""
    seeds, where = found["seeds"], found["origin"]
    many = f"mean ± standard deviation of seeds {seeds[0]} – {seeds[-1]}"
    named = many if len(seeds) > 1 else f"seed {seeds[0]}, without spread"
    return f"`{command}`; {named}; {where['machine']}, {where['blas']}, {where['date']}."


def check_marks(path: str | Path, names: Iterable[str]) -> None:
    """Raises `InputError` where the Markdown file lacks the marks of one of these tables, or cannot be written."""
    for name in names:
        split_at_marks(path, name)
    check_place(path)


def insert_spread(path: str | Path, name: str, found: Mapping[str, Any], command: str) -> None:
    """Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a Markdown file by the table, what is warned
    of it and where it comes from."""
    head, rows = spread_table(found)
    warned = [f"warning: {warning}" for warning in found.get("warnings", ())]
    write_between_marks(path, "\n\n".join([grid(head, rows, len(head)), *warned, sources(found, command)]), name)
