"""Claims: which rules there are, what an outcome says, and that every claim of the data has numbers."""

import pytest

from cmir_ref.cmirnet import published
from cmir_ref.replicate import EXPERIMENTS, claims
from cmir_ref.replicate.claims import Claim, claims_of, holds, judge_claims, outcome
from cmir_ref.reports.scores import Score

CLAIM = Claim("4.1", "it is more", "number", "above 1", ["the world", "λ5"], "+.1f")


def numbers(held):
    return {case: 2.0 if value else 0.0 for case, value in held.items()}


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ("above 0.5", (0.6,), (0.5, 0.4)),
        ("at least 0.5", (0.6, 0.5), (0.4,)),
        ("exactly 2", (2, 2.0), (1, 3)),
        ("below 5", (4.9, -1), (5, 6)),
        ("from 3.5 to 5.5", (3.5, 5.4), (3.4, 5.5)),
        ("within 0.02 of 0", (0.0, -0.02, 0.02), (0.03, -0.03)),
        ("within 1 of 1.52", (0.6, 2.5), (0.5, 2.6)),
        ("at least -0.01", (0.0, -0.01), (-0.02,)),
    ],
)
def test_rules(rule, yes, no):
    assert all(holds(rule, x) and holds(rule, Score((x, None))) for x in yes)
    assert not any(holds(rule, x) or holds(rule, Score((x,))) for x in no)
    assert not holds(rule, Score((None,))), "no mean follows no rule"


def test_a_lead_counts_above_its_standard_error():
    lead = "above 0 and above its standard error"
    assert holds(lead, Score((0.01,))) and holds(lead, Score((0.01, 0.02)))
    assert not any(holds(lead, Score(v)) for v in ((0.0,), (None,), (0.1, -0.08), (-0.1, -0.1), (0.1, None, None)))


def test_an_outcome_names_the_fewest_parts_that_tell():
    assert outcome(CLAIM, numbers({("a", "1"): True, ("b", "1"): True})) == "reproduced"
    assert outcome(CLAIM, numbers({("a", "1"): False, ("b", "1"): False})) == "not reproduced"
    held = {("a", "1"): True, ("a", "0"): False, ("b", "1"): True, ("b", "0"): False}
    assert outcome(CLAIM, numbers(held)) == "depends on λ5"
    held = {("a", "1"): True, ("a", "0"): False, ("b", "1"): False, ("b", "0"): False}
    assert outcome(CLAIM, numbers(held)) == "depends on the world and λ5"


def test_a_number_says_of_how_many_seeds_it_is():
    assert claims._judgement(CLAIM, {("a", "1"): Score((2.0, None, 4.0))}).numbers.endswith(" (2 of 3 seeds)")
    assert "seeds" not in claims._judgement(CLAIM, {("a", "1"): Score((2.0, 4.0))}).numbers


def test_cases_that_differ_in_more_have_to_hold_together():
    world = CLAIM._replace(cases=["the world"])
    mixed = numbers({("a", "x"): True, ("a", "y"): False, ("b", "x"): True, ("b", "y"): True})
    assert outcome(world, mixed) == "depends on the world"
    assert outcome(CLAIM._replace(cases=[]), mixed) == "not reproduced"
    assert outcome(CLAIM._replace(cases=[]), numbers({("x",): True, ("y",): True})) == "reproduced"


def test_what_is_missing_was_not_measured():
    assert outcome(CLAIM, {}) == outcome(CLAIM, {("a", "1"): 2.0, ("b", "1"): None}) == "not measured"


def test_a_judgement_says_rule_and_numbers(monkeypatch):
    monkeypatch.setattr(claims, "claims_of", lambda experiment: {"more": CLAIM._replace(rule="at least -1")})
    (judgement,) = judge_claims("table9", more={("a", "1"): 2.0, ("b", "1"): -0.25, ("c", "1"): Score((0.5, 1.0))})
    assert judgement[:3] == ("4.1", "it is more", "reproduced") and judgement.rule == "number: at least −1"
    assert judgement.numbers == "a, 1 +2.0; b, 1 −0.2; c, 1 +0.8" and judgement.extremes == "b, 1 −0.2 … a, 1 +2.0"
    (many,) = judge_claims("table9", more={(f"w{k}", "x"): float(k) for k in range(20)})
    assert many.numbers == "w0, x +0.0 … w19, x +19.0, of 20"
    (none,) = judge_claims("table9", more={})
    assert (none.outcome, none.numbers, none.extremes) == ("not measured", "–", "–")
    with pytest.raises(ValueError, match="table9"):
        judge_claims("table9", less={})


def test_the_data_are_whole():
    found = {name: claims_of(name) for name in EXPERIMENTS}
    assert sum(map(len, found.values())) == 34 and found["headline"] == found["fig1"] == {}
    for claim in (claim for some in found.values() for claim in some.values()):
        assert claim.section.startswith(("4.", "talk", "V.")) and format(1, claim.form)
        holds(claim.rule, Score((0.5,)))  # every rule can be read


def test_printed_figures_in_the_data_are_the_published_ones():
    lead = published.TABLE2["CMIR-NET"][16]["b->a"] - published.TABLE2["SIDHCNN"][16]["b->a"]
    claim = claims_of("table2")["two_per_cent"]
    assert claim.rule == f"within 1 of {lead:.2f}" and claim.numbers.endswith(f"{lead:.2f}")
    apart = [published.TABLE1[64][d][0] - published.TABLE3[64][d][0] for d in ("a->b", "b->a")]
    assert f"(printed: {sum(apart) / 2:.1f})" in claims_of("table3")["harder"].numbers
