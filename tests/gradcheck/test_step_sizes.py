"""The central difference has a best step, the complex step has none."""

import numpy as np
import pytest

from cmir_ref import ops
from cmir_ref.gradcheck.step_sizes import step_errors

X = np.random.default_rng(0).normal(size=(4, 3))


def cube(x):
    return x * x * x, x


def cube_backward(dy, x):
    return 3 * x * x * dy


def test_the_v_and_the_flat_line():
    (h, error), (tiny, flat) = step_errors(cube, cube_backward, [X])
    best = h[error.argmin()]
    assert 1e-7 < best < 1e-4 and error.min() < 1e-9
    assert error[h < 1e-14].max() > 1e-4 and error[0] > 1e-4
    assert tiny[-1] == pytest.approx(1e-200, rel=1e-6)
    assert flat[tiny < 1e-8].max() < 1e-14


def test_truncation_grows_as_the_square_of_the_step():
    (h, error), (tiny, flat) = step_errors(cube, cube_backward, [X])
    for steps, errors in ((h, error), (tiny, flat)):
        large = (steps > 1e-3) & (steps < 0.05)
        slope = np.polyfit(np.log(steps[large]), np.log(errors[large]), 1)[0]
        assert slope == pytest.approx(2, abs=0.05)


def test_a_wrong_backward_has_no_v():
    central, stepped = step_errors(cube, lambda dy, x: 2 * cube_backward(dy, x), [X])
    assert central[1].min() > 0.1 and stepped[1].min() > 0.1


def test_a_function_that_takes_no_complex_numbers_has_no_flat_line():
    central, stepped = step_errors(lambda x: (np.cbrt(x), x), lambda dy, x: dy / (3 * np.cbrt(x) ** 2), [1 + X * X])
    assert central[1].min() < 1e-9 and np.isnan(stepped[1]).all()


def test_a_gradient_of_another_shape_has_no_curve():
    with pytest.raises(ValueError, match="another shape"):
        step_errors(ops.relu, lambda dy, cache: dy[:1], [X])


@pytest.mark.filterwarnings("error")
def test_a_gradient_of_zeros_has_no_error_at_any_step():
    for _, error in step_errors(lambda x: (0 * x + 3, x), lambda dy, x: 0 * x, [X]):
        assert (error == 0).all()
