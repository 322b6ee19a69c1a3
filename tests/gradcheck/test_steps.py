"""The nudge names the first wrong step of a reader's backward, from the output back."""

import json

import pytest

from cmir_ref.errors import InputError
from cmir_ref.gradcheck import first_wrong, judge_steps, load_steps

GEM = """
import numpy as np

def gem(x, p, nudge=None):
    c, at = {}, nudge or {}
    c["l"] = np.log(x) + at.get("l", 0)
    c["t"] = p * c["l"] + at.get("t", 0)
    c["e"] = np.exp(c["t"]) + at.get("e", 0)
    c["m"] = c["e"].sum(axis=1) / x.shape[1] + at.get("m", 0)
    c["k"] = np.log(c["m"]) + at.get("k", 0)
    c["q"] = c["k"] / p + at.get("q", 0)
    c["y"] = np.exp(c["q"]) + at.get("y", 0)
    return c["y"], c | {"x": x, "p": p}

def gem_backward(dy, c):
    d = {"y": dy}
    d["q"] = d["y"] * c["y"]
    d["k"] = d["q"] / c["p"]
    d["p"] = -(d["q"] * c["k"]).sum() / c["p"] ** 2
    d["m"] = d["k"] / c["m"]
    d["e"] = np.repeat(d["m"][:, None] / c["x"].shape[1], c["x"].shape[1], axis=1)
    d["t"] = d["e"] * c["e"]
    d["l"] = d["t"] * c["p"]
    d["p"] = d["p"] + (d["t"] * c["l"]).sum()
    d["x"] = d["l"] / c["x"]
    return d

def gem_inputs(rng):
    return {"x": rng.uniform(0.2, 2, (2, 5, 3)), "p": np.array([2.5])}
"""
# A recurrent step by the other contract: the backward of a pair, and a function that gives the steps' gradients.
GRU = """
import numpy as np
from collections import namedtuple

Kept = namedtuple("Kept", "x h w u sz z sr r a n")

def gru(x, h, w, u, nudge=None):
    at, m = nudge or {}, h.shape[1]
    sz = x @ w[:, :m] + h @ u[:, :m] + at.get("sz", 0)
    z = 1 / (1 + np.exp(-sz)) + at.get("z", 0)
    sr = x @ w[:, m : 2 * m] + h @ u[:, m : 2 * m] + at.get("sr", 0)
    r = 1 / (1 + np.exp(-sr)) + at.get("r", 0)
    a = x @ w[:, 2 * m :] + r * (h @ u[:, 2 * m :]) + at.get("a", 0)
    n = np.tanh(a) + at.get("n", 0)
    return (1 - z) * n + z * h, Kept(x, h, w, u, sz, z, sr, r, a, n)

def gru_steps(dy, c):
    m = c.h.shape[1]
    d = {"z": dy * (c.h - c.n), "n": dy * (1 - c.z)}
    d["a"] = d["n"] * (1 - c.n * c.n)
    d["r"] = d["a"] * (c.h @ c.u[:, 2 * m :])
    d["sr"] = d["r"] * c.r * (1 - c.r)
    d["sz"] = d["z"] * c.z * (1 - c.z)
    return d

def gru_backward(dy, c):
    d = gru_steps(dy, c)
    parts = np.concatenate([d["sz"], d["sr"], d["a"]], axis=1)
    through = np.concatenate([d["sz"], d["sr"], d["a"] * c.r], axis=1)
    return parts @ c.w.T, dy * c.z + through @ c.u.T, c.x.T @ parts, c.h.T @ through

def gru_inputs(rng):
    return {n: rng.normal(size=s) for n, s in {"x": (3, 2), "h": (3, 4), "w": (2, 12), "u": (4, 12)}.items()}
"""
WRONG = {  # what is wrong -> the file, the line, what stands there, the name to look at
    "gem: a slope left out": (GEM, 'd["y"] * c["y"]', 'd["y"] * 1', "q"),
    "gem: the mean taken for a sum": (GEM, '[:, None] / c["x"].shape[1]', "[:, None]", "e"),
    "gem: a sign": (GEM, '-(d["q"]', '(d["q"]', "p"),
    "gem: log's slope upside down": (GEM, 'd["k"] / c["m"]', 'd["k"] * c["m"]', "m"),
    "gem: one user forgotten": (GEM, 'd["p"] + (d["t"] * c["l"]).sum()', 'd["p"] + 0', "p"),
    "gru: a branch": (GRU, "dy * (c.h - c.n)", "dy * c.h", "z"),
    "gru: a sign": (GRU, "dy * (c.h - c.n)", "dy * (c.n - c.h)", "z"),
    "gru: the gate": (GRU, "dy * (1 - c.z)", "dy * c.z", "n"),
    "gru: tanh": (GRU, 'd["n"] * (1 - c.n * c.n)', 'd["n"] * 1', "a"),
    "gru: tanh half": (GRU, 'd["n"] * (1 - c.n * c.n)', 'd["n"] * (1 - c.n)', "a"),
    "gru: r": (GRU, 'd["a"] * (c.h @ c.u[:, 2 * m :])', 'd["a"] * 1', "r"),
    "gru: σ of r": (GRU, 'd["r"] * c.r * (1 - c.r)', 'd["r"] * c.r', "sr"),
    "gru: σ of z": (GRU, 'd["z"] * c.z * (1 - c.z)', 'd["z"]', "sz"),
    "gru: a product": (GRU, 'd["a"] * c.r]', 'd["a"]]', "h"),
}


@pytest.fixture
def write(tmp_path):
    """`write(text)`: the text in a file, as `path.py:gem` or `path.py:gru`."""

    def write(text):
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        return f"{tmp_path / 'mine.py'}:{'gru' if 'def gru(' in text else 'gem'}"

    return write


@pytest.mark.parametrize("text", [GEM, GRU], ids=["a dict", "a named tuple"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_backward_has_no_wrong_step(write, text, seed):
    steps = load_steps(write(text), seed=seed)
    judgement = judge_steps(steps, seed=seed)
    assert judgement.status == 0 and first_wrong(steps, judgement) is None and judgement.notes == []
    assert set(judgement.right) == set(steps.backwards) and steps.unchecked == []


def test_steps_are_read_from_the_output_backwards_and_the_inputs_last(write):
    assert load_steps(write(GEM)).backwards == ["y", "q", "k", "m", "e", "t", "l", "x", "p"]
    assert load_steps(write(GRU)).backwards == ["n", "a", "r", "sr", "z", "sz", "x", "h", "w", "u"]


@pytest.mark.parametrize("what", WRONG)
def test_the_first_wrong_step_is_named(write, what):
    text, right, wrong, name = WRONG[what]
    assert text.count(right) == 1
    steps = load_steps(write(text.replace(right, wrong)))
    judgement = judge_steps(steps)
    assert judgement.status == 1 and first_wrong(steps, judgement) == name


def test_a_gradient_of_another_shape_is_the_first_wrong_one(write):
    wrong = GEM.replace('np.repeat(d["m"][:, None] / c["x"].shape[1], c["x"].shape[1], axis=1)', 'd["m"] / 5')
    wrong = wrong.replace('d["t"] = d["e"] * c["e"]', 'd["t"] = d["e"][:, None] * c["e"]')
    steps = load_steps(write(wrong))
    assert first_wrong(steps, judge_steps(steps)) == "e"


def test_the_report_says_where_to_look_and_what_it_looks_like(write, capsys):
    from cmir_ref.reports.terminal import check_own_steps

    wrong = GEM.replace('d["k"] / c["m"]', 'd["k"]')
    assert check_own_steps(write(wrong), [], 0, False) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "first wrong from the output backwards: m; look at the line that makes the gradient of m" in out
    assert "(e, t, l, x, p may be wrong only because of it)" in out and "the factor m is too much" in out
    assert check_own_steps(write(GEM.replace('d["p"] + (d', '0 * d["p"] + (d')), [], 0, False) == 1
    assert "all steps are right, and p is not" in " ".join(capsys.readouterr().out.split())
    assert check_own_steps(write(GEM), [], 0, False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all steps are right"


def test_a_step_without_a_gradient_is_noted(write, capsys):
    from cmir_ref.reports.terminal import check_own_steps

    text = GEM.replace("    return d\n", '    return {k: v for k, v in d.items() if k != "t"}\n')
    assert load_steps(write(text)).unchecked == ["t"]
    assert check_own_steps(write(text), [], 0, False) == 0 and "no gradient of it: t" in capsys.readouterr().out


def test_the_json_has_the_order_and_the_first_wrong_step(write, capsys):
    from cmir_ref.reports.terminal import check_own_steps

    assert check_own_steps(write(GEM.replace('d["k"] / c["m"]', 'd["k"]')), [], 0, True) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["steps"]["first_wrong"] == "m" and found["steps"]["order"][:4] == ["y", "q", "k", "m"]
    assert found["wrong"] == ["m", "e", "t", "l", "x", "p"] and found["right"] == ["y", "q", "k"]


BAD = {  # the file, and words of the one line
    "no nudge": (GEM.replace(", nudge=None", "").replace("nudge or {}", "{}"), ["takes no nudge", "nudge=None"]),
    "a step without its nudge": (GEM.replace(' + at.get("k", 0)', ""), ["nudge['k']", "nudge.get('k', 0)"]),
    "a step nudged twice": (GEM.replace('at.get("k", 0)', '2 * at.get("k", 0)'), ["does not add nudge['k'] to k"]),
    "a list of steps": (GEM.replace('c | {"x": x, "p": p}', "list(c.values())"), ["a dict by name", "list"]),
    "no pair": (GEM.replace('c["y"], c | {"x": x, "p": p}', 'c["y"]'), ["returns (y, steps)"]),
    "an unknown step": (
        GEM.replace('d = {"y": dy}', 'd = {"y": dy, "w": dy}'),
        ["a gradient for 'w'", "'l', 't', 'e'"],
    ),
    "a step with a number": (
        GEM.replace('["k"]', "[1]").replace('"k"', "1"),
        ["a gradient for 1, which", "steps are 'l'", "name steps by text, as 'h1'"],
    ),
    "no gradient of a step": (
        GEM.replace("    return d\n", '    return d["x"], d["p"]\n'),
        ["no gradient for any step", "gem_steps"],
    ),
    "too few gradients": (GEM.replace("    return d\n", '    return d["x"]\n'), ["1 gradients for 2 inputs"]),
    "steps are no dict": (GRU.replace("    return d\n", "    return [d]\n"), ["gru_backward raises", "TypeError"]),
    "a backward that raises": (GEM.replace('d["l"] / c["x"]', 'd["l"] @ c["x"]'), ["gem_backward raises ValueError"]),
    "no backward": (GEM.replace("def gem_backward", "def gem_back"), ["no function gem_backward"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_whose_steps_cannot_be_checked_gets_one_line(write, name):
    text, words = BAD[name]
    with pytest.raises(InputError) as error:
        judge_steps(load_steps(write(text)))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_that_is_none():
    with pytest.raises(InputError, match=r"--steps mine\.py: it is path\.py:name"):
        load_steps("mine.py")


def test_a_step_at_0_of_a_rectifier_is_on_a_kink(write):
    text = """
import numpy as np

def gem(x, nudge=None):
    s = x - 1 + (nudge or {}).get("s", 0)
    y = np.where(s.real > 0, s, 0 * s) + (nudge or {}).get("y", 0)
    return y, {"s": s, "y": y}

def gem_backward(dy, c):
    return {"y": dy, "s": dy * (c["s"] > 0), "x": dy * (c["s"] > 0)}

def gem_inputs(rng):
    return np.array([1.0, 2.0, 0.5])
"""
    judgement = judge_steps(load_steps(write(text)))
    assert judgement.status == 0 and judgement.kinks == {"s": [(0,)], "x": [(0,)]}


def test_a_parameter_that_keeps_its_default_may_have_None_for_its_gradient(write):
    text = GRU.replace("u, nudge", "bias=None, u=None, nudge").replace("c.x.T @ parts, c", "c.x.T @ parts, None, c")
    judgement = judge_steps(load_steps(write(text)))
    assert judgement.status == 0 and judgement.inputs[-4:] == ["x", "h", "w", "u"]
    with pytest.raises(InputError, match="5 gradients for 4 inputs"):
        load_steps(write(text.replace("parts, None", "parts, dy")))
