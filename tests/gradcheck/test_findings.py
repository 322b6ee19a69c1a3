"""The words for one wrong gradient, and which inputs are wrong, right and neither."""

import numpy as np
import pytest

from cmir_ref.gradcheck import Result
from cmir_ref.gradcheck.findings import UNDECIDED, Finding, Judgement, describe, of_the_whole, sides_text
from cmir_ref.gradcheck.slopes import Slope

DOUBLED = Finding("x", (0, 2), 1.0, 0.5, 3, 12, "factor", "a 2 too much")
NEAR_TWO = np.nextafter(2, 0)


def test_a_finding_says_the_entry_the_ratio_and_what_it_looks_like():
    assert list(describe(DOUBLED)) == [
        "x[0, 2]: 1, measured 0.5 (2 times); 3 of 12 entries are off",
        "  looks like: a 2 too much",
    ]
    assert list(describe(DOUBLED._replace(kind=None, sentence="no known kind")))[1] == "  no known kind"
    assert list(describe(of_the_whole("not pure", "it writes"))) == ["the pair as a whole", "  looks like: it writes"]
    assert next(describe(of_the_whole("not pure", "it writes")._replace(input="x"))) == "x"


def test_of_what_is_not_judged_no_kind_is_said():
    undecided = DOUBLED._replace(measured=None, kind=UNDECIDED, sentence="on a kink")
    assert list(describe(undecided)) == ["x[0, 2]: 1, and nothing measured to compare it with", "  on a kink"]


@pytest.mark.parametrize(
    ("where", "sentence", "told"),
    [("all", "a sum", ""), ("row 2", "a sum", ", row 2"), ("row 2", "a sum; they are row 2", "")],
)
def test_which_entries_are_off_is_said_once(where, sentence, told):
    first, _ = describe(DOUBLED._replace(where=where, sentence=sentence))
    assert first.endswith(f"entries are off{told}")


@pytest.mark.parametrize(
    ("ours", "measured", "words"),
    [
        (1.0, 0.0, "1, measured 0; "),  # by nothing can be divided
        (np.inf, 0.5, "inf, measured 0.5; "),
        (0.5, 1.0, "0.5, measured 1 (0.5 times)"),
        (1.002, 1.0, "1.002, measured 1 (1.002 times)"),
        (1.0000003, 1.0, "1.0000003, measured 1 (1 + 3e-07 times)"),  # as many digits as show a difference
        (0.9999997, 1.0, "0.9999997, measured 1 (1 − 3e-07 times)"),
        (NEAR_TWO, np.nextafter(NEAR_TWO, 0), "1.9999999999999998, measured 1.9999999999999996 (1 + 2e-16 times)"),
    ],
)
def test_two_numbers_and_their_ratio_differ_in_print(ours, measured, words):
    first, _ = describe(DOUBLED._replace(ours=ours, measured=measured))
    assert first.startswith(f"x[0, 2]: {words}")


def test_the_two_slopes_at_a_kink():
    assert sides_text(Slope(0.5, 0.0, jump=1.0)) == "0 on one side and 1 on the other"


def test_what_is_neither_wrong_nor_open_is_right():
    """In the order of the inputs; what was not compared comes last, and the pair as a whole is no input."""
    results = [Result(name, method, 0.0, (), 0.0, 0.0) for name in ("w", "x", "b", "all") for method in "12"]
    findings = [DOUBLED._replace(input=name) for name in ("g", "x", "w")] + [of_the_whole(None, "it writes")]
    found = Judgement(results, findings, [], [DOUBLED._replace(input="b")])
    assert (found.inputs, found.wrong, found.right) == (["w", "x", "b"], ["w", "x", "g"], [])
    assert found.summary == "wrong: w, x, g; right: none"
    assert Judgement(results, findings[1:2], [], []).summary == "wrong: x; right: w, b"
    assert Judgement(results[:2], findings[2:3], [], []).summary == "", "one input needs no list"
    assert Judgement(results[:2], findings[:1], [], []).summary == "wrong: g; right: w", "not compared, but an input"
    stati = [Judgement(results, f, [], u).status for f in ([], findings) for u in ([], findings)]
    assert stati == [0, 2, 1, 1], "what is wrong is wrong whatever else is open"
