"""A third sense: what a synthetic-aperture radar records of the ground that `scenes.land_cover` draws.

Modelled: one polarisation at C band, incidence 38°, seen from the left. σ⁰ of each material (levels of the order of
Ulaby & Dobson, *Handbook of Radar Scattering Statistics for Terrain*, 1989): water is smooth and dark, rougher with
wind; pavement dark; bare soil brighter, the more so the wetter, which is the darker in visible light; plants scatter
in their volume; hard things on water are bright. Buildings and single trees have the heights that their shadows tell:
they lean towards the radar (layover), hide what is behind them (shadow), and walls that face it light up, most of all
at their foot (double bounce). Speckle of L looks multiplies the mean intensity by a gamma variate of mean 1 and
variance 1/L (Oliver & Quegan, *Understanding Synthetic Aperture Radar Images*, 2004, chapter 4). No light is needed
and clouds do not count: below one the radar sees the ground.

Not modelled: phase, polarimetry, terrain, slopes of roofs, layover of forests, the correlation of neighbouring pixels,
anything that moves between two acquisitions. The material is told by its reflectance, and where a tall building hides
ground from the cameras, by the building's own.
"""

import numpy as np
from PIL import Image, ImageDraw

from ...backend import generator
from ...errors import InputError
from ..dsrsid import LABEL_NAMES
from . import land
from .canvas import Canvas
from .ground import Ground
from .textures import SIZE, fractal, grain, ramp

LOOKS = 4
FULL_SCALE = 1023
LOWEST, HIGHEST = -30.0, 15.0  # dB of digital numbers 0 and FULL_SCALE
FLOOR = 0.004  # noise equivalent σ⁰, -24 dB
TANGENT = 0.78  # of the incidence: a height h is laid over by h / TANGENT and casts a shadow of h · TANGENT
PIXEL = 2.0  # metres
MARGIN = 72  # pixels at either side whose buildings lean or cast shadows into the scene


class _Watched(Canvas):
    """A canvas that remembers what stood upright on it: a shadow's length over its height is `cast`."""

    def __init__(self, cast: float, upright: list):
        super().__init__(4)
        self._cast, self._upright = cast, upright

    def shadow(self, points, dx: float, dy: float) -> None:
        self._upright.append((float(np.hypot(dx, dy)) / self._cast * PIXEL, np.asarray(points, float), True))
        super().shadow(points, dx, dy)

    def disc_shadow(self, x: float, y: float, radius: float, dx: float, dy: float) -> None:
        corners = np.array([[x - radius, y - radius], [x + radius, y + radius]])
        self._upright.append((float(np.hypot(dx, dy)) / self._cast * PIXEL, corners, False))
        super().disc_shadow(x, y, radius, dx, dy)


class _Surveyed(Ground):
    """The same ground, drawn with the same random numbers, that keeps heights; a later layer levels what it covers.

    `buildings` and `trees` are metres (256, 256 + 2 · MARGIN); `before` is (colour, buildings, trees) below the last
    layer.
    """

    def __init__(self, rng: np.random.Generator):
        super().__init__(rng)
        self.buildings, self.trees = np.zeros((2, SIZE, SIZE + 2 * MARGIN), np.float32)
        self.before = self.colour, self.buildings, self.trees
        self._new_canvas()

    def _new_canvas(self) -> None:
        self._upright: list[tuple[float, np.ndarray, bool]] = []  # height in metres, outline, is it a building?
        self.canvas = _Watched(self.cast, self._upright)

    def flush(self) -> None:
        super().flush()
        self.buildings = np.maximum(self.buildings, _standing(self._upright, built=True))
        self.trees = np.maximum(self.trees, _standing(self._upright, built=False))
        self._new_canvas()

    def blend(self, mask: np.ndarray, colour: np.ndarray) -> None:
        self.before = self.colour.copy(), self.buildings, self.trees
        level = np.pad(mask < 0.5, ((0, 0), (MARGIN, MARGIN)), mode="edge")
        self.buildings, self.trees = self.buildings * level, self.trees * level
        super().blend(mask, colour)


def _standing(upright: list[tuple[float, np.ndarray, bool]], built: bool) -> np.ndarray:
    """Heights (256, 256 + 2 · MARGIN) of the buildings, on polygons, or the crowns, in boxes; the taller counts."""
    sheet = Image.new("F", (SIZE + 2 * MARGIN, SIZE))
    draw = ImageDraw.Draw(sheet)
    for height, outline, _ in sorted((thing for thing in upright if thing[2] == built), key=lambda thing: thing[0]):
        flat = (outline + np.array([MARGIN, 0])).ravel().tolist()
        (draw.polygon if built else draw.ellipse)(flat, fill=height)
    return np.asarray(sheet)


def radar(seed: int, item: int, label: int) -> np.ndarray:
    """σ⁰ of the place that `land_cover(seed, item, label)` shows: (64, 64, 1) uint16, 8 m a pixel.

    Digital numbers 0 … 1023 are decibels, evenly from -30 to 15. Raises `InputError` for an unknown label.
    """
    if not 0 <= label < len(LABEL_NAMES):
        raise InputError(f"land cover {label} is unknown; use 0 to {len(LABEL_NAMES) - 1}")
    ground = _Surveyed(generator(seed, "scenes/land", item, label))
    land.PAINTERS[label](ground)
    rng = generator(seed, "scenes/radar", item, label)
    colour, buildings, trees = ground.colour, ground.buildings, ground.trees
    if LABEL_NAMES[label] == "cloud":  # the last layer
        colour, buildings, trees = ground.before
    sigma = backscatter(rng, colour, buildings[:, MARGIN:-MARGIN] > 0)
    return digitise(speckled(rng, multilook(project(rng, sigma, buildings, trees))))


def _power(decibels: float) -> np.float32:
    """10^(dB / 10)."""
    return np.float32(10 ** (decibels / 10))


def backscatter(rng: np.random.Generator, colour: np.ndarray, roofs: np.ndarray) -> np.ndarray:
    """σ⁰ (256, 256) of what lies flat, from its reflectance (4, 256, 256): every pixel a mixture of materials."""
    blue, green, red, nir = np.maximum(colour, np.float32(1e-3))
    wet = ramp((green - nir) / (green + nir), 0.03, 0.10) * ~roofs
    plants = ramp((nir - red) / (nir + red), 0.20, 0.46)
    dense = ramp(nir - red, 0.15, 0.48)
    tall = ramp(-blue - green, -0.125, -0.075)  # crowns are darker than meadows
    earthy = ramp((nir - blue) / (nir + blue), 0.24, 0.42)

    wind = _power(rng.uniform(-23, -15)) * np.clip(1 + np.float32(0.25) * fractal(rng, 70, 4), 0.3, 2)
    dark = np.clip(np.float32(0.24) / nir, 0.5, 1.8)
    moist = _power(rng.normal(-13, 1.2)) * dark * dark
    meadow = _power(rng.normal(-14.5, 0.8)) + dense * _power(rng.normal(-9, 0.8))
    crown = _power(rng.normal(-6.8, 0.8))
    around = _spread(wet)
    hard = _power(-16) + around * around * _power(1)

    bare = hard + earthy * (moist - hard)
    leaves = meadow + tall * (crown - meadow)
    rough = (1 + np.float32(0.45) * plants * grain(rng, 1.5)) ** 2 / (1 + np.float32(0.2) * plants)
    sigma = bare + plants * (leaves - bare)
    sigma = np.where(roofs, _power(-9), sigma * rough)
    return sigma + wet * (wind - sigma)


def _spread(mask: np.ndarray) -> np.ndarray:
    """The mean of a mask (256, 256) over some 40 m around each pixel."""
    small = Image.fromarray(mask).resize((SIZE // 16, SIZE // 16), Image.Resampling.BOX)
    return np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def project(rng: np.random.Generator, sigma: np.ndarray, buildings: np.ndarray, trees: np.ndarray) -> np.ndarray:
    """Intensity (256, 256) where the radar, looking along x, finds it: a height h appears h / TANGENT nearer to it.

    `sigma` (256, 256) is of the ground, `buildings` and `trees` are heights with margins, in metres.
    """
    height = np.maximum(buildings, trees)
    x = np.arange(height.shape[1], dtype=np.float32)
    top = x + height * np.float32(TANGENT / PIXEL)  # where the shadow of each pixel ends
    visible = top >= np.maximum.accumulate(top, axis=1)
    image = _Range(height.shape)
    rows, columns = np.nonzero(visible)
    power = np.pad(sigma, ((0, 0), (MARGIN, MARGIN)), mode="edge")
    image.add(rows, columns - height[rows, columns] / np.float32(TANGENT * PIXEL), power[rows, columns])

    step = np.diff(buildings, axis=1, prepend=0)
    rows, columns = np.nonzero((step > 0) & visible)
    climb, above = step[rows, columns], buildings[rows, columns]
    down, across = np.gradient(np.asarray(_blurred(buildings)))
    facing = across * across / np.maximum(across * across + down * down, np.float32(1e-6))
    facing = facing[rows, columns] ** 2  # fourth power of the cosine between the wall's normal and the look
    vary = (1 + np.float32(0.5) * rng.standard_normal(len(rows), np.float32)) ** 2
    corner = np.float32(0.9) * climb / (1 + climb * np.float32(0.05)) * (np.float32(0.06) + facing * facing)
    image.add(rows, columns - (above - climb) / np.float32(TANGENT * PIXEL), corner * vary)
    for h in np.arange(0.5, climb.max(initial=0), 1.0):  # storeys: bright and dark by chance
        part = climb > h
        glow = np.float32(0.2) * (np.float32(0.15) + facing[part]) * rng.standard_exponential(part.sum(), np.float32)
        image.add(rows[part], columns[part] - (above - climb + h)[part] / np.float32(TANGENT * PIXEL), glow)
    return image.power[:, MARGIN:-MARGIN]


class _Range:
    """An image that intensity is added to at fractions of pixels."""

    def __init__(self, shape: tuple[int, int]):
        self.power = np.zeros(shape, np.float32)

    def add(self, rows: np.ndarray, at: np.ndarray, power: np.ndarray) -> None:
        """Shares `power` (n,) between the two pixels next to column `at` (n,); what falls outside is lost."""
        width = self.power.shape[1]
        left = np.floor(at).astype(np.intp)
        for column, share in ((left, left + 1 - at), (left + 1, at - left)):
            inside = (column >= 0) & (column < width)
            place = rows[inside] * width + column[inside]
            self.power += np.bincount(place, (share * power)[inside], self.power.size).reshape(self.power.shape)


def _blurred(heights: np.ndarray) -> np.ndarray:
    """Means over 5 × 5 pixels, whose gradient tells which way a wall faces."""
    padded = np.pad(heights, 2, mode="edge")
    rows = sum(padded[k : k + heights.shape[0]] for k in range(5))
    return sum(rows[:, k : k + heights.shape[1]] for k in range(5)) / 25


def multilook(power: np.ndarray) -> np.ndarray:
    """Mean intensity (64, 64) of 4 × 4 pixels each, on top of the receiver's noise."""
    return power.reshape(SIZE // 4, 4, SIZE // 4, 4).mean(axis=(1, 3)) + np.float32(FLOOR)


def speckled(rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
    """`power` times gamma variates of LOOKS looks: mean 1, variance 1 / LOOKS."""
    return power * rng.standard_exponential((LOOKS, *power.shape)).mean(axis=0)


def digitise(power: np.ndarray) -> np.ndarray:
    """Intensity (h, w) as digital numbers (h, w, 1) uint16 on a scale of decibels."""
    decibels = 10 * np.log10(power)
    numbers = np.rint((decibels - LOWEST) * (FULL_SCALE / (HIGHEST - LOWEST)))
    return np.clip(numbers, 0, FULL_SCALE).astype(np.uint16)[..., None]
