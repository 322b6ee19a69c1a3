import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.amfmn.eq29_margin import dynamic_margin
from cmir_ref.amfmn.eq30_triplet import triplet, triplet_backward


def draw(seed, n):
    rng = np.random.default_rng(seed)
    negative = (rng.random((n, n)) > 0.3) & ~np.eye(n, dtype=bool)
    return rng.normal(size=(n, n)), rng.uniform(0.1, 0.8, (n, n)), negative


def terms(scores, margin, negative):
    """(of each image, of each text): the hinges that count."""
    n = len(scores)
    by_image = [
        [max(0, margin[i, j] - scores[i, i] + scores[i, j]) * negative[i, j] for j in range(n)] for i in range(n)
    ]
    by_text = [
        [max(0, margin[i, j] - scores[j, j] + scores[i, j]) * negative[i, j] for i in range(n)] for j in range(n)
    ]
    return by_image, by_text


@pytest.mark.parametrize("hardest", [False, True])
@given(seed=st.integers(0, 2**32), n=st.integers(1, 5))
def test_every_negative_against_its_own_margin(hardest, seed, n):
    scores, margin, negative = draw(seed, n + 2)
    many = max if hardest else sum
    expected = sum(map(many, terms(scores, margin, negative)[0])) + sum(map(many, terms(scores, margin, negative)[1]))
    for reduction, divisor in (("sum", 1), ("mean", n + 2)):
        loss, _ = triplet(scores, margin, negative, hardest=hardest, reduction=reduction)
        np.testing.assert_allclose(loss, expected / divisor, rtol=1e-12, atol=1e-12)
    assert triplet(np.array([[0.0, 0.5], [0.25, 0.0]]), np.full((2, 2), 0.2), ~np.eye(2, dtype=bool))[0] == 2 * 1.15


def test_at_its_kink_a_hinge_has_the_gradient_zero():
    scores, margin = np.array([[0.75, 0.5], [0.5, 0.75]]), np.full((2, 2), 0.25)
    loss, cache = triplet(scores, margin, ~np.eye(2, dtype=bool))
    assert loss == 0 and (triplet_backward(1.0, cache) == 0).all()


@pytest.mark.parametrize("hardest", [False, True])
def test_a_score_that_is_no_number_makes_no_loss_that_is_one(hardest):
    """Or training would go on, and learn nothing."""
    scores, margin, _ = draw(0, 4)
    for place in ((1, 2), (1, 1)):
        broken = scores.copy()
        broken[place] = np.nan
        assert np.isnan(triplet(broken, margin, ~np.eye(4, dtype=bool), hardest=hardest)[0])


def test_a_pair_that_is_no_negative_pulls_at_nothing():
    scores, margin, negative = draw(0, 4)
    negative[1, 2] = False
    assert triplet_backward(1.0, triplet(scores, margin, negative)[1])[1, 2] == 0


def test_a_margin_is_gamma_for_strangers_and_nothing_for_twins():
    prior = np.array([0, 0.5, 0.8, 1])
    np.testing.assert_allclose(dynamic_margin(prior, 0.6, 5), 0.6 * np.array([1, 0.9241, 0.6364, 0]), atol=1e-4)
    np.testing.assert_allclose(dynamic_margin(prior, 0.6, 1e-9), dynamic_margin(prior, 0.6, 0), atol=1e-7)
    np.testing.assert_allclose(dynamic_margin(prior, 0.6, 0), 0.6 * (1 - prior))
    alpha = 0.4 * (np.exp(3) - np.exp(3 * prior)) / (np.exp(3) - 1)
    np.testing.assert_allclose(dynamic_margin(prior, 0.4, 3), alpha, rtol=1e-12, atol=1e-15)
    assert dynamic_margin(prior.astype("f4"), 0.4, 3).dtype == "float32"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_margin_of_any_beta_is_a_number(dtype):
    """Where e^β is none in this precision."""
    prior = np.linspace(0, 1, 21, dtype=dtype)
    for beta in (50, 80):
        alpha = dynamic_margin(prior, 0.6, beta)
        expected = [0.6 * (1 - math.exp(beta * (p - 1))) if p else 0.6 for p in prior.tolist()]
        np.testing.assert_allclose(alpha, expected, rtol=1e-5, atol=1e-6)
    for beta in (-1, 89, 1e6, math.nan):
        with pytest.raises(ValueError, match="expected 0 to 80"):
            dynamic_margin(prior, 0.6, beta)


def test_float32_stays_float32():
    scores, margin, negative = draw(0, 4)
    loss, cache = triplet(scores.astype("f4"), margin.astype("f4"), negative, reduction="mean")
    assert (loss.dtype, triplet_backward(1.0, cache).dtype) == ("float32", "float32")
