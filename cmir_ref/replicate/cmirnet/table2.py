"""Table 2: CMIR-NET beside hashing methods, from PAN to MUL and back, with the bits that one item takes in every row.

The paper sets codes of 16 and 32 bits beside embeddings of 16 and 32 floats. All methods here get the same features Z
of stage 1 and learn from the same training pairs; what is left to choose is chosen on the validation part.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from ...backend import Array, generator, library, to_device
from ...cmirnet.published import TABLE2
from ...config import SharedSettings
from ...data import pairs_of
from ...hashing.codes import centred_signs, storage_bits
from ...hashing.comparators import COMPARATORS, RECONSTRUCTION, Readers, both_ways
from ...reports.experiment import Experiment, Figure, Line, Table
from ...reports.replication_plots import curves
from ...retrieval import evaluate_direction
from ...training.inputs import fit_normaliser
from ..claims import Numbers, judge_claims
from ..lab import Cell, Lab, Work, run_groups, shared_space
from ..tables import CROSS, METRIC_WORDS, METRICS, best, lead, score, table_row, train_command, words
from .table1 import spaces_of_table1, validation_curve

WIDTHS = (16, 32)  # bits, or dimensions
SIGNS = (16, 32, 64)
SHORT = (8, 16, 32)  # bits of the codes learned in V
WIDEST = 64  # d_v of that space
OURS, SIGNS_OF_V, ON_V = "CMIR-NET, floats", "CMIR-NET, signs of V", " on V"
SIZES = {"neighbours in Z": (0,), "class probabilities": (0,), "predicted class": (0,)}  # where there is none to choose
RIVALS = ("SCM, orthogonal", "SCM, sequential", "DCMH", RECONSTRUCTION)
LEARNED = RIVALS[1:]  # the codes that are learned in V
PRINTED_AS = dict(zip(RIVALS, ("SCM", "SCM", "DCMH", "SIDHCNN"), strict=True)) | {OURS: "CMIR-NET"}

Result = dict[str, Any]
Rows = dict[tuple[str, int], list[Result]]  # (method, bits or dimensions): a result for each seed
Features = Sequence[np.ndarray]  # of both modalities


# ---- cells ----------------------------------------------------------------------------------------------------------


def codes_of_z(work: Work, *, method: str, size: int) -> Result:
    """A comparator on Z, or on the logits of stage 1."""
    reads_logits = COMPARATORS[method].reads == "logits"
    return compare(
        work, [work.made[f"logits.{m}"] for m in "ab"] if reads_logits else list(work.z.values()), method, size
    )


def codes_of_v(work: Work, *, learned: Sequence[int] = ()) -> dict[str, Any]:
    """Codes of CMIR-NET's embeddings V, {name: result}: their signs, and codes of `learned` bits that sequential SCM
    and hashing networks learn from them."""
    v = [encoded["v"] for encoded in shared_space(work).encoded.values()]
    means = [x.mean(axis=0) for x in training_pairs(work, v)[:2]]
    signs = {"signs": measure(work, v, both_ways(*(partial(centred_signs, mean=m) for m in means)))}
    return signs | {f"{m} {bits}": compare(work, v, m, bits) for bits in learned for m in LEARNED}


def compare(work: Work, features: Features, method: str, size: int) -> Result:
    """A comparator on these features. What is left to choose is chosen on the validation part, by the mean of both
    directions: `chosen` says it. {"failed": why} where its loss is no longer finite."""
    comparator = COMPARATORS[method]
    if comparator.standardised:
        features = [fit_normaliser(x, rows)(x) for x, rows in zip(features, work.parts.train.values(), strict=False)]
    pairs = training_pairs(work, features)
    try:
        fits = {value: comparator.fit(*pairs, size, value, work.config.seed) for value in comparator.values}
    except FloatingPointError as error:
        return {"failed": str(error)}
    results = {value: measure(work, features, readers) for value, readers in fits.items()}
    value = max(results, key=lambda v: fmean(m or 0.0 for m in results[v]["validation"].values()))
    return results[value] | ({"chosen": f"{comparator.choice} {value:g}"} if comparator.choice else {})


def training_pairs(work: Work, z: Features) -> tuple[Array, Array, Array]:
    """(z_a, z_b, labels) of the training pairs."""
    xp = library(work.device)
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    labels = work.data.modalities["a"].labels
    return tuple(to_device(x, xp) for x in (z[0][pairs[:, 0]], z[1][pairs[:, 1]], labels[pairs[:, 0]]))


def measure(work: Work, z: Features, readers: Readers) -> Result:
    """Both directions on the test part; average precision of the validation part; the bits of one gallery item."""
    xp, bits = library(work.device), []

    def evaluate(direction, part):
        letters, by_letter = direction.split("->"), dict(zip("ab", z, strict=True))
        rows = [getattr(work.parts, part)[m] for m in letters]
        x = [to_device(by_letter[m][r], xp) for m, r in zip(letters, rows, strict=True)]
        sides = [read(x_m) for read, x_m in zip(readers.of[direction], x, strict=True)]
        labels = [to_device(work.data.modalities[m].labels[r], xp) for m, r in zip(letters, rows, strict=True)]
        bits.append(storage_bits(sides[1]))
        return evaluate_direction(sides[0], labels[0], sides[1], labels[1], label_names=work.data.label_names)

    return {
        "directions": {d: evaluate(d, "test") for d in CROSS},
        "validation": {d: evaluate(d, "validation")["map"] for d in CROSS},
        "bits": max(bits),
    } | readers.facts


# ---- the experiment -------------------------------------------------------------------------------------------------


def table2(lab: Lab) -> Experiment:
    """Table 2 at the lab's scale, the same with equal bits, and codes learned in V."""
    configs, results = spaces_of_table1(lab)
    keys = {d: (d, best(validation_curve(results, d))) for d in SIGNS}
    floats = {
        d: [r | {"bits": 32 * d, "chosen": f"λ5 {weight:g}"} for r in results[d, weight]] for d, weight in keys.values()
    }
    rows = rows_of_z(lab)
    in_v = rows_of_v(lab, {d: configs[key] for d, key in keys.items()})
    rows |= {(OURS, d): floats[d] for d in WIDTHS} | {(SIGNS_OF_V, d): in_v[SIGNS_OF_V, d] for d in SIGNS}
    beyond = {(OURS, WIDEST): floats[WIDEST], (SIGNS_OF_V, WIDEST): in_v[SIGNS_OF_V, WIDEST]}
    beyond |= {key: results for key, results in in_v.items() if key[0] != SIGNS_OF_V}
    commands = {(OURS, d): train_command(configs[key][0]) for d, key in keys.items()}
    columns = METRICS | {"bits": "bits per item", "chosen": "chosen on validation"}
    head = ("method", "bits or dimensions", "direction")
    return Experiment(
        "table2",
        {
            "methods": Table(head, columns, lines_of(rows, commands)),
            "in V": Table(head, columns, lines_of(beyond, commands)),
        },
        (against_bits(rows | beyond),),
        judge_claims(
            "table2",
            better={(METRIC_WORDS[m], *k): x for m in METRIC_WORDS for k, x in leads(rows, OURS, 32, m).items()},
            two_per_cent={
                (METRIC_WORDS[m],): leads(rows, OURS, 16, m)[f"over {RECONSTRUCTION}", words("b->a", "tiles")]
                for m in METRIC_WORDS
            },
            equal_bits={(f"{b} bits", *k): x for b in WIDTHS for k, x in leads(rows, SIGNS_OF_V, b, "map").items()},
        ),
        {
            "widest": WIDEST,
            "bits": max(WIDTHS),
            "of_labels": {m: [r["of_labels"] for r in rows[m, max(WIDTHS)] if "of_labels" in r] for m in RIVALS[:2]},
        },
    )


def rows_of_z(lab: Lab) -> Rows:
    """All methods on Z."""
    settings = [lab.config("tiles", s) for s in lab.seeds]
    keys = [(method, size) for method in COMPARATORS for size in SIZES.get(method, WIDTHS)]
    cells = [Cell(codes_of_z, c, {"method": method, "size": size}) for method, size in keys for c in settings]
    results = iter(lab.run(cells, "table2"))
    return {key: [next(results) for _ in settings] for key in keys}


def rows_of_v(lab: Lab, configs: Mapping[int, Sequence[SharedSettings]]) -> Rows:
    """Codes of the spaces with these settings, {d_v: one a seed}: signs at each width, learned codes in the widest."""
    narrow = {d: group for d, group in configs.items() if d != WIDEST}
    results = run_groups(lab, codes_of_v, narrow, "table2, V")
    results |= run_groups(lab, codes_of_v, {WIDEST: configs[WIDEST]}, "table2, V", learned=list(SHORT))

    def rows(d, name):
        return [space if "failed" in space else space[name] for space in results[d]]

    learned = {(m + ON_V, bits): rows(WIDEST, f"{m} {bits}") for m in LEARNED for bits in SHORT}
    return {(SIGNS_OF_V, d): rows(d, "signs") for d in configs} | learned


def lines_of(rows: Rows, commands: Mapping[tuple[str, int], str]) -> tuple[Line, ...]:
    """Both directions of every row; only what `cmir-ref train` trains has a command."""

    def of(method, size, direction):
        results = rows[method, size]
        printed = TABLE2.get(PRINTED_AS.get(method), {}).get(size, {}).get(direction)
        chosen = ", ".join(dict.fromkeys(r["chosen"] for r in results if "chosen" in r)) or "–"
        about, command = (method, str(size or "–"), words(direction, "tiles")), commands.get((method, size), "")
        bits = str(bits_of(results) or "–")
        return table_row(about, results, direction, printed, bits=bits, chosen=chosen, command=command)

    return tuple(of(*key, d) for key in rows for d in CROSS)


def bits_of(results: Sequence[Result]) -> int | None:
    """The bits of one item; None where all seeds failed."""
    return max((r["bits"] for r in results if "directions" in r), default=None)


def leads(rows: Rows, ours: str, size: int, metric: str) -> Numbers:
    """By how many points a row of ours leads over each rival's of as many bits or dimensions."""
    pairs = [(rival, d) for rival in RIVALS for d in CROSS]
    scores = {(r, d): (score(rows[ours, size], d, metric), score(rows[r, size], d, metric)) for r, d in pairs}
    return {(f"over {r}", words(d, "tiles")): lead(*scores[r, d], 100) for r, d in pairs}


def against_bits(rows: Rows) -> Figure:
    """Average precision against the bits of one item, a panel for each direction."""
    panels = {words(d, "tiles"): {} for d in CROSS}
    for (method, _), results in sorted(rows.items(), key=lambda row: bits_of(row[1]) or 0):
        for d in CROSS:
            if bits := bits_of(results):
                panels[words(d, "tiles")].setdefault(method, {})[bits] = score(results, d)
    return curves("table2-bits", panels, x="bits of one item", y="average precision", scale="logit")
