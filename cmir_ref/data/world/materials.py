"""What the ground is made of: reflectance of materials in four bands, and how it varies.

Bands are GF-1's, whose imagery DSRSID is: blue 0.45–0.52 µm, green 0.52–0.59 µm, red 0.63–0.69 µm, near infrared
0.77–0.89 µm. The numbers are typical band means, rounded, of the kind of surface that the USGS Spectral Library
(Kokaly et al., USGS Data Series 1035, 2017) and the ECOSTRESS library (Meerdink et al., Remote Sensing of Environment
230, 2019) hold; water after Bukata et al., *Optical Properties and Remote Sensing of Inland and Coastal Waters*, 1995.
"""

import numpy as np

BANDS = ("blue", "green", "red", "nir")

REFLECTANCE = {
    "asphalt": (0.080, 0.090, 0.100, 0.125),
    "tar": (0.045, 0.048, 0.052, 0.060),
    "concrete": (0.200, 0.240, 0.265, 0.300),
    "gravel": (0.150, 0.175, 0.195, 0.230),
    "soil": (0.085, 0.125, 0.180, 0.260),
    "wet soil": (0.050, 0.068, 0.092, 0.135),
    "red soil": (0.060, 0.100, 0.210, 0.300),
    "sand": (0.190, 0.255, 0.315, 0.390),
    "mud": (0.085, 0.110, 0.130, 0.120),
    "grass": (0.040, 0.090, 0.055, 0.400),
    "dry grass": (0.095, 0.145, 0.190, 0.310),
    "crop": (0.030, 0.080, 0.033, 0.480),
    "ripe crop": (0.110, 0.175, 0.235, 0.370),
    "broadleaf": (0.028, 0.066, 0.035, 0.420),
    "conifer": (0.020, 0.044, 0.026, 0.270),
    "autumn leaf": (0.040, 0.085, 0.130, 0.340),
    "bare branch": (0.060, 0.075, 0.090, 0.190),
    "clear water": (0.050, 0.042, 0.020, 0.008),
    "algae water": (0.035, 0.062, 0.036, 0.034),
    "turbid water": (0.085, 0.130, 0.135, 0.055),
    "silty water": (0.100, 0.155, 0.195, 0.120),
    "foam": (0.420, 0.430, 0.430, 0.380),
    "cloud": (0.740, 0.750, 0.760, 0.740),
    "tile roof": (0.080, 0.120, 0.250, 0.350),
    "grey roof": (0.140, 0.150, 0.160, 0.180),
    "dark roof": (0.060, 0.065, 0.072, 0.085),
    "white roof": (0.450, 0.470, 0.480, 0.500),
    "blue roof": (0.300, 0.240, 0.160, 0.260),
    "glass": (0.120, 0.130, 0.130, 0.150),
}
WATERS = ("clear water", "algae water", "turbid water", "silty water")
ROOFS = ("tile roof", "grey roof", "dark roof", "white roof", "blue roof", "concrete")


def spectrum(rng: np.random.Generator, name: str, spread: float = 0.15) -> np.ndarray:
    """One sample of a material, reflectance (4,) float32: brightness varies by `spread`, each band by a third of it."""
    vary = 1 + spread * rng.standard_normal() + spread / 3 * rng.standard_normal(4)
    return (np.array(REFLECTANCE[name]) * np.clip(vary, 0.4, 1.8)).astype(np.float32)


def mixture(rng: np.random.Generator, names: tuple[str, ...], spread: float = 0.15) -> np.ndarray:
    """A random convex mixture of materials, reflectance (4,) float32."""
    parts = rng.random(len(names)) ** 2 + 1e-3
    return sum(p * spectrum(rng, n, spread) for p, n in zip(parts / parts.sum(), names, strict=True)).astype(np.float32)


def vegetation(rng: np.random.Generator, lush: str, dry: str, vigour: float, spread: float = 0.12) -> np.ndarray:
    """A plant cover between `dry` (vigour 0) and `lush` (vigour 1), reflectance (4,) float32."""
    v = np.float32(np.clip(vigour + 0.15 * rng.standard_normal(), 0, 1))
    return v * spectrum(rng, lush, spread) + (1 - v) * spectrum(rng, dry, spread)
