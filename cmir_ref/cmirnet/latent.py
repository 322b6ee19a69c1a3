"""The latent network: two encoders into the shared space V, a classifier on V, two decoders out of it.

n pairs, D = 128 features, d_v latent dimensions, K classes:
z_a, z_b (n, D) -> v_a, v_b (n, d_v) -> logits (n, K) and reconstructions (n, D).
"""

from collections.abc import Mapping
from itertools import pairwise
from string import ascii_lowercase
from typing import NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError
from ..nets.mlp import mlp, mlp_backward
from ..ops.dropout import dropout, dropout_backward
from ..ops.fused.dense_layer import dense_layer, dense_layer_backward
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


class BranchCache(NamedTuple):
    """What one modality keeps."""

    encoder: list
    dropout: tuple | None
    decoder: list


class LatentCache(NamedTuple):
    a: BranchCache
    b: BranchCache
    classifiers: list[tuple[str, tuple]]  # for each time that a classifier is applied its name and its cache


def classifier_names(classifier: str) -> tuple[str, ...]:
    """The parameter prefixes of the classifier: one if it is shared or concatenated, two if they are separate."""
    return ("classifier_a", "classifier_b") if classifier == "separate" else ("classifier",)


def letters(count: int) -> str:
    """The names of `count` modalities; raises `InputError` for fewer than two or more than 26."""
    if not 2 <= count <= len(ascii_lowercase):
        raise InputError(f"{count} modalities: one space is for 2 to {len(ascii_lowercase)} of them")
    return ascii_lowercase[:count]


def init_latent(arch: Latent, inputs: tuple[int, ...], classes: int, rng, bias_init="zero"):
    """(params, buffers) for features of widths `inputs` = (D_a, D_b, …); hidden layers are as wide as their features.

    `encoder_a.l.w` is the paper's w_a, `decoder_ab.l.w` its w_ab: the decoder that takes V_a, and whose target is Z_b
    (or Z_a under the reading `decoder_target` "own"). There are no buffers.
    """
    features, shapes = dict(zip(letters(len(inputs)), inputs, strict=True)), {}
    for m, d in features.items():
        widths = [d] * arch.encoder_depth + [arch.d_v]
        shapes |= {f"encoder_{m}.{i}": shape for i, shape in enumerate(pairwise(widths), start=1)}
        for other, d_other in features.items():
            if other != m:
                widths = [arch.d_v] + [d_other] * arch.decoder_depth
                shapes |= {f"decoder_{m}{other}.{i}": shape for i, shape in enumerate(pairwise(widths), start=1)}
    for name in classifier_names(arch.classifier):
        shapes[name] = (arch.d_v * (len(features) if arch.classifier == "concatenated" else 1), classes)
    return dense(shapes, rng, bias_init), {}


def regularised_matrices(params: Mapping[str, Array], layers: str, depth: int) -> dict[str, Array]:
    """The encoder matrices that enter R: of "all" layers, or of the "last" alone."""
    numbers = range(1, depth + 1) if layers == "all" else (depth,)
    return {name: params[name] for m in "ab" for i in numbers for name in [f"encoder_{m}.{i}.w"]}


def decayed_matrices(params: Mapping[str, Array]) -> dict[str, Array]:
    """The matrices of classifier and decoders, which the setting `head_decay` acts on."""
    return {k: w for k, w in params.items() if k.endswith(".w") and k.startswith(("classifier", "decoder"))}


def encoder(params: Mapping[str, Array], modality: str, z: Array, *, arch: Latent) -> tuple[Array, list]:
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
    """V_a = E_a(Z_a), V_b = E_b(Z_b); the logits of V; D_ab(V_a), D_ba(V_b).

    In `mode` "train", `masks["a"]`, `masks["b"]` (n, d_v) are the dropout masks of the embeddings that
    `arch.latent_dropout` names.
    """
    z_a, z_b = batch
    v_a, encoder_a, dropout_a = _embed(params, "a", z_a, arch, mode, masks)
    v_b, encoder_b, dropout_b = _embed(params, "b", z_b, arch, mode, masks)
    u_a, u_b, classifiers = _classify(params, v_a, v_b, arch.classifier)
    decoder = {"depth": arch.decoder_depth, "activation": arch.decoder_activation}
    from_a, decoder_a = mlp(params, "decoder_ab", v_a, **decoder)
    from_b, decoder_b = mlp(params, "decoder_ba", v_b, **decoder)
    branches = BranchCache(encoder_a, dropout_a, decoder_a), BranchCache(encoder_b, dropout_b, decoder_b)
    return LatentOutput(v_a, v_b, u_a, u_b, from_a, from_b), LatentCache(*branches, classifiers)


def _embed(params, modality, z, arch, mode, masks):
    """(v, cache of the encoder, cache of dropout or None)."""
    v, encoder_cache = encoder(params, modality, z, arch=arch)
    if mode == "train" and arch.latent_dropout in (modality, "both"):
        v, dropout_cache = dropout(v, masks[modality], arch.dropout)
        return v, encoder_cache, dropout_cache
    return v, encoder_cache, None


def _classify(params, v_a, v_b, classifier):
    """(u_a, u_b, names and caches of the classifiers); a shared classifier is applied twice."""
    names = classifier_names(classifier)
    if classifier == "concatenated":
        v = get_xp(v_a).concatenate([v_a, v_b], axis=1)
        u, cache = dense_layer(v, params[f"{names[0]}.w"], params[f"{names[0]}.b"], active=False)
        return u, None, [(names[0], cache)]
    name_a, name_b = names[0], names[-1]
    u_a, cache_a = dense_layer(v_a, params[f"{name_a}.w"], params[f"{name_a}.b"], active=False)
    u_b, cache_b = dense_layer(v_b, params[f"{name_b}.w"], params[f"{name_b}.b"], active=False)
    return u_a, u_b, [(name_a, cache_a), (name_b, cache_b)]


def latent_network_backward(
    d: LatentOutput, cache: LatentCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array | None, Array | None]]:
    """(grads, (dz_a, dz_b)) for the upstream gradient `d`; both dz are None without `input_gradient`.

    An embedding feeds the losses, the classifier and a decoder, so its gradient is the sum of three:
    dv = dv(losses) + du w_cᵀ + δ₁W₁ᵀ.
    """
    grads, dv_a, dv_b = _classify_backward(d.u_a, d.u_b, cache.classifiers)
    grads_a, dz_a = _branch_backward(d.v_a + dv_a, d.from_a, cache.a, input_gradient)
    grads_b, dz_b = _branch_backward(d.v_b + dv_b, d.from_b, cache.b, input_gradient)
    return grads | grads_a | grads_b, (dz_a, dz_b)


def _classify_backward(du_a, du_b, classifiers):
    """(grads, dv_a, dv_b) of the classifier; a shared one was applied twice, so its two gradients add."""
    if len(classifiers) == 1:  # concatenated: the columns of dV_ab go back to their modalities
        [(name, cache)] = classifiers
        dv, dw, db = dense_layer_backward(du_a, cache)
        d_v = dv.shape[1] // 2
        return {f"{name}.w": dw, f"{name}.b": db}, dv[:, :d_v], dv[:, d_v:]
    (name_a, cache_a), (name_b, cache_b) = classifiers
    dv_a, dw_a, db_a = dense_layer_backward(du_a, cache_a)
    dv_b, dw_b, db_b = dense_layer_backward(du_b, cache_b)
    if name_a == name_b:
        return {f"{name_a}.w": dw_a + dw_b, f"{name_a}.b": db_a + db_b}, dv_a, dv_b
    return {f"{name_a}.w": dw_a, f"{name_a}.b": db_a, f"{name_b}.w": dw_b, f"{name_b}.b": db_b}, dv_a, dv_b


def _branch_backward(dv, dfrom, cache, input_gradient):
    """(grads, dz) of the decoder and the encoder of one modality, for dv from losses and classifier."""
    decoder_grads, dv_decoder = mlp_backward(dfrom, cache.decoder)
    dv = dv + dv_decoder
    if cache.dropout is not None:
        dv = dropout_backward(dv, cache.dropout)
    encoder_grads, dz = mlp_backward(dv, cache.encoder, input_gradient=input_gradient)
    return decoder_grads | encoder_grads, dz
