"""Fig. 4: what each term of eq. 6 is worth; besides, nearest neighbours in Z, and training everything at once.

The text of section 4.3 and the bars of Fig. 4 disagree in places (remarks): both are set beside what is measured.
"""

from collections.abc import Callable
from statistics import fmean as mean

from ... import runs, two_stages
from ...backend import generator, library
from ...cmirnet import published
from ...config import Config, to_toml
from ...data import pairs_of
from ...reports.plots import COLOURS, new_axes, show_dollars
from ...reports.replication import Figure, Line, Section, Table, Verdict
from ...reports.replication_plots import drawn
from ...retrieval import evaluate_direction
from ...retrieval.translation import through_pairs
from ...training.folder import Folder
from ...training.inputs import fit_normaliser
from ..lab import Cell, Lab, Work, kept_epochs
from ..tables import line, words

TERMS = {  # what is left out: its weight
    "nothing": None,
    "L2": "alignment",
    "L3": "classification",
    "L4": "feature_norm",
    "L5": "reconstruction",
    "R": "regulariser",
}
ABLATED = ("tiles", "places", "real")
JOINED = ("few-tiles", "places")
CROSS = ("a->b", "b->a")
DEAD = 0.5  # "most latents": the share of V's units that never vary
LITTLE = 5.0  # points in the paper's metric that are still "meagre"


def fig4(lab: Lab) -> Section:
    """Fig. 4 at the lab's scale, and the other comparisons of section 4.3."""
    worlds = [w for w in ABLATED if w in lab.worlds]
    ablated = {(w, t): [lab.config(w, s, **without(t)) for s in lab.few] for w in worlds for t in TERMS}
    ours = computed(lab, ablated, lab.spaces)
    inside = computed(lab, {w: ablated[w, "nothing"] for w in worlds}, cells_of(lab, in_z))
    together = {w: [lab.config(w, s) for s in lab.few] for w in JOINED}
    joint = computed(lab, together, cells_of(lab, end_to_end))
    apart = computed(lab, together, lab.spaces)

    rows = {(w, t, d): term_line(w, t, d, ours[w, t], ablated[w, t][0]) for w in worlds for d in CROSS for t in TERMS}
    spaces = {
        (w, d): z_lines(w, d, inside[w], ours[w, "nothing"], ablated[w, "nothing"][0]) for w in worlds for d in CROSS
    }
    stages = {(w, d): stage_lines(w, d, apart[w], joint[w], together[w][0]) for w in JOINED for d in CROSS}
    dead = {w: [share_dead(r) for r in ours[w, "L5"] if "directions" in r] for w in worlds}
    return Section(
        "fig4",
        "Fig. 4: what each term is worth, Z against V, and training end to end",
        "Each term of eq. 6 is left out in turn (weight 0), everything else being the same: "
        + "; ".join(f"{w}: {lab.scale.worlds[w].words}" for w in worlds)
        + f". Seeds: the first {len(lab.few)}. The paper: PAN → MUL on DSRSID and image → speech on UC Merced.",
        tables=(
            Table(
                "One term left out",
                ("world", "direction", "without"),
                tuple(rows.values()),
                ("P@10", "units of V that never vary"),
                "Bars of Fig. 4 as printed: PAN → MUL mAP, image → speech probably P@10 (below).",
            ),
            Table(
                "Nearest neighbours in Z and in V",
                ("world", "direction", "space"),
                tuple(row for group in spaces.values() for row in group),
                note="Z as stage 2 reads it. Directly: distances between the two modalities' features, whose axes have "
                "nothing to do with each other. Through the training pairs: the query's ten nearest training pairs, "
                "the mean of their features in the other modality, and its neighbours.",
            ),
            Table(
                "Two stages, and everything at once",
                ("world", "direction", "training"),
                tuple(row for group in stages.values() for row in group),
                ("epochs on the samples", "epochs on Z", "units of V that never vary"),
                note="End to end: eq. 6 alone, from the samples on, at stage 1's batch size, rate, weight decay, "
                "augmentation and dropout, for as many epochs as show a sample of the first modality as often as "
                "stage 1 does. Where an image has several labels an epoch of pairs shows it once for each, so the "
                "epochs are fewer; speech is then seen more often than in stage 1. Stage 2 on Z costs next to nothing "
                "and is not matched.",
            ),
        ),
        figures=(bars("fig4-terms", {w: {t: rows[w, t, "a->b"] for t in TERMS} for w in worlds}),),
        remarks=(
            alignment_remark(rows, spaces, worlds),
            mixed_remark(rows, worlds),
            *(smallest_remark(rows, w) for w in worlds),
        ),
        verdicts=(
            classifier_verdict(rows, worlds),
            alignment_verdict(rows, worlds),
            decoder_verdict(rows, dead, worlds),
            z_verdict({key: group[0] for key, group in spaces.items()}),
            joint_verdict(stages),
        ),
        settings={w: to_toml(lab.config(w, 0)) for w in dict.fromkeys((*worlds, *JOINED))},
    )


def without(term: str) -> dict:
    """The settings that leave `term` out."""
    return {"weights": {TERMS[term]: 0.0}} if TERMS[term] else {}


def computed(lab: Lab, configs: dict, run: Callable) -> dict:
    """{key: results over the seeds}, all computed in one go."""
    flat = iter(run([c for group in configs.values() for c in group], "fig4"))
    return {key: [next(flat) for _ in group] for key, group in configs.items()}


def cells_of(lab: Lab, function: Callable) -> Callable:
    """`function` of each configuration, as `Lab.spaces` does `space`."""
    return lambda configs, name: lab.run([Cell(function, c) for c in configs], name)


# ---- cells ----------------------------------------------------------------------------------------------------------


def in_z(work: Work) -> dict:
    """Retrieval of the test part in Z as stage 2 reads it: {"direct": {"directions": …}, "pairs": …}."""
    how = work.config.normalise_features
    z = [fit_normaliser(z_m, work.parts.train[i], how)(z_m) for i, z_m in enumerate(work.z)]
    y = [m.labels for m in work.data.modalities[:2]]
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    found = {"direct": {}, "pairs": {}}
    for i, j, direction in ((0, 1, "a->b"), (1, 0, "b->a")):
        queries, gallery = work.parts.test[i], work.parts.test[j]
        translated = through_pairs(z[i][queries], z[i][pairs[:, i]], z[j][pairs[:, j]])
        for name, query in (("direct", z[i][queries]), ("pairs", translated)):
            found[name][direction] = evaluate_direction(query, y[i][queries], z[j][gallery], y[j][gallery])
    return {name: {"directions": directions} for name, directions in found.items()}


def end_to_end(work: Work) -> dict:
    """`space` with pretrainers and latent network trained at once on eq. 6."""
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    config = joined(work.config, len(pairs) / len(work.parts.train[0]))
    folder = Folder.open(None, config, False)
    try:
        run = two_stages.stage2(config, work.data, work.parts, (None, None), folder, library(work.device))
    except FloatingPointError as error:
        return {"failed": str(error), "epochs_joint": config.stage2.epochs}
    found = runs.evaluate(run, device=work.device)
    return found | {"epochs": kept_epochs(run), "epochs_joint": config.stage2.epochs}


def joined(config: Config, pairs_per_sample: float) -> Config:
    """`config` end to end: stage 1's schedule, as many epochs of pairs as show a sample as often as stage 1 does."""
    epochs = max(1, round(config.stage1.epochs / pairs_per_sample))
    return for_epochs(config, epochs)


def for_epochs(config: Config, epochs: int) -> Config:
    """`config` end to end for `epochs` epochs, at stage 1's rate, batch size, decay and schedule."""
    shared = type(config.stage2).model_fields
    schedule = {name: value for name, value in config.stage1.model_dump().items() if name in shared}
    return Config(**config.model_dump() | {"stages": "end-to-end", "stage2": schedule | {"epochs": epochs}})


def share_dead(result: dict) -> float:
    """The share of V's units that never vary, mean of both modalities."""
    return sum(result["dead_units"].values()) / 2


def never_vary(results: list[dict]) -> str:
    """`share_dead`, the mean over the runs that ended."""
    ended = [share_dead(r) for r in results if "directions" in r]
    return f"{mean(ended):.0%}" if ended else "–"


# ---- rows -----------------------------------------------------------------------------------------------------------


def term_line(world: str, term: str, direction: str, results: list[dict], config: Config) -> Line:
    """A row of the first table."""
    alive = [r for r in results if "directions" in r]
    paper = published.FIG4.get(term, {}).get(world) if direction == "a->b" else None
    at_10 = mean(r["directions"][direction]["p@10"] for r in alive) if alive else None
    more = ("–" if at_10 is None else f"{at_10:.3f}", never_vary(results))
    about = (world, words(direction, world), term)
    return line(about, results, direction, paper=paper, config=config, more=more)


def z_lines(world: str, direction: str, inside: list[dict], trained: list[dict], config: Config) -> tuple[Line, ...]:
    """Three rows: Z directly, Z through the training pairs, V."""
    about = (world, words(direction, world))
    z = [
        line((*about, name), [r[key] for r in inside], direction, config=config)._replace(command="", printed=printed)
        for name, key, printed in (("Z, directly", "direct", "< 15"), ("Z, through the training pairs", "pairs", "–"))
    ]
    return (*z, line((*about, "V"), trained, direction, config=config))


def stage_lines(world: str, direction: str, apart: list[dict], joint: list[dict], config: Config) -> tuple[Line, Line]:
    """Two rows: separate stages, and end to end."""
    about, epochs = (world, words(direction, world)), joint[0]["epochs_joint"]
    two = line((*about, "two stages"), apart, direction, config=config)
    one = line((*about, "end to end"), joint, direction, config=for_epochs(config, epochs))
    return (
        two._replace(more=(str(config.stage1.epochs), str(config.stage2.epochs), never_vary(apart))),
        one._replace(more=(f"{epochs} of pairs", "–", never_vary(joint))),
    )


# ---- what follows ---------------------------------------------------------------------------------------------------


METRICS = {"tens": "the paper's metric", "ap": "average precision"}  # of a `Line`


def cost(row: Line, without: Line, metric: str = "tens") -> float:
    """What is lost from `row` to `without`, in points; a run that failed scores 0."""
    return 100 * ((getattr(row, metric).mean or 0.0) - (getattr(without, metric).mean or 0.0))


def costs(rows: dict, worlds: list[str], term: str) -> dict[str, float]:
    """What leaving `term` out costs in the direction that Fig. 4 draws, by world and metric.

    Where a gallery holds few relevant items the paper's metric cannot come near 1, and a point of it is worth more.
    """
    return {
        f"{w} in {name}": cost(rows[w, "nothing", "a->b"], rows[w, term, "a->b"], metric)
        for w in worlds
        for metric, name in METRICS.items()
    }


def agreed(held: dict, on: str = "the world or the metric") -> str:
    """ "reproduced" where it held everywhere, "not reproduced" where nowhere, else on what it depends."""
    if len(set(held.values())) == 1:
        return "reproduced" if all(held.values()) else "not reproduced"
    return f"depends on {on}"


def said(points: dict[str, float]) -> str:
    """Points by world."""
    return ", ".join(f"{w} {p:+.1f}" for w, p in points.items())


def alignment_verdict(rows: dict, worlds: list[str]) -> Verdict:
    """The text's claim on L2; its bar says the opposite."""
    lost = costs(rows, worlds, "L2")
    return Verdict(
        "4.3",
        "removing the latent loss L2 costs little (the text; the bar of Fig. 4 says it costs nearly everything)",
        agreed({w: p < LITTLE for w, p in lost.items()}),
        f"points lost: {said(lost)}; little is below {LITTLE:g}",
    )


def classifier_verdict(rows: dict, worlds: list[str]) -> Verdict:
    """Section 4.3 on L3."""
    lost = costs(rows, worlds, "L3")
    return Verdict(
        "4.3",
        "the classifier loss L3 adds 4–5 points",
        agreed({w: 3.5 <= p < 5.5 for w, p in lost.items()}),
        f"points lost without it: {said(lost)} (rule: from 3.5 to 5.5)",
    )


def decoder_verdict(rows: dict, dead: dict[str, list[float]], worlds: list[str]) -> Verdict:
    """Section 4.3 on L5."""
    lost = costs(rows, worlds, "L5")
    share = {w: sum(d) / len(d) if d else 1.0 for w, d in dead.items()}
    bars_lost = {w: published.FIG4["nothing"][w] - published.FIG4["L5"][w] for w in published.FIG4["L5"]}
    return Verdict(
        "4.3",
        "without the decoder loss L5 most latents go to zero",
        agreed({w: s > DEAD for w, s in share.items()}, "the world"),
        "units of V that never vary without L5: "
        + ", ".join(f"{w} {s:.0%}" for w, s in share.items())
        + f" (rule: above {DEAD:.0%}); points lost: {said(lost)}, in the paper's bars {said(bars_lost)}",
    )


def z_verdict(direct: dict[tuple[str, str], Line]) -> Verdict:
    """Section 4.3 on Z."""
    return Verdict(
        "4.3",
        "nearest neighbours in Z alone: below 15 %",
        agreed({key: (row.tens.mean or 0.0) < 0.15 for key, row in direct.items()}, "the world and the direction"),
        "directly in Z, in the paper's metric: "
        + ", ".join(
            f"{w} {row.about[1]} {row.tens.mean:.3f} (average precision {row.ap.mean:.3f}, chance "
            f"{row.chance.mean:.3f})"
            for (w, _), row in direct.items()
        ),
    )


def joint_verdict(stages: dict[tuple[str, str], tuple[Line, Line]]) -> Verdict:
    """Section 4.3 on training end to end."""
    lost = {
        f"{w} {two.about[1]} in {name}": cost(two, one, metric)
        for (w, _), (two, one) in stages.items()
        for metric, name in METRICS.items()
    }
    return Verdict(
        "4.3",
        "training end to end loses 3–5 points of mAP",
        agreed({key: 2.5 <= p < 5.5 for key, p in lost.items()}, "the world, the direction or the metric"),
        f"points lost: {said(lost)} (rule: from 2.5 to 5.5)",
    )


def alignment_remark(rows: dict, spaces: dict, worlds: list[str]) -> str:
    """Which of the two our numbers support: the text or the bar on L2."""
    texts = []
    for w in worlds:
        row, z = rows[w, "L2", "a->b"], spaces[w, "a->b"][0]
        bar = published.FIG4["L2"].get(w)
        nearer = "the text" if cost(rows[w, "nothing", "a->b"], row) < LITTLE else "neither quite"
        if (row.tens.mean or 0.0) < row.chance.mean + 0.05:
            nearer = "the bar"
        texts.append(
            f"{w}: {row.tens} without L2 and {rows[w, 'nothing', 'a->b'].tens} with it support {nearer}"
            + ("" if bar is None else f" (the bar is {bar:.2f} %, chance {row.chance.mean:.1%}, Z directly {z.tens})")
        )
    return (
        "The text says that removing L2 costs little, the bar of Fig. 4 that hardly anything is left, less than a "
        "random order gives; it may be the figure of Z alone, which the text puts below 15 %. " + "; ".join(texts) + "."
    )


def mixed_remark(rows: dict, worlds: list[str]) -> str:
    """The last bars are mAP for one data set and P@10 for the other."""
    bar, (mean_ap, at_10) = published.FIG4["nothing"]["places"], published.TABLE3[128]["a->b"]
    which = "P@10" if bar == at_10 else "mAP"
    without_l3 = published.FIG4["L3"]["places"]
    ours = ""
    if "places" in worlds:
        everything, less = (rows["places", t, "a->b"] for t in ("nothing", "L3"))
        ours = (
            f" Ours on places: {cost(everything, less):+.1f} points in the paper's metric, "
            f"{100 * (float(everything.more[0]) - float(less.more[0])):+.1f} in P@10."
        )
    return (
        f"The bar of everything for image → speech is {bar:.2f}, which Table 3 has as {which} (mAP {mean_ap:.2f}); "
        f"that for PAN → MUL is mAP. The 4–5 points of the classifier loss are {bar - without_l3:.1f} there if both "
        f"bars are P@10, and {mean_ap - without_l3:.1f} if the other bar is mAP.{ours}"
    )


def smallest_remark(rows: dict, world: str) -> str:
    """Which term matters most and least in a world."""
    lost = {t: sum(cost(rows[world, "nothing", d], rows[world, t, d]) for d in CROSS) / 2 for t in TERMS if TERMS[t]}
    most, least = max(lost, key=lost.get), min(lost, key=lost.get)
    return (
        f"{world}, mean of both directions, points lost in the paper's metric: "
        + ", ".join(f"without {t} {p:+.1f}" for t, p in lost.items())
        + f". Most is lost without {most}, least without {least}."
    )


def bars(name: str, groups: dict[str, dict[str, Line]]) -> Figure:
    """The bars of Fig. 4: ours in the paper's metric, ours in average precision, the paper's, and chance."""
    figure, panels = new_axes(5.2 * len(groups), 3.2, columns=len(groups))
    width = 0.27
    for axes, (world, rows) in zip([panels] if len(groups) == 1 else panels, groups.items(), strict=True):
        places = range(len(rows))
        series = {
            "ours, the paper's metric": [r.tens for r in rows.values()],
            "ours, average precision": [r.ap for r in rows.values()],
        }
        for k, (label, scores) in enumerate(series.items()):
            axes.bar(
                [p + (k - 1) * width for p in places],
                [100 * (s.mean or 0.0) for s in scores],
                width,
                yerr=[100 * (s.sd or 0.0) for s in scores],
                color=COLOURS[k],
                hatch=("", "//")[k],
                edgecolor="white",
                capsize=2,
                label=label,
            )
        paper = {p: float(r.printed) for p, r in zip(places, rows.values(), strict=True) if r.printed != "–"}
        axes.bar(
            [p + width for p in paper],
            paper.values(),
            width,
            color="white",
            edgecolor="black",
            label="printed (Fig. 4)",
        )
        chance = 100 * next(iter(rows.values())).chance.mean
        axes.axhline(chance, color="black", lw=1, ls=":", label="chance")
        axes.set_xticks(places, ["all" if t == "nothing" else f"− {t}" for t in rows])
        axes.set(ylim=(0, 105), ylabel="per cent" if axes is figure.axes[0] else "")
        axes.set_title(f"{world}: {next(iter(rows.values())).about[1]}", fontsize=10, loc="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    show_dollars(figure.legend(handles, labels, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 0.96)))
    return drawn(name, "Retrieval with one term of eq. 6 left out; the paper drew L2, L5, L3 and everything.", figure)
