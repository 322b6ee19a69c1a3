"""Time and memory of a step of stage 1 (paper's order, one band) against batch size and image size, as a plot.

python -m cmir_ref.bench.scaling OUT.png
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError
from ..files import whole_file
from ..progress import on_terminal, track
from ..streams import run_module
from .peers import run_side

KINDS_OF_PLOT = ("png", "svg", "pdf")
IMAGE_SIZES, BATCH_SIZES, REPEATS = (64, 128, 256), (8, 16, 32, 64, 96, 128), 7
LOOK_OF_SIZE = {64: ("#0072B2", "o", "-"), 128: ("#D55E00", "s", "--"), 256: ("#009E73", "^", "-.")}  # Okabe and Ito


def measure_point(size: int, batch: int, turns: int = REPEATS) -> tuple[float, float]:
    """(fastest ms, peak MiB) of a step, in a process of its own. The fastest: other work only ever slows one down."""
    settings = {"shape": (size, size, 1), "order": "paper", "batch": batch}
    with run_side("cmir_ref.bench.conv:conv_side", settings) as side:
        times = [side.ask("turn") for _ in range(turns + 1)]
        return min(times[1:]), side.ask("peak")


def plot_scaling(points: dict[tuple[int, int], tuple[float, float]], file: BinaryIO, kind: str) -> list[str]:
    """Plots {(size, batch): (ms, MiB)} with a straight line for each image size, and returns those lines as text."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    panels = figure.subplots(1, 2)
    text = []
    for axes, i, label in zip(panels, (0, 1), ("time of a step (ms)", "peak memory (MiB)"), strict=True):
        for size, (colour, marker, style) in LOOK_OF_SIZE.items():
            x = np.array(sorted(batch for s, batch in points if s == size))
            y = np.array([points[size, batch][i] for batch in x])
            slope, start = np.polyfit(x, y, 1)
            left = ((y - slope * x - start) ** 2).sum() / ((y - y.mean()) ** 2).sum()
            axes.plot(x, y, marker, color=colour, label=f"{size} × {size}")
            axes.plot(x, slope * x + start, style, color=colour, lw=1)
            text.append(f"{size} x {size}, {label}: {start:.1f} + {slope:.3f} a sample, R2 = {1 - left:.4f}")
        axes.set(xlabel="samples in a batch", ylabel=label, ylim=0, xlim=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(title="image", frameon=False)
    figure.savefig(file, format=kind, dpi=110)
    return text


def write_scaling(path: str | Path) -> None:
    """Measures all points, prints them and plots them into `path`.

    Raises `InputError`, before anything is measured, for a file that is no picture or cannot be written.
    """
    kind = Path(path).suffix[1:]
    if kind not in KINDS_OF_PLOT:
        raise InputError(f"{path}: expected a picture that ends in {', '.join(f'.{k}' for k in KINDS_OF_PLOT)}")
    grid = [(size, batch) for size in IMAGE_SIZES for batch in BATCH_SIZES]
    with whole_file(path) as file:
        points = {point: measure_point(*point) for point in track(grid, len(grid), "scaling", on_terminal())}
        for (size, batch), (ms, mb) in points.items():
            print(f"{size:4d}  {batch:4d}  {ms:8.1f} ms  {mb:6.0f} MiB")
        print("\n".join(plot_scaling(points, file, kind)))


if __name__ == "__main__":
    run_module("python -m cmir_ref.bench.scaling OUT.png", write_scaling)
