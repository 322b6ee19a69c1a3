"""Three readings of one method: the paper's text to the letter, the released code, and this package's default.

All readings meet the same samples, split and gallery, whatever their own protocol; how they would have measured
themselves stands beside. Then the stages of the paper's reading are exchanged for the default's, one and the other, and
settings of its stage 2 one at a time.
"""

from collections.abc import Mapping, Sequence
from itertools import product

from ... import runs
from ...cmirnet.published import TABLE1, TABLE3
from ...cmirnet.stage1 import classification_scores
from ...config import SharedSettings
from ...data import protocol_of
from ...reports.experiment import Experiment, Figure, Line, Table
from ...reports.replication_plots import bars
from ...reports.scores import Score
from ..claims import Numbers, judge_claims
from ..lab import Lab, Work, kept_epochs, kept_stages, run_groups, shared_space
from ..tables import CROSS, DIRECTIONS, METRICS, TENS, mean_score, score, table_row, train_command, words
from .table4 import STATE, state_texts

WORLDS = ("few-tiles", "places")
READINGS = {"the paper's text": "paper", "the released code": "released", "the default": ""}
PAPER, DEFAULT = "the paper's text", "the default"
PRINTED = {"few-tiles": TABLE1[64], "places": TABLE3[128]}
STAGE1, STAGE2 = "the default's stage 1", "the default's stage 2"
CHANGES = {  # of the paper's stage 2, on the default's stage 1: which settings are as the default has them
    f"{STAGE1}, and eq. 7": ("alpha", "alpha_reading"),
    f"{STAGE1}, and λ5": ("weights.regulariser",),
    f"{STAGE1}, and λ1 … λ4, means for sums": (
        "weights.alignment",
        "weights.classification",
        "weights.feature_norm",
        "weights.reconstruction",
        "reduction",
    ),
    f"{STAGE1}, and learning rate": ("stage2.lr", "stage2.schedule", "stage2.warmup"),
}
STEPS = (PAPER, STAGE2, STAGE1, *CHANGES, DEFAULT)
OWN_WAY = {"tens in its way": "measured its own way: mean P@10…50", "map in its way": "and average precision"}
LABELS = {"labels a": "stage 1 ranks labels at: a", "labels b": "b"}
SPACE = {name: STATE[name] for name in ("state", "rank")} | LABELS

Rows = Mapping[tuple[str, str], Sequence[dict]]  # {(world, reading or step): results over the seeds}


def readings(lab: Lab) -> Experiment:
    """The three readings at the lab's scale, in both scenarios."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    configs = {(w, n): [reading_config(lab, w, READINGS[n], s) for s in lab.few] for w in worlds for n in READINGS}
    for w in worlds:
        pairs = zip(configs[w, PAPER], configs[w, DEFAULT], strict=True)
        steps = [steps_between(paper, default) for paper, default in pairs]
        configs |= {(w, n): [one[n] for one in steps] for n in steps[0]}
    rows = run_groups(lab, measure_reading, configs, "readings")
    commands = {key: train_command(asked_alike(group[0])) for key, group in configs.items()}

    def row(w, n, m):
        return line_of(w, n, m, rows[w, n], commands[w, n])

    head, tables = ("reading", "direction"), {}
    for w in worlds:
        alike, steps = product([w], READINGS, DIRECTIONS), product([w], STEPS, CROSS)
        tables[w] = Table(head, METRICS | OWN_WAY | SPACE, tuple(row(*key) for key in alike))
        tables[f"{w}, steps"] = Table(head, METRICS | SPACE, tuple(row(*key)._replace(printed="–") for key in steps))
    return Experiment(
        "readings",
        tables,
        tuple(bars_of_readings(w, rows) for w in worlds),
        judge_claims("readings", text=share_of_way(rows, PAPER), code=share_of_way(rows, "the released code")),
        {"used": worlds, "ways": {w: shares_of_way({n: precision(rows[w, n]) for n in STEPS}) for w in worlds}},
    )


def reading_config(lab: Lab, world: str, name: str, seed: int) -> SharedSettings:
    """A reading's settings, on the default's split."""
    default = lab.config(world, seed)
    if not name:
        return default
    split = {"test_share": default.test_share, "validation_share": default.validation_share}
    return lab.config(world, seed, name, **split, protocol=protocol_of(default))


def steps_between(paper: SharedSettings, default: SharedSettings) -> dict[str, SharedSettings]:
    """The steps between the paper's reading and the default."""
    seen = frozenset().union(*(stage.sees for config in (paper, default) for stage in kept_stages(config)))
    of_stage2 = [name for name in type(default).model_fields if name not in seen]
    start = replace_settings(default, paper, of_stage2)
    single = {n: replace_settings(start, default, names) for n, names in CHANGES.items()}
    return {STAGE2: replace_settings(paper, default, of_stage2), STAGE1: start} | single


def replace_settings(config: SharedSettings, other: SharedSettings, names: Sequence[str]) -> SharedSettings:
    """`config` with the settings `names` ("weights.regulariser" is one of a table) as `other` has them."""
    changed, values = config.model_dump(), other.model_dump()
    for name in names:
        table, _, key = name.partition(".")
        changed[table] = changed[table] | {key: values[table][key]} if key else values[table]
    return type(config)(**changed)


def measure_reading(work: Work) -> dict:
    """A space measured in the same way for all readings, and in its own (`own`), and how stage 1 ranks labels.

    {"failed": why} stands for the space where it diverged.
    """
    ranks = {"stage1": [label_precision(work, m) for m in "ab"]}
    try:
        run = shared_space(work)
    except FloatingPointError as error:
        return ranks | {"failed": str(error)}
    alike = run._replace(config=asked_alike(run.config))
    own = runs.evaluate(run, device=work.device)["directions"]
    return runs.evaluate(alike, device=work.device) | ranks | {"own": own, "epochs": kept_epochs(run)}


def asked_alike(config: SharedSettings) -> SharedSettings:
    """`config` with the default's gallery and distance, which no training sees where the last epoch is kept."""
    return config.model_copy(update={"gallery": "test", "distance": "euclidean"})


def label_precision(work: Work, m: str) -> float | None:
    """Average precision with which the pretrainer of modality m ranks the labels of its test samples."""
    logits, rows = work.made.get(f"logits.{m}"), work.parts.test[m]
    if logits is None:
        return None
    return classification_scores(logits[rows], work.data.modalities[m].labels[rows])["score"]


def line_of(world: str, name: str, direction: str, results: Sequence[dict], command: str) -> Line:
    """The row of a reading or a step, with its own measurement and the state of its space."""
    own = [{"directions": r["own"]} if "own" in r else r for r in results]
    ranks = {f"labels {m}": Score(tuple(r["stage1"][i] for r in results)) for i, m in enumerate("ab")}
    more = {"tens in its way": score(own, direction, TENS), "map in its way": score(own, direction)} | ranks
    about, printed = (name, words(direction, world)), PRINTED[world].get(direction)
    return table_row(about, results, direction, printed, command=command, **more, **state_texts(results))


def chance_of_rows(results: Sequence[dict]) -> float:
    """Chance of both cross-modal directions; 0 where no run ended."""
    return mean_score(results, metric="chance").mean or 0.0


def precision(results: Sequence[dict]) -> float:
    """Average precision, mean of both cross-modal directions; chance where all runs diverged."""
    ap = mean_score(results).mean
    return chance_of_rows(results) if ap is None else ap


def shares_of_way(ap: Mapping[str, float]) -> dict[str, float]:
    """Of the way from the paper's reading to the default, the share that each step goes; none where it is no way up."""
    way = ap[DEFAULT] - ap[PAPER]
    return {step: (ap[step] - ap[PAPER]) / way for step in STEPS[1:-1]} if way > 0 else {}


def share_of_way(rows: Rows, name: str) -> Numbers:
    """How far a reading comes from chance to the default, by world; None where the default is at chance itself."""
    ways = {w: (chance_of_rows(rows[w, DEFAULT]), precision(rows[w, DEFAULT])) for w, _ in rows}
    return {
        (w,): (precision(rows[w, name]) - low) / (high - low) if high > low else None for w, (low, high) in ways.items()
    }


def bars_of_readings(world: str, rows: Rows) -> Figure:
    """Bars from the paper's text to the default."""
    series = {
        "average precision": {n: mean_score(rows[world, n]) for n in STEPS},
        "chance": {n: mean_score(rows[world, n], metric="chance") for n in STEPS},
    }
    return bars(f"readings-{world}", series, y="average precision", marks="chance")
