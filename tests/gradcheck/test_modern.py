"""Mistakes in operations of modern practice: named by a right name, or not at all, and then the report says where."""

from functools import cache

import modern_operations
import pytest
from four_operations import pair_of
from planted import verdict

from cmir_ref.gradcheck import judge

MISTAKES = {f"{row[0]}: {row[1]}": row for row in modern_operations.MISTAKES}


@cache
def report_on(name):
    operation, _, changes, *_ = MISTAKES[name]
    return judge(pair_of(operation, changes, vars(modern_operations)))


@pytest.mark.parametrize("operation", dict.fromkeys(row[0] for row in MISTAKES.values()))
def test_the_right_operation_is_right(operation):
    assert judge(pair_of(operation, (), vars(modern_operations))).status == 0


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_and_not_named_wrongly(name):
    *_, names, words = MISTAKES[name]
    judgement = report_on(name)
    assert judgement.status == 1
    assert verdict(judgement, names, words) == ("right" if names else "not named")
    assert any(words in finding.sentence for finding in judgement.findings)
