"""The collapse test: points, near points, healthy sets."""

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.retrieval import collapse


def test_a_point_is_collapsed_and_has_no_rank():
    for value in (0.0, 0.1, 1e5):
        got = collapse(np.full((5, 3), value), np.full((4, 3), value))
        assert got["state"] == "collapsed"
        assert got["effective_rank"] == 0
        assert got["scale"] == pytest.approx(0, abs=1e-9)


def test_the_threshold_is_relative_to_the_mean_and_absolute_below_one():
    d = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    for centre, size in ((0, 1e-6), (0.5, 1e-6), (1e4, 1e4 * np.sqrt(2) * 1e-6)):
        assert collapse(centre + 0.99 * size * d, centre + 0 * d)["state"] == "collapsed"
        assert collapse(centre + 1.01 * size * d, centre + 0 * d)["state"] != "collapsed"


def test_the_threshold_itself_is_collapsed():
    v = np.array([[1e-6], [-1e-6]])
    assert collapse(v, v)["state"] == "collapsed"


def test_a_point_off_the_diagonal_is_collapsed():
    point = np.array([[0.0, 10.0, -3.0]] * 4)
    assert collapse(point, point)["state"] == "collapsed"
    assert collapse(np.add(point, [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]), point)["scale_a"] == 1


def test_one_outlier_is_enough_not_to_be_collapsed():
    v = np.zeros((1000, 2))
    w = v.copy()
    w[3] = 1e-3
    assert collapse(v, w)["state"] != "collapsed"


def test_two_modalities_at_two_points_are_collapsed_though_their_union_has_a_rank():
    got = collapse(np.zeros((4, 3)), np.ones((4, 3)))
    assert (got["state"], got["one_point"]) == ("collapsed", ["a", "b"])
    assert got["scale_a"] == got["scale_b"] == 0
    assert got["scale"] == pytest.approx(np.sqrt(3) / 2)
    assert got["effective_rank"] == pytest.approx(1)


def test_effective_rank_is_the_participation_ratio_of_the_eigenvalues():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(400, 6)) * [5, 3, 1, 1, 0.1, 0]
    eigenvalues = np.linalg.eigvalsh(np.cov(v.T))
    got = collapse(v[:150], v[150:])
    assert got["effective_rank"] == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())
    for size in (1e-3, 1e100):
        assert collapse(v[:150] * size, v[150:] * size)["effective_rank"] == pytest.approx(got["effective_rank"])
    line = np.outer(rng.normal(size=50), [1.0, 2, 3])
    assert collapse(line, 2 * line)["effective_rank"] == pytest.approx(1)
    cube = np.concatenate([np.eye(5), -np.eye(5)])
    assert collapse(cube, cube)["effective_rank"] == pytest.approx(5)


def test_scales_are_mean_distances():
    a, b = np.array([[0.0], [2.0]]), np.array([[10.0], [14.0]])
    got = collapse(a, b)
    assert (got["scale_a"], got["scale_b"], got["scale"]) == (1, 2, (6.5 + 4.5 + 3.5 + 7.5) / 4)


def test_bad_embeddings_are_refused():
    broken = np.array([[np.nan, 1]])
    for name, pair in (("v_a", (broken, np.ones((2, 2)))), ("v_b", (np.ones((2, 2)), broken))):
        with pytest.raises(InputError, match=f"^{name}: "):
            collapse(*pair)
    with pytest.raises(InputError, match="agree"):
        collapse(np.ones((2, 2)), np.ones((2, 3)))


def test_one_modality_at_a_point_is_half_a_collapse():
    v = np.random.default_rng(0).normal(size=(20, 3))
    assert collapse(v, np.ones((4, 3)))["state"] == "half collapsed"
    assert collapse(np.ones((4, 3)), v, v)["one_point"] == ["a"]
    assert collapse(v, v + 1)["state"] == "alive"


@pytest.mark.parametrize("size", [1e150, 1e200, 1e300])
def test_healthy_embeddings_of_any_size_are_alive(size):
    a, b = np.random.default_rng(0).standard_normal((2, 50, 8))
    small, large = collapse(a, b), collapse(a * size, b * size)
    assert large["state"] == "alive" and large["scale_b"] == pytest.approx(small["scale_b"] * size)
    assert large["effective_rank"] == pytest.approx(small["effective_rank"])
    assert collapse(np.full((5, 2), size), np.full((4, 2), size))["state"] == "collapsed"
