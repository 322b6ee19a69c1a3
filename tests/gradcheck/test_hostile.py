"""The verdict on small wrong functions and right ones, by each way in: the function, the judgement, the command."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile import CASES

from cmir_ref import cli
from cmir_ref.errors import InputError
from cmir_ref.gradcheck import Pair, check_gradient, judge

FILE = Path(__file__).parent / "hostile.py"
EACH = pytest.mark.parametrize("name", CASES)
QUIET = pytest.mark.filterwarnings("ignore")  # the functions divide by 0, take roots of negative numbers, …


def test_there_are_many_of_both():
    wrong = sum(verdict == 1 for verdict, *_ in CASES.values())
    assert wrong >= 30 and sum(verdict == 0 for verdict, *_ in CASES.values()) >= 15


@EACH
@QUIET
def test_by_the_function(name):
    """An empty input is right here: nothing in it is wrong, as in an empty batch. What is open is not right."""
    verdict, f, backward, inputs = CASES[name]
    try:
        right = all(r.right for r in check_gradient(f, backward, [x.copy() for x in inputs]))
    except ValueError:
        right = False
    assert right == (verdict == 0 or not all(x.size for x in inputs))


@EACH
@QUIET
def test_by_the_judgement(name):
    verdict, f, backward, inputs = CASES[name]
    pair = Pair(f, backward, {f"input{i}": x.copy() for i, x in enumerate(inputs)})
    if verdict == "refused":
        with pytest.raises(InputError) as refused:
            judge(pair)
        assert "\n" not in str(refused.value)
    else:
        judgement = judge(pair)
        assert judgement.status == verdict
        assert bool(judgement.findings) == (verdict == 1) and bool(judgement.undecided) == (verdict == 2)


@EACH
@QUIET
def test_by_the_command(name, capsys, monkeypatch):
    """0 right, 1 wrong, 2 where nothing can be judged; a refusal is one line."""
    verdict = CASES[name][0]
    who = "case_" + "".join(c if c.isalnum() else "_" for c in name)
    monkeypatch.setattr(sys, "argv", ["cmir-ref", "gradcheck", "--module", f"{FILE}:{who}", "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code or 0) == (2 if verdict == "refused" else verdict)
    if verdict == "refused":
        assert out == "" and err.strip().count("\n") == 0 and "Traceback" not in err
    else:
        json.loads(out)


@pytest.mark.parametrize("weight", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_forward_that_loses_the_imaginary_part_is_judged_by_the_central_difference(weight, forgotten):
    """|w| by np.abs: what the complex step does not see is seen all the same, by results of one method alone."""
    w = np.random.default_rng(2).normal(size=(5, 3))

    def backward(dy, w):
        return (2 * w + (0 if forgotten else weight) * np.sign(w)) * dy

    results = check_gradient(lambda w: ((w * w).sum() + weight * np.abs(w).sum(), w), backward, [w])
    assert [r.method for r in results] == ["central-difference"]
    assert results[0].right != forgotten
