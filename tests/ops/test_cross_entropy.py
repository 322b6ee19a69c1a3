# gradient: checks/ops.py "cross_entropy/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest

from cmir_ref.ops import cross_entropy, cross_entropy_backward
from cmir_ref.ops.sigmoid_cross_entropy import sigmoid_cross_entropy, sigmoid_cross_entropy_backward
from cmir_ref.ops.softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_backward

KINDS = {
    "softmax": (softmax_cross_entropy, softmax_cross_entropy_backward),
    "sigmoid": (sigmoid_cross_entropy, sigmoid_cross_entropy_backward),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_its_operation(kind):
    rng = np.random.default_rng(0)
    u, forward, backward = rng.normal(size=(5, 3)), *KINDS[kind]
    for targets in (rng.integers(0, 3, 5), rng.integers(0, 2, (5, 3))):
        loss, cache = cross_entropy(u, targets, kind=kind)
        expected, by_hand = forward(u, targets)
        assert loss == expected
        np.testing.assert_array_equal(cross_entropy_backward(0.3, cache), backward(0.3, by_hand))


def test_the_formula_of_each_kind():
    u = np.array([[0.3, -1.2, 2.0], [1.0, 0.5, -0.4]])
    labels = [1, 0]
    hot = [[float(k == label) for k in range(3)] for label in labels]
    softmax = sum(math.log(sum(map(math.exp, row))) - row[label] for row, label in zip(u.tolist(), labels, strict=True))
    questions = [(v, t) for row, ts in zip(u.tolist(), hot, strict=True) for v, t in zip(row, ts, strict=True)]
    sigmoid = sum(math.log(1 + math.exp(v)) - v * t for v, t in questions)
    assert cross_entropy(u, np.array(labels), kind="softmax")[0] == pytest.approx(softmax / 2, rel=1e-13)
    assert cross_entropy(u, np.array(labels), kind="sigmoid")[0] == pytest.approx(sigmoid / 6, rel=1e-13)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'hinge'; it is one of softmax, sigmoid"):
        cross_entropy(np.ones((1, 3)), np.zeros(1, int), kind="hinge")
