"""What stage 2 minimises: attention before CMIR-NET's eq. 2 – 7, from features or maps to one number, and back.

    x_a, x_b, context  ->  attend  ->  Z_a, Z_b  ->  (dropout)  ->  CMIR-NET's `objective`  ->  L

n pairs of a photo a and a sketch b; `context` is the sketch that attends, which is b itself or another one. The gate
learns by the gradient of `objective` with respect to its input, ∂L/∂Z_a.

*Reconstruction*: the slides of the talk append the attention to CMIR-NET, whose losses they repeat unchanged; where it
stands is not public. Here it stands between the two stages.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..backend import Array, get_xp
from ..cmirnet.contrastive import NO_CONTRAST, Contrast
from ..cmirnet.eq6_total import Readings, Weights
from ..cmirnet.latent import Latent
from ..cmirnet.objective import ObjectiveCache, objective, objective_backward
from ..ops.dropout import dropout, dropout_backward
from ..ops.fused import add_parts, by_samples
from ..ops.linear import linear
from ..ops.relu import relu, relu_backward
from .cross_attention import CrossAttentionCache, cross_attention, cross_attention_backward
from .gate import channel_gate, channel_gate_backward, spatial_mask, spatial_mask_backward

KINDS_OF_ATTENTION = ("none", "channel", "self", "spatial", "mask")
ON_MAPS = ("spatial", "mask")  # those that read the maps of the convolution pretrainers
BLOCK = 32  # samples whose maps are read by one thread: products of fewer cost more than another thread gives


class Attention(NamedTuple):
    """Which reconstruction, and whether it adds to what it weighs (1 + a) or replaces it (a)."""

    kind: str = "channel"  # one of KINDS_OF_ATTENTION
    residual: bool = True


class AttendCache(NamedTuple):
    kind: str
    a: Any  # of the gate, or of the photo's maps, block after block
    b: Any  # of the sketch's own maps under R3
    shape: tuple[int, ...]  # of the context


def attend(
    params: Mapping[str, Array],
    x_a: Array,
    x_b: Array,
    context: Array,
    *,
    attention: Attention,
    heads: Mapping[str, Array] | None = None,
) -> tuple[tuple[Array, Array], AttendCache]:
    """(Z_a, Z_b) that the latent network is given, (n, D) each.

    `kind`     x_a               x_b               context           what is done
    none       features (n, D)   features (n, D)   not used          Z_a = x_a
    self       features          features          not used          R1 with the photo's own gate: a control
    channel    features          features          features          R1
    spatial    map (n, M, C)     features          map (n, P, C)     R2, then the pretrainer's layer from map to Z
    mask       map               map (n, M, C)     map               R3, for both maps, then these layers

    `heads` has the weights of these layers, "a.1.w" (M C, D), "a.1.b" (D,) and those of "b"; stage 1 has trained them
    and they are constants here. Raises `ValueError` for an unknown kind.
    """
    kind, shape = attention.kind, context.shape
    if kind == "none":
        return (x_a, x_b), AttendCache(kind, None, None, shape)
    if kind in ("channel", "self"):
        s = x_a if kind == "self" else context
        z_a, cache = channel_gate(x_a, s, params["gate.w"], params["gate.b"], residual=attention.residual)
        return (z_a, x_b), AttendCache(kind, cache, None, shape)
    if kind in ON_MAPS:
        z_a, cache_a = _read_maps(x_a, context, params, attention, heads["a.1.w"], heads["a.1.b"])
        z_b, cache_b = x_b, None
        if kind == "mask":
            z_b, cache_b = _read_maps(x_b, x_b, params, attention, heads["b.1.w"], heads["b.1.b"])
        return (z_a, z_b), AttendCache(kind, cache_a, cache_b, shape)
    raise ValueError(f"attention is {kind!r}; it is one of {', '.join(KINDS_OF_ATTENTION)}")


def _read_maps(
    x: Array, y: Array, params: Mapping[str, Array], attention: Attention, w: Array, b: Array
) -> tuple[Array, list[tuple]]:
    """Z (n, D) of maps x (n, M, C) that y attends, by the pretrainer's last layer, relu(x W + b); block after block."""

    def work(x, y):
        if attention.kind == "spatial":
            o, cache = cross_attention(x, y, params["gate.q"], params["gate.k"], params["gate.v"])
        else:
            o, cache = spatial_mask(x, y, params["gate.w"], params["gate.b"], residual=attention.residual)
        s, linear_cache = linear(o.reshape(o.shape[0], o.shape[1] * o.shape[2]), w, b)
        z, relu_cache = relu(s)
        return z, (cache, linear_cache, relu_cache)

    z, caches = zip(*by_samples(work, x, y, size=BLOCK), strict=True)
    return get_xp(x).concatenate(z), list(caches)


def attend_backward(
    dz: tuple[Array, Array], cache: AttendCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array, Array, Array] | None]:
    """(grads of the gate, (gradients of x_a, x_b and the context)), by the backward of each step in reverse.

    An input that is used twice gets the sum: the photo under its own gate; the gate's weights under `mask`, which both
    maps share; the sketch's map, which is masked and makes the mask. Features and maps that are constants need no
    gradient: without `input_gradient` there is None in its place.
    """
    dz_a, dz_b = dz
    xp, needed = get_xp(dz_a), {"input_gradient": input_gradient}
    dx_b, dcontext = dz_b.copy(), None
    if cache.kind == "none":
        grads, dx = {}, dz_a.copy()
    elif cache.kind in ("channel", "self"):
        dx, dcontext, dw, db = channel_gate_backward(dz_a, cache.a, **needed)
        grads = {"gate.w": dw, "gate.b": db}
        if cache.kind == "self" and input_gradient:
            dx, dcontext = dx + dcontext, None
    else:
        dx, dcontext, grads = _read_maps_backward(dz_a, cache.a, **needed)
        if cache.kind == "mask":
            dx_b, dy_b, grads_b = _read_maps_backward(dz_b, cache.b, **needed)
            dx_b, grads = dx_b + dy_b if input_gradient else None, add_parts([grads, grads_b])
    if not input_gradient:
        return grads, None
    return grads, (dx, dx_b, xp.zeros(cache.shape, dtype=dz_a.dtype) if dcontext is None else dcontext)


def _read_maps_backward(
    dz: Array, caches: list[tuple], *, input_gradient: bool
) -> tuple[Array | None, Array | None, dict[str, Array]]:
    """(dx, dy, grads of the gate) of `_read_maps`; the layer's W and b are constants, and get no gradient."""

    def work(dz, caches):
        cache, linear_cache, relu_cache = caches
        do = (relu_backward(dz, relu_cache) @ linear_cache.w.T).reshape(cache.x.shape)
        if isinstance(cache, CrossAttentionCache):
            dx, dy, dq, dk, dv = cross_attention_backward(do, cache, input_gradient=input_gradient)
            return dx, dy, {"gate.q": dq, "gate.k": dk, "gate.v": dv}
        dx, dy, dw, db = spatial_mask_backward(do, cache)
        return dx, dy, {"gate.w": dw, "gate.b": db}

    *inputs, grads = zip(*by_samples(work, dz, caches, size=BLOCK), strict=True)
    dx, dy = (get_xp(dz).concatenate(part) if input_gradient else None for part in inputs)
    return dx, dy, add_parts(grads)


class AttendedCache(NamedTuple):
    attend: AttendCache
    dropout: tuple
    objective: ObjectiveCache


def attended_objective(
    params: Mapping[str, Array],
    batch: tuple[Array, Array, Array],
    y: tuple[Array, Array],
    *,
    attention: Attention,
    arch: Latent,
    weights: Weights,
    readings: Readings,
    heads: Mapping[str, Array] | None = None,
    feature_dropout: float = 0.0,
    regularized_layers: str = "all",
    contrast: Contrast = NO_CONTRAST,
    mode: str = "train",
    masks: Mapping[str, Array] | None = None,
) -> tuple[Array, AttendedCache]:
    """L of eq. 6 of (Z_a, Z_b) = `attend`(x_a, x_b, context), for n pairs with labels `y`.

    In `mode` "train", `masks["z_a"]` and `masks["z_b"]` (n, D) drop a share `feature_dropout` of Z, as input of the
    encoders and as target of the decoders. The other arguments are those of `attend` and of CMIR-NET's `objective`.
    """
    z, attended = attend(params, *batch, attention=attention, heads=heads)
    dropped = (None, None)
    if feature_dropout and mode == "train":
        pairs = [dropout(z_m, masks[name], feature_dropout) for z_m, name in zip(z, ("z_a", "z_b"), strict=True)]
        z, dropped = zip(*pairs, strict=True)
    latent = {name: w for name, w in params.items() if not name.startswith("gate.")}
    settings = {"arch": arch, "weights": weights, "readings": readings, "regularized_layers": regularized_layers}
    loss, cache = objective(latent, z, y, mode=mode, masks=masks, contrast=contrast, **settings)
    return loss, AttendedCache(attended, dropped, cache)


def attended_objective_backward(
    dl: Array, cache: AttendedCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array, Array, Array] | None]:
    """(grads of latent network and gate, (gradients of x_a, x_b and the context), or None without `input_gradient`).

    ∂L/∂Z comes from `objective_backward`; dropout and attention take it back to their own inputs.
    """
    grads, dz = objective_backward(dl, cache.objective)
    dz = [d if c is None else dropout_backward(d, c) for d, c in zip(dz, cache.dropout, strict=True)]
    gate, dx = attend_backward(tuple(dz), cache.attend, input_gradient=input_gradient)
    return grads | gate, dx
