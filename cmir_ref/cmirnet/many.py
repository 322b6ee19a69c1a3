"""The latent network for any number of modalities in one space: eq. 6 of every pair of them, added up.

Modalities are a, b, c …; each has one encoder, all share the classifier, and each ordered pair has its decoder: E_p,
D_pq. A pair (p, q) is given its parameters under the names of the two-modality network, which does all the calculus.

M modalities make M(M − 1)/2 pairs, and each encoder runs in M − 1 of them: the cost is quadratic in M. That keeps this
file short, and is no burden for the handful of sensors that observe one place.

The sum is not divided. A modality meets M − 1 others: its terms of two (L₂, L₅) and its terms of one (L₃, L₄, R) all
count M − 1 times, so the weights λ balance them for any M as they do for two; what remains is the scale of the whole,
which Adam does not see.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from ..backend import Array
from ..errors import InputError
from .contrastive import NO_CONTRAST, Contrast
from .eq6_total import Readings, Weights
from .latent import Latent, letters
from .objective import ObjectiveCache, objective, objective_backward


class ManyCache(NamedTuple):
    pairs: dict[tuple[str, str], tuple[dict[str, str], ObjectiveCache]]  # `names_of_pair`, and the cache of the pair
    modalities: str
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
    weights: Weights,
    readings: Readings,
    regularized_layers: str = "all",
    contrast: Contrast = NO_CONTRAST,
    mode: str = "train",
    masks: Mapping[str, Array] | None = None,
) -> tuple[Array, ManyCache]:
    """Σ L of eq. 6 over all unordered pairs of the features `z`: M arrays (n, D_m), whose rows i show the same place.

    `y` are the labels of the places; the other arguments are those of `objective`, the same for every pair.
    `masks[m]` (n, d_v) are dropout masks, one for each modality whatever the pair; `arch.latent_dropout` names one
    modality, and "both" means all of them. `cache.parts` holds L₂ … L₅ and R, added up over the pairs. Raises
    `InputError` for a classifier that is not shared.
    """
    if arch.classifier != "shared":
        raise InputError(f"classifier {arch.classifier}: more than two modalities share one; use shared")
    features = dict(zip(letters(len(z)), z, strict=True))
    loss, parts, pairs = 0.0, {}, {}
    for p, q in combinations(features, 2):
        names = names_of_pair(params, p, q)
        dropped = {p: "a", q: "b", "both": "both"}.get(arch.latent_dropout, "none")
        value, cache = objective(
            {name: params[many_name] for name, many_name in names.items()},
            (features[p], features[q]),
            (y, y),
            arch=arch._replace(latent_dropout=dropped),
            weights=weights,
            readings=readings,
            regularized_layers=regularized_layers,
            contrast=contrast,
            mode=mode,
            masks={"a": masks[p], "b": masks[q]} if masks else None,
        )
        loss = loss + value
        parts = {name: parts.get(name, 0.0) + part for name, part in cache.parts.items()}
        pairs[p, q] = names, cache
    return loss, ManyCache(pairs, letters(len(z)), parts)


def many_objective_backward(
    dl: Array, cache: ManyCache, *, input_gradient: bool = True
) -> tuple[dict[str, Array], tuple[Array | None, ...]]:
    """(grads, one dz for each modality): each the sum of the gradients of the pairs that it takes part in.

    Every dz is None without `input_gradient`.
    """
    grads: dict[str, Array] = {}
    dz: dict[str, Array] = {}
    for pair, (names, pair_cache) in cache.pairs.items():
        pair_grads, pair_dz = objective_backward(dl, pair_cache, input_gradient=input_gradient)
        for name, g in pair_grads.items():
            grads[names[name]] = grads[names[name]] + g if names[name] in grads else g
        for m, g in zip(pair, pair_dz, strict=True):
            dz[m] = dz[m] + g if input_gradient and m in dz else g
    return grads, tuple(dz[m] for m in cache.modalities)
