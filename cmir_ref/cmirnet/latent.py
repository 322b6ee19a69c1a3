"""The latent network: two encoders into the shared space V, a classifier on V, two decoders out of it.

n pairs, D = 128 features, d_v latent dimensions, K classes:
z_a, z_b (n, D) -> v_a, v_b (n, d_v) -> logits (n, K) and reconstructions (n, D).
"""

from collections.abc import Mapping
from string import ascii_lowercase
from typing import NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError
from ..nets.mlp import mlp, mlp_backward
from ..ops.dropout import dropout, dropout_backward
from ..ops.linear import linear, linear_backward
from ..params import dense
from .eq6_total import LatentOutput


class Latent(NamedTuple):
    """The architecture; the settings of the same names say where paper and released code differ."""

    d_v: int = 64
    encoder_depth: int = 3
    decoder_depth: int = 3
    encoder_activation: str = "hidden"
    decoder_activation: str = "relu"
    classifier: str = "shared"
    latent_dropout: str = "none"  # or "a", "b" (released code: PAN, speech), "both"
    dropout: float = 0.5


class LatentCache(NamedTuple):
    encoders: tuple[list, list]
    dropouts: tuple[tuple | None, tuple | None]
    heads: list[tuple[str, tuple]]
    decoders: tuple[list, list]


def head_names(classifier: str) -> tuple[str, ...]:
    """The classifier's parameter prefixes: one for a shared or concatenated head, two for separate ones."""
    return ("classifier_a", "classifier_b") if classifier == "separate" else ("classifier",)


def letters(count: int) -> str:
    """The names of `count` modalities; raises `InputError` for fewer than two or more than 26."""
    if not 2 <= count <= len(ascii_lowercase):
        raise InputError(f"{count} modalities: one space is for 2 to {len(ascii_lowercase)} of them")
    return ascii_lowercase[:count]


def init_latent(arch: Latent, inputs: tuple[int, ...], classes: int, rng, bias_init="zero"):
    """(params, buffers) for features of widths `inputs` = (D_a, D_b, …); hidden layers are as wide as their features.

    `encoder_a.l.w` is the paper's w_a, `decoder_ab.l.w` its w_ab: what decodes V_a (into Z_b, or into Z_a under the
    reading `decoder_target` "own").
    """
    own, shapes = dict(zip(letters(len(inputs)), inputs, strict=True)), {}
    for m, d in own.items():
        widths = [d] * arch.encoder_depth + [arch.d_v]
        shapes |= {f"encoder_{m}.{i + 1}": (widths[i], widths[i + 1]) for i in range(arch.encoder_depth)}
        for other in (o for o in own if o != m):
            widths = [arch.d_v] + [own[other]] * arch.decoder_depth
            shapes |= {f"decoder_{m}{other}.{i + 1}": (widths[i], widths[i + 1]) for i in range(arch.decoder_depth)}
    for name in head_names(arch.classifier):
        shapes[name] = (arch.d_v * (len(own) if arch.classifier == "concatenated" else 1), classes)
    return dense(shapes, rng, bias_init), {}


def regularised_matrices(params: Mapping[str, Array], layers: str, depth: int) -> dict[str, Array]:
    """The encoder matrices that enter R: of "all" layers, or of the "last" alone."""
    chosen = range(1, depth + 1) if layers == "all" else (depth,)
    return {name: params[name] for m in "ab" for i in chosen for name in [f"encoder_{m}.{i}.w"]}


def head_matrices(params: Mapping[str, Array]) -> dict[str, Array]:
    """The classifier and decoder matrices, which `head_decay` acts on."""
    return {k: w for k, w in params.items() if k.endswith(".w") and k.startswith(("classifier", "decoder"))}


def encode(params: Mapping[str, Array], modality: str, z: Array, *, arch: Latent) -> tuple[Array, list]:
    """z (n, D) -> v (n, d_v) by the encoder of `modality` ("a", "b" …): what retrieval uses."""
    return mlp(params, f"encoder_{modality}", z, depth=arch.encoder_depth, activation=arch.encoder_activation)


def latent_network(
    params: Mapping[str, Array],
    batch: tuple[Array, Array],
    *,
    arch: Latent,
    mode: str,
    masks: Mapping[str, Array] | None = None,
) -> tuple[LatentOutput, LatentCache]:
    """V_a = E_a(Z_a), V_b = E_b(Z_b); logits of V by the chosen head; D_ab(V_a), D_ba(V_b).

    In `mode` "train", `masks["a"]`, `masks["b"]` (n, d_v) are the dropout masks of the embeddings that
    `latent_dropout` names.
    """
    vs, encoders, dropouts = [], [], []
    for modality, z in zip("ab", batch, strict=True):
        v, encoder = encode(params, modality, z, arch=arch)
        dropped = None
        if mode == "train" and arch.latent_dropout in (modality, "both"):
            v, dropped = dropout(v, masks[modality], arch.dropout)
        vs.append(v), encoders.append(encoder), dropouts.append(dropped)
    v_a, v_b = vs

    names = head_names(arch.classifier)
    if arch.classifier == "concatenated":
        inputs = [get_xp(v_a).concatenate([v_a, v_b], axis=1)]
    else:  # the shared head is applied twice, once to each modality
        inputs, names = [v_a, v_b], (names[0], names[-1])
    applied = [linear(v, params[f"{name}.w"], params[f"{name}.b"]) for v, name in zip(inputs, names, strict=True)]
    logits = [u for u, _ in applied]
    heads = [(name, cache) for name, (_, cache) in zip(names, applied, strict=True)]

    decoded = [
        mlp(params, name, v, depth=arch.decoder_depth, activation=arch.decoder_activation)
        for name, v in (("decoder_ab", v_a), ("decoder_ba", v_b))
    ]
    (from_a, decoder_ab), (from_b, decoder_ba) = decoded
    out = LatentOutput(v_a, v_b, logits[0], logits[1] if len(logits) == 2 else None, from_a, from_b)
    return out, LatentCache(tuple(encoders), tuple(dropouts), heads, (decoder_ab, decoder_ba))


def latent_network_backward(
    d: LatentOutput, cache: LatentCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array | None, Array | None]]:
    """(grads, (dz_a, dz_b)) for the upstream gradient `d`; features that are given need no dz (`input_gradient`).

    An embedding feeds the losses, a head and a decoder, so dv = dv(losses) + du w_cᵀ + δ₁W₁ᵀ; a shared head was
    applied twice, so its two gradients add.
    """
    grads: dict[str, Array] = {}
    dv = []
    for du, (name, head_cache) in zip((d.u_a, d.u_b), cache.heads, strict=False):
        dhead, dw, db = linear_backward(du, head_cache)
        grads[f"{name}.w"] = grads[f"{name}.w"] + dw if f"{name}.w" in grads else dw
        grads[f"{name}.b"] = grads[f"{name}.b"] + db if f"{name}.b" in grads else db
        dv.append(dhead)
    if len(dv) == 1:  # concatenated: the columns of V_ab go back to their modalities
        dv = [dv[0][:, : d.v_a.shape[1]], dv[0][:, d.v_a.shape[1] :]]

    dz = []
    for dv_head, dv_loss, dfrom, decoder, dropped, encoder in zip(
        dv, (d.v_a, d.v_b), (d.from_a, d.from_b), cache.decoders, cache.dropouts, cache.encoders, strict=True
    ):
        decoder_grads, dv_decoder = mlp_backward(dfrom, decoder)
        dv_m = dv_loss + dv_head + dv_decoder
        dv_m = dv_m if dropped is None else dropout_backward(dv_m, dropped)
        encoder_grads, dz_m = mlp_backward(dv_m, encoder, input_gradient=input_gradient)
        grads |= decoder_grads | encoder_grads
        dz.append(dz_m)
    return grads, (dz[0], dz[1])
