"""The mean over all pixels, also called global average pooling: x (N, H, W, C), y (N, C)."""

from typing import NamedTuple

from ..backend import Array, get_xp


class GlobalMeanCache(NamedTuple):
    shape: tuple[int, ...]


def global_mean(x: Array) -> tuple[Array, GlobalMeanCache]:
    """y[n, c] = Σ_pq x[n, p, q, c] / (H W): what an image holds, wherever it is."""
    get_xp(x)
    return x.mean(axis=(1, 2)), GlobalMeanCache(x.shape)


def global_mean_backward(dy: Array, cache: GlobalMeanCache) -> Array:
    """dx[n, p, q, c] = dy[n, c] / (H W): every pixel has the same share."""
    xp = get_xp(dy)
    n, h, w, c = cache.shape
    dx = xp.empty(cache.shape, dtype=dy.dtype)
    dx[...] = (dy / (h * w)).reshape(n, 1, 1, c)
    return dx
