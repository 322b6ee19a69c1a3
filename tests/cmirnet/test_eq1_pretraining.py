import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmir_ref.cmirnet import pretraining_loss, pretraining_loss_backward, soft_orthogonality
from cmir_ref.ops import sigmoid_cross_entropy, softmax_cross_entropy


def naive(z, target, scale):
    """Σ_ij (scale · Σ_n z_ni z_nj − T_ij)²."""
    n, d = z.shape
    total = 0.0
    for i, j in np.ndindex(d, d):
        goal = 1.0 if target == "ones" or i == j else 0.0
        total += (scale * sum(z[k, i] * z[k, j] for k in range(n)) - goal) ** 2
    return total


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4), st.sampled_from(["identity", "ones"]))
def test_soft_orthogonality(seed, n, d, target):
    z = np.random.default_rng(seed).normal(size=(n, d))
    assert soft_orthogonality(z, target=target)[0] == pytest.approx(naive(z, target, 1), rel=1e-11)
    assert soft_orthogonality(z, target=target, scaled=True)[0] == pytest.approx(naive(z, target, 1 / n), rel=1e-11)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 5))
def test_soft_orthogonality_by_singular_values(seed, n, d):
    z = np.random.default_rng(seed).normal(size=(n, d))
    s = np.linalg.svd(z, compute_uv=False)
    expected = ((s**2 - 1) ** 2).sum() + max(d - n, 0)
    assert soft_orthogonality(z)[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_its_minima():
    assert soft_orthogonality(np.linalg.qr(np.random.default_rng(0).normal(size=(6, 4)))[0])[0] < 1e-25
    assert soft_orthogonality(np.eye(3, 5))[0] == 2  # fewer samples than features: D − N, never 0
    assert soft_orthogonality(np.full((4, 3), 0.5), target="ones")[0] == 0  # all features identical
    assert soft_orthogonality(2 * np.eye(4), scaled=True)[0] == 0  # unit energy in each feature


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="identity, ones"):
        soft_orthogonality(np.eye(2), target="zeros")


@pytest.mark.parametrize("target", ["identity", "ones", "off"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize(("kind", "entropy"), [("softmax", softmax_cross_entropy), ("sigmoid", sigmoid_cross_entropy)])
def test_cross_entropy_plus_weighted_orthogonality(kind, entropy, target, scaled):
    rng = np.random.default_rng(0)
    logits, z, labels = rng.normal(size=(5, 4)), rng.normal(size=(5, 3)), rng.integers(0, 2, (5, 4))
    loss, cache = pretraining_loss(logits, z, labels, kind=kind, weight=0.3, target=target, scaled=scaled)
    ce = entropy(logits, labels)[0]
    if target == "off":
        assert (loss, cache.parts) == (ce, {"ce": ce})
    else:
        o = naive(z, target, 1 / 5 if scaled else 1)
        assert loss == pytest.approx(ce + 0.3 * o, rel=1e-12)
        assert cache.parts == pytest.approx({"ce": ce, "orthogonality": o}, rel=1e-12)


def test_the_text_by_default():
    logits, z, labels = np.zeros((2, 3)), np.ones((2, 2)), np.array([0, 2])
    assert pretraining_loss(logits, z, labels)[0] == pytest.approx(math.log(3) + 1 + 4 + 4 + 1)


def test_a_weight_of_zero_leaves_orthogonality_out():
    _, cache = pretraining_loss(np.zeros((2, 3)), np.ones((2, 2)), np.array([0, 2]), weight=0)
    assert "orthogonality" not in cache.parts
    assert pretraining_loss_backward(1.0, cache)[1] is None
