"""More than two modalities in one space, the paper's future work: PAN, MUL and a simulated radar see the same scenes.

One space for all three (`cmirnet.many_training`) beside one for each two of them, on the same split and the same
features of stage 1. The weight of L2, which pulls the senses of a place together, is chosen for each space by itself.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import permutations, product
from typing import NamedTuple

import numpy as np

from ... import runs
from ...backend import library
from ...cmirnet.many_training import embed_many, init_many_network, many_network, many_task
from ...config import SharedSettings
from ...data.cache import load_radar
from ...reports.experiment import Experiment, Figure, Line, Table
from ...reports.replication_plots import Map, maps
from ...reports.scores import Score
from ...retrieval import evaluate_direction
from ...training.folder import Folder
from ...training.inputs import fit_normaliser
from .. import tables
from ..lab import Cell, Lab, Work, kept_stages
from ..tables import METRICS, SENSES, best, most_possible, score, table_row, train_command, words

WORLD = "few-tiles"
ALL, BARE = "abc", "ab"  # the space of all senses, and the one without radar
GROUPS = ("ab", "abc", "ac", "bc")  # of senses: the spaces
WAYS = tuple(f"{p}->{q}" for p, q in product(ALL, repeat=2))
L2 = (0.02, 0.1)  # the preset's, and five times that; at 0.5 three senses came near chance in a trial
UNSEEN = "cloud"  # a class of which radar sees the ground below
SHOWN = ("a->b", "c->b", "b->c")  # directions of the table by class


class Trained(NamedTuple):
    """All spaces, by the letters of their senses."""

    results: dict[str, list[dict]]  # over the seeds
    weights: dict[str, float]  # of L2
    curves: dict[str, dict[float, Score]]  # what these were chosen by: {weight: score of the first seed}
    stage1: list[dict]  # over the seeds: {sense: {"all" or a class: share of test images it names rightly}}
    command: str  # that trains PAN–MUL


def senses(lab: Lab) -> Experiment:
    """The three-sense space and its rivals, where radar images of the scenes can be had."""
    data = lab.scale.worlds[WORLD]
    if "dataset=scenes" not in data.data:
        return Experiment("senses", {}, facts={"data": data.words})
    trained = train_all(lab)
    three, pairs = trained.results[ALL], (("ab", "c"), ("ac", "b"), ("bc", "a"))
    beside = {"two": "of two senses", "three": "of three", "chance": "chance", "difference": "difference"}
    by_class = {d: words(d, WORLD) for d in SHOWN} | {m: f"stage 1 right: {name}" for m, name in SENSES.items()}
    rows = {
        "three": [table_row((words(d, WORLD),), three, d, most=most_tens(three, d)) for d in WAYS],
        "two and three": [line_of_spaces(trained, d) for d in WAYS if d[0] != d[-1]],
        "classes": [line_of_class(trained, name) for name in class_names(three)],
    }
    return Experiment(
        "senses",
        {
            "three": Table(("direction",), METRICS | {"most": "at most"}, tuple(rows["three"])),
            "two and three": Table(("direction",), beside, tuple(rows["two and three"])),
            "classes": Table(("class",), by_class, tuple(rows["classes"])),
        },
        (matrix({d: score(three, d) for d in WAYS}),),
        facts={
            "data": data.words,
            "d_v": lab.config(WORLD, lab.seeds[0]).d_v,
            "unseen": UNSEEN,
            "gains": {(name_group(p), SENSES[third]): gain(trained, p, directions_across(p)) for p, third in pairs},
            "choices": {name_group(g): (trained.weights[g], curve) for g, curve in trained.curves.items()},
        },
    )


def name_group(group: str) -> str:
    """`ac` to "PAN–radar"."""
    return "–".join(SENSES[m] for m in group)


def directions_across(group: str) -> list[str]:
    """The directions from one sense of `group` to another."""
    return [f"{p}->{q}" for p, q in permutations(group, 2)]


# ---- what is trained ------------------------------------------------------------------------------------------------


def train_all(lab: Lab) -> Trained:
    """Every space under every weight of L2 for the first seed, under the chosen ones for the others."""
    first, *others = lab.few

    def cell(seed: int, weights: dict[str, Sequence[float]]) -> Cell:
        return Cell(train_spaces, lab.config(WORLD, seed), {"weights": weights})

    tries = lab.run([cell(first, {g: list(L2) for g in GROUPS})], "senses")
    spaces = tries[0]["spaces"]
    curves = {g: {w: tables.validation_score([spaces[g][f"{w:g}"]], directions_across(g)) for w in L2} for g in GROUPS}
    weights = {group: best(curve) for group, curve in curves.items()}
    seeds = tries + lab.run([cell(s, {g: [weights[g]] for g in GROUPS}) for s in others], "senses")
    results = {g: [r["spaces"][g][f"{weights[g]:g}"] for r in seeds] for g in GROUPS}
    command = train_command(lab.config(WORLD, first, weights={"alignment": weights[BARE]}))
    return Trained(results, weights, curves, [r["stage1"] for r in seeds], command)


def train_spaces(work: Work, weights: Mapping[str, Sequence[float]]) -> dict:
    """{"stage1": see `Trained`, "spaces": {group: {weight of L2: result}}}, the radar's stage 1 among it.

    `weights` has those of each group of senses; a result is that of `one_space`.
    """
    made = work.made | radar_features(work)
    train, test, how = work.parts.train["a"], work.parts.test["a"], work.config.normalise_features
    z = {m: fit_normaliser(made[f"z.{m}"], train, how)(made[f"z.{m}"]) for m in SENSES}
    y, names = work.data.modalities["a"].labels, work.data.label_names
    spaces = {
        group: {f"{w:g}": one_space(tables.with_weight(work.config, alignment=w), group, z, y, work) for w in some}
        for group, some in weights.items()
    }
    right = {m: shares_right(made[f"logits.{m}"][test], y[test], names) for m in SENSES}
    return {"stage1": right, "spaces": spaces}


def radar_features(work: Work) -> dict[str, np.ndarray]:
    """What stage 1 of PAN makes of the radar images, of all places: "z.c", "logits.c"."""
    radar = load_radar(len(work.data.modalities["a"].labels), seed=work.config.scenes_seed)
    seen = work.data._replace(modalities=work.data.modalities | {"a": radar})
    stage, folder = kept_stages(work.config)[0], Folder.open(None, work.config, False)
    made = runs.train_stage(stage, work.config, seen, work.parts, {}, folder, library(work.device))
    return {"z.c": made["z.a"], "logits.c": made["logits.a"]}


def one_space(config: SharedSettings, group: str, z: Mapping[str, np.ndarray], y: np.ndarray, work: Work) -> dict:
    """Stage 2 of the senses `group`: metrics of all directions between test images, as of `runs.evaluate`, and the
    average precision of the validation part; {"failed": why} where the loss is no longer finite."""
    features, xp, classes = tuple(z[m] for m in group), library(work.device), len(work.data.label_names)
    train, validation, test = (part["a"] for part in work.parts)
    network, folder = many_network(config, y), Folder.open(None, config, False)
    task = many_task(config, network, features, y, train, validation, xp)
    init = partial(init_many_network, config, network, tuple(z_m.shape[1] for z_m in features), classes)
    try:
        params, _ = folder.fit(task, init, xp, None)
    except FloatingPointError as error:
        return {"failed": str(error)}
    v = dict(zip(group, embed_many(network, params, features), strict=True))

    def evaluate(direction: str, rows: np.ndarray) -> dict:
        p, q = direction.split("->")
        itself = np.arange(len(rows)) if p == q else None
        return evaluate_direction(
            *(v[p][rows], y[rows], v[q][rows], y[rows]),
            exclude=itself,
            distance=config.distance,
            label_names=work.data.label_names,
        )

    return {
        "directions": {f"{p}->{q}": evaluate(f"{p}->{q}", test) for p, q in product(group, repeat=2)},
        "validation": {d: evaluate(d, validation)["map"] for d in directions_across(group)},
    }


def shares_right(logits: np.ndarray, y: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """The share of samples whose highest logit is the right one: of "all", and of each class."""
    hit = logits.argmax(axis=1) == y
    return {"all": float(hit.mean())} | {names[c]: float(hit[y == c].mean()) for c in np.unique(y)}


# ---- rows -----------------------------------------------------------------------------------------------------------


def most_tens(results: Sequence[dict], direction: str) -> Score:
    """What the mean precision at 10 … 50 can reach: a query of class c has the class's other items, or its own too
    where another sense is searched."""
    itself = direction[0] == direction[-1]

    def of(result):
        if "directions" not in result:
            return None
        sizes = [c["queries"] for c in result["directions"][direction]["per_class"].values()]
        return most_possible(np.repeat(sizes, sizes) - itself, sum(sizes) - itself)

    return Score(tuple(map(of, results)))


def gain(trained: Trained, pair: str, directions: Sequence[str]) -> Score:
    """What the third sense adds to the average precision of some directions within a pair, over the seeds."""
    three, two = trained.results[ALL], trained.results[pair]
    return tables.average(tables.lead(score(three, d), score(two, d)) for d in directions)


def line_of_spaces(trained: Trained, direction: str) -> Line:
    """A direction in the space of its two senses and in that of all."""
    pair = "".join(sorted(direction.split("->")))
    two, three = trained.results[pair], trained.results[ALL]
    scores = {
        "two": score(two, direction),
        "three": score(three, direction),
        "chance": score(three, direction, "chance"),
        "difference": gain(trained, pair, [direction]),
    }
    return Line((words(direction, WORLD),), scores, command=trained.command if pair == BARE else "")


def class_names(results: Sequence[dict]) -> list[str]:
    """The classes that queries have, in the order of their names."""
    return sorted({name for r in results if "directions" in r for name in r["directions"]["a->b"]["per_class"]})


def class_score(results: Sequence[dict], direction: str, name: str) -> Score:
    """Average precision of the queries of a class, over the seeds."""
    classes = [r["directions"][direction]["per_class"] if "directions" in r else {} for r in results]
    return Score(tuple(one[name]["map"] if name in one else None for one in classes))


def line_of_class(trained: Trained, name: str) -> Line:
    """A class: average precision of its queries in the directions `SHOWN`, and what stage 1 makes of it."""
    scores = {d: class_score(trained.results[ALL], d, name) for d in SHOWN}
    return Line((name,), scores | {m: Score(tuple(s[m].get(name) for s in trained.stage1)) for m in SENSES})


def matrix(scores: Mapping[str, Score]) -> Figure:
    """The average precisions of all directions as a map with the figures in it, the first sense on top."""
    rows = [[scores[f"{p}->{q}"] for q in SENSES] for p in reversed(SENSES)]
    texts = [[str(one).replace(" ± ", "\n± ") for one in row] for row in rows]
    panel = Map("", [[one.mean for one in row] for row in rows], texts)
    names = list(SENSES.values())
    return maps("senses-matrix", [[panel]], x=("gallery", names), y=("query", names[::-1]))
