import numpy as np
import pytest
from test_latent import HEADS, drawn

from cmir_ref.cmirnet import Contrast, Readings, Weights, contrastive, contrastive_backward, total
from cmir_ref.cmirnet.latent import decayed_matrices, latent_network, regularised_matrices
from cmir_ref.cmirnet.objective import objective, objective_backward

WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
LABELS = np.array([0, 1, 2, 3, 0, 1]), np.array([3, 1, 2, 0, 0, 2])


def run(readings=None, weights=WEIGHTS, layers="all", **settings):
    readings = readings or Readings(alpha=0.5)
    arch, params, z, masks = drawn(classifier=readings.classifier, **settings)
    loss, cache = objective(
        params, z, LABELS, arch=arch, weights=weights, readings=readings, regularized_layers=layers, masks=masks
    )
    return params, loss, cache, *objective_backward(1.0, cache)


@pytest.mark.parametrize("classifier", HEADS)
def test_the_gradient_of_given_features_can_be_left_out(classifier):
    _, _, cache, grads, _ = run(Readings(classifier=classifier, alpha=0.5))
    same, dz = objective_backward(1.0, cache, input_gradient=False)
    assert dz == (None, None) and same.keys() == grads.keys()
    for name, g in grads.items():
        np.testing.assert_array_equal(same[name], g)


@pytest.mark.parametrize("classifier", HEADS)
@pytest.mark.parametrize("layers", ["all", "last"])
def test_equation_6_of_the_networks_output(classifier, layers):
    readings = Readings(classifier=classifier, alpha=0.5, head_decay=0.1)
    params, loss, cache, grads, dz = run(readings, layers=layers)
    arch, _, z, _ = drawn(classifier=classifier)
    out, _ = latent_network(params, z, arch=arch, mode="train")
    regularised = regularised_matrices(params, layers, arch.encoder_depth)
    expected, _ = total(out, z, LABELS, regularised, decayed_matrices(params), WEIGHTS, readings)
    assert loss == expected
    assert cache.parts.keys() == {
        "alignment",
        "classification",
        "feature_norm",
        "reconstruction",
        "regulariser",
        "head_decay",
    }
    assert {k: g.shape for k, g in grads.items()} == {k: w.shape for k, w in params.items()}
    assert [d.shape for d in dz] == [(6, 5), (6, 7)]


@pytest.mark.parametrize(
    ("dropped", "silent"),
    [
        ("classification", "classifier"),
        ("reconstruction", "decoder"),
        (("alignment", "classification", "feature_norm", "reconstruction"), ""),
    ],
)
def test_a_dropped_loss_leaves_zeros_where_it_alone_reached(dropped, silent):
    off = dict.fromkeys([dropped] if isinstance(dropped, str) else dropped, 0.0)
    params, _, _, grads, _ = run(weights=WEIGHTS._replace(**off))
    assert grads.keys() == params.keys()
    for name, g in grads.items():
        regularised = name.startswith("encoder") and name.endswith("w")
        assert np.any(g) == (regularised or (bool(silent) and not name.startswith(silent))), name


def test_the_regulariser_reaches_its_own_layers_on_top_of_the_network():
    *_, without, _ = run(weights=WEIGHTS._replace(regulariser=0.0))
    for layers, reached in (("all", "12"), ("last", "2")):
        params, *_, grads, _ = run(layers=layers)
        for name, g in grads.items():
            extra = g - without[name]
            if name.startswith("encoder") and name.endswith("w") and name.split(".")[1] in reached:
                w = params[name]
                norm = np.sqrt((w * w).sum())
                np.testing.assert_allclose(extra, 0.6 * 2 * (norm - 0.5) * w / norm, rtol=1e-9, atol=1e-12)
            else:
                assert not np.any(extra)


@pytest.mark.parametrize("layers", ["all", "last"])
@pytest.mark.parametrize("depths", [(3, 1), (2, 1), (1, 3)])
def test_the_regulariser_counts_the_encoder_s_layers_whatever_the_decoder_has(depths, layers):
    arch, params, z, _ = drawn(encoder_depth=depths[0], decoder_depth=depths[1])
    readings = Readings(alpha=0.5)
    alone = Weights(0.0, 0.0, 0.0, 0.0, 1.0)
    loss, cache = objective(
        params, z, LABELS, arch=arch, weights=alone, readings=readings, regularized_layers=layers, mode="inference"
    )
    numbers = range(1, depths[0] + 1) if layers == "all" else depths[:1]
    names = [f"encoder_{m}.{i}.w" for m in "ab" for i in numbers]
    assert loss == pytest.approx(sum((np.linalg.norm(params[name]) - 0.5) ** 2 for name in names), rel=1e-12)
    grads, _ = objective_backward(1.0, cache)
    assert [name for name in grads if np.any(grads[name])] == sorted(names, key=list(grads).index)


def test_features_are_targets_only_where_the_gradient_flows():
    *_, stop = run(Readings())
    *_, cache, _, flow = run(Readings(target_gradient="flow"))
    out, (z_a, z_b) = cache.out, drawn()[2]
    np.testing.assert_allclose(flow[0] - stop[0], -0.9 * 2 * (out.from_b - z_a) / 6, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(flow[1] - stop[1], -0.9 * 2 * (out.from_a - z_b) / 6, rtol=1e-10, atol=1e-13)


def test_without_weights_at_zero_everything_is_zero_and_nothing_reaches_the_encoder():
    """Bias 0, W = 0: relu'(0) = 0 stops every term but R, whatever classifier and decoders say."""
    arch, params, z, _ = drawn(encoder_depth=1, encoder_activation="relu")
    params |= {k: np.zeros_like(v) for k, v in params.items() if k.startswith("encoder")}
    for reading, alpha, expected in (("norm", 0.0, 0.0), ("elementwise", 1.0, -2 * 0.6)):
        readings = Readings(alpha=alpha, alpha_reading=reading)
        _, cache = objective(params, z, LABELS, arch=arch, weights=WEIGHTS, readings=readings)
        grads, _ = objective_backward(1.0, cache)
        for m in "ab":
            np.testing.assert_allclose(grads[f"encoder_{m}.1.w"], np.full_like(params[f"encoder_{m}.1.w"], expected))


def test_the_contrastive_term_is_added_with_its_weight_and_reported_without():
    arch, params, z, masks = drawn()
    given = {"arch": arch, "weights": WEIGHTS, "readings": Readings(alpha=0.5), "masks": masks}
    plain, plain_cache = objective(params, z, LABELS, **given)
    loss, cache = objective(params, z, LABELS, contrast=Contrast(0.3, 0.5), **given)
    value, term = contrastive(cache.out.v_a, cache.out.v_b, temperature=0.5)
    assert loss == pytest.approx(plain + 0.3 * value, rel=1e-12)
    assert cache.parts == plain_cache.parts | {"contrastive": value} and "contrastive" not in plain_cache.parts
    (grads, _), (plain_grads, _) = objective_backward(1.0, cache), objective_backward(1.0, plain_cache)
    dv_b = contrastive_backward(0.3, term)[1]
    moved = grads["encoder_b.2.b"] - plain_grads["encoder_b.2.b"]  # the last layer is linear here
    np.testing.assert_allclose(moved, dv_b.sum(axis=0), rtol=1e-9, atol=1e-12)
