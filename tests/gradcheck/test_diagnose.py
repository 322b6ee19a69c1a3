"""Each kind of mistake is recognised from the arrays alone, and nothing else is taken for it."""

import numpy as np
import pytest

from cmir_ref.gradcheck import diagnose as d
from cmir_ref.gradcheck.diagnose import diagnose
from cmir_ref.gradcheck.evidence import Evidence, Jacobians, where
from cmir_ref.gradcheck.whole import meanings

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3))
M = RNG.normal(size=(4, 3))  # the measured gradient
W = RNG.normal(size=(3, 3))
MASKED = M * (X > 0)
D = RNG.normal(size=(4, 4))
ONES = np.ones((4, 3))
U, V = RNG.uniform(1, 2, (2, 4, 3))
COUNTS = np.array([[0, 1, 2], [2, 1, 0], [-3, 1, 1], [0, 0, 0]])
BLOCK = RNG.normal(size=(4, 3, 4, 3))  # ∂y/∂x
ANGLES = np.arange(1, 5)
TURN = np.array([[np.cos(ANGLES), np.sin(ANGLES)], [-np.sin(ANGLES), np.cos(ANGLES)]]).transpose(2, 0, 1)
STEPS = BLOCK * np.tri(4)[:, None, :, None]  # at each index of y's first axis, of those before it in x


def seen(ours, measured=M, x=X, **more):
    """The evidence about an input x; the backward is linear in dy unless `answer` says otherwise."""
    more = {"answer": lambda change: change(ours)} | more
    return Evidence("x", x, ours, measured, **more)


def by_output(ours, right, **more):
    """The evidence where ∂y/∂x is known for each of 4 × 3 outputs."""
    dy = RNG.normal(size=(4, 3))
    totals = [np.tensordot(dy, jacobian, 2) for jacobian in (ours, right)]
    x = RNG.normal(size=totals[1].shape)
    return seen(*totals, x, y=dy * dy, dy=dy, each_output=lambda: Jacobians(ours, right, 2), **more)


CASES = {  # evidence for each kind, by the function that has to recognise it
    d.transpose: seen(M.T),
    d.exchange: seen(X, measured_of={"w": X}, ours_of={"w": M}),
    d.gradient_of_another: seen(X, measured_of={"w": X}, ours_of={"w": X}),
    d.missing_sum: seen(np.stack([M / 2, M / 2])),
    d.sum_too_much: seen(M.sum(axis=0)),
    d.missing_spread: seen(M[0], np.broadcast_to(M[0], M.shape)),
    d.reshape: seen(M.reshape(2, 6)),
    d.not_finite: seen(np.where(X > 0, M, np.nan)),
    d.straight_through: seen(M, 0 * M, jumps=lambda some=None: True),
    d.straight_through_a_part: by_output(
        BLOCK,
        BLOCK * (np.arange(4) > 1)[:, None, None, None],
        jumps=lambda some=None: some is not None and some[:6].all() and not some[6:].any(),
    ),
    d.no_dependence: seen(M, 0 * M),
    d.zero: seen(0 * M),
    d.missing_upstream: seen(X, answer=lambda change: X),
    d.doubled_upstream: seen(X, answer=lambda change: 4 * X),
    d.float32: seen(M.astype(np.float32)),
    d.sign: seen(-M),
    d.constant_factor: seen(0.3 * M),
    d.other_axis: seen(W.sum(axis=1), W.sum(axis=0), X[0], dy=W),
    d.flip: seen(M[::-1]),
    d.shift: seen(np.concatenate([M[1:], X[:1] / 100])),
    d.factor_on_the_way: seen(M / W[0], others={"gamma": W[0]}),
    d.upstream_transposed: seen(X, y=W, answer=lambda change: M if change is np.transpose else change(X)),
    d.factor_of_each_line: seen(M * np.array([[0.5], [2], [3], [-4]])),
    d.product_transposed: seen(D @ M, D.T @ M, others={"m": M}),
    d.half_of_product: seen(D @ X, (D + D.T) @ X),
    d.rotated: by_output((BLOCK[..., None, :2] @ TURN)[..., 0, :], BLOCK[..., :2]),
    d.over_steps: by_output(STEPS * (1 + np.tri(4, k=-1)[:, None, :, None]), STEPS),
    d.half_of_two: seen(X, y=W, answer=lambda change: M - X if change is np.transpose else change(X)),
    d.missing_mask: seen(M, MASKED),
    d.reversed_mask: seen(M * (X <= 0), MASKED),
    d.dropped_entries: seen(MASKED),
    d.branch: seen(np.where(X > 0, M, 5 * M)),
    d.permutation: seen(M.ravel()[RNG.permutation(12)].reshape(4, 3)),
    d.transpose_of_another: seen(X, others={"w": W}, remeasure=lambda n, v: X if np.array_equal(v, W.T) else M),
    d.flip_of_another: seen(X, others={"w": W}, remeasure=lambda n, v: X if np.array_equal(v, W[:, ::-1]) else M),
    d.other_mask: seen(M * (X > -0.5), M * (X < 1)),
    d.other_factor: seen(M * V / U, others={"u": U, "v": V}),
    d.factor_of_each_output: by_output(BLOCK * RNG.normal(size=(4, 3, 1, 1)), BLOCK),
    d.ignored_output: by_output(BLOCK * (np.arange(4) > 1)[:, None, None, None], BLOCK, sizes=(6, 6)),
    d.turned_round: by_output(BLOCK.transpose(2, 3, 0, 1), BLOCK),
    d.parts_left_out: by_output(BLOCK * (np.arange(3)[:, None, None] != 1), BLOCK),
    d.direct_path: by_output(BLOCK - np.diag(V.ravel()).reshape(BLOCK.shape), BLOCK, others={"v": V}),
    d.beside_product: by_output(
        V[:, None, None] * BLOCK[:, :, :, :1], V[:, None, None] * BLOCK[:, :, :, 1:2], others={"v": V}
    ),
    d.sums_over_another_axis: by_output(
        BLOCK - BLOCK.mean(axis=2, keepdims=True), BLOCK - BLOCK.mean(axis=3, keepdims=True)
    ),
    d.summed_over_another: by_output(M[..., None] * np.eye(4)[:, None], M[..., None] * np.eye(3)),
    d.wrong_count: seen(
        0.3 * np.array([[0, 1, 2], [2, 1, 0], [-3, 1, 1], [0, 0, 0]]),
        0.3 * np.array([[0, 1, 2], [2, 2, 0], [-3, 0, 1], [1, 0, 0]]),
    ),
    d.diagonal_alone: seen(M * (1 + np.eye(4, 3) * X)),
    d.missing_penalty: seen(M, M + 0.3 * np.sign(X)),
    d.missing_term: seen(M + W[:1]),
    d.not_linear: seen(X, answer=lambda change: 3 * X),
}
KINDS = [kind for part in (*d.SHAPES, *d.VALUES) for kind in part]


def test_every_kind_has_a_case():
    assert {look for _, look in KINDS} == CASES.keys()


@pytest.mark.parametrize("look", CASES, ids=lambda look: look.__name__)
def test_a_kind_is_recognised_and_comes_first(look):
    answer = look(CASES[look])
    kinds = {name for name, function in KINDS if function is look}
    expected = [answer] if isinstance(answer, tuple) else [(kind, answer) for kind in kinds]
    assert diagnose(CASES[look]) in expected


@pytest.mark.parametrize("look", CASES, ids=lambda look: look.__name__)
def test_random_numbers_are_of_no_kind(look):
    ours = RNG.normal(size=CASES[look].ours.shape)
    e = CASES[look]._replace(ours=ours, measured=M, answer=lambda change: change(ours), measured_of={"w": W})
    e = e._replace(each_output=lambda: None)
    kind, sentence = diagnose(e)
    assert kind is None and sentence.startswith("no known kind")


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("end, one, side", [(-1, "last", "before"), (0, "first", "after")])
def test_one_end_of_the_steps_that_is_right(axis, end, one, side):
    """As of a recurrence of which the last state alone is seen: no Jacobian of steps tells what is handed back."""
    rng = np.random.default_rng(axis)
    measured, ours = rng.normal(size=(2, 5, 4))
    right = np.moveaxis(ours, axis, 0)
    right[end] = np.moveaxis(measured, axis, 0)[end]
    hint = (
        f"; the {one} of axis {axis} alone is right: if these are steps, look at what each step hands to the one {side}"
    )
    kind, sentence = diagnose(seen(ours, measured, rng.normal(size=(5, 4))))
    assert kind is None and hint in sentence
    right[1] = np.moveaxis(measured, axis, 0)[1]
    assert "alone is right" not in diagnose(seen(ours, measured, rng.normal(size=(5, 4))))[1]


def test_two_kinds_that_explain_the_same_numbers_are_both_said():
    """The gradient of b is that of w without v: it may be given to the wrong input, or v may be forgotten."""
    kind, sentence = diagnose(seen(M / V, measured_of={"b": M / V}, others={"v": V}))
    assert kind == "swapped or missing factor"
    assert sentence == "either this is the gradient of b; or the factor v is missing"


def test_where_most_entries_are_right_an_equal_gradient_is_a_coincidence():
    ours = np.where(np.eye(4, 3) > 0, 0, M)
    kind, sentence = diagnose(seen(ours, measured_of={"b": ours}))
    assert kind == "entries dropped" and sentence.endswith("they are the diagonal")


NOT_BY_SIZE = {
    d.over_steps,
    d.straight_through,
    d.straight_through_a_part,
    d.not_finite,
    d.no_dependence,
    d.zero,
    d.missing_upstream,
    d.doubled_upstream,
    d.not_linear,
    d.upstream_transposed,
    d.reversed_mask,
    d.other_mask,
}
BY_OUTPUT = {
    d.rotated,
    d.beside_product,
    d.ignored_output,
    d.turned_round,
    d.parts_left_out,
    d.factor_of_each_output,
    d.direct_path,
    d.sums_over_another_axis,
    d.summed_over_another,
}


@pytest.mark.parametrize(
    "look", [look for look in CASES if look not in NOT_BY_SIZE | BY_OUTPUT], ids=lambda look: look.__name__
)
def test_an_almost_is_not_a_kind(look):
    """With one entry a thousandth off, the case is of its kind no more."""
    e = CASES[look]
    ours = e.ours.astype(float)
    ours[np.unravel_index(np.abs(ours).argmax(), ours.shape)] *= 1.001
    assert look(e._replace(ours=ours)) is None


@pytest.mark.parametrize("look", [look for look in CASES if look in BY_OUTPUT], ids=lambda look: look.__name__)
def test_an_almost_of_single_outputs_is_not_a_kind(look):
    """With the largest entry of ∂y/∂x a thousandth off, too, and its neighbour a tenth of that."""
    e = CASES[look]
    ours, right, outputs, *_ = e.jacobians()
    ours = ours.copy()
    largest = np.abs(ours).argmax()
    size = abs(ours.flat[largest])
    ours.flat[largest] += 1e-3 * size
    ours.flat[(largest + 1) % ours.size] += 1e-4 * size
    assert look(e) and look(e._replace(each_output=lambda: Jacobians(ours, right, outputs))) is None


@pytest.mark.parametrize(
    ("c", "x", "y", "words"),
    [
        (2, (4, 3), (4, 5), ["a 2 too much"]),
        (0.5, (4, 3), (4, 5), ["a 2 is missing"]),
        (4, (4, 3), (4, 5), ["the 1/n of a mean is missing (N = 4, axis 0 of x)"]),
        (3, (4, 3), (4, 5), ["the 1/n of a mean is missing (C = 3, axis 1 of x)"]),
        (12, (4, 3), (4, 5), ["the 1/n of a mean is missing (N·C = 12, axes 0, 1 of x)"]),
        (0.2, (4, 3), (4, 5), ["divided by n too often, a mean where the forward sums (C = 5, axis 1 of y)"]),
        (2, (2, 3), (), ["a 2 too much", "is missing (N = 2, axis 0 of x)"]),
        (4, (4, 4), (), ["is missing (N = 4, axis 0 of x or C = 4, axis 1 of x)"]),
        (30, (2, 3, 5, 7), (), ["is missing (N·n1·n2 = 30, axes 0, 1, 2 of x)"]),
        (3, (3,), (4, 5), ["is missing (n = 3, axis 0 of x)"]),
        (1.37, (4, 3), (4, 5), []),
    ],
)
def test_what_a_factor_means(c, x, y, words):
    e = Evidence("x", np.ones(x), np.ones(x), np.ones(x), y=np.ones(y))
    found = list(meanings(c, e))
    assert len(found) == len(words) and all(a in b for a, b in zip(words, found, strict=True)), found


@pytest.mark.parametrize(
    ("c", "words"),
    [
        (2, ["a 2 too much", "divided by the number of ones in m (3) where all its 6 entries count"]),
        (0.5, ["a 2 is missing", "divided by all 6 entries of m where only its 3 ones count"]),
    ],
)
def test_a_factor_may_be_a_count_of_a_mask(c, words):
    e = Evidence("x", np.ones((5, 3)), np.ones((5, 3)), np.ones((5, 3)), kept={"m": np.array([1.0, 0, 0, 1, 1, 0])})
    found = list(meanings(c, e))
    assert len(found) == len(words) and all(a in b for a, b in zip(words, found, strict=True)), found
    assert len(list(meanings(c, e._replace(kept={"one-hot m": e.kept["m"]})))) == 1


def test_a_factor_2_may_be_the_root_of_the_axis_over_which_a_product_sums():
    found = list(meanings(2, Evidence("q", np.ones((5, 4)), np.ones((5, 4)), np.ones((5, 4)))))
    assert "1/√n of a scaled product is missing (C = 4, axis 1 of q)" in found[1] and len(found) == 2


def test_an_input_may_be_called_y():
    """Then y is the input, and the output is called so."""
    m = RNG.normal(size=(4, 3))
    e = Evidence("y", np.ones((4, 3)), 4 * m, m, y=np.ones((5, 7)))
    assert "the 1/n of a mean is missing (N = 4, axis 0 of y)" in d.constant_factor(e)
    assert "N = 5, axis 0 of the output" in d.constant_factor(e._replace(ours=5 * m))
    kind, sentence = d.missing_term(seen(M - V, y=U, others={"y": V}))
    assert kind == "missing term" and sentence.endswith("a multiple of y, the same for all entries")
    assert "softmax" not in d.missing_term(seen(M - V * W[:1], y=U, others={"y": V}))[1]


@pytest.mark.parametrize("factor, words", [(1 + 1e-6, "1 + 1e-06"), (3.0, "(3, 3)")])
def test_a_factor_of_some_lines_says_of_which(factor, words):
    c = np.array([[1.0], [factor], [1.0], [factor]])
    sentence = d.factor_of_each_line(seen(M / c))
    assert "indices 1, 3 of axis 0 of x alone" in sentence and words in sentence


def test_a_factor_of_one_of_several_outputs_is_that_outputs():
    c = np.repeat([1.0, 0.5], [5, 4])[:, None, None]
    right = RNG.normal(size=(9, 4, 3))
    dy = RNG.normal(size=9)
    totals = [np.tensordot(dy, jacobian, 1) for jacobian in (c * right, right)]
    e = seen(*totals, sizes=(5, 4), each_output=lambda: Jacobians(c * right, right, 1))
    assert d.factor_of_each_line(e) == "what comes back from single outputs lacks a factor: 2 of output 1"


def test_where_single_outputs_are_not_known_nothing_is_said_of_them():
    c = np.array([[0.5], [2], [3], [-4]])
    assert d.ignored_output(seen(0 * M, sizes=(5, 4))) is None
    assert "each index of axis 0 of x lacks" in d.factor_of_each_line(seen(M * c, sizes=(2, 2)))


def test_exp_is_named_beside_the_two_sides_of_a_gate():
    z = RNG.normal(size=(4, 3))
    assert "the factor exp(z) is missing, or 1 − σ(z) stands where σ(z) belongs" in d.factor_on_the_way(
        seen(M / np.exp(z), M, others={"z": z})
    )
    assert "exp(z) is too much, or a division by it is missing, or σ(z) stands where 1 − σ(z) belongs" in str(
        d.factor_on_the_way(seen(M * np.exp(z), M, others={"z": z}))
    )


def test_what_exp_gave_is_its_slope():
    z = RNG.normal(size=(4, 3))
    e = seen(M, M * np.exp(-z), others={"z": z}, kept={"k": np.exp(-z)})
    assert d.factor_on_the_way(e) == ("missing slope", "the factor k, the slope of exp, is missing")


def test_the_signs_of_a_few_entries_are_no_mask():
    """One of many arrays has them by chance: here those of b are the signs of which output is ignored."""
    b, right = np.array([[0.5, 0.3], [-1.0, -2.0]]), RNG.normal(size=(2, 2, 4, 3))
    ours = right * (b > 0)[..., None, None]
    e = seen(ours.sum((0, 1)), right.sum((0, 1)), others={"b": b}, each_output=lambda: Jacobians(ours, right, 2))
    assert d.factor_on_the_way(e) is None
    many = RNG.normal(size=(4, 3))
    assert d.factor_on_the_way(by_output(BLOCK * (many > 0)[..., None, None], BLOCK, others={"b": many})) == (
        "entries dropped",
        "the mask b > 0 is too much",
    )


def test_a_slope_of_single_entries_is_said():
    x, right = np.linspace(0.1, 1.2, 12).reshape(4, 3), np.diag(V.ravel())
    ours = right + 0.1 * np.diag(np.cos(7 * x.ravel()))
    shape = (4, 3, 4, 3)
    e = by_output(ours.reshape(shape), right.reshape(shape))._replace(x=x)
    kind, sentence = diagnose(e)
    assert kind is None and "each entry of y depends on one of x: the slope at " in sentence
    near = by_output((right + 1e-4 * (ours - right)).reshape(shape), right.reshape(shape))._replace(x=x)
    slope, said = diagnose(near)[1].removesuffix(" times dy").split(" is ")[1].split(", and the gradient has ")
    assert slope != said


def test_what_is_small_is_no_factor_because_all_of_it_is_small():
    """Products with two arrays in small units are as small as rounding beside the gradients, and not equal."""
    tiny = {"u": 1e-9 * U, "v": 1e-9 * V}
    e = seen(X, others={"u": tiny["u"] ** 2, "v": tiny["v"] ** 2})
    assert d.other_factor(e) is None and d.factor_on_the_way(e) is None
    assert d.other_factor(seen(M * V / U, others=tiny)) == d.other_factor(CASES[d.other_factor])


@pytest.mark.parametrize("size", [1e-8, 1e-15, 1e-20])
def test_a_gradient_that_is_far_too_small_is_of_no_kind(size):
    assert diagnose(seen(size * X, wrong=ONES > 0))[0] is None
    assert diagnose(seen(size * M, wrong=ONES > 0))[0] == "factor"


def test_a_scalar_input_may_be_the_factor():
    e = seen(M / 0.7, others={"scale": np.array(0.7)})
    assert "the factor scale is missing" in d.constant_factor(e)
    assert "the factor scale is too much" in d.constant_factor(e._replace(ours=M * 0.7))


def test_one_number_is_no_proof_of_a_factor():
    one = np.ones(1)
    assert d.constant_factor(Evidence("x", one, 1.37 * one, one)) is None
    assert "a 2 too much" in d.constant_factor(Evidence("x", one, 2 * one, one))


@pytest.mark.parametrize(
    ("term", "words"),
    [
        (lambda x: W[:1], "a constant along axis 0"),
        (lambda x: x[:, :1] ** 3, "a constant along axis 1"),
        (lambda x: x * W[:1], "a multiple of x along axis 0"),
        (lambda x: x * x[:, :1], "a multiple of x along axis 1"),
        (lambda x: W[1:2] + x * W[:1], "a constant plus a multiple of x along axis 0"),
        (lambda x: 0.3 * x, "a multiple of x, the same for all entries"),
        (lambda x: 0.3 * x - 0.7 * x**3, "a multiple of x plus a multiple of v, the same for all entries"),
    ],
)
def test_the_form_of_a_missing_term(term, words):
    x, measured = RNG.normal(size=(2, 8, 3))
    kind, sentence = d.missing_term(Evidence("x", x, measured - term(x), measured, others={"v": x**3}))
    assert kind == "missing term" and words in sentence


def test_a_constant_is_no_penalty_where_all_x_have_one_sign():
    kind, sentence = diagnose(seen(M - 0.3, x=U))
    assert kind == "missing term" and sentence.endswith("a constant, the same for all entries")


def test_a_pair_that_grows_is_not_turned():
    """Turned and twice as long is no rotation."""
    assert d.rotated(by_output((BLOCK[..., None, :2] @ TURN)[..., 0, :] * 2, BLOCK[..., :2])) is None


def test_a_short_axis_proves_no_term():
    x, m = X[:2], M[:2]
    lines = np.array([[1.0, 2.0, 4.0]])
    assert d.missing_term(Evidence("x", x, m - lines, m)) is None
    assert d.missing_term(Evidence("x", x, m - lines * V[:2], m, others={"v": V[:2]})) is None


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (X < 0, "those with x < 0"),
        (X > 0, "those with x > 0"),
        (ONES * [[0], [1], [0], [0]] > 0, "row 1"),
        (np.eye(4, 3) > 0, "they are the diagonal"),
        (np.eye(4, 3) == 0, "all but the diagonal"),
        (ONES * [[1], [0], [1], [0]] > 0, "rows 0, 2"),
        (ONES * [1, 0, 1] > 0, "columns 0, 2"),
        (ONES * [[0], [1], [1], [0]] * [1, 1, 0] > 0, "the block [1:3, 0:2]"),
    ],
)
def test_where_the_wrong_entries_are(off, words):
    assert words in where(seen(M + off))


MIXED = 10.0 ** np.array([[0, -14, -3], [-1, -2, -15], [0, -5, -14], [-4, 0, -1]])  # sizes of gradients
ROUNDING = 1e-17 * np.sign(W[[0, 1, 2, 0]])  # of the large entries, and more than 1e-4 of the small ones


@pytest.mark.parametrize(
    ("ours", "kind"),
    [
        (2 * MIXED * M, "factor"),
        (-MIXED * M, "sign"),
        (np.where(X > 0, 1, 5) * MIXED * M, "branch"),
        (np.where(X > 0, MIXED, 0) * M, "entries dropped"),
    ],
)
def test_a_kind_among_gradients_of_very_different_size(ours, kind):
    """Rounding in the small entries is no mistake, and does not hide what the others have in common."""
    assert diagnose(seen(np.where(ours, ours + ROUNDING, 0), MIXED * M))[0] == kind


SOME_ZERO = M * (np.arange(12).reshape(4, 3) % 5 != 0)  # at three entries the derivative is 0
NEAR_ZERO = 1e-17 * W[[0, 1, 2, 0]] * (SOME_ZERO == 0)  # what a sum that cancels leaves there


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(
    ("ours", "kind"),
    [
        (-SOME_ZERO, "sign"),
        (0.3 * SOME_ZERO, "factor"),
        (np.where(X > 0, 1, 5) * SOME_ZERO, "branch"),
        (np.where(X > 0, SOME_ZERO, 0), "entries dropped"),
        (SOME_ZERO + 0.7 * X * (SOME_ZERO == 0), "missing mask"),
        (SOME_ZERO[::-1], "flip"),
        (SOME_ZERO + W[:1], "missing term"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_kind_where_some_entries_are_rounded_zeros(ours, kind, size):
    """Rounding is measured by the largest entry: relative to a 0 it would be a mistake of every size."""
    noise = NEAR_ZERO[::-1] if kind == "flip" else NEAR_ZERO * (kind != "missing mask")
    assert (
        diagnose(seen(size * (ours + noise), size * (SOME_ZERO + 2 * NEAR_ZERO * (kind == "missing mask"))))[0] == kind
    )
    assert diagnose(seen(size * ours, size * (SOME_ZERO + NEAR_ZERO)))[0] == kind


def test_a_mistake_in_the_small_entries_alone_is_that_of_the_small_entries():
    sizes = np.where(X > 0, 1e12, 1e-6)
    kind, sentence = diagnose(seen(sizes * M * np.where(X > 0, 1, 3), sizes * M, wrong=X < 0))
    assert kind == "branch" and f"a factor 3 on {(X < 0).sum()} of 12 entries" in sentence and "x < 0" in sentence


def test_where_is_silent_without_a_pattern():
    scattered = np.zeros((4, 3))
    scattered[[0, 2, 3], [1, 0, 2]] = 1
    assert where(seen(M + scattered)) == where(seen(M + 1)) == where(seen(M)) == ""


@pytest.mark.parametrize(
    "slope, kind, words",
    [
        (lambda y: 1 - y * y, "missing slope", "the slope of tanh"),
        (lambda y: y * (1 - y), "missing slope", "the slope of σ"),
        (lambda y: 1 - y, "missing factor", "if y is what σ gave, this is half of its slope"),
        (lambda y: y, "missing factor", "if y is what σ gave, this is half of its slope"),
        (lambda y: 1 + y, "missing factor", "half of tanh's slope"),
    ],
)
@pytest.mark.parametrize("shape", [(4, 3), (7,)])
def test_a_slope_that_the_output_tells(slope, kind, words, shape):
    rng = np.random.default_rng(len(shape))
    x, ours, y = rng.normal(size=shape), rng.normal(size=shape), rng.uniform(0.1, 0.9, shape)
    said, sentence = diagnose(seen(ours, ours * slope(y), x, y=y))
    assert said == kind and words in sentence


@pytest.mark.parametrize("axis", [0, 1])
def test_a_factor_for_each_line(axis):
    c = np.array([0.3, 1.7, -2.2, 0.9])[: M.shape[axis]]
    lengths = c[:, None] if axis == 0 else c[None, :]
    kind, sentence = diagnose(seen(M / lengths))
    assert kind == "factor of each line" and f"index of axis {axis}" in sentence and "0.3, 1.7" in sentence
