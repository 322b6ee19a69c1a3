"""Zeros around images, and the pixels that one tap of a kernel reads: what convolutions with a stride share.

N samples, H × W pixels, C channels, k × k kernel, stride s. `padding` (top, bottom, left, right) counts pixels of
zeros; its sides may differ. y has P = (H + top + bottom − k)//s + 1 rows, and as many columns by the same rule.
"""

from ..backend import Array, get_xp

Padding = tuple[int, int, int, int]


def same_padding(h: int, w: int, k: int, stride: int) -> Padding:
    """TensorFlow's "same": P = ⌈H/s⌉, and where the zeros do not share out evenly, the odd one is below and right."""
    across = [max((-(-size // stride) - 1) * stride + k - size, 0) for size in (h, w)]
    return across[0] // 2, across[0] - across[0] // 2, across[1] // 2, across[1] - across[1] // 2


def pad(x: Array, padding: Padding) -> Array:
    """x (N, H, W, C) with zeros around it, a new array."""
    xp = get_xp(x)
    (n, h, w, c), (top, bottom, left, right) = x.shape, padding
    padded = xp.zeros((n, h + top + bottom, w + left + right, c), dtype=x.dtype)
    padded[:, top : top + h, left : left + w] = x
    return padded


def crop(padded: Array, padding: Padding) -> Array:
    """The transpose of `pad`: a view of what lies within the zeros."""
    top, bottom, left, right = padding
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def output_size(shape: tuple[int, ...], k: int, stride: int, padding: Padding) -> tuple[int, int]:
    """(P, Q), rows and columns of y; raises `ValueError` where the kernel does not fit into the padded image."""
    down, across = shape[1] + padding[0] + padding[1], shape[2] + padding[2] + padding[3]
    if min(down, across) < k:
        raise ValueError(f"a kernel of {k} × {k} does not fit into {down} × {across} padded pixels")
    return (down - k) // stride + 1, (across - k) // stride + 1


def tap(padded: Array, i: int, j: int, stride: int, size: tuple[int, int]) -> Array:
    """A view of the pixels that entry (i, j) of a kernel meets, one for each pixel of y: (N, P, Q, C)."""
    return padded[:, i : i + (size[0] - 1) * stride + 1 : stride, j : j + (size[1] - 1) * stride + 1 : stride]
