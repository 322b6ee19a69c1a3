"""Convolution and max-pooling in one: `max_pool(conv(x, w, b), factor)` without the full-size feature map.

N samples, H × W pixels, C channels in, D channels out, k × k kernel, f × f windows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...backend import Array
from ...parallel import map_blocks
from ..shapes import check_vectors
from .moments import channel_sum, widen
from .on_device import conv_on_device, conv_on_device_backward, max_pool_on_device, max_pool_on_device_backward
from .tiles import Tiles


class ConvMaxPoolCache(NamedTuple):
    x: np.ndarray
    w: np.ndarray
    winner: np.ndarray | None  # None: found when the backward pass asks for it
    factor: int


def can_tile(x: Array, w: Array, b: Array, factor: int) -> bool:
    """Whether the fast path computes with these arrays: NumPy's, of one dtype, float32 or float64 as the processor has
    them, and f < 16."""
    numbers = isinstance(x, np.ndarray) and x.dtype == w.dtype == b.dtype and x.dtype.char in "fd"
    return numbers and x.dtype.isnative and factor < 16 and min(x.shape[1:3]) >= factor


def conv_max_pool(x: Array, w: Array, b: Array, factor: int, *, winners: bool = True) -> tuple[Array, tuple]:
    """y = max_pool(conv(x, w, b), factor): (N, H, W, C) -> (N, H//f, W//f, D).

    The convolution of a tile is computed as f·f planes, one for each position in the window, and pooling is the maximum
    over the planes while they are in the cache of the processor. Only that maximum and the position of the winner are
    kept. The bias is added last: max(u) + b = max(u + b). Without `winners` these are not kept either, a tenth or
    fifth less work where nobody asks for gradients; a backward pass then has to compute all of it again.
    Where `can_tile` says no, this is the plain composition.
    """
    check_vectors(w.shape[-1], b=b)
    if not can_tile(x, w, b, factor):
        y, conv_cache = conv_on_device(x, w, b)
        y, pool_cache = max_pool_on_device(y, factor)
        return y, (conv_cache, pool_cache)
    y, winner = empty_pooled(x, w, factor, winners)

    def work(block):
        write_conv_max_pool(x, w, factor, block, y, winner)
        pixels, shift = widen(y[block], b)
        pixels += shift

    map_blocks(work, len(x))
    return y, ConvMaxPoolCache(x, w, winner, factor)


def empty_pooled(
    x: np.ndarray, w: np.ndarray, factor: int, winners: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Two empty arrays (N, H//f, W//f, D): for the pooled values, and for the positions of the winners, if wanted."""
    n, h, width, _ = x.shape
    y = np.empty((n, h // factor, width // factor, w.shape[-1]), dtype=x.dtype)
    return y, np.empty(y.shape, dtype=np.uint8) if winners else None


def write_conv_max_pool(
    x, w, factor, block: slice, y, winner, use_up: Callable[[np.ndarray], None] | None = None
) -> None:
    """Writes max_pool(conv(x, w)), without bias, of the samples `block` into `y` and `winner`, where that is given.

    `use_up` gets the planes of each tile after that, and may overwrite them.
    """
    tiles = Tiles(x.shape[1:], w, factor)
    tiles.start_forward()
    for stack in tiles.stacks(block):
        tiles.load(x[stack])
        for rows in tiles.rows:
            planes = tiles.planes(rows)
            tiles.pool(planes, y[stack, rows], None if winner is None else winner[stack, rows])
            if use_up:
                use_up(planes)


def conv_max_pool_backward(
    dy: Array, cache: tuple, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array]:
    """(dx, dw, db): dy goes to the winners, then through the convolution, tile by tile.

    Each block of samples has its own part of dw. The parts are added in order, so that the number of threads changes
    nothing.
    """
    if not isinstance(cache, ConvMaxPoolCache):
        du = max_pool_on_device_backward(dy, cache[1])
        return conv_on_device_backward(du, cache[0], input_gradient=input_gradient)
    x, w, winner, factor = cache
    if winner is None:
        y, winner = empty_pooled(x, w, factor)
        map_blocks(lambda block: write_conv_max_pool(x, w, factor, block, y, winner), len(x))
    dx = np.empty(x.shape, dtype=dy.dtype) if input_gradient else None

    def work(block):
        tiles = Tiles(x.shape[1:], w, factor)
        tiles.start_backward()
        dw, dpadded = np.zeros_like(w), tiles.empty()
        for stack in tiles.stacks(block):
            tiles.load(x[stack])
            dpadded.fill(0)
            for rows in tiles.rows:
                full = tiles.spread(dy[stack, rows], winner[stack, rows])
                tiles.add_dw(dw, rows, full)
                if input_gradient:
                    tiles.add_dx(dpadded, rows, full)
            if input_gradient:
                dx[stack] = tiles.inner(dpadded)
        return dw, channel_sum(widen(dy[block])[0], w.shape[-1])

    dw, db = np.zeros_like(w), np.zeros_like(w, shape=w.shape[-1:])
    for part_w, part_b in map_blocks(work, len(x)):
        dw += part_w
        db += part_b
    return dx, dw, db
