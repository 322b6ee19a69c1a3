"""Batch normalisation over all axes but the last, in its three forms.

x (…, C), gamma, beta, mean, var (C,).  M = the number of values per channel.
"""

from typing import NamedTuple

from ..backend import Array
from .sums import column_mean, column_sum

EPSILON = 1e-3  # TensorFlow's default, so that the frozen form is the released code's γx/√1.001 + β


class BatchNormCache(NamedTuple):
    x_hat: Array
    scale: Array
    gamma: Array
    mean: Array
    var: Array
    form: str


def batch_norm(
    x: Array, gamma: Array, beta: Array, mean: Array | None = None, var: Array | None = None, *, form: str = "train"
) -> tuple[Array, BatchNormCache]:
    """y = γ x̂ + β,  x̂ = (x − μ)/√(σ² + ε).

    `form` says which μ and σ²:
        "train"      those of this batch (returned in the cache, for the running averages)
        "inference"  the running averages `mean` and `var`
        "frozen"     0 and 1: what the released code runs, which never updates its averages
    Source: Ioffe & Szegedy 2015, algorithm 1.
    """
    if form == "train":
        mean = column_mean(x)
        centred = x - mean
        var = column_mean(centred * centred)
    elif form == "inference":
        centred = x - mean
    elif form == "frozen":
        mean, var, centred = 0 * gamma, 0 * gamma + 1, x
    else:
        raise ValueError(f"form is {form!r}; it is one of train, inference, frozen")
    scale = (var + EPSILON) ** -0.5
    x_hat = centred * scale
    return gamma * x_hat + beta, BatchNormCache(x_hat, scale, gamma, mean, var, form)


def batch_norm_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """(dx, dγ, dβ).

    dγ = Σ dy x̂ and dβ = Σ dy. With s = (σ² + ε)^(−1/2) and dx̂ = γ dy:
        inference, frozen: μ and σ² are constants, so dx = s dx̂.
        train: μ and σ² depend on x, ∂μ/∂x_m = 1/M, ∂σ²/∂x_m = 2(x_m − μ)/M, ∂s/∂σ² = −s³/2, so
            dx_m = s (dx̂_m − mean(dx̂) − x̂_m mean(dx̂ x̂)) = s γ (dy_m − dβ/M − x̂_m dγ/M)
    """
    x_hat, gamma = cache.x_hat, cache.gamma
    dgamma, dbeta = column_sum(dy * x_hat), column_sum(dy)
    if cache.form == "train":
        m = max(x_hat.size // x_hat.shape[-1], 1)
        dy = dy - dbeta / m - x_hat * (dgamma / m)
    return dy * (cache.scale * gamma), dgamma, dbeta
