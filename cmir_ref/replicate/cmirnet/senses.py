"""More than two modalities in one space, the paper's future work: PAN, MUL and a simulated radar see the same scenes.

One space for all three (`cmirnet.many_training`) beside one for each two of them, on the same split and the same
features of stage 1. The weight of L2, which pulls the senses of a place together, is chosen for each space by itself.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import permutations, product
from statistics import fmean as mean
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ... import two_stages
from ...backend import library
from ...cmirnet.many_training import embed_many, init_many_network, many_network, many_task
from ...config import Config
from ...data.cache import load_radar
from ...nets.head import PretrainerOutput
from ...reports.plots import new_axes
from ...reports.replication import Figure, Line, Score, Section, Table
from ...reports.replication_plots import drawn
from ...retrieval import evaluate_direction
from ...training.folder import Folder
from ...training.inputs import fit_normaliser
from ..lab import Cell, Lab, Work, space
from ..tables import score, train_command, validated

WORLD = "few-tiles"
SENSES = {"a": "PAN", "b": "MUL", "c": "radar"}
ALL, BARE = "abc", "ab"  # the space of all senses, and the one without radar
WITH_RADAR = ("abc", "ac", "bc")  # spaces that `lab.space` does not know
DIRECTIONS = tuple(f"{p}->{q}" for p, q in product(ALL, repeat=2))
L2 = (0.02, 0.1)  # the preset's, and five times that; at 0.5 three senses came near chance in a trial
UNSEEN = "cloud"  # a class of which radar sees the ground below
SHOWN = ("a->b", "c->b", "b->c")  # directions of the table by class
TITLE = "More than two modalities: PAN, MUL and radar in one space"
LEAD = "The paper names more than two modalities as future work and prints no figures."


class Trained(NamedTuple):
    """All spaces, by the letters of their senses."""

    results: dict[str, list[dict]]  # over the seeds
    chosen: dict[str, float]  # the weight of L2
    curve: dict[str, dict[float, Score]]  # what it was chosen by: {weight: score of the first seed}
    stage1: list[dict]  # over the seeds: {sense: {"all" or a class: share of test images it names rightly}}
    command: str  # that trains PAN–MUL


def senses(lab: Lab) -> Section:
    """The three-sense space and its rivals, where radar images of the scenes can be had."""
    data = lab.scale.worlds[WORLD]
    if "dataset=scenes" not in data.data:
        return Section("senses", TITLE, f"{LEAD} Not run: there are no radar images of these scenes ({data.words}).")
    trained = train_all(lab)
    three = trained.results[ALL]
    places = lab.config(WORLD, lab.seeds[0])
    return Section(
        "senses",
        TITLE,
        f"{LEAD} Here: {data.words}, and what a simulated radar (64 × 64, one band, speckled) sees of the same places; "
        f"one shared space, d_v = {places.d_v}, eq. 6 of each two senses added up. Seeds: the first {len(lab.few)}.",
        tables=(
            Table(
                "All directions in the space of three senses",
                ("direction",),
                tuple(
                    Line((words(d),), "–", *(score(three, d, m) for m in METRICS), (bound(three, d),))
                    for d in DIRECTIONS
                ),
                ("at most",),
                "At most: what the mean precision at 10 … 50 can reach, for the classes are small. A query never finds "
                "itself, but its place as another sense sees it.",
            ),
            Table(
                "Spaces of two senses beside the space of three",
                ("direction",),
                tuple(beside(trained, d) for d in DIRECTIONS if d[0] != d[-1]),
                ("difference",),
                "Average precision. Spaces of two: PAN and MUL, PAN and radar, MUL and radar, each with the weight of "
                "L2 that suits it.",
                ("of two senses", "of three", "chance"),
            ),
            Table(
                "Queries of each class in the space of three senses",
                ("class",),
                tuple(by_class(trained, name) for name in classes(three)),
                tuple(f"stage 1 right: {name}" for name in SENSES.values()),
                f"Average precision. A radar sees through clouds: what it records of a scene of class “{UNSEEN}” is "
                "the ground below. Stage 1 right: the share of test images of the class that a sense's pretrainer "
                "names rightly.",
                tuple(words(d) for d in SHOWN),
            ),
        ),
        figures=(matrix({d: score(three, d) for d in DIRECTIONS}),),
        remarks=tuple(
            text
            for text in (
                alive(three),
                *(cost(trained, pair) for pair in ("ab", "ac", "bc")),
                clouds(three, trained.stage1),
                choice(trained),
            )
            if text
        ),
    )


METRICS = ("mean_precision_at_tens", "map", "chance")


def words(direction: str) -> str:
    """`a->c` to "PAN → radar"."""
    return " → ".join(SENSES[m] for m in direction.split("->"))


def named(group: str) -> str:
    """`ac` to "PAN–radar"."""
    return "–".join(SENSES[m] for m in group)


def across(group: str) -> list[str]:
    """The directions from one sense of `group` to another."""
    return [f"{p}->{q}" for p, q in permutations(group, 2)]


# ---- what is trained ------------------------------------------------------------------------------------------------


def train_all(lab: Lab) -> Trained:
    """Every space under every weight of L2 for the first seed, under the chosen ones for the others."""
    first, *others = lab.few

    def two(seed: int, weight: float) -> Cell:
        return Cell(space, lab.config(WORLD, seed, weights={"alignment": weight}))

    def rest(seed: int, weights: dict[str, Sequence[float]]) -> Cell:
        return Cell(radar_spaces, lab.config(WORLD, seed), {"weights": weights})

    tries = [rest(first, {group: list(L2) for group in WITH_RADAR}), *(two(first, w) for w in L2)]
    radar, *bare = lab.run(tries, "senses")
    tried = {BARE: dict(zip(L2, bare, strict=True))}
    tried |= {group: {w: radar["spaces"][group][f"{w:g}"] for w in L2} for group in WITH_RADAR}
    curve = {g: {w: validated([found], across(g)) for w, found in own.items()} for g, own in tried.items()}
    chosen = {
        group: max(own, key=lambda w, own=own: own[w].mean) for group, own in curve.items()
    }  # of equals the first
    cells = [rest(s, {group: [chosen[group]] for group in WITH_RADAR}) for s in others]
    found = lab.run(cells + [two(s, chosen[BARE]) for s in others], "senses")
    radars, bares = found[: len(others)], found[len(others) :]
    results = {group: [tried[group][chosen[group]]] for group in tried}
    results[BARE] += bares
    for group in WITH_RADAR:
        results[group] += [r["spaces"][group][f"{chosen[group]:g}"] for r in radars]
    command = train_command(two(first, chosen[BARE]).config)
    return Trained(results, chosen, curve, [r["stage1"] for r in (radar, *radars)], command)


def radar_spaces(work: Work, weights: Mapping[str, Sequence[float]]) -> dict:
    """{"stage1": see `Trained`, "spaces": {group: {weight of L2: result}}}, the radar's stage 1 among it.

    `weights` has those of each group of senses; a result is that of `one_space`.
    """
    outputs = dict(zip(SENSES, (*work.outputs, radar_outputs(work)), strict=True))
    train, test, how = work.parts.train[0], work.parts.test[0], work.config.normalise_features
    z = {m: fit_normaliser(o.z, train, how)(o.z) for m, o in outputs.items()}
    y, names = work.data.modalities[0].labels, work.data.label_names
    found = {
        group: {f"{w:g}": one_space(weighted(work.config, w), group, z, y, work) for w in own}
        for group, own in weights.items()
    }
    return {"stage1": {m: right(o.logits[test], y[test], names) for m, o in outputs.items()}, "spaces": found}


def weighted(config: Config, l2: float) -> Config:
    """`config` with this weight of L2."""
    return Config(**config.model_dump() | {"weights": config.weights.model_dump() | {"alignment": l2}})


def radar_outputs(work: Work) -> PretrainerOutput:
    """Stage 1 of the radar images under the settings of the others: its outputs for all places."""
    radar = load_radar(len(work.data.modalities[0].labels), seed=work.config.scenes_seed)
    seen = work.data._replace(modalities=(radar, work.data.modalities[1]))
    folder = Folder.open(None, work.config, False)
    return two_stages.stage1(work.config, seen, work.parts, 0, folder, library(work.device))


@threadpool_limits.wrap(limits=1, user_api="blas")
def one_space(config: Config, group: str, z: Mapping[str, np.ndarray], y: np.ndarray, work: Work) -> dict:
    """Stage 2 of the senses `group`: metrics of all directions between test images, as of `runs.evaluate`, and the
    average precision of the validation part; {"failed": why} where the loss is no longer finite."""
    own, xp, classes = tuple(z[m] for m in group), library(work.device), len(work.data.label_names)
    train, validation, test = (part[0] for part in work.parts)
    network, folder = many_network(config, y), Folder.open(None, config, False)
    task = many_task(config, network, own, y, train, validation, xp)
    init = partial(init_many_network, config, network, tuple(z_m.shape[1] for z_m in own), classes)
    try:
        params, _ = folder.fit(task, init, xp, None)
    except FloatingPointError as error:
        return {"failed": str(error)}
    v = dict(zip(group, embed_many(network, params, own), strict=True))

    def measured(direction: str, rows: np.ndarray) -> dict:
        p, q = direction.split("->")
        itself = np.arange(len(rows)) if p == q else None
        return evaluate_direction(
            *(v[p][rows], y[rows], v[q][rows], y[rows]),
            exclude=itself,
            distance=config.distance,
            label_names=work.data.label_names,
        )

    return {
        "directions": {f"{p}->{q}": measured(f"{p}->{q}", test) for p, q in product(group, repeat=2)},
        "validation": {d: measured(d, validation)["map"] for d in across(group)},
    }


def right(logits: np.ndarray, y: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """The share of samples whose highest logit is the right one: of "all", and of each class."""
    hit = logits.argmax(axis=1) == y
    return {"all": float(hit.mean())} | {names[c]: float(hit[y == c].mean()) for c in np.unique(y)}


# ---- what is said ---------------------------------------------------------------------------------------------------


def bound(results: Sequence[dict], direction: str) -> str:
    """What the mean precision at 10 … 50 can reach, in the first seed that has a space: "0.713"."""
    found = next((r["directions"][direction] for r in results if "directions" in r), None)
    if found is None:
        return "–"
    sizes = [c["queries"] for c in found["per_class"].values()]
    own = direction[0] == direction[-1]  # the query itself is not in the gallery
    items = sum(sizes) - own
    most = [n * mean(min(1.0, (n - own) / min(k, items)) for k in (10, 20, 30, 40, 50)) for n in sizes]
    return f"{sum(most) / sum(sizes):.3f}"


def gained(trained: Trained, pair: str, directions: Sequence[str]) -> Score:
    """What the third sense adds to the average precision of some directions within a pair, over the seeds."""
    both = zip(trained.results[ALL], trained.results[pair], strict=True)
    return Score(
        tuple(
            mean(three["directions"][d]["map"] - two["directions"][d]["map"] for d in directions)
            if "directions" in three and "directions" in two
            else None
            for three, two in both
        )
    )


def beside(trained: Trained, direction: str) -> Line:
    """A direction in the space of its two senses and in that of all."""
    pair = "".join(sorted(direction.split("->")))
    two, three = (trained.results[group] for group in (pair, ALL))
    scores = score(two, direction), score(three, direction), score(three, direction, "chance")
    more = (signed(gained(trained, pair, [direction])),)
    return Line((words(direction),), "–", *scores, more, trained.command if pair == BARE else "")


def signed(difference: Score) -> str:
    """ "+0.012 ± 0.003"; a dash where there is none."""
    text = str(difference).replace("-", "−")
    return text if difference.mean is None or text.startswith("−") else f"+{text}"


def classes(results: Sequence[dict]) -> list[str]:
    """The classes that queries have, in the order of their names."""
    return sorted({name for r in results if "directions" in r for name in r["directions"]["a->b"]["per_class"]})


def class_score(results: Sequence[dict], direction: str, name: str) -> Score:
    """Average precision of the queries of a class, over the seeds."""
    own = [r["directions"][direction]["per_class"] if "directions" in r else {} for r in results]
    return Score(tuple(classes[name]["map"] if name in classes else None for classes in own))


def by_class(trained: Trained, name: str) -> Line:
    """A class: average precision of its queries in the directions `SHOWN`, and what stage 1 makes of it."""
    named = tuple(str(Score(tuple(s[m].get(name) for s in trained.stage1))) for m in SENSES)
    return Line((name,), "–", *(class_score(trained.results[ALL], d, name) for d in SHOWN), named)


def alive(results: Sequence[dict]) -> str:
    """How the nine directions compare with each other and with chance."""
    found = {d: score(results, d).mean for d in DIRECTIONS}
    if None in found.values():
        return "No space of three senses came to an end."
    worst, best = min(found, key=found.get), max(found, key=found.get)
    cross, uni = (mean(v for d, v in found.items() if (d[0] == d[-1]) == same) for same in (False, True))
    above = sum(found[d] > 2 * score(results, d, "chance").mean for d in DIRECTIONS)
    return (
        f"In the space of three senses {above} of 9 directions reach more than twice their chance. They range from "
        f"{found[worst]:.3f} ({words(worst)}) to {found[best]:.3f} ({words(best)}); mean of the cross-modal directions "
        f"{cross:.3f}, of the uni-modal ones {uni:.3f}."
    )


def cost(trained: Trained, pair: str) -> str:
    """What the third sense costs or gives two others; with several seeds against what they scatter."""
    third = next(SENSES[m] for m in ALL if m not in pair)
    difference = gained(trained, pair, across(pair))
    if difference.mean is None:
        return f"{named(pair)} with and without {third}: no run came to an end."
    each = ", ".join(
        f"{words(d)} {score(trained.results[pair], d)} of two, {score(trained.results[ALL], d)} of three"
        for d in across(pair)
    )
    said = "gives" if difference.mean > 0 else "costs"
    if difference.sd is None:
        scatter = "one seed, so its scatter is not known"
    elif abs(difference.mean) > difference.sd:
        scatter = f"more than its standard deviation over seeds, {difference.sd:.3f}"
    else:
        scatter = f"no more than its standard deviation over seeds, {difference.sd:.3f}"
    return (
        f"A third sense, {third}, {said} {named(pair)} {abs(difference.mean):.3f} of average precision ({scatter}): "
        f"{each}."
    )


def clouds(results: Sequence[dict], stage1: Sequence[dict]) -> str:
    """What radar finds of the class that it cannot see, beside the others; "" where there is none."""
    names = classes(results)
    if UNSEEN not in names or len(names) < 2:
        return ""
    pairs = {}
    for d in SHOWN:
        rest = [class_score(results, d, name).mean for name in names if name != UNSEEN]
        pairs[d] = class_score(results, d, UNSEEN).mean, mean(rest)
    shares = {m: mean(s[m][UNSEEN] for s in stage1) for m in SENSES}
    whole = {m: mean(s[m]["all"] for s in stage1) for m in SENSES}
    lower = all(own < rest for d, (own, rest) in pairs.items() if "c" in d)
    figures = ", ".join(f"{words(d)} {own:.3f} against {rest:.3f}" for d, (own, rest) in pairs.items())
    named_rightly = ", ".join(f"{SENSES[m]} {shares[m]:.2f} ({whole[m]:.2f} of all classes)" for m in SENSES)
    return (
        f"A radar sees through clouds. Average precision of queries of class “{UNSEEN}” against the mean of the other "
        f"classes: {figures}. Share of its test images that stage 1 names rightly: {named_rightly}. "
        + (
            "So the ceiling is lower for radar."
            if lower
            else "With radar this class is not the worse one in both directions."
        )
    )


def choice(trained: Trained) -> str:
    """How the weights of L2 were chosen."""
    each = "; ".join(
        f"{named(group)} "
        + ", ".join(f"{w:g}: {s.mean:.3f}" for w, s in own.items())
        + f", so {trained.chosen[group]:g}"
        for group, own in trained.curve.items()
    )
    return (
        "The weight of L2 was chosen for each space on the validation part of the first seed, by the mean average "
        f"precision of its cross-modal directions: {each}. All other settings are those of the world's default reading."
    )


def matrix(found: Mapping[str, Score]) -> Figure:
    """The average precisions of all directions, as shades of grey with the figures in them."""
    figure, axes = new_axes(3.6, 3.2)
    names = list(SENSES.values())
    means = np.array([[found[f"{p}->{q}"].mean or 0.0 for q in SENSES] for p in SENSES])
    axes.imshow(means, cmap="Greys", vmin=0, vmax=1)
    for (i, p), (j, q) in product(enumerate(SENSES), repeat=2):
        one = found[f"{p}->{q}"]
        text = "–" if one.mean is None else f"{one.mean:.3f}" + ("" if one.sd is None else f"\n± {one.sd:.3f}")
        axes.text(j, i, text, ha="center", va="center", color="white" if means[i, j] > 0.5 else "black")
    axes.set(xlabel="gallery", ylabel="query")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.spines[["top", "right"]].set_visible(True)
    return drawn("senses-matrix", "Average precision of the nine directions in the space of three senses.", figure)
