"""The talk's table: photo ↔ sketch without attention, and with each reconstruction, by every way to choose the sketch.

Stage 1, first weights, pairs, λ and epochs are the same in all rows of a seed: what differs is the attention. `matched`
is a label leak: it is here to be seen, not to be believed.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

from ...attention.inference import BY_CONTEXT
from ...attention.published import TALK
from ...attention.system import shares_of
from ...backend import library
from ...config import SharedSettings, load_config
from ...ops.softmax_cross_entropy import softmax_cross_entropy
from ...records import Items
from ...reports.experiment import Experiment, Line, Table
from ...reports.scores import Score
from ...retrieval import evaluate_direction
from ...retrieval.relevant_items import positions
from ...runs import evaluate_run_direction
from ..claims import judge_claims
from ..lab import Lab, Work, run_groups, shared_space
from ..tables import average, lead, score

DIRECTIONS_HERE = {"b->a": "sketch → photo", "a->b": "photo → sketch"}
DISTANCES = ("euclidean", "cosine")
INFERENCES = ("mean", "pair", "random", "matched")
FORMS = {"none": "CMIR-NET", "self": "self-gate", "channel": "R1", "spatial": "R2", "mask": "R3"}
# of maps there is no mean over views: all forms read one, and lose features as they did when the table was measured
ONE_WAY = ("stage1.average_views=false", "stage2.feature_dropout=0.5")
WORLDS_HERE = {
    "small": {
        "drawn-places": (
            "630 simulated photos, the world's drawings",
            ("dataset=scenes", "scenes=630", "stage1.epochs=20", "stage1.batch_size=32"),
        ),
        "drawn": ("UC Merced's photos of 14 classes, the world's drawings", ("dataset=ucmerced",)),
        "canny": (
            "UC Merced's photos of 14 classes, Canny's edges of them",
            ("dataset=ucmerced", "sketches=canny", "stage1.redraw=yes"),
        ),
    },
}
WORLDS_HERE["full"] = {name: WORLDS_HERE["small"][name] for name in ("drawn", "canny")}


def attended(lab: Lab) -> Experiment:
    """The talk's table at the lab's scale; the worlds of real photos need a folder with UC Merced."""
    known = WORLDS_HERE.get(lab.scale.name, WORLDS_HERE["small"])
    worlds = [w for w, (_, data) in known.items() if "dataset=ucmerced" not in data or lab.root]
    configs = {(w, f): [config_of(lab, w, s, known[w][1], f) for s in lab.seeds] for w in worlds for f in FORMS}
    cells = run_groups(lab, search_every_way, configs, "attended")
    rows = {(w, f, *way): ways(cells[w, f], *way) for w, f in configs for way in ways_of(f)}
    head = ("attention", "sketch", "distance", "direction")
    columns = {"map": "average precision", "p@10": "P@10", "lead": "points over none", "chance": "chance"}
    by_class = {words: words for words in DIRECTIONS_HERE.values()}
    return Experiment(
        "attended",
        {w: Table(head, columns, tuple(rows_of_world(rows, w))) for w in worlds}
        | {
            f"{w}-classes": Table(("class",), by_class, tuple(class_lines(rows[w, "channel", "mean", "cosine"])))
            for w in worlds
        },
        (),
        judge_claims("attended", gain=gains(rows, worlds, "pair"), mean=gains(rows, worlds, "mean")),
        {"words": {w: known[w][0] for w in worlds}, "shares": {w: shares(cells, w) for w in worlds}},
    )


def config_of(lab: Lab, world: str, seed: int, data: tuple[str, ...], form: str) -> SharedSettings:
    """The settings of a form of attention in a world of this experiment."""
    config = load_config("photo-sketch", (*data, *ONE_WAY), seed=seed, attention=form)
    lab.asked.setdefault(world, []).append(config)
    return config


def ways_of(form: str) -> list[tuple[str, str]]:
    """(which sketch attends, distance) of a form of attention."""
    return list(product(INFERENCES if form in BY_CONTEXT else INFERENCES[:1], DISTANCES))


def search_every_way(work: Work) -> dict:
    """Stage 2 once, and what it finds by every sketch and distance; and what the posteriors of stage 1 find alone."""
    run, xp = shared_space(work), library(work.device)
    found = {}
    for how, distance in ways_of(work.config.attention):
        seen = run._replace(config=run.config.model_copy(update={"attended_inference": how, "distance": distance}))
        found[f"{how}/{distance}"] = {d: evaluate_run_direction(seen, d, "test", "test", xp) for d in DIRECTIONS_HERE}
    return {"ways": found, "posteriors": posteriors(work), "shares": shares_of(run)}


def posteriors(work: Work) -> dict[str, dict]:
    """Retrieval without stage 2: nearest by the Euclidean distance of the classifiers' posteriors."""
    rows, found = work.parts.test, {}
    y = {m: work.data.modalities[m].labels[rows[m]] for m in rows}
    p = {m: softmax_cross_entropy(work.made[f"logits.{m}"][rows[m]], y[m])[1].p for m in y}
    for d in DIRECTIONS_HERE:
        a, b = d[0], d[-1]
        own = positions(Items({a: rows[a]}, {}), Items({b: rows[b]}, {}), work.data.apart)
        found[d] = evaluate_direction(p[a], y[a], p[b], y[b], exclude=own)
    return found


def ways(results: list[dict], how: str, distance: str) -> list[dict]:
    """The results by one sketch and distance, as `tables.score` reads them."""
    return [{"directions": r["ways"][f"{how}/{distance}"]} if "ways" in r else r for r in results]


def rows_of_world(rows: Mapping[tuple, list[dict]], world: str) -> list[Line]:
    """The rows of a world: every form, sketch, distance and direction, with the lead over no attention."""
    lines = []
    for (w, form, how, distance), results in rows.items():
        if w != world:
            continue
        for d, words in DIRECTIONS_HERE.items():
            scores = {m: score(results, d, m) for m in ("map", "p@10", "chance")}
            scores["lead"] = lead(scores["map"], score(rows[w, "none", "mean", distance], d), 100)
            printed = {"none": "CMIR-NET", "channel": "attention"}.get(form) if how in ("mean", "pair") else None
            text = "–" if printed is None else " / ".join(f"{x:.1f}" for x in TALK[printed][d])
            sketch = "matched (label leak)" if how == "matched" else how if form in BY_CONTEXT else "–"
            lines.append(Line((FORMS[form], sketch, distance, words), scores, text))
    return lines


def class_lines(results: list[dict]) -> list[Line]:
    """P@50 by class in both directions: the talk's bar chart."""
    there = [r["directions"] for r in results if "directions" in r]
    names = sorted({name for r in there for d in DIRECTIONS_HERE for name in r[d]["per_class"]})

    def of(name: str, d: str) -> Score:
        return Score(tuple(r[d]["per_class"].get(name, {}).get("p@50") for r in there))

    return [Line((name,), {words: of(name, d) for d, words in DIRECTIONS_HERE.items()}) for name in names]


def gains(rows: Mapping[tuple, list[dict]], worlds: list[str], how: str) -> dict[tuple[str, ...], Score]:
    """Points of average precision over no attention, by world, form, distance and direction."""
    return {
        (w, FORMS[f], distance, words): lead(
            score(rows[w, f, how, distance], d), score(rows[w, "none", "mean", distance], d), 100
        )
        for w, f, distance in product(worlds, BY_CONTEXT, DISTANCES)
        for d, words in DIRECTIONS_HERE.items()
    }


def shares(cells: Mapping[tuple, list[dict]], world: str) -> dict[str, dict[str, Any]]:
    """What the text says beside the table: whose the variance of V_a is, and what the posteriors find."""
    found: dict[str, dict[str, Any]] = {}
    for form in BY_CONTEXT:
        some = [r["shares"] for r in cells[world, form] if "shares" in r]
        found[FORMS[form]] = {name: str(Score(tuple(s[name] for s in some))) for name in ("sketch", "both")}
    alone = [{"directions": r["posteriors"]} if "posteriors" in r else r for r in cells[world, "none"]]
    found["posteriors"] = {words: str(average([score(alone, d)])) for d, words in DIRECTIONS_HERE.items()}
    return found
