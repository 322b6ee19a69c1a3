"""What the notebooks in `lessons/` share: the look of a figure, captions, sounds, the numbers a lesson stands by."""

import io
import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from .plots import COLOURS, STYLES

NUMBERS = "application/vnd.cmir-ref.numbers+json"  # what `lessons/weave.py` compares with lessons/expected.json
MAPS = {
    "sequence": "cividis",
    "signed": "PuOr",
}  # for values from 0 up; for values about 0, with the numbers written in
TEXT_WIDTH = 940  # pixels of a page's text; a small figure is not drawn larger than 130 dots an inch
MARKS = ("o", "s", "^", "D", "v", "P", "X")

_figures = count(1)


def begin() -> None:
    """The look of every figure: colours that colour-blind readers tell apart, and line styles for greyscale."""
    import matplotlib.pyplot as plt
    from cycler import cycler

    _restart()
    plt.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=(2 * STYLES)[: len(COLOURS)]),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 90,
            "font.size": 9,
            "image.cmap": MAPS["sequence"],
            "image.interpolation": "nearest",
            "legend.frameon": False,
        }
    )


def show(figure, caption: str) -> None:
    """Displays a matplotlib figure with a numbered caption, and closes it.

    Raises ValueError for an axis without a label: a reader must not have to guess what is drawn. Panels that are
    pictures turn their axes off and carry a title.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image, Markdown, display
    from PIL import Image as Picture

    for panel in figure.axes:
        if panel.axison and not (panel.get_label() == "<colorbar>" or (panel.get_xlabel() and panel.get_ylabel())):
            plt.close(figure)
            raise ValueError(f"the panel {panel.get_title()!r} has an axis without a label")
    file, small = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png", dpi=min(max(TEXT_WIDTH / figure.get_figwidth(), 90), 130))
    plt.close(figure)
    picture = Picture.open(file).convert("RGB").quantize(128, dither=Picture.Dither.NONE)
    picture.save(small, format="png", optimize=True)  # a third of the bytes
    display(Image(small.getvalue(), alt=caption), Markdown(f"*Figure {next(_figures)}. {caption}*"))


def pictures(rows: Sequence[Sequence[Any]], titles: Sequence[Sequence[str]], side: float = 1.1):
    """A figure of images (H, W) or (H, W, 3) in [0, 1] in rows, each under its title: hand it to `show`."""
    import matplotlib.pyplot as plt

    wide = max(map(len, rows))
    figure, panels = plt.subplots(len(rows), wide, figsize=(side * wide, 1.22 * side * len(rows)), squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for line, images, names in zip(panels, rows, titles, strict=True):
        for axes, image, name in zip(line, images, names, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            axes.set_title(name, fontsize=7)
    return figure


def sound(samples, rate: int = 16000):
    """A player for a waveform (T,) in [−1, 1] of `rate` samples a second, written as 16-bit WAV."""
    import wave

    import numpy as np
    from IPython.display import Audio

    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return Audio(data=file.getvalue())


def combination(answer, parts: Mapping[str, Any]) -> str:
    """An answer as a sum of multiples of the parts, as "0 × L2 + 1 × R"; empty if it is no such sum, or each once.

    Parts are arrays of the answer's shape. An answer that leaves out a part, or turns its sign, tells so by its factor.
    """
    import numpy as np

    columns = np.stack([np.ravel(part) for part in parts.values()], axis=1)
    if np.size(answer) != len(columns) or not np.isfinite(answer).all():
        return ""
    factors = np.linalg.lstsq(columns, np.ravel(answer), rcond=None)[0]
    apart = np.abs(columns @ factors - np.ravel(answer)).max()
    if apart > 1e-9 * np.abs(answer).max() or np.allclose(factors, 1):
        return ""
    return " + ".join(f"{round(c, 6) + 0:.4g} × {name}" for name, c in zip(parts, factors, strict=True))


def with_hints(said: str, **hints: str) -> str:
    """What `gradcheck.explain` says, and below it the hints for the inputs that it names; empty if it says nothing."""
    wrong = {re.match(r"\w*", line)[0] for line in said.splitlines()}
    return "\n".join([said, *(f"({name}: {hint})" for name, hint in hints.items() if name in wrong)]).strip()


def numbers(**values: float) -> None:
    """Displays the key numbers of a lesson as a table; they are compared with `lessons/expected.json` at every run."""
    from IPython.display import display

    values = {name: float(value) for name, value in values.items()}
    texts = {name.replace("_", " "): f"{value:.4g}" for name, value in values.items()}
    rows = "".join(f"<tr><td style='text-align:left'>{name}</td><td>{text}</td></tr>" for name, text in texts.items())
    plain = "\n".join(f"{name:40} {text}" for name, text in texts.items())
    display({NUMBERS: values, "text/html": f"<table>{rows}</table>", "text/plain": plain}, raw=True)


def _restart() -> None:
    global _figures
    _figures = count(1)
