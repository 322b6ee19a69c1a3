"""Batch normalisation over all axes but the last, in its three modes.

x (…, C), gamma, beta, mean, var (C,).  M = the number of values per channel.
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_vectors
from .sums import column_mean, column_sum

NORM_EPSILON = 1e-3  # TensorFlow's default, so that the frozen mode is the released code's γx/√1.001 + β


class BatchNormCache(NamedTuple):
    x_hat: Array
    scale: Array
    gamma: Array
    mean: Array
    var: Array
    mode: str


def batch_norm(
    x: Array, gamma: Array, beta: Array, mean: Array | None = None, var: Array | None = None, *, mode: str = "train"
) -> tuple[Array, BatchNormCache]:
    """y = γ x̂ + β,  x̂ = (x − μ)/√(σ² + ε).

    `mode` says which μ and σ² these are:
        "train"      those of this batch (the cache returns them, for the running averages)
        "inference"  the running averages `mean` and `var`
        "frozen"     0 and 1, which the released code computes with: it never updates its averages
    x̂ is kept for the backward, M·C numbers; `fused/act_norm` keeps its input instead and computes x̂ again.
    Source: Ioffe & Szegedy 2015, algorithm 1. Raises `ValueError` for vectors that are not (C,).
    """
    xp = get_xp(x, gamma)
    check_vectors(x.shape[-1], gamma=gamma, beta=beta, mean=mean, var=var)
    if mode == "train":
        mean = column_mean(x)
        centred = x - mean
        var = column_mean(centred * centred)
    elif mode == "inference":
        centred = x - mean
    elif mode == "frozen":
        mean, var, centred = xp.zeros_like(gamma), xp.ones_like(gamma), x
    else:
        raise ValueError(f"mode is {mode!r}; it is one of train, inference, frozen")
    scale = (var + NORM_EPSILON) ** -0.5
    x_hat = centred * scale
    return gamma * x_hat + beta, BatchNormCache(x_hat, scale, gamma, mean, var, mode)


def batch_norm_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """(dx, dγ, dβ).

    dγ = Σ dy x̂ and dβ = Σ dy. With s = (σ² + ε)^(−1/2) and dx̂ = γ dy:
        inference, frozen: μ and σ² are constants, so dx = s dx̂.
        train: μ and σ² depend on x, ∂μ/∂x_m = 1/M, ∂σ²/∂x_m = 2(x_m − μ)/M, ∂s/∂σ² = −s³/2, so
            dx_m = s (dx̂_m − mean(dx̂) − x̂_m mean(dx̂ x̂)) = s γ (dy_m − dβ/M − x̂_m dγ/M)
    """
    x_hat, factor = cache.x_hat, cache.scale * cache.gamma
    dgamma, dbeta = column_sum(dy * x_hat), column_sum(dy)
    if cache.mode != "train":
        return dy * factor, dgamma, dbeta
    m = max(x_hat.size // x_hat.shape[-1], 1)
    return (dy - dbeta / m - x_hat * (dgamma / m)) * factor, dgamma, dbeta
