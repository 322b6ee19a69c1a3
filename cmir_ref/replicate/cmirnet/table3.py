"""Table 3: images and spoken words, in spaces of 32, 64 and 128 dimensions.

As in the paper, weights of the loss are found by grid search on the validation part: here λ1, which aligns, and λ5, of
the regulariser, at d_v = 64 and with the first seed; the best pair serves all widths and seeds.
"""

from collections.abc import Mapping, Sequence
from itertools import product

from ...cmirnet.published import TABLE3
from ...config import load_config
from ...reports.experiment import Experiment, Figure, Table
from ...reports.replication_plots import Map, maps
from ...reports.scores import Score
from ...retrieval import relevance
from .. import tables
from ..claims import Numbers, judge_claims
from ..lab import Lab, Missing, Work, run_groups, space
from ..tables import CROSS, DIRECTIONS, METRIC_WORDS, METRICS, TEN_TENS, TENS, mean_score, score, train_command, words

WORLDS = ("places", "real", "released")
WIDTHS = (32, 64, 128)
LAMBDA1 = (1e-5, 0.002, 0.02, 0.1)  # the paper's, and three that align
LAMBDA5 = (0.001, 0.03, 1.0)  # the last is the paper's
PAPERS = (1e-5, 1.0)  # (λ1, λ5) of section 4.2

Grid = dict[tuple[float, float], Score]  # {(λ1, λ5): average precision on the validation part}


def table3(lab: Lab) -> Experiment:
    """Table 3 at the lab's scale."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    grid = {w: search_grid(lab, w) for w in worlds}
    pairs = {w: tables.best(grid[w]) for w in worlds}
    weights = {w: {"alignment": l1, "regulariser": r} for w, (l1, r) in pairs.items()}
    configs = {(w, d): [lab.config(w, s, d_v=d, weights=weights[w]) for s in lab.seeds] for w in worlds for d in WIDTHS}
    rows = run_groups(lab, space, configs, "table3")
    ceiling = run_groups(lab, perfect_ranking, {w: [lab.config(w, s) for s in lab.seeds] for w in worlds}, "table3")
    columns = METRICS | {"p@10": "P@10", "most": "most possible"}
    columns |= {TEN_TENS: "mean P@10…100", "most_ten": "most possible to 100"}

    def line(w, d, m):
        about, command = (str(d), words(m, w)), train_command(configs[w, d][0])
        more = {"most": score(ceiling[w], m, TENS), "most_ten": score(ceiling[w], m, TEN_TENS)}
        more[TEN_TENS] = score(rows[w, d], m, TEN_TENS)
        return tables.table_row(about, rows[w, d], m, TABLE3[d].get(m), command=command, **more)

    ap = {key: mean_score(results).mean or 0.0 for key, results in rows.items()}
    tiles = results_of_tiles(lab)
    return Experiment(
        "table3",
        {
            w: Table(("d_v", "direction"), columns, tuple(line(w, *k) for k in product(WIDTHS, DIRECTIONS)))
            for w in worlds
        },
        (grid_map(grid, pairs),),
        judge_claims(
            "table3",
            width={(w, f"over d_v = {d}"): ap[w, 128] - ap[w, d] for w in worlds for d in (32, 64)},
            grid={(w,): grid[w][PAPERS].mean - grid[w][pairs[w]].mean for w in worlds},
            harder=points_below_tiles({w: rows[w, 64] for w in worlds}, tiles) if tiles else {},
        ),
        {"weights": pairs, "pairs": len(LAMBDA1) * len(LAMBDA5)},
    )


def search_grid(lab: Lab, world: str) -> Grid:
    """The validation scores of the grid, mean of both cross-modal directions."""
    pairs = list(product(LAMBDA1, LAMBDA5))
    configs = [lab.config(world, 0, d_v=64, weights={"alignment": l1, "regulariser": r}) for l1, r in pairs]
    spaces = lab.spaces(configs, "table3 grid")
    return {pair: tables.validation_score([result], CROSS) for pair, result in zip(pairs, spaces, strict=True)}


def perfect_ranking(work: Work) -> dict:
    """What a perfect ranking of the test part has in the paper's metric, in every direction."""
    labels = {m: work.data.modalities[m].labels[rows] for m, rows in work.parts.test.items()}
    directions = {}
    for direction in DIRECTIONS:
        query, gallery = (labels[m] for m in direction.split("->"))
        itself = direction in ("a->a", "b->b")  # a query is not in its own gallery
        relevant = relevance(query, gallery).sum(axis=1) - itself
        cutoffs, items = {TENS: range(10, 51, 10), TEN_TENS: range(10, 101, 10)}, len(gallery) - itself
        directions[direction] = {name: tables.most_possible(relevant, items, ks) for name, ks in cutoffs.items()}
    return {"directions": directions}


def results_of_tiles(lab: Lab) -> list[dict] | None:
    """The spaces of `tiles` that Table 1 left; None where it did not run: stage 1 takes long there."""
    if "tiles" not in lab.worlds:
        return None
    computes, lab.compute = lab.compute, False
    try:
        return lab.spaces([load_config(*lab.scale.preset("tiles"), seed=s) for s in lab.seeds], "tiles")
    except Missing:
        return None
    finally:
        lab.compute = computes


def points_below_tiles(rows: Mapping[str, Sequence[dict]], tiles: Sequence[dict]) -> Numbers:
    """How far the spaces of a world are below those of `tiles`, mean of both directions; failed runs are left out, and
    count 0 where all of them failed.
    """

    def percent(results, metric):
        return 100 * (mean_score(results, metric=metric).mean or 0.0)

    return {(w, METRIC_WORDS[m]): percent(tiles, m) - percent(rows[w], m) for w in rows for m in METRIC_WORDS}


def grid_map(grid: Mapping[str, Grid], pairs: Mapping[str, tuple[float, float]]) -> Figure:
    """A map for each world: validation score over λ1 and λ5, the pair that is used framed."""

    def panel(world):
        values = [[grid[world][l1, r].mean for l1 in LAMBDA1] for r in LAMBDA5]
        framed = LAMBDA5.index(pairs[world][1]), LAMBDA1.index(pairs[world][0])
        return Map(world, values, [[f"{value:.3f}" for value in row] for row in values], framed)

    ticks = {"x": ("λ1, of L2", [f"{v:g}" for v in LAMBDA1]), "y": ("λ5, of R", [f"{v:g}" for v in LAMBDA5])}
    return maps("table3-grid", [[panel(world) for world in grid]], **ticks)
