"""The latent network for any number of modalities in one space: eq. 6 of every pair of them, added up.

Modalities are a, b, c …; each has one encoder, all share the classifier, and each ordered pair has its decoder: E_p,
D_pq. A pair (p, q) sees its own parameters under the names of the two-modality network, which does all the calculus.

The sum is not divided. A modality meets M - 1 others: its terms of two (L₂, L₅) and its terms of one (L₃, L₄, R) all
count M - 1 times, so the weights λ balance them for any M as they do for two; what remains is the scale of the whole,
which Adam does not see.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from ..backend import Array
from ..errors import InputError
from .latent import Latent, letters
from .objective import ObjectiveCache, objective, objective_backward


class ManyCache(NamedTuple):
    pairs: list[tuple[dict[str, str], ObjectiveCache]]  # a name of the two-modality network -> the name here
    count: int
    parts: dict[str, Array]


def names_of_pair(params: Mapping[str, Array], p: str, q: str) -> dict[str, str]:
    """The parameters of the pair (p, q): their names in the two-modality network -> their names in `params`."""
    prefixes = {
        f"encoder_{p}": "encoder_a",
        f"encoder_{q}": "encoder_b",
        f"decoder_{p}{q}": "decoder_ab",
        f"decoder_{q}{p}": "decoder_ba",
        "classifier": "classifier",
    }
    split = ((name, *name.partition(".")) for name in params)
    return {prefixes[first] + dot + rest: name for name, first, dot, rest in split if first in prefixes}


def many_objective(
    params: Mapping[str, Array],
    z: tuple[Array, ...],
    y: Array,
    *,
    arch: Latent,
    masks: Mapping[str, Array] | None = None,
    **settings,
) -> tuple[Array, ManyCache]:
    """Σ L of eq. 6 over all unordered pairs of the features `z`: M arrays (n, D_m) of the same n places, labels `y`.

    `settings` are those of `objective`, the same for every pair; the classifier is shared. `masks[m]` (n, d_v) are
    dropout masks, one a modality whatever the pair; `arch.latent_dropout` names one modality, "both" is all of them.
    `cache.parts` holds the pairs' L2 … L5 and R, added up. Raises `InputError` for another classifier.
    """
    if arch.classifier != "shared":
        raise InputError(f"classifier {arch.classifier}: more than two modalities share one; use shared")
    loss, parts, pairs = 0.0, {}, []
    for (p, z_p), (q, z_q) in combinations(zip(letters(len(z)), z, strict=True), 2):
        names = names_of_pair(params, p, q)
        own = {name: params[here] for name, here in names.items()}
        dropped = {p: "a", q: "b", "both": "both"}.get(arch.latent_dropout, "none")
        keep = {"a": masks[p], "b": masks[q]} if masks else None
        value, cache = objective(
            own, (z_p, z_q), (y, y), arch=arch._replace(latent_dropout=dropped), masks=keep, **settings
        )
        loss = loss + value
        parts = {name: parts.get(name, 0.0) + part for name, part in cache.total.parts.items()}
        pairs.append((names, cache))
    return loss, ManyCache(pairs, len(z), parts)


def many_objective_backward(
    dl: Array, cache: ManyCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array | None, ...]]:
    """(grads, one dz a modality): each the sum of the gradients of the pairs that it takes part in.

    Every dz is None unless `input_gradient`.
    """
    grads: dict[str, Array] = {}
    dz: dict[int, Array] = {}
    for (names, pair), places in zip(cache.pairs, combinations(range(cache.count), 2), strict=True):
        own, features = objective_backward(dl, pair, input_gradient=input_gradient)
        for name, g in own.items():
            grads[names[name]] = grads[names[name]] + g if names[name] in grads else g
        for place, g in zip(places, features, strict=True):
            dz[place] = dz[place] + g if input_gradient and place in dz else g
    return grads, tuple(dz[place] for place in range(cache.count))
