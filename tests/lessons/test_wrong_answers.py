"""Typical wrong answers to the exercises: each is refused, with words that lead to the mistake."""

import sys
from pathlib import Path

import matplotlib
import pytest

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path.insert(0, str(LESSONS))

import weave  # noqa: E402

SKIP = {  # cells that train, which no answer needs: what stands in them
    "15": ("def learn(",),
    "17": ("def train(", "read_as_query"),
    "18": ("def train(", "whose = "),
    "19": ("shares, curves",),
    "21": ("subprocess", "getsource"),
}
WRONG = {  # lesson: what is wrong -> (changes of the solution's text, words of the message)
    "02": {
        "dg without the upstream": ([("(dy * (x @ w)).sum(axis=0)", "(x @ w).sum(axis=0)")], "upstream dy is ignored"),
        "dg not summed": ([("(dy * (x @ w)).sum(axis=0)", "dy * (x @ w)")], "which index is summed"),
        "the scale forgotten": ([("ds = dy * g", "ds = dy")], "factor g is missing"),
        "dw transposed": ([("x.T @ ds", "ds.T @ x")], "dw has shape"),
    },
    "03": {
        "a mean over N": ([("(p - q) / c.sum()", "(p - q) / len(p)")], "u["),
        "the loss's weights forgotten": ([("c[:, None] * (p - q)", "(p - q)")], "u["),
        "the mean not taken off": ([("(losses - loss)", "losses")], "worse than the mean"),
        "dloss forgotten": ([("dloss * c[:, None]", "c[:, None]")], "upstream dy is ignored"),
    },
    "14": {
        "the path through the gate": ([(" + d_gate @ u.T", "")], "who uses x"),
        "tanh's slope": ([(" * (1 - n * n)", "")], "w["),
        "the gate's sign": ([("(n - x) * g", "(x - n) * g")], "sign is wrong"),
        "the two exchanged": ([("x.T @ d_new, x.T @ d_gate", "x.T @ d_gate, x.T @ d_new")], "swapped"),
    },
    "15": {
        "h in the product": ([("(r * h).T @ ds_n", "h.T @ ds_n")], "r ⊙ h"),
        "dr without h": ([("dm * h, dm * r", "dm, dm * r")], "u["),
        "the blend forgotten": ([("dnew * z + through_n", "through_n")], "h["),
    },
    "16": {
        "the squares of b": ([(" - 2 * b * ds.sum(axis=0)[:, None]", "")], "multiple of b"),
        "the sign of a square": ([("2 * ds @ b - 2 * a", "2 * ds @ b + 2 * a")], "a multiple of a"),
        "no transpose": ([("ds.T @ a", "ds @ a")], "4 × 4"),
    },
    "17": {
        "the mean wish": ([("a * (da - (a * da).sum(axis=1, keepdims=True))", "a * da")], "each share's wish"),
        "tau": ([("(du * agreement).sum()", "0.0")], "only zeros: the path to tau"),
        "tau for k alone": ([("tau * du @ k,", "du @ k,")], "factor tau is missing"),
    },
    "18": {
        "s/tau": ([("return du / tau", "return du")], "factor tau is too much"),
        "the sign of tau": ([("-(du * s)", "(du * s)")], "tau["),
        "1/n": ([("(p - np.eye(len(s))) / len(s)", "(p - np.eye(len(s)))")], "1/n of a mean is missing"),
    },
    "19": {
        "all groups": ([("distances[own].min()", "distances.min()")], "over all orders"),
        "one place too many": ([("k - before", "k - before + 1")], "how many places"),
    },
    "20": {
        "the last of several": ([("np.add.at(de, TEXT, dproduct * gain)", "de[TEXT] += dproduct * gain")], "how often"),
        "the gain forgotten": ([("dproduct * gain)", "dproduct)")], "factor gain is missing"),
    },
    "21": {
        "the path through the mean": ([("dc - dc.mean(axis=1, keepdims=True)", "dc")], "who uses a"),
        "the path through v": ([("dc + dv * 2 * c / len(c)", "dc")], "who uses c"),
        "the other axis": ([("dc.mean(axis=1", "dc.mean(axis=0")], "along which axis"),
        "gain not summed": ([("(dy * t).sum(axis=0)", "dy * t")], "sum over axis 0 is missing"),
    },
}
CASES = [(lesson, what) for lesson, answers in WRONG.items() for what in answers]


@pytest.fixture(scope="module")
def exercise(request):
    """(the names that a lesson has made before its exercise, the cells of its answer and its check)."""
    matplotlib.use("Agg")
    known = {}

    def exercise_of(lesson):
        if lesson not in known:
            source = next(s for s in weave.sources() if s.stem.startswith(lesson))
            names, found = {"__name__": "lesson", "display": lambda *shown: None}, {}
            for cell in (c for c in weave.read(source).cells if c.cell_type == "code"):
                kind = next((t for t in ("exercise", "solution", "check") if weave.tagged(cell, t)), None)
                if kind:
                    found[kind] = cell.source
                elif found or any(word in cell.source for word in SKIP.get(lesson, ())):
                    continue
                else:
                    exec(cell.source, names)
            exec(found["exercise"], names)
            known[lesson] = names, found
        return known[lesson]

    return exercise_of


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda *shown, **how: None)
    monkeypatch.chdir(LESSONS)


@pytest.mark.parametrize("lesson", list(WRONG))
def test_the_solution_passes(lesson, exercise):
    names, cells = exercise(lesson)
    exec(cells["solution"], names)
    exec(cells["check"], names)


@pytest.mark.parametrize(("lesson", "what"), CASES, ids=[f"{lesson}: {what}" for lesson, what in CASES])
def test_a_wrong_answer_is_refused_with_words_that_lead_to_it(lesson, what, exercise):
    names, cells = exercise(lesson)
    changes, words = WRONG[lesson][what]
    answer = cells["solution"]
    for right, wrong in changes:
        assert answer.count(right) == 1, f"the solution no longer has {right!r}"
        answer = answer.replace(right, wrong)
    exec(answer, names)
    with pytest.raises(AssertionError) as refused:
        exec(cells["check"], names)
    assert words in str(refused.value)
