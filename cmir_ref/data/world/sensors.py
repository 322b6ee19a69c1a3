"""From reflectance on the ground to what a satellite's two cameras record of it.

Radiance at the sensor, in units of what a white surface under a zenith sun sends back:
L = T · ρ · (direct · lit + sky) + path. Direct light falls with the sun's elevation, sky light is blue; haze scales the
path radiance and takes from the transmittance T, both falling from blue to near infrared. (Schowengerdt, *Remote
Sensing: Models and Methods for Image Processing*, 3rd ed., 2007, chapter 2.)
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

from .. import wald
from .textures import SIZE, fractal

PAN_WEIGHTS = (0.15, 0.27, 0.30, 0.28)  # of blue, green, red, near infrared: GF-1's PAN spans 0.45–0.90 µm
GAINS = (0.32, 0.31, 0.30, 0.27)  # of each band's modulation transfer function at MUL's Nyquist frequency
FULL_SCALE = 1023  # both cameras digitise to 10 bits
_SKY = np.array([0.20, 0.15, 0.11, 0.07], np.float32)
_PATH = np.array([0.16, 0.12, 0.09, 0.05], np.float32)
_LOSS = np.array([0.50, 0.44, 0.38, 0.28], np.float32)


class View(NamedTuple):
    """The conditions of one acquisition."""

    elevation: float  # of the sun: its sine
    haze: float  # 0 clear … 1 thick
    exposure: float  # of both cameras
    pan_noise: float  # standard deviation, digital numbers
    mul_noise: float


def draw_view(rng: np.random.Generator, elevation: float) -> View:
    """Random conditions."""
    haze = float(rng.beta(1.2, 2.0))
    return View(elevation, haze, float(rng.uniform(0.75, 1.35)), float(rng.uniform(2, 8)), float(rng.uniform(1.5, 6)))


def radiance(rng: np.random.Generator, ground: np.ndarray, lit: np.ndarray, view: View) -> np.ndarray:
    """Ground reflectance (4, 256, 256) and its sunlit part (256, 256) as radiance at the sensor, same shape."""
    haze = view.haze * np.clip(1 + 0.12 * fractal(rng, 160, 2), 0.5, 1.5).astype(np.float32)
    seen = np.empty_like(ground)
    for b in range(4):
        light = lit * np.float32(view.elevation) + _SKY[b]
        seen[b] = ground[b] * light * (1 - _LOSS[b] * haze) + _PATH[b] * (haze + np.float32(0.15))
    return seen


def observe(rng: np.random.Generator, seen: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Radiance (4, 256, 256) as PAN (256, 256, 1) and MUL (64, 64, 4), uint16 of 10 bits, of the same ground."""
    gain = np.float32(1.45 * FULL_SCALE * view.exposure)
    weights = np.array(PAN_WEIGHTS, np.float32)
    pan = seen[0] * weights[0] + seen[1] * weights[1] + seen[2] * weights[2] + seen[3] * weights[3]
    mul = np.stack([_decimate(band, g) for band, g in zip(seen, GAINS, strict=True)], axis=-1)
    return _digitise(rng, pan[..., None] * gain, view.pan_noise), _digitise(rng, mul * gain, view.mul_noise)


def _digitise(rng: np.random.Generator, signal: np.ndarray, noise: float) -> np.ndarray:
    """Digital numbers: photon noise grows with the root of the signal, on top of the camera's own."""
    sigma = np.sqrt(np.maximum(signal, 0) * np.float32(0.06) + np.float32(noise * noise))
    values = signal + sigma * rng.standard_normal(signal.shape, np.float32)
    return np.clip(np.rint(values), 0, FULL_SCALE).astype(np.uint16)


@cache
def _low_pass(gain: float) -> sparse.csr_array:
    """`wald.low_pass` as a sparse matrix, without the entries below 1e-6: SciPy's product has a fixed order of sums."""
    rows = wald.low_pass(SIZE, gain=gain)
    return sparse.csr_array(np.where(rows > 1e-6, rows, 0))


def _decimate(band: np.ndarray, gain: float) -> np.ndarray:
    """(256, 256) after the modulation transfer function, every fourth pixel (64, 64)."""
    low_pass = _low_pass(gain)
    return (low_pass @ np.ascontiguousarray((low_pass @ band).T)).T
