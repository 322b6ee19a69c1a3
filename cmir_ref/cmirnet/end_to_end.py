"""The ablation in which the stages are trained together: pretrainers and latent network as one.

The paper trains its stages apart, and so does the setting `stages` "separate"; `objective` is all that stage 2 needs
then. Under any other value of `stages` the gradient of eq. 6 goes on through V and Z into the first layer of the
pretrainers, which are called fronts here. A front that is None hands its input on as Z: that modality has features.
Parameters are named `front_a.…`, `front_b.…`, `latent.…`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..nets.head import PretrainerOutput
from ..nets.pretraining import Pretrainer
from ..params import add_prefix, below
from .contrastive import NO_CONTRAST, Contrast
from .eq6_total import Readings, Weights
from .latent import Latent
from .objective import ObjectiveCache, objective, objective_backward

FRONTS = ("front_a", "front_b")


class FrontCache(NamedTuple):
    """What one pretrainer keeps."""

    network: Pretrainer
    out: PretrainerOutput
    cache: NamedTuple


class EndToEndCache(NamedTuple):
    fronts: tuple[FrontCache | None, FrontCache | None]
    objective: ObjectiveCache
    statistics: dict[str, Array]


def end_to_end(
    params: Mapping[str, Array],
    x: tuple[Array, Array],
    y: tuple[Array, Array],
    *,
    fronts: tuple[Pretrainer | None, Pretrainer | None],
    arch: Latent,
    weights: Weights,
    readings: Readings,
    regularized_layers: str = "all",
    contrast: Contrast = NO_CONTRAST,
    mode: str = "train",
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
) -> tuple[Array, EndToEndCache]:
    """L of eq. 6 of Z_a = front_a(x_a) and Z_b = front_b(x_b), for n pairs of samples x with labels y.

    `masks`: "front_a", "front_b" (n, D), and "a", "b" of the latent network. The other arguments are those of
    `objective`. `cache.statistics` holds the batch statistics of the fronts, for the running averages.
    """
    masks, buffers = masks or {}, buffers or {}
    z, caches, statistics = [], [], {}
    for name, front, x_m in zip(FRONTS, fronts, x, strict=True):
        if front is None:
            z.append(x_m)
            caches.append(None)
            continue
        settings = {"mode": mode, "buffers": below(name, buffers), "masks": {"z": masks.get(name)}}
        out, cache = front.forward(below(name, params), x_m, arch=front.arch, **settings)
        statistics |= add_prefix(name, getattr(cache, "statistics", {}))
        z.append(out.z)
        caches.append(FrontCache(front, out, cache))
    loss, cache = objective(
        below("latent", params),
        tuple(z),
        y,
        arch=arch,
        weights=weights,
        readings=readings,
        regularized_layers=regularized_layers,
        contrast=contrast,
        mode=mode,
        masks=masks,
    )
    return loss, EndToEndCache(tuple(caches), cache, statistics)


def end_to_end_backward(dl: Array, cache: EndToEndCache) -> dict[str, Array]:
    """grads of all parameters: ∂L/∂Z of eq. 6 is the upstream gradient of each front.

    The classifier of a front takes no part in eq. 6, so its gradient is zero.
    """
    latent_grads, dz = objective_backward(dl, cache.objective, input_gradient=any(cache.fronts))
    grads = add_prefix("latent", latent_grads)
    for name, front, dz_m in zip(FRONTS, cache.fronts, dz, strict=True):
        if front is not None:
            xp = get_xp(dz_m)
            d = PretrainerOutput(xp.zeros_like(front.out.logits), dz_m, xp.zeros_like(front.out.s))
            front_grads, _ = front.network.backward(d, front.cache)
            grads |= add_prefix(name, front_grads)
    return grads
