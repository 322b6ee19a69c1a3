"""A phase diagram of the collapse: α, λ5, depth and reading of eq. 7, and what theory says of its boundary at α = 0.

Theory (`phase_theory`) is about linear encoders, descent in small steps, and heads (classifier and decoders) that stand
still. Stage 2 trains the heads too, by Adam: where its boundary lies is measured, and set beside.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ...backend import generator
from ...cmirnet import published
from ...cmirnet.end_to_end import under
from ...cmirnet.stages import init_stage2
from ...config import Config, to_toml
from ...data import pairs_of
from ...reports.plots import COLOURS, new_axes, show_dollars
from ...reports.replication import Figure, Line, Score, Section, Table, Verdict
from ...reports.replication_plots import drawn
from ...retrieval import collapse, evaluate_direction
from ...runs import Run, stage2_of
from ...training.inputs import fit_normaliser
from ..lab import Cell, Lab, Work, shared_space
from ..tables import WORDS, printed, train_command
from .phase_theory import certain_from, minimum_from, pulls

LAMBDA5 = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
PAPER = 1.0  # the paper's λ5 for UC Merced
ALPHAS = (0.0, 1.0, 2.0)
READINGS = ("norm", "elementwise", "released")  # the first two are one at α = 0
DEPTHS = (1, 3)
CROSS = ("a->b", "b->a")
SHORT = {"epochs": 20, "lr": 0.01, "keep": "last"}  # the paper's rate; the last epoch, or a collapse would be hidden
TWICE = (("norm", 3, 0.0), ("norm", 3, 1.0), ("released", 1, 0.0))  # rows that are trained twice as long as well
TWICE_AT = (0.01, 0.1, 1.0)
L5 = (0.0, 0.01)  # weights of L5 besides the default: without it, and the paper's
ZERO = 1e-3  # a matrix whose norm is below it counts as 0; it starts at 8 or more
ONE = 1.2  # the effective rank up to which a space counts as one-dimensional

Key = tuple[str, int, str, float]  # encoder's activation, depth, reading, α


def phase(lab: Lab) -> Section:
    """The diagram in the world `places`, first seed."""
    keys = [("relu", d, r, a) for d in DEPTHS for r in READINGS for a in ALPHAS if a or r != "elementwise"]
    keys += [("linear", d, r, 0.0) for d in (1, 2, 3) for r in ("norm", "released")]
    configs = {key: settings(lab, key) for key in keys}
    longer = {("relu", d, r, a): settings(lab, ("relu", d, r, a), stage2=SHORT | {"epochs": 40}) for r, d, a in TWICE}
    other = {w: settings(lab, ("relu", 3, "norm", 0.0), weights={"reconstruction": w}) for w in L5}
    cells = [Cell(row, c, {"lambda5": LAMBDA5}) for c in (*configs.values(), *other.values())]
    cells += [Cell(row, c, {"lambda5": TWICE_AT}) for c in longer.values()]
    found = iter(lab.run(cells, "phase"))
    rows = {key: next(found) for key in configs}
    by_l5 = {w: next(found) for w in other} | {configs[keys[0]].weights.reconstruction: rows["relu", 3, "norm", 0.0]}
    twice = {key: next(found) for key in longer}
    for d in DEPTHS:
        rows["relu", d, "elementwise", 0.0] = rows["relu", d, "norm", 0.0]

    names = WORDS["image-speech"]
    return Section(
        "phase",
        "A phase diagram of the collapse",
        f"{lab.scale.worlds['places'].words}, first seed. Stage 2 for {SHORT['epochs']} epochs at the rate "
        f"{SHORT['lr']}, with decoders of one linear layer and everything else as in the default settings; the last "
        "epoch is kept, not the best. λ5 is the weight of the regulariser, eq. 7.",
        tables=(
            Table(
                f"At the paper's λ5 = {PAPER:g}, {names['a']} → {names['b']}",
                ("reading", "depth", "α"),
                tuple(at_paper(key, rows[key], configs.get(key)) for key in rows if key[0] == "relu"),
                ("state", "best λ5", "average precision there"),
                "ReLU encoders. Printed: Table 4, which does not say which reading.",
            ),
            Table(
                "Where the encoders collapse at α = 0: measured and predicted",
                ("encoder", "depth", "reading", "modality"),
                tuple(
                    boundary_line(key, m, rows[key], configs[key]) for key in configs if key[3] == 0 for m in ("a", "b")
                ),
                ("collapses from λ5 =", "w = 0 is a local minimum from", "no other end from"),
                f"Average precision is that of λ5 = {PAPER:g}, with the modality as query. The two predictions are for "
                "linear encoders, descent in small steps and the heads as they are drawn at first; 'no other end' "
                "means that descent from this initialisation must end at w = 0. Below it theory says nothing about "
                "where training ends. ReLU encoders are set beside the same figures.",
            ),
        ),
        figures=(diagram({k: v for k, v in rows.items() if k[0] == "relu"}), thresholds(rows)),
        remarks=(
            theory_remark(rows),
            twice_remark(twice, rows),
            held_remark(rows),
            rank_remark(rows),
        ),
        verdicts=(collapse_verdict(rows), prevents_verdict(rows), decoder_verdict(by_l5)),
        settings={"places": to_toml(configs[keys[0]])},
    )


def settings(lab: Lab, key: Key, **more) -> Config:
    """The settings of a row."""
    activation, depth, reading, alpha = key
    return lab.config(
        "places",
        lab.seeds[0],
        encoder_activation=activation,
        encoder_depth=depth,
        alpha=alpha,
        alpha_reading=reading,
        **{"decoder_depth": 1, "decoder_activation": "linear", "stage2": SHORT} | more,
    )


# ---- cells ----------------------------------------------------------------------------------------------------------


def row(work: Work, lambda5: Sequence[float]) -> dict:
    """Stage 2 for each λ5: {"cells": [state, …], "start": {modality: pull and norms of the initial weights}}."""
    cells, start = [], None
    for r in lambda5:
        config = Config(**work.config.model_dump() | {"weights": work.config.weights.model_dump() | {"regulariser": r}})
        try:
            run = shared_space(work._replace(config=config))
        except FloatingPointError as error:
            cells.append({"lambda5": r, "failed": str(error)})
            continue
        start = start or theirs(work, run, initial(run))
        cells.append({"lambda5": r} | state(run) | {"end": theirs(work, run, stage2_of(run)[1])})
    return {"cells": cells, "start": start}


def state(run: Run) -> dict:
    """Retrieval of the test part, and how much of the space is left."""
    e = run.embeddings
    directions = {}
    for i, j, direction in ((0, 1, "a->b"), (1, 0, "b->a")):
        q, g = e.parts["test"][i], e.parts["test"][j]
        labels = [m.labels for m in e.modalities]
        found = evaluate_direction(e.v[i][q], labels[i][q], e.v[j][g], labels[j][g])
        directions[direction] = {name: found[name] for name in ("map", "mean_precision_at_tens", "chance")}
    sides = {}
    for m, v in zip("ab", e.v, strict=True):
        own = collapse(v, v)
        dead = float((v.max(axis=0) == v.min(axis=0)).mean())
        sides[m] = {"spread": own["scale"], "point": own["collapsed"], "rank": own["effective_rank"], "dead": dead}
    return {"directions": directions, "sides": sides, "rank": collapse(*e.v)["effective_rank"]}


def initial(run: Run) -> dict[str, np.ndarray]:
    """The parameters from which stage 2 of `run` began."""
    shapes = ((run.config.d_z,),) * 2
    classes = len(run.embeddings.label_names)
    return init_stage2(run.config, stage2_of(run)[0], shapes, classes)[0]


def theirs(work: Work, run: Run, params: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """{modality: {"pull": (σ(G), ‖G‖_F), "norms": its encoder's}} of these parameters, on the training pairs."""
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    how, latent, network = work.config.normalise_features, under("latent", params), stage2_of(run)[0]
    rows_of = work.parts.train
    z = tuple(fit_normaliser(z, rows_of[i], how)(z[pairs[:, i]]) for i, z in enumerate(work.z))
    y = tuple(m.labels[pairs[:, i]] for i, m in enumerate(work.data.modalities[:2]))
    g = pulls(latent, z, y, arch=network.arch, weights=network.weights, readings=network.readings)
    depth = network.arch.encoder_depth
    return {
        m: {
            "pull": (float(np.linalg.norm(g[m], 2)), float(np.linalg.norm(g[m]))),
            "norms": [float(np.linalg.norm(latent[f"encoder_{m}.{i}.w"])) for i in range(1, depth + 1)],
        }
        for m in "ab"
    }


# ---- what a row says ------------------------------------------------------------------------------------------------


def gone(cell: dict, m: str) -> bool:
    """Whether an encoder has collapsed: V of modality `m` is one point, or a matrix of its encoder is 0."""
    return "failed" not in cell and (cell["sides"][m]["point"] or min(cell["end"][m]["norms"]) < ZERO)


def mark(cell: dict) -> str:
    """What is written below a cell's figure."""
    if "failed" in cell:
        return "failed"
    lost = [gone(cell, m) for m in "ab"]
    if any(lost):
        return "×" if all(lost) else "½×"
    return "1-d" if min(side["rank"] for side in cell["sides"].values()) < ONE else ""


STATES = {"×": "collapsed", "½×": "half collapsed", "1-d": "one-dimensional", "": "alive", "failed": "failed"}


def precision(cell: dict) -> float | None:
    """Average precision, mean of both directions."""
    return None if "failed" in cell else sum(cell["directions"][d]["map"] for d in CROSS) / 2


def above_chance(cell: dict) -> float:
    """The same less chance; 0 where training failed."""
    if "failed" in cell:
        return 0.0
    return precision(cell) - sum(cell["directions"][d]["chance"] for d in CROSS) / 2


def at(found: dict, lambda5: float) -> dict:
    """The cell of a row at this λ5."""
    return next(c for c in found["cells"] if c["lambda5"] == lambda5)


def boundary(found: dict, m: str) -> float | None:
    """The smallest λ5 from which on every cell has modality `m` collapsed; None if the last has not."""
    first = None
    for cell in reversed(found["cells"]):
        if not gone(cell, m):
            break
        first = cell["lambda5"]
    return first


def said(lambda5: float | None) -> str:
    """A boundary in words."""
    return "never" if lambda5 is None or lambda5 == np.inf else "every λ5 > 0" if lambda5 == 0 else f"{lambda5:.2g}"


def score(cell: dict, direction: str, metric: str) -> Score:
    """One figure of one cell."""
    return Score((None if "failed" in cell else cell["directions"][direction][metric],))


def scores(cell: dict, direction: str) -> tuple[Score, Score, Score]:
    """The three scores of a `Line`."""
    return tuple(score(cell, direction, metric) for metric in ("mean_precision_at_tens", "map", "chance"))


def command(config: Config | None) -> str:
    """The command of a cell at the paper's λ5."""
    if config is None:
        return ""
    return train_command(
        Config(**config.model_dump() | {"weights": config.weights.model_dump() | {"regulariser": PAPER}})
    )


def at_paper(key: Key, found: dict, config: Config | None) -> Line:
    """A row of the first table."""
    _, depth, reading, alpha = key
    cell = at(found, PAPER)
    best = max(found["cells"], key=lambda c: precision(c) or 0.0)
    name = "norm = elementwise" if alpha == 0 and reading != "released" else reading
    return Line(
        (name, str(depth), f"{alpha:g}"),
        printed(published.TABLE4[int(alpha)]["a->b"]),
        *scores(cell, "a->b"),
        more=(STATES[mark(cell)], f"{best['lambda5']:g}", str(score(best, "a->b", "map"))),
        command=command(config),
    )


def boundary_line(key: Key, m: str, found: dict, config: Config) -> Line:
    """A row of the second table."""
    activation, depth, reading, _ = key
    pull, norms = found["start"][m]["pull"], found["start"][m]["norms"]
    name = "norm = elementwise" if reading == "norm" else reading
    return Line(
        (activation, str(depth), name, WORDS["image-speech"][m]),
        "–",
        *scores(at(found, PAPER), "a->b" if m == "a" else "b->a"),
        more=(
            said(boundary(found, m)),
            said(minimum_from(depth, reading, pull)),
            said(certain_from(depth, reading, pull, norms)),
        ),
        command=command(config),
    )


def theory_remark(rows: dict[Key, dict]) -> str:
    """What the predictions are worth: how many collapses lie below the certain λ5, how many above it do not."""
    linear = {key: found for key, found in rows.items() if key[0] == "linear"}
    cells = [(key, found["start"][m], c, m) for key, found in linear.items() for c in found["cells"] for m in "ab"]
    cells = [
        (c["lambda5"] >= certain_from(key[1], key[2], start["pull"], start["norms"]), gone(c, m))
        for key, start, c, m in cells
        if "failed" not in c
    ]
    above, early = [dead for certain, dead in cells if certain], [dead for certain, dead in cells if not certain]
    return (
        f"Linear encoders at α = 0, each λ5 and modality by itself: of {len(above)} above the predicted λ5 "
        f"{sum(above)} collapsed; of {len(early)} below it {sum(early)} collapsed as well. The prediction is a "
        "statement on local minima and small steps with the initial heads: it may err on one side since heads grow "
        "while they are trained (which pulls w away from 0), on the other since it takes the worst case of W₁ ⋯ W_D, "
        "and Adam's steps are not small."
    )


def held_remark(rows: dict[Key, dict]) -> str:
    """Is what lives allowed by theory, with heads and matrices as they ended?"""
    living = [
        (c["lambda5"], certain_from(key[1], key[2], c["end"][m]["pull"], c["end"][m]["norms"]))
        for key, found in rows.items()
        if key[0] == "linear"
        for c in found["cells"]
        for m in "ab"
        if "failed" not in c and not gone(c, m)
    ]
    allowed = sum(lambda5 <= limit for lambda5, limit in living)
    return (
        "With the heads and norms as they ended, a linear encoder can rest away from w = 0 only below the same bound: "
        f"{allowed} of the {len(living)} that live are below it."
    )


def twice_remark(twice: dict[Key, dict], rows: dict[Key, dict]) -> str:
    """What twice as many epochs change."""
    pairs = [(at(rows[key], c["lambda5"]), c) for key, found in twice.items() for c in found["cells"]]
    changes = [abs((precision(a) or 0.0) - (precision(b) or 0.0)) for a, b in pairs]
    other = [f"{STATES[mark(a)]} → {STATES[mark(b)]}" for a, b in pairs if mark(a) != mark(b)]
    return (
        f"Twice as many epochs, {len(pairs)} cells (ReLU: "
        + "; ".join(f"{r}, depth {d}, α = {a:g}" for r, d, a in TWICE)
        + f"; λ5 = {', '.join(f'{x:g}' for x in TWICE_AT)}): average precision moves by {max(changes):.3f} at most, "
        f"{sum(changes) / len(changes):.3f} in the mean; the state of {len(other)} changes"
        + (f" ({', '.join(other)})." if other else ".")
    )


def rank_remark(rows: dict[Key, dict]) -> str:
    """What the element-wise reading leaves."""
    cells = [
        c for key, f in rows.items() if key[2] == "elementwise" and key[3] > 0 for c in f["cells"] if "failed" not in c
    ]
    flat = [c for c in cells if mark(c) == "1-d"]
    text = (
        f"Read element by element with α > 0, {len(flat)} of {len(cells)} cells are one-dimensional in at least one "
        f"modality (effective rank below {ONE:g})"
    )
    if not flat:
        return text + "."
    return text + (
        f", the first at λ5 = {min(c['lambda5'] for c in flat):g}; their average precision is "
        f"{np.mean([above_chance(c) for c in flat]):+.3f} from chance in the mean."
    )


# ---- verdicts -------------------------------------------------------------------------------------------------------


def collapse_verdict(rows: dict[Key, dict]) -> Verdict:
    """Section 4.3 and Table 4 on α = 0."""
    own = {key: found for key, found in rows.items() if key[0] == "relu" and key[3] == 0 and key[2] != "elementwise"}
    dead = [mark(c) == "×" for found in own.values() for c in found["cells"]]
    names = WORDS["image-speech"]
    texts = []
    for (_, depth, reading, _), found in own.items():
        first, paper = found["cells"][0], at(found, PAPER)
        reading = "norm = elementwise" if reading == "norm" else reading
        ends = ", ".join(f"{names[m]} {collapses(boundary(found, m))}" for m in "ab")
        texts.append(
            f"{reading}, depth {depth}: {ends}; above chance by {above_chance(first):.2f} at λ5 = "
            f"{first['lambda5']:g} and {above_chance(paper):.2f} at {PAPER:g}"
        )
    verdict = "reproduced" if all(dead) else "depends on λ5, depth and reading" if any(dead) else "not reproduced"
    return Verdict("4.3", "α = 0 collapses to the trivial solution", verdict, ". ".join(texts))


def collapses(lambda5: float | None) -> str:
    """A measured boundary as part of a sentence."""
    return "never collapses" if lambda5 is None else f"collapses from λ5 = {lambda5:g}"


def prevents_verdict(rows: dict[Key, dict]) -> Verdict:
    """Section 4.3 on α > 0: in each reading, no collapse, and retrieval where α = 0 has none."""
    held, texts = {}, []
    for reading in READINGS:
        own = [(k, f) for k, f in rows.items() if k[0] == "relu" and k[2] == reading and k[3] > 0]
        cells = [c for _, found in own for c in found["cells"]]
        lost = [c for c in cells if mark(c) in ("×", "½×", "failed")]
        dead = [(at(rows["relu", k[1], reading, 0.0], c["lambda5"]), c) for k, f in own for c in f["cells"]]
        dead = [c for zero, c in dead if mark(zero) == "×"]
        gain = sum(map(above_chance, dead)) / len(dead) if dead else None
        held[reading] = not lost and (gain is None or gain > 0.05)
        texts.append(
            f"{reading}: {len(lost)} of {len(cells)} cells collapsed, by half or wholly"
            + ("" if gain is None else f"; {gain:+.2f} from chance where α = 0 has collapsed ({len(dead)} cells)")
        )
    verdict = (
        {True: "reproduced", False: "not reproduced"}.get(next(iter({*held.values()})))
        if len({*held.values()}) == 1
        else "depends on the reading"
    )
    rule = "(prevented: no cell collapsed, and more than 0.05 above chance where α = 0 collapses)"
    return Verdict("4.3", "α > 0 prevents it", verdict, "; ".join(texts) + f" {rule}")


def decoder_verdict(by_l5: dict[float, dict]) -> Verdict:
    """Section 4.3 on L5, at α = 0 and three ReLU layers, where there is a collapse to prevent."""
    ends = {w: [boundary(found, m) or np.inf for m in "ab"] for w, found in by_l5.items()}
    dead = {w: {c["lambda5"]: dead_units(c) for c in found["cells"] if "failed" not in c} for w, found in by_l5.items()}
    share = {w: list(found.values()) for w, found in dead.items()}
    only = [x for x in dead[0.0] if dead[0.0][x] > 0.5 and all(dead[w].get(x, 1.0) <= 0.5 for w in dead if w)]
    names = WORDS["image-speech"]
    return Verdict(
        "4.3",
        "without the decoder loss L5 most latents go to zero (α = 0, norm reading, three ReLU layers)",
        "reproduced" if 2 * len(only) > len(LAMBDA5) else "depends on λ5" if only else "not reproduced",
        "; ".join(
            f"weight of L5 {w:g}: {np.mean(share[w]):.0%} of V's units never vary, mean over λ5; "
            + ", ".join(
                f"{names[m]} {collapses(None if x == np.inf else x)}" for m, x in zip("ab", ends[w], strict=True)
            )
            for w in sorted(by_l5)
        )
        + f". Values of λ5 at which most units are dead without L5 and not with it: {len(only)} of {len(LAMBDA5)}",
    )


def dead_units(cell: dict) -> float:
    """The share of V's units that never vary, mean of both modalities."""
    return sum(side["dead"] for side in cell["sides"].values()) / 2


# ---- figures --------------------------------------------------------------------------------------------------------


def diagram(rows: dict[Key, dict]) -> Figure:
    """A panel for each depth and reading: average precision over λ5 and α, marks, and theory's lines at α = 0."""
    figure, panels = new_axes(13.2, 4.9, columns=len(READINGS) * len(DEPTHS))
    figure.clf()
    panels = figure.subplots(len(DEPTHS), len(READINGS), sharex=True, sharey=True)
    shown = None
    for axes_of, depth in zip(panels, DEPTHS, strict=True):
        for axes, reading in zip(axes_of, READINGS, strict=True):
            cells = [rows["relu", depth, reading, alpha]["cells"] for alpha in ALPHAS]
            values = [[np.nan if precision(c) is None else precision(c) for c in line] for line in cells]
            shown = axes.imshow(values, cmap="cividis", vmin=0.2, vmax=0.9, aspect="auto", origin="lower")
            for y, line in enumerate(cells):
                for x, cell in enumerate(line):
                    value = values[y][x]
                    text = ("–" if np.isnan(value) else f"{value:.2f}"[1:]) + f"\n{mark(cell)}" * bool(mark(cell))
                    colour = "black" if value > 0.55 else "white"
                    axes.text(x, y, text, ha="center", va="center", fontsize=7.5, color=colour, linespacing=0.95)
            start = rows["relu", depth, reading, 0.0]["start"]
            for m, style in zip("ab", ("-", ":"), strict=True):
                limit = certain_from(depth, "released" if reading == "released" else "norm", *start[m].values())
                if LAMBDA5[0] <= limit <= LAMBDA5[-1]:
                    axes.plot([place(limit)] * 2, [-0.5, 0.5], style, color=COLOURS[4], lw=2.4)
            axes.set_title(f"{reading}, depth {depth}", fontsize=10)
            axes.set_xticks(range(len(LAMBDA5)), [f"{x:g}".removeprefix("0") for x in LAMBDA5], fontsize=8)
            axes.set_yticks(range(len(ALPHAS)), [f"{a:g}" for a in ALPHAS])
            axes.tick_params(length=0)
            axes.set_xlabel("λ5" if depth == DEPTHS[-1] else "")
            axes.set_ylabel("α" if reading == READINGS[0] else "")
    figure.subplots_adjust(wspace=0.05, hspace=0.22)
    figure.colorbar(shown, ax=panels, label="average precision", shrink=0.9, pad=0.015)
    names = WORDS["image-speech"]
    return drawn(
        "phase",
        "Average precision (mean of both directions) of three ReLU readings and two depths. × both modalities "
        "collapsed, ½× one of them, 1-d one dimension left. At α = 0 norm and elementwise are one. Lines: from there "
        f"on a linear encoder cannot but collapse, with the heads as drawn at first (full {names['a']}, dotted "
        f"{names['b']}); where there is none theory does not promise it.",
        figure,
    )


def place(lambda5: float) -> float:
    """Where λ5 lies between the columns of the diagram."""
    return float(np.interp(np.log(lambda5), np.log(LAMBDA5), range(len(LAMBDA5))))


def thresholds(rows: dict[Key, dict]) -> Figure:
    """Linear encoders at α = 0: the spread of both modalities over λ5, and theory's thresholds."""
    depths, readings, names = (1, 2, 3), ("norm", "released"), WORDS["image-speech"]
    figure, _ = new_axes(11.5, 5.2)
    figure.clf()
    panels = figure.subplots(len(readings), len(depths), sharex=True, sharey=True)
    floor = 1e-8
    for axes_of, reading in zip(panels, readings, strict=True):
        for axes, depth in zip(axes_of, depths, strict=True):
            found = rows["linear", depth, reading, 0.0]
            cells = [c for c in found["cells"] if "failed" not in c]
            for m, style, shape, colour in zip("ab", ("-", "--"), "os", COLOURS, strict=False):
                spread = [max(c["sides"][m]["spread"], floor) for c in cells]
                axes.loglog(
                    [c["lambda5"] for c in cells], spread, style, marker=shape, ms=4, color=colour, label=names[m]
                )
                pull, norms = found["start"][m]["pull"], found["start"][m]["norms"]
                least, certain = minimum_from(depth, reading, pull), certain_from(depth, reading, pull, norms)
                if 0 < least < certain:
                    axes.axvline(least, color=colour, ls=":", lw=1.2)
                if certain < np.inf:
                    axes.axvline(certain, color=colour, ls=style, lw=1.2)
            least = minimum_from(depth, reading, found["start"]["a"]["pull"])
            text = {0.0: "w = 0 is a minimum for every λ5", np.inf: "w = 0 is never a minimum"}.get(least, "")
            axes.text(0.03, 0.12, text, transform=axes.transAxes, fontsize=8)
            axes.set_title(f"{'norm = elementwise' if reading == 'norm' else reading}, depth {depth}", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set(ylim=(floor / 2, 10))
            axes.set_xlabel("λ5" if reading == readings[-1] else "")
            axes.set_ylabel("spread of V" if depth == 1 else "")
    figure.subplots_adjust(wspace=0.06, hspace=0.25)
    handles, labels = panels[0][0].get_legend_handles_labels()
    show_dollars(figure.legend(handles, labels, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 0.92)))
    return drawn(
        "phase-thresholds",
        "Linear encoders at α = 0: mean distance of V from its mean, by modality (1e-8 stands for anything smaller). "
        "Vertical lines, in the modality's colour: from there on descent must end at w = 0, with the heads as drawn at "
        "first.",
        figure,
    )
