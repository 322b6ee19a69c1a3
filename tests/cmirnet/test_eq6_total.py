"""The total is the weighted sum of its parts, and its gradient goes where the readings say."""

import numpy as np
import pytest

from cmir_ref.cmirnet import (
    LatentOutput,
    Readings,
    Weights,
    alignment,
    classification,
    classification_backward,
    feature_norm,
    reconstruction,
    reconstruction_backward,
    regulariser,
    regulariser_backward,
    total,
    total_backward,
)

WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
OTHER = {  # for each reading a value that is not the default
    "classifier": "separate",
    "label_losses": ("sigmoid", "softmax"),
    "decoder_target": "own",
    "target_gradient": "flow",
    "frobenius": "unsquared",
    "reduction": "sum",
    "alpha": 0.5,
    "alpha_reading": "released",
    "head_decay": 0.3,
}
ALL = [Readings(**{name: value}) for name, value in OTHER.items()]
ALL += [Readings(), Readings(**OTHER), Readings(alpha=0.5, alpha_reading="elementwise")]


def drawn():
    rng = np.random.default_rng(0)
    shapes = [(5, 3)] * 2 + [(5, 4)] * 2 + [(5, 6)] * 2
    out = LatentOutput(*(rng.normal(size=s) for s in shapes))
    z, y = tuple(rng.normal(size=(2, 5, 6))), (rng.integers(0, 2, (5, 4)), rng.integers(0, 4, 5))
    return out, z, y, {n: rng.normal(size=(3, 2)) for n in ("w_a", "w_b")}, {"head": rng.normal(size=(3, 4))}


def parts_of(out, z, y, regularised, decayed, r):
    """L₂ … L₅, R and the decay, each from its own function."""
    both = {"squared": r.frobenius == "squared", "reduction": r.reduction}
    kinds = {"classifier": r.classifier, "kinds": r.label_losses}
    parts = {
        "alignment": alignment(out.v_a, out.v_b, **both)[0],
        "classification": classification(out.u_a, out.u_b, *y, **kinds)[0],
        "feature_norm": feature_norm(out.v_a, out.v_b, reduction=r.reduction)[0],
        "reconstruction": reconstruction(out.from_a, out.from_b, *z, target=r.decoder_target, **both)[0],
        "regulariser": sum(regulariser(w, r.alpha, reading=r.alpha_reading)[0] for w in regularised.values()),
    }
    return parts | ({"head_decay": sum((w * w).sum() for w in decayed.values())} if r.head_decay else {})


@pytest.mark.parametrize("readings", ALL, ids=str)
def test_weighted_sum_of_parts_that_are_reported_unweighted(readings):
    value, cache = total(*drawn(), WEIGHTS, readings)
    parts = parts_of(*drawn(), readings)
    weights = WEIGHTS._asdict() | {"head_decay": readings.head_decay}
    assert cache.parts == pytest.approx(parts, rel=1e-13)
    assert value == pytest.approx(sum(weights[name] * part for name, part in parts.items()), rel=1e-13)


@pytest.mark.parametrize("name", OTHER)
def test_every_reading_changes_the_result(name):
    base = Readings(alpha=0.0 if name == "alpha" else 0.7)
    results = []
    for readings in (base, base._replace(**{name: OTHER[name]})):
        value, cache = total(*drawn(), WEIGHTS, readings)
        d = total_backward(1.0, cache)
        results.append(np.concatenate([[value], *(a.ravel() for a in (*d.output, *d.z, *d.w.values()))]))
    one, two = results
    assert one.shape != two.shape or not np.allclose(one, two)


@pytest.mark.parametrize("field", Weights._fields)
def test_a_weight_of_zero_drops_its_term_and_leaves_zeros(field):
    inputs = drawn()
    _, cache = total(*inputs, Weights()._replace(**{field: 0.0}), Readings(target_gradient="flow"))
    d = total_backward(1.0, cache)
    assert field not in cache.parts and len(cache.parts) == 4
    silent = {
        "classification": (d.output.u_a, d.output.u_b),
        "reconstruction": (d.output.from_a, d.output.from_b, *d.z),
    }.get(field, ())
    assert not any(np.any(part) for part in silent)
    assert (d.w == {}) == (field == "regulariser")
    for gradient, part in zip((*d.output, *d.z), (*inputs[0], *inputs[1]), strict=True):
        assert gradient.shape == part.shape


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="'nuclear'; it is one of squared, unsquared"):
        total(*drawn(), WEIGHTS, Readings(frobenius="nuclear"))


def test_without_any_term_there_is_nothing():
    value, cache = total(*drawn(), Weights(0, 0, 0, 0, 0), Readings())
    d = total_backward(1.0, cache)
    assert value == 0 and cache.parts == {} and d.w == {}
    assert not any(np.any(part) for part in (*d.output, *d.z))


def test_each_gradient_is_its_terms_own_times_its_weight():
    out, z, y, regularised, decayed = drawn()
    readings = Readings(head_decay=0.3, alpha=0.5, reduction="sum", target_gradient="flow")
    d = total_backward(2.0, total(out, z, y, regularised, decayed, WEIGHTS, readings)[1])
    gap = out.v_a - out.v_b
    np.testing.assert_allclose(d.output.v_a, 2 * (0.7 * 2 * gap + 0.4 * 2 * out.v_a), rtol=1e-12)
    np.testing.assert_allclose(d.output.v_b, 2 * (-0.7 * 2 * gap + 0.4 * 2 * out.v_b), rtol=1e-12)
    du = classification_backward(2 * 1.3, classification(out.u_a, out.u_b, *y)[1])
    np.testing.assert_allclose(d.output[2:4], du, rtol=1e-12)
    rebuilt = reconstruction_backward(2 * 0.9, reconstruction(out.from_a, out.from_b, *z)[1])
    np.testing.assert_allclose((*d.output[4:], *d.z), rebuilt, rtol=1e-12)
    expected = {n: regulariser_backward(2 * 0.6, regulariser(w, 0.5)[1]) for n, w in regularised.items()}
    assert d.w.keys() == {*expected, "head"}
    for name, dw in (expected | {"head": 2 * 0.3 * 2 * decayed["head"]}).items():
        np.testing.assert_allclose(d.w[name], dw, rtol=1e-12)


def test_targets_get_a_gradient_only_where_it_flows():
    stop, flow = (
        total_backward(1.0, total(*drawn(), WEIGHTS, Readings(target_gradient=setting))[1])
        for setting in ("stop", "flow")
    )
    assert not np.any(stop.z) and all(np.all(dz != 0) for dz in flow.z)
    for one, two in zip(stop.output, flow.output, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_concatenated_head_has_one_set_of_logits():
    out, z, y, regularised, decayed = drawn()
    for weights in (WEIGHTS, WEIGHTS._replace(classification=0.0)):
        joined = out._replace(u_b=None)
        _, cache = total(joined, z, y, regularised, decayed, weights, Readings(classifier="concatenated"))
        d = total_backward(1.0, cache)
        assert d.output.u_b is None and np.any(d.output.u_a) == (weights.classification != 0)


def test_float32_stays_float32():
    single = lambda arrays: type(arrays)(*(a.astype(np.float32) for a in arrays))  # noqa: E731
    out, z, y, regularised, decayed = drawn()
    matrices = [{k: w.astype(np.float32) for k, w in part.items()} for part in (regularised, decayed)]
    for readings in ALL:
        z32 = tuple(z_m.astype(np.float32) for z_m in z)
        value, cache = total(single(out), z32, y, *matrices, WEIGHTS, readings)
        d = total_backward(value, cache)
        assert {a.dtype for a in (value, *d.output, *d.z, *d.w.values())} == {np.dtype("float32")}
