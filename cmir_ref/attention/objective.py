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
from ..ops.linear import linear
from ..ops.relu import relu, relu_backward
from .cross_attention import cross_attention, cross_attention_backward
from .gate import channel_gate, channel_gate_backward, spatial_mask, spatial_mask_backward

KINDS_OF_ATTENTION = ("none", "channel", "self", "spatial", "mask")
ON_MAPS = ("spatial", "mask")  # those that read the maps of the convolution pretrainers


class Attention(NamedTuple):
    """Which reconstruction, and whether it adds to what it weighs (1 + a) or replaces it (a)."""

    kind: str = "channel"  # one of KINDS_OF_ATTENTION
    residual: bool = True


class AttendCache(NamedTuple):
    kind: str
    a: Any  # of the operation on the photo
    b: Any  # of the mask on the sketch's own map
    head_a: tuple | None
    head_b: tuple | None
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # of x_a, x_b and the context


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
    kind, residual = attention
    shapes = x_a.shape, x_b.shape, context.shape
    if kind == "none":
        return (x_a, x_b), AttendCache(kind, None, None, None, None, shapes)
    if kind in ("channel", "self"):
        s = x_a if kind == "self" else context
        z_a, cache = channel_gate(x_a, s, params["gate.w"], params["gate.b"], residual=residual)
        return (z_a, x_b), AttendCache(kind, cache, None, None, None, shapes)
    if kind == "spatial":
        o, cache = cross_attention(x_a, context, params["gate.q"], params["gate.k"], params["gate.v"])
        z_a, head_a = _features_of_map(o, "a", heads)
        return (z_a, x_b), AttendCache(kind, cache, None, head_a, None, shapes)
    if kind == "mask":
        gate = params["gate.w"], params["gate.b"]
        masked_a, cache_a = spatial_mask(x_a, context, *gate, residual=residual)
        masked_b, cache_b = spatial_mask(x_b, x_b, *gate, residual=residual)
        (z_a, head_a), (z_b, head_b) = _features_of_map(masked_a, "a", heads), _features_of_map(masked_b, "b", heads)
        return (z_a, z_b), AttendCache(kind, cache_a, cache_b, head_a, head_b, shapes)
    raise ValueError(f"attention is {kind!r}; it is one of {', '.join(KINDS_OF_ATTENTION)}")


def _features_of_map(x: Array, m: str, heads: Mapping[str, Array]) -> tuple[Array, tuple]:
    """Z (n, D) of modality m's maps x (n, M, C) by its pretrainer's last layer, relu(x W + b), and the caches."""
    s, linear_cache = linear(x.reshape(x.shape[0], x.shape[1] * x.shape[2]), heads[f"{m}.1.w"], heads[f"{m}.1.b"])
    z, relu_cache = relu(s)
    return z, (linear_cache, relu_cache)


def attend_backward(
    dz: tuple[Array, Array], cache: AttendCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array, Array, Array] | None]:
    """(grads of the gate, (gradients of x_a, x_b and the context)), by the backward of each step in reverse.

    An input that is used twice gets the sum: the photo under its own gate; the gate's weights under `mask`, which both
    maps share; the sketch's map, which is masked and makes the mask. Features and maps that are constants need no
    gradient: without `input_gradient` there is None in its place.
    """
    dz_a, dz_b = dz
    xp, (shape_a, shape_b, shape_context) = get_xp(dz_a), cache.shapes
    needed = {"input_gradient": input_gradient}
    if cache.kind == "none":
        grads, dx, dx_b, dcontext = {}, dz_a.copy(), dz_b.copy(), None
    elif cache.kind in ("channel", "self"):
        dx, dcontext, dw, db = channel_gate_backward(dz_a, cache.a, **needed)
        grads, dx_b = {"gate.w": dw, "gate.b": db}, dz_b.copy()
        if cache.kind == "self" and input_gradient:
            dx, dcontext = dx + dcontext, None
    elif cache.kind == "spatial":
        do = _gradient_of_map(dz_a, cache.head_a, shape_a)
        dx, dcontext, dq, dk, dv = cross_attention_backward(do, cache.a, **needed)
        grads, dx_b = {"gate.q": dq, "gate.k": dk, "gate.v": dv}, dz_b.copy()
    else:
        do, do_b = _gradient_of_map(dz_a, cache.head_a, shape_a), _gradient_of_map(dz_b, cache.head_b, shape_b)
        dx, dcontext, dw, db = spatial_mask_backward(do, cache.a)
        dx_b, dy_b, dw_b, db_b = spatial_mask_backward(do_b, cache.b)
        grads, dx_b = {"gate.w": dw + dw_b, "gate.b": db + db_b}, dx_b + dy_b
    if not input_gradient:
        return grads, None
    return grads, (dx, dx_b, xp.zeros(shape_context, dtype=dz_a.dtype) if dcontext is None else dcontext)


def _gradient_of_map(dz: Array, head: tuple, shape: tuple[int, ...]) -> Array:
    """The way back through relu(x W + b) to the maps: W and b are constants, and get no gradient."""
    linear_cache, relu_cache = head
    return (relu_backward(dz, relu_cache) @ linear_cache.w.T).reshape(shape)


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
