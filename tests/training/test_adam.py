"""Adam against the textbook, entry by entry; the learning-rate schedules."""

import math

import numpy as np
import pytest

from cmir_ref.ops.fused.adam import CHUNK, adam_step_by_chunks
from cmir_ref.training.adam import adam, adam_step, learning_rate


def textbook(theta, grads, lr, decay=None):
    """Kingma & Ba's algorithm 1 on Python floats, with the decoupled decay of Loshchilov & Hutter."""
    theta = [float(x) for x in theta]
    decay = [0.0] * len(theta) if decay is None else decay
    m, v = [0.0] * len(theta), [0.0] * len(theta)
    for t, grad in enumerate(grads, start=1):
        for i, g in enumerate(grad.tolist()):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            m_hat, v_hat = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            theta[i] = theta[i] - lr * m_hat / (math.sqrt(v_hat) + 1e-8) - lr * decay[i] * theta[i]
    return theta


@pytest.fixture(params=["plain", "by chunks"])
def step(request, monkeypatch):
    """`adam` of NumPy's arrays takes the plain step, or that by chunks, as it does."""
    if request.param == "plain":
        monkeypatch.setattr("cmir_ref.training.adam.adam_step_by_chunks", adam_step)


@pytest.mark.usefixtures("step")
@pytest.mark.parametrize("decay", [None, [0.0, 0.1, 0.0, 0.3, 1.0]])
def test_ten_steps_are_the_textbook_s(decay):
    random = np.random.default_rng(0)
    theta, grads = random.standard_normal(5), random.standard_normal((10, 5)) * [1, 10, 1e-3, 1, 0]
    wanted = textbook(theta, grads, 0.01, decay)
    m, v = np.zeros(5), np.zeros(5)
    for t, grad in enumerate(grads, start=1):
        adam(theta, grad, m, v, t, 0.01, decay=0.0 if decay is None else np.array(decay))
    np.testing.assert_allclose(theta, wanted, rtol=1e-13)


def test_bias_correction_makes_the_first_step_as_long_as_the_rate():
    theta = np.zeros(3)
    adam(theta, np.array([1e-3, -5.0, 200.0]), np.zeros(3), np.zeros(3), 1, 0.1)
    np.testing.assert_allclose(theta, [-0.1, 0.1, -0.1], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decay", [0.0, 0.3, "array"])
@pytest.mark.parametrize("size", [0, 3, 2 * CHUNK + 1])
def test_chunks_change_no_bit(size, decay, dtype):
    random = np.random.default_rng(0)
    theta, g, m, v = random.standard_normal((4, size)).astype(dtype)
    numbers = {"decay": random.random(size).astype(dtype) if decay == "array" else decay, "lr": 1e-2, "rate": 3e-3}
    numbers |= {"epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}
    plain, chunks = ([theta.copy(), g.copy(), m.copy(), v * v] for _ in range(2))
    for _ in range(2):
        adam_step(*plain, **numbers)
        adam_step_by_chunks(*chunks, **numbers)
    for one, other in zip(plain, chunks, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(chunks[1], g)


@pytest.mark.usefixtures("step")
def test_a_step_is_in_place_leaves_the_gradient_and_keeps_the_dtype():
    theta, grad, m, v = (np.full(4, x, np.float32) for x in (1, 0.5, 0, 0))
    before = theta
    adam(theta, grad, m, v, 1, 0.1, decay=np.full(4, 0.1, np.float32))
    assert theta is before and theta.dtype == m.dtype == v.dtype == np.float32
    assert (theta < 1).all() and (grad == 0.5).all()
    np.testing.assert_allclose([m[0], v[0]], [0.05, 0.00025], rtol=1e-6)


def test_a_schedule_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="schedule is 'linear'; it is one of constant, cosine"):
        learning_rate(0, 10, 0.2, "linear")


def test_learning_rate():
    assert [learning_rate(s, 10, 0.2) for s in (0, 5, 9)] == [0.2, 0.2, 0.2]
    cosine = [learning_rate(s, 100, 0.2, "cosine") for s in range(101)]
    assert cosine[0] == 0.2
    assert cosine[50] == pytest.approx(0.1)
    assert cosine[100] == pytest.approx(0, abs=1e-15)
    assert (np.diff(cosine) < 0).all()


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warmup_rises_linearly_to_the_rate(schedule):
    rates = [learning_rate(s, 20, 0.4, schedule, 0.25) for s in range(21)]
    np.testing.assert_allclose(rates[:5], [0.08, 0.16, 0.24, 0.32, 0.4])
    assert rates[5] == 0.4
    assert rates[20] == pytest.approx(0.4 if schedule == "constant" else 0)


def test_a_warmup_ends_between_two_steps():
    np.testing.assert_allclose([learning_rate(s, 50, 0.5, warmup=0.05) for s in range(4)], [0.2, 0.4, 0.5, 0.5])
    np.testing.assert_allclose(
        [learning_rate(s, 4, 0.5, "cosine", 0.125) for s in (0, 2)], [0.5, 0.25 + 0.25 * math.cos(np.pi * 3 / 7)]
    )


@pytest.mark.parametrize("steps", [1, 3, 50, 61])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_no_step_is_faster_than_the_rate_that_was_set(steps, schedule):
    assert max(learning_rate(step, steps, 0.1, schedule, warmup=0.05) for step in range(steps)) <= 0.1
