"""Wald's protocol: one image becomes what a panchromatic and a multi-spectral sensor would have seen of it.

Wald, Ranchin & Mangolini, Photogrammetric Engineering & Remote Sensing 63, 1997. PAN is a weighted sum of the bands at
full resolution. MUL are the bands after a low-pass that imitates a sensor's modulation transfer function (MTF), taken
at every fourth pixel. The MTF is a Gaussian, H(f) = exp(-2 π² σ² f²), whose gain at MUL's Nyquist frequency
f = 1 / (2 · 4) cycles a pixel is given: σ = (2 · 4 / 2π) √(-2 ln gain), the Gaussian of Aiazzi et al., PE&RS 72, 2006.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import InputError
from ..progress import track
from ..records import Dataset, Modality

FACTOR = 4  # PAN pixels to a MUL pixel, along each side
GAIN = 0.3  # of the MTF at MUL's Nyquist frequency; multi-spectral sensors have 0.2 to 0.4
RGB_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601 luminance
NOTE = "simulated sensors on real imagery"


def low_pass(n: int, *, gain: float = GAIN, factor: int = FACTOR) -> np.ndarray:
    """Blur and decimation of n pixels in one float32 matrix (n / factor, n) whose rows sum to 1.

    Row i is the Gaussian around the centre of the pixels that output pixel i covers, cut and renormalised at the edges.
    """
    if n % factor:
        raise InputError(f"image side {n} is not a multiple of {factor}, which Wald's protocol needs; set image_size")
    sigma = factor / np.pi * np.sqrt(-2 * np.log(gain))
    centre = factor * np.arange(n // factor) + (factor - 1) / 2
    rows = np.exp(-0.5 * ((np.arange(n) - centre[:, None]) / sigma) ** 2)
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def pan(image: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """(…, H, W, C) as the panchromatic (…, H, W, 1), same dtype. Weights default to luminance for RGB, else a mean."""
    bands = image.shape[-1]
    if weights is None:
        weights = RGB_WEIGHTS if bands == 3 else [1 / bands] * bands
    return _as(np.dot(image.astype(np.float32), np.asarray(weights, np.float32)[:, None]), image.dtype)


def mul(image: np.ndarray, *, gain: float = GAIN, factor: int = FACTOR) -> np.ndarray:
    """(…, H, W, C) as the multi-spectral (…, H / factor, W / factor, C), same dtype."""
    *lead, height, width, bands = image.shape
    down, across = (low_pass(side, gain=gain, factor=factor) for side in (height, width))
    rows = down @ image.astype(np.float32).reshape(*lead, height, -1)
    return _as(across @ rows.reshape(*lead, height // factor, width, bands), image.dtype)


def pair(images: Modality, label_names: Sequence[str], *, progress: bool = False) -> Dataset:
    """Images (N, H, W, C) as a paired set: `pan` (N, H, W, 1) and `mul` (N, H/4, W/4, C), both in the images' dtype.

    A few images at a time are held as floating point. Raises `InputError` where H or W is no multiple of 4.
    """
    from threadpoolctl import threadpool_limits

    n, height, width, bands = images.x.shape
    x_pan = np.empty((n, height, width, 1), images.x.dtype)
    x_mul = np.empty((n, height // FACTOR, width // FACTOR, bands), images.x.dtype)

    def observe(k: int) -> None:
        image = images.x[np.array([k])]
        x_pan[k], x_mul[k] = pan(image)[0], mul(image)[0]

    # threads share out the images, so that the small products within one need none
    with threadpool_limits(1), ThreadPoolExecutor(4) as pool:
        for _ in track(pool.map(observe, range(n)), n, "simulating sensors", progress):
            pass
    modalities = {"a": images._replace(name="pan", x=x_pan), "b": images._replace(name="mul", x=x_mul)}
    return Dataset(modalities, tuple(label_names), np.stack([np.arange(n)] * 2, axis=1), NOTE)


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`values` in `dtype`: rounded and clipped for integers."""
    if dtype.kind == "f":
        return values.astype(dtype)
    return np.clip(np.rint(values), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
