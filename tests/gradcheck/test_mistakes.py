"""Planted mistakes in whole operations: a report names them by a right name, and none by a wrong one.

The 56 of four operations guided the making of the kinds. Those of five other operations, and of seven more, are
controls: they were written down afterwards, and what no report names there stays in the tables.
"""

from functools import cache

import four_operations
import more_operations
import numpy as np
import other_operations
import pytest
from four_operations import pair_of
from planted import verdict

from cmir_ref.gradcheck import judge
from cmir_ref.gradcheck.forms import line_forms

FOUR = {f"{row[0]}: {row[1]}": row for row in four_operations.MISTAKES}
OTHERS = {f"{row[0]}: {row[1]}": row for row in other_operations.MISTAKES}
MORE = {f"{row[0]}: {row[1]}": row for row in more_operations.MISTAKES}
NOT_NAMED = {"attention: softmax's sum over the other axis"}
NOT_NAMED |= {name for name, row in MORE.items() if not row[3]}


@cache
def said_of(name):
    """The verdict on the report on a mistake."""
    operation, _, changes, names, words = (FOUR | OTHERS | MORE)[name]
    space = vars(four_operations if name in FOUR else other_operations if name in OTHERS else more_operations)
    return verdict(judge(pair_of(operation, changes, space)), names, words)


def test_the_mistakes_are_56_in_four_operations():
    counts = {operation: sum(row[0] == operation for row in FOUR.values()) for operation in ("triplet", "layer_norm")}
    assert len(FOUR) == 56 and counts == {"triplet": 13, "layer_norm": 15}


@pytest.mark.parametrize("operation", dict.fromkeys(row[0] for row in (FOUR | OTHERS | MORE).values()))
def test_the_right_operations_are_right(operation):
    space = vars(four_operations) | vars(other_operations) | vars(more_operations)
    judgement = judge(pair_of(operation, (), space))
    assert judgement.status == 0 and all("is not differentiated" in note for note in judgement.notes)


@pytest.mark.parametrize("name", FOUR)
def test_a_mistake_is_named_by_a_right_name_and_in_words_that_lead_to_it(name):
    assert said_of(name) == "right"


def test_of_56_mistakes_at_least_45_are_named_and_none_wrongly():
    said = [said_of(name) for name in FOUR]
    assert said.count("right") >= 45 and "wrong" not in said


def test_of_the_controls_most_are_named():
    assert len(OTHERS) == 40 and len(MORE) == 53 and len(NOT_NAMED) <= 15


@pytest.mark.parametrize("name", OTHERS | MORE)
def test_a_mistake_of_the_control_is_not_named_wrongly(name):
    assert said_of(name) == ("not named" if name in NOT_NAMED else "right")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sum_that_is_rounding_is_no_factor(seed):
    """x̂ of a layer normalisation has the sum 0 along a row, and what rounding leaves of it explains nothing."""
    operation, _, changes, names, words = FOUR["layer_norm: path through the mean"]
    inputs = four_operations.layer_norm_inputs(np.random.default_rng(seed))
    judgement = judge(pair_of(operation, changes)._replace(inputs=inputs), seed=seed)
    assert verdict(judgement, names, words) == "right"


def test_the_sum_of_a_line_is_tried_where_it_is_more_than_rounding():
    a = np.random.default_rng(0).standard_normal((3, 5))
    a -= a.mean(axis=1, keepdims=True)
    assert a.sum(axis=1).any()
    sums = [form.words for form in line_forms("x", a) if form.words.startswith("the sum")]
    assert sums == ["the sum of x along axis 0"]


@pytest.mark.parametrize("name", ["layer_norm", "gru", "cosine", "attention", "lstm", "mlp", "bn"])
def test_noise_is_named_by_no_kind(name):
    """A gradient with random numbers times dy on top is no mistake that someone makes."""
    pair = pair_of(name, (), vars(four_operations) | vars(other_operations) | vars(more_operations))
    rng = np.random.default_rng([5, 7])

    def backward(dy, cache):
        first, *others = pair.backward(dy, cache)
        flat = np.concatenate([np.ravel(part) for part in (dy if isinstance(dy, tuple) else (dy,))])
        noise.setdefault("r", rng.normal(size=(first.size, flat.size)))
        return [first + 0.3 * (noise["r"] @ flat).reshape(first.shape), *others]

    noise = {}
    (finding,) = judge(pair._replace(backward=backward)).findings
    assert finding.kind is None
