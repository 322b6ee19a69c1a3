# gradient: checks/cmirnet.py "contrastive", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import Contrast, contrastive, contrastive_backward


def by_loops(v_a, v_b, temperature):
    """The sum over the pairs of both cross entropies, halved, number by number."""
    n = len(v_a)

    def score(i, j):
        lengths = math.sqrt(sum(x * x for x in v_a[i])) * math.sqrt(sum(x * x for x in v_b[j]))
        return sum(x * y for x, y in zip(v_a[i], v_b[j], strict=True)) / lengths / temperature

    total = 0.0
    for i in range(n):
        total += math.log(sum(math.exp(score(i, j)) for j in range(n))) - score(i, i)
        total += math.log(sum(math.exp(score(j, i)) for j in range(n))) - score(i, i)
    return total / 2


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.05, 0.5, 2.0]))
def test_both_directions_against_loops(seed, n, d, temperature):
    v_a, v_b = np.random.default_rng(seed).uniform(0.1, 1, (2, n, d)) * np.random.default_rng(seed).choice([-1, 1], d)
    expected = by_loops(v_a, v_b, temperature)
    summed, _ = contrastive(v_a, v_b, temperature=temperature, reduction="sum")
    mean, _ = contrastive(v_a, v_b, temperature=temperature)
    assert summed == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert mean == pytest.approx(expected / n, rel=1e-9, abs=1e-9)


def test_two_pairs_by_hand():
    """Cosines 1 and 0 at temperature 1: each of the four cross entropies is log(e + 1) − 1."""
    v_a, v_b = np.array([[2.0, 0], [0, 3]]), np.array([[5.0, 0], [0, 0.1]])
    assert contrastive(v_a, v_b, temperature=1.0)[0] == pytest.approx(math.log(math.e + 1) - 1, rel=1e-12)
    assert contrastive(v_a, v_b[::-1], temperature=1.0)[0] == pytest.approx(math.log(math.e + 1), rel=1e-12)


def test_the_two_directions_are_not_the_same():
    """All of a stand at one place: its samples cannot be told apart by b's, but b's columns are uniform."""
    v_a, v_b = np.array([[1.0, 0], [1, 0]]), np.array([[1.0, 0], [0, 1]])
    rows = math.log(math.e + 1) - 0.5  # scores (1, 0) in both rows: right for the first, wrong for the second
    assert contrastive(v_a, v_b, temperature=1.0)[0] == pytest.approx((rows + math.log(2)) / 2, rel=1e-12)


def test_one_point_is_as_bad_as_guessing_and_one_pair_is_nothing():
    same = np.ones((7, 3))
    value, cache = contrastive(same, same)
    assert value == pytest.approx(math.log(7), rel=1e-12)
    for dv in contrastive_backward(1.0, cache):
        np.testing.assert_allclose(dv, 0, atol=1e-15)  # a saddle: eq. 2 would be content here
    assert contrastive(same[:1], -same[:1])[0] == 0


def test_only_the_direction_of_an_embedding_counts():
    v_a, v_b = np.random.default_rng(0).normal(size=(2, 5, 3))
    value, cache = contrastive(v_a, v_b)
    longer, cache_of_longer = contrastive(10 * v_a, v_b)
    assert longer == pytest.approx(value, rel=1e-12)
    dv_a, dv_a_of_longer = contrastive_backward(1.0, cache)[0], contrastive_backward(1.0, cache_of_longer)[0]
    np.testing.assert_allclose(dv_a_of_longer, dv_a / 10, rtol=1e-9)
    np.testing.assert_allclose((dv_a * v_a).sum(axis=1), 0, atol=1e-12)


def test_large_scores_stay_finite_and_a_zero_has_no_direction():
    v = np.eye(3)
    value, cache = contrastive(v, v, temperature=1e-4)
    assert value == 0 and all(np.isfinite(dv).all() for dv in contrastive_backward(1.0, cache))
    v_a = np.array([[0.0, 0, 0], [1, 0, 0]])
    value, cache = contrastive(v_a, v[:2])
    assert np.isfinite(value) and (contrastive_backward(1.0, cache)[0][0] == 0).all()


def test_embeddings_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="v_a"):
        contrastive(np.ones((2, 3)), np.ones((3, 3)))


def test_it_is_off_unless_asked_for():
    assert Contrast() == (0.0, 0.1)
    v_a, v_b = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert contrastive(v_a, v_b)[0] == contrastive(v_a, v_b, temperature=Contrast().temperature)[0]
