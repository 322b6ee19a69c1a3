"""Queries carried into the other modality by the training pairs that they resemble."""

import numpy as np
import pytest

from cmir_ref.errors import InputError
from cmir_ref.retrieval.translation import through_pairs

OWN = np.array([[0.0], [1.0], [3.0], [10.0]])
OTHER = np.array([[1.0, 0.0], [3.0, 2.0], [8.0, -2.0], [100.0, 0.0]])


def test_the_mean_over_the_nearest_training_pairs():
    found = through_pairs(np.array([[0.4], [2.2], [9.0]]), OWN, OTHER, k=2)
    np.testing.assert_array_equal(found, [[2, 1], [5.5, 0], [54, -1]])


def test_one_neighbour_is_its_partner_and_too_many_are_all():
    np.testing.assert_array_equal(through_pairs(OWN + 0.1, OWN, OTHER, k=1), OTHER)
    np.testing.assert_allclose(through_pairs(OWN, OWN, OTHER, k=99), np.tile(OTHER.mean(axis=0), (4, 1)))


def test_bad_input_is_named():
    with pytest.raises(InputError, match="4 and 3 training features"):
        through_pairs(OWN, OWN, OTHER[:3])
    with pytest.raises(InputError, match="train_other: 4 of 4 embeddings are not finite"):
        through_pairs(OWN, OWN, OTHER * np.nan)
    with pytest.raises(InputError, match="k: expected a whole number from 1"):
        through_pairs(OWN, OWN, OTHER, k=0)
