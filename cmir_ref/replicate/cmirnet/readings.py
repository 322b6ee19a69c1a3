"""Three readings of one method: the paper's text to the letter, the released code, and this package's default.

All readings meet the same samples, split and gallery, whatever their own protocol; how they would have measured
themselves stands beside. Then the stages of the paper's reading are exchanged for the default's, one and the other, and
settings of its stage 2 one at a time.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean as mean

from ... import runs
from ...cmirnet import published
from ...cmirnet.stages import classification_scores
from ...config import Config
from ...reports.replication import Figure, Line, Score, Section, Table, Verdict
from ...reports.replication_plots import bars
from ..lab import STAGE2_ONLY, Cell, Lab, Work, kept_epochs, shared_space
from ..tables import line, score, words
from .table3 import CROSS, DIRECTIONS, outcome
from .table4 import pooled, state

WORLDS = ("few-tiles", "places")
READINGS = {"the paper's text": "paper", "the released code": "released", "the default": ""}
PAPER, DEFAULT = "the paper's text", "the default"
PRINTED = {"few-tiles": published.TABLE1[64], "places": published.TABLE3[128]}
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
SPACE = ("state", "effective rank", "stage 1 ranks labels at")
ALIVE = 0.5  # of the way from chance to the default: so much counts as working
LITTLE = 0.01  # of average precision: nothing to explain
MOST = 0.5  # of the way to the default: so much counts as explaining the difference


def readings(lab: Lab) -> Section:
    """The three readings at the lab's scale, in both scenarios."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    configs = {(w, n, s): reading(lab, w, READINGS[n], s) for w in worlds for n in READINGS for s in lab.few}
    for w in worlds:
        for s in lab.few:
            configs |= {(w, n, s): c for n, c in between(configs[w, PAPER, s], configs[w, DEFAULT, s]).items()}
    cells = [Cell(twice, config) for config in configs.values()]
    found = dict(zip(configs, lab.run(cells, "readings"), strict=True))
    said = {w: lab.scale.worlds[w].words for w in worlds}

    def rows(world: str, name: str, seeds: Sequence[int]) -> tuple[Line, ...]:
        results = [found[world, name, s] for s in seeds]
        return tuple(row(world, name, m, results, configs[world, name, 0]) for m in DIRECTIONS)

    lines = {(w, n): rows(w, n, lab.few) for w in worlds for n in READINGS}
    path = {(w, n): rows(w, n, lab.few)[: len(CROSS)] for w in worlds for n in STEPS}
    return Section(
        "readings",
        "The paper's text, the released code, and the default",
        "Each reading is a preset, trained from the pixels on. All three are asked the same here: the same samples and "
        "split, queries and gallery of the test part, Euclidean distance; no test voice is heard in training (both "
        "authors' readings would hear all). The released code's own way, which searches training samples too and by "
        "another distance, stands beside. Both authors' readings train as many epochs, in batches as large, as the "
        "default does here; the paper: 400 epochs in batches of 64, on far more samples. Where they fail, it is in so "
        "short a training. "
        f"Seeds: the first {len(lab.few)}.",
        tables=(
            *(
                Table(
                    f"{w}: {said[w]}",
                    ("reading", "direction"),
                    tuple(r for n in READINGS for r in lines[w, n]),
                    ("measured its own way: mean P@10…50", "and average precision", *SPACE),
                )
                for w in worlds
            ),
            *(
                Table(
                    f"{w}: from the paper's text towards the default",
                    ("reading", "direction"),
                    tuple(r._replace(printed="–", more=r.more[2:]) for n in STEPS for r in path[w, n]),
                    SPACE,
                    "The paper's reading with one stage exchanged for the default's; then, on the default's stage 1, "
                    "one setting of stage 2 at a time.",
                )
                for w in worlds
            ),
        ),
        figures=tuple(drawing(w, {n: path[w, n] for n in STEPS}) for w in worlds),
        remarks=tuple(
            text
            for w in worlds
            for text in (
                matters(w, {n: ap(path[w, n]) for n in STEPS}),
                own_way(w, [found[w, "the released code", s] for s in lab.few]),
                f"{w}, settings in which the paper's text and the default differ: {differences(configs, w)}.",
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


def between(paper: Config, default: Config) -> dict[str, Config]:
    """The steps between the paper's reading and the default."""
    start = towards(default, paper, STAGE2_ONLY)
    single = {n: towards(start, default, names) for n, names in CHANGES.items()}
    return {STAGE2: towards(paper, default, STAGE2_ONLY), STAGE1: start} | single


def towards(config: Config, other: Config, names: Sequence[str]) -> Config:
    """`config` with the settings `names` ("weights.regulariser" is one of a table) as `other` has them."""
    changed, values = config.model_dump(), other.model_dump()
    for name in names:
        table, _, key = name.partition(".")
        changed[table] = changed[table] | {key: values[table][key]} if key else values[table]
    return Config(**changed)


def twice(work: Work) -> dict:
    """A space measured in the same way for all readings, and in its own (`own`), and how stage 1 ranks labels.

    {"failed": why} stands for the space where it diverged.
    """
    ranked = {"stage1": [labels_found(work, place) for place in (0, 1)]}
    try:
        run = shared_space(work)
    except FloatingPointError as error:
        return ranked | {"failed": str(error)}
    alike = run._replace(config=asked_alike(run.config))
    own = runs.evaluate(run, device=work.device)["directions"]
    return runs.evaluate(alike, device=work.device) | ranked | {"own": own, "epochs": kept_epochs(run)}


def asked_alike(config: Config) -> Config:
    """`config` with the default's gallery and distance, which no training sees where the last epoch is kept."""
    return config.model_copy(update={"gallery": "test", "distance": "euclidean"})


def labels_found(work: Work, place: int) -> float | None:
    """Average precision with which the pretrainer of a modality ranks the labels of its test samples."""
    out, rows = work.outputs[place], work.parts.test[place]
    if out is None:
        return None
    return classification_scores(out.logits[rows], work.data.modalities[place].labels[rows])["score"]


def row(world: str, name: str, direction: str, results: Sequence[dict], config: Config) -> Line:
    """The row of a reading or a change, with its own measurement and the state of its space."""
    own = [{"directions": r["own"]} if "own" in r else r for r in results]
    what, _, rank, _ = state(results)
    ranked = " and ".join(str(Score(tuple(r["stage1"][place] for r in results))) for place in (0, 1))
    return line(
        (name, words(direction, world)),
        results,
        direction,
        paper=PRINTED[world].get(direction),
        config=asked_alike(config),
        more=(str(score(own, direction, "mean_precision_at_tens")), str(score(own, direction)), what, rank, ranked),
    )


def ap(rows: Sequence[Line]) -> float:
    """Average precision, mean of both cross-modal directions; chance where all runs diverged."""
    there = [r.ap.mean for r in rows[: len(CROSS)] if r.ap.mean is not None]
    return mean(there) if there else chance(rows)


def chance(rows: Sequence[Line]) -> float:
    """Chance of both cross-modal directions; 0 where no run ended."""
    return mean(r.chance.mean or 0.0 for r in rows[: len(CROSS)])


def matters(world: str, found: Mapping[str, float]) -> str:
    """Which stage, and which setting of stage 2, separate the paper's reading from the default."""
    paper, start, default = (found[n] for n in (PAPER, STAGE1, DEFAULT))
    text = f"{world}, average precision, mean of both cross-modal directions: the paper's text {paper:.3f}"
    text += f", with {STAGE2} {found[STAGE2]:.3f}, with {STAGE1} {start:.3f}, the default {default:.3f}. "
    if default <= paper:
        return text + "The paper's text is not below the default here: nothing is to be explained."
    stages = {n: (found[n] - paper) / (default - paper) for n in (STAGE1, STAGE2)}
    text += "; ".join(f"{n} alone goes {share:.0%} of the way" for n, share in stages.items()) + ". "
    if default - start < LITTLE:
        return text + "Nothing is left for single settings of stage 2."
    single = {n.removeprefix(f"{STAGE1}, and "): (found[n] - start) / (default - start) for n in CHANGES}
    best = max(single, key=single.get)
    said = ", ".join(f"{n} {share:.0%}" for n, share in single.items())
    which = f"{best} matters most" if single[best] >= MOST else "no single setting explains the rest"
    return text + f"Of what is left on the default's stage 1, {which}: {said}."


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


def differences(configs: Mapping[tuple, Config], world: str) -> str:
    """All settings in which two readings differ: "d_v 128 → 64"."""
    before, after = (configs[world, n, 0].model_dump() for n in (PAPER, DEFAULT))
    texts = []
    for name, value in after.items():
        if isinstance(value, dict):
            texts += [f"{name}.{k} {before[name][k]} → {v}" for k, v in value.items() if v != before[name][k]]
        elif value != before[name] and name != "protocol":  # "auto" is the same there
            texts.append(f"{name} {before[name]} → {value}")
    return ", ".join(texts)


def works(name: str, rows: Mapping[str, Sequence[Line]], lines: Mapping[tuple[str, str], Sequence[Line]]) -> Verdict:
    """A reading works where it comes at least `ALIVE` of the way from chance to the default."""
    limit = {w: chance(lines[w, DEFAULT]) + ALIVE * (ap(lines[w, DEFAULT]) - chance(lines[w, DEFAULT])) for w in rows}
    return Verdict(
        "4.1, 4.2",
        f"{name}, trained as briefly as here, gives a space in which both modalities find each other",
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
