"""The method of lesson 21 is enough for four operations that no lesson derives, and finds what is wrong in them."""

import inspect

import cold_reading
import numpy as np
import pytest
from exercises import SOURCES, exercises, needed, run

PAIRS = {  # name: (forward, backward, shapes of the inputs by name)
    "label smoothing": (cold_reading.smoothing, cold_reading.smoothing_back, {"u": (5, 4)}),
    "layer normalisation of rows": (*cold_reading.layer_norm(1), {"x": (4, 5), "gain": (5,)}),
    "layer normalisation of columns": (*cold_reading.layer_norm(0), {"x": (4, 5), "gain": (5,)}),
    "attention with a mask": (
        cold_reading.attention,
        cold_reading.attention_back,
        {"q": (3, 6), "k": (4, 6), "v": (4, 2)},
    ),
    "a GRU step": (
        cold_reading.gru,
        cold_reading.gru_back,
        {"x": (3, 2), "h": (3, 4), "w": (2, 12), "u": (4, 12), "b": (12,)},
    ),
}
MISTAKES = {  # (name, the right line, a wrong one): the name that the nudge stops at
    ("label smoothing", 'd["l"] / c["t"]', 'd["l"]'): "t",
    ("label smoothing", 'd["u"] += d["e"] * c["e"]', "pass"): "u",
    ("attention with a mask", 'd["e"] += d["t"]', "pass"): "e",
    ("attention with a mask", 'np.where(MASK, d["w"], 0)', 'd["w"] + ~MASK'): "u",
    ("a GRU step", 'd["s"] * c["r"]', 'd["s"]'): "k",
    ("a GRU step", 'd["n"] * (1 - c["n"] ** 2)', 'd["n"]'): "s",
    ("a GRU step", 'd["h"] += d["k"] @ u_n.T', "pass"): "h",
}


@pytest.fixture(scope="module")
def lesson():
    """`measure` and `first_wrong` of lesson 21, as they stand there."""
    names = {}
    run(needed(exercises(SOURCES["21"])[0].before, {"measure", "first_wrong"}), names, "21")
    return names


def judge(lesson, name, backward, seed):
    rng = np.random.default_rng(seed)
    forward, _, shapes = PAIRS[name]
    inputs = {what: rng.normal(size=shape) for what, shape in shapes.items()}
    y, c = forward(**inputs)
    dy = rng.normal(size=y.shape)
    truth = lesson["measure"](forward, inputs, c, dy)
    return lesson["first_wrong"](backward(dy, *inputs.values(), c), truth)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", PAIRS)
def test_the_derivation_is_right(lesson, name, seed):
    assert judge(lesson, name, PAIRS[name][1], seed) == (None, "all right")


@pytest.mark.parametrize(("name", "right", "wrong"), MISTAKES)
def test_a_mistake_is_found_where_it_is(lesson, name, right, wrong):
    text = inspect.getsource(PAIRS[name][1])
    assert text.count(right) == 1
    space = dict(vars(cold_reading))
    exec(text.replace(right, wrong), space)
    assert judge(lesson, name, space[PAIRS[name][1].__name__], 0)[0] == MISTAKES[name, right, wrong]
