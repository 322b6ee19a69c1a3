"""Typical wrong answers to the exercises: each is refused, with words that lead to the mistake."""

import ast
from collections import Counter

import matplotlib
import pytest
from exercises import LESSONS, SOURCES, exercises, needed, reads, run
from wrong_answers import ALSO_RIGHT, ROWS, WRONG

from cmir_ref.errors import InputError

MANY = 90  # so many at least for the first fourteen lessons


@pytest.fixture(scope="module")
def made():
    """A function from the key of an exercise, as "02" or "10b", to (its names, its cells); each is made once."""
    matplotlib.use("Agg")
    known = {}

    def exercise_of(key):
        if key not in known:
            exercise = exercises(SOURCES[key[:2]])["abc".index(key[2:] or "a")]
            wanted = set().union(*(reads(ast.parse(text).body) for text in exercise.cells.values()))
            names = {"__name__": "lesson", "display": lambda *shown: None}
            run(needed(exercise.before, wanted), names, key)
            exec(exercise.cells["exercise"], names)
            known[key] = names, exercise.cells
        return known[key]

    return exercise_of


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda *shown, **how: None)
    monkeypatch.chdir(LESSONS)


def answer_of(solution: str, changes: str | list[tuple[str, str]]) -> str:
    """A whole answer as it stands, or the solution with some of its words exchanged."""
    if isinstance(changes, str):
        return changes
    for right, wrong in changes:
        assert solution.count(right) == 1, f"the solution has {right!r} {solution.count(right)} times"
        solution = solution.replace(right, wrong)
    return solution


@pytest.mark.parametrize("key", list(WRONG))
def test_the_solution_passes(key, made):
    names, cells = made(key)
    exec(cells["solution"], names)
    exec(cells["check"], names)


@pytest.mark.parametrize("row", ALSO_RIGHT, ids=lambda row: f"{row[0]}: {row[1]}")
def test_another_way_that_is_right_passes(row, made):
    key, _, answer = row
    names, cells = made(key)
    exec(cells["exercise"], names)
    exec(answer, names)
    exec(cells["check"], names)


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_wrong_answer_is_refused_with_words_that_lead_to_it(row, made):
    key, _, changes, words = row
    names, cells = made(key)
    exec(cells["exercise"], names)
    exec(answer_of(cells["solution"], changes), names)
    with pytest.raises((AssertionError, InputError)) as refused:
        exec(cells["check"], names)
    for word in [words] if isinstance(words, str) else words:
        assert word in str(refused.value)


def test_there_are_many_and_every_exercise_has_some():
    of_lesson = Counter(row[0][:2] for row in ROWS)
    assert sum(of_lesson[f"{n:02}"] for n in range(14)) >= MANY
    keys = {n + letter for n, s in SOURCES.items() for letter, _ in zip(["", "b", "c"], exercises(s), strict=False)}
    assert keys == set(WRONG)


def test_only_what_an_answer_needs_is_run():
    text = """import a
b = a.f()
slow = a.g(b)
c = {}
for k in b:
    c[k] = 1
d = 3
d += b
def f(b):
    return b + d + e
e = 1"""

    def first(names):
        return [ast.unparse(s).splitlines()[0] for s in needed(ast.parse(text).body, names)]

    assert first({"c"}) == ["import a", "b = a.f()", "c = {}", "for k in b:"]
    assert first({"f"}) == ["import a", "b = a.f()", "d = 3", "d += b", "def f(b):", "e = 1"]
    assert reads(ast.parse("f = lambda x: x + y\nz = 1\nfor i in z:\n    u = i\n    g(u)").body) == {"y", "g"}
