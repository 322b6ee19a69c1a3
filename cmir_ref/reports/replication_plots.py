"""The plots of a replication, as `replication.Figure`s."""

import io
from collections.abc import Mapping
from itertools import cycle

from .plots import COLOURS, STYLES, _axes, _plain, svg
from .replication import Figure, Score

MARKS = "os^Dv"


def drawn(name: str, caption: str, figure) -> Figure:
    """A matplotlib figure as both text and PNG; the figure is closed."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return Figure(name, caption, svg(figure), file.getvalue())


def curves(
    name: str, caption: str, series: Mapping[str, Mapping[float, Score]], *, x: str, y: str, log: bool = True
) -> Figure:
    """A line for each series, {x: score}, with its standard deviation."""
    figure, axes = _axes(5.6, 3.4)
    looks = zip(cycle(COLOURS), cycle(STYLES), cycle(MARKS), strict=False)
    for (label, points), (colour, style, mark) in zip(series.items(), looks, strict=False):
        xs, means = list(points), [s.mean for s in points.values()]
        errors = [s.sd or 0.0 for s in points.values()]
        axes.errorbar(xs, means, errors, color=colour, ls=style, marker=mark, ms=4, capsize=2, label=label)
    axes.set(xlabel=x, ylabel=y, **({"xscale": "log"} if log else {}))
    _plain(axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1)))
    return drawn(name, caption, figure)
