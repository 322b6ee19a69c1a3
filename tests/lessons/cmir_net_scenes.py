"""Makes the data of `lessons/cmir_net.py`: `python tests/lessons/cmir_net_scenes.py` writes `lessons/cmir_net.npz`.

480 scenes of the simulated world, 60 of each of eight land covers, seen by PAN and MUL, as measurements of each image.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from cmir_ref.data.world import land_cover

FILE = Path(__file__).parents[2] / "lessons" / "cmir_net.npz"
SCENES = 480


def measurements(x: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as log-brightness, edges, waves of eight lengths, and differences at three scales."""
    x = np.log(x.astype(np.float32) + 20)
    n, h, w, c = x.shape
    grey = x.mean(axis=3)
    dy, dx = np.gradient(grey, axis=(1, 2))
    edge = np.log(np.hypot(dx, dy) + 1e-3)
    wave = np.abs(np.fft.rfft2(grey - grey.mean(axis=(1, 2), keepdims=True)))
    ring = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w))
    parts = [x.mean(axis=(1, 2)), x.std(axis=(1, 2)), edge.mean(axis=(1, 2))[:, None], edge.std(axis=(1, 2))[:, None]]
    parts += list(np.quantile(x.reshape(n, -1, c)[:, ::7], [0.05, 0.25, 0.75, 0.95], axis=1))
    for low, high in pairwise(np.geomspace(1 / w, 0.5, 9)):
        parts.append(np.log(wave[:, (ring >= low) & (ring < high)].mean(axis=1) + 1e-3)[:, None])
    for f in (2, 4, 8):
        m = x.reshape(n, h // f, f, w // f, f, c).mean(axis=(2, 4))
        parts += [m.std(axis=(1, 2)), *(np.abs(np.diff(m, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))]
    return np.concatenate(parts, axis=1).astype(np.float16)  # three digits, half the file


def scenes(numbers: range) -> dict[str, np.ndarray]:
    """x_a, x_b and y of these scenes; one whose images no training of the package sees begins at 10 000."""
    places = [land_cover(0, 10_000 + k, k % 8) for k in numbers]
    pan, mul = (np.stack([getattr(place, name) for place in places]) for name in ("pan", "mul"))
    labels = np.array([place.label for place in places], dtype=np.uint8)
    return {"x_a": measurements(pan[:, ::2, ::2]), "x_b": measurements(mul), "y": labels}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    blocks = [scenes(range(start, start + 40)) for start in range(0, SCENES, 40)]
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    np.savez_compressed(FILE, **whole)
    print({name: array.shape for name, array in whole.items()}, FILE.stat().st_size)
