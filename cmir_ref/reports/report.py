"""The page of one run: what it is worth, how it learned, what some queries find, and its settings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import CROSS
from ..files import write_whole
from ..records import Run
from ..retrieval.relevant_items import paired
from ..systems import SYSTEMS
from .gallery import Card, cards, heated
from .pages import direction_names, environment
from .plots import bars_by_class, losses, scores


def write_report(run: Run, result: dict[str, Any], examples: Mapping[str, Sequence[Any]] | None = None) -> Path:
    """Writes `report.html` into the run's folder and returns its path.

    `result` is what `evaluate(run)` returned, `examples` what some queries of each direction find.
    """
    return write_whole(run.path / "report.html", render(run, result, examples))


def render(run: Run, result: dict[str, Any], examples: Mapping[str, Sequence[Any]] | None = None) -> str:
    """The page as text: one self-contained file, no script, nothing loaded from elsewhere."""
    modalities = run.dataset.modalities
    names = {m: f"{modality.name} ({m})" for m, modality in modalities.items()}
    directions = direction_names(run, result["directions"])
    labelled = bool(run.dataset.label_names)
    cross = {directions[d]: result["directions"][d]["per_class"] for d in CROSS if d in directions and labelled}
    by_label = labelled and SYSTEMS[run.config.system].relevant is not paired
    bars = ("map", "average precision") if by_label else ("r@10", "recall at 10")
    stages, weights = stage_lines(run), run.config.loss_weights
    pages = environment()
    facts = pages.select_template([f"facts/{run.config.system}.html", "facts/default.html"])
    return pages.get_template("report.html").render(
        result=result,
        state=state_sentence(result, {m: modality.name for m, modality in modalities.items()}),
        tied=all(m["map"] == m["chance"] for m in result["directions"].values()),
        facts=facts.render(result=result, names=names, recalls=recall_rows(result), ranks=rank_words(result)),
        by_label=by_label,
        settings=dotted_settings(run.config.model_dump()),
        curves={stage: (losses(lines, weights), scores(lines)) for stage, lines in stages.items()},
        kept={stage: max(line["epoch"] for line in lines if line["best"]) for stage, lines in stages.items()},
        stage_titles={stage: stage_title(stage, names) for stage in stages},
        classes=bars_by_class(cross, *bars) if cross else None,
        counts={part: " + ".join(map(str, rows)) for part, rows in result["split"].items()},
        names=names,
        directions=directions,
        sections=cards({directions[d]: rows for d, rows in (examples or {}).items()}, modalities),
        heat=heat_sections(run, names),
        heat_words=SYSTEMS[run.config.system].heat_words,
        title=f"Run {run.path.name if run.path else run.config.scenario}",
    )


BESIDE = {  # rows of the table of recalls, by their names in the result
    "chance": "chance: all scores equal",
    "class": "class oracle: of each caption the class alone is known",
    "perfect": "perfect: word for word an own caption",
    "ceiling": "ceiling of this gallery, where equal texts tie",
}


def recall_rows(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Row -> {"a->b r@1", …, "mr"}: a run's recalls, and what else this gallery gives; empty without recalls."""
    if "mr" not in result:
        return {}
    if "beside" not in result:
        names = [(d, name) for d, m in result["directions"].items() for name in m if name.startswith("r@")]
        rows = {"this run": "", BESIDE["chance"]: "chance_"}
        figures = {row: {f"{d} {n}": result["directions"][d][by + n] for d, n in names} for row, by in rows.items()}
        return {row: found | {"mr": sum(found.values()) / len(found)} for row, found in figures.items()}
    names = [name for name in result["duplicate_aware"] if name != "mr"]
    own = {name: result["directions"][name.split()[0]][name.split()[1]] for name in names} | {"mr": result["mr"]}
    rows = {"this run": own, "this run, captions that are word for word alike": result["duplicate_aware"]}
    rows |= {BESIDE[name]: figures for name, figures in result["beside"].items()}
    return {row: {name: figures[name] for name in own} for row, figures in rows.items()}  # all in one order


def rank_words(result: Mapping[str, Any]) -> str:
    """ "median rank 1 a->b, 2 b->a; by chance 32 and 32"; "" without recalls, or where nothing could be found."""
    found = {d: m for d, m in result["directions"].items() if m.get("median_rank") is not None}
    ranks = ", ".join(f"{m['median_rank']:g} {d}" for d, m in found.items())
    by_chance = " and ".join(f"{m['chance_median_rank']:g}" for m in found.values())
    return f"median rank {ranks}; by chance {by_chance}" if found else ""


def heat_sections(run: Run, names: Mapping[str, str]) -> dict[str, list[Card]]:
    """Samples with the map of where their evidence lies over them, by modality, for systems that have such maps."""
    system = SYSTEMS[run.config.system]
    sections: dict[str, list[Card]] = {}
    for m, row, cam in () if system.heat is None else system.heat(run):
        modality = run.dataset.modalities[m]
        picture = heated(modality, modality.paths[row], cam, system.heat_words[2])
        label = modality.labels[row]
        numbers = np.flatnonzero(label) if label.ndim else [int(label)]
        label = ", ".join(run.dataset.label_names[i] for i in numbers)
        card = Card(modality.name, modality.ids[row], ((label, True),), picture, None, "", None, 0.0)
        sections.setdefault(names[m], []).append(card)
    return sections


def stage_title(stage: str, names: Mapping[str, str]) -> str:
    """ "stage1.a" as "Stage 1, pan (a)"."""
    head, _, letter = stage.partition(".")
    title = re.sub(r"(?<=[a-z])(?=\d)", " ", head).capitalize()
    return f"{title}, {names[letter]}" if letter else title


def state_sentence(result: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What `state` means in this run: which kind of collapse it is, if any."""
    dead, norms = result.get("dead_units", {}), result.get("weight_norms", {})
    state = result["state"].capitalize()
    if result["state"] == "alive":
        return f"Alive: embeddings spread {result['scale']:.3g} around their mean."
    points = result.get("one_point") or list(names)
    smallest = min((norm for name, norm in norms.items() if any(f"_{m}." in name for m in points)), default=None)
    if smallest is not None and smallest < 1e-3:
        return f"{state}: the encoder weights shrank to zero (smallest ‖w‖ = {smallest:.1e})."
    sentence = f"{state}: every embedding of {' and '.join(names[m] for m in points)} is the same"
    if smallest is None or not dead:
        return f"{sentence}."
    share = " and ".join(f"{dead[m]:.0%}" for m in points)
    return f"{sentence} although the weights live (smallest ‖w‖ = {smallest:.2g}); {share} of its units never vary."


def stage_lines(run: Run) -> dict[str, list[dict]]:
    """The lines of metrics.jsonl by stage."""
    stages = {}
    for line in run.history:
        stages.setdefault(line["stage"], []).append(line)
    return stages


def dotted_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    rows = {}
    for name, value in settings.items():
        rows |= dotted_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return rows
