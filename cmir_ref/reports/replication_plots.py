"""The plots of a replication, as `replication.Figure`s."""

import io
from collections.abc import Collection, Mapping
from itertools import cycle

from .plots import COLOURS, STYLES, new_axes, show_dollars, svg
from .replication import Figure, Score

MARKS = "os^Dv"
HATCHES = ("", "//", "..", "xx")
WHISKER = {"ls": "", "ecolor": "black", "elinewidth": 0.8, "capsize": 2}


def drawn(name: str, caption: str, figure) -> Figure:
    """A matplotlib figure as both text and PNG; the figure is closed."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return Figure(name, caption, svg(figure), file.getvalue())


def curves(
    name: str, caption: str, series: Mapping[str, Mapping[float, Score]], *, x: str, y: str, log: bool = True
) -> Figure:
    """A line for each series, {x: score}, with its standard deviation."""
    figure, axes = new_axes(5.6, 3.4)
    looks = zip(cycle(COLOURS), cycle(STYLES), cycle(MARKS), strict=False)
    for (label, points), (colour, style, mark) in zip(series.items(), looks, strict=False):
        xs, means = list(points), [s.mean for s in points.values()]
        errors = [s.sd or 0.0 for s in points.values()]
        axes.errorbar(xs, means, errors, color=colour, ls=style, marker=mark, ms=4, capsize=2, label=label)
    axes.set(xlabel=x, ylabel=y, **({"xscale": "log"} if log else {}))
    show_dollars(axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1)))
    return drawn(name, caption, figure)


def bars(
    name: str,
    caption: str,
    series: Mapping[str, Mapping[str, Score]],
    *,
    y: str,
    outlines: Collection[str] = (),
    marks: str = "",
) -> Figure:
    """A group of bars for each name that a series gives a score, a bar for each series, from 0 up.

    The series called `outlines` are drawn as such, in the colour of the next; `marks` is a line across the group.
    """
    names = list(dict.fromkeys(n for one in series.values() for n in one))
    figure, axes = new_axes(max(6.0, 0.9 * len(names) + 1.5), 3.6)
    drawn_as_bars = {label: one for label, one in series.items() if label != marks}
    width = 0.8 / max(len(drawn_as_bars), 1)
    filled = 0
    for i, (label, one) in enumerate(drawn_as_bars.items()):
        places = [k + (i + 0.5) * width - 0.4 for k in range(len(names))]
        scores = [one.get(n, Score(())) for n in names]
        colour, hatch = COLOURS[filled % len(COLOURS)], HATCHES[filled % len(HATCHES)]
        look = {"facecolor": colour, "edgecolor": "white", "hatch": hatch}
        if label in outlines:
            look = {"facecolor": "white", "edgecolor": colour, "hatch": hatch, "lw": 1.2}
        filled += label not in outlines
        axes.bar(places, [s.mean or 0.0 for s in scores], width, label=label, **look)
        spread = [(x, s) for x, s in zip(places, scores, strict=True) if s.sd is not None]
        if spread:
            axes.errorbar([x for x, _ in spread], [s.mean for _, s in spread], [s.sd for _, s in spread], **WHISKER)
    for k, n in enumerate(names):
        if series.get(marks, {}).get(n, Score(())).mean is not None:
            label = marks if k == 0 else None
            axes.plot([k - 0.45, k + 0.45], [series[marks][n].mean] * 2, color="black", lw=1.2, ls=":", label=label)
    axes.set(ylabel=y, ylim=(0, 1.02), xlim=(-0.6, len(names) - 0.4))
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", parse_math=False)
    show_dollars(axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1)))
    return drawn(name, caption, figure)
