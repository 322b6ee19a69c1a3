"""Photo ↔ sketch with attention: the gates, the cross-attention, and the objective behind them."""

from functools import partial

import numpy as np

from .. import attention
from ..attention.grad_cam import FeatureReading, class_scores, class_scores_backward
from ..attention.objective import (
    Attention,
    attend,
    attend_backward,
    attended_objective,
    attended_objective_backward,
)
from ..cmirnet.latent import Latent, init_latent
from ..gradcheck import Pair
from .cmirnet import EQ6_READINGS, WEIGHTS
from .declarations import declare, draw_arrays, draw_targets, jitter, network_pair, raise_biases

RESIDUAL = {"residual": {"residual": True}, "product": {"residual": False}}


@declare("channel_gate", "attention.gate.channel_gate", sizes={"n": 4, "c": 3, "d": 5}, variants=RESIDUAL)
def _channel_gate(rng, residual, n, c, d):
    forward = partial(attention.channel_gate, residual=residual)
    return Pair(forward, attention.channel_gate_backward, draw_arrays(rng, x=(n, d), s=(n, c), w=(c, d), b=(d,)))


@declare("spatial_mask", "attention.gate.spatial_mask", sizes={"n": 3, "p": 4, "c": 2, "d": 5}, variants=RESIDUAL)
def _spatial_mask(rng, residual, n, p, c, d):
    forward = partial(attention.spatial_mask, residual=residual)
    inputs = draw_arrays(rng, x=(n, p, c), y=(n, p, d), w=(d, 1), b=(1,))
    return Pair(forward, attention.spatial_mask_backward, inputs)


@declare("cross_attention", "attention.cross_attention.cross_attention", sizes={"n": 3, "p": 4, "q": 2, "c": 6, "d": 5})
def _cross_attention(rng, n, p, q, c, d):
    inputs = draw_arrays(rng, x=(n, p, c), y=(n, q, c), w_q=(c, d), w_k=(c, d), w_v=(c, c))
    return Pair(attention.cross_attention, attention.cross_attention_backward, inputs)


KINDS = {
    "self": {"kind": "self"},
    "channel": {"kind": "channel"},
    "product": {"kind": "channel", "residual": False},
    "spatial": {"kind": "spatial"},
    "mask": {"kind": "mask"},
}


def _draw_attention(rng, kind, n, p, q, c, f, d):
    """(gate's weights, x_a, x_b and context, heads) for n pairs; f features, maps of p and q places, c channels."""
    if kind in ("none", "self", "channel"):
        gate = {} if kind == "none" else draw_arrays(rng, **{"gate.w": (f, f), "gate.b": (f,)})
        return gate, draw_arrays(rng, x_a=(n, f), x_b=(n, f), context=(n, f)), None
    heads = draw_arrays(rng, **{"a.1.w": (p * c, f), "a.1.b": (f,), "b.1.w": (p * c, f), "b.1.b": (f,)})
    if kind == "spatial":
        gate = draw_arrays(rng, **{"gate.q": (c, d), "gate.k": (c, d), "gate.v": (c, c)})
        return gate, draw_arrays(rng, x_a=(n, p, c), x_b=(n, f), context=(n, q, c)), heads
    gate = draw_arrays(rng, **{"gate.w": (c, 1), "gate.b": (1,)})
    return gate, draw_arrays(rng, x_a=(n, p, c), x_b=(n, p, c), context=(n, p, c)), heads


def _like(heads, x):
    """The constant heads in the dtype of x, for checks in float32 and in complex steps."""
    return None if heads is None else {name: w.astype(x.dtype) for name, w in heads.items()}


@declare(
    "attend",
    "attention.objective.attend",
    sizes={"n": 4, "p": 3, "q": 2, "c": 5, "f": 6, "d": 2},
    variants=KINDS,
    network=True,
)
def _attend(rng, kind, n, p, q, c, f, d, residual=True):
    gate, batch, heads = _draw_attention(rng, kind, n, p, q, c, f, d)
    form = Attention(kind, residual)

    def forward(params, x_a, x_b, context):
        return attend(params, x_a, x_b, context, attention=form, heads=_like(heads, x_a))

    return network_pair(forward, attend_backward, gate, batch)


@declare(
    "attended_objective",
    "attention.objective.attended_objective",
    sizes={"n": 6, "p": 3, "q": 2, "c": 7, "f": 5, "d": 3, "k": 4},
    variants={
        "none": {"kind": "none"},
        **KINDS,
        "dropout": {"kind": "channel", "dropout": 0.4},
        "sum": {"kind": "spatial", "reading": "sum"},
    },
    network=True,
)
def _attended_objective(rng, kind, n, p, q, c, f, d, k, residual=True, dropout=0.0, reading="default"):
    """eq. 6 through the latent network and the attention before it."""
    gate, batch, heads = _draw_attention(rng, kind, n, p, q, c, f, d)
    form = Attention(kind, residual)
    # with "stop" the gradient of z is, on purpose, not the derivative
    readings = EQ6_READINGS[reading]._replace(target_gradient="flow")
    weights = WEIGHTS
    arch = Latent(d_v=d, encoder_depth=2, decoder_depth=2, classifier=readings.classifier)
    params, _ = init_latent(arch, (f, f), k, rng)
    params = raise_biases(jitter(rng, params)) | gate
    y = draw_targets(rng, "multi-hot", n, k), draw_targets(rng, "integer", n, k)
    masks = {name: rng.random((n, f)) > 0.4 for name in ("z_a", "z_b")}

    def forward(params, *batch):
        return attended_objective(
            params,
            batch,
            y,
            attention=form,
            arch=arch,
            weights=weights,
            readings=readings,
            heads=_like(heads, batch[0]),
            feature_dropout=dropout,
            masks=masks,
        )

    return network_pair(forward, attended_objective_backward, params, batch)


@declare(
    "class_scores",
    "attention.grad_cam.class_scores",
    sizes={"n": 4, "p": 3, "q": 2, "c": 5, "f": 6, "d": 2, "k": 3},
    variants={
        "a": {"m": "a"},
        "b": {"m": "b"},
        "unit": {"m": "b", "unit": True},
        "self": {"m": "a", "kind": "self"},
        "spatial": {"m": "a", "kind": "spatial"},
        "mask": {"m": "a", "kind": "mask"},
        "mask-of-itself": {"m": "b", "kind": "mask"},
    },
    network=True,
)
def _class_scores(rng, m, n, p, q, c, f, d, k, kind="none", unit=False):
    """Grad-CAM's way from a map to the logits."""
    arch, form = Latent(d_v=d, encoder_depth=2, decoder_depth=1), Attention(kind)
    params = raise_biases(jitter(rng, init_latent(arch, (f, f), k, rng)[0]))
    factor = 1 + rng.random(f)
    heads = draw_arrays(rng, **{f"{m}.1.w": (p * c, f), f"{m}.1.b": (f,)})
    contexts = None
    if kind != "none":
        gate, batch, both = _draw_attention(rng, kind, 2, p, q, c, f, d)
        params, heads = params | gate, both or heads
        contexts = batch["context"] if m == "a" and both else None
    shift = rng.random(f) if unit else np.zeros(f)

    def forward(x):
        own, scale = _like(params, x), factor.astype(x.dtype)
        settings = {"features": FeatureReading(shift.astype(x.dtype), unit), "attention": form}
        settings["contexts"] = None if contexts is None else contexts.astype(x.dtype)
        return class_scores(own, x, scale, m=m, arch=arch, heads=_like(heads, x), **settings)

    return Pair(forward, class_scores_backward, draw_arrays(rng, x=(n, p, c)))
