"""Whole networks: every weight alone and all together, every reading, fresh and after 20 training steps.

Parameters and inputs alike. Small networks by complex step at every entry; those with convolutions by the derivative
along random directions, one array after the other.
"""

from functools import partial

import numpy as np
import pytest
from strategies import report

from cmir_ref.checks import draw_targets, jitter, network_pair, raise_biases
from cmir_ref.cmirnet import Readings, Weights, total
from cmir_ref.cmirnet.end_to_end import end_to_end, end_to_end_backward
from cmir_ref.cmirnet.latent import Latent, decayed_matrices, init_latent, latent_network, regularised_matrices
from cmir_ref.cmirnet.objective import objective, objective_backward
from cmir_ref.cmirnet.pretraining_objective import pretraining_objective, pretraining_objective_backward
from cmir_ref.gradcheck import check_gradient, directional
from cmir_ref.gradcheck.numeric import random_direction
from cmir_ref.nets.conv_block import BLOCK_ORDERS
from cmir_ref.nets.conv_pretrainer import (
    ConvPretrainer,
    conv_pretrainer,
    conv_pretrainer_backward,
    init_conv_pretrainer,
)
from cmir_ref.nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from cmir_ref.nets.pretraining import Pretrainer
from cmir_ref.params import Params, add_prefix, flatten
from cmir_ref.training.adam import adam

GATE = 1e-12
N, F, D_V, K = 5, 4, 3, 3  # pairs, features, latent dimensions, classes
STEPS = pytest.mark.parametrize("steps", [0, 20], ids=["fresh", "trained"])
OFF = Weights(0, 0, 0, 0, 0)
ALL = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
BASE = Readings(alpha=0.5, target_gradient="flow")

WEIGHTED = {  # name: (weights, readings)
    **{f"{name} alone": (OFF._replace(**{name: 0.8}), BASE) for name in Weights._fields},
    "head decay alone": (OFF, BASE._replace(head_decay=0.3)),
    "all": (ALL, BASE._replace(head_decay=0.3)),
}
READ = {  # name: (changed readings, changed architecture, regularised layers)
    "shared": ({}, {}, "all"),
    "separate": ({"classifier": "separate"}, {"classifier": "separate"}, "all"),
    "concatenated": ({"classifier": "concatenated"}, {"classifier": "concatenated"}, "all"),
    "sigmoid": ({"label_losses": ("sigmoid", "sigmoid")}, {}, "all"),
    "sigmoid, softmax": ({"label_losses": ("sigmoid", "softmax")}, {}, "all"),
    "softmax, sigmoid": ({"label_losses": ("softmax", "sigmoid")}, {}, "all"),
    "own": ({"decoder_target": "own"}, {}, "all"),
    "unsquared": ({"frobenius": "unsquared"}, {}, "all"),
    "sum": ({"reduction": "sum"}, {}, "all"),
    "alpha 0": ({"alpha": 0.0}, {}, "all"),
    "alpha elementwise": ({"alpha": 1.0, "alpha_reading": "elementwise"}, {}, "all"),
    "alpha released": ({"alpha": 1.0, "alpha_reading": "released"}, {}, "all"),
    "last layer": ({}, {}, "last"),
    "encoder of one layer": ({}, {"encoder_depth": 1}, "all"),
    "decoder of one layer": ({}, {"decoder_depth": 1}, "all"),
    "relu everywhere": ({}, {"encoder_activation": "relu"}, "all"),
    "linear": ({}, {"encoder_activation": "linear", "decoder_activation": "linear"}, "all"),
    "dropout of a": ({}, {"latent_dropout": "a"}, "all"),
    "dropout of b": ({}, {"latent_dropout": "b"}, "all"),
    "dropout of both": ({}, {"latent_dropout": "both"}, "all"),
}
FRONT = {  # of a pretrainer: block order and normalisation
    f"{order}, {norm}, {mode}": (order, norm, mode)
    for order in BLOCK_ORDERS
    for norm, mode in (("train", "train"), ("train", "inference"), ("frozen", "train"))
}


def trained(pair, batch, steps):
    """The pair's inputs with its parameters after `steps` steps of Adam; those in `batch` stay."""
    params = Params({name: x for name, x in pair.inputs.items() if name not in batch})
    data = [x for name, x in pair.inputs.items() if name in batch]
    m, v = np.zeros_like(params.flat), np.zeros_like(params.flat)
    losses = []
    for t in range(1, steps + 1):
        loss, cache = pair.forward(*params.values(), *data)
        grads = pair.backward(1.0, cache)
        adam(params.flat, flatten(dict(zip(params, grads, strict=False)), params), m, v, t, lr=0.01)
        losses.append(loss)
    assert not losses or losses[-1] < losses[0]  # it did train
    return dict(params) | {name: x for name, x in pair.inputs.items() if name in batch}


def assert_every_entry(pair, inputs, seed):
    """Complex step at each entry of each parameter and input."""
    results = check_gradient(
        pair.forward, pair.backward, list(inputs.values()), names=list(inputs), methods=["complex-step"], seed=seed
    )
    assert [r.input for r in results] == list(inputs)
    assert [report(r, f"seed {seed}") for r in results if not r.error <= GATE] == []


def assert_every_array(pair, inputs, draws=3):
    """⟨gradient, d⟩ of each parameter and input is the derivative along d of that array alone, for several d."""
    rng = np.random.default_rng(2)
    arrays, names = list(inputs.values()), list(inputs)
    y, cache = pair.forward(*arrays)
    dy = random_direction(rng, np.shape(y))
    for i, g in enumerate(pair.backward(dy, cache)):
        for _ in range(draws):
            d = [random_direction(rng, x.shape) if i == j else np.zeros(x.shape) for j, x in enumerate(arrays)]
            measured = directional(lambda x: pair.forward(*x)[0] * dy, arrays, d)
            terms = g * d[i]
            size = max(np.abs(terms).sum(), 1e-8)
            assert abs(terms.sum() - measured) <= GATE * size, f"{names[i]}: {terms.sum()!r}, measured {measured!r}"


def labels(rng, n=N):
    return draw_targets(rng, "multi-hot", n, K), draw_targets(rng, "integer", n, K)


def latent(rng, n=N, **settings):
    """(architecture, parameters, masks) of a tiny latent network."""
    arch = Latent(**{"d_v": D_V, "encoder_depth": 2, "decoder_depth": 2} | settings)
    params, _ = init_latent(arch, (F, F), K, rng)
    return arch, raise_biases(jitter(rng, params)), {m: rng.random((n, D_V)) > 0.4 for m in "ab"}


def objective_pair(weights, readings, layers="all", **settings):
    """Eq. 6 through the latent network, of its parameters and the features z_a, z_b."""
    rng = np.random.default_rng(3)
    arch, params, masks = latent(rng, **settings)
    y, given = labels(rng), {"weights": weights, "readings": readings, "regularized_layers": layers}

    def forward(p, z_a, z_b):
        return objective(p, (z_a, z_b), y, arch=arch, masks=masks, **given)

    z = {name: random_direction(rng, (N, F)) for name in ("z_a", "z_b")}
    return network_pair(forward, objective_backward, params, z)


@STEPS
@pytest.mark.parametrize("name", WEIGHTED)
def test_every_weight_of_the_objective(name, steps):
    pair = objective_pair(*WEIGHTED[name])
    assert_every_entry(pair, trained(pair, ("z_a", "z_b"), steps), seed=1)


@STEPS
@pytest.mark.parametrize("name", READ)
def test_every_reading_of_the_objective(name, steps):
    readings, arch, layers = READ[name]
    pair = objective_pair(ALL, BASE._replace(**readings), layers, **arch)
    assert_every_entry(pair, trained(pair, ("z_a", "z_b"), steps), seed=1)


@STEPS
def test_a_stopped_gradient_is_that_of_fixed_targets(steps):
    """With `target_gradient` "stop" the decoders' targets are numbers: a copy of z that does not move with z."""
    pair = objective_pair(ALL, BASE._replace(target_gradient="stop"))
    inputs = trained(pair, ("z_a", "z_b"), steps)
    rng = np.random.default_rng(3)  # what `objective_pair` draws
    arch, params, _ = latent(rng)
    y, readings, fixed = labels(rng), BASE._replace(target_gradient="stop"), (inputs["z_a"], inputs["z_b"])

    def forward(p, z_a, z_b):
        out, cache = latent_network(p, (z_a, z_b), arch=arch, mode="train")
        matrices = regularised_matrices(p, "all", arch.encoder_depth), decayed_matrices(p)
        loss, total_cache = total(out, fixed, y, *matrices, ALL, readings)
        return loss, (cache, total_cache)

    by_hand = network_pair(forward, None, params, dict.fromkeys(("z_a", "z_b")))
    assert by_hand.forward(*inputs.values())[0] == pair.forward(*inputs.values())[0]
    backward = lambda dl, cache: pair.backward(dl, pair.forward(*inputs.values())[1])  # noqa: E731
    assert_every_entry(by_hand._replace(backward=backward), inputs, seed=1)


def front_pair(network, shape, mode, **reading):
    """Eq. 1 through a pretrainer, of its parameters and the samples x."""
    rng = np.random.default_rng(4)
    params, buffers = network.init(network.arch, shape, F, K, rng)
    buffers = {name: value + rng.uniform(0.1, 0.5, value.shape) for name, value in buffers.items()}
    y, masks = draw_targets(rng, "multi-hot", 4, K), {"z": rng.random((4, F)) > 0.4}
    run = {"network": network, "mode": mode, "buffers": buffers, "masks": masks, "weight": 0.3} | reading

    def backward(dl, cache):
        grads, dx = pretraining_objective_backward(dl, cache)
        return grads, [dx]

    forward = lambda p, x: pretraining_objective(p, x, y, **run)  # noqa: E731
    return network_pair(forward, backward, jitter(rng, params), {"x": random_direction(rng, (4, *shape))})


def conv_front(order, norm, **settings):
    arch = ConvPretrainer((2, 1, 1), (4, 3, 5), block_order=order, batch_norm=norm, **settings)
    forward = partial(conv_pretrainer, input_gradient=True)
    return Pretrainer(init_conv_pretrainer, forward, conv_pretrainer_backward, arch)


DENSE = Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, FeaturePretrainer((6,)))


@STEPS
@pytest.mark.parametrize("name", FRONT)
def test_equation_1_through_convolutions(name, steps):
    order, norm, mode = FRONT[name]
    pair = front_pair(conv_front(order, norm), (5, 4, 2), mode, kind="softmax", scaled=True)
    assert_every_array(pair, trained(pair, ("x",), steps))


@STEPS
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("before_relu", [False, True])
@pytest.mark.parametrize("orthogonality", ["identity", "scaled", "ones", "off", "weight 0"])
def test_every_reading_of_equation_1(orthogonality, before_relu, kind, steps):
    reading = {"kind": kind, "before_relu": before_relu} | {
        "identity": {"target": "identity"},
        "scaled": {"target": "identity", "scaled": True},
        "ones": {"target": "ones"},
        "off": {"target": "off"},
        "weight 0": {"weight": 0.0},
    }[orthogonality]
    pair = front_pair(DENSE, (5,), "train", **reading)
    assert_every_entry(pair, trained(pair, ("x",), steps), seed=1)


def test_equation_1_is_cross_entropy_and_orthogonality_of_the_networks_output():
    pair = front_pair(DENSE, (5,), "inference", kind="softmax", before_relu=True)
    p, x = pair.inputs, pair.inputs["x"]
    hidden = np.maximum(x @ p["hidden.1.w"] + p["hidden.1.b"], 0)
    s = hidden @ p["fc.w"] + p["fc.b"]
    u = np.maximum(s, 0) @ p["classifier.w"] + p["classifier.b"]
    y = draw_targets(_after_params(), "multi-hot", 4, K)
    log_p = u - np.log(np.exp(u).sum(axis=1, keepdims=True))
    ce = -sum((t / max(t.sum(), 1) * row).sum() for t, row in zip(y, log_p, strict=True)) / 4
    orthogonality = ((s.T @ s - np.eye(F)) ** 2).sum()
    assert pair.forward(*p.values())[0] == pytest.approx(ce + 0.3 * orthogonality, rel=1e-12)


def _after_params():
    """The generator of `front_pair` where it draws the labels."""
    rng = np.random.default_rng(4)
    DENSE.init(DENSE.arch, (5,), F, K, rng)
    return rng


@STEPS
@pytest.mark.parametrize("fronts", ["both", "a alone"])
@pytest.mark.parametrize("name", FRONT)
def test_end_to_end(name, fronts, steps):
    order, norm, mode = FRONT[name]
    rng = np.random.default_rng(5)
    arch, params, masks = latent(rng, n=4)
    masks |= {front: rng.random((4, F)) > 0.3 for front in ("front_a", "front_b")}
    chosen = conv_front(order, norm, fused=False), DENSE if fronts == "both" else None
    params, buffers = add_prefix("latent", params), {}
    for front, network, shape in zip(("front_a", "front_b"), chosen, ((4, 4, 1), (5,)), strict=True):
        if network is not None:
            own, running = network.init(network.arch, shape, F, K, rng)
            params |= add_prefix(front, jitter(rng, own))
            buffers |= add_prefix(front, {k: v + rng.uniform(0.1, 0.5, v.shape) for k, v in running.items()})
    x = random_direction(rng, (4, 4, 4, 1)), random_direction(rng, (4, 5 if fronts == "both" else F))
    y = labels(rng, n=4)
    run = {"fronts": chosen, "mode": mode, "buffers": buffers, "masks": masks, "arch": arch}
    forward = lambda p: end_to_end(p, x, y, weights=ALL, readings=BASE, **run)  # noqa: E731
    pair = network_pair(forward, lambda dl, cache: (end_to_end_backward(dl, cache), []), params, {})
    assert_every_array(pair, trained(pair, (), steps), draws=2)
