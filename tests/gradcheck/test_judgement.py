"""What `judge` says of pairs that a fixed tolerance judges wrongly: right, wrong, or open."""

import itertools
import json

import numpy as np
import pytest
from strategies import small

from cmir_ref import ops
from cmir_ref.checks import CHECKS, draw
from cmir_ref.gradcheck import Pair, Result, check_gradient, explain, judge
from cmir_ref.gradcheck.compare import Comparison, rounding_of_entries
from cmir_ref.gradcheck.findings import UNDECIDED
from cmir_ref.gradcheck.judgement import BLIND, FLAT, NOT_SAFE
from cmir_ref.reports.gradients import finding_json

RNG = np.random.default_rng(1)
X, B, V = RNG.normal(size=(4, 3)), RNG.normal(size=3), RNG.normal(size=6)
RIGHT, WRONG, OPEN = 0, 1, 2
TWO = ("complex-step", "central-difference")


def judged(f, f_backward, inputs, seed=0):
    return judge(Pair(f, f_backward, inputs), seed=seed)


def kinds(judgement):
    return {finding.input: finding.kind for finding in judgement.findings}


# ---- penalties that the complex step loses --------------------------------------------------------------------------

PENALTIES = {  # what loses the imaginary part, and its derivative
    "Σ|w|": (lambda w: np.abs(w).sum(), np.sign),
    "Σ√(|w| + 1)": (lambda w: np.sqrt(np.abs(w) + 1).sum(), lambda w: 0.5 * np.sign(w) / np.sqrt(np.abs(w) + 1)),
    "norms of rows": (
        lambda w: np.linalg.norm(w, axis=1).sum(), lambda w: w / np.linalg.norm(w, axis=1, keepdims=True),
    ),
    "variance": (lambda w: np.var(w), lambda w: 2 * (w - w.mean()) / w.size),
}  # fmt: skip
DATA = {  # the term beside it, and its derivative
    "squares": (lambda w: (w * w).sum(), lambda w: 2 * w),
    "a softplus": (lambda w: np.log1p(np.exp(3 * w)).sum(), lambda w: 3 / (1 + np.exp(-3 * w))),
    "squares a thousand times as large": (lambda w: 1e3 * (w * w).sum(), lambda w: 2e3 * w),
}


@pytest.mark.parametrize("weight", [1.0, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_penalty_of_any_weight_counts(penalty, data, weight):
    (g, dg), (f, df) = PENALTIES[penalty], DATA[data]
    forward = lambda w: (f(w) + weight * g(w), w)  # noqa: E731
    right = judged(forward, lambda dy, w: dy * (df(w) + weight * dg(w)), {"w": X})
    assert right.status == RIGHT and right.notes == [NOT_SAFE]
    assert judged(forward, lambda dy, w: dy * df(w), {"w": X}).status == WRONG
    assert judged(forward, lambda dy, w: dy * (df(w) - weight * dg(w)), {"w": X}).status == WRONG


def test_a_forgotten_penalty_is_named():
    forward = lambda w: ((w * w).sum() + 1e-6 * np.abs(w).sum(), w)  # noqa: E731
    (finding,) = judged(forward, lambda dy, w: 2 * dy * w, {"w": X}).findings
    assert finding.kind == "missing term" and "sign of w, as of a penalty λΣ|w| with λ = 1e-06" in finding.sentence


def test_what_leads_to_the_mistake_is_told_before_a_term_that_is_missing():
    forward = lambda w, b: ((w * w).sum() + 1e-2 * np.abs(w).sum() + (b * b).sum(), (w, b))  # noqa: E731
    findings = judged(forward, lambda dy, c: (2 * dy * c[0], -2 * dy * c[1]), {"w": X, "b": V}).findings
    assert [(finding.input, finding.kind) for finding in findings] == [("b", "sign"), ("w", "missing term")]


# ---- small numbers, and large beside small --------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-6, 1e-10, 1e-20, 1e-60])
@pytest.mark.parametrize("outputs", ["vector", "sum"])
def test_gradients_are_judged_in_any_unit(unit, outputs):
    total = (lambda y: y) if outputs == "vector" else np.sum
    forward = lambda x: (unit * total(x * x * x), x)  # noqa: E731
    for factor, status in ((3, RIGHT), (-3, WRONG), (3.0001, WRONG), (0, WRONG)):
        judgement = judged(forward, lambda dy, x, c=factor: c * unit * dy * x * x, {"x": V})
        assert judgement.status == status, factor
        results = check_gradient(forward, lambda dy, x, c=factor: c * unit * dy * x * x, [V], names=["x"])
        assert all(r.right for r in results) == (status == RIGHT)
    assert kinds(judged(forward, lambda dy, x: -3 * unit * dy * x * x, {"x": V})) == {"x": "sign"}


LARGE_AND_SMALL = np.array([3e6, -2e-4, 5e5, 1e-3])


@pytest.mark.parametrize("outputs", ["vector", "sum"])
def test_a_mistake_in_small_entries_shows_beside_large_ones(outputs):
    total = (lambda y: y) if outputs == "vector" else np.sum
    forward = lambda x: (total(x * x), x)  # noqa: E731
    assert judged(forward, lambda dy, x: 2 * dy * x, {"x": LARGE_AND_SMALL}).status == RIGHT
    for factor in (-1, 0, 1.001):
        backward = lambda dy, x, c=factor: 2 * dy * x * np.where(np.abs(x) < 1, c, 1)  # noqa: E731
        (finding,) = judged(forward, backward, {"x": LARGE_AND_SMALL}).findings
        assert (finding.off, finding.entries) == (2, 4)
        assert not all(r.right for r in check_gradient(forward, backward, [LARGE_AND_SMALL]))


def test_a_mistake_in_a_small_input_shows_beside_a_large_one():
    forward = lambda a, b: ((a * a).sum() + (b * b).sum(), (a, b))  # noqa: E731
    inputs = {"a": 1e5 * V, "b": 1e-4 * V}
    assert judged(forward, lambda dy, c: (2 * dy * c[0], 2 * dy * c[1]), inputs).status == RIGHT
    assert kinds(judged(forward, lambda dy, c: (2 * dy * c[0], -2 * dy * c[1]), inputs)) == {"b": "sign"}


def normalise(variance):
    """Batch normalisation of x + b."""

    def forward(x, b):
        d = x + b - (x + b).mean(axis=0)
        s = np.sqrt(variance(d) + 1e-5)
        return d / s, (d / s, s)

    def dx(dy, cache):
        h, s = cache
        return (dy - dy.mean(axis=0) - h * (dy * h).mean(axis=0)) / s

    return forward, dx


@pytest.mark.parametrize("variance", [lambda d: (d * d).mean(axis=0), lambda d: np.var(d, axis=0)], ids=["d²", "var"])
def test_what_is_nothing_but_rounding_is_right(variance):
    """The gradient of a bias before a batch normalisation is 0, and computed it is what is left of numbers like 1."""
    forward, dx = normalise(variance)
    inputs = {"x": X, "b": B}
    assert judged(forward, lambda dy, cache: (dx(dy, cache), dx(dy, cache).sum(axis=0)), inputs).status == RIGHT
    assert judged(forward, lambda dy, cache: (dx(dy, cache), np.zeros(3)), inputs).status == RIGHT
    wrong = judged(forward, lambda dy, cache: (dx(dy, cache), dy.sum(axis=0)), inputs)
    assert kinds(wrong) == {"b": "no dependence"}


def test_what_one_plus_something_small_has_lost_is_no_mistake():
    """log det(aaᵀ + 1) for a like 1e-7: the output is rounding, and its derivative is not."""
    forward = lambda a: (np.log(np.linalg.det(a @ a.T + np.eye(3))), a)  # noqa: E731
    for seed in range(3):
        a = 1e-7 * np.random.default_rng(seed).normal(size=(3, 3))
        for factor, status in ((2, RIGHT), (-2, WRONG)):
            backward = lambda dy, a, c=factor: c * dy * np.linalg.inv(a @ a.T + np.eye(3)) @ a  # noqa: E731
            assert judged(forward, backward, {"a": a}).status == status


def test_a_saturated_attention_is_right():
    def forward(q, k, v):
        e = np.exp(q @ k.T - (q @ k.T).real.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return p @ v, (q, k, v, p)

    def backward(dy, cache):
        q, k, v, p = cache
        dp = dy @ v.T
        ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
        return ds @ k, ds.T @ q, p.T @ dy

    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs = {"q": 30 * rng.normal(size=(3, 4)), "k": rng.normal(size=(5, 4)), "v": rng.normal(size=(5, 2))}
        assert judged(forward, backward, inputs, seed).status == RIGHT
        wrong = judged(forward, lambda dy, cache: (*backward(dy, cache)[:2], -backward(dy, cache)[2]), inputs, seed)
        assert wrong.status == WRONG


def test_a_saturated_softmax_is_right():
    def forward(u):
        e = np.exp(u - u.real.max())
        return np.log(e.sum()) + u.real.max() - u[0], e / e.sum()

    def backward(dy, p):
        return dy * (p - [1, 0, 0])

    assert judged(forward, backward, {"u": np.array([41.0, 0.0, 2.0])}).status == RIGHT
    assert judged(forward, backward, {"u": np.array([3.0, 0.0, 2.0])}).status == RIGHT
    assert judged(forward, lambda dy, p: dy * p, {"u": np.array([3.0, 0.0, 2.0])}).status == WRONG


# ---- what cannot be judged ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1, -1, 0])
def test_what_the_rounding_of_the_forward_hides_is_open(factor):
    forward = lambda x: (3e7 + 1e-10 * np.abs(x).sum(), x)  # noqa: E731
    judgement = judged(forward, lambda dy, x: factor * 1e-10 * dy * np.sign(x), {"x": V})
    assert judgement.status == OPEN and judgement.findings == []
    (finding,) = judgement.undecided
    assert (finding.kind, finding.off, finding.entries) == (UNDECIDED, 6, 6) and "cannot be judged" in finding.sentence
    assert explain(forward, lambda dy, x: factor * 1e-10 * dy * np.sign(x), {"x": V}) != ""


@pytest.mark.parametrize("factor", [1, -1, 0])
def test_what_rounding_hides_where_no_complex_step_is_possible_is_open(factor):
    """A gradient of zeros is no more certain than another one."""
    forward = lambda x: (3e7 + 1e-10 * np.logaddexp(x, 0).sum(), x)  # noqa: E731
    judgement = judged(forward, lambda dy, x: factor * 1e-10 * dy / (1 + np.exp(-x)), {"x": V})
    assert judgement.status == OPEN and judgement.findings == []
    (finding,) = judgement.undecided
    assert (finding.kind, finding.off, finding.entries) == (UNDECIDED, 6, 6)


def test_of_entries_that_are_open_the_one_of_which_least_is_seen_is_named():
    """Each output is of one entry, and the rounding of the largest output hides most."""
    size = 3e7 / 7 * np.array([1.0, 1e3, 3, 2, 5, 1])
    judgement = judged(lambda x: (size + 1e-10 * np.logaddexp(x, 0), x), lambda dy, x: 1e-10 * dy, {"x": V})
    assert judgement.status == OPEN and judgement.undecided[0].off == 6
    assert judgement.undecided[0].entry == (1,)


def test_hidden_from_finite_differences_alone_the_complex_step_has_to_agree():
    forward = lambda x: (3e7 + 1e-10 * (x * x).sum(), x)  # noqa: E731
    right = judged(forward, lambda dy, x: 2e-10 * dy * x, {"x": V})
    assert right.status == RIGHT and right.notes == [BLIND]
    assert judged(forward, lambda dy, x: -2e-10 * dy * x, {"x": V}).status == OPEN
    assert judged(forward, lambda dy, x: 0 * x, {"x": V}).status == OPEN


def test_entries_that_are_hidden_by_others_are_open():
    x = np.array([1e9, -3.0e-6, 2e-6])
    judgement = judged(lambda x: ((np.abs(x) ** 2).sum(), x), lambda dy, x: 2 * dy * x, {"x": x})
    assert judgement.status == OPEN and judgement.undecided[0].off == 2
    wrong = judged(lambda x: ((np.abs(x) ** 2).sum(), x), lambda dy, x: -2 * dy * x, {"x": x})
    assert wrong.status == WRONG


def test_at_the_edge_of_a_domain_an_entry_is_open():
    x = np.array([0.0, 0.25, 4.0])
    finite = lambda dy, x: dy / np.sqrt(np.maximum(x, 1e-30)) / 2  # noqa: E731
    with np.errstate(invalid="ignore"):
        judgement = judged(lambda x: (np.sqrt(x), x), finite, {"x": x})
        assert judgement.status == OPEN and judgement.undecided[0].entry == (0,)
        assert json.dumps(finding_json(judgement.undecided[0]))
        scalar = judged(lambda x: (np.sqrt(x), x), finite, {"x": np.array(0.0)})
        assert scalar.status == OPEN and scalar.undecided[0].entry == ()
        assert judged(lambda x: (np.sqrt(x), x), finite, {"x": x[1:]}).status == RIGHT


def test_a_constant_has_the_gradient_0():
    no_complex = lambda x: (7 + 0 * np.logaddexp(x, 0), x)  # noqa: E731
    for f in (lambda x: (0 * x, x), lambda x: (0 * np.abs(x), x), lambda x: (np.full(3, 7.0), x), no_complex):
        assert judged(f, lambda dy, x: 0 * x, {"x": V}).status == RIGHT
        assert judged(f, lambda dy, x: 0 * x + 1e-9, {"x": V}).status == WRONG
    hinges = lambda x: (np.maximum(0, np.abs(x) - 9).sum(), x)  # noqa: E731
    assert judged(hinges, lambda dy, x: 0 * x, {"x": V}).status == RIGHT
    f = lambda x, unused: (np.abs(x), x)  # noqa: E731
    zeros = {"x": V, "unused": V}
    assert judged(f, lambda dy, x: (dy * np.sign(x), np.zeros(6)), zeros).status == RIGHT
    assert kinds(judged(f, lambda dy, x: (dy * np.sign(x), dy), zeros)) == {"unused": "no dependence"}


# ---- kinks and ties -------------------------------------------------------------------------------------------------

ZEROS = np.maximum(RNG.normal(size=(3, 4)), 0)  # as a rectifier gives them
TIED = np.array([[0.0, 0, 0, -1], [2, 1, 2, 0], [3, 1, 2, 0]])


def row_maximum(x):
    return x.max(axis=1), x


def to_the_first(dy, x):
    return dy[:, None] * (np.arange(4) == x.argmax(axis=1)[:, None])


def to_all(dy, x):
    return dy[:, None] * (x == x.max(axis=1, keepdims=True))


def shared(dy, x):
    winners = x == x.max(axis=1, keepdims=True)
    return dy[:, None] * winners / winners.sum(axis=1, keepdims=True)


AT_KINKS = {
    "max(x, 0), 0 at 0": (lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (x > 0), ZEROS),
    "max(x, 0), 1 at 0": (lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (x >= 0), ZEROS),
    "max(x, 0), nothing but zeros": (lambda x: (np.maximum(x, 0), x), lambda dy, x: 0.5 * dy, 0 * ZEROS),
    "where, 1 at 0": (lambda x: (np.where(x.real > 0, x, 0), x), lambda dy, x: dy * (x >= 0), ZEROS),
    "min(x, 2)": (lambda x: (np.minimum(x, 2), x), lambda dy, x: dy * (x <= 2), TIED),
    "abs": (lambda x: (np.abs(x), x), lambda dy, x: dy * np.sign(x), TIED),
    "clip": (lambda x: (np.clip(x, 0, 1), x), lambda dy, x: dy * ((x > 0) & (x < 1)), TIED),
    "norm of zeros": (lambda x: (np.sqrt((x * x).sum()), x), lambda dy, x: 0 * x, 0 * ZEROS),
    "hinge": (lambda x: (np.maximum(0, 2 - x).sum(), x), lambda dy, x: -dy * (x < 2), TIED),
    "maximum, the first wins": (row_maximum, to_the_first, TIED),
    "maximum, winners share": (row_maximum, shared, TIED),
    "maximum, to none of several winners": (
        row_maximum, lambda dy, x: to_all(dy, x) * (to_all(1 + 0 * dy, x).sum(axis=1, keepdims=True) == 1), TIED,
    ),
    "maximum, no ties": (row_maximum, to_all, RNG.normal(size=(3, 4))),
    "sum of maxima": (
        lambda x: (x.max(axis=1).sum(), x), lambda dy, x: to_the_first(np.full(3, dy), x), TIED,
    ),
    "sorted": (
        lambda x: (np.sort(x, axis=1), np.argsort(np.argsort(x, axis=1, kind="stable"), axis=1, kind="stable")),
        lambda dy, ranks: np.take_along_axis(dy, ranks, axis=1), TIED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_KINKS)
def test_at_a_kink_any_gradient_between_the_slopes_is_right(name):
    f, f_backward, x = AT_KINKS[name]
    judgement = judged(f, f_backward, {"x": x})
    assert judgement.status == RIGHT, judgement
    assert all(r.right for r in judgement.results)
    named = [note for note in judgement.notes if "kink" in note]
    assert len(named) == (name != "maximum, no ties") and all(note.startswith("x[") for note in named)


def rectified(x, w, v):
    h = x @ w
    return (np.maximum(h, 0) @ v).sum(), (x, w, v, h)


def rectified_backward(at_0):
    def backward(dy, cache):
        x, w, v, h = cache
        dh = dy * v.sum(axis=1) * ((h > 0) + at_0 * (h == 0))
        return dh @ w.T, x.T @ dh, dy * np.maximum(h, 0).sum(axis=0)[:, None] * np.ones_like(v)

    return backward


@pytest.mark.parametrize("at_0", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_where_several_kinks_meet_a_gradient_that_is_right_beside_them_is_right(at_0, seed):
    """A sample of zeros: all units of the layer are at their kinks, and no slope of their sum is 0."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.normal(size=(4, 3)), 0)
    x[1] = 0
    inputs = {"x": x, "w": rng.normal(size=(3, 6)), "v": rng.normal(size=(6, 2))}
    judgement = judged(rectified, rectified_backward(at_0), inputs)
    assert judgement.status == RIGHT and any(note.startswith("x[1, 0] and") for note in judgement.notes)
    assert all(r.right for r in check_gradient(rectified, rectified_backward(at_0), list(inputs.values()), methods=TWO))
    wrong = judged(rectified, lambda dy, cache: [2 * g for g in rectified_backward(at_0)(dy, cache)], inputs)
    assert kinds(wrong) == {"x": None, "w": "factor", "v": "factor"}  # at its kinks x has no factor


NOT_AT_KINKS = {
    "max(x, 0), twice": (lambda x: (np.maximum(x, 0), x), lambda dy, x: 2 * dy * (x >= 0), ZEROS, "factor"),
    "max(x, 0), sign": (lambda x: (np.maximum(x, 0), x), lambda dy, x: -dy * (x > 0), ZEROS, "sign"),
    "max(x, 0), 2 at 0": (lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (1 + (x == 0)), ZEROS, "kink"),
    "maximum, to each winner": (row_maximum, to_all, TIED, "ties"),
    "sum of maxima, to each winner": (
        lambda x: (x.max(axis=1).sum(), x), lambda dy, x: to_all(np.full(3, dy), x), TIED, "ties",
    ),
    "abs, never written": (lambda x: (np.abs(x), x), lambda dy, x: 0 * x, TIED, "zero"),
    "leaky, both slopes at 0": (  # the forward's masks overlap as well, so that the complex step says the same
        lambda x: (x * (x.real >= 0) + 0.5 * x * (x.real <= 0), x), lambda dy, x: dy * ((x >= 0) + 0.5 * (x <= 0)),
        ZEROS, "kink",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_AT_KINKS)
def test_beside_kinks_mistakes_are_found_and_named(name):
    f, f_backward, x, kind = NOT_AT_KINKS[name]
    judgement = judged(f, f_backward, {"x": x})
    assert judgement.status == WRONG and kinds(judgement) == {"x": kind}


# ---- what a pair does with its arrays and its luck ------------------------------------------------------------------


class Workspace:
    """A pair whose answers are always the same arrays, or views of them."""

    def __init__(self, factor=1.0, view=False):
        self.factor, self.y, self.dx, self.view = factor, np.empty((5, 3)), np.empty((5, 3)), view

    def forward(self, x):
        if x.dtype != self.y.dtype:
            return np.sin(x), x
        y = self.y[:4] if self.view else self.y
        return np.sin(x, out=y), x

    def backward(self, dy, x):
        dx = self.dx[:4] if self.view else self.dx
        np.multiply(self.factor * np.cos(x), dy, out=dx)
        return dx


@pytest.mark.parametrize("view", [False, True])
def test_answers_that_are_one_array_again_and_again(view):
    x = X if view else RNG.normal(size=(5, 3))
    right, half = Workspace(view=view), Workspace(0.5, view)
    assert judged(right.forward, right.backward, {"x": x}).status == RIGHT
    judgement = judged(half.forward, half.backward, {"x": x})
    assert kinds(judgement) == {"x": "factor"} and judgement.findings[0].ratio == pytest.approx(0.5)
    assert all(r.right for r in check_gradient(right.forward, right.backward, [x]))


def test_a_gradient_that_is_the_upstream_itself():
    assert judged(lambda x: (x + 0, None), lambda dy, _: dy, {"x": X}).status == RIGHT


def test_a_backward_that_adds_to_what_it_keeps_is_found():
    kept = np.zeros(X.shape)

    def backward(dy, x):
        nonlocal kept
        kept += 2 * x * dy
        return kept

    assert kinds(judged(lambda x: (x * x, x), backward, {"x": X})) == {"all": "written in place"}


def test_sums_in_another_order_are_told_from_a_random_mask():
    def total(x):
        return (x * x).ravel()[RNG.permutation(x.size)].sum() + np.sin(x).ravel()[RNG.permutation(x.size)].sum(), x

    x = RNG.normal(size=(20, 15))
    judgement = judged(total, lambda dy, x: dy * (2 * x + np.cos(x)), {"x": x})
    assert judgement.status == RIGHT and "in the last bits" in judgement.notes[0]
    assert judged(total, lambda dy, x: dy * (2 * x - np.cos(x)), {"x": x}).status == WRONG
    jitter = lambda x: x * (1 + 1e-16 * RNG.normal(size=x.shape))  # noqa: E731
    assert judged(lambda x: (x * x, x), lambda dy, x: jitter(2 * dy * x), {"x": x}).status == RIGHT


@pytest.mark.parametrize("spread", [1e-9, 1e-3])
def test_a_random_forward_is_found_however_small_its_noise(spread):
    f = lambda x: (x * (1 + spread * RNG.normal(size=x.shape)), None)  # noqa: E731
    assert kinds(judged(f, lambda dy, _: dy, {"x": X})) == {"all": "random forward"}
    rare = lambda x: (x * (RNG.random(x.shape) > 0.05), None)  # noqa: E731
    assert kinds(judged(rare, lambda dy, _: dy, {"x": RNG.normal(size=(9, 8))})) == {"all": "random forward"}


@pytest.mark.parametrize("phase", range(4))
def test_a_forward_that_is_random_now_and_then_is_found(phase):
    calls = itertools.count(phase)
    f = lambda x: (x * (1 if next(calls) % 4 else 1.1), None)  # noqa: E731
    assert kinds(judged(f, lambda dy, _: dy, {"x": X})) == {"all": "random forward"}


# ---- broadcasting ---------------------------------------------------------------------------------------------------


def plus(x, b):
    return x + b, None


BROADCAST = {  # the shape of b, the gradients, the input that is wrong and the kind
    "dy for a bias": ((3,), lambda dy: (dy, dy), {"b": "missing sum"}),
    "dy for a row": ((1, 3), lambda dy: (dy, dy), {"b": "missing sum"}),
    "dy for a column": ((4, 1), lambda dy: (dy, dy), {"b": "missing sum"}),
    "dy for a number": ((), lambda dy: (dy, dy), {"b": "missing sum"}),
    "one of two sums": ((), lambda dy: (dy, dy.sum(axis=0)), {"b": "missing sum"}),
    "exchanged": ((3,), lambda dy: (dy.sum(axis=0), dy), {"x": "swapped", "b": "swapped"}),
    "both summed": ((3,), lambda dy: (dy.sum(axis=0), dy.sum(axis=0)), {"x": "sum too much"}),
    "a mean": ((3,), lambda dy: (dy, dy.mean(axis=0)), {"b": "factor"}),
    "the sign": ((3,), lambda dy: (dy, -dy.sum(axis=0)), {"b": "sign"}),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_the_gradient_of_what_is_broadcast(name):
    shape, grads, wrong = BROADCAST[name]
    assert kinds(judged(plus, lambda dy, _: grads(dy), {"x": X, "b": np.full(shape, 0.7)})) == wrong


def test_a_sum_over_the_wrong_axis_of_a_square():
    square, w = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))
    (finding,) = judged(plus, lambda dy, _: (dy, dy.sum(axis=1)), {"x": square, "b": B}).findings
    assert finding.kind == "wrong axis" and finding.sentence == "summed over axis 1 instead of axis 0"
    affine = lambda x, w, b: (x @ w + b, (x, w))  # noqa: E731
    backward = lambda dy, cache: (dy @ cache[1].T, cache[0].T @ dy, dy.sum(axis=1))  # noqa: E731
    assert kinds(judged(affine, backward, {"x": square, "w": w, "b": B})) == {"b": "wrong axis"}


@pytest.mark.parametrize(("axis", "n"), [(0, 3), (1, 4)])
def test_a_gradient_that_is_not_handed_to_all_that_was_summed(axis, n):
    f = lambda x, b: (x.sum(axis=axis) + b, None)  # noqa: E731
    (finding,) = judged(f, lambda dy, _: (dy, dy), {"x": X, "b": RNG.normal(size=n)}).findings
    assert (finding.input, finding.kind) == ("x", "missing broadcast") and f"axis {axis} of x" in finding.sentence


# ---- the package's own pairs ----------------------------------------------------------------------------------------


def turn_one_sign(grads, seed):
    """The gradients with the sign of one entry turned, one that is not small beside the others of its array."""
    grads = list(grads) if isinstance(grads, tuple | list) else [grads]
    large = [i for i, g in enumerate(grads) if g is not None and np.abs(g).max(initial=0) > 1e-6]
    i = large[seed % len(large)]
    changed = np.array(grads[i])
    changed[np.unravel_index(np.abs(changed).argmax(), changed.shape)] *= -1
    return [*grads[:i], changed, *grads[i + 1 :]]


PLAIN = [c for c in CHECKS if not c.network and not c.name.startswith("fused/")]


@pytest.mark.parametrize("check", PLAIN, ids=lambda check: check.name)
def test_declared_pairs_are_right_and_one_turned_sign_is_wrong(check):
    for seed in range(2):
        pair = draw(check, seed=seed, **small(check))
        assert judge(pair, seed=seed).status == RIGHT
        wrong = pair._replace(backward=lambda dy, cache, p=pair, s=seed: turn_one_sign(p.backward(dy, cache), s))
        assert judge(wrong, seed=seed).status == WRONG


# ---- mistakes of readers ---------------------------------------------------------------------------------------------


def gate_step(x, h, w, u):
    """h' = (1 − z) n + z h with z = σ(x w), n = tanh(h u)."""
    z, n = 1 / (1 + np.exp(-(x @ w))), np.tanh(h @ u)
    return (1 - z) * n + z * h, (x, h, w, u, z, n)


def gate_step_backward(dy, cache):
    x, h, w, u, z, n = cache
    dn, dz = dy * (1 - z) * (1 - n * n), dy * (h - n) * z * (1 - z)
    return dz @ w.T, dy * z + dn @ u.T, x.T @ dz, h.T @ dn


def gate_inputs(seed=0):
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=s) for k, s in {"x": (3, 2), "h": (3, 4), "w": (2, 4), "u": (4, 4)}.items()}


def test_one_line_says_which_inputs_are_wrong():
    def no_blend(dy, cache):
        dx, _, dw, du = gate_step_backward(dy, cache)
        return dx, dy * cache[4], dw, 2 * du

    found = judged(gate_step, no_blend, gate_inputs())
    assert found.summary == "wrong: h, u; right: x, w"
    assert judged(gate_step, gate_step_backward, gate_inputs()).summary == ""
    assert judged(lambda x: (x * x, x), lambda dy, x: dy * x, {"x": X}).summary == "", "one input needs no list"


def test_an_input_whose_gradient_has_another_shape_is_in_the_line():
    def summed(dy, cache):
        dx, dh, dw, du = gate_step_backward(dy, cache)
        return dx, dh, dw.sum(axis=0), du

    assert judged(gate_step, summed, gate_inputs(1)).summary == "wrong: w; right: x, h, u"


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_a_gradient_that_is_0_throughout_is_noted(margin):
    """Where no hinge is active a wrong backward passes: the note says that nothing was asked."""

    def hinge(s):
        loss = np.where((margin + s).real > 0, margin + s, 0 * s)
        return loss.sum(), s

    away = -5 - np.abs(X)
    passed = judged(hinge, lambda dy, s: 0 * s, {"s": away})
    assert passed.status == RIGHT and [note for note in passed.notes if note.startswith("s: the gradient is 0")]
    seen = judged(hinge, lambda dy, s: dy * np.ones_like(s), {"s": 5 + np.abs(X)})
    assert seen.status == RIGHT and not [note for note in seen.notes if "gradient is 0" in note]


def test_of_two_inputs_only_the_still_one_is_noted():
    found = judged(lambda x, k: (x + 0 * k, None), lambda dy, cache: (dy, 0 * dy), {"x": X, "k": X + 1})
    assert [note.split(":")[0] for note in found.notes if "gradient is 0" in note] == ["k"]


def unit_rows_of(x):
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return x / length, (x / length, length)


def test_a_row_that_is_not_divided_by_its_length_is_named():
    forgotten = lambda dy, cache: dy - cache[0] * (dy * cache[0]).sum(axis=1, keepdims=True)  # noqa: E731
    (finding,) = judged(unit_rows_of, forgotten, {"x": X}).findings
    assert finding.kind == "missing factor" and "cache[1] is too much, or a division by it" in finding.sentence
    unkept = lambda x: (unit_rows_of(x)[0], unit_rows_of(x)[0])  # noqa: E731
    without = lambda dy, y: dy - y * (dy * y).sum(axis=1, keepdims=True)  # noqa: E731
    (finding,) = judged(unkept, without, {"x": X}).findings
    assert finding.kind == "missing factor" and "‖x‖ along axis 1 is too much" in finding.sentence


@pytest.mark.parametrize("which", ["a", "b"])
def test_an_upstream_that_is_not_transposed_is_named(which):
    rng = np.random.default_rng(7)
    inputs = {"a": rng.normal(size=(4, 4)), "b": rng.normal(size=(4, 4))}

    def wrong(dc, cache):
        a, b = cache
        return (dc.T @ b if which == "a" else dc @ b), (dc @ a if which == "b" else dc.T @ a)

    (finding,) = judged(lambda a, b: (a @ b.T, (a, b)), wrong, inputs).findings
    assert finding.input == which and finding.kind == "transpose" and "upstream" in finding.sentence


@pytest.mark.parametrize(
    ("f", "wrong", "kind", "words"),
    [
        (np.tanh, lambda dy, y: dy, "missing slope", "the slope of tanh"),
        (np.tanh, lambda dy, y: dy * (1 - y), "missing factor", "half of tanh's slope"),
        (lambda x: 1 / (1 + np.exp(-x)), lambda dy, y: dy * y, "missing factor", "half of its slope y (1 − y)"),
        (lambda x: 1 / (1 + np.exp(-x)), lambda dy, y: dy, "missing slope", "the slope of σ"),
    ],
)
def test_a_slope_left_out_or_half_written_is_named(f, wrong, kind, words):
    (finding,) = judged(lambda x: (f(x), f(x)), wrong, {"x": X}).findings
    assert finding.kind == kind and words in finding.sentence


def test_a_forgotten_diagonal_is_named():
    def triplet(s):
        own = np.diagonal(s)[:, None]
        active = ((0.5 - own + s).real > 0) & ~np.eye(len(s), dtype=bool)
        return np.where(active, 0.5 - own + s, 0).sum(), active

    s = np.random.default_rng(3).uniform(-0.1, 0.1, (4, 4))
    (finding,) = judged(triplet, lambda dy, active: dy * active, {"s": s}).findings
    assert "they are the diagonal" in finding.sentence


# ---- masks, steps, and what is kept between calls -------------------------------------------------------------------


def test_a_mask_with_a_gradient_of_zeros_is_held():
    keep = RNG.random((4, 3)) > 0.5
    forward = lambda x, keep: (np.where(keep, x, 0), keep)  # noqa: E731
    assert judged(forward, lambda dy, keep: (dy * keep, np.zeros(keep.shape)), {"x": X, "keep": keep}).status == RIGHT
    assert judged(forward, lambda dy, keep: (dy, np.zeros(keep.shape)), {"x": X, "keep": keep}).status == WRONG
    product = lambda x, keep: (x * keep, keep)  # noqa: E731
    assert judged(product, lambda dy, keep: (dy * keep, np.zeros(keep.shape)), {"x": X, "keep": keep}).status == RIGHT
    chosen = lambda x, keep: (x[keep], (x.shape, keep))  # noqa: E731

    def chosen_backward(dy, cache):
        dx = np.zeros(cache[0])
        dx[cache[1]] = dy
        return dx, np.zeros(cache[0])

    assert judged(chosen, chosen_backward, {"x": X, "keep": keep}).status == RIGHT


@pytest.mark.parametrize("read", ["as an index", "cast to whole numbers", "by equality"])
def test_labels_with_a_gradient_of_zeros_are_held(read):
    labels = np.array([2, 0, 0, 1])

    def hot_of(labels):
        if read == "by equality":
            return labels[:, None] == np.arange(3)
        return np.eye(3)[labels if read == "as an index" else labels.astype(int)]

    forward = lambda x, labels: ((x * hot_of(labels)).sum(axis=1), hot_of(labels))  # noqa: E731
    right = lambda dy, hot: (dy[:, None] * hot, np.zeros(4))  # noqa: E731
    judgement = judged(forward, right, {"x": X, "labels": labels})
    assert judgement.status == RIGHT and any("labels, indices or a mask" in note for note in judgement.notes)
    wrong = lambda dy, hot: (dy[:, None] * hot[::-1], np.zeros(4))  # noqa: E731
    assert [f.input for f in judged(forward, wrong, {"x": X, "labels": labels}).findings] == ["x"]


def test_whole_numbers_with_a_slope_are_numbers():
    """A gradient that was forgotten is no sign that these are labels."""
    forward = lambda x, k: (x * k, (x, k))  # noqa: E731
    forgotten = lambda dy, c: (dy * c[1], np.zeros(3))  # noqa: E731
    judgement = judged(forward, forgotten, {"x": X, "k": np.array([1, 2, 3])})
    assert judgement.status == WRONG and [f.input for f in judgement.findings] == ["k"]


QUANTISERS = {
    "round": np.round,
    "of the real part": lambda x: np.round(4 * x.real) / 4,
    "floor": np.floor,
    "sign": np.sign,
    "the largest": lambda x: np.eye(3)[x.real.argmax(axis=1)],
}


@pytest.mark.parametrize("name", QUANTISERS)
def test_a_quantiser_has_the_derivative_0(name):
    """Its rounding hides nothing: the outputs jump, and are flat between. What is hidden by rounding stays open."""
    judgement = judged(lambda x: (QUANTISERS[name](x), x), lambda dy, x: 0 * x, {"x": X})
    assert judgement.status == RIGHT and any("flat between" in note for note in judgement.notes)
    assert BLIND not in judgement.notes and not any("choose others" in note for note in judgement.notes)
    judgement = judged(lambda x: (QUANTISERS[name](x), x), lambda dy, x: dy * (np.abs(x) < 2), {"x": X})
    assert judgement.status == WRONG and kinds(judgement) == {"x": "straight through"}


def test_outputs_that_jump_only_where_several_entries_move_are_flat():
    judgement = judged(lambda x: (1.0 * (x > 0).all(), x), lambda dy, x: 0 * x, {"x": np.array([-1.0, -2])})
    assert judgement.status == RIGHT and judgement.notes == [FLAT.format("x")]


@pytest.mark.parametrize("unit", [1e-20, 1e-16])
def test_what_rounding_hides_is_no_quantiser(unit):
    """A gradient of 0 may be right, and another one is too large for what finite differences do not see."""
    for gradient, status in ((0, OPEN), (unit, RIGHT), (0.7, WRONG)):
        assert judged(lambda x: (1 + unit * x, x), lambda dy, x, g=gradient: g * dy, {"x": X}).status == status
    assert judged(lambda x: (1 + unit * np.abs(x), x), lambda dy, x: 0 * x, {"x": X}).status == OPEN


def test_a_step_beside_something_smooth_is_mentioned():
    judgement = judged(lambda x: (x * x + np.round(x.real), x), lambda dy, x: dy * (2 * x + 1), {"x": X})
    assert "y jumps as x moves" in judgement.findings[0].sentence
    judgement = judged(lambda x: (1 / x, x), lambda dy, x: -dy / (x * x + 0.1), {"x": X})  # a pole is no jump
    assert judgement.status == WRONG and "jumps" not in judgement.findings[0].sentence


@pytest.mark.parametrize("step", [np.sign, np.round, np.floor])
def test_a_gradient_straight_through_a_step_is_wrong(step):
    judgement = judged(lambda x: (step(x.real), x), lambda dy, x: dy * 0.7, {"x": X + 0.05})
    assert judgement.status == WRONG and judgement.findings[0].measured == 0


def test_a_division_by_another_array_is_named_as_one():
    a, b = 1 + RNG.random(3), 1 + RNG.random(3)
    forward = lambda x, a, b: (x / a + 0 * b, (x, a, b))  # noqa: E731
    backward = lambda dy, c: (dy / c[2], -(dy * c[0] / c[1] ** 2).sum(axis=0), 0 * c[2])  # noqa: E731
    (finding,) = judged(forward, backward, {"x": X, "a": a, "b": b}).findings
    assert "a division by b where one by a belongs" in finding.sentence


def test_what_is_kept_of_another_call_is_found():
    kept = np.empty((4, 3))

    def square(x):
        if np.iscomplexobj(x):
            return x * x, x
        kept[...] = 2 * x
        return x * x, kept

    judgement = judged(square, lambda dy, cache: dy * cache, {"x": X})
    assert judgement.status == WRONG and "state between calls" in kinds(judgement).values()

    calls = []

    def first_is_right(dy, x):
        calls.append(1)
        return 2 * x * dy * (1 if len(calls) == 1 else 1.5)

    assert judged(lambda x: (x * x, x), first_is_right, {"x": X}).status == WRONG


def test_a_gradient_that_is_no_number_has_no_ratio():
    pair = (lambda x: (x * x, x), lambda dy, x: np.where(x == x[0, 0], np.nan, 2 * x * dy), {"x": X})
    judgement = judged(*pair)
    assert judgement.status == WRONG and judgement.findings[0].ratio is None
    assert "nan times" not in str(explain(*pair))


# ---- rounding that adds up along a direction ------------------------------------------------------------------------


def normalise_rows(x):
    """Layer norm of rows: of two columns it is ±1 whatever they are, so that its gradient is little but rounding."""
    d = x - x.mean(axis=1, keepdims=True)
    s = ((d * d).mean(axis=1, keepdims=True) + 1e-8) ** -0.5
    return d * s, (d * s, s)


def normalise_rows_backward(dy, cache):
    y, s = cache
    return s * (dy - dy.mean(axis=1, keepdims=True) - y * (dy * y).mean(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", [122, 136, 178, 197, *range(4)])
def test_what_rounding_explains_of_entries_it_explains_along_a_direction(seed):
    x = np.random.default_rng(seed).standard_normal((6, 2))
    assert judged(normalise_rows, normalise_rows_backward, {"x": x}, seed).status == RIGHT
    assert all(result.right for result in check_gradient(normalise_rows, normalise_rows_backward, [x], seed=seed))
    off = lambda dy, cache: normalise_rows_backward(dy, cache) * (1 + 1e-3)  # noqa: E731
    wide = np.random.default_rng(seed).standard_normal((6, 5))
    assert judged(normalise_rows, off, {"x": wide}, seed).status == WRONG


def test_only_what_is_right_a_number_and_off_the_kinks_is_rounding():
    ours, stepped = np.array([1.0, 2.0, 3.0, np.nan, 5.0]), np.array([1.5, 2.5, 3.5, 4.0, np.inf])
    off, kinks = np.arange(5) == 1, np.arange(5) == 2
    comparison = Comparison(Result("x", "complex-step", 0.0, (), 0.0, 0.0), stepped, off, kinks)
    assert rounding_of_entries(ours, stepped, comparison).tolist() == [0.5, 0, 0, 0, 0]


# ---- slopes that are large elsewhere --------------------------------------------------------------------------------

DECAYING = {  # f, its derivative, and inputs at which both are far below what they are nearer to 0
    "Lennard-Jones": (lambda r: 1 / r**12 - 1 / r**6, lambda r: -12 / r**13 + 6 / r**7, (2, 4)),
    "1/x⁶": (lambda x: 1 / x**6, lambda x: -6 / x**7, (5, 15)),
    "1/x¹²": (lambda x: 1 / x**12, lambda x: -12 / x**13, (50, 150)),
    "a bell": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x), (6.5, 7.5)),
}


@pytest.mark.parametrize("name", DECAYING)
@pytest.mark.parametrize("factor", [-1, 2, 1 + 1e-5])
def test_a_mistake_is_no_rounding_because_the_function_is_large_elsewhere(name, factor):
    f, df, between = DECAYING[name]
    x = np.random.default_rng(3).uniform(*between, size=5)
    for times, status in ((1, RIGHT), (factor, WRONG)):
        backward = lambda dy, x, times=times: dy * times * df(x)  # noqa: E731
        assert judged(lambda x: (f(x), x), backward, {"x": x}).status == status
        results = check_gradient(lambda x: (f(x), x), backward, [x])
        assert all(r.right for r in results if r.method != "directional") == (status == RIGHT)


@pytest.mark.parametrize("margin", [10, 20, 30, 40, 60, 100])
def test_the_loss_of_a_confident_network_is_right(margin):
    """Where 1 − p has lost its digits every entry is off by rounding alone, and so is their sum along a direction."""
    labels = np.zeros(4, int)
    for seed in range(5):
        u = np.random.default_rng(seed).normal(size=(4, 3))
        u[:, 0] += margin
        f = lambda u: ops.softmax_cross_entropy(u, labels)  # noqa: E731
        assert judged(f, ops.softmax_cross_entropy_backward, {"u": u}, seed).status == RIGHT
        assert all(r.right for r in check_gradient(f, ops.softmax_cross_entropy_backward, [u], seed=seed))
        doubled = lambda dy, cache: 2 * ops.softmax_cross_entropy_backward(dy, cache)  # noqa: E731
        assert margin > 10 or not all(r.right for r in check_gradient(f, doubled, [u], seed=seed))


@pytest.mark.parametrize("scale", [1, 1e-7])
def test_a_kink_in_small_units_hides_no_lost_imaginary_part(scale):
    """A squared hinge written with |x|, whose long line for the noise crosses kinks."""
    f = lambda x: (((np.abs(x) + x) / 2) ** 2, np.real(x))  # noqa: E731
    for seed in range(10):
        x = scale * np.random.default_rng(seed).normal(size=7)
        x[0] = abs(x[0])
        for factor in (2, 3):
            backward = lambda dy, x, factor=factor: factor * dy * np.maximum(x, 0)  # noqa: E731
            right = all(r.right for r in check_gradient(f, backward, [x], seed=seed))
            assert right == (factor == 2)
            assert judged(f, backward, {"x": x}, seed).status == (RIGHT if right else WRONG)


# ---- what is no number, and how it is said --------------------------------------------------------------------------


def test_outputs_of_booleans_and_bytes_are_numbers():
    for kind in (bool, "uint8"):
        f = lambda x, kind=kind: ((x.real > 0).astype(kind), x)  # noqa: E731
        assert judged(f, lambda dy, x: 0 * x, {"x": X}).status != WRONG
        assert judged(f, lambda dy, x: dy * x, {"x": X}).status == WRONG
        assert not all(r.right for r in check_gradient(f, lambda dy, x: dy * x, [X]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda f, b: check_gradient(f, b, X), r"expected a list of arrays, as \[x, w\]"),
        (lambda f, b: check_gradient(f, b, {"x": X}), r"expected a list of arrays, as \[x, w\]"),
        (lambda f, b: explain(f, b, [X]), r"arrays by the names of the parameters"),
        (lambda f, b: check_gradient(lambda x: ([x, x[0]], x), b, [X]), "several outputs are a tuple"),
        (
            lambda f, b: check_gradient(lambda x, w: (x * w, x), lambda dy, c: {"x": dy}, [X, X]),
            "returns a dict; expected a tuple of gradients",
        ),
    ],
)
def test_what_is_no_pair_and_no_list_is_said(call, says):
    with pytest.raises(ValueError, match=says):
        call(lambda x: (x * x, x), lambda dy, x: 2 * x * dy)


def test_a_scaled_product_is_named_by_its_length():
    q, k = np.random.default_rng(0).normal(size=(2, 5, 3))
    f = lambda q, k: (q @ k.T / np.sqrt(3), (q, k))  # noqa: E731
    backward = lambda dy, c: (dy @ c[1], dy.T @ c[0] / np.sqrt(3))  # noqa: E731
    (finding,) = judged(f, backward, {"q": q, "k": k}).findings
    assert "1/√n of a scaled product is missing (C = 3" in finding.sentence
