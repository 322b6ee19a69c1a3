"""Fig. 4: what each term of eq. 6 is worth; besides, nearest neighbours in Z, and training everything at once.

The text of section 4.3 and the bars of Fig. 4 disagree in places: both are set beside what is measured.
"""

from collections.abc import Mapping, Sequence
from itertools import product

from ... import runs
from ...backend import generator
from ...cmirnet.published import FIG4, TABLE3
from ...config import SharedSettings, to_toml
from ...data import pairs_of
from ...reports.experiment import Experiment, Figure, Table
from ...reports.replication_plots import bars
from ...reports.scores import Score
from ...retrieval import evaluate_direction
from ...retrieval.translation import through_pairs
from ...training.inputs import fit_normaliser
from ..claims import judge_claims
from ..lab import Lab, Work, kept_epochs, run_groups, shared_space, space
from ..tables import CROSS, METRIC_WORDS, METRICS, TENS, dead_share, score, table_row, train_command, words

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
SPACES = {"Z, directly": "direct", "Z, through the training pairs": "pairs"}

Rows = Mapping[tuple[str, str], Sequence[dict]]  # {(world, term left out, or stages): results over the seeds}


def fig4(lab: Lab) -> Experiment:
    """Fig. 4 at the lab's scale, and the other comparisons of section 4.3."""
    worlds = [w for w in ABLATED if w in lab.worlds]
    configs = {(w, t): [lab.config(w, s, **without(t)) for s in lab.few] for w in worlds for t in TERMS}
    defaults = {w: [lab.config(w, s) for s in lab.few] for w in JOINED}
    rows = run_groups(lab, space, configs, "fig4")
    in_z = run_groups(lab, search_z, {w: configs[w, "nothing"] for w in worlds}, "fig4")
    stages = {"end to end": run_groups(lab, train_end_to_end, defaults, "fig4")}
    stages["two stages"] = run_groups(lab, space, defaults, "fig4")
    commands = {key: train_command(group[0]) for key, group in configs.items()}
    lost = {(w, t): points_lost(rows[w, "nothing"], rows[w, t], "a->b") for w in worlds for t in TERMS}  # as in Fig. 4
    joint = {(w, d): points_lost(stages["two stages"][w], stages["end to end"][w], d) for w in JOINED for d in CROSS}

    def of_term(w, d, term):
        printed = FIG4.get(term, {}).get(w) if d == "a->b" else None
        about, results = (w, words(d, w), term), rows[w, term]
        return table_row(about, results, d, printed, dead=dead_share(results), command=commands[w, term])

    def of_space(w, d, name):
        about = (w, words(d, w), name)
        if name == "V":
            return table_row(about, rows[w, "nothing"], d, command=commands[w, "nothing"])
        printed = "< 15" if name == "Z, directly" else "–"
        return table_row(about, [r[SPACES[name]] for r in in_z[w]], d)._replace(printed=printed)

    def of_stages(w, d, name):
        config, results = defaults[w][0], stages[name][w]
        epochs, on_z = str(config.stage1.epochs), str(config.stage2.epochs)
        if name == "end to end":
            pairs = results[0]["epochs_joint"]
            config, epochs, on_z = config_for_epochs(config, pairs), f"{pairs} of pairs", "–"
        more = {"samples": epochs, "z": on_z, "dead": dead_share(results)}
        return table_row((w, words(d, w), name), results, d, command=train_command(config), **more)

    never = {"dead": "share of V's units that never vary"}
    epochs = {"samples": "epochs on the samples", "z": "epochs on Z"}
    tables = {
        "terms": (of_term, "without", {"p@10": "P@10"} | never, product(worlds, CROSS, TERMS)),
        "spaces": (of_space, "space", {}, product(worlds, CROSS, (*SPACES, "V"))),
        "stages": (of_stages, "training", epochs | never, product(JOINED, CROSS, ("two stages", "end to end"))),
    }
    return Experiment(
        "fig4",
        {
            name: Table(("world", "direction", what), METRICS | more, tuple(row(*key) for key in keys))
            for name, (row, what, more, keys) in tables.items()
        },
        tuple(bars_of_ablation(w, rows) for w in worlds),
        judge_claims(
            "fig4",
            L3={(w, m): x for w in worlds for m, x in lost[w, "L3"].items()},
            L2={(w, m): x for w in worlds for m, x in lost[w, "L2"].items()},
            L5={(w,): dead_share(rows[w, "L5"]).mean for w in worlds},
            z={(w, words(d, w)): score([r["direct"] for r in in_z[w]], d, TENS).mean for w in worlds for d in CROSS},
            joint={(w, words(d, w), m): x for (w, d), points in joint.items() for m, x in points.items()},
        ),
        {"used": worlds, "bars": FIG4, "table3": TABLE3[128]["a->b"]},
        settings={w: to_toml(lab.config(w, 0)) for w in dict.fromkeys((*worlds, *JOINED))},
    )


def without(term: str) -> dict:
    """The settings that leave `term` out."""
    return {"weights": {TERMS[term]: 0.0}} if TERMS[term] else {}


# ---- cells ----------------------------------------------------------------------------------------------------------


def search_z(work: Work) -> dict:
    """Retrieval of the test part in Z as stage 2 reads it: {"direct": {"directions": …}, "pairs": …}."""
    how = work.config.normalise_features
    z = [fit_normaliser(z_m, work.parts.train[m], how)(z_m) for m, z_m in work.z.items()]
    y = [modality.labels for modality in work.data.modalities.values()]
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    results = {"direct": {}, "pairs": {}}
    for i, j, direction in ((0, 1, "a->b"), (1, 0, "b->a")):
        queries, gallery = work.parts.test["ab"[i]], work.parts.test["ab"[j]]
        translated = through_pairs(z[i][queries], z[i][pairs[:, i]], z[j][pairs[:, j]])
        for name, query in (("direct", z[i][queries]), ("pairs", translated)):
            results[name][direction] = evaluate_direction(query, y[i][queries], z[j][gallery], y[j][gallery])
    return {name: {"directions": directions} for name, directions in results.items()}


def train_end_to_end(work: Work) -> dict:
    """`space` with pretrainers and latent network trained at once on eq. 6."""
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    config = config_end_to_end(work.config, len(pairs) / len(work.parts.train["a"]))
    try:
        run = shared_space(work, config, {})
    except FloatingPointError as error:
        return {"failed": str(error), "epochs_joint": config.stage2.epochs}
    result = runs.evaluate(run, device=work.device)
    return result | {"epochs": kept_epochs(run), "epochs_joint": config.stage2.epochs}


def config_end_to_end(config: SharedSettings, pairs_per_sample: float) -> SharedSettings:
    """`config` end to end: stage 1's schedule, as many epochs of pairs as show a sample as often as stage 1 does."""
    return config_for_epochs(config, max(1, round(config.stage1.epochs / pairs_per_sample)))


def config_for_epochs(config: SharedSettings, epochs: int) -> SharedSettings:
    """`config` end to end for `epochs` epochs, at stage 1's rate, batch size, decay and schedule."""
    shared = type(config.stage2).model_fields
    schedule = {name: value for name, value in config.stage1.model_dump().items() if name in shared}
    return type(config)(**config.model_dump() | {"stages": "end-to-end", "stage2": schedule | {"epochs": epochs}})


# ---- numbers and bars -----------------------------------------------------------------------------------------------


def points_lost(whole: Sequence[dict], without: Sequence[dict], direction: str) -> dict[str, float]:
    """{metric: how far the mean over seeds falls, in points of per cent}; failed runs are left out,
    and count 0 where all of them failed.

    Where a gallery holds few relevant items the paper's metric cannot come near 1, and a point of it is worth more: so
    average precision stands beside it.
    """
    means = {m: [score(results, direction, m).mean or 0.0 for results in (whole, without)] for m in METRIC_WORDS}
    return {METRIC_WORDS[m]: 100 * (before - after) for m, (before, after) in means.items()}


def bars_of_ablation(world: str, rows: Rows) -> Figure:
    """The bars of Fig. 4: ours in the paper's metric, ours in average precision, the paper's, and chance."""
    names = {term: "all" if term == "nothing" else f"− {term}" for term in TERMS}
    paper = {names[t]: Score((bar[world] / 100,)) for t, bar in FIG4.items() if world in bar}
    chance = score(rows[world, "nothing"], "a->b", "chance")
    series = {METRIC_WORDS[m]: {names[t]: score(rows[world, t], "a->b", m) for t in TERMS} for m in METRIC_WORDS}
    series |= {"printed": paper} if paper else {}
    series["chance"] = dict.fromkeys(names.values(), chance)
    return bars(f"fig4-{world}", series, y=words("a->b", world), outlines=["printed"], marks="chance")
