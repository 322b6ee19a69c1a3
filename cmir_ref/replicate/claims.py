"""What becomes of the paper's claims. The claims are data, `<paper>/claims.toml`; this decides on all of them alike."""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from .. import amfmn, attention, cmirnet
from ..reports.experiment import ClaimJudgement
from ..reports.scores import Score, number

FEW = 12  # numbers, up to which all are shown

Number = float | Score | None
Numbers = Mapping[tuple[str, ...], Number]  # {case: number}; one that is None was not measured


class Claim(NamedTuple):
    """A claim of the paper; claims.toml says what the fields are."""

    section: str
    claim: str
    numbers: str
    rule: str
    cases: list[str]
    form: str


@cache
def claims_of(experiment: str) -> dict[str, Claim]:
    """The claims that an experiment decides on, by their names."""
    texts = [Path(p.__file__).with_name("claims.toml").read_text(encoding="utf-8") for p in (cmirnet, attention, amfmn)]
    tables = [tomllib.loads(text).get(experiment, {}) for text in texts]
    return {name: Claim(**fields) for table in tables for name, fields in table.items()}


def judge_claims(experiment: str, **numbers: Numbers) -> tuple[ClaimJudgement, ...]:
    """What becomes of each claim of an experiment by its numbers, with rule and numbers in words."""
    claims = claims_of(experiment)
    if claims.keys() != numbers.keys():
        raise ValueError(f"{experiment}: numbers of {sorted(numbers)} for the claims {sorted(claims)}")
    return tuple(_judgement(claim, numbers[name]) for name, claim in claims.items())


def outcome(claim: Claim, numbers: Numbers) -> str:
    """ "reproduced" where the rule holds in all cases, "not reproduced" where in none, "not measured" where a number is
    missing, else "depends on …": the fewest of the claim's `cases` that tell where it holds."""
    if not numbers or None in numbers.values():
        return "not measured"
    held: dict[tuple, bool] = {}
    for case, value in numbers.items():
        key = case[: len(claim.cases)]
        held[key] = held.get(key, True) and holds(claim.rule, value)
    if len(set(held.values())) == 1:
        return "reproduced" if all(held.values()) else "not reproduced"
    for size in range(1, len(claim.cases) + 1):
        for few in combinations(range(len(claim.cases)), size):
            answers: dict[tuple, set] = {}
            for key, value in held.items():
                answers.setdefault(tuple(key[i] for i in few), set()).add(value)
            if all(len(values) == 1 for values in answers.values()):
                return "depends on " + " and ".join(claim.cases[i] for i in few)
    raise ValueError(f"{claim.claim}: cases are not those of {claim.cases}")


def is_ahead(lead: Score) -> bool:
    """Whether a lead counts: its mean is above 0 and, where there are several seeds, above its standard error. If all
    but one of several seeds failed, there is no such error, and the lead does not count.
    """
    if len(lead.values) > 1 and lead.sd is None:
        return False
    error = (lead.sd or 0.0) / math.sqrt(max(len(lead.there), 1))
    return lead.mean is not None and lead.mean > error


RULES: dict[str, Callable[..., bool]] = {
    r"above (\S+)": lambda x, low: x > low,
    r"at least (\S+)": lambda x, low: x >= low,
    r"exactly (\S+)": lambda x, value: x == value,
    r"below (\S+)": lambda x, high: x < high,
    r"from (\S+) to (\S+)": lambda x, low, high: low <= x < high,
    r"within (\S+) of (\S+)": lambda x, near, to: abs(x - to) <= near,
}


def holds(rule: str, value: float | Score) -> bool:
    """Whether a number is as the rule says; of a score the mean is asked, and one without a mean never is."""
    if rule == "above 0 and above its standard error":
        return is_ahead(value)
    value = _mean(value)
    form, test = next((match, test) for form, test in RULES.items() if (match := re.fullmatch(form, rule)))
    return value is not None and bool(test(value, *map(float, form.groups())))


def _mean(value: Number) -> float | None:
    return value.mean if isinstance(value, Score) else value


def _judgement(claim: Claim, numbers: Numbers) -> ClaimJudgement:
    texts = {case: f"{', '.join(case)} {number(value, claim.form)}".strip() for case, value in numbers.items()}
    ordered = sorted(numbers, key=lambda case: -math.inf if _mean(numbers[case]) is None else _mean(numbers[case]))
    extremes = " … ".join(dict.fromkeys(texts[case] for case in ordered[:1] + ordered[-1:])) or "–"
    some = "; ".join(texts.values()) if len(texts) <= FEW else f"{extremes}, of {len(texts)}"
    rule = f"{claim.numbers}: {claim.rule.replace('-', '−')}"
    return ClaimJudgement(claim.section, claim.claim, outcome(claim, numbers), rule, some or "–", extremes)
