"""Three readings of one method: the paper's text to the letter, the released code, and this package's default.

All readings meet the same samples, split and gallery, whatever their own protocol; how they would have measured
themselves stands beside. Then single changes lead from the paper's reading towards the default.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean as mean
from typing import Any

from .. import runs
from ..config import Config
from ..reports.replication import Figure, Line, Score, Section, Table, Verdict
from ..reports.replication_plots import bars
from . import published
from .lab import Cell, Lab, Work, kept_epochs, shared_space
from .table3 import CROSS, DIRECTIONS, outcome
from .table4 import pooled, state
from .tables import line, score, words

WORLDS = ("few-tiles", "places")
READINGS = {"the paper's text": "paper", "the released code": "released", "the default": ""}
PAPER, DEFAULT = "the paper's text", "the default"
PRINTED = {"few-tiles": published.TABLE1[64], "places": published.TABLE3[128]}
CHANGES = {  # towards the default, in stage 2 alone: which settings
    "+ eq. 7 as the default has it": ("alpha", "alpha_reading"),
    "+ λ5": ("weights.r",),
    "+ λ1 … λ4, means for sums": ("weights.l2", "weights.l3", "weights.l4", "weights.l5", "reduction"),
    "+ learning rate and its schedule": ("stage2.lr", "stage2.schedule", "stage2.warmup"),
    "+ all of stage 2": (
        *("stage2", "weights", "reduction", "alpha", "alpha_reading", "update", "label_loss"),
        *("normalise_features", "latent_dropout", "d_v"),
    ),
}
WHOLE = "+ all of stage 2"
ALIVE = 0.5  # of the way from chance to the default: so much counts as working
FEW = 2  # seeds of the changes
MOST = 0.5  # of the way from the paper's reading to the default: so much counts as explaining it


def readings(lab: Lab) -> Section:
    """The three readings at the lab's scale, in both scenarios."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    configs = {(w, n, s): reading(lab, w, READINGS[n], s) for w in worlds for n in READINGS for s in lab.seeds}
    configs |= {
        (w, n, s): towards(configs[w, PAPER, s], configs[w, DEFAULT, s], CHANGES[n])
        for w in worlds
        for n in CHANGES
        for s in lab.seeds[:FEW]
    }
    cells = [Cell(twice, config) for config in configs.values()]
    found = dict(zip(configs, lab.run(cells, "readings"), strict=True))
    steps = (PAPER, *CHANGES, DEFAULT)

    def rows(world: str, name: str, seeds: Sequence[int]) -> tuple[Line, ...]:
        results = [found[world, name, s] for s in seeds]
        return tuple(row(world, name, m, results, configs[world, name, 0]) for m in DIRECTIONS)

    lines = {(w, n): rows(w, n, lab.seeds) for w in worlds for n in READINGS}
    path = {(w, n): rows(w, n, lab.seeds[:FEW])[: len(CROSS)] for w in worlds for n in steps}
    said = {w: lab.scale.worlds[w].words for w in worlds}
    return Section(
        "readings",
        "The paper's text, the released code, and the default",
        "Each reading is a preset, trained from the pixels on. All three are asked the same here: the same samples and "
        "split, queries and gallery of the test part, Euclidean distance; no test voice is heard in training (both "
        "authors' readings would hear all). The released code's own way, which searches training samples too and by "
        "another distance, stands beside. Both authors' readings train as many epochs as the default.",
        tables=(
            *(
                Table(
                    f"{w}: {said[w]}",
                    ("reading", "direction"),
                    tuple(r for n in READINGS for r in lines[w, n]),
                    ("measured its own way: mean P@10…50", "and average precision", "state", "effective rank"),
                )
                for w in worlds
            ),
            *(
                Table(
                    f"{w}: from the paper's text towards the default",
                    ("change", "direction"),
                    tuple(r._replace(printed="–", more=r.more[2:]) for n in steps for r in path[w, n]),
                    ("state", "effective rank"),
                    "Each change alone, on the features of the paper's stage 1; the last rows have another stage 1 "
                    f"too. Seeds: the first {len(lab.seeds[:FEW])}.",
                )
                for w in worlds
            ),
        ),
        figures=tuple(drawing(w, {n: path[w, n] for n in steps}) for w in worlds),
        remarks=tuple(
            text
            for w in worlds
            for text in (
                matters(w, {n: ap(path[w, n]) for n in steps}),
                own_way(w, [found[w, "the released code", s] for s in lab.seeds]),
                f"{w}, settings of stage 2 that {WHOLE[2:]} changes: {changes(configs, w)}.",
            )
        ),
        verdicts=tuple(works(name, {w: lines[w, name] for w in worlds}, lines) for name in READINGS if name != DEFAULT),
    )


def reading(lab: Lab, world: str, name: str, seed: int) -> Config:
    """A reading's settings, on the default's split."""
    default = lab.config(world, seed)
    if not name:
        return default
    split = {"test_share": default.test_share, "validation_share": default.validation_share}
    return lab.config(world, seed, name, **split, protocol=runs.protocol_of(default))


def towards(config: Config, default: Config, names: Sequence[str]) -> Config:
    """`config` with the settings `names` ("weights.r" is one of a table) as `default` has them."""
    changed: dict[str, Any] = config.model_dump()
    other = default.model_dump()
    for name in names:
        table, _, key = name.partition(".")
        if key:
            changed[table] = changed[table] | {key: other[table][key]}
        else:
            changed[table] = other[table]
    return Config(**changed)


def twice(work: Work) -> dict:
    """A space measured in the same way for all readings, and in its own (`own`); {"failed": why} where it diverged."""
    try:
        run = shared_space(work)
    except FloatingPointError as error:
        return {"failed": str(error)}
    alike = run._replace(config=run.config.model_copy(update={"distance": "euclidean"}))
    own = runs.evaluate(run, device=work.device)["directions"]
    return runs.evaluate(alike, "test", device=work.device) | {"own": own, "epochs": kept_epochs(run)}


def row(world: str, name: str, direction: str, results: Sequence[dict], config: Config) -> Line:
    """The row of a reading or a change, with its own measurement and the state of its space."""
    own = [{"directions": r["own"]} if "own" in r else r for r in results]
    what, _, rank, _ = state(results)
    return line(
        (name, words(direction, world)),
        results,
        direction,
        paper=PRINTED[world].get(direction),
        config=config,
        more=(str(score(own, direction, "mean_precision_at_tens")), str(score(own, direction)), what, rank),
    )


def ap(rows: Sequence[Line]) -> float:
    """Average precision, mean of both cross-modal directions; chance where all runs diverged."""
    there = [r.ap.mean for r in rows[: len(CROSS)] if r.ap.mean is not None]
    return mean(there) if there else chance(rows)


def chance(rows: Sequence[Line]) -> float:
    """Chance of both cross-modal directions; 0 where no run ended."""
    return mean(r.chance.mean or 0.0 for r in rows[: len(CROSS)])


def matters(world: str, found: Mapping[str, float]) -> str:
    """Which change explains most of what separates the paper's reading from the default."""
    paper, default = found[PAPER], found[DEFAULT]
    said = ", ".join(f"{n} {v:.3f}" for n, v in found.items())
    text = f"{world}, average precision, mean of both cross-modal directions: {said}. "
    if default <= paper:
        return text + "The paper's text is not below the default here: nothing is to be explained."
    share = {n: (found[n] - paper) / (default - paper) for n in CHANGES}
    single = {n: s for n, s in share.items() if n != WHOLE}
    best = max(single, key=single.get)
    if single[best] >= MOST:
        text += f"Of the single changes, “{best[2:]}” matters most: {single[best]:.0%} of the way to the default"
    else:
        text += f"No single change explains it: the best, “{best[2:]}”, goes {single[best]:.0%} of the way"
    return text + f"; all of stage 2 together goes {share[WHOLE]:.0%}, what is left is stage 1."


def own_way(world: str, results: Sequence[dict]) -> str:
    """What the released code's gallery and distance change."""
    ended = [r for r in results if "own" in r]
    if not ended:
        return f"{world}: the released code's reading diverged in every run."
    texts = [
        f"{words(m, world)} {mean(r['own'][m]['map'] for r in ended):.3f} against "
        f"{mean(r['directions'][m]['map'] for r in ended):.3f}"
        for m in CROSS
    ]
    return (
        f"{world}: searched as the released code does, among all samples and by its distance, its reading has an "
        f"average precision of {', '.join(texts)} on the test part alone."
    )


def changes(configs: Mapping[tuple, Config], world: str) -> str:
    """What differs between the paper's reading and the one with the default's stage 2."""
    before, after = (configs[world, n, 0].model_dump() for n in (PAPER, WHOLE))
    texts = []
    for name, value in after.items():
        if isinstance(value, dict):
            texts += [f"{name}.{k} {before[name][k]} → {v}" for k, v in value.items() if v != before[name][k]]
        elif value != before[name]:
            texts.append(f"{name} {before[name]} → {value}")
    return ", ".join(texts)


def works(name: str, rows: Mapping[str, Sequence[Line]], lines: Mapping[tuple[str, str], Sequence[Line]]) -> Verdict:
    """A reading works where it comes at least `ALIVE` of the way from chance to the default."""
    limit = {w: chance(lines[w, DEFAULT]) + ALIVE * (ap(lines[w, DEFAULT]) - chance(lines[w, DEFAULT])) for w in rows}
    return Verdict(
        "4.1, 4.2",
        f"{name} trains a space in which both modalities find each other",
        outcome({(w,): ap(r) >= limit[w] for w, r in rows.items()}, ("the world",)),
        "average precision, mean of both cross-modal directions: "
        + "; ".join(
            f"{w} {ap(r):.3f} ({r[0].more[2]}; default {ap(lines[w, DEFAULT]):.3f}, "
            f"chance {chance(lines[w, DEFAULT]):.3f})"
            for w, r in rows.items()
        )
        + f" (rule: at least {ALIVE:.0%} of the way from chance to the default)",
    )


def drawing(world: str, rows: Mapping[str, Sequence[Line]]) -> Figure:
    """Bars from the paper's text to the default."""
    there = {n: r for n, r in rows.items() if any(x.chance.mean for x in r)}
    return bars(
        f"readings-{world}",
        f"{world}: average precision, mean of both cross-modal directions, from the paper's text to the default.",
        {
            "average precision": {n: pooled(r) for n, r in rows.items()},
            "chance": {n: Score((chance(r),)) for n, r in there.items()},
        },
        y="average precision",
        marks="chance",
    )
