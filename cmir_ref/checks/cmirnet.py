"""CMIR-NET: equations 1 to 7, its networks, and its objectives."""

from functools import partial

from .. import cmirnet
from ..backend import get_xp
from ..cmirnet.contrastive import NO_CONTRAST, Contrast
from ..cmirnet.end_to_end import FRONTS, end_to_end, end_to_end_backward
from ..cmirnet.eq6_total import LatentOutput, Readings, Weights
from ..cmirnet.fused_total import fused_total, fused_total_backward
from ..cmirnet.latent import Latent, init_latent, latent_network, latent_network_backward
from ..cmirnet.many import many_objective, many_objective_backward
from ..cmirnet.objective import objective, objective_backward
from ..cmirnet.pretraining_objective import pretraining_objective, pretraining_objective_backward
from ..gradcheck import Pair
from ..nets.conv_pretrainer import ConvPretrainer, conv_pretrainer, conv_pretrainer_backward, init_conv_pretrainer
from ..nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from ..nets.pretraining import Pretrainer
from ..params import add_prefix
from .declarations import declare, draw_arrays, draw_targets, jitter, network_pair, raise_biases
from .nets import pool_factors

REDUCTIONS = {"sum": {"reduction": "sum"}, "mean": {"reduction": "mean"}}


@declare(
    "eq1/soft_orthogonality",
    "cmirnet.eq1_pretraining.soft_orthogonality",
    sizes={"n": 5, "d": 4},
    variants={
        "identity": {"target": "identity"},
        "scaled": {"target": "identity", "scaled": True},
        "ones": {"target": "ones"},
    },
)
def _orthogonality(rng, n, d, **reading):
    inputs = draw_arrays(rng, z=(n, d))
    return Pair(partial(cmirnet.soft_orthogonality, **reading), cmirnet.soft_orthogonality_backward, inputs)


@declare(
    "eq1",
    "cmirnet.eq1_pretraining.pretraining_loss",
    sizes={"n": 5, "k": 4, "d": 3},
    variants={
        "softmax": {"kind": "softmax"},
        "sigmoid": {"kind": "sigmoid"},
        "off": {"kind": "softmax", "target": "off"},
    },
)
def _eq1(rng, kind, n, k, d, target="identity"):
    labels = draw_targets(rng, "multi-hot", n, k)
    forward = partial(cmirnet.pretraining_loss, labels=labels, kind=kind, weight=0.3, target=target)
    return Pair(forward, cmirnet.pretraining_loss_backward, draw_arrays(rng, logits=(n, k), z=(n, d)))


@declare(
    "eq2",
    "cmirnet.eq2_alignment.alignment",
    sizes={"n": 4, "d": 3},
    variants={
        "squared": {"squared": True, "reduction": "sum"},
        "unsquared": {"squared": False, "reduction": "sum"},
        "mean": {"squared": True, "reduction": "mean"},
    },
)
def _eq2(rng, n, d, **reading):
    return Pair(
        partial(cmirnet.alignment, **reading), cmirnet.alignment_backward, draw_arrays(rng, v_a=(n, d), v_b=(n, d))
    )


@declare(
    "eq3",
    "cmirnet.eq3_classification.classification",
    sizes={"n": 5, "m": 3, "k": 4},
    variants={
        "shared": {"classifier": "shared"},
        "shared/sigmoid": {"classifier": "shared", "kinds": ("sigmoid", "sigmoid")},
        "separate": {"classifier": "separate", "kinds": ("sigmoid", "softmax")},
    },
)
def _eq3(rng, classifier, n, m, k, kinds=("softmax", "softmax")):
    y_a, y_b = draw_targets(rng, "multi-hot", n, k), draw_targets(rng, "integer", m, k)
    forward = partial(cmirnet.classification, y_a=y_a, y_b=y_b, classifier=classifier, kinds=kinds)
    return Pair(forward, cmirnet.classification_backward, draw_arrays(rng, u_a=(n, k), u_b=(m, k)))


@declare("eq3/concatenated", "cmirnet.eq3_classification.classification", sizes={"n": 5, "k": 4})
def _eq3_concatenated(rng, n, k):
    y_a, y_b = draw_targets(rng, "multi-hot", n, k), draw_targets(rng, "integer", n, k)

    def forward(u):
        return cmirnet.classification(u, None, y_a, y_b, classifier="concatenated")

    return Pair(forward, lambda dl, cache: cmirnet.classification_backward(dl, cache)[0], draw_arrays(rng, u=(n, k)))


@declare(
    "eq4",
    "cmirnet.eq4_feature_norm.feature_norm",
    sizes={"n": 4, "d": 3},
    variants=REDUCTIONS,
)
def _eq4(rng, reduction, n, d):
    forward = partial(cmirnet.feature_norm, reduction=reduction)
    return Pair(forward, cmirnet.feature_norm_backward, draw_arrays(rng, v_a=(n, d), v_b=(n, d)))


@declare(
    "eq5",
    "cmirnet.eq5_reconstruction.reconstruction",
    sizes={"n": 4, "d": 3},
    variants={
        "cross": {"target": "cross"},
        "own": {"target": "own"},
        "unsquared": {"target": "cross", "squared": False},
        "mean": {"target": "cross", "reduction": "mean"},
    },
)
def _eq5(rng, n, d, **reading):
    forward = partial(cmirnet.reconstruction, **reading)
    shapes = dict.fromkeys(("from_a", "from_b", "z_a", "z_b"), (n, d))
    return Pair(forward, cmirnet.reconstruction_backward, draw_arrays(rng, **shapes))


@declare(
    "eq7",
    "cmirnet.eq7_regulariser.regulariser",
    sizes={"c": 4, "d": 3},
    variants={
        "elementwise": {"reading": "elementwise", "alpha": 0.7},
        "norm": {"reading": "norm", "alpha": 0.7},
        "released/above": {"reading": "released", "alpha": 0.7},
        "released/below": {"reading": "released", "alpha": 70.0},
    },
)
def _eq7(rng, c, d, **reading):
    return Pair(partial(cmirnet.regulariser, **reading), cmirnet.regulariser_backward, draw_arrays(rng, w=(c, d)))


@declare("contrastive", "cmirnet.contrastive.contrastive", sizes={"n": 5, "d": 3}, variants=REDUCTIONS)
def _contrastive(rng, reduction, n, d):
    forward = partial(cmirnet.contrastive, temperature=0.7, reduction=reduction)
    return Pair(forward, cmirnet.contrastive_backward, draw_arrays(rng, v_a=(n, d), v_b=(n, d)))


WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
NO_WEIGHTS = Weights(0.0, 0.0, 0.0, 0.0, 0.0)
CONTRAST = Contrast(0.8, 0.7)
EQ6_READINGS = {
    "default": Readings(alpha=0.5),
    "sum": Readings(alpha=0.5, reduction="sum"),
    "released": Readings(
        classifier="separate",
        label_losses=("sigmoid", "softmax"),
        decoder_target="own",
        target_gradient="flow",
        frobenius="unsquared",
        alpha=1.0,
        alpha_reading="released",
    ),
    "concatenated": Readings(classifier="concatenated", alpha=0.5, alpha_reading="elementwise"),
    "flow": Readings(alpha=0.5, target_gradient="flow"),
    "head-decay": Readings(alpha=0.5, head_decay=0.3),
}


@declare(
    "eq6",
    "cmirnet.eq6_total.total",
    sizes={"n": 5, "d": 3, "k": 4, "f": 6, "c": 2},
    variants={
        "default": {"reading": "default"},
        "released": {"reading": "released"},
        "head-decay": {"reading": "head-decay"},
    },
)
def _eq6(rng, reading, n, d, k, f, c):
    readings, y, inputs = _draw_eq6(rng, reading, n, d, k, f, c)

    def forward(*x):
        return cmirnet.total(LatentOutput(*x[:6]), (x[6], x[7]), y, {"w": x[8]}, {"head": x[9]}, WEIGHTS, readings)

    return Pair(forward, partial(_eq6_gradients, cmirnet.total_backward, (c, k)), inputs)


def _draw_eq6(rng, reading, n, d, k, f, c):
    """(readings, labels, inputs) of eq. 6."""
    readings = EQ6_READINGS[reading]._replace(target_gradient="flow")
    y = draw_targets(rng, "multi-hot", n, k), draw_targets(rng, "integer", n, k)
    shapes = {"v_a": (n, d), "v_b": (n, d), "u_a": (n, k), "u_b": (n, k), "from_a": (n, f), "from_b": (n, f)}
    return readings, y, draw_arrays(rng, **shapes, z_a=(n, f), z_b=(n, f), w=(d, c), head=(c, k))


def _eq6_gradients(backward, head, dl, cache):
    """The gradients of all inputs; that of the decayed matrix, of shape `head`, is 0 where nothing decays."""
    grads = backward(dl, cache)
    dw = grads.w["w"]
    dhead = grads.w["head"] if "head" in grads.w else get_xp(dw).zeros(head, dtype=dw.dtype)
    return [*grads.output, *grads.z, dw, dhead]


@declare(
    "eq6/fused",
    "cmirnet.fused_total.fused_total",
    sizes={"n": 5, "d": 3, "k": 4, "f": 6, "c": 2},
    variants={
        "default": {"reading": "default"},
        "released": {"reading": "released"},
        "head-decay": {"reading": "head-decay"},
    },
)
def _eq6_fused(rng, reading, n, d, k, f, c):
    readings, y, inputs = _draw_eq6(rng, reading, n, d, k, f, c)

    def forward(*x):
        return fused_total(LatentOutput(*x[:6]), (x[6], x[7]), y, {"w": x[8]}, {"head": x[9]}, WEIGHTS, readings)

    return Pair(forward, partial(_eq6_gradients, fused_total_backward, (c, k)), inputs)


@declare(
    "pretraining_objective",
    "cmirnet.pretraining_objective.pretraining_objective",
    sizes={"n": 5, "c": 7, "p": 6, "d": 5, "k": 4},
    variants={
        "z": {"before_relu": False},
        "s": {"before_relu": True},
        "off": {"before_relu": False, "target": "off"},
    },
    network=True,
)
def _pretraining_objective(rng, before_relu, n, c, p, d, k, target="identity"):
    arch = FeaturePretrainer(hidden=(p,))
    network = Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, arch)
    params, _ = init_feature_pretrainer(arch, (c,), d, k, rng)
    y, masks = draw_targets(rng, "multi-hot", n, k), {"z": rng.random((n, d)) > 0.5}
    reading = {"kind": "sigmoid", "weight": 0.3, "target": target, "scaled": True, "before_relu": before_relu}

    def forward(p, x):
        return pretraining_objective(p, x, y, network=network, masks=masks, **reading)

    def backward(dl, cache):
        grads, dx = pretraining_objective_backward(dl, cache)
        return grads, [dx]

    return network_pair(forward, backward, jitter(rng, params), draw_arrays(rng, x=(n, c)))


def _draw_latent(rng, n, f, d, k, depth=3, classifier="shared", activation="hidden", dropout="none"):
    arch = Latent(
        d_v=d,
        encoder_depth=depth,
        decoder_depth=depth,
        encoder_activation=activation,
        classifier=classifier,
        latent_dropout=dropout,
    )
    params, _ = init_latent(arch, (f, f), k, rng)
    masks = {m: rng.random((n, d)) > 0.5 for m in "ab"}
    return arch, raise_biases(jitter(rng, params)), masks


@declare(
    "latent_network",
    "cmirnet.latent.latent_network",
    sizes={"n": 6, "f": 5, "d": 3, "k": 4},
    variants={
        "shared": {},
        "separate": {"classifier": "separate", "dropout": "b"},
        "concatenated": {"classifier": "concatenated", "depth": 1, "dropout": "both"},
    },
    network=True,
)
def _latent_network(rng, n, f, d, k, **arch):
    arch, params, masks = _draw_latent(rng, n, f, d, k, **arch)

    def forward(p, z_a, z_b):
        return latent_network(p, (z_a, z_b), arch=arch, mode="train", masks=masks)

    return network_pair(forward, latent_network_backward, params, draw_arrays(rng, z_a=(n, f), z_b=(n, f)))


def _draw_labels(rng, n, k):
    return draw_targets(rng, "multi-hot", n, k), draw_targets(rng, "integer", n, k)


@declare(
    "objective",
    "cmirnet.objective.objective",
    sizes={"n": 6, "f": 5, "d": 3, "k": 4},
    variants={
        "default": {"readings": EQ6_READINGS["default"], "activation": "relu"},
        "sum": {"readings": EQ6_READINGS["sum"]},
        "released": {"readings": EQ6_READINGS["released"]},
        "concatenated": {"readings": EQ6_READINGS["concatenated"]},
        "flow": {"readings": EQ6_READINGS["flow"]},
        "head-decay": {"readings": EQ6_READINGS["head-decay"]},
        "alignment-alone": {"weights": NO_WEIGHTS._replace(alignment=1.0)},
        "classification-alone": {"weights": NO_WEIGHTS._replace(classification=1.0)},
        "feature_norm-alone": {"weights": NO_WEIGHTS._replace(feature_norm=1.0)},
        "reconstruction-alone": {"weights": NO_WEIGHTS._replace(reconstruction=1.0)},
        "regulariser-alone": {"weights": NO_WEIGHTS._replace(regulariser=1.0)},
        "last-layer": {"layers": "last", "activation": "linear"},
        "contrastive": {"contrast": CONTRAST},
        "contrastive-alone": {"weights": NO_WEIGHTS, "contrast": CONTRAST},
    },
    network=True,
)
def _objective(
    rng,
    n,
    f,
    d,
    k,
    readings=EQ6_READINGS["default"],
    weights=WEIGHTS,
    layers="all",
    activation="hidden",
    contrast=NO_CONTRAST,
):
    """eq. 6 and the contrastive term through the latent network."""
    arch, params, masks = _draw_latent(rng, n, f, d, k, classifier=readings.classifier, activation=activation)
    y = _draw_labels(rng, n, k)
    # with "stop" the gradient of z is, on purpose, not the derivative
    readings = readings._replace(target_gradient="flow")

    def forward(p, z_a, z_b):
        return objective(
            p,
            (z_a, z_b),
            y,
            arch=arch,
            weights=weights,
            readings=readings,
            regularized_layers=layers,
            contrast=contrast,
            masks=masks,
        )

    return network_pair(forward, objective_backward, params, draw_arrays(rng, z_a=(n, f), z_b=(n, f)))


@declare(
    "many",
    "cmirnet.many.many_objective",
    sizes={"n": 6, "f": 5, "p": 7, "q": 2, "d": 3, "k": 4},
    variants={
        "default": {"reading": "default"},
        "dropout": {"reading": "head-decay", "dropout": "both"},
        "last-layer": {"reading": "sum", "layers": "last"},
    },
    network=True,
)
def _many(rng, reading, n, f, p, q, d, k, layers="all", dropout="none"):
    arch = Latent(d_v=d, encoder_depth=2, decoder_depth=2, encoder_activation="hidden", latent_dropout=dropout)
    params = raise_biases(jitter(rng, init_latent(arch, (f, p, q), k, rng)[0]))
    masks, y = {m: rng.random((n, d)) > 0.5 for m in "abc"}, draw_targets(rng, "integer", n, k)
    readings = EQ6_READINGS[reading]._replace(target_gradient="flow")

    def forward(p, *z):
        return many_objective(
            p, z, y, arch=arch, weights=WEIGHTS, readings=readings, regularized_layers=layers, masks=masks
        )

    return network_pair(forward, many_objective_backward, params, draw_arrays(rng, z_a=(n, f), z_b=(n, p), z_c=(n, q)))


@declare(
    "end_to_end",
    "cmirnet.end_to_end.end_to_end",
    sizes={"n": 6, "h": 4, "w": 4, "p": 5, "q": 3, "r": 4, "c": 3, "f": 5, "d": 3, "k": 4},
    network=True,
)
def _end_to_end(rng, n, h, w, p, q, r, c, f, d, k):
    conv = ConvPretrainer(pool_factors(h, w), channels=(p, q, r), fused=False)
    dense = FeaturePretrainer()
    fronts = (
        Pretrainer(init_conv_pretrainer, conv_pretrainer, conv_pretrainer_backward, conv),
        Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, dense),
    )
    arch, latent, masks = _draw_latent(rng, n, f, d, k)
    masks |= {name: rng.random((n, f)) > 0.3 for name in FRONTS}
    front_a, _ = init_conv_pretrainer(conv, (h, w, 1), f, k, rng)
    front_b, _ = init_feature_pretrainer(dense, (c,), f, k, rng)
    params = add_prefix("latent", latent)
    params |= add_prefix("front_a", jitter(rng, front_a)) | add_prefix("front_b", jitter(rng, front_b))
    x, y = (rng.normal(size=(n, h, w, 1)), rng.normal(size=(n, c))), _draw_labels(rng, n, k)

    def forward(p):
        return end_to_end(
            p,
            x,
            y,
            fronts=fronts,
            mode="train",
            masks=masks,
            arch=arch,
            weights=WEIGHTS,
            readings=Readings(alpha=0.5, target_gradient="flow"),
        )

    return network_pair(forward, lambda d, cache: (end_to_end_backward(d, cache), []), params, {})
