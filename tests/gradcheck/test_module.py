"""`load_pair` reads a reader's file, `judge` finds and names what is wrong with the pair in it."""

import os
from pathlib import Path

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.gradcheck import check_gradient, explain, judge, load_pair

HEAD = "import numpy as np\n"
AFFINE = """
def f(x, w, b):
    return x @ w + b, (x, w)

def f_inputs(rng):
    return [rng.normal(size=(4, {k})), rng.normal(size=({k}, {m})), rng.normal(size={m})]

def f_backward(dy, cache):
    x, w = cache
    dx, dw, db = dy @ w.T, x.T @ dy, dy.sum(axis=0)
    return {answer}
"""
ONE = """
def f(x):
    return {y}, x

def f_inputs(rng):
    return {{"x": rng.normal(size=(4, 3))}}

def f_backward(dy, x):
    return {answer}
"""
SOFTMAX = """
def f(u):
    e = np.exp(u - u.real.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y

def f_inputs(rng):
    return rng.normal(size=(4, 5))

def f_backward(dy, y):
    return {answer}
"""
BATCH_NORM = """
def f(x, gamma):
    d = x - x.mean(axis=0)
    s = np.sqrt((d * d).mean(axis=0) + 1e-5)
    return gamma * d / s, (d / s, s, gamma)

def f_inputs(rng):
    return {{"x": rng.normal(size=(6, 3)), "gamma": rng.uniform(0.5, 2, 3)}}

def f_backward(dy, cache):
    h, s, gamma = cache
    mean, slope = dy.mean(axis=0), (dy * h).mean(axis=0)
    return {answer}, (dy * h).sum(axis=0)
"""
CONV = """
def f(x, k):
    n = len(x) - len(k) + 1
    return sum(k[j] * x[j : j + n] for j in range(len(k))), (x, k)

def f_inputs(rng):
    return [rng.normal(size=9), rng.normal(size=3)]

def f_backward(dy, cache):
    x, k = cache
    dx, dk = np.zeros(9), np.zeros(3)
    for j in range(3):
        dx[j : j + 7] += {k}[j] * dy
        dk[j] = (dy * x[j : j + 7]).sum()
    return dx, {dk}
"""
PRODUCT = """
def f(x, y):
    return x * y * y, (x, y)

def f_inputs(rng):
    return [rng.normal(size=(3, 4)), rng.normal(size=(3, 4))]

def f_backward(dy, cache):
    x, y = cache
    return {answer}
"""
INTO = """
def f(x):
    return x * x, x.copy()

def f_inputs(rng):
    return rng.normal(size=3)

def f_backward(dy, x):
    {into} *= 2
    return {answer}
"""


def affine(answer, k=3, m=5):
    return AFFINE.format(answer=answer, k=k, m=m)


def one(y, answer):
    return ONE.format(y=y, answer=answer)


def softmax(answer):
    return SOFTMAX.format(answer=answer)


WRONG = {  # the file, the input whose gradient is wrong, the kind of mistake, words of the sentence
    "factor 2": (affine("2 * dx, dw, db"), "x", "factor", "factor 2 "),
    "half": (one("(x * x).sum()", "x * dy"), "x", "factor", "factor 0.5 "),
    "any factor": (one("x * x", "2.74 * x * dy"), "x", "factor", "factor 1.37 on every entry"),
    "sign and factor": (one("x * x", "-4 * x * dy"), "x", "factor", "the sign is wrong, and there is a factor 2"),
    "sign": (affine("dx, -dw, db"), "w", "sign", "−1 times"),
    "square w not transposed": (affine("dy @ w, dw, db", 4, 4), "x", "transpose", "transpose of w is missing"),
    "square dw transposed": (affine("dx, dw.T, db", 4, 4), "w", "transpose", ".T"),
    "dw transposed": (affine("dx, dw.T, db"), "w", "transpose", ".T"),
    "mean over all": (one("(x * x).mean()", "2 * x * dy"), "x", "factor", "N·C = 12"),
    "mean over samples": (one("(x * x).mean(axis=0)", "2 * x * dy"), "x", "factor", "N = 4, axis 0 of x"),
    "mean over features": (one("(x * x).mean(axis=1)", "2 * x * dy[:, None]"), "x", "factor", "C = 3"),
    "mean, not sum": (
        affine("dx, dw, db / len(dy)"),
        "b",
        "factor",
        "forward sums (N = 4, axis 0 of y)",
    ),
    "mask": (one("x * (x.real > 0)", "dy + 0"), "x", "missing mask", "those with x < 0"),
    "mask turned round": (one("x * (x.real > 0)", "dy * (x < 0)"), "x", "mask turned round", "turned round"),
    "slope": (one("np.where(x.real > 0, x, 0.2 * x)", "dy + 0"), "x", "branch", "a factor 5 on"),
    "dy ignored": (one("x * x", "2 * x"), "x", "upstream ignored", "multiply by dy"),
    "dy twice": (one("x * x", "2 * x * dy * dy"), "x", "upstream twice", "enters twice"),
    "softmax": (softmax("dy * y"), "u", "missing term", "a multiple of y along axis 1"),
    "padding": (one("np.concatenate([x[1:], 0 * x[:1]]) * 3", "3 * dy"), "x", "shift", "shifted by one along axis 0"),
    "batch norm, constants": (BATCH_NORM.format(answer="gamma / s * dy"), "x", "missing term", "plus a multiple of x"),
    "batch norm, mean": (
        BATCH_NORM.format(answer="gamma / s * (dy - h * slope)"),
        "x",
        "missing term",
        "a constant along axis 0",
    ),
    "batch norm, gamma": (
        BATCH_NORM.format(answer="(dy - mean - h * slope) / s"),
        "x",
        "missing factor",
        "the factor gamma is missing",
    ),
    "exchanged": (PRODUCT.format(answer="2 * x * y * dy, y * y * dy"), "x", "swapped", "the two are swapped"),
    "same twice": (PRODUCT.format(answer="y * y * dy, y * y * dy"), "y", "swapped", "the gradient of x"),
    "one of two uses": (one("x.T @ x", "x @ dy"), "x", "half of a shared input", "enters twice"),
    "kernel flipped": (CONV.format(k="k", dk="dk[::-1]"), "k", "flip", "flipped along axis 0"),
    "kernel not flipped": (CONV.format(k="k[::-1]", dk="dk"), "x", "flip", "for k flipped"),
    "sum missing": (affine("dx, dw, dy"), "b", "missing sum", "sum over axis 0 is missing"),
    "sum too much": (one("x * x", "(2 * x * dy).sum(axis=0)"), "x", "sum too much", "summed over axis 0"),
    "reshaped": (one("x * x", "(2 * x * dy).reshape(2, 6)"), "x", "reshape", "in shape (2, 6)"),
    "order of reshape": (one("x * x", "(2 * x * dy).T.reshape(4, 3)"), "x", "permutation", "wrong places"),
    "last row": (
        one("x * x", "2 * x * dy * np.array([[1], [1], [1], [0]])"),
        "x",
        "entries dropped",
        "row 3",
    ),
    "zeros": (one("x * x", "0 * x"), "x", "zero", "only zeros"),
    "NaN": (one("x * x", "2 * x * dy * np.where(x > 0, 1, np.nan)"), "x", "not finite", "NaN"),
    "float32": (one("x * x", "(2 * x * dy).astype(np.float32)"), "x", "float32", "is float32"),
    "float32 constant": (one("x * np.pi", "dy * np.float32(np.pi)"), "x", "float32", "a float32 array or constant"),
    "float32 array": (one("x * x", "2 * x.astype(np.float32) * dy"), "x", "float32", "inside"),
    "forward in float32": (one("x.astype(np.float32)", "dy"), "all", "float32", "compute in x.dtype"),
    "float32 inside": (one("np.tanh(x.astype(np.float32)).astype(float)", "dy"), "all", "float32", "casts to float32"),
    "float32 before the end": (one("np.pi * np.tanh(x.astype('f4')).astype(float)", "dy"), "all", "float32", "casts"),
    "a small factor": (one("x * x", "2.000002 * x * dy"), "x", "factor", "factor 1 + 1e-06 on every entry"),
    "a small penalty": (one("np.sin(x)", "dy * np.cos(x) + 1e-7 * x"), "x", "not linear", "a term without dy"),
    "writes into dy": (INTO.format(into="dy", answer="x * dy"), "all", "written in place", "dy was written into"),
    "writes into the cache": (INTO.format(into="x", answer="x * dy"), "all", "written in place", "a second call"),
    "random forward": (one("x * np.random.rand(4, 3)", "dy"), "all", "random forward", "two calls"),
    "one gradient too few": (affine("dx, dw"), "all", "no gradient", "2 gradients for 3 inputs"),
    "no gradient at all": (one("x * x", "None"), "all", "no gradient", "None for every input"),
    "a constant": (one("0 * x", "dy"), "x", "no dependence", "does not depend on x"),
    "added constant": (one("x * x", "2 * x * dy + np.eye(4, 3)"), "x", "not linear", "not linear"),
    "abs with the wrong sign": (one("np.abs(x)", "-dy * np.sign(x)"), "x", "sign", "−1 times"),
    "norm": (one("np.linalg.norm(x)", "2 * dy * x / np.linalg.norm(x)"), "x", "factor", "factor 2 "),
}

UNKNOWN = {
    "one entry": one("x * x", "2 * x * dy * (1 + 0.1 * (np.arange(12).reshape(4, 3) == 5))"),
    "noise": one("x * x", "2 * x * dy * np.cos(np.arange(12)).reshape(4, 3)"),
    "a wrong function": one("np.exp(x)", "dy * np.cos(x)"),
    "a function that is nearly right": one("np.exp(x)", "dy * (np.exp(x) + 1e-6 * np.cos(9 * x))"),
}

RIGHT = {
    "affine": affine("dx, dw, db"),
    "softmax": softmax("y * (dy - (dy * y).sum(axis=1, keepdims=True))"),
    "batch norm": BATCH_NORM.format(answer="gamma / s * (dy - mean - h * slope)"),
    "convolution": CONV.format(k="k", dk="dk"),
    "two uses": one("x.T @ x", "x @ (dy + dy.T)"),
}


@pytest.fixture
def write(tmp_path):
    """`write(text)`: a file of the reader's, as `path.py:f`."""

    def write(text, name="mine.py"):
        (tmp_path / name).write_text(HEAD + text, encoding="utf-8")
        return f"{tmp_path / name}:f"

    return write


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_backward_is_found_and_the_kind_is_named(write, name):
    text, wrong, kind, words = WRONG[name]
    found = {f.input: f for f in judge(load_pair(write(text))).findings}
    assert wrong in found, "not found"
    assert found[wrong].kind == kind
    assert words in found[wrong].sentence


@pytest.mark.parametrize("name", UNKNOWN)
def test_no_kind_is_named_where_none_fits(write, name):
    (finding,) = judge(load_pair(write(UNKNOWN[name]))).findings
    assert finding.kind is None and finding.sentence.startswith("no known kind")


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_right_backward_passes(write, name, seed):
    verdict = judge(load_pair(write(RIGHT[name]), seed=seed), seed=seed)
    assert verdict.findings == [] and verdict.notes == []
    assert {r.method for r in verdict.results} == {"complex-step", "central-difference", "directional"}


@pytest.mark.parametrize("size", [1e-6, 1e-10])
def test_a_small_mistake_in_one_entry_is_of_no_kind(write, size):
    """It is smaller than what the Jacobians of single outputs show."""
    text = affine(f"dx * (1 + {size} * (np.arange(12).reshape(4, 3) == 5)), dw, db")
    (finding,) = judge(load_pair(write(text))).findings
    assert (finding.input, finding.off, finding.kind) == ("x", 1, None)


def test_a_finding_tells_entry_values_and_count(write):
    (finding,) = judge(load_pair(write(UNKNOWN["one entry"]))).findings
    assert finding.entry == (1, 2) and (finding.off, finding.entries) == (1, 12)
    assert finding.ratio == pytest.approx(1.1) and finding.ours == pytest.approx(1.1 * finding.measured)


@pytest.mark.parametrize(
    "y", ["np.abs(x)", "np.sqrt(x.real * x.real)", "np.array(list(map(abs, x.ravel()))).reshape(4, 3)"]
)
def test_a_forward_that_is_not_complex_safe_is_judged_by_the_central_difference(write, y):
    verdict = judge(load_pair(write(one(y, "dy * np.sign(x)"))))
    assert verdict.findings == [] and {r.method for r in verdict.results} == {"central-difference"}
    assert "not complex-safe" in verdict.notes[0] and "np.linalg.norm" in verdict.notes[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kept", ["x", "x.astype(np.float32)"])
def test_a_cast_to_float_is_noted_and_warns_nowhere(write, kept):
    text = one("x * x", "2 * x * dy").replace("x * x, x", f"x * x, {kept}.astype(float)")
    pair = load_pair(write(text))
    assert judge(pair).status == (kept != "x")
    results = check_gradient(pair.forward, pair.backward, list(pair.inputs.values()))
    assert all(result.right for result in results) == (kept == "x")


TABLE = "np.float32([1.1, 2.3, 0.7]).astype(float) + 0 * x.real"
ORDER = "x.reshape(-1)[np.argsort(x.ravel())] * 2"


@pytest.mark.parametrize("y", ["np.round(4 * x) / 4", "(x > 0) * 1.0", ORDER, "np.floor(1e4 * x.real)", TABLE])
def test_a_quantiser_is_no_float32(write, y):
    verdict = judge(load_pair(write(one(y, "np.reshape(dy, (4, 3))"))))
    assert all(finding.kind != "float32" for finding in verdict.findings)


def test_inputs_that_float32_has_are_no_float32_forward(write):
    text = one("x * 2", "dy * 2").replace("rng.normal(size=(4, 3))", "rng.normal(size=(4, 3)).astype(np.float32)")
    assert judge(load_pair(write(text))).status == 0


def test_a_forward_that_takes_no_complex_numbers_is_noted_once(write):
    verdict = judge(load_pair(write(one("np.logaddexp(0, x)", "dy / (1 + np.exp(-x))"))))
    (note,) = verdict.notes
    assert verdict.status == 0 and "f raises TypeError" in note and "with complex inputs" in note
    assert "np.abs" not in note and note.endswith("judged by the central difference instead")


def test_a_kink_next_to_an_entry_does_not_make_a_right_gradient_wrong(write):
    text = one("x * (x.real > 0)", "dy * (x > 0)").replace("rng.normal(size=(4, 3))", "np.array([[1.0, 1e-7]])")
    verdict = judge(load_pair(write(text)))
    assert verdict.status == 0 and verdict.notes == []
    assert judge(load_pair(write(text.replace("return dy * (x > 0)", "return dy * (x > 1e-3)")))).status == 1


def test_labels_are_passed_on_as_they_are(write):
    verdict = judge(
        load_pair(
            write("""
def f(u, labels):
    return u[np.arange(len(u)), labels].sum(), (u.shape, labels)

def f_inputs(rng):
    return {"u": rng.normal(size=(5, 3)), "labels": rng.integers(0, 3, 5)}

def f_backward(dy, cache):
    shape, labels = cache
    du = np.zeros(shape)
    du[np.arange(len(du)), labels] = dy
    return du, None
""")
        )
    )
    assert verdict.findings == [] and {r.input for r in verdict.results} == {"u", "all"}
    assert verdict.notes == ["labels is not differentiated: f_backward returns None for it"]


def test_an_input_without_a_gradient_is_told_of(write):
    verdict = judge(load_pair(write(affine("dx, None, db"))))
    assert verdict.findings == [] and {r.input for r in verdict.results} == {"x", "b", "all"}
    assert verdict.notes == ["w is not differentiated: f_backward returns None for it"]


NAMES = {  # the backward, and what it calls the factor that is too much
    "as it unpacks them": ("def f_backward(dy, kept):\n    h, s = kept\n    return GRADIENT", "the factor s is"),
    "with a spare name": (
        "def f_backward(dy, kept):\n    h, s_ = kept\n    s = s_\n    return GRADIENT",
        "the factor s is",
    ),
    "by their places": ("def f_backward(dy, kept):\n    h, s = kept[0], kept[1]\n    return GRADIENT", "cache[1] is"),
    "decorated": (
        "@functools.cache\ndef g(): pass\n\ndef f_backward(dy, kept):\n    h, s = kept\n    return GRADIENT",
        "s is",
    ),
}


ROWS = """
import functools

def f(x):
    s = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / s, (x / s, s)

def f_inputs(rng):
    return rng.normal(size=(4, 3))

"""
UNDIVIDED = "dy - h * (dy * h).sum(axis=1, keepdims=True)"  # the length is left out


@pytest.mark.parametrize("how", NAMES)
def test_what_the_cache_keeps_has_the_names_that_the_backward_gives_it(write, how):
    backward, words = NAMES[how]
    (finding,) = judge(load_pair(write(ROWS + backward.replace("GRADIENT", UNDIVIDED)))).findings
    assert finding.kind == "missing factor" and words in finding.sentence


def test_names_are_those_of_the_file_as_it_is_now(write):
    for name in ("length", "size"):
        backward = f"def f_backward(dy, c):\n    h, {name} = c\n    return {UNDIVIDED}"
        (finding,) = judge(load_pair(write(ROWS + backward))).findings
        assert f"the factor {name} is too much" in finding.sentence


def test_a_note_says_that_smaller_inputs_say_more(write):
    wrong = one("np.exp(x)", "dy * np.cos(x)")
    assert [note for note in judge(load_pair(write(wrong))).notes if "smaller inputs" in note] == []
    large = judge(load_pair(write(wrong.replace("(4, 3)", "(40, 20)"))))
    assert [note for note in large.notes if "smaller inputs say more" in note] and large.status == 1


# ---- inputs ---------------------------------------------------------------------------------------------------------


def test_shapes_draw_inputs_away_from_kinks_by_seed(write):
    where = write(affine("dx, dw, db"))
    pair, again, other = (load_pair(where, ["4x3", "3x5", "5"], seed) for seed in (1, 1, 2))
    assert {name: x.shape for name, x in pair.inputs.items()} == {"x": (4, 3), "w": (3, 5), "b": (5,)}
    assert all((np.abs(x) >= 0.1).all() for x in pair.inputs.values())
    np.testing.assert_equal(pair.inputs, again.inputs)
    assert not np.array_equal(pair.inputs["x"], other.inputs["x"])
    assert judge(pair).findings == []


NAMED = """
def f(q, k, v, scale=2.0, *, shift):
    return scale * q @ k.T + v + shift, (q, k)

def f_inputs(rng):
    return {{{order}}}

def f_backward(dy, cache):
    q, k = cache
    return {answer}
"""
SHAPES = {
    "q": "rng.normal(size=(3, 4))",
    "k": "rng.normal(size=(3, 4))",
    "v": "rng.normal(size=(3, 3))",
    "shift": "rng.normal(size=3)",
}


@pytest.mark.parametrize("order", [["q", "k", "v", "shift"], ["shift", "v", "k", "q"], ["k", "shift", "q", "v"]])
def test_inputs_by_name_go_to_the_parameters_of_that_name(write, order):
    named = ", ".join(f'"{name}": {SHAPES[name]}' for name in order)
    right = "2 * dy @ k, 2 * dy.T @ q, dy, dy.sum(axis=0)"
    pair = load_pair(write(NAMED.format(order=named, answer=right)))
    assert list(pair.inputs) == ["q", "k", "v", "shift"] and judge(pair).status == 0
    wrong = judge(load_pair(write(NAMED.format(order=named, answer=right.replace("dy.T @ q", "dy @ q"))))).findings
    assert [finding.input for finding in wrong] == ["k"]


def test_names_that_are_no_parameters_are_labels(write):
    text = one("x * x", "2 * x * dy").replace("def f(x):", "def f(*arrays):\n    (x,) = arrays")
    assert list(load_pair(write(text)).inputs) == ["x"] and judge(load_pair(write(text))).status == 0
    text = (
        affine("dx, dw, db")
        .replace("return [", "return dict(zip(['pixels', 'kernel', 'bias'], [")
        .replace("m})]", "m})]))")
    )
    text = text.replace("size=5)]", "size=5)]))")
    pair = load_pair(write(text))
    assert list(pair.inputs) == ["pixels", "kernel", "bias"] and judge(pair).status == 0


@pytest.mark.parametrize("inputs", [{"x": np.ones((2, 3)), "w": np.ones((3, 2))}, {"x": np.ones((2, 3))}])
def test_a_parameter_that_keeps_its_default_may_have_None_for_its_gradient(inputs):
    def product(x, bias=None, w=None):
        return (x * x if w is None else x @ w), (x, w)

    def backward(dy, cache, factor=1):
        x, w = cache
        return (2 * dy * x, None, None) if w is None else (factor * dy @ w.T, None, x.T @ dy)

    assert explain(product, backward, inputs) == ""
    if "w" in inputs:
        assert explain(product, lambda dy, c: backward(dy, c, 2), inputs).startswith("x[")
    text = explain(product, lambda dy, c: (*backward(dy, c)[:1], dy, *backward(dy, c)[2:]), inputs)
    assert f"returns 3 gradients for {len(inputs)} inputs" in text


def test_explain_takes_names_in_any_order():
    product = lambda x, w: (x @ w, (x, w))  # noqa: E731
    backward = lambda dy, cache: (dy @ cache[1].T, cache[0].T @ dy)  # noqa: E731
    arrays = {"w": np.arange(6.0).reshape(3, 2), "x": np.ones((2, 3))}
    assert explain(product, backward, arrays) == ""
    assert explain(product, lambda dy, cache: (dy @ cache[1].T, 2 * cache[0].T @ dy), arrays).startswith("w[")


def test_a_scalar_input(write):
    pair = load_pair(write(one("x * x", "2 * x * dy")), ["scalar"])
    assert pair.inputs["x"].shape == () and judge(pair).findings == []
    (finding,) = judge(load_pair(write(one("x * x", "2.7 * x * dy")), ["scalar"])).findings
    assert finding.entry == () and finding.kind is None  # one number is some multiple of any other


def test_the_file_is_read_from_its_path_with_colons_and_neighbours(write, tmp_path):
    (tmp_path / "beside_mine.py").write_text("two = 2\n")
    text = "from beside_mine import two\n" + one("x * x", "two * x * dy")
    assert judge(load_pair(write(text, "a:b.py"))).findings == []


def test_a_file_changed_within_its_second_is_read_anew_and_leaves_nothing_behind(write, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    for answer, wrong in (("3 * x * dy", 1), ("2 * x * dy", 0), ("4 * x * dy", 1)):
        path = Path(write(one("x * x", answer)).rpartition(":")[0])
        os.utime(path, (0, 0))  # same size, same time: nothing but its text tells the versions apart
        assert len(judge(load_pair(f"{path}:f")).findings) == wrong
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_file_prints_is_not_an_answer(write, capsys):
    judge(load_pair(write("print('reading')\n" + one("x * x", "print('backward') or 2 * x * dy"))))
    out, err = capsys.readouterr()
    assert out == "" and "reading" in err and "backward" in err


# ---- bad usage ------------------------------------------------------------------------------------------------------

NO_INPUTS = one("x", "dy").replace("f_inputs", "other")
BAD = {  # the file, and words of the one line
    "syntax": ("def f(x:\n", ["cannot be imported", "SyntaxError", "line 2"]),
    "import": ("import no_such_library\n", ["cannot be imported", "no_such_library", "line 2"]),
    "exit": ("raise SystemExit(0)\n", ["cannot be imported", "SystemExit"]),
    "no function": ("def g(x): pass\n", ["no function f", "it defines g"]),
    "no backward": ("def f(x): pass\n", ["no function f_backward"]),
    "not a function": ("f = 3\n", ["no function f", "none"]),
    "no inputs": (NO_INPUTS, ["no inputs", "f_inputs(rng)", "--input"]),
    "inputs raise": (one("x", "dy").replace("rng.normal", "rng.gauss"), ["f_inputs raises", "gauss"]),
    "inputs are None": (one("x", "dy").replace("return {", "return None and {"), ["f_inputs", "array of real numbers"]),
    "inputs are text": (one("x", "dy").replace("rng.normal(size=(4, 3))", "'x'"), ["x", "array of real numbers"]),
    "inputs are nothing": (one("x", "dy").replace("return {", "return {} and {"), ["f_inputs", "no inputs"]),
    "inputs are empty": (one("x", "dy").replace("(4, 3)", "(0, 3)"), ["x has no entries", "(0, 3)"]),
    "inputs are NaN": (one("x", "dy").replace("rng.normal(size=(4, 3))", "np.nan"), ["x is not finite"]),
    "too many inputs": (one("x", "dy").replace('{"x": ', "[1.0, ").replace("3))}", "3))]"), ["f raises TypeError"]),
    "forward raises": (one("x @ x", "dy"), ["f raises ValueError", "matmul", "line 4"]),
    "backward raises": (affine("dy @ w, dw, db"), ["f_backward raises ValueError", "is a transpose missing?"]),
    "no cache": (one("x", "dy").replace("x, x", "x"), ["f: the function returns (y, cache), not an array"]),
    "three results": (one("x", "dy").replace("x, x", "x, x, x"), ["(y, cache), not a tuple of 3"]),
    "y is text": (one("'text'", "dy"), ["y is made of real numbers, not str"]),
    "a name too many": (
        one("x", "dy").replace('{"x"', '{"scale": 1.0, "x"'),
        ["scale is no parameter of f; it takes x"],
    ),
    "a name too few": (
        affine("dx, dw, db").replace("return [", "return {'b': ").split(", rng.normal(size=(3")[0]
        + "}\n\ndef f_backward(dy, cache): pass\n",
        ["nothing for x, a parameter of f"],
    ),
    "y is not finite": (one("x * np.inf", "dy"), ["y is not finite"]),
    "a list of arrays": (
        one("x[0] @ x[1]", "dy").replace("rng.normal(size=(4, 3))", "[np.ones((2, 3)), np.ones((3, 2))]"),
        ["f_inputs: x is of type list, not an array of real numbers; each input is one"],
    ),
    "a dict": (one("x", "dy").replace("rng.normal(size=(4, 3))", "{'w': 1.0}"), ["x is of type dict, not an array"]),
    "None": (one("x", "dy").replace("rng.normal(size=(4, 3))", "None"), ["x is of type NoneType", "leave it out for"]),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_file_that_cannot_be_checked_gets_one_line(write, name):
    text, words = BAD[name]
    with pytest.raises(InputError) as error:
        judge(load_pair(write(text)))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("where", ["mine.py", "mine.py:", "mine.py:f.g", ":f", "nowhere.py:f", ".:f"])
def test_a_place_that_is_none(where):
    with pytest.raises(InputError, match=r"path\.py:name|no such file"):
        load_pair(where)


@pytest.mark.parametrize("shape", ["", "x", "4x", "0", "4x-1", "4X3", "4,3", "²"])
def test_a_shape_that_is_none(write, shape):
    with pytest.raises(InputError, match=r"--input .*4x3"):
        load_pair(write(RIGHT["affine"]), [shape])


def test_an_explanation_for_the_message_of_a_test():
    x = {"x": np.arange(1.0, 4.0)}
    assert explain(lambda x: (x * x, x), lambda dy, x: 2 * x * dy, x) == ""
    text = explain(lambda x: (x * x, x), lambda dy, x: -2 * x * dy, x)
    assert text.startswith("x[") and "(-1 times); 3 of 3 entries are off\n  looks like: the sign" in text
