"""When the shared space shrinks to a point, and what a run says of it: the cases of the paper's α.

The label-free objective is L2 + L4 + R. At α = 0 its only minimum is one point. The norm reading at α = 1 keeps every
‖w‖ at 1, which keeps V alive where the encoder is linear; ReLU units can still all switch off.
"""

import re
from functools import cache

import pytest
import worlds

from cmir_ref import runs
from cmir_ref.cmirnet.system import facts
from cmir_ref.reports.report import render, state_sentence

LABEL_FREE = (
    "weights.alignment=1",
    "weights.classification=0",
    "weights.feature_norm=1",
    "weights.reconstruction=0",
    "weights.regulariser=1",
)
LINEAR = ("encoder_activation=linear", "encoder_depth=1")
DEEP = ("encoder_activation=relu", "encoder_depth=3", "stage2.lr=0.03", "stage2.epochs=300")


@cache
def outcome(*changes):
    """(evaluation, page) of a run on features that keeps its last epoch."""
    data = worlds.features(paired=True)
    run = runs.train(worlds.config("stage1.epochs=20", "stage1.lr=0.02", "stage2.keep=last", *changes), data)
    result = runs.evaluate(run)
    return result, render(run, result)


def sentence_of(result):
    return state_sentence(result, {"a": "a", "b": "b"})


def chances(result):
    return {d: (m["map"], m["chance"]) for d, m in result["directions"].items()}


def assert_page_says(result, page, sentence):
    text = re.sub(r"\s+", " ", page)
    assert sentence_of(result) in text and sentence in text
    assert text.count('<td class="chance">') == 4 * len(result["directions"])  # two of chance, two of a perfect order
    for m in result["directions"].values():
        assert f'<td class="chance">{m["chance"]:.3f}</td>' in text


@pytest.mark.parametrize("seed", [0, 1])
def test_without_labels_alpha_0_ends_in_one_point(seed):
    result, page = outcome(*LABEL_FREE, *DEEP, "alpha=0", f"seed={seed}")
    assert result["state"] == "collapsed" and result["scale"] < 1e-6 and result["effective_rank"] == 0
    assert max(result["weight_norms"].values()) < 1e-3
    assert sentence_of(result).startswith("Collapsed: the encoder weights shrank to zero")
    assert all(found == pytest.approx(chance, abs=1e-12) for found, chance in chances(result).values())
    assert_page_says(result, page, "All items tie: the precisions below are what a random order gives (chance)")


def test_so_does_a_linear_encoder_though_what_is_left_can_be_ranked():
    result, page = outcome(*LABEL_FREE, *LINEAR, "alpha=0", "stage2.lr=0.1", "stage2.epochs=400")
    assert result["state"] == "collapsed" and 0 < result["scale"] < 1e-8
    assert max(result["weight_norms"].values()) < 1e-6
    assert sentence_of(result).startswith("Collapsed: the encoder weights shrank to zero")
    if any(found != chance for found, chance in chances(result).values()):
        assert_page_says(result, page, "still give an order")
        assert "All items tie" not in page


def test_at_alpha_1_a_linear_encoder_stays_alive():
    result, page = outcome(*LABEL_FREE, *LINEAR, "alpha=1", "alpha_reading=norm", "stage2.lr=0.03", "stage2.epochs=400")
    assert result["state"] == "alive" and result["scale"] > 0.05
    assert result["dead_units"] == {"a": 0, "b": 0}
    assert all(norm == pytest.approx(1, abs=0.1) for norm in result["weight_norms"].values())
    assert sentence_of(result).startswith("Alive: embeddings spread 0.")
    assert_page_says(result, page, "Alive: embeddings spread")
    assert "All items tie" not in page and "still give an order" not in page


@pytest.mark.parametrize("seed", [0, 1])
def test_at_alpha_1_relu_encoders_die_though_their_weights_live(seed):
    result, page = outcome(*LABEL_FREE, *DEEP, "alpha=1", "alpha_reading=norm", f"seed={seed}")
    assert all(norm == pytest.approx(1, abs=0.02) for norm in result["weight_norms"].values())
    assert result["state"] == "collapsed" and result["dead_units"] == {"a": 1, "b": 1}
    assert sentence_of(result) == (
        "Collapsed: every embedding of a and b is the same although the weights live (smallest ‖w‖ = 1); "
        "100% and 100% of its units never vary."
    )
    assert all(found == pytest.approx(chance, abs=1e-12) for found, chance in chances(result).values())
    assert_page_says(result, page, "All items tie")


def test_one_dead_modality_is_half_a_collapse():
    run = runs.train(worlds.config(), worlds.features(n=20))
    dead = {"b": {"v": 0 * run.encoded["b"]["v"]}}
    space = facts(run._replace(encoded=run.encoded | dead))
    assert (space["state"], space["one_point"]) == ("half collapsed", ["b"])
    sentence = sentence_of(space)
    assert sentence.startswith("Half collapsed: every embedding of b is the same although the weights live")


def test_a_unit_that_never_varies_is_dead_whatever_its_value_and_each_encoder_matrix_has_a_norm():
    run = runs.train(worlds.config("encoder_depth=3", "stage1.epochs=1", "stage2.epochs=1"), worlds.features(n=20))
    v = run.encoded["b"]["v"].copy()
    v[:, :2] = 5
    space = facts(run._replace(encoded=run.encoded | {"b": {"v": v}}))
    assert space["dead_units"] == {"a": 0, "b": pytest.approx(2 / 6)}
    matrices = {f"encoder_{m}.{i}.w": run.tensors[f"stage2/params/encoder_{m}.{i}.w"] for m in "ab" for i in (1, 2, 3)}
    assert space["weight_norms"] == pytest.approx({name: (w**2).sum() ** 0.5 for name, w in matrices.items()})


@pytest.mark.parametrize("alpha", ["0", "1"])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_the_full_objective_stays_alive(alpha, activation):
    changes = (
        "encoder_depth=3",
        "stage2.lr=0.01",
        "stage2.epochs=100",
        "weights.regulariser=0.01",
        "weights.alignment=0.1",
    )
    result, page = outcome(*changes, f"alpha={alpha}", f"encoder_activation={activation}")
    assert result["state"] == "alive" and result["scale"] > 0.05
    assert sentence_of(result).startswith("Alive")
    found, chance = chances(result)["a->b"]
    assert found > chance + 0.1
    assert_page_says(result, page, "Alive")
