"""Maps made larger by a whole factor f, by the nearest pixel or bilinearly.

x (N, H, W, C), y (N, f·H, f·W, C).
"""

from typing import NamedTuple

from ..backend import Array, get_xp
from .shapes import check_fractions


class UpsampleCache(NamedTuple):
    rows: Array  # (f·H, H)
    columns: Array  # (f·W, W)


def interpolation(size: int, factor: int, kind: str, like: Array) -> Array:
    """The matrix M (f·H, H) that makes a line of H pixels f times as long, in the library and precision of `like`.

    Pixel p of the longer line lies at (p + ½)/f − ½ of the shorter one. "nearest" takes pixel p // f, "bilinear" both
    neighbours by their distance; beyond the middle of the first or the last pixel it takes that one alone.
    """
    xp = get_xp(like)
    pixels, longer = xp.arange(size)[None, :], xp.arange(factor * size)[:, None]
    if kind == "nearest":
        weights = longer // factor == pixels
    elif kind == "bilinear":
        at = xp.clip((longer + 0.5) / factor - 0.5, 0, size - 1)
        weights = xp.maximum(1 - xp.where(at > pixels, at - pixels, pixels - at), 0)
    else:
        raise ValueError(f"kind is {kind!r}; it is one of nearest, bilinear")
    return weights.astype(like.real.dtype)


def upsample(x: Array, factor: int, kind: str = "nearest") -> tuple[Array, UpsampleCache]:
    """Y = M_H X M_Wᵀ for every sample and channel: each column is made longer, and then each row.

    Raises `ValueError` for an x of whole numbers, whose weights would round to 0, and for another `kind`.
    """
    check_fractions(x=x)
    n, h, w, c = x.shape
    rows, columns = interpolation(h, factor, kind, x), interpolation(w, factor, kind, x)
    taller = (rows @ x.reshape(n, h, w * c)).reshape(n, factor * h, w, c)
    return columns @ taller, UpsampleCache(rows, columns)


def upsample_backward(dy: Array, cache: UpsampleCache) -> Array:
    """dX = M_Hᵀ dY M_W: the map is linear, so that its transpose carries the gradient back."""
    n, _, _, c = dy.shape
    (tall, h), w = cache.rows.shape, cache.columns.shape[1]
    narrower = cache.columns.T @ dy
    return (cache.rows.T @ narrower.reshape(n, tall, w * c)).reshape(n, h, w, c)
