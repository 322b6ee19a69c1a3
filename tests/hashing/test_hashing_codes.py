"""Codes of −1 and +1 as embeddings: what the retrieval that ranks by Euclidean distance makes of them."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.hashing.codes import (
    Projection,
    centred_signs,
    check_feature_pairs,
    codes,
    label_rows,
    project_features,
    signs,
    storage_bits,
)
from cmir_ref.retrieval import evaluate_direction, levels, prepare

MANY = pytest.mark.parametrize("bits", [1, 5, 16, 32, 64])


def drawn(bits, rows=40, seed=0):
    return signs(np.random.default_rng([seed, bits]).standard_normal((rows, bits)))


def hamming(query, gallery):
    """Differing bits, counted one by one."""
    return np.array([[sum(p != q for p, q in zip(one, other, strict=True)) for other in gallery] for one in query])


@MANY
def test_squared_distance_is_four_times_the_hamming_distance(bits):
    query, gallery = drawn(bits), drawn(bits, 50, seed=1)
    squared = ((query[:, None] - gallery[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(squared, 4 * hamming(query, gallery))


@MANY
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
def test_levels_of_the_distance_tie_where_hamming_distances_do_and_rise_with_them(bits, dtype):
    query, gallery = drawn(bits), drawn(bits, 50, seed=1)
    level, expected = levels(prepare(query.astype(dtype), gallery.astype(dtype))), hamming(query, gallery)
    steps = {h: set(level[expected == h]) for h in np.unique(expected)}
    assert all(len(found) == 1 for found in steps.values())
    assert sorted(steps, key=lambda h: min(steps[h])) == sorted(steps)
    assert len(set().union(*steps.values())) == len(steps)


def test_average_precision_of_codes_is_the_mean_over_all_orders_of_equal_hamming_distances():
    query, gallery = drawn(2, rows=6), drawn(2, rows=6, seed=1)
    labels_q, labels_g = np.arange(6) % 2, np.array([0, 1, 1, 0, 1, 0])
    distance, values = hamming(query, gallery), []
    assert all(len(set(row)) < len(row) for row in distance)  # ties in every ranking
    for row, label in zip(distance, labels_q, strict=True):
        scores = []
        for order in permutations(range(6)):
            if all(row[i] <= row[j] for i, j in pairwise(order)):
                hits = labels_g[list(order)] == label
                scores.append(np.mean([hits[: p + 1].mean() for p in np.flatnonzero(hits)]))
        values.append(np.mean(scores))
    found = evaluate_direction(query, labels_q, gallery, labels_g, ks=(1,))
    assert found["map"] == pytest.approx(np.mean(values), rel=1e-12)


def test_a_code_has_two_values_and_the_dtype_of_what_it_is_a_code_of():
    x = np.array([-2.0, -0.0, 0.0, 1e-30, -1e-30], np.float32)
    np.testing.assert_array_equal(signs(x), [-1, 1, 1, 1, -1])
    assert signs(x).dtype == np.float32


def test_a_projection_is_centred_on_the_training_features():
    z, w = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, 0.5], [2.0, -1.0]])
    found = Projection(np.array([2.0, 1.0]), w)
    np.testing.assert_array_equal(project_features(z, found), [[1, -1.5], [-3, 2.5]])
    np.testing.assert_array_equal(codes(z, found), [[1, -1], [-1, 1]])
    assert project_features(z.astype(np.float32), found).dtype == np.float64


def test_signs_about_the_training_mean_split_what_no_sign_of_its_own_does():
    v = np.array([[0.0, 3.0], [2.0, 1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(centred_signs(v, v.mean(axis=0)), [[-1, 1], [1, -1], [1, 1]])
    np.testing.assert_array_equal(signs(v), np.ones((3, 2)))


def test_a_float_counts_32_bits_and_a_sign_one():
    assert storage_bits(drawn(16)) == 16
    assert storage_bits(drawn(16).astype(np.int8)) == 16
    assert storage_bits(0.5 * drawn(16)) == 512
    assert storage_bits(np.where(drawn(16) > 0, 1.0, 0.0)) == 512


def test_labels_as_rows():
    np.testing.assert_array_equal(label_rows(np.array([2, 0]), 2), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(label_rows(np.array([[True, True], [False, False]]), 2), [[1, 1], [0, 0]])


X = np.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: project_features(X, Projection(np.zeros(3), np.ones((3, 1)))), "z has 2 columns.*fitted to 3"),
        (lambda: project_features(X[0], Projection(np.zeros(2), X.T)), "expected real features"),
        (lambda: project_features(X * np.nan, Projection(np.zeros(2), X.T)), "not all features are finite"),
        (lambda: centred_signs(X, np.zeros(3)), "mean: expected shape"),
        (lambda: storage_bits(X[:0]), "neither of them 0"),
        (lambda: storage_bits(X * 1j), "expected real features"),
        (lambda: check_feature_pairs(X, X[:2]), "z_a has 3 rows and z_b 2"),
        (lambda: label_rows(np.arange(4), 3), "labels: expected"),
        (lambda: label_rows(np.array([0.5, 1.0]), 2), "whole numbers from 0"),
        (lambda: label_rows(np.array([0, -1]), 2), "whole numbers from 0"),
        (lambda: label_rows(np.array([[0, 2]]), 1), "zeros and ones only"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says) as error:
        call()
    assert "\n" not in str(error.value)
