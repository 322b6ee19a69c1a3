"""A phase diagram of the collapse: α, λ5, depth and reading of eq. 7, and what theory says of its boundary at α = 0.

Theory (`cmirnet.collapse_theory`) is about linear encoders, descent in small steps, and heads (classifier and
decoders) that stand still. Stage 2 trains the heads too, by Adam: where its boundary lies is measured, and set beside.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import NamedTuple

import numpy as np

from ...backend import generator
from ...cmirnet.collapse_theory import certain_from, minimum_from, pulls
from ...cmirnet.published import TABLE4
from ...cmirnet.stage2 import init_stage2
from ...cmirnet.system import network_of, trained
from ...config import SharedSettings, to_toml
from ...data import SCENARIOS, pairs_of
from ...records import Run
from ...reports.experiment import Experiment, Figure, Line, Table
from ...reports.replication_plots import Map, maps
from ...retrieval import collapse
from ...runs import evaluate
from ...training.inputs import fit_normaliser
from ..claims import Numbers, judge_claims
from ..lab import Cell, Lab, Work, shared_space
from ..tables import CROSS, METRICS, dead_share, mean_score, score, table_row, train_command, with_weight

LAMBDA5 = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
PAPER = 1.0  # the paper's λ5 for UC Merced
ALPHAS = (0.0, 1.0, 2.0)
READINGS = ("norm", "elementwise", "released")  # the first two are one at α = 0
DEPTHS = (1, 3)
SHORT = {"epochs": 20, "lr": 0.01, "keep": "last"}  # the paper's rate; the last epoch, or a collapse would be hidden
TWICE_AT = (0.01, 0.1, 1.0)
L5 = (0.0, 0.01)  # weights of L5 besides the default: without it, and the paper's
ZERO = 1e-3  # a matrix whose norm is below it counts as 0; it starts at 8 or more
ONE = 1.2  # the effective rank up to which a space counts as one-dimensional
NAMES = SCENARIOS["image-speech"].titles
AT_PAPER = {"state": "state", "best": "best λ5", "there": "average precision there"}
LIMITS = {
    "measured": "collapses from λ5 =",
    "minimum": "w = 0 is a local minimum from",
    "certain": "no other end from",
}
STATES = {"×": "collapsed", "½×": "half collapsed", "1-d": "one-dimensional", "": "alive", "failed": "failed"}


class Key(NamedTuple):
    """A row of the diagram: one α for encoders of an activation, a depth and a reading of eq. 7."""

    activation: str
    depth: int
    reading: str
    alpha: float

    @property
    def reading_name(self) -> str:
        """The reading; at α = 0 two of them are one."""
        return "norm = elementwise" if self.alpha == 0 and self.reading != "released" else self.reading


TWICE = (Key("relu", 3, "norm", 0.0), Key("relu", 3, "norm", 1.0), Key("relu", 1, "released", 0.0))  # also longer
Rows = Mapping[Key, dict]  # {row: what `train_row` gives}


def phase(lab: Lab) -> Experiment:
    """The diagram in the world `places`, first seed."""
    keys = [Key("relu", d, r, a) for d, r, a in product(DEPTHS, READINGS, ALPHAS) if a or r != "elementwise"]
    keys += [Key("linear", d, r, 0.0) for d, r in product((1, 2, 3), ("norm", "released"))]
    three_layers = Key("relu", 3, "norm", 0.0)
    configs = {key: settings_of_phase(lab, key) for key in keys}
    configs_l5 = {w: settings_of_phase(lab, three_layers, weights={"reconstruction": w}) for w in L5}
    configs_longer = {key: settings_of_phase(lab, key, stage2=SHORT | {"epochs": 40}) for key in TWICE}
    cells = [Cell(train_row, c, {"lambda5": LAMBDA5}) for c in (*configs.values(), *configs_l5.values())]
    cells += [Cell(train_row, c, {"lambda5": TWICE_AT}) for c in configs_longer.values()]
    results = iter(lab.run(cells, "phase"))
    rows, by_l5, longer = ({key: next(results) for key in some} for some in (configs, configs_l5, configs_longer))
    by_l5[configs[three_layers].weights.reconstruction] = rows[three_layers]
    rows |= {Key("relu", d, "elementwise", 0.0): rows[Key("relu", d, "norm", 0.0)] for d in DEPTHS}
    lost, saved = positive_alpha(rows)
    at_paper = tuple(line_at_paper(key, rows[key], configs.get(key)) for key in rows if key.activation == "relu")
    limits = tuple(line_of_limits(key, m, rows[key], configs[key]) for key in configs if key.alpha == 0 for m in "ab")
    return Experiment(
        "phase",
        {
            "paper": Table(("reading", "depth", "α"), METRICS | AT_PAPER, at_paper),
            "limits": Table(("encoder", "depth", "reading", "modality"), METRICS | LIMITS, limits),
        },
        (diagram(rows),),
        judge_claims(
            "phase",
            collapse=collapsed_modalities(rows),
            prevention=lost,
            rescue=saved,
            L5=killed_without_l5(by_l5),
        ),
        {"short": SHORT, "paper": PAPER, "names": NAMES, "twice": TWICE, "twice_at": TWICE_AT, "one": ONE}
        | {"theory": compare_theory(rows), "longer": compare_longer(longer, rows), "flat": count_flat(rows)},
        settings={"places": to_toml(configs[keys[0]])},
    )


def settings_of_phase(lab: Lab, key: Key, **changes) -> SharedSettings:
    """The settings of a row."""
    return lab.config(
        "places",
        lab.seeds[0],
        encoder_activation=key.activation,
        encoder_depth=key.depth,
        alpha=key.alpha,
        alpha_reading=key.reading,
        **{"decoder_depth": 1, "decoder_activation": "linear", "stage2": SHORT} | changes,
    )


# ---- cells ----------------------------------------------------------------------------------------------------------


def train_row(work: Work, lambda5: Sequence[float]) -> dict:
    """Stage 2 for each λ5: {"cells": [what became of it, …], "start": pull and norms of the initial weights}."""
    cells, start = [], None
    for r in lambda5:
        try:
            run = shared_space(work._replace(config=with_weight(work.config, regulariser=r)))
        except FloatingPointError as error:
            cells.append({"lambda5": r, "failed": str(error)})
            continue
        network, (params, _) = network_of(run.config, run.dataset), trained(run, "stage2")
        shapes = dict.fromkeys("ab", (run.config.d_z,))
        initial, _ = init_stage2(run.config, network, shapes, len(run.dataset.label_names))
        start, end = start or pulls_and_norms(work, run, initial), pulls_and_norms(work, run, params)
        cells.append({"lambda5": r} | describe_space(run) | {"end": end})
    return {"cells": cells, "start": start}


def describe_space(run: Run) -> dict:
    """Retrieval of the test part, and by modality how much of the space is left: its spread, rank and dead units."""
    metrics = evaluate(run)
    sides = {m: collapse(encoded["v"], encoded["v"]) for m, encoded in run.encoded.items()}
    return {
        "directions": {d: {name: metrics["directions"][d][name] for name in METRICS} for d in CROSS},
        "dead_units": metrics["dead_units"],
        "sides": {
            m: {"spread": c["scale"], "point": c["one_point"], "rank": c["effective_rank"]} for m, c in sides.items()
        },
    }


def pulls_and_norms(work: Work, run: Run, params: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """{modality: {"pull": (σ(G), ‖G‖_F), "norms": its encoder's}} of these parameters, on the training pairs."""
    pairs = pairs_of(work.data, work.parts.train, generator(work.config.seed, "pairs", 0))
    how, network, train = work.config.normalise_features, network_of(run.config, run.dataset), work.parts.train
    z = tuple(fit_normaliser(z, train[m], how)(z[pairs[:, i]]) for i, (m, z) in enumerate(work.z.items()))
    y = tuple(m.labels[pairs[:, i]] for i, m in enumerate(work.data.modalities.values()))
    g = pulls(params, z, y, arch=network.arch, weights=network.weights, readings=network.readings)
    depth = network.arch.encoder_depth
    return {
        m: {
            "pull": (float(np.linalg.norm(g[m], 2)), float(np.linalg.norm(g[m]))),
            "norms": [float(np.linalg.norm(params[f"encoder_{m}.{i}.w"])) for i in range(1, depth + 1)],
        }
        for m in "ab"
    }


# ---- what a cell tells ----------------------------------------------------------------------------------------------


def has_collapsed(cell: dict, m: str) -> bool:
    """Whether an encoder has collapsed: V of modality `m` is one point, or a matrix of its encoder is 0."""
    return "failed" not in cell and (cell["sides"][m]["point"] or min(cell["end"][m]["norms"]) < ZERO)


def mark_of_state(cell: dict) -> str:
    """The sign of a cell's state, see `STATES`."""
    if "failed" in cell:
        return "failed"
    lost = sum(has_collapsed(cell, m) for m in "ab")
    if lost:
        return "×" if lost == 2 else "½×"
    return "1-d" if min(side["rank"] for side in cell["sides"].values()) < ONE else ""


def precision_of_cell(cell: dict) -> float | None:
    """Average precision, mean of both directions."""
    return mean_score([cell]).mean


def above_chance(cell: dict) -> float:
    """The same less chance; 0 where training failed."""
    return 0.0 if "failed" in cell else precision_of_cell(cell) - mean_score([cell], CROSS, "chance").mean


def cell_at(row: dict, lambda5: float) -> dict:
    """The cell of a row at this λ5."""
    return next(c for c in row["cells"] if c["lambda5"] == lambda5)


def boundary(row: dict, m: str) -> float | None:
    """The smallest λ5 from which on every cell has modality `m` collapsed; None if the last has not."""
    first = None
    for cell in reversed(row["cells"]):
        if not has_collapsed(cell, m):
            break
        first = cell["lambda5"]
    return first


def predicted(key: Key, about: dict) -> float:
    """The λ5 from which on theory is certain of a collapse, by pull and norms."""
    return certain_from(key.depth, "released" if key.reading == "released" else "norm", about["pull"], about["norms"])


# ---- rows and facts -------------------------------------------------------------------------------------------------


def limit_text(lambda5: float | None) -> str:
    """A boundary in words."""
    return "never" if lambda5 is None or lambda5 == np.inf else "every λ5 > 0" if lambda5 == 0 else f"{lambda5:.2g}"


def line_at_paper(key: Key, row: dict, config: SharedSettings | None) -> Line:
    """A row of the first table: one cell, and the best of its row."""
    cell, highest = cell_at(row, PAPER), max(row["cells"], key=lambda c: precision_of_cell(c) or 0.0)
    about = (key.reading_name, str(key.depth), f"{key.alpha:g}")
    more = {"state": STATES[mark_of_state(cell)], "best": f"{highest['lambda5']:g}", "there": score([highest], "a->b")}
    command = train_command(with_weight(config, regulariser=PAPER)) if config else ""
    return table_row(about, [cell], "a->b", TABLE4[int(key.alpha)]["a->b"], command=command, **more)


def line_of_limits(key: Key, m: str, row: dict, config: SharedSettings) -> Line:
    """A row of the second table."""
    start = row["start"][m]
    limits = boundary(row, m), minimum_from(key.depth, key.reading, start["pull"]), predicted(key, start)
    return table_row(
        (key.activation, str(key.depth), key.reading_name, NAMES[m]),
        [cell_at(row, PAPER)],
        "a->b" if m == "a" else "b->a",
        command=train_command(with_weight(config, regulariser=PAPER)),
        **dict(zip(LIMITS, map(limit_text, limits), strict=True)),
    )


def compare_theory(rows: Rows) -> dict[str, tuple[int, int]]:
    """(how many, of how many) linear encoders collapsed "above" and "below" the predicted λ5; and of those that live,
    how many theory "allows", with heads and matrices as they ended."""
    linear = [(key, c) for key, row in rows.items() if key.activation == "linear" for c in row["cells"]]
    cells = [(key, m, c) for key, c in linear for m in "ab" if "failed" not in c]
    sides = [(c["lambda5"] >= predicted(key, rows[key]["start"][m]), has_collapsed(c, m)) for key, m, c in cells]
    above, below = ([gone for certain, gone in sides if certain == side] for side in (True, False))
    living = [c["lambda5"] <= predicted(key, c["end"][m]) for key, m, c in cells if not has_collapsed(c, m)]
    return {name: (sum(x), len(x)) for name, x in (("above", above), ("below", below), ("allows", living))}


def compare_longer(longer: Rows, rows: Rows) -> dict:
    """What twice as many epochs change: number of cells, of average precision the most and the mean, and of states."""
    pairs = [(cell_at(rows[key], c["lambda5"]), c) for key, row in longer.items() for c in row["cells"]]
    changes = [abs((precision_of_cell(a) or 0.0) - (precision_of_cell(b) or 0.0)) for a, b in pairs]
    marks = [(mark_of_state(a), mark_of_state(b)) for a, b in pairs]
    states = [f"{STATES[a]} → {STATES[b]}" for a, b in marks if a != b]
    return {"cells": len(pairs), "most": max(changes), "mean": fmean(changes), "states": states}


def count_flat(rows: Rows) -> dict:
    """Of the element-wise reading with α > 0: how many cells are one-dimensional, from which λ5 on, how far above
    chance."""
    elementwise = [row for key, row in rows.items() if key.reading == "elementwise" and key.alpha > 0]
    cells = [c for row in elementwise for c in row["cells"] if "failed" not in c]
    flat = [c for c in cells if mark_of_state(c) == "1-d"]
    first, above = min((c["lambda5"] for c in flat), default=None), fmean(map(above_chance, flat)) if flat else None
    return {"flat": len(flat), "cells": len(cells), "first": first, "above_chance": above}


# ---- numbers of the claims ------------------------------------------------------------------------------------------


def collapsed_modalities(rows: Rows) -> Numbers:
    """How many modalities collapse at α = 0, of ReLU encoders."""
    zero = {k: row for k, row in rows.items() if k.activation == "relu" and k.alpha == 0 and k.reading != "elementwise"}
    return {
        (f"λ5 = {c['lambda5']:g}", f"depth {key.depth}", key.reading_name): sum(has_collapsed(c, m) for m in "ab")
        for key, row in zero.items()
        for c in row["cells"]
    }


def positive_alpha(rows: Rows) -> tuple[Numbers, Numbers]:
    """Of ReLU encoders with α > 0, by reading: the share that failed or in which a modality collapsed, and how far
    above chance they are where α = 0 has collapsed."""
    lost, saved = {}, {}
    for reading in READINGS:
        keys = [key for key in rows if key.activation == "relu" and key.reading == reading and key.alpha > 0]
        pairs = [(c, cell_at(rows[key._replace(alpha=0.0)], c["lambda5"])) for key in keys for c in rows[key]["cells"]]
        lost[(reading,)] = fmean(mark_of_state(c) in ("×", "½×", "failed") for c, _ in pairs)
        above = [above_chance(c) for c, zero in pairs if mark_of_state(zero) == "×"]
        saved[(reading,)] = fmean(above) if above else None
    return lost, saved


def killed_without_l5(by_l5: Mapping[float, dict]) -> Numbers:
    """By λ5, at α = 0 and three ReLU layers, where there is a collapse to prevent: the share of V's units that never
    vary without L5, less the largest share with it; a λ5 at which a run failed is left out."""
    dead = {w: {c["lambda5"]: dead_share([c]).mean for c in row["cells"]} for w, row in by_l5.items()}
    with_l5 = {x: [shares[x] for w, shares in dead.items() if w] for x in dead[0.0]}
    whole = {x: share for x, share in dead[0.0].items() if None not in (share, *with_l5[x])}
    return {(f"λ5 = {x:g}",): share - max(with_l5[x]) for x, share in whole.items()}


# ---- figures --------------------------------------------------------------------------------------------------------


def diagram(rows: Rows) -> Figure:
    """A panel for each depth and reading: average precision over λ5 and α, marks, and theory's lines at α = 0."""
    return maps(
        "phase",
        [[panel(rows, depth, reading) for reading in READINGS] for depth in DEPTHS],
        x=("λ5", [f"{x:g}".removeprefix("0") for x in LAMBDA5]),
        y=("α", [f"{a:g}" for a in ALPHAS]),
        size=(4.2, 2.4),
    )


def panel(rows: Rows, depth: int, reading: str) -> Map:
    """One panel of the diagram."""
    cells = [rows[Key("relu", depth, reading, alpha)]["cells"] for alpha in ALPHAS]
    zero = Key("relu", depth, reading, 0.0)
    limits = {style: predicted(zero, rows[zero]["start"][m]) for m, style in zip("ab", ("-", ":"), strict=True)}

    def text(c):
        return "–\nfailed" if "failed" in c else f"{precision_of_cell(c):.2f}\n{mark_of_state(c)}"[1:].strip()

    return Map(
        f"{reading}, depth {depth}",
        [[precision_of_cell(c) for c in row] for row in cells],
        [[text(c) for c in row] for row in cells],
        uprights={style: (0, column_of(x)) for style, x in limits.items() if LAMBDA5[0] <= x <= LAMBDA5[-1]},
    )


def column_of(lambda5: float) -> float:
    """Where λ5 lies between the columns of the diagram."""
    return float(np.interp(np.log(lambda5), np.log(LAMBDA5), range(len(LAMBDA5))))
