"""A reader's own function raises, wherever it is called: one plain line names it and what it raised."""

import functools
import json

import numpy as np
import pytest

from cmir_ref import cli
from cmir_ref.errors import InputError
from cmir_ref.gradcheck import check_gradient, explain, judge, load_pair
from cmir_ref.gradcheck.module import call_or_refuse
from cmir_ref.gradcheck.step_sizes import step_errors
from cmir_ref.gradcheck.steps import judge_steps, load_steps

GOOD = """
import functools
import numpy as np
def f_inputs(rng):
    return {"x": rng.normal(size=(2, 3)) + 4}
def f(x):
    return x * x, x
def f_backward(dy, x):
    return 2 * x * dy
class Thing:
    def __init__(self, work):
        self.work = work
    def __call__(self, *given):
        return self.work(*given)
def fail(*given):
    raise KeyError("no such
thing")
FIRST = {}
def moved(key, x):
    return not np.array_equal(np.real(x), np.real(FIRST.setdefault(key, np.array(x))))
""".replace("such\nthing", "such\\nthing")

FORMS = {  # of a function that raises, as a file may have it
    "def": ("def {0}(*given):\n    fail()", "{0}", "KeyError"),
    "lambda": ("{0} = lambda *given: 1 / 0", "{0}", "ZeroDivisionError"),
    "partial": ("{0} = functools.partial(fail, 3)", "{0}", "KeyError"),
    "object": ("{0} = Thing(fail)", "{0}", "KeyError"),
    "decorated": ("@functools.wraps(fail)\ndef {0}(*given):\n    fail()", "fail", "KeyError"),
    "ufunc": ("{0} = np.frompyfunc(lambda *given: 1 / 0, {1}, 1)", "{0}", "ZeroDivisionError"),
    "built in": ("{0} = __import__('math').erfc", "erfc", "TypeError"),
    "made of text": ("exec('def {0}(*given): raise KeyError(1)')", "{0}", "KeyError"),
    "exit": ("def {0}(*given):\n    raise SystemExit(0)", "{0}", "SystemExit"),
    "assertion": ("def {0}(*given):\n    assert not given", "{0}", "AssertionError"),
}


def write(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(GOOD + text + "\n")
    return f"{path}:f"


def line_of(call):
    """What a call refuses in one line."""
    with pytest.raises(InputError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text and "None" not in text
    return text


@pytest.mark.parametrize("which, count", [("f", 1), ("f_backward", 2), ("f_inputs", 1)])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_function_is_named(form, which, count, tmp_path):
    text, name, error = FORMS[form]
    where = write(tmp_path, text.format(which, count))
    line = line_of(lambda: judge(load_pair(where)))
    assert f"{name.format(which)} raises {error}" in line
    assert ("mine.py: " in line) == (form not in ("ufunc", "built in", "made of text"))


@pytest.mark.parametrize("form", FORMS)
def test_the_command_says_it_in_one_line(form, tmp_path, capsys):
    text, name, error = FORMS[form]
    assert cli.run_command(["gradcheck", "--module", write(tmp_path, text.format("f", 1))]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert shown.err.startswith("error: ") and f"{name.format('f')} raises {error}" in shown.err


def test_a_function_that_no_file_has_is_named():
    there = {"np": np}
    exec("def f(x):\n    return x @ x, x\ndef g(dy, x):\n    raise RuntimeError\n", there)
    x = {"x": np.ones((2, 3))}
    assert line_of(lambda: explain(there["f"], there["g"], x)).startswith("f raises ValueError: matmul")
    assert line_of(lambda: explain(lambda x: (x, x), there["g"], x)) == "g raises RuntimeError (line 4)"
    assert (
        line_of(lambda: explain(lambda x: 1 / 0, there["g"], x)).split("/")[-1].startswith("test_raising.py: f raises")
    )
    assert (
        line_of(lambda: call_or_refuse(functools.partial(there["g"], 1, 2)))
        == "the function raises RuntimeError (line 4)"
    )


# ---- elsewhere than at its inputs

REAL = "def f(x):\n    if np.iscomplexobj(x):\n        raise {}('real alone')\n    return x * x, x"
STAYS = "def f(x):\n    if moved('f', x):\n        raise {}('stay there')\n    return x * x, x"
DOMAIN = "def f(x):\n    if (np.real(x) < 1).any():\n        raise {}('below 1')\n    return x * x, x"
ERRORS = ("ValueError", "TypeError", "AssertionError", "RuntimeError", "ZeroDivisionError", "SystemExit")


@pytest.mark.parametrize("error", ERRORS)
def test_under_complex_step(error, tmp_path):
    """Finite differences judge, and a note names what was raised."""
    judged = judge(load_pair(write(tmp_path, REAL.format(error))))
    assert judged.status == 0 and any(f"f raises {error}: real alone (line" in note for note in judged.notes)
    wrong = "\ndef f_backward(dy, x):\n    return 3 * x * dy"
    judged = judge(load_pair(write(tmp_path, REAL.format(error) + wrong)))
    assert judged.status == 1 and judged.findings[0].ratio == pytest.approx(1.5)


@pytest.mark.parametrize("error", ERRORS)
def test_at_an_input_that_is_moved(error, tmp_path):
    """The complex step judges, and a note names what was raised."""
    judged = judge(load_pair(write(tmp_path, STAYS.format(error))))
    (note,) = judged.notes
    assert judged.status == 0 and f"f raises {error}: stay there (line" in note and "no central difference" in note


@pytest.mark.parametrize("error", ERRORS)
def test_far_from_its_inputs(error, tmp_path):
    """Points at which the function does not answer are left out, whether the gradient is right or wrong."""
    judged = judge(load_pair(write(tmp_path, DOMAIN.format(error))))
    assert judged.status == 0 and not judged.notes
    wrong = "\ndef f_backward(dy, x):\n    return 2.2 * x * dy"
    judged = judge(load_pair(write(tmp_path, DOMAIN.format(error) + wrong)))
    assert judged.status == 1 and judged.findings[0].ratio == pytest.approx(1.1)


OTHERWISE = {  # what a pair does at another call than its first, and the line that says it
    "a forward that runs once": (
        "def f(x):\n    FIRST['n'] = FIRST.get('n', 0) + 1\n    assert FIRST['n'] < 2, 'once'\n    return x * x, x",
        "f raises AssertionError: once (line",
    ),
    "a backward that raises nearby": (
        "def f_backward(dy, x):\n    return 1 / 0 if moved('b', x) else 2.00001 * x * dy",
        "f_backward raises ZeroDivisionError: division by zero (line",
    ),
    "more gradients nearby": (
        "def f_backward(dy, x):\n    return [2.00001 * x * dy, *[1.0] * moved('b', x)]",
        "f: called again, the backward returns gradients of shapes [(2, 3), ()], and at first [(2, 3)]",
    ),
    "smaller gradients nearby": (
        "def f_backward(dy, x):\n    return 2.00001 * (x * dy)[: 2 - moved('b', x)]",
        "f: called again, the backward returns gradients of shapes [(1, 3)], and at first [(2, 3)]",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_otherwise_than_at_the_first_call(name, tmp_path):
    text, expected = OTHERWISE[name]
    assert expected in line_of(lambda: judge(load_pair(write(tmp_path, text))))


@pytest.mark.parametrize(
    "answer, said", [("None", "returns NoneType"), ("((x * x)[:1], x)", "y has the shapes [(1, 3)]")]
)
def test_another_answer_at_an_input_that_is_moved(answer, said, tmp_path):
    text = f"def f(x):\n    return {answer} if moved('f', x) else (x * x, x)"
    judged = judge(load_pair(write(tmp_path, text)))
    assert judged.status == 0 and any(said in note and note.startswith("f: ") for note in judged.notes)


# ---- steps, plots and the checker itself

STEPS = """
def f(x, nudge=None):
    at = nudge or {}
    s = x * x + at.get("s", 0)
    return 3 * s, {"s": s, "x": x}
def f_backward(dy, c):
    return {"x": 6 * c["x"] * dy}
def f_steps(dy, c):
    return {"s": 3 * dy}
"""


@pytest.mark.parametrize("which", ["f", "f_backward", "f_steps"])
@pytest.mark.parametrize("error", ["KeyError", "SystemExit"])
def test_steps_that_raise_are_named(which, error, tmp_path):
    assert judge_steps(load_steps(write(tmp_path, STEPS))).status == 0
    where = write(tmp_path, STEPS + f"\ndef {which}(*given, nudge=None):\n    raise {error}(5)")
    assert f"mine.py: {which} raises {error}: 5 (line" in line_of(lambda: load_steps(where))


def test_a_step_that_raises_once_it_is_nudged_is_named(tmp_path):
    where = write(tmp_path, STEPS.replace("    s = x", "    assert not at, 'nudged'\n    s = x"))
    assert "f raises AssertionError: nudged (line" in line_of(lambda: load_steps(where))


@pytest.mark.parametrize("error", ERRORS)
def test_a_plot_leaves_out_where_there_is_no_value(error, tmp_path, capsys):
    for text in (REAL, STAYS, DOMAIN):
        command = ["gradcheck", "--module", write(tmp_path, text.format(error)), "--plot", str(tmp_path / "p.svg")]
        assert cli.run_command([*command, "--json"]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out) and "Traceback" not in shown.err and (tmp_path / "p.svg").exists()


@pytest.mark.parametrize("error", [ValueError, TypeError, AssertionError, RuntimeError])
def test_the_checker_takes_a_function_that_refuses_complex_numbers(error):
    """Whatever it raises for them: then central differences judge alone, in a test as in the command."""

    def f(x):
        if np.iscomplexobj(x):
            raise error
        return x * x, x

    x = np.array([1.0, 2.0])
    assert all(r.right for r in check_gradient(f, lambda dy, x: 2 * x * dy, [x]))
    assert not all(r.right for r in check_gradient(f, lambda dy, x: 3 * x * dy, [x]))
    curves = step_errors(f, lambda dy, x: 2 * x * dy, [x])
    assert np.isnan(curves.complex[1]).all() and np.nanmin(curves.central[1]) < 1e-8
