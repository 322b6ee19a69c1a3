"""What stage 2 minimises: the latent network together with eq. 6, from features and labels to one number, and back.

The paper trains its stages apart. Stage 1 has made the features Z_a and Z_b, which are constants from then on; a batch
of stage 2 is n pairs of them:

    Z_a, Z_b  ->  latent_network  ->  V_a, V_b, logits, reconstructions  ->  total  ->  L of eq. 6

to which the contrastive term of the embeddings may be added; and `objective_backward` takes the same way back, from
∂L/∂L = 1 to the gradient of every weight of the latent network.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array
from ..ops.fused.norm_terms import saves_launches
from .contrastive import NO_CONTRAST, Contrast, ContrastiveCache, contrastive, contrastive_backward
from .eq6_total import LatentOutput, Readings, TotalCache, Weights, total, total_backward
from .fused_total import FusedTotalCache, fused_total, fused_total_backward
from .latent import (
    Latent,
    LatentCache,
    decayed_matrices,
    latent_network,
    latent_network_backward,
    regularised_matrices,
)


class ObjectiveCache(NamedTuple):
    latent: LatentCache
    total: TotalCache | FusedTotalCache
    out: LatentOutput
    contrastive: ContrastiveCache | None
    contrast: Contrast
    parts: dict[str, Array]


def objective(
    params: Mapping[str, Array],
    z: tuple[Array, Array],
    y: tuple[Array, Array],
    *,
    arch: Latent,
    weights: Weights,
    readings: Readings,
    regularized_layers: str = "all",
    contrast: Contrast = NO_CONTRAST,
    mode: str = "train",
    masks: Mapping[str, Array] | None = None,
) -> tuple[Array, ObjectiveCache]:
    """L of eq. 6 for n pairs of features `z` = (z_a, z_b), each (n, D), with labels `y` = (y_a, y_b).

    Labels are integer (n,) or multi-hot (n, K). `arch`, `mode` and `masks` are those of `latent_network`, `weights` and
    `readings` those of `total`; `regularized_layers` says which encoder matrices enter R. `contrast.weight` times
    the contrastive term is added. `cache.parts` holds L₂ … L₅, R and that term before weighting.
    """
    out, latent = latent_network(params, z, arch=arch, mode=mode, masks=masks)
    regularised = regularised_matrices(params, regularized_layers, arch.encoder_depth)
    total_of = fused_total if saves_launches(out.v_a) else total
    loss, cache = total_of(out, z, y, regularised, decayed_matrices(params), weights, readings)
    parts, term = cache.parts, None
    if contrast.weight:
        value, term = contrastive(out.v_a, out.v_b, temperature=contrast.temperature)
        loss, parts = loss + contrast.weight * value, parts | {"contrastive": value}
    return loss, ObjectiveCache(latent, cache, out, term, contrast, parts)


def objective_backward(
    dl: Array, cache: ObjectiveCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array | None, Array | None]]:
    """(grads, (dz_a, dz_b)); both dz are None without `input_gradient`: features that are constants need none.

    A regularised matrix gets two gradients, through the network and from R directly; features get theirs through
    the encoder and, where `target_gradient` is "flow", as targets of the decoders.
    """
    d = (total_backward if isinstance(cache.total, TotalCache) else fused_total_backward)(dl, cache.total)
    if cache.contrastive:
        dv_a, dv_b = contrastive_backward(cache.contrast.weight * dl, cache.contrastive)
        d = d._replace(output=d.output._replace(v_a=d.output.v_a + dv_a, v_b=d.output.v_b + dv_b))
    grads, dz = latent_network_backward(d.output, cache.latent, input_gradient=input_gradient)
    for name, dw in d.w.items():
        grads[name] = grads[name] + dw
    return grads, (dz[0] + d.z[0], dz[1] + d.z[1]) if input_gradient else dz
