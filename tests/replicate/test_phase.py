"""The phase diagram: theory's thresholds against descent on small problems, and the rules that read the cells."""

import alpha
import numpy as np
import pytest
import worlds
from alpha import is_encoder, is_encoder_matrix, norm, pick, problem, start, without
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref import runs
from cmir_ref.config import Config, load_config
from cmir_ref.losses import Readings, Weights
from cmir_ref.models.head import PretrainerOutput
from cmir_ref.replicate import phase as module
from cmir_ref.replicate.lab import Work
from cmir_ref.replicate.phase import (
    PAPER,
    above_chance,
    boundary,
    certain_from,
    collapse_verdict,
    gone,
    held_remark,
    mark,
    minimum_from,
    phase,
    place,
    prevents_verdict,
    pulls,
    row,
)
from cmir_ref.replicate.worlds import SMALL

SEED = st.integers(0, 2**32 - 1)


# ---- theory against descent -----------------------------------------------------------------------------------------


def is_encoder_bias(name):
    return is_encoder(name) and name.endswith("b")


def made(depth, reading, seed=0):
    """(problem without R, parameters of zero matrices and the encoders' biases at their best)."""
    p = problem(
        seed,
        d=4,
        weights=Weights(0.0, 1.0, 0.0, 0.3, 0.0),
        readings=Readings(alpha=0.0, alpha_reading=reading),
        encoder_activation="linear",
        encoder_depth=depth,
    )
    return p, alpha.descend(p, without(start(p, seed), is_encoder), 0.3, 300, is_encoder_bias)


def pull_of(p, params):
    """{modality: G} by the function under test."""
    return pulls(params, p.z, (p.y, p.y), arch=p.arch, weights=p.weights, readings=p.readings)


def both(g):
    return np.linalg.norm(g, 2), np.linalg.norm(g)


@given(SEED)
def test_the_pull_is_the_class_moment_and_the_cross_moment_seen_through_the_heads(seed):
    """G_a = −λ₂ M_a W_cᵀ − 2λ₄ C w_abᵀ, M_a = Z_aᵀ(Y − p̄)/2n, C = Z_aᵀ(Z_b − z̄_b)/n, at any biases."""
    p = problem(seed, weights=Weights(0.2, 0.7, 0.1, 0.3, 5.0), encoder_activation="linear", encoder_depth=2)
    params, rows = start(p, seed), p.z[0].shape[1]
    expected = -0.7 * alpha.class_moment(p)[:rows] @ params["classifier.w"].T
    expected = expected - 0.6 * alpha.cross_moment(p) @ params["decoder_ab.1.w"].T
    np.testing.assert_allclose(pull_of(p, params)["a"], expected, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_biases_at_their_best_it_is_the_gradient_at_zero_of_one_layer(seed):
    p, params = made(1, "norm", seed)
    grads = alpha.evaluate(p, params)[1]
    for m, g in pull_of(p, params).items():
        np.testing.assert_allclose(g, grads[f"encoder_{m}.1.w"], atol=1e-3)


def aligned(p, params, size):
    """Matrices of norm `size` whose product points where the data pull: the worst case of the bound."""
    params = dict(params)
    for m, g in pull_of(p, params).items():
        left, _, right = np.linalg.svd(g)
        first = np.eye(g.shape[0])[0]
        chain = [left[:, 0], *[first] * (p.arch.encoder_depth - 1), -right[0]]
        if p.arch.encoder_depth == 1:  # the nearest to G itself
            params[f"encoder_{m}.1.w"] = -size * g / np.linalg.norm(g)
            continue
        for i in range(p.arch.encoder_depth):
            params[f"encoder_{m}.{i + 1}.w"] = size * np.outer(chain[i], chain[i + 1])
    return params


def sizes(params):
    return np.array(
        [norm(pick(params, lambda k, m=m: k.startswith(f"encoder_{m}") and k.endswith("w")).values()) for m in "ab"]
    )


@pytest.mark.parametrize(
    ("depth", "reading", "size", "rate", "steps"),
    [
        (2, "norm", 0.05, 0.2, 500),
        (3, "norm", 0.3, 0.3, 400),
        (4, "norm", 0.4, 0.3, 800),
        (1, "released", 0.02, 0.002, 200),
        (2, "released", 0.1, 0.05, 800),
        (3, "released", 0.3, 0.1, 800),
    ],
)
def test_just_above_the_certain_lambda5_descent_ends_at_zero_and_just_below_it_does_not(
    depth, reading, size, rate, steps
):
    """From the worst start, heads held, encoders' biases free. Each modality has its own threshold."""
    p, params = made(depth, reading)
    params = aligned(p, params, size)
    limits = [certain_from(depth, reading, both(g), [size] * depth) for g in pull_of(p, params).values()]
    above, below = (
        sizes(alpha.descend(p._replace(weights=p.weights._replace(r=r)), params, rate, steps, is_encoder))
        for r in (1.15 * max(limits), 0.87 * min(limits))
    )
    assert (above < 0.3 * sizes(params)).all() and (below > 1.05 * sizes(params)).all()


@pytest.mark.parametrize("reading", ["norm", "released"])
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_above_it_every_start_loses_size_at_once(seed, depth, reading):
    """ds/dt < 0 from any matrices: −⟨W, ∇⟩ < 0 for every draw."""
    p, params = made(depth, reading, seed % 3)
    params |= {k: 3 * v for k, v in pick(start(p, seed), is_encoder_matrix).items()}
    for m, g in pull_of(p, params).items():
        names = [f"encoder_{m}.{i}.w" for i in range(1, depth + 1)]
        limit = certain_from(depth, reading, both(g), [norm([params[k]]) for k in names])
        held = p._replace(weights=p.weights._replace(r=1.001 * limit))
        still = alpha.descend(held, params, 0.3, 300, lambda k, m=m: k == f"encoder_{m}.{depth}.b")
        grads = alpha.evaluate(held, still)[1]
        assert sum((grads[k] * still[k]).sum() for k in names) > 0


@pytest.mark.parametrize("depth", [2, 3])
def test_w_0_is_a_minimum_from_the_curvature_that_theory_says(depth):
    p, params = made(depth, "norm")
    limit = max(minimum_from(depth, "norm", both(g)) for g in pull_of(p, params).values())
    for factor in (0.9, 1.1):
        held = p._replace(weights=p.weights._replace(r=factor * limit if depth == 2 else 1e-3))
        smallest = np.linalg.eigvalsh(alpha.hessian(held, params, is_encoder_matrix))[0]
        assert (smallest > 0) == (factor > 1 or depth == 3)


def test_one_layer_under_the_norm_reading_has_no_threshold():
    assert minimum_from(1, "norm", (2.0, 3.0)) == certain_from(1, "norm", (2.0, 3.0), [1.0]) == np.inf
    assert minimum_from(1, "released", (2.0, 3.0)) == certain_from(1, "released", (2.0, 3.0), [1.0]) == 3.0
    assert minimum_from(2, "released", (2.0, 3.0)) == minimum_from(3, "norm", (2.0, 3.0)) == 0.0


# ---- cells ----------------------------------------------------------------------------------------------------------


def work(*changes):
    """Features for both modalities that stand for those of stage 1."""
    data = worlds.features()
    config = worlds.config(*changes)
    outputs = tuple(
        PretrainerOutput(m.x, np.maximum(np.pad(m.x, ((0, 0), (0, 12 - m.x.shape[1]))), 0), m.x)
        for m in data.modalities
    )
    return Work(config, data, runs.parts_of(config, data), outputs)


def test_a_row_holds_a_cell_for_each_lambda5_and_where_it_began():
    found = row(work("alpha=0", "stage2.lr=0.05", "stage2.epochs=60", "stage2.keep=last"), lambda5=(1e-3, 30.0))
    light, heavy = found["cells"]
    assert [c["lambda5"] for c in found["cells"]] == [1e-3, 30.0]
    assert above_chance(light) > 0.2 > above_chance(heavy) and mark(light) == ""
    for m in "ab":
        start, ends = found["start"][m], [c["end"][m] for c in (light, heavy)]
        assert (
            len(start["norms"]) == 2 and min(start["norms"]) > 1 and max(ends[1]["norms"]) < 0.1 < min(ends[0]["norms"])
        )
        assert start["pull"][0] <= start["pull"][1] and start["pull"] != ends[0]["pull"]
        assert heavy["sides"][m]["spread"] < 0.01 * light["sides"][m]["spread"]


def cell(lambda5, ap=0.8, *, lost="", rank=5.0, norms=(2.0,), dead=0.0):
    """A made-up cell; `lost` names the modalities whose V is one point."""
    return {
        "lambda5": lambda5,
        "directions": {d: {"map": ap, "mean_precision_at_tens": ap, "chance": 0.2} for d in ("a->b", "b->a")},
        "sides": {m: {"spread": 1.0, "point": m in lost, "rank": rank, "dead": dead} for m in "ab"},
        "end": {m: {"pull": (1.0, 1.0), "norms": list(norms)} for m in "ab"},
    }


def made_row(*cells):
    return {"cells": list(cells), "start": {m: {"pull": (1.0, 1.0), "norms": [2.0]} for m in "ab"}}


def test_a_boundary_is_where_everything_behind_it_has_collapsed():
    assert boundary(made_row(cell(0.1), cell(1.0, lost="a"), cell(10.0, lost="ab")), "a") == 1.0
    assert boundary(made_row(cell(0.1, lost="a"), cell(1.0), cell(10.0, lost="ab")), "a") == 10.0
    assert boundary(made_row(cell(0.1), cell(1.0), cell(10.0)), "a") is None
    assert boundary(made_row(cell(0.1, norms=(2.0, 1e-4)), cell(1.0, lost="a")), "a") == 0.1, "a matrix of 0"


def test_marks_tell_collapse_from_half_of_it_and_from_one_dimension():
    assert [mark(cell(1.0, lost=lost)) for lost in ("", "a", "b", "ab")] == ["", "½×", "½×", "×"]
    assert mark(cell(1.0, rank=1.05)) == "1-d" and mark(cell(1.0, lost="a", rank=1.0)) == "½×"
    assert mark({"lambda5": 1.0, "failed": "nan"}) == "failed" and not gone({"lambda5": 1.0, "failed": "nan"}, "a")


def rows_of(zero, above):
    """{key: row} of ReLU encoders: `zero` and `above` the row at α = 0 and above it."""
    return {
        ("relu", d, r, a): zero if a == 0 else above
        for d in (1, 3)
        for r in ("norm", "elementwise", "released")
        for a in (0.0, 1.0, 2.0)
    }


LIVES, DIES = made_row(cell(0.1), cell(PAPER)), made_row(cell(0.1, 0.2, lost="ab"), cell(PAPER, 0.2, lost="ab"))
HALF = made_row(cell(0.1), cell(PAPER, 0.2, lost="ab"))


def test_the_verdict_on_alpha_0_is_what_the_cells_say():
    assert collapse_verdict(rows_of(DIES, LIVES)).verdict == "reproduced"
    assert collapse_verdict(rows_of(LIVES, LIVES)).verdict == "not reproduced"
    found = collapse_verdict(rows_of(HALF, LIVES))
    assert found.verdict == "depends on λ5, depth and reading" and "collapses from λ5 = 1" in found.because


def test_alpha_above_0_prevents_it_where_nothing_collapses_and_retrieval_is_above_chance():
    assert prevents_verdict(rows_of(HALF, LIVES)).verdict == "reproduced"
    assert prevents_verdict(rows_of(HALF, DIES)).verdict == "not reproduced"
    at_chance = made_row(cell(0.1), cell(PAPER, 0.21))
    mixed = rows_of(HALF, LIVES) | {("relu", d, "elementwise", a): at_chance for d in (1, 3) for a in (1.0, 2.0)}
    assert prevents_verdict(mixed).verdict == "depends on the reading"


def test_what_lives_is_set_beside_what_theory_allows():
    """σ = 1, one layer, released: alive at 0.1 is allowed, at 2 it is not."""
    rows = {("linear", 1, "released", 0.0): made_row(cell(0.1), cell(2.0))}
    assert "2 of the 4 that live" in held_remark(rows)


def test_a_threshold_is_drawn_between_the_columns():
    assert place(0.1) == 4 and 4 < place(0.2) < 5 and place(1e-9) == 0


# ---- the whole section ----------------------------------------------------------------------------------------------


class Fake:
    """A lab whose world is `work`'s."""

    seeds, scale, worlds = range(1), SMALL, ["places"]

    def config(self, world, seed, **settings):
        return load_config("image-speech", worlds.overrides("stage2.epochs=1"), **settings)

    def run(self, cells, name):
        """One row for each depth: the section does not look at the numbers."""
        base, known = work(), {}
        for c in cells:
            key = c.config.encoder_depth, c.options["lambda5"]
            known[key] = known.get(key) or c.function(base._replace(config=c.config), **c.options)
        return [known[c.config.encoder_depth, c.options["lambda5"]] for c in cells]


def test_the_section_has_its_tables_figures_and_verdicts(monkeypatch):
    monkeypatch.setattr(module, "LAMBDA5", (0.01, PAPER))
    monkeypatch.setattr(module, "TWICE_AT", (PAPER,))
    monkeypatch.setattr(module, "SHORT", {"epochs": 2, "lr": 0.01, "keep": "last"})
    section = phase(Fake())
    paper, edges = section.tables
    assert len(paper.lines) == 18 and {row.about[0] for row in paper.lines} == {
        "norm = elementwise",
        "norm",
        "elementwise",
        "released",
    }
    assert len(edges.lines) == 20 and all(len(row.more) == len(edges.more) for row in edges.lines)
    assert "weights.r=1.0" in paper.lines[0].command and Config.model_fields["alpha"].default == 0
    assert [f.png[:4] for f in section.figures] == [b"\x89PNG"] * 2 and len(section.verdicts) == 3
