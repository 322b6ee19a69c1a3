"""A slope comes with an estimate of its own error, and the estimate holds."""

import numpy as np
import pytest

from cmir_ref.gradcheck.slopes import UNKNOWN, measure_noise, slopes_of

RNG = np.random.default_rng(2)


def slopes(f, x, dy=None, calls=None):
    """One `Slope` for each entry of x; `dy` weighs the outputs."""
    x = np.asarray(x, dtype=float)

    def outputs(arrays):
        if calls is not None:
            calls.append(arrays[0])
        return np.ravel(f(arrays[0]))

    dy = np.ones(np.size(f(x))) if dy is None else dy
    along = slopes_of(outputs, dy, [x], 0)
    return [along(row.reshape(x.shape)) for row in np.eye(x.size)]


SMOOTH = {  # a function of each entry, its derivative, and entries
    "square": (lambda x: x * x, lambda x: 2 * x, [0.0, 1.0, -3.0]),
    "exponential": (np.exp, np.exp, [-2.0, 0.3, 4.0]),
    "fast sine": (lambda x: np.sin(50 * x), lambda x: 50 * np.cos(50 * x), [0.0, 1.0, 2.2]),
    "large numbers": (np.sin, np.cos, [1e6, 3e6]),
    "small numbers": (lambda x: np.exp(-x / 1e-12), lambda x: -np.exp(-x / 1e-12) / 1e-12, [1e-12, 3e-12]),
    "small numbers, but not for the function": (np.exp, np.exp, [1e-12, 3e-30]),
    "edge of a domain": (np.log, lambda x: 1 / x, [1e-6, 1e-3, 1.0, 50.0]),
    "large beside small": (np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e6, 1e-6, 1.0]),
    "digits that cancel": (lambda x: (x + 1e6) - 1e6, np.ones_like, [0.3, 1.0]),
    "abs beside its kink": (np.abs, np.sign, [1e-3, -1e-6, 1e-9, -1e-12]),
    "hinge beside its kink": (lambda x: np.maximum(0, 1 - x), lambda x: -1.0 * (x < 1), [1 - 1e-7, 1 + 1e-5, 0.2, 3]),
    "a small kink beside a large slope": (
        lambda x: 10 * x * x + 1e-5 * np.abs(x), lambda x: 20 * x + 1e-5 * np.sign(x), [1e-3, -1e-6, 1.0],
    ),
    "a wave that wide steps go past": (
        lambda x: 1000 + x * x + 1e-6 * np.sin(100 * (x - 2)), lambda x: 2 * x + 1e-4 * np.cos(100 * (x - 2)), [2.0],
    ),
    "a bend like a kink": (
        lambda x: 1000 + x * x + 1e-8 * np.tanh(1e5 * (x - 2) + 1),
        lambda x: 2 * x + 1e-3 / np.cosh(1e5 * (x - 2) + 1) ** 2, [2.0],
    ),
    "a bump about a small number": (
        lambda x: x + 1e-4 * (x - 1e-3) * np.exp(-((1e4 * (x - 1e-3)) ** 2)),
        lambda x: 1 + 1e-4 * (1 - 2e8 * (x - 1e-3) ** 2) * np.exp(-((1e4 * (x - 1e-3)) ** 2)), [1e-3],
    ),
    "flat at 0": (lambda x: x**4, lambda x: 4 * x**3, [0.0, 1.0]),
    "constant": (lambda x: 0 * x + 3, lambda x: 0 * x, [0.0, 1.0]),
}  # fmt: skip


@pytest.mark.parametrize("summed", [False, True], ids=["each output", "their sum"])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_derivative_is_within_the_estimated_error(name, summed):
    f, derivative, x = SMOOTH[name]
    exact = derivative(np.array(x))
    for slope, truth in zip(slopes((lambda x: f(x).sum()) if summed else f, x), exact, strict=True):
        assert abs(slope.value - truth) <= slope.error + 8 * np.finfo(float).eps * abs(truth), (slope, truth)
        assert not slope.kink and slope.admits(truth)
        if not summed and name != "digits that cancel":
            assert slope.error <= 1e-6 * abs(truth) + 1e-8, (slope, truth)


def test_the_estimate_is_not_too_careful():
    """A mistake of ten digits behind the point is seen in a sum of squares, one of eight beside 1e4."""
    points = np.array([0.5, -1.0, 2.0])
    for offset, gap in ((0.0, 1e-10), (1e4, 1e-8)):
        for slope, x in zip(slopes(lambda x, offset=offset: offset + (x * x).sum(), points), points, strict=True):
            assert slope.admits(2 * x) and not slope.admits(2 * x + gap) and not slope.admits(2 * x - gap)


KINKED = {  # a function, an entry, the slopes on both sides
    "abs": (np.abs, 0.0, (-1, 1)),
    "abs elsewhere": (lambda x: np.abs(x - 0.7), 0.7, (-1, 1)),
    "leaky": (lambda x: np.where(x > 0, x, 0.1 * x), 0.0, (0.1, 1)),
    "a kink on a slope": (lambda x: np.exp(x) + np.maximum(x, 0), 0.0, (1, 2)),
    "norm": (lambda x: np.sqrt(x * x), 0.0, (-1, 1)),
}


@pytest.mark.parametrize("name", KINKED)
def test_both_slopes_of_a_kink_are_measured(name):
    f, x, (below, above) = KINKED[name]
    (slope,) = slopes(f, [x])
    assert slope.kink
    assert (slope.value - slope.jump / 2, slope.value + slope.jump / 2) == pytest.approx((below, above), abs=1e-2)
    for gradient in (below, above, (below + above) / 2):
        assert slope.admits(gradient), (slope, gradient)
    nearest = [slope.nearest(gradient) for gradient in (below - 1, (below + above) / 2, above + 1)]
    assert nearest == pytest.approx([below, (below + above) / 2, above], abs=1e-2)
    assert not slope.admits(above + 0.1 * (above - below)) and not slope.admits(below - 0.1 * (above - below))


def test_as_near_to_a_kink_as_rounding_is_on_it():
    near, _ = slopes(np.abs, [1e-17, 1.0])
    assert near.kink and near.admits(1) and near.admits(-1) and not near.admits(1.2)


def test_two_outputs_with_opposite_kinks_hold_the_sum_of_their_slopes():
    """max(x, 0) and min(x, 0): whoever takes 0 for the slope at the kink of both is right, though x has slope 1."""
    (slope,) = slopes(lambda x: np.stack([np.maximum(x, 0), np.minimum(x, 0)]), [0.0])
    assert slope.kink and slope.admits(0) and slope.admits(2) and not slope.admits(-0.1) and not slope.admits(2.1)


def test_where_there_are_no_values_on_both_sides_nothing_is_known():
    with np.errstate(invalid="ignore"):
        edge, inside = slopes(np.sqrt, [0.0, 1.0])
    assert edge == UNKNOWN or np.isnan(edge.value)
    assert not edge.admits(0.0) and not edge.admits(np.inf) and inside.admits(0.5)


def test_a_function_that_raises_far_away_is_measured_near_by():
    def f(x):
        if (x <= 0).any():
            raise ValueError("not positive")
        return np.log(x)

    for slope, x in zip(slopes(f, [0.01, 2.0]), [0.01, 2.0], strict=True):
        assert slope.admits(1 / x) and slope.error < 1e-6 / x


@pytest.mark.parametrize("noise", [1e-6, 1e-9, 1e-12])
def test_noise_is_measured_and_widens_the_error(noise):
    rng = np.random.default_rng(3)
    f = lambda x: np.exp(x).sum() + noise * rng.normal()  # noqa: E731
    for _ in range(20):
        (slope,) = slopes(f, [0.5])
        assert slope.admits(np.exp(0.5)) and noise / 10 < slope.error < 1e4 * noise


def test_the_noise_of_exact_and_of_noisy_outputs():
    rng = np.random.default_rng(4)
    f = lambda x: np.array([2 * x[0], 3.0, x[0] + 1e-8 * rng.normal()])  # noqa: E731
    exact, constant, noisy = measure_noise(f, np.array([0.7]), f(np.array([0.7])))
    assert exact < 1e-15 and constant == 0 and 1e-9 < noisy < 1e-7


@pytest.mark.parametrize("f", [np.abs, np.sign])
def test_a_kink_or_a_jump_at_x_is_not_noise(f):
    assert measure_noise(f, np.zeros(1), np.zeros(1)) < 1e-20


def test_still_is_what_no_step_moves_however_far_to_either_side():
    hinges = {"above": lambda x: np.maximum(x - 3, 0), "below": lambda x: np.maximum(-3 - x, 0)}
    assert not any(slopes(hinge, [0.0])[0].still for hinge in hinges.values())
    assert slopes(lambda x: 0 * x + 3, [0.0])[0].still


def test_what_raises_far_away_is_not_still():
    def f(x):
        if abs(x[0]) > 0.1:
            raise ValueError("too far")
        return 0 * x + 3

    (slope,) = slopes(f, [0.0])
    assert slope.value == 0 and not slope.still


def test_only_outputs_that_depend_on_an_entry_bring_their_rounding():
    large, small = slopes(lambda x: x * x, [1e10, 1e-6])
    assert small.value == pytest.approx(2e-6, rel=1e-12) and small.error < 1e-10 < 1e-5 < large.error


def test_few_calls_for_a_smooth_function():
    calls = []
    slopes(np.exp, RNG.normal(size=50), calls=calls)
    assert len(calls) <= 28 + 50 * 14
