"""The class probabilities of stage 1 as embeddings."""

import numpy as np
import pytest
import scipy.special

from cmir_ref.errors import InputError
from cmir_ref.hashing.baselines import class_probabilities
from cmir_ref.hashing.cca import RIDGE
from cmir_ref.hashing.codes import Projection
from cmir_ref.hashing.comparators import NETWORKS, fit_network, fit_predicted_class, fit_scm
from cmir_ref.hashing.scm import Scm

U = np.random.default_rng(0).standard_normal((4, 3)) * 5


def test_softmax_and_sigmoid():
    np.testing.assert_allclose(class_probabilities(U), scipy.special.softmax(U, axis=1), rtol=1e-12)
    np.testing.assert_allclose(class_probabilities(U, "sigmoid"), scipy.special.expit(U), rtol=1e-12)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_logits_of_any_size_overflow_nowhere(kind):
    with np.errstate(all="raise", under="ignore"):
        found = class_probabilities(np.array([[1e4, -1e4]], np.float32), kind)
    np.testing.assert_array_equal(found, [[1, 0]])
    assert found.dtype == np.float64


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 8, 17, 21])
def test_the_most_probable_class_takes_the_bits_that_tell_classes_apart(classes):
    bits = fit_predicted_class(*[np.zeros((1, classes))] * 2, np.zeros(1, int), 0, None, 0).facts["bits"]
    assert 2 ** (bits - 1) < classes <= 2**bits


def test_bits_beyond_the_labels_are_not_counted_as_theirs():
    """Of three directions by the labels one says nothing; the two behind them are plain CCA's."""
    map_ = Projection(np.zeros(2), np.ones((2, 5)))
    fit = Scm(map_, map_, np.array([5.0, 4.0, 1e-12, 3.0, 2.0]), 3)
    assert fit_scm(lambda *_, ridge: fit, U, U, np.zeros(4, int), 5, RIDGE, 0).facts == {"of_labels": 2}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_follows_the_seed_of_its_cell(name, monkeypatch):
    fit, settings = NETWORKS[name]
    monkeypatch.setitem(NETWORKS, name, (fit, settings._replace(epochs=1)))
    rng = np.random.default_rng(0)
    z_a, z_b = rng.standard_normal((2, 20, 6))
    one, same, other = (fit_network(name, z_a, z_b, np.arange(20) % 3, 4, None, s).facts["losses"] for s in (1, 1, 2))
    assert one == same != other


def test_bad_input_is_named():
    with pytest.raises(InputError, match="kind is 'tanh'; it is one of softmax, sigmoid"):
        class_probabilities(U, "tanh")
    with pytest.raises(InputError, match="logits: not all features are finite"):
        class_probabilities(U * np.nan)
