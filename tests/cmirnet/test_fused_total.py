# gradient: checks/cmirnet.py "eq6/fused/…", tests/gradcheck/test_battery.py
"""Equation 6 in few launches is equation 6: values, parts and gradients, for every reading, on NumPy and by kernels."""

from itertools import product

import numpy as np
import pytest
from strict import cpp

from cmir_ref import kernels
from cmir_ref.cmirnet.eq6_total import FROBENIUS, LatentOutput, Readings, Weights, total, total_backward
from cmir_ref.cmirnet.eq7_regulariser import ALPHA_READINGS
from cmir_ref.cmirnet.fused_total import fused_total, fused_total_backward

READINGS = [
    Readings(classifier, ("softmax", "sigmoid"), target, gradient, frobenius, reduction, 0.4, alpha, decay)
    for (classifier, target, gradient, frobenius, reduction, alpha), decay in zip(
        product(
            ("shared", "concatenated"), ("cross", "own"), ("stop", "flow"), FROBENIUS, ("mean", "sum"), ALPHA_READINGS
        ),
        np.resize([0.0, 0.3], 96).tolist(),
        strict=True,
    )
]
WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
SPARSE = [Weights(), *(Weights(*row) for row in np.eye(5).tolist()), Weights(0, 0, 0, 0, 0), Weights(1, 0, 0, 1, 0)]


def drawn(readings):
    rng = np.random.default_rng(0)
    wide = readings.classifier == "concatenated"
    shapes = [(5, 3), (5, 3), (5, 4), (5, 4), (5, 6), (5, 6)]
    out = LatentOutput(*(rng.standard_normal(shape) for shape in shapes))
    out = out._replace(u_b=None) if wide else out
    z, y = tuple(rng.standard_normal((5, 6)) for _ in "ab"), (rng.integers(0, 4, 5), rng.integers(0, 2, (5, 4)))
    return (
        out,
        z,
        y,
        {"w": rng.standard_normal((3, 2)), "v": rng.standard_normal((2, 7))},
        {"head": out.v_a.T @ out.v_b},
    )


def assert_same(readings, weights):
    given = drawn(readings)
    (value, cache), (wanted, plain) = (f(*given, weights, readings) for f in (fused_total, total))
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    assert cache.parts.keys() == plain.parts.keys()
    for name, part in plain.parts.items():
        np.testing.assert_allclose(cache.parts[name], part, rtol=1e-13)
    found, gradient = fused_total_backward(1.7, cache), total_backward(1.7, plain)
    assert found.w.keys() == gradient.w.keys()
    pairs = [*zip(found.output, gradient.output, strict=True), *zip(found.z, gradient.z, strict=True)]
    for one, two in [*pairs, *((found.w[name], gradient.w[name]) for name in found.w)]:
        assert (one is None) == (two is None)
        if two is not None:
            assert one.shape == two.shape
            np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("by_kernels", [False, True])
def test_values_and_gradients_of_every_reading(monkeypatch, by_kernels):
    if by_kernels:
        cpp.use_for_numpy(monkeypatch)
    few = READINGS[::7] if by_kernels else READINGS  # each is compiled
    for readings in few:
        assert_same(readings, WEIGHTS)


@pytest.mark.parametrize("weights", SPARSE)
def test_a_term_of_weight_0_is_not_there(weights):
    assert_same(READINGS[0], weights)
    assert_same(READINGS[-1], weights)


def test_a_wrong_reading_is_refused():
    with pytest.raises(ValueError, match="frobenius is 'cubed'; it is one of squared, unsquared"):
        fused_total(*drawn(Readings()), WEIGHTS, Readings(frobenius="cubed"))
    assert not kernels.supported(np.ones(2))
