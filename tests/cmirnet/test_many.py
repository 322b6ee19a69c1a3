"""Eq. 6 of every pair of modalities, added up: for two of them it is `objective`, bit for bit."""

from itertools import combinations

import numpy as np
import pytest
from test_latent import stack

from cmir_ref.cmirnet import LatentOutput, Readings, Weights, total
from cmir_ref.cmirnet.latent import Latent, init_latent, letters
from cmir_ref.cmirnet.many import many_objective, many_objective_backward, names_of_pair
from cmir_ref.cmirnet.objective import objective, objective_backward
from cmir_ref.errors import InputError

WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
WIDTHS = (5, 7, 2, 6)


def drawn(count=3, classes=4, n=6, dtype=np.float64, **settings):
    """(architecture, parameters, features, labels, masks) of a tiny world."""
    arch = Latent(**{"d_v": 3, "encoder_depth": 2, "decoder_depth": 2, "dropout": 0.2} | settings)
    rng = np.random.default_rng(0)
    params, buffers = init_latent(arch, WIDTHS[:count], classes, rng)
    assert buffers == {}
    params = {k: (v + rng.normal(0, 0.3, v.shape)).astype(dtype) for k, v in params.items()}
    z = tuple(rng.normal(size=(n, d)).astype(dtype) for d in WIDTHS[:count])
    return arch, params, z, rng.integers(0, classes, n), {m: rng.random((n, 3)) > 0.5 for m in "abcd"[:count]}


def run(count=3, *, weights=WEIGHTS, readings=None, layers="all", **settings):
    readings = readings or Readings(alpha=0.5, head_decay=0.1)
    arch, params, z, y, masks = drawn(count, **settings)
    given = {"arch": arch, "weights": weights, "readings": readings, "regularized_layers": layers, "masks": masks}
    loss, cache = many_objective(params, z, y, **given)
    return params, loss, cache, *many_objective_backward(1.0, cache)


@pytest.mark.parametrize("classes", [4, 2])
def test_eq_6_of_every_pair_added_up(classes):
    """From formulas: each modality is embedded and classified once, each ordered pair is decoded once."""
    arch, params, z, y, masks = drawn(3, classes, latent_dropout="both")
    readings = Readings(alpha=0.5, head_decay=0.1)
    loss, _ = many_objective(params, z, y, arch=arch, weights=WEIGHTS, readings=readings, masks=masks)
    features = dict(zip("abc", z, strict=True))
    v = {m: stack(params, f"encoder_{m}", z_m, 2, "hidden") * masks[m] / 0.8 for m, z_m in features.items()}
    u = {m: v_m @ params["classifier.w"] + params["classifier.b"] for m, v_m in v.items()}
    expected = 0
    for p, q in combinations("abc", 2):
        decoders = f"decoder_{p}{q}", f"decoder_{q}{p}"
        out = LatentOutput(v[p], v[q], u[p], u[q], *(stack(params, d, v[d[-2]], 2, "relu") for d in decoders))
        matrices = [f"encoder_{m}.{i}.w" for m in (p, q) for i in (1, 2)], ["classifier.w"]
        matrices[1].extend(f"{d}.{i}.w" for d in decoders for i in (1, 2))
        own = ({name: params[name] for name in chosen} for chosen in matrices)
        expected += total(out, (features[p], features[q]), (y, y), *own, WEIGHTS, readings)[0]
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize("dropped", ["none", "a", "b", "both"])
@pytest.mark.parametrize("readings", [Readings(alpha=0.5), Readings(alpha=0.5, target_gradient="flow", head_decay=0.2)])
def test_for_two_it_is_the_objective_bit_for_bit(readings, dropped):
    arch, params, z, y, masks = drawn(2, latent_dropout=dropped)
    given = {"arch": arch, "weights": WEIGHTS, "readings": readings, "regularized_layers": "last", "masks": masks}
    loss, cache = many_objective(params, z, y, **given)
    expected, objective_cache = objective(params, z, (y, y), **given)
    grads, dz = many_objective_backward(0.7, cache)
    wanted, dz_wanted = objective_backward(0.7, objective_cache)
    assert loss == expected and cache.parts == objective_cache.parts
    assert grads.keys() == wanted.keys() == params.keys()
    for name, g in grads.items():
        np.testing.assert_array_equal(g, wanted[name])
    for ours, theirs in zip(dz, dz_wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_decoder_for_every_ordered_pair():
    _, params, *_ = drawn(4)
    shapes = {name.removesuffix(".2.w"): w.shape for name, w in params.items() if name.endswith(".2.w")}
    encoders = {f"encoder_{m}": (d, 3) for m, d in zip("abcd", WIDTHS, strict=True)}
    decoders = {f"decoder_{p}{q}": (d, d) for q, d in zip("abcd", WIDTHS, strict=True) for p in "abcd" if p != q}
    assert shapes == encoders | decoders
    assert params["classifier.w"].shape == (3, 4)
    assert params["decoder_bd.1.w"].shape == (3, 6)


def test_every_gradient_is_the_sum_of_the_pairs():
    params, loss, cache, grads, dz = run(4)
    assert len(cache.pairs) == 6
    arch, _, z, y, _ = drawn(4)
    readings = Readings(alpha=0.5, head_decay=0.1)
    wanted, dz_wanted, sums = dict.fromkeys(params, 0), dict.fromkeys("abcd", 0), {"loss": 0}
    features = dict(zip("abcd", z, strict=True))
    for p, q in combinations("abcd", 2):
        names = names_of_pair(params, p, q)
        own = {name: params[here] for name, here in names.items()}
        value, pair = objective(own, (features[p], features[q]), (y, y), arch=arch, weights=WEIGHTS, readings=readings)
        pair_grads, pair_dz = objective_backward(1.0, pair)
        for name, g in pair_grads.items():
            wanted[names[name]] = wanted[names[name]] + g
        for m, g in zip((p, q), pair_dz, strict=True):
            dz_wanted[m] = dz_wanted[m] + g
        for name, part in {"loss": value, **pair.parts}.items():
            sums[name] = sums.get(name, 0) + part
    assert {"loss": loss, **cache.parts} == pytest.approx(sums, rel=1e-14)
    for name, g in wanted.items():
        np.testing.assert_allclose(grads[name], g, rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(dz, dz_wanted.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_what_one_modality_has_counts_as_often_as_it_is_paired():
    """Each of M modalities meets M - 1 others, so R and L4 weigh as much beside L2 as they do for two."""
    only = Weights(0, 0, 0, 0, 1)
    params, loss, *_, grads, _ = run(4, weights=only, readings=Readings(alpha_reading="elementwise"))
    encoders = [w for name, w in params.items() if name.startswith("encoder") and name.endswith("w")]
    assert loss == pytest.approx(3 * sum((w * w).sum() for w in encoders), rel=1e-12)
    np.testing.assert_allclose(grads["encoder_c.1.w"], 3 * 2 * params["encoder_c.1.w"], rtol=1e-12)
    assert not np.any(grads["classifier.w"]) and not np.any(grads["decoder_ad.1.w"])


def test_the_order_of_the_modalities_does_not_matter():
    arch, params, z, y, _ = drawn(3)
    given = {"arch": arch, "weights": WEIGHTS, "readings": Readings(alpha=0.5)}
    loss, cache = many_objective(params, z, y, **given)
    turn = str.maketrans("abc", "bca")  # a is now called b, b is c, c is a
    turned = {}
    for name, value in params.items():
        kind, _, rest = name.partition("_")
        own, dot, layer = rest.partition(".")
        turned[f"{kind}_{own.translate(turn)}{dot}{layer}" if rest else name] = value
    assert turned.keys() == params.keys()
    other, other_cache = many_objective(turned, (z[2], z[0], z[1]), y, **given)
    assert other == pytest.approx(loss, rel=1e-13)
    _, dz = many_objective_backward(1.0, cache)
    _, dz_turned = many_objective_backward(1.0, other_cache)
    for place, ours in zip((1, 2, 0), dz, strict=True):
        np.testing.assert_allclose(dz_turned[place], ours, rtol=1e-11, atol=1e-13)


def test_dropout_is_of_the_modality_that_is_named():
    arch, params, z, y, masks = drawn(3, latent_dropout="b")
    given = {"arch": arch, "weights": WEIGHTS, "readings": Readings()}
    losses = []
    for changed in ("none", "a", "b", "c"):
        own = masks | ({changed: ~masks[changed]} if changed != "none" else {})
        losses.append(many_objective(params, z, y, masks=own, **given)[0])
    assert losses[0] == losses[1] == losses[3] != losses[2]
    quiet, _ = many_objective(params, z, y, masks=None, mode="inference", **given)
    assert quiet == many_objective(params, z, y, **given | {"arch": arch._replace(latent_dropout="none")})[0]


def test_float32_stays_float32():
    arch, params, z, y, masks = drawn(3, dtype=np.float32, latent_dropout="both")
    loss, cache = many_objective(params, z, y, arch=arch, weights=WEIGHTS, readings=Readings(alpha=0.5), masks=masks)
    grads, dz = many_objective_backward(np.float32(1), cache)
    assert {a.dtype for a in (loss, *cache.parts.values(), *grads.values(), *dz)} == {np.dtype("float32")}


def test_what_does_not_fit_is_refused():
    for count in (1, 27):
        with pytest.raises(InputError, match=f"{count} modalities.* 2 to 26"):
            letters(count)
    with pytest.raises(InputError, match=r"classifier separate.*use shared"):
        run(3, classifier="separate")
