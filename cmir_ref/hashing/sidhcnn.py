"""A reconstruction of SIDHCNN, source-invariant deep hashing. It is ours: the objective was not accessible to us.

What its first page says is kept: two networks trained at once, codes learned as a discrete optimisation under several
constraints, one code for both sources. The terms are those usual in its family: DCMH's, and similarity within each
source. Figures of this file are figures of the reconstruction, not of the published method. Networks: as in `dcmh`.

n pairs, c bits: outputs f, g (n, c); similar (n, n), 1 where two pairs share a label; b (n, c) of −1 and +1.

    J = ℓ(½ F Gᵀ; S) + μ (ℓ(½ F Fᵀ; S) + ℓ(½ G Gᵀ; S)) + γ(‖B − F‖² + ‖B − G‖²) + η(‖Fᵀ1‖² + ‖Gᵀ1‖²)

ℓ is DCMH's likelihood and B = sgn(F + G).
Source of the idea: Li, Zhang, Huang & Ma, "Learning source-invariant deep hashing convolutional neural networks for
cross-source remote sensing image retrieval", IEEE TGRS 56(11), 2018.
"""

from typing import NamedTuple

from ..backend import Array
from .dcmh import DcmhCache, LikelihoodCache, dcmh, dcmh_backward, likelihood, likelihood_backward


class SidhcnnCache(NamedTuple):
    dcmh: DcmhCache
    within: tuple[LikelihoodCache, LikelihoodCache]
    mu: float
    parts: dict[str, Array]


def sidhcnn(
    f: Array, g: Array, similar: Array, b: Array, *, mu: float = 1.0, gamma: float = 1.0, eta: float = 1.0
) -> tuple[Array, SidhcnnCache]:
    """J of n pairs; the parts are in `cache.parts`. With μ = 0 it is DCMH's.

    f, g, b (n, c), similar (n, n) of 0 and 1. Raises `InputError` for shapes that do not fit.
    """
    loss, cache = dcmh(f, g, similar, b, b, gamma=gamma, eta=eta)
    (within_f, cache_f), (within_g, cache_g) = likelihood(f, f, similar), likelihood(g, g, similar)
    parts = cache.parts | {"within": within_f + within_g}
    return loss + mu * parts["within"], SidhcnnCache(cache, (cache_f, cache_g), mu, parts)


def sidhcnn_backward(dj: Array, cache: SidhcnnCache) -> tuple[Array, Array]:
    """(df, dg): DCMH's, and what comes from within each source.

    f stands on both sides of ½ F Fᵀ, so both gradients of ℓ go to it: ½ (E + Eᵀ) f, E = σ(½ F Fᵀ) − S.
    """
    grads = dcmh_backward(dj, cache.dcmh)
    within = (likelihood_backward(cache.mu * dj, one) for one in cache.within)
    return tuple(d + left + right for d, (left, right) in zip(grads, within, strict=True))
