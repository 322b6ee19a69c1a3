"""The class probabilities of stage 1 as embeddings."""

import numpy as np
import pytest
import scipy.special

from cmir_ref.errors import InputError
from cmir_ref.hashing.baselines import class_probabilities

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


def test_bad_input_is_named():
    with pytest.raises(InputError, match="kind is 'tanh'; it is one of softmax, sigmoid"):
        class_probabilities(U, "tanh")
    with pytest.raises(InputError, match="logits: not all features are finite"):
        class_probabilities(U * np.nan)
