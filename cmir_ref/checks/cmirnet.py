"""CMIR-NET: equations 1 to 7, its networks, and its objectives."""

from functools import partial

from .. import cmirnet
from ..backend import get_xp
from ..cmirnet.end_to_end import FRONTS, end_to_end, end_to_end_backward, prefixed
from ..cmirnet.eq6_total import LatentOutput, Readings, Weights
from ..cmirnet.latent import Latent, init_latent, latent_network, latent_network_backward
from ..cmirnet.many import many_objective, many_objective_backward
from ..cmirnet.objective import objective, objective_backward
from ..cmirnet.pretraining_objective import pretraining_objective, pretraining_objective_backward
from ..nets.conv_pretrainer import ConvPretrainer, conv_pretrainer, conv_pretrainer_backward, init_conv_pretrainer
from ..nets.feature_pretrainer import (
    FeaturePretrainer,
    feature_pretrainer,
    feature_pretrainer_backward,
    init_feature_pretrainer,
)
from ..nets.pretraining import Pretrainer
from .declarations import Pair, _targets, arrays, declare, jitter, lively, network_pair
from .nets import _pools


@declare("eq1/soft_orthogonality/identity", "cmirnet.eq1_pretraining.soft_orthogonality", target="identity")
@declare("eq1/soft_orthogonality/scaled", "cmirnet.eq1_pretraining.soft_orthogonality", target="identity", scaled=True)
@declare("eq1/soft_orthogonality/ones", "cmirnet.eq1_pretraining.soft_orthogonality", target="ones")
def _orthogonality(rng, n=5, d=4, **reading):
    inputs = arrays(rng, z=(n, d))
    return Pair(partial(cmirnet.soft_orthogonality, **reading), cmirnet.soft_orthogonality_backward, inputs)


@declare("eq1/softmax", "cmirnet.eq1_pretraining.pretraining_loss", kind="softmax")
@declare("eq1/sigmoid", "cmirnet.eq1_pretraining.pretraining_loss", kind="sigmoid")
@declare("eq1/off", "cmirnet.eq1_pretraining.pretraining_loss", kind="softmax", target="off")
def _eq1(rng, kind, target="identity", n=5, k=4, d=3):
    labels = _targets(rng, "multi-hot", n, k)
    forward = partial(cmirnet.pretraining_loss, labels=labels, kind=kind, weight=0.3, target=target)
    return Pair(forward, cmirnet.pretraining_loss_backward, arrays(rng, logits=(n, k), z=(n, d)))


@declare("eq2/squared", "cmirnet.eq2_alignment.alignment", norm="squared", reduction="sum")
@declare("eq2/unsquared", "cmirnet.eq2_alignment.alignment", norm="unsquared", reduction="sum")
@declare("eq2/mean", "cmirnet.eq2_alignment.alignment", norm="squared", reduction="mean")
def _eq2(rng, n=4, d=3, **reading):
    return Pair(partial(cmirnet.alignment, **reading), cmirnet.alignment_backward, arrays(rng, v_a=(n, d), v_b=(n, d)))


@declare("eq3/shared", "cmirnet.eq3_classification.classification", classifier="shared")
@declare(
    "eq3/shared/sigmoid", "cmirnet.eq3_classification.classification", classifier="shared", kinds=("sigmoid", "sigmoid")
)
@declare(
    "eq3/separate",
    "cmirnet.eq3_classification.classification",
    classifier="separate",
    kinds=("sigmoid", "softmax"),
)
def _eq3(rng, classifier, kinds=("softmax", "softmax"), n=5, m=3, k=4):
    y_a, y_b = _targets(rng, "multi-hot", n, k), _targets(rng, "integer", m, k)
    forward = partial(cmirnet.classification, y_a=y_a, y_b=y_b, classifier=classifier, kinds=kinds)
    return Pair(forward, cmirnet.classification_backward, arrays(rng, u_a=(n, k), u_b=(m, k)))


@declare("eq3/concatenated", "cmirnet.eq3_classification.classification")
def _eq3_concatenated(rng, n=5, k=4):
    y_a, y_b = _targets(rng, "multi-hot", n, k), _targets(rng, "integer", n, k)

    def forward(u):
        return cmirnet.classification(u, None, y_a, y_b, classifier="concatenated")

    return Pair(forward, lambda dl, cache: cmirnet.classification_backward(dl, cache)[0], arrays(rng, u=(n, k)))


@declare("eq4/sum", "cmirnet.eq4_feature_norm.feature_norm", reduction="sum")
@declare("eq4/mean", "cmirnet.eq4_feature_norm.feature_norm", reduction="mean")
def _eq4(rng, reduction, n=4, d=3):
    forward = partial(cmirnet.feature_norm, reduction=reduction)
    return Pair(forward, cmirnet.feature_norm_backward, arrays(rng, v_a=(n, d), v_b=(n, d)))


@declare("eq5/cross", "cmirnet.eq5_reconstruction.reconstruction", target="cross")
@declare("eq5/own", "cmirnet.eq5_reconstruction.reconstruction", target="own")
@declare("eq5/unsquared", "cmirnet.eq5_reconstruction.reconstruction", target="cross", norm="unsquared")
@declare("eq5/mean", "cmirnet.eq5_reconstruction.reconstruction", target="cross", reduction="mean")
def _eq5(rng, n=4, d=3, **reading):
    forward = partial(cmirnet.reconstruction, **reading)
    shapes = dict.fromkeys(("from_a", "from_b", "z_a", "z_b"), (n, d))
    return Pair(forward, cmirnet.reconstruction_backward, arrays(rng, **shapes))


@declare("eq7/elementwise", "cmirnet.eq7_regulariser.regulariser", reading="elementwise", alpha=0.7)
@declare("eq7/norm", "cmirnet.eq7_regulariser.regulariser", reading="norm", alpha=0.7)
@declare("eq7/released/above", "cmirnet.eq7_regulariser.regulariser", reading="released", alpha=0.7)
@declare("eq7/released/below", "cmirnet.eq7_regulariser.regulariser", reading="released", alpha=70.0)
def _eq7(rng, c=4, d=3, **reading):
    return Pair(partial(cmirnet.regulariser, **reading), cmirnet.regulariser_backward, arrays(rng, w=(c, d)))


WEIGHTS = Weights(0.7, 1.3, 0.4, 0.9, 0.6)
READINGS = {
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


@declare("eq6/default", "cmirnet.eq6_total.total", reading="default")
@declare("eq6/released", "cmirnet.eq6_total.total", reading="released")
@declare("eq6/head-decay", "cmirnet.eq6_total.total", reading="head-decay")
def _eq6(rng, reading, n=5, d=3, k=4, f=6, c=2):
    readings = READINGS[reading]._replace(target_gradient="flow")
    y = _targets(rng, "multi-hot", n, k), _targets(rng, "integer", n, k)
    shapes = {"v_a": (n, d), "v_b": (n, d), "u_a": (n, k), "u_b": (n, k), "from_a": (n, f), "from_b": (n, f)}
    inputs = arrays(rng, **shapes, z_a=(n, f), z_b=(n, f), w=(d, c), head=(c, k))

    def forward(*x):
        return cmirnet.total(LatentOutput(*x[:6]), (x[6], x[7]), y, {"w": x[8]}, {"head": x[9]}, WEIGHTS, readings)

    def backward(dl, cache):
        d = cmirnet.total_backward(dl, cache)
        xp, dtype = get_xp(d.w["w"]), d.w["w"].dtype
        return [*d.output, *d.z, d.w["w"], d.w["head"] if "head" in d.w else xp.zeros((c, k), dtype=dtype)]

    return Pair(forward, backward, inputs)


@declare(
    "pretraining_objective/z", "cmirnet.pretraining_objective.pretraining_objective", network=True, before_relu=False
)
@declare(
    "pretraining_objective/s", "cmirnet.pretraining_objective.pretraining_objective", network=True, before_relu=True
)
@declare(
    "pretraining_objective/off",
    "cmirnet.pretraining_objective.pretraining_objective",
    network=True,
    before_relu=False,
    target="off",
)
def _pretraining_objective(rng, before_relu, target="identity", n=5, c=7, p=6, d=5, k=4):
    arch = FeaturePretrainer(hidden=(p,))
    network = Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, arch)
    params, _ = init_feature_pretrainer(arch, (c,), d, k, rng)
    y, masks = _targets(rng, "multi-hot", n, k), {"z": rng.random((n, d)) > 0.5}
    reading = {"kind": "sigmoid", "weight": 0.3, "target": target, "scaled": True, "before_relu": before_relu}

    def forward(p, x):
        return pretraining_objective(p, x, y, network=network, masks=masks, **reading)

    def backward(dl, cache):
        grads, dx = pretraining_objective_backward(dl, cache)
        return grads, [dx]

    return network_pair(forward, backward, jitter(rng, params), arrays(rng, x=(n, c)))


def _latent(rng, sizes, depth=3, classifier="shared", activation="hidden", dropout="none"):
    n, f, d, k = sizes
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
    return arch, lively(jitter(rng, params)), masks


@declare("latent_network/shared", "cmirnet.latent.latent_network", network=True)
@declare("latent_network/separate", "cmirnet.latent.latent_network", network=True, classifier="separate", dropout="b")
@declare(
    "latent_network/concatenated",
    "cmirnet.latent.latent_network",
    network=True,
    classifier="concatenated",
    depth=1,
    dropout="both",
)
def _latent_network(rng, n=6, f=5, d=3, k=4, **arch):
    arch, params, masks = _latent(rng, (n, f, d, k), **arch)

    def forward(p, z_a, z_b):
        return latent_network(p, (z_a, z_b), arch=arch, mode="train", masks=masks)

    return network_pair(forward, latent_network_backward, params, arrays(rng, z_a=(n, f), z_b=(n, f)))


def _labels(rng, n, k):
    return _targets(rng, "multi-hot", n, k), _targets(rng, "integer", n, k)


def _declare_objectives():
    """eq. 6 through the latent network: all weights in each reading, then each weight alone."""
    for name, reading in READINGS.items():
        activation = "relu" if name == "default" else "hidden"
        settings = {"readings": reading, "activation": activation}
        declare(f"objective/{name}", "cmirnet.objective.objective", network=True, **settings)(_objective)
    for term in Weights._fields:
        alone = Weights(**{field: float(field == term) for field in Weights._fields})
        only = Readings(alpha=0.5)
        declare(f"objective/{term}-alone", "cmirnet.objective.objective", network=True, readings=only, weights=alone)(
            _objective
        )
    last = {"readings": READINGS["default"], "layers": "last", "activation": "linear"}
    declare("objective/last-layer", "cmirnet.objective.objective", network=True, **last)(_objective)


def _objective(rng, readings, weights=WEIGHTS, layers="all", activation="hidden", n=6, f=5, d=3, k=4):
    arch, params, masks = _latent(rng, (n, f, d, k), classifier=readings.classifier, activation=activation)
    y = _labels(rng, n, k)
    readings = readings._replace(
        target_gradient="flow"
    )  # with "stop" the gradient of z is, on purpose, not the derivative

    def forward(p, z_a, z_b):
        return objective(
            p,
            (z_a, z_b),
            y,
            arch=arch,
            weights=weights,
            readings=readings,
            regularized_layers=layers,
            masks=masks,
        )

    return network_pair(forward, objective_backward, params, arrays(rng, z_a=(n, f), z_b=(n, f)))


_declare_objectives()


@declare("many/default", "cmirnet.many.many_objective", network=True, reading="default")
@declare("many/dropout", "cmirnet.many.many_objective", network=True, reading="head-decay", dropout="both")
@declare("many/last-layer", "cmirnet.many.many_objective", network=True, reading="sum", layers="last")
def _many(rng, reading, layers="all", dropout="none", n=6, f=5, p=7, q=2, d=3, k=4):
    arch = Latent(d_v=d, encoder_depth=2, decoder_depth=2, encoder_activation="hidden", latent_dropout=dropout)
    params = lively(jitter(rng, init_latent(arch, (f, p, q), k, rng)[0]))
    masks, y = {m: rng.random((n, d)) > 0.5 for m in "abc"}, _targets(rng, "integer", n, k)
    readings = READINGS[reading]._replace(target_gradient="flow")

    def forward(p, *z):
        return many_objective(
            p, z, y, arch=arch, weights=WEIGHTS, readings=readings, regularized_layers=layers, masks=masks
        )

    return network_pair(forward, many_objective_backward, params, arrays(rng, z_a=(n, f), z_b=(n, p), z_c=(n, q)))


@declare("end_to_end", "cmirnet.end_to_end.end_to_end", network=True)
def _end_to_end(rng, n=6, h=4, w=4, p=5, q=3, r=4, c=3, f=5, d=3, k=4):
    conv = ConvPretrainer(_pools(h, w), channels=(p, q, r), fused=False)
    dense = FeaturePretrainer()
    fronts = (
        Pretrainer(init_conv_pretrainer, conv_pretrainer, conv_pretrainer_backward, conv),
        Pretrainer(init_feature_pretrainer, feature_pretrainer, feature_pretrainer_backward, dense),
    )
    arch, latent, masks = _latent(rng, (n, f, d, k))
    masks |= {name: rng.random((n, f)) > 0.3 for name in FRONTS}
    front_a, _ = init_conv_pretrainer(conv, (h, w, 1), f, k, rng)
    front_b, _ = init_feature_pretrainer(dense, (c,), f, k, rng)
    params = prefixed("latent", latent)
    params |= prefixed("front_a", jitter(rng, front_a)) | prefixed("front_b", jitter(rng, front_b))
    x, y = (rng.normal(size=(n, h, w, 1)), rng.normal(size=(n, c))), _labels(rng, n, k)

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
