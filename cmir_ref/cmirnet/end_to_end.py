"""Pretrainers and latent network as one: the gradient of eq. 6 runs through V and Z into the inputs' first layer.

Parameters are prefixed `front_a.`, `front_b.`, `latent.`. A front that is None passes its input on as Z.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..nets.head import PretrainerOutput
from ..nets.pretraining import Pretrainer
from ..params import add_prefix, below
from .objective import ObjectiveCache, objective, objective_backward

FRONTS = ("front_a", "front_b")


class EndToEndCache(NamedTuple):
    fronts: tuple[tuple[PretrainerOutput, NamedTuple] | None, ...]
    objective: ObjectiveCache
    statistics: dict[str, Array]


def end_to_end(
    params: Mapping[str, Array],
    x: tuple[Array, Array],
    y: tuple[Array, Array],
    *,
    fronts: tuple[Pretrainer | None, Pretrainer | None],
    mode: str,
    buffers: Mapping[str, Array] | None = None,
    masks: Mapping[str, Array] | None = None,
    **settings,
) -> tuple[Array, EndToEndCache]:
    """L of eq. 6 of Z_a = front_a(x_a), Z_b = front_b(x_b); `settings` are those of `objective`.

    `masks`: "front_a", "front_b" (n, D) and the latent network's "a", "b".
    """
    masks, buffers = masks or {}, buffers or {}
    z, caches, statistics = [], [], {}
    for name, front, x_m in zip(FRONTS, fronts, x, strict=True):
        if front is None:
            z.append(x_m), caches.append(None)
            continue
        own = {"z": masks.get(name)}
        out, cache = front.forward(
            below(name, params), x_m, arch=front.arch, mode=mode, buffers=below(name, buffers), masks=own
        )
        statistics |= add_prefix(name, getattr(cache, "statistics", {}))
        z.append(out.z), caches.append((front, out, cache))
    loss, cache = objective(below("latent", params), tuple(z), y, mode=mode, masks=masks, **settings)
    return loss, EndToEndCache(tuple(caches), cache, statistics)


def end_to_end_backward(dl: Array, cache: EndToEndCache) -> dict[str, Array]:
    """grads of all parameters: eq. 6's ∂L/∂Z is the upstream of each pretrainer, whose own classifier gets zeros."""
    latent, dz = objective_backward(dl, cache.objective, input_gradient=any(cache.fronts))
    grads = add_prefix("latent", latent)
    for name, kept, dz_m in zip(FRONTS, cache.fronts, dz, strict=True):
        if kept is not None:
            front, out, front_cache = kept
            xp = get_xp(dz_m)
            own, _ = front.backward(
                PretrainerOutput(xp.zeros_like(out.logits), dz_m, xp.zeros_like(out.s)), front_cache
            )
            grads |= add_prefix(name, own)
    return grads
